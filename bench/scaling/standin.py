"""The stand-in cloud on one machine, in the same simulator: a check against what was measured.

Beside the processor, which everything there shares, little bounds it: one reader of the change log,
two encodes at a time, one writer of rows. What a job costs the processor is measured. Two numbers
are fitted to the burst of 200 files: how much of the two cores is used, because the stand-in's own
share runs in one Python process, and what one file costs the reader. The burst of 1,000 files is
then foretold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.scaling.kernel import Batches, Clock, Places, Process, Processor

#: Of a job's processor time: the measuring ffmpeg (docs/benchmarks.md, Burst).
FFMPEG_SHARE = 0.25
#: Fitted to `BURST_200`: its throughput, and how far the reader runs ahead of the rows.
CORES_USED, READER_S = 1.47, 0.03
#: Function calls before the first CreateJob, and after it, in a job of one attempt.
STEPS_BEFORE, STEPS_AFTER = 6, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A burst on a real machine. Seconds; see docs/benchmarks.md."""

    files: int
    cpu_s_per_job: float
    wall_s: float
    record_p50_s: float
    record_p99_s: float
    submitted_p50_s: float
    submitted_p99_s: float
    row_p50_s: float
    row_p99_s: float


#: `python -m bench.burst --files 200 --notifications 2000`, 2026-11-21, a quiet machine.
BURST_200 = Measured(
    files=200,
    cpu_s_per_job=1.0,
    wall_s=136,
    record_p50_s=75,
    record_p99_s=124,
    submitted_p50_s=76,
    submitted_p99_s=125,
    row_p50_s=95,
    row_p99_s=136,
)
#: `python -m bench.burst`, 2026-11-21: what the fit above has not seen.
BURST_1000 = Measured(
    files=1000,
    cpu_s_per_job=1.17,
    wall_s=861,
    record_p50_s=517,
    record_p99_s=838,
    submitted_p50_s=520,
    submitted_p99_s=841,
    row_p50_s=548,
    row_p99_s=859,
)


@dataclass(slots=True)
class Burst:
    """What the simulation of a burst says. Seconds since the drop."""

    recorded: list[float] = field(default_factory=list)
    submitted: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        return max(self.rows)


def burst(
    files: int, *, cpu_s_per_job: float, cores: float = CORES_USED, reader_s: float = READER_S
) -> Burst:
    """So many files at once.

    Args:
        reader_s: of one core, to make a file a job; part of `cpu_s_per_job`.
    """
    clock, seen = Clock(), Burst()
    processor = Processor(clock, cores)
    encodes, told = Places(clock, 2), [0.0] * files
    rest_s = (cpu_s_per_job - reader_s) * (1 - FFMPEG_SHARE)
    step_s = rest_s / (STEPS_BEFORE + STEPS_AFTER + 1)
    writer = Batches(clock, 0.25)

    def reader() -> Process:
        for number in range(files):
            yield processor.use(reader_s)
            seen.recorded.append(clock.now)
            clock.start(job(number))

    def job(number: int) -> Process:
        for _ in range(STEPS_BEFORE):
            yield processor.use(step_s)
        seen.submitted.append(clock.now)
        yield encodes.enter
        yield processor.use(step_s)
        encodes.leave(0.0)
        yield processor.use(FFMPEG_SHARE * (cpu_s_per_job - reader_s))
        for _ in range(STEPS_AFTER):
            yield processor.use(step_s)
        told[number] = clock.now
        writer.tell(number)

    clock.start(reader())
    clock.run()
    seen.rows = sorted(at + wait for at, wait in zip(sorted(told), writer.waits_s, strict=True))
    return seen
