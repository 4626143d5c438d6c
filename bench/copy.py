"""The copy from Drive to S3: how fast, in how much memory, and what being interrupted costs.

    python -m bench.copy [--gigabytes 1 5 20] [--rclone PATH]

Each film goes through the real Fetch step and its adapters, then through rclone, from one HTTP
source to one S3 sink that can both keep up; between them stands a bare read of the same bytes. Then
a copy is killed halfway and gone on with, and one is made in invocations of a few seconds. Fails
when memory grows with the film, passes 250 MB, when bytes differ, or when a finished part is
fetched again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench import command
from bench.copying.place import BUCKET, Film, Place, ask, make_film, place
from bench.machine import load, machine, today
from chalicelib.domain.job import Job
from chalicelib.domain.text import human_size
from chalicelib.fetching.parts import MOST_HELD, PART_BYTES
from slimreel.paths import PROJECT_DIR

LIMIT_BYTES = 250_000_000
#: The largest film may take so much more memory than the smallest.
GROWTH = 1.10
LAMBDA_S = 900.0
#: An invocation keeps half of so little time for its end.
SHORT_INVOCATION_S = 8.0
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What the Fetch step took."""

    seconds: float
    cpu_s: float
    peak_bytes: int
    invocations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One film: by us, by rclone (None without it), and merely read."""

    film: Film
    ours: Ours
    rclone: tuple[float, float] | None
    read_s: float

    def row(self) -> tuple[str, ...]:
        size, ours = self.film.size_bytes, self.ours
        theirs = ("", "", "")
        if self.rclone is not None:
            seconds, cpu_s = self.rclone
            theirs = (_rate(size, seconds), f"{cpu_s / size * 1e9:.1f}", f"{self.ratio:.2f}")
        return (
            f"{size / 1e9:g} GB",
            _rate(size, ours.seconds),
            f"{ours.cpu_s / size * 1e9:.1f}",
            f"{ours.peak_bytes / 1e6:.0f}",
            *theirs,
            _rate(size, self.read_s),
        )

    @property
    def ratio(self) -> float | None:
        """Our throughput over rclone's."""
        return None if self.rclone is None else self.rclone[0] / self.ours.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A copy that was interrupted.

    Attributes:
        extra_bytes: sent by Drive beyond the film's size.
        again: finished parts of which bytes were fetched again.
        checked_bytes: read from S3 to check the copy.
        requests: for bytes, in all.
    """

    ours: Ours
    extra_bytes: int
    again: int
    checked_bytes: int
    requests: int


class Broken(Exception):
    """Something that must hold did not; the message says what."""


def copied(where: Place, film: Film, *, invocation_s: float = LAMBDA_S) -> Ours:
    job = where.new_job(film)
    ours = _finished(where, _started(where, job, invocation_s))
    _check(where, film, _forgotten(where, job))
    return ours


def killed_halfway(where: Place, film: Film) -> Resumed:
    """SIGKILL when S3 has half of the film, then once more to the end."""
    job = where.new_job(film)
    where.sent()
    read_before = ask(f"{where.sink_url}/-/read")
    with _started(where, job, LAMBDA_S) as process:
        while sum(where.stored_parts().values()) < film.size_bytes / 2:
            if process.poll() is not None:
                raise Broken("The copy ended before it could be killed.")
            time.sleep(0.01)
        process.kill()
    time.sleep(1.0)  # what was on its way arrives or breaks
    finished, before = where.stored_parts(), where.sent()
    ours = _finished(where, _started(where, job, LAMBDA_S))
    after = where.sent()
    _check(where, film, _forgotten(where, job))
    return Resumed(
        ours=ours,
        extra_bytes=sum(length for _, length in (*before, *after)) - film.size_bytes,
        again=sum(1 + start // PART_BYTES in finished for start, _ in after),
        checked_bytes=ask(f"{where.sink_url}/-/read") - read_before,
        requests=len(before) + len(after),
    )


def in_short_invocations(where: Place, film: Film) -> Resumed:
    """As Lambda's time-out makes it, only sooner."""
    where.sent()
    read_before = ask(f"{where.sink_url}/-/read")
    ours = copied(where, film, invocation_s=SHORT_INVOCATION_S)
    sent = where.sent()
    return Resumed(
        ours=ours,
        extra_bytes=sum(length for _, length in sent) - film.size_bytes,
        again=0,
        checked_bytes=ask(f"{where.sink_url}/-/read") - read_before,
        requests=len(sent),
    )


