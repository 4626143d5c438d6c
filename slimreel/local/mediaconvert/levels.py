"""What an explicit H.264 level allows at submit time: frame size and bitrate.

Source: ITU-T H.264 table A-1 (MaxFS in macroblocks, MaxBR in kbit/s) and table A-2 (the factor per
profile). The service was seen to answer with exactly these numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from slimreel.local.mediaconvert.validate import Violation

_MAX_FS = {
    "LEVEL_1": 99, "LEVEL_1_1": 396, "LEVEL_1_2": 396, "LEVEL_1_3": 396, "LEVEL_2": 396,
    "LEVEL_2_1": 792, "LEVEL_2_2": 1620, "LEVEL_3": 1620, "LEVEL_3_1": 3600, "LEVEL_3_2": 5120,
    "LEVEL_4": 8192, "LEVEL_4_1": 8192, "LEVEL_4_2": 8704, "LEVEL_5": 22080, "LEVEL_5_1": 36864,
    "LEVEL_5_2": 36864,
}  # fmt: skip
_MAX_BR = {
    "LEVEL_1": 64, "LEVEL_1_1": 192, "LEVEL_1_2": 384, "LEVEL_1_3": 768, "LEVEL_2": 2000,
    "LEVEL_2_1": 4000, "LEVEL_2_2": 4000, "LEVEL_3": 10000, "LEVEL_3_1": 14000,
    "LEVEL_3_2": 20000, "LEVEL_4": 20000, "LEVEL_4_1": 50000, "LEVEL_4_2": 50000,
    "LEVEL_5": 135000, "LEVEL_5_1": 240000, "LEVEL_5_2": 240000,
}  # fmt: skip
_FACTOR = {
    "BASELINE": 1200, "MAIN": 1200, "HIGH": 1500, "HIGH_10BIT": 3600, "HIGH_422": 4800,
    "HIGH_422_10BIT": 4800,
}  # fmt: skip


def check(description: dict[str, Any], pointer: str) -> Iterator[Violation]:
    """Broken bounds of one video description with an explicit `codecLevel`."""
    settings = description.get("codecSettings", {}).get("h264Settings", {})
    level = settings.get("codecLevel", "AUTO")
    if level not in _MAX_FS:
        return
    most = _MAX_BR[level] * _FACTOR.get(settings.get("codecProfile", "HIGH"), 1500)
    for name in ("bitrate", "maxBitrate"):
        if settings.get(name, 0) > most:
            yield _too_much(f"{pointer}/codecSettings/h264Settings/{name}", most)
    yield from _size(description, _MAX_FS[level], pointer)


def _size(description: dict[str, Any], max_fs: int, pointer: str) -> Iterator[Violation]:
    width, height = description.get("width"), description.get("height")
    longest = math.isqrt(8 * max_fs) * 16
    if width and width > longest:
        yield _too_much(f"{pointer}/width", longest)
    elif width and height:
        widest = max_fs // math.ceil(height / 16) * 16
        if width > widest:
            yield _too_much(f"{pointer}/width", widest)
    if height and height > longest:
        yield _too_much(f"{pointer}/height", longest)


def _too_much(pointer: str, most: int) -> Violation:
    return Violation(pointer=pointer, rule=f"Should be less than or equal to {most}")
