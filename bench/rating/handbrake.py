"""HandBrake's presets, which people would otherwise pick, on the same clip without its sound."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.rating.encodes import interpolated
from bench.rating.score import Score, score, video_bytes

PRESETS = {"Fast 1080p30": 22.0, "HQ 1080p30 Surround": 18.0}
#: Qualities beside the preset's own, to find the bytes of an equal score between them.
STEPS = (0.0, 4.0, 8.0, -5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """What one preset gives as it is, and what it would need for the target.

    Attributes:
        equal_bytes: interpolated; None where its encodes do not lie around the target.
    """

    size_bytes: int
    score: Score
    equal_bytes: float | None


def is_there() -> bool:
    return shutil.which("HandBrakeCLI") is not None


def version() -> str:
    said = subprocess.run(["HandBrakeCLI", "--version"], capture_output=True, text=True, check=True)
    return next(line for line in said.stdout.splitlines() if line.startswith("HandBrake"))


def pick(preset: str, clip: Path, folder: Path, *, metric: str, target: float) -> Picked:
    """Encode with a preset, then at other qualities until some lie on both sides of the target.

    Cropping is off: HandBrake would cut black bars away, and the pictures could not be compared.
    """
    found: list[tuple[float, float]] = []
    own: tuple[int, Score] | None = None
    for step in STEPS:
        made = _encode(preset, PRESETS[preset] + step, clip, folder)
        own = own or made
        found.append((made[1].by(metric), made[0]))
        if interpolated(found, target, metric) is not None:
            break
    assert own is not None
    equal = interpolated(found, target, metric)
    return Picked(size_bytes=own[0], score=own[1], equal_bytes=equal)


def _encode(preset: str, quality: float, clip: Path, folder: Path) -> tuple[int, Score]:
    target = folder / "handbrake.mp4"
    argv = [
        "HandBrakeCLI", "-i", str(clip), "-o", str(target), "--preset", preset,
        "-q", f"{quality:g}", "-a", "none", "-s", "none", "--crop-mode", "none",
    ]  # fmt: skip
    subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    made = video_bytes(target), score(target, clip)
    target.unlink()
    return made