def by_rclone(where: Place, film: Film, rclone: str) -> tuple[float, float]:
    """Seconds and processor seconds. It gets as many and as large parts as we use."""
    source, key = urlsplit(where.source_url), "rclone.mov"
    argv = [
        rclone,
        "copyto",
        f":http:{film.path.name}",
        f":s3:{BUCKET}/{key}",
        f"--http-url=http://{source.netloc}/plain/",
        "--s3-provider=Other",
        f"--s3-endpoint={where.sink_url}",
        "--s3-access-key-id=bench",
        "--s3-secret-access-key=bench",
        "--s3-no-check-bucket",
        f"--s3-chunk-size={PART_BYTES // 2**20}M",
        f"--s3-upload-concurrency={MOST_HELD}",
        "--config=",
        "--retries=1",
    ]
    before, began_s = _children_cpu_s(), time.monotonic()
    # Not the caller's environment: rclone listens to AWS's variables there.
    clean = {"PATH": os.environ.get("PATH", ""), "HOME": str(where.folder)}
    done = subprocess.run(argv, capture_output=True, text=True, env=clean)
    took_s = time.monotonic() - began_s
    if done.returncode:
        raise Broken(f"rclone failed: {done.stderr.strip()[-500:]}")
    cpu_s = _children_cpu_s() - before
    _check(where, film, key)
    return took_s, cpu_s


def bare_read(where: Place, film: Film) -> float:
    """Seconds it takes to receive the bytes and drop them."""
    source = urlsplit(where.source_url)
    began_s = time.monotonic()
    with socket.create_connection((source.hostname, source.port)) as connection:
        request = f"GET /plain/{film.path.name} HTTP/1.1\r\nHost: source\r\n\r\n"
        connection.sendall(request.encode())
        buffer, received = bytearray(_BLOCK_BYTES), 0
        while received < film.size_bytes:
            step = connection.recv_into(buffer)
            if not step:
                raise Broken("The source hung up.")
            received += step
    return time.monotonic() - began_s


def _started(where: Place, job: Job, invocation_s: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.copying.fetching", job.job_id, str(invocation_s)],
        env=where.environment,
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )


def _finished(where: Place, process: subprocess.Popen[str]) -> Ours:
    with process:
        output, _ = process.communicate()
    if process.returncode:
        raise Broken("The Fetch step failed.")
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return Ours(**told)


def _forgotten(where: Place, job: Job) -> str:
    """The key of the finished copy; the record is removed, so that the film can come again."""
    key = where.job(job.job_id).source_key
    if key is None:
        raise Broken("The record does not know the copy.")
    where.records.delete_state(f"job#{job.job_id}", "job")
    return key


def _check(where: Place, film: Film, key: str) -> None:
    problem = where.differs(film, key)
    where.forget(key)
    if problem:
        raise Broken(f"{key}: {problem}.")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rate(size_bytes: int, seconds: float) -> str:
    return f"{size_bytes / 1e6 / seconds:.0f}"


