"""Clips to measure on: each cut to a length without encoding it again, in a container whose codec
MediaConvert reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import av.error
import imageio_ffmpeg

_CONTAINERS = {"h264": ".mp4", "hevc": ".mp4", "av1": ".mp4", "vp8": ".webm", "vp9": ".webm"}

#: Width and height of the medley.
_MEDLEY = "854:480"

#: Films of our own, for who has none at hand: pictures that ffmpeg draws.
_DRAWN = {
    "zoom.mp4": "mandelbrot=s=640x360:r=25:maxiter=400,format=yuv420p",
    "noisy.mp4": "testsrc2=s=640x360:r=25,noise=alls=8:allf=t,format=yuv420p",
    "screen.mp4": "smptehdbars=s=640x360:r=25,drawgrid=w=32:h=32:t=1,scroll=v=0.001,format=yuv420p",
}


def draw(folder: Path, *, seconds: float) -> None:
    """Make the films in `folder` that are not there yet."""
    for name, picture in _DRAWN.items():
        if (folder / name).exists():
            continue
        argv = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-f", "lavfi",
            "-t", f"{seconds:g}", "-i", picture, "-preset", "veryfast", "-crf", "8",
            f"file:{folder / name}",
        ]  # fmt: skip
        subprocess.run(argv, check=True)


def cut(folder: Path, into: Path, *, seconds: float) -> list[tuple[str, Path]]:
    """The films of a folder, by name, and their beginnings. What is no film is left out."""
    into.mkdir(parents=True, exist_ok=True)
    made = []
    for path in sorted(folder.iterdir()):
        codec = _codec(path)
        if codec is None:
            continue
        name = f"{path.stem}-{seconds:g}s-{path.stat().st_size}"
        target = into / f"{name}{_CONTAINERS.get(codec, path.suffix)}"
        if not target.exists():
            part = target.with_name(f"part-{target.name}")
            argv = [
                imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y",
                "-i", f"file:{path}", "-t", f"{seconds:g}", "-map", "0:v:0", "-c", "copy",
                f"file:{part}",
            ]  # fmt: skip
            subprocess.run(argv, check=True)
            part.replace(target)
        made.append((path.name, target))
    return made


def medley(films: list[Path], target: Path) -> None:
    """All of them as one long film, unless it is there already: scenes as different as can be."""
    if target.exists():
        return
    inputs = [part for film in films for part in ("-i", f"file:{film}")]
    fit = f"scale={_MEDLEY}:force_original_aspect_ratio=decrease,pad={_MEDLEY}:-1:-1"
    each = [f"[{n}:v:0]{fit},fps=25,setsar=1,format=yuv420p[v{n}]" for n in range(len(films))]
    joined = "".join(f"[v{n}]" for n in range(len(films))) + f"concat=n={len(films)}[v]"
    part = target.with_name(f"part-{target.name}")
    argv = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *inputs,
        "-filter_complex", ";".join([*each, joined]), "-map", "[v]", "-preset", "veryfast",
        "-crf", "12", f"file:{part}",
    ]  # fmt: skip
    subprocess.run(argv, check=True)
    part.replace(target)


def _codec(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        with av.open(str(path)) as film:
            return film.streams.video[0].codec_context.name if film.streams.video else None
    except (av.error.FFmpegError, EOFError):
        return None
