"""Presets: encoding intent as data. They live in `chalicelib/data/presets.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.domain.codec import from_plain
from chalicelib.domain.search import Target

#: What a target may be measured in.
METRICS = ("SSIM", "VMAF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a rendition should be like; the data file explains every field."""

    name: str
    about: str
    ssim_floor: float
    ssim_worst_floor: float
    qvbr_level: float
    max_bitrate_1080p30_bps: int
    metric: str = "SSIM"
    vmaf_floor: float | None = None
    vmaf_worst_floor: float | None = None
    codec: str = "H_264"
    search: bool = True
    tuning: str | None = None
    max_bitrate_fixed: bool = False
    max_short_side_px: int | None = None
    then: Target | None = None

    @property
    def target(self) -> Target:
        """What the search aims at."""
        if self.metric == "VMAF":
            assert self.vmaf_floor is not None
            return Target(metric="VMAF", mean=self.vmaf_floor, worst=self.vmaf_worst_floor)
        return Target(metric="SSIM", mean=self.ssim_floor, worst=self.ssim_worst_floor)


def presets(data: Mapping[str, Any]) -> dict[str, Preset]:
    """The presets in the parsed data file, by name.

    Raises:
        KeyError: a field is missing, or `then` names no preset.
        ValueError: `metric` is none of `METRICS`, or has no floor.
    """
    plain = {name: {**fields, "name": name, "then": None} for name, fields in data.items()}
    made = {name: from_plain(Preset, fields) for name, fields in plain.items()}
    for preset in made.values():
        if preset.metric not in METRICS:
            raise ValueError(f"preset {preset.name}: metric is one of {', '.join(METRICS)}")
        if preset.metric == "VMAF" and preset.vmaf_floor is None:
            raise ValueError(f"preset {preset.name}: a VMAF target needs vmaf_floor")
    after = {name: made[fields["then"]].target for name, fields in data.items() if "then" in fields}
    return {name: replace(preset, then=after.get(name)) for name, preset in made.items()}
