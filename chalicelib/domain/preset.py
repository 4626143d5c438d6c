"""Presets: encoding intent as data. They live in `chalicelib/data/presets.toml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.domain.codec import from_plain
from chalicelib.domain.search import Target

#: What a target may be measured in.
METRICS = ("SSIM", "VMAF")
#: What becomes of HDR films: they stay HDR, become SDR, or are left alone.
HDR = ("carry", "tone_map", "keep")
#: What a film may lose that a preset can name; the data file explains them.
KINDS = (
    *("subtitles", "chapters", "timecode", "attachments", "data", "tags", "hdr", "depth", "chroma"),
    *("fields", "size", "sound"),
)
#: What becomes of interlaced films.
INTERLACED = ("deinterlace", "keep")


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
    hdr: str = "keep"
    interlaced: str = "deinterlace"
    keep_if_lost: tuple[str, ...] = ()
    better: str | None = None
    smaller: str | None = None

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
        KeyError: a field is missing, or `then`, `better` or `smaller` names no preset.
        ValueError: a field has a value that it cannot have.
    """
    plain = {name: {**fields, "name": name, "then": None} for name, fields in data.items()}
    made = {name: from_plain(Preset, fields) for name, fields in plain.items()}
    for preset in made.values():
        for problem in _problems(preset):
            raise ValueError(f"preset {preset.name}: {problem}")
        if unknown := {preset.better, preset.smaller} - {None, *made}:
            raise KeyError(f"preset {preset.name}: no preset {sorted(map(str, unknown))}")
    after = {name: made[fields["then"]].target for name, fields in data.items() if "then" in fields}
    return {name: replace(preset, then=after.get(name)) for name, preset in made.items()}


def _problems(preset: Preset) -> Iterator[str]:
    for field, known in (("metric", METRICS), ("hdr", HDR), ("interlaced", INTERLACED)):
        if getattr(preset, field) not in known:
            yield f"{field} is one of {', '.join(known)}"
    if preset.metric == "VMAF" and preset.vmaf_floor is None:
        yield "a VMAF target needs vmaf_floor"
    if preset.hdr == "carry" and preset.codec != "H_265":
        yield "only H_265 carries HDR"
    if preset.hdr == "tone_map" and preset.metric != "SSIM":
        yield "films that are tone-mapped are searched by SSIM only"
    if unknown := [kind for kind in preset.keep_if_lost if kind not in KINDS]:
        yield f"keep_if_lost knows {', '.join(KINDS)}, not {', '.join(unknown)}"
