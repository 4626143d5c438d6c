"""HandBrake's presets, which people would otherwise pick, on the same clip without its sound."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from bench.rating.encodes import interpolated, timed
from bench.rating.shelf import Shelf
from chalicelib.domain.ordinary import to_db

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
    cpu_s: float
    equal_bytes: float | None


def is_there() -> bool:
    return shutil.which("HandBrakeCLI") is not None


def version() -> str:
    said = subprocess.run(["HandBrakeCLI", "--version"], capture_output=True, text=True, check=True)
    return next(line for line in said.stdout.splitlines() if line.startswith("HandBrake"))


def pick(preset: str, shelf: Shelf, *, metric: str, target: float) -> Picked:
    """Encode with a preset, then at other qualities until some lie on both sides of the target.

    Cropping is off: HandBrake would cut black bars away, and the pictures could not be compared.
    """
    quality = PRESETS[preset]
    own = _encode(preset, quality, shelf)
    reached = shelf.score(own.name, metric)
    found: list[tuple[float, float]] = [(reached, own.size_bytes)]
    picked = Picked(size_bytes=own.size_bytes, score=reached, cpu_s=own.cpu_s, equal_bytes=None)
    for _ in range(TRIES):
        gap = (to_db(reached, metric) - to_db(target, metric)) / DB_A_STEP
        quality = min(max(round(quality + gap + (PAST if gap > 0 else -PAST), 1), 0.0), 51.0)
        other = _encode(preset, quality, shelf)
        reached = shelf.score(other.name, metric)
        found.append((reached, other.size_bytes))
        equal = interpolated(found, target, metric)
        if equal is not None:
            return replace(picked, equal_bytes=equal)
    return picked


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encode:
    name: str
    size_bytes: int
    cpu_s: float


def _encode(preset: str, quality: float, shelf: Shelf) -> _Encode:
    name = f"handbrake-{preset.split()[0]}-{round(10 * quality)}"

    def encode(film: Path) -> float:
        argv = [
            "HandBrakeCLI", "-i", str(shelf.clip), "-o", str(film), "--preset", preset,
            "-q", f"{quality:g}", "-a", "none", "-s", "none", "--crop-mode", "none",
        ]  # fmt: skip
        _, cpu_s = timed(
            lambda: subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        )
        return cpu_s

    return _Encode(name=name, **shelf.film(name, encode))
