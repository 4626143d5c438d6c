"""A second opinion on a published film: plain ffmpeg, none of Slimreel's code.

It says how long each track is, whether the result decodes without a complaint, and how alike the
pictures are: both films brought to the result's frame rate by time stamps, then compared.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
_STREAM = re.compile(
    r"^\s+Stream #0:(\d+)\S* ?(?:\[\w+\])?(?:\(\w+\))?: (Video|Audio): (.*)$", re.M
)
_RATE = re.compile(r"(\d+(?:\.\d+)?k?) fps")
_SIZE = re.compile(r", (\d+)x(\d+)")
_TURN = re.compile(r"rotation of (-?\d+)\.\d+ degrees")
_TIME = re.compile(r"^out_time_us=(\d+)$", re.M)
#: A film that plays for longer is judged by its first minutes.
LONGEST_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What ffmpeg says of a file. `lengths_s`: of the video, then of each audio track."""

    videos: int
    audios: int
    width: int
    height: int
    fps: float
    lengths_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The opinion. `problems` is empty when the result is as good as the original.

    Attributes:
        ssim: mean over the frames compared, all planes; None when nothing was.
        source_damaged: the original does not decode without complaints. With several threads
            ffmpeg patches such pictures differently each time, by up to 0.02 of SSIM.
    """

    problems: tuple[str, ...]
    ssim: float | None = None
    source_damaged: bool = False


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def judge(source: Path, result: Path) -> Verdict:
    """Hold a smaller result against its source."""
    before, after = look(source), look(result)
    problems = [f"does not decode: {line}" for line in complaints(result)[:2]]
    if (before.videos, before.audios) != (after.videos, after.audios):
        problems.append(
            f"{after.videos} video and {after.audios} audio tracks instead of "
            f"{before.videos} and {before.audios}"
        )
    slack_s = max(0.1, 2 / after.fps if after.fps else 0.0)
    for number, (old, new) in enumerate(zip(before.lengths_s, after.lengths_s, strict=False)):
        if abs(old - new) > slack_s:
            kind = "audio track" if number else "video"
            problems.append(f"{kind} lasts {new:.2f} s instead of {old:.2f} s")
    return Verdict(
        problems=tuple(problems),
        ssim=ssim(source, result, after),
        source_damaged=bool(complaints(source)),
    )


def look(path: Path) -> Look:
    described = _run("-i", f"file:{path}").stderr
    streams = [found for found in _STREAM.findall(described) if "attached pic" not in found[2]]
    videos = [found for found in streams if found[1] == "Video"]
    audios = [found for found in streams if found[1] == "Audio"]
    size = _SIZE.search(videos[0][2]) if videos else None
    rate = _RATE.search(videos[0][2]) if videos else None
    width, height = (int(size[1]), int(size[2])) if size else (0, 0)
    turn = _TURN.search(described)
    if turn and abs(int(turn[1])) % 180 == 90:
        width, height = height, width
    picked = ["0:v:0"] if videos else []
    picked += [f"0:a:{number}" for number in range(len(audios))]
    return Look(
        videos=len(videos),
        audios=len(audios),
        width=width,
        height=height,
        fps=float(rate[1].replace("k", "000")) if rate else 0.0,
        lengths_s=tuple(_length_s(path, which) for which in picked[:9]),
    )


def _length_s(path: Path, which: str) -> float:
    """How long a track plays, from its first moment to its last, as decoded."""
    said = _run(
        *("-i", f"file:{path}", "-map", which, "-fps_mode", "passthrough"),
        *("-progress", "-", "-f", "null", "-"),
    ).stdout
    times = _TIME.findall(said)
    return int(times[-1]) / 1e6 if times else 0.0


def complaints(path: Path) -> list[str]:
    """What a full decode complains about. ffmpeg's exit code says nothing about damage."""
    said = _run(
        "-v", "error", "-i", f"file:{path}", "-map", "0:v?", "-map", "0:a?", "-f", "null", "-"
    )
    return [line for line in said.stderr.splitlines() if line.strip()]


def ssim(source: Path, result: Path, after: Look) -> float | None:
    """SSIM of the result's frames to the source's, aligned by time and made whole where they are
    marked as interlaced."""
    rate = f"fps={after.fps:g}" if after.fps else "null"
    even = f"settb=AVTB,setpts=PTS-STARTPTS,{rate},scale={after.width}:{after.height}:flags=bicubic"
    whole = "bwdif=mode=send_frame:deint=interlaced"
    graph = f"[0:v:0]{even},format=yuv420p[a];[1:v:0]{whole},{even},format=yuv420p[b];[a][b]ssim"
    longest = ("-t", str(LONGEST_S))
    said = _run(
        *(*longest, "-i", f"file:{result}", *longest, "-i", f"file:{source}"),
        *("-lavfi", graph, "-f", "null", "-"),
    ).stderr
    _, found, tail = said.rpartition("All:")
    return float(tail.split()[0]) if found else None


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [FFMPEG, "-hide_banner", "-nostdin", "-nostats", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, timeout=900
    )
