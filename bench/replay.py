"""A job's ffmpeg commands once more, with nothing around them.

The arguments are those of the job, option for option. Only what names a place is replaced: the
addresses of the two films become paths, and the HTTP options that go with an address fall away.
"""

from __future__ import annotations

import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

#: Every option here has one value.
_WEB_OPTIONS = ("-rw_timeout", "-reconnect", "-ca_file")
_STDERR_SHOWN = 500


class ReplayFailed(Exception):
    """A command that worked in the pipeline does not work bare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Every ffmpeg run of one job.

    Attributes:
        encode: whole command lines of the encoder, which write into their working directory.
        measure: arguments of the measurement, with "{source}" and "{result}" for the two films.
    """

    encode: tuple[tuple[str, ...], ...]
    measure: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """The commands run one after the other by themselves: wall seconds, and processor time."""

    encode_s: float
    measure_s: float
    cpu_s: float

    @property
    def wall_s(self) -> float:
        return self.encode_s + self.measure_s


def replay(commands: Commands, *, source: Path, result: Path) -> Bare:
    """Run everything again.

    Args:
        source: the video that was dropped.
        result: what the pipeline published; the measurement looks at this one.

    Raises:
        ReplayFailed: the times would not compare.
    """
    encode = [encode_command(argv, source) for argv in commands.encode]
    measure = [measure_command(argv, source, result) for argv in commands.measure]
    before_s = _cpu_seconds()
    encode_s, measure_s = _seconds(encode), _seconds(measure)
    return Bare(encode_s=encode_s, measure_s=measure_s, cpu_s=_cpu_seconds() - before_s)


def encode_command(argv: Sequence[str], source: Path) -> list[str]:
    """The encoder's command line on another copy of the source. What a command before it wrote
    is still there, in the same working directory.
    """
    written = re.compile(r"file:([^/]+)")

    def path_of(url: str) -> Path:
        ours = written.fullmatch(url)
        return Path(ours[1]) if ours else source

    return list(_opening(argv, path_of))


def measure_command(arguments: Sequence[str], source: Path, result: Path) -> list[str]:
    """The measurement's command line on files instead of addresses."""
    films = {"{source}": source, "{result}": result}
    local = _opening(_without_web_options(arguments), films.__getitem__)
    return [imageio_ffmpeg.get_ffmpeg_exe(), *local]


def _opening(argv: Iterable[str], path_of: Callable[[str], Path]) -> Iterator[str]:
    """The same arguments with another file behind every `-i`."""
    previous = ""
    for argument in argv:
        yield f"file:{path_of(argument)}" if previous == "-i" else argument
        previous = argument


def _without_web_options(arguments: Sequence[str]) -> Iterator[str]:
    """What may be opened is files, where it was addresses."""
    left = iter(arguments)
    for argument in left:
        if argument.startswith(_WEB_OPTIONS):
            next(left)
            continue
        yield argument
        if argument == "-protocol_whitelist":
            next(left)
            yield "file"


def _seconds(commands: Iterable[Sequence[str]]) -> float:
    with tempfile.TemporaryDirectory(prefix="slimreel-bare-") as folder:
        return sum(_run(argv, folder) for argv in commands)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(argv: Sequence[str], folder: str) -> float:
    begun = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # as in the pipeline: Linux shares its time out by session
    )
    elapsed_s = time.monotonic() - begun
    only_describes = argv[-2] == "-i"  # ffmpeg ends with 1 when it is given nothing to write
    if done.returncode and not only_describes:
        raise ReplayFailed(f"{' '.join(argv)}\n{done.stderr[-_STDERR_SHOWN:]}")
    return elapsed_s