def _interrupted_row(name: str, film: Film, one: Resumed) -> tuple[str, ...]:
    return (
        name,
        str(one.ours.invocations),
        str(one.requests),
        str(-(-film.size_bytes // PART_BYTES)),
        f"{one.extra_bytes / 1e6:.0f}",
        str(one.again),
        f"{one.checked_bytes / 1e6:.0f}",
    )


def _problems(runs: Sequence[Run], interrupted: Sequence[Resumed]) -> list[str]:
    peaks = [run.ours.peak_bytes for run in runs] + [one.ours.peak_bytes for one in interrupted]
    problems = []
    if max(peaks) >= LIMIT_BYTES:
        problems.append(f"memory reached {human_size(max(peaks))}")
    if runs[-1].ours.peak_bytes > GROWTH * runs[0].ours.peak_bytes:
        problems.append("memory grew with the film")
    if any(one.again for one in interrupted):
        problems.append("finished parts were fetched again")
    if any(
        one.extra_bytes > 2 * MOST_HELD * PART_BYTES * one.ours.invocations for one in interrupted
    ):
        problems.append("more was fetched again than was on its way")
    return problems


def _summary(runs: Sequence[Run], killed: Resumed) -> str:
    last = runs[-1]
    growth = last.ours.peak_bytes / runs[0].ours.peak_bytes - 1
    against = "no rclone to compare with"
    if last.ratio is not None:
        assert last.rclone is not None
        theirs = _rate(last.film.size_bytes, last.rclone[0])
        against = f"{last.ratio:.2f} times rclone's {theirs}"
    return (
        f"copy: {last.film.size_bytes / 1e9:g} GB at "
        f"{_rate(last.film.size_bytes, last.ours.seconds)} MB/s, {against}; peak memory "
        f"{last.ours.peak_bytes / 1e6:.0f} MB, {growth:+.0%} against "
        f"{runs[0].film.size_bytes / 1e9:g} GB; a kill cost {killed.extra_bytes / 1e6:.0f} MB "
        f"fetched again, no finished part"
    )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--rclone", default=shutil.which("rclone"))
    args = parser.parse_args(argv)
    print(f"{today()}, {machine()}\npython -m bench.copy {shlex.join(argv)}".rstrip())
    if args.rclone is None:
        print("There is no rclone here (Debian: apt install rclone), so nothing is compared.")
    else:
        version = subprocess.run([args.rclone, "version"], capture_output=True, text=True)
        print(version.stdout.partition("\n")[0])
    runs: list[Run] = []
    with command.scratch() as folder, place(folder, PROJECT_DIR) as where:
        for gigabytes in args.gigabytes:
            film = make_film(where.folder, round(gigabytes * 1e9))
            print(f"{gigabytes:g} GB; load average {load()}", flush=True)
            ours = copied(where, film)
            rclone = by_rclone(where, film, args.rclone) if args.rclone else None
            runs.append(Run(film=film, ours=ours, rclone=rclone, read_s=bare_read(where, film)))
            print(" ".join(runs[-1].row()), flush=True)
        film = runs[len(runs) // 2].film
        killed, short = killed_halfway(where, film), in_short_invocations(where, film)
    head = ("MB/s", "ours", "CPU s/GB", "peak MB", "rclone", "CPU s/GB", "ratio", "bare read")
    print(f"\n{command.table(head, [run.row() for run in runs])}\n")
    columns = (
        f"{film.size_bytes / 1e9:g} GB",
        "invocations",
        "requests",
        "parts",
        "MB again",
        "finished parts again",
        "MB read to check",
    )
    rows = [
        _interrupted_row("killed at half", film, killed),
        _interrupted_row(f"{SHORT_INVOCATION_S:g} s each", film, short),
    ]
    print(f"{command.table(columns, rows)}\n")
    problems = _problems(runs, (killed, short))
    print(_summary(runs, killed) + "".join(f"; FAILED: {problem}" for problem in problems))
    return 1 if problems else 0


def _run(argv: list[str]) -> int:
    try:
        return main(argv)
    except Broken as problem:
        print(f"copy: FAILED: {problem}")
        return 1


if __name__ == "__main__":
    sys.exit(command.run(_run))
