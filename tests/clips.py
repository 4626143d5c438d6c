"""Tiny clips made by the real ffmpeg, for tests that need a video."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments: str) -> str:
    """Run ffmpeg and return what it wrote to stderr; raises CalledProcessError."""
    argv = [FFMPEG, "-hide_banner", "-nostdin", "-y", *arguments]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return done.stderr.decode(errors="replace")


def camera_clip(
    path: Path,
    *,
    size: str = "640x360",
    duration_s: float = 2.0,
    rate: str = "25",
    audio_tracks: int = 1,
    seed: int = 1,
    extra: tuple[str, ...] = (),
) -> Path:
    """A moving, slightly noisy picture at a wasteful bitrate, with AAC audio tracks."""
    noise = f"noise=c0s=4:c0f=t+u:all_seed={seed}"
    picture = f"testsrc2=size={size}:rate={rate}:duration={duration_s},{noise},format=yuv420p"
    argv = ["-f", "lavfi", "-i", picture]
    for track in range(audio_tracks):
        tone = f"sine=frequency={220 * (track + 1)}:sample_rate=48000:duration={duration_s}"
        argv += ["-f", "lavfi", "-i", tone]
    argv += [part for n in range(audio_tracks + 1) for part in ("-map", str(n))]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-c:a", "aac"]
    ffmpeg(*argv, "-t", f"{duration_s}", *extra, "file:" + str(path))
    return path


def ssim_mean(result: Path, source: Path) -> float:
    """What a plain ffmpeg says, with none of our code between."""
    said = ffmpeg(
        "-i",
        "file:" + str(result),
        "-i",
        "file:" + str(source),
        "-lavfi",
        "ssim",
        "-f",
        "null",
        "-",
    )
    return float(said.rsplit("All:", 1)[1].split()[0])
