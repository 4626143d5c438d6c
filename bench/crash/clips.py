"""What is dropped: tiny files of every kind, made by ffmpeg, and how a job about each must end."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import imageio_ffmpeg


class End(StrEnum):
    """How the job about a version may end; the values are what Airtable shows."""

    COMPLETED = "Completed"
    KEPT = "Kept original"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    #: There is none, and nothing of it anywhere.
    NO_JOB = "no job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file.

    Attributes:
        extension: of the name it is dropped under.
        make: writes the file; the number makes it differ from the others of its kind.
        variants: how many different ones there are.
        weight: how often it is dropped, against the others.
    """

    name: str
    end: End
    extension: str
    make: Callable[[Path, int], None]
    variants: int
    weight: int


def _ffmpeg(*arguments: str) -> None:
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(argv, check=True, timeout=120)


def _film(path: Path, number: int) -> None:
    """A second of a wasteful recording with sound: it gets much smaller."""
    noise = f"noise=c0s=4:c0f=t+u:all_seed={number}"
    picture = f"testsrc2=size=320x180:rate=25:duration=1,{noise},format=yuv420p"
    tone = f"sine=frequency={200 + 20 * number}:sample_rate=48000:duration=1"
    how = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-c:a", "aac", "-t", "1")
    # Some carry what a camera writes, which restore puts back.
    tags = ("-metadata", "creation_time=2026-05-04T10:11:12Z") if number % 2 else ()
    _ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, *how, *tags, f"file:{path}")


def _heavy(path: Path, number: int) -> None:
    """A film with so much padding behind it that it is copied in parts."""
    _film(path, number)
    padding = random.Random(number).randbytes(7 * 2**20)
    with path.open("ab") as file:
        file.write((8 + len(padding)).to_bytes(4, "big") + b"free" + padding)


def _grainy(path: Path, number: int) -> None:
    """Noise that the first level smooths away, so that it is encoded again."""
    noise = f"noise=c0s=11:c0f=t+u:all_seed={6 + number}"
    picture = f"testsrc2=size=320x180:rate=25:duration=2,{noise},format=yuv420p"
    how = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4")
    _ffmpeg("-f", "lavfi", "-i", picture, *how, f"file:{path}")


def _long(path: Path, number: int) -> None:
    """Long enough that samples of it are encoded first, to find its level."""
    noise = f"noise=c0s=6:c0f=t+u:all_seed={number}"
    picture = f"testsrc2=size=128x72:rate=10:duration=21,{noise},format=yuv420p"
    how = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4")
    _ffmpeg("-f", "lavfi", "-i", picture, *how, f"file:{path}")


def _starved(path: Path, number: int) -> None:
    """So few bits already that no encode is tried."""
    picture = f"color=c=0x{40 + number:02x}4060:size=640x360:rate=25:duration=2,format=yuv420p"
    how = ("-c:v", "libx264", "-preset", "veryslow", "-crf", "40")
    _ffmpeg("-f", "lavfi", "-i", picture, *how, f"file:{path}")


def _tight(path: Path, number: int) -> None:
    """Well compressed: an encode saves too little, and the original is kept."""
    picture = f"testsrc2=size=320x180:rate=25:duration=1,hue=h={20 * number},format=yuv420p"
    how = ("-c:v", "libx264", "-preset", "veryslow", "-crf", "33")
    _ffmpeg("-f", "lavfi", "-i", picture, *how, f"file:{path}")


def _words(path: Path, number: int) -> None:
    path.write_text(f"Shot list {number}: this is no film, whatever its name says.\n" * 20)


def _broken(path: Path, number: int) -> None:
    """The front of a film whose index was at its end."""
    _film(path, number)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _empty(path: Path, number: int) -> None:
    path.write_bytes(b"")


KINDS = {
    name: Kind(name=name, end=end, extension=extension, make=make, variants=variants, weight=weight)
    for name, end, extension, make, variants, weight in (
        ("film", End.COMPLETED, ".mp4", _film, 4, 6),
        ("heavy", End.COMPLETED, ".mp4", _heavy, 1, 1),
        ("grainy", End.COMPLETED, ".MOV", _grainy, 2, 1),
        ("long", End.COMPLETED, ".mp4", _long, 1, 1),
        ("starved", End.KEPT, ".mp4", _starved, 3, 4),
        ("tight", End.KEPT, ".mp4", _tight, 2, 2),
        ("words", End.FAILED, ".mp4", _words, 2, 2),
        ("broken", End.FAILED, ".mp4", _broken, 2, 1),
        ("empty", End.FAILED, ".mov", _empty, 1, 1),
        ("notes", End.NO_JOB, ".txt", _words, 1, 1),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Clip:
    """One file on the shelf."""

    kind: str
    variant: int

    @property
    def end(self) -> End:
        return KINDS[self.kind].end

    def path(self, shelf: Path) -> Path:
        return shelf / f"{self.kind}-{self.variant}{KINDS[self.kind].extension}"


def every_clip() -> tuple[Clip, ...]:
    return tuple(
        Clip(kind=kind.name, variant=variant)
        for kind in KINDS.values()
        for variant in range(1, kind.variants + 1)
    )


def stocked(shelf: Path) -> Path:
    """The folder with every clip in it, made where one is missing."""
    shelf.mkdir(parents=True, exist_ok=True)
    for clip in every_clip():
        path = clip.path(shelf)
        if not path.exists():
            part = path.with_name(f"part-{path.name}")
            KINDS[clip.kind].make(part, clip.variant)
            part.replace(path)
    return shelf
