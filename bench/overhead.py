"""What the pipeline takes beside ffmpeg: a job, drop to email, over its ffmpeg commands run bare.

    python -m bench.overhead [--runs 1] [--seconds 60]

Each run is both, one right after the other; every second run begins with the bare commands.
Prints a table for each run, and one line at the end.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from bench import command
from bench.machine import load, machine, today
from bench.passage import NoPassage, Passage, send
from bench.processes import Kind, RunningTimes, repeating
from bench.replay import Bare, Commands, replay
from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import human_size
from slimreel.clip import generate
from slimreel.local.deployment import Deployment, deployed
from slimreel.paths import PROJECT_DIR

AIM = 1.10
#: The encoder tells how long its ffmpeg ran; the measurement's is timed by looking for it.
LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Piped:
    """A video's way through the pipeline.

    Attributes:
        ffmpeg_s: seconds of the step's own ffmpeg processes, by step.
        result: a copy of what was published.
    """

    passage: Passage
    commands: Commands
    ffmpeg_s: dict[str, float]
    result: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The same work by the pipeline and bare, one right after the other."""

    piped: Piped
    bare: Bare

    @property
    def ratio(self) -> float:
        return self.piped.passage.wall_s / self.bare.wall_s

    @property
    def cpu_ratio(self) -> float:
        """The same in processor time, which other work on the machine hardly changes."""
        return self.piped.passage.cpu_s / self.bare.cpu_s


def measured(video: Path, runs: int) -> list[Run]:
    """Do it `runs` times."""
    done: list[Run] = []
    with command.scratch() as folder:
        for number in range(runs):
            print(f"\nRun {number + 1} of {runs}; load average {load()}", flush=True)
            earlier = done[-1].piped if number % 2 else None
            bare_first = (
                replay(earlier.commands, source=video, result=earlier.result) if earlier else None
            )
            piped = through_pipeline(video, folder / f"result-{number}.mp4")
            bare = bare_first or replay(piped.commands, source=video, result=piped.result)
            done.append(Run(piped=piped, bare=bare))
            print(_table(done[-1]), flush=True)
    return done


def through_pipeline(video: Path, result: Path) -> Piped:
    """Send the video through a fresh deployment; what it publishes is copied to `result`.

    Raises:
        NoPassage: it was not compressed.
    """
    times = RunningTimes()
    with command.scratch() as folder, deployed(folder, PROJECT_DIR) as deployment:
        with repeating(times.look, every_s=LOOK_EVERY_S):
            passage = send(deployment, video)
        job = passage.job
        if job.status is not Status.COMPLETED:
            raise NoPassage(f"{job.status}, attempt {job.attempt}: {job.reason or job.error}")
        shutil.copyfile(_published(deployment, job), result)
        commands, encode_s = _commands(deployment, job)
    ffmpeg_s = {"encode": encode_s, "measure": times.seconds[Kind.MEASURING]}
    return Piped(passage=passage, commands=commands, ffmpeg_s=ffmpeg_s, result=result)


def _commands(deployment: Deployment, job: Job) -> tuple[Commands, float]:
    """Every ffmpeg run of the job, and the seconds of those of its search and its encode."""
    assert job.outcome is not None and job.measurement is not None
    client = deployment.cloud.client("mediaconvert")
    pages = client.get_paginator("list_jobs").paginate(Order="ASCENDING")
    every = [found for page in pages for found in page["Jobs"]]
    ids = [found["Id"] for found in every if found["UserMetadata"].get("job_id") == job.job_id]
    encoder = deployment.cloud.mediaconvert
    timed = [
        command for encoder_job_id in ids for command in encoder.timed_commands(encoder_job_id)
    ]
    encode = tuple(tuple(argv) for argv, _ in timed)
    seconds = sum(elapsed_s or 0.0 for _, elapsed_s in timed)
    # Only the last attempt's measurement is on record; those before it did the same to a result of
    # the same length.
    attempts = job.attempt - job.first_attempt + 1
    return Commands(encode=encode, measure=job.measurement.commands * attempts), seconds


def _published(deployment: Deployment, job: Job) -> Path:
    assert job.published_key is not None
    bucket = deployment.stack.resources["CompressedBucket"]
    return deployment.cloud.s3.object_path(bucket, job.published_key)


def _table(run: Run) -> str:
    """Where the time went; "beside" is what the pipeline took itself."""
    passage, bare = run.piped.passage, run.bare
    bare_s = {"encode": bare.encode_s, "measure": bare.measure_s}
    spent_s: dict[str, float] = {}
    for one in passage.steps():  # a step comes again with each attempt
        spent_s[one.step] = spent_s.get(one.step, 0.0) + one.seconds
    rows = [
        _row(step, seconds, run.piped.ffmpeg_s.get(step, 0.0), bare_s.get(step, 0.0))
        for step, seconds in spent_s.items()
    ]
    whole = _row("all", passage.wall_s, sum(run.piped.ffmpeg_s.values()), bare.wall_s)
    head = ("step", "seconds", "of it ffmpeg", "beside it", "ffmpeg bare")
    lines = [
        command.table(head, [*rows, whole]),
        f"Wall time: {run.ratio:.3f} times bare ffmpeg.",
        f"Before that, the stand-in Drive took {passage.settling_s:.1f} s to see that the file was "
        "complete, and to hash it.",
    ]
    if psutil.LINUX:  # elsewhere nobody counts the time of processes that have ended
        lines.insert(
            2,
            f"Processor time: {passage.cpu_s:.1f} s, bare {bare.cpu_s:.1f} s: "
            f"{run.cpu_ratio:.3f} times.",
        )
    return "\n".join(lines)


def _row(name: str, seconds: float, ffmpeg_s: float, bare_s: float) -> tuple[str, ...]:
    figures = (seconds, ffmpeg_s, seconds - ffmpeg_s, bare_s)
    return (name, *(f"{figure:.1f}" if figure else "" for figure in figures))


def _summary(runs: Sequence[Run]) -> str:
    ratios = [run.ratio for run in runs]
    return (
        f"overhead: {median(ratios):.3f} times bare ffmpeg, drop to email (aim: {AIM:.2f}); "
        f"{len(runs)} runs: {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
    )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the video")
    args = parser.parse_args(argv)
    name = f"{args.seconds:g} s of 1080p.mov"
    video = command.kept(name, lambda path: generate(path, args.seconds))
    print(f"{today()}, {machine()}\npython -m bench.overhead {shlex.join(argv)}".rstrip())
    print(f"The video: {video.name}, {human_size(video.stat().st_size)}")
    runs = measured(video, args.runs)
    print(f"\n{_summary(runs)}")
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
