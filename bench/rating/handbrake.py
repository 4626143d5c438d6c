"""HandBrake's presets, which people would otherwise pick, on the same clip without its sound."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.rating.encodes import interpolated
from bench.rating.score import score, video_bytes
from chalicelib.domain.search import to_db

PRESETS = {"Fast 1080p30": 22.0, "HQ 1080p30 Surround": 18.0}
#: Encodes at other qualities, to find the bytes of an equal score between two of them.
TRIES = 3
#: What a step of x264's scale is worth, and how far past the target the next try aims.
DB_A_STEP, PAST = 0.5, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """What one preset gives as it is, and what it would need for the target.

    Attributes:
        equal_bytes: interpolated; None where its encodes do not lie around the target.
    """

    size_bytes: int
    score: float
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
    quality = PRESETS[preset]
    size_bytes, reached = own = _encode(preset, quality, clip, folder, metric)
    found: list[tuple[float, float]] = [(reached, size_bytes)]
    equal = None
    for _ in range(TRIES):
        gap = (to_db(reached, metric) - to_db(target, metric)) / DB_A_STEP
        quality = min(max(quality + gap + (PAST if gap > 0 else -PAST), 0.0), 51.0)
        size_bytes, reached = _encode(preset, quality, clip, folder, metric)
        found.append((reached, size_bytes))
        equal = interpolated(found, target, metric)
        if equal is not None:
            break
    return Picked(size_bytes=own[0], score=own[1], equal_bytes=equal)


def _encode(
    preset: str, quality: float, clip: Path, folder: Path, metric: str
) -> tuple[int, float]:
    target = folder / "handbrake.mp4"
    argv = [
        "HandBrakeCLI", "-i", str(clip), "-o", str(target), "--preset", preset,
        "-q", f"{quality:g}", "-a", "none", "-s", "none", "--crop-mode", "none",
    ]  # fmt: skip
    subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    made = video_bytes(target), score(target, clip, metric)
    target.unlink()
    return made
