"""Tiny films made with ffmpeg, and a second opinion on them from PyAV."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

PICTURE = "testsrc2=s=320x240:r=30"
DIALOGUE = "sine=440:r=48000"
MUSIC = "sine=880:r=48000"

#: Encoding options that drop everything a film says about itself, as MediaConvert does.
BARE = ("-map_metadata", "-1", "-map_chapters", "-1")


def ffmpeg(*arguments: str | Path) -> str:
    """Run ffmpeg, return what it printed on stdout."""
    command = [FFMPEG, "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make(
    path: Path,
    *options: str,
    seconds: float = 2.0,
    picture: str = PICTURE,
    sounds: Sequence[str] = (DIALOGUE,),
) -> Path:
    """A film of a test picture and sine tones; `options` come last and win."""
    inputs: list[str] = []
    for source in (picture, *sounds):
        inputs += ["-f", "lavfi", "-t", str(seconds), "-i", source]
    maps = [item for number in range(1 + len(sounds)) for item in ("-map", str(number))]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-pix_fmt", "yuv420p"]
    ffmpeg(*inputs, *maps, *video, "-c:a", "aac", *options, path)
    return path


def encode(source: Path, path: Path, *options: str) -> Path:
    """A smaller film of `source` with all its audio tracks and its index in front."""
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "26", "-pix_fmt", "yuv420p"]
    maps = ["-map", "0:V:0", "-map", "0:a?"]
    ffmpeg("-i", source, *maps, *video, "-c:a", "aac", "-movflags", "+faststart", *options, path)
    return path


def frames(path: Path) -> str:
    """A checksum of every decoded picture and sound."""
    return ffmpeg("-i", path, "-map", "0", "-f", "framemd5", "-")


def said(path: Path) -> dict[str, str]:
    """What PyAV reads of a film's metadata."""
    with av.open(str(path)) as film:
        return dict(film.metadata)
