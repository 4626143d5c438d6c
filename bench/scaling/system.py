"""The deployed system: one film through `workflows/compress.asl.json`, under everybody's quotas."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field

from bench.scaling.assumptions import Assumptions
from bench.scaling.films import DAY_S, Film
from bench.scaling.kernel import AskedAgain, Batches, Clock, Places, Process, Rate, Turn

GIB = 2**30
#: Films shorter than this are not searched by samples.
SEARCHED_FROM_S = 20.0
#: A copy that Drive refuses for the day is tried again so often, and after so long.
EXHAUSTED_PAUSE_S, EXHAUSTED_TRIES = 3600.0, 36

Steps = Generator[float | Turn, None, bool]


@dataclass(slots=True)
class Totals:
    """What was used, for the bill, and what came of it."""

    dropped: int = 0
    completed: int = 0
    kept: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    copied_bytes: float = 0.0
    parts: float = 0.0
    result_bytes: float = 0.0
    minutes: dict[str, float] = field(default_factory=dict)
    outputs: int = 0
    transitions: float = 0.0
    invocations: float = 0.0
    gib_s: float = 0.0
    writes: float = 0.0
    reads: float = 0.0
    requests: float = 0.0
    row_messages: int = 0
    emails: int = 0

    @property
    def ended(self) -> int:
        return self.completed + self.kept + sum(self.failed.values())


class System:
    """Everything that is shared. `run` plays films until all have ended, or until `until_s`."""

    def __init__(self, given: Assumptions, *, seed: int) -> None:
        self.given, self.clock, self.totals = given, Clock(), Totals()
        quota, template = given.section("quotas"), given.section("template")
        chance = random.Random(seed)
        self._mishaps = random.Random(seed + 1)
        clock, patience = self.clock, template["throttle_patience_s"]

        def rate(name: str) -> Rate:
            return Rate(clock, quota[f"{name}_per_s"], quota[f"{name}_burst"], patience)

        self.users = given("drive_users", "drive_users")
        self.reader = Places(clock, 1)
        self.starts = rate("start_execution")
        self.fetches = AskedAgain(
            clock, template["fetch_at_a_time"], template["fetch_retry_pause_s"], chance
        )
        downloads = quota["drive_units_per_minute"] / quota["drive_units_per_download"] * self.users
        self.downloads = Rate(clock, downloads / 60, downloads)
        self.probes, self.searches = rate("probe"), rate("search_jobs")
        self.creates = rate("create_job")
        self.encodes = Places(clock, quota["encodes_at_a_time"])
        self.functions = Places(
            clock,
            quota["lambda_at_a_time"] - template["fetch_at_a_time"] - template["answers_reserved"],
        )
        self.rows = Batches(clock, given("durations_s", "row_call"))
        self._drive_day, self._drive_bytes = -1, 0.0
        self.open = 0
        self._all_dropped = False
        self.most_open = 0
        self.latency_s = array("d")
        self.opened: list[tuple[float, int]] = []
        self.email_seconds: dict[int, int] = {}
        #: Refused for the day: askings, the most jobs at a time, and the longest such wait.
        self.exhausted = self.most_exhausted = self._exhausted_now = 0
        self.longest_exhausted_s = 0.0

    def run(self, films: Iterable[Film], *, until_s: float = float("inf")) -> None:
        self.clock.start(self._drops(iter(films)))
        self.clock.start(self._look(until_s))
        self.clock.run(until_s)
        self.fetches.finish()
        self.totals.transitions += self.fetches.asked
        self.totals.invocations += 2 * self.rows.calls

    def _drops(self, films: Iterator[Film]) -> Process:
        for number, film in enumerate(films):
            if film.at_s > self.clock.now:
                yield film.at_s - self.clock.now
            self.totals.dropped += 1
            self.clock.start(self._job(number, film))
        self._all_dropped = True

    def _look(self, until_s: float) -> Process:
        """How many jobs are open, every five minutes, until the last has ended."""
        while self.clock.now < until_s:
            self.opened.append((self.clock.now, self.open))
            if self._all_dropped and not self.open:
                return
            yield 300.0

    def _job(self, number: int, film: Film) -> Process:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        reason = yield from self._flow(number, film)
        self.open -= 1
        if reason:
            self.totals.failed[reason] = self.totals.failed.get(reason, 0) + 1
        elif film.attempts:
            self.totals.completed += 1
        else:
            self.totals.kept += 1
        self.latency_s.append(self.clock.now - film.at_s)
        self.totals.emails += 1
        second = int(self.clock.now)
        self.email_seconds[second] = self.email_seconds.get(second, 0) + 1

    def _flow(self, number: int, film: Film) -> Generator[float | Turn, None, str]:
        """Why it failed; empty when it ended well."""
        seconds = self.given.section("durations_s")
        yield seconds["notice"]
        yield self.reader.enter
        yield seconds["sync_per_file"]
        self.reader.leave(seconds["sync_per_file"])
        self._count_job(film)
        self._row(number, 2)
        if not (yield from self._throttled(self.starts)):
            return "StartExecution throttled"
        yield from self._function(seconds["register"])
        if not (yield from self._copied(film)):
            return "Drive's limit of the day"
        if not (yield from self._throttled(self.probes)):
            return "Probe throttled"
        yield from self._function(seconds["inspect"] + seconds["plan"])
        self._row(number, 2)
        if film.attempts:
            if film.duration_s >= SEARCHED_FROM_S:
                length_s = self.given("films", "search_seconds")
                if not (yield from self._encoded(film, length_s)):
                    return "MediaConvert throttled"
                self._bill_encode(film, 20.0, outputs=2)
                yield from self._function(seconds["choose"])
            for _ in range(film.attempts):
                if not (yield from self._encoded(film, self._encode_s(film))):
                    return "MediaConvert throttled"
                self._bill_encode(film, film.duration_s, outputs=1)
                self._row(number, 2)
                yield from self._checked(film)
        share = self.given("films", "result_share") if film.attempts else 1.0
        size_bytes = film.size_bytes * share
        self.totals.result_bytes += size_bytes
        yield from self._function(1 + seconds["publish_per_gib"] * size_bytes / GIB)
        yield from self._function(seconds["announce"])
        self._row(number, 2)
        return ""

    def _copied(self, film: Film) -> Steps:
        template, films = self.given.section("template"), self.given.section("films")
        if not (yield from self._allowed_by_drive(film)):
            return False
        left = film.size_bytes
        while left > 0:
            yield self.fetches.enter
            piece = min(left, films["copy_bytes_per_s"] * template["fetch_invocation_s"])
            parts = max(1.0, piece / template["fetch_part_bytes"])
            wait_s = self.downloads.wait_s(parts)
            assert wait_s is not None  # nobody is impatient here
            took_s = max(piece / films["copy_bytes_per_s"], wait_s) + 1.0
            yield took_s
            self.fetches.leave(took_s)
            self._bill_function(took_s, "fetch")
            self.totals.parts += parts
            left -= piece
        self.totals.copied_bytes += film.size_bytes
        return True

    def _allowed_by_drive(self, film: Film) -> Steps:
        limit = self.given("quotas", "drive_bytes_per_day") * self.users
        left = EXHAUSTED_TRIES
        while left > 0:
            day = int(self.clock.now // DAY_S)
            if day != self._drive_day:
                self._drive_day, self._drive_bytes = day, 0.0
            if self._drive_bytes + film.size_bytes <= limit:
                self._drive_bytes += film.size_bytes
                return True
            # Nothing changes before the next day, so the asking until then is only counted.
            until_s = (day + 1) * DAY_S - self.clock.now
            asks = min(left, math.ceil(until_s / EXHAUSTED_PAUSE_S))
            left -= asks
            self.exhausted += asks
            self.totals.transitions += asks
            self._exhausted_now += 1
            self.most_exhausted = max(self.most_exhausted, self._exhausted_now)
            yield asks * EXHAUSTED_PAUSE_S
            self._exhausted_now -= 1
            waited_s = (EXHAUSTED_TRIES - left) * EXHAUSTED_PAUSE_S
            self.longest_exhausted_s = max(self.longest_exhausted_s, waited_s)
        return False

    def _encoded(self, film: Film, length_s: float) -> Steps:
        seconds = self.given.section("durations_s")
        yield from self._function(seconds["budget"])
        if not (yield from self._throttled(self.creates)):
            return False
        # Where Encode is entered again, it looks for the job that it may have made.
        again = self._mishaps.random() < self.given("template", "encode_again_share")
        if again and not (yield from self._throttled(self.searches)):
            return False
        yield from self._function(seconds["encode"])
        yield self.encodes.enter
        yield seconds["encoder_starts"] + length_s
        self.encodes.leave(seconds["encoder_starts"] + length_s)
        yield seconds["event"]
        return True

    def _checked(self, film: Film) -> Generator[float | Turn, None, None]:
        seconds = self.given.section("durations_s")
        size_gib = film.size_bytes * self.given("films", "result_share") / GIB
        yield from self._function(1 + seconds["restore_per_gib"] * size_gib)
        yield from self._function(seconds["measure"], "measure")
        yield from self._function(seconds["verify"])

    def _encode_s(self, film: Film) -> float:
        speed = "encode_speed_uhd" if film.size == "UHD" else "encode_speed_hd"
        return film.duration_s / self.given("films", speed)

    def _throttled(self, rate: Rate) -> Steps:
        wait_s = rate.wait_s()
        if wait_s is None:
            return False
        if wait_s:
            yield wait_s
        return True

    def _function(self, took_s: float, name: str = "other") -> Generator[float | Turn, None, None]:
        yield self.functions.enter
        yield took_s
        self.functions.leave(took_s)
        self._bill_function(took_s, name)

    def _bill_function(self, took_s: float, name: str) -> None:
        self.totals.gib_s += took_s * self.given("memory_mb", name) / 1024

    def _bill_encode(self, film: Film, length_s: float, *, outputs: int) -> None:
        minutes = self.totals.minutes
        minutes[film.size] = minutes.get(film.size, 0.0) + outputs * max(length_s, 10.0) / 60
        self.totals.outputs += outputs

    def _count_job(self, film: Film) -> None:
        job, totals = self.given.section("job"), self.totals
        again = max(0, film.attempts - 1)
        steps = job["state_transitions"] if film.attempts else job["state_transitions_kept"]
        totals.transitions += steps + again * job["state_transitions_of_attempt"]
        share = 1.0 if film.attempts else 0.5
        totals.invocations += share * job["invocations"] + again * job["invocations_of_attempt"]
        totals.writes += share * job["writes"] + again * job["writes_of_attempt"]
        totals.reads += share * job["reads"]
        totals.requests += job["s3_requests"]

    def _row(self, number: int, messages: int) -> None:
        self.totals.row_messages += messages
        for _ in range(messages):
            self.rows.tell(number)
