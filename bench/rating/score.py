"""How much a result looks like its source, by a plain ffmpeg and none of our code.

Both are shown upright, brought to the source's size and the result's frame rate, and compared frame
by frame from the first. VMAF is v0.6.1, which was made for a screen of 1920x1080, so smaller
pictures are scored as they are shown there
(https://github.com/Netflix/vmaf/blob/master/resource/doc/faq.md), on every fifth frame, which
keeps the mean within 0.03.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg

_SSIM = re.compile(r"SSIM .*All:([0-9.]+)")
_VMAF = "libvmaf=model=version=vmaf_v0.6.1:n_subsample=5:n_threads=2:log_fmt=json:log_path=v.json"
_SCREEN = 1920, 1080


class ScoreFailed(Exception):
    """ffmpeg could not compare the two; its last words."""


def score(result: Path, source: Path, metric: str) -> float:
    """The mean over all frames; `metric` is "SSIM" (0 to 1, all planes) or "VMAF" (0 to 100).

    Raises: ScoreFailed.
    """
    (width, height), rate = _shown(result, source)
    if metric == "VMAF":
        width, height = _on_screen(width, height)
    size = f"{width}:{height}"
    even = f"scale={size}:flags=bicubic,format=yuv420p"
    compare = "ssim" if metric == "SSIM" else _VMAF
    graph = (
        f"[0:v:0]setpts=PTS-STARTPTS,{even}[a];[1:v:0]setpts=PTS-STARTPTS,fps={rate},{even}[b];"
        f"[a][b]{compare}:shortest=1[s]"
    ).replace("ssim:", "ssim=")
    with tempfile.TemporaryDirectory() as folder:
        argv = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-nostats",
            "-i", f"file:{result}", "-i", f"file:{source}", "-filter_complex", graph,
            "-map", "[s]", "-f", "null", "-",
        ]  # fmt: skip
        done = subprocess.run(argv, capture_output=True, text=True, cwd=folder, check=False)
        if done.returncode:
            raise ScoreFailed(done.stderr[-500:])
        if metric == "VMAF":
            pooled = json.loads((Path(folder) / "v.json").read_text())["pooled_metrics"]
            return float(pooled["vmaf"]["mean"])
    found = _SSIM.search(done.stderr)
    if found is None:
        raise ScoreFailed(done.stderr[-500:])
    return float(found[1])


def _on_screen(width: int, height: int) -> tuple[int, int]:
    """A picture's size when it fills a screen; its own where that is larger."""
    long, short = _SCREEN
    screen = (long, short) if width >= height else (short, long)
    factor = max(1.0, min(screen[0] / width, screen[1] / height))
    return round(width * factor) // 2 * 2, round(height * factor) // 2 * 2


def _shown(result: Path, source: Path) -> tuple[tuple[int, int], str]:
    """The source's size as it is shown, and the result's frame rate."""
    with av.open(str(source)) as film:
        stream = film.streams.video[0]
        frame = next(film.decode(stream))
        width, height = stream.width, stream.height
        if round(frame.rotation) % 180:
            width, height = height, width
    with av.open(str(result)) as film:
        rate = film.streams.video[0].average_rate or Fraction(25)
    return (width // 2 * 2, height // 2 * 2), f"{rate.numerator}/{rate.denominator}"


def video_bytes(path: Path) -> int:
    """Of the picture alone."""
    with av.open(str(path)) as film:
        return sum(packet.size for packet in film.demux(film.streams.video[0]))
