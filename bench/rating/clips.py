"""Clips to measure on: each cut to a length without encoding it again, in a container whose codec
MediaConvert reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import av.error
import imageio_ffmpeg

_CONTAINERS = {"h264": ".mp4", "hevc": ".mp4", "av1": ".mp4", "vp8": ".webm", "vp9": ".webm"}


def cut(folder: Path, into: Path, *, seconds: float) -> list[Path]:
    """The films of a folder, by name. What is no film is left out."""
    made = []
    for path in sorted(folder.iterdir()):
        codec = _codec(path)
        if codec is None:
            continue
        target = into / f"{path.stem}{_CONTAINERS.get(codec, path.suffix)}"
        argv = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-i", f"file:{path}",
            "-t", f"{seconds:g}", "-map", "0:v:0", "-c", "copy", f"file:{target}",
        ]  # fmt: skip
        subprocess.run(argv, check=True)
        made.append(target)
    return made


def _codec(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        with av.open(str(path)) as film:
            return film.streams.video[0].codec_context.name if film.streams.video else None
    except (av.error.FFmpegError, EOFError):
        return None
