"""Presets: encoding intent as data. They live in `chalicelib/data/presets.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.codec import from_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a rendition should be like; the data file explains every field."""

    name: str
    about: str
    ssim_floor: float
    ssim_worst_floor: float
    qvbr_level: int
    max_bitrate_1080p30_bps: int
    tuning: str
    max_bitrate_fixed: bool = False
    max_short_side_px: int | None = None


def presets(data: Mapping[str, Any]) -> dict[str, Preset]:
    """The presets in the parsed data file, by name."""
    return {name: from_plain(Preset, {"name": name, **fields}) for name, fields in data.items()}
