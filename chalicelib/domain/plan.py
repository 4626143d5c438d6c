"""The plan: what will be done with a video, decided before any money is spent, and why.

`planner.make_plan` makes it; the encoder settings, the record, the email and a dry run all come
from this one value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.material import Handling
from chalicelib.domain.search import Search, Target


class Route(StrEnum):
    #: Encode samples first, to find the setting.
    SEARCH = "search"
    ENCODE = "encode"
    KEEP = "keep"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPlan:
    """What happens to one audio track. A bitrate means AAC at that rate, None means untouched."""

    track: int
    language: str | None = None
    coding_mode: str | None = None
    bitrate_bps: int | None = None
    sample_rate_hz: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An estimate in US dollars, from a dated price table.

    Attributes:
        search_usd, encode_usd: of all samples; of one encode of the whole film.
        months: until the storage that is saved has paid for both; None where nobody can tell yet.
    """

    tier: str
    search_usd: float
    encode_usd: float
    months: float | None = None

    @property
    def usd(self) -> float:
        return self.search_usd + self.encode_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done and why. `reasons` are sentences, the most important first.

    `bitrate_ceiling_bps` bounds `max_bitrate_bps` in every further attempt: what the source has,
    or a cap that the preset fixes. `frame_rate` ("60/1") is set where the source's varies, or where
    the encoder's own choice for such a rate lost pictures. `handling` is what is done to the
    picture beside compressing it. `aim` is the search's target where the floors of the check say
    something else, as for a film that is tone-mapped. `max_average_bps` bounds the picture's
    average bitrate where the workflow bounds the file. `then` is what the next attempt aims for
    where the check fails; `best_effort` says that the better of the attempts is published even so.
    """

    route: Route
    preset: str
    reasons: tuple[str, ...]
    losses: tuple[str, ...] = ()
    codec: str = "H_264"
    qvbr_level: float | None = None
    max_bitrate_bps: int | None = None
    bitrate_ceiling_bps: int | None = None
    max_average_bps: int | None = None
    tuning: str | None = None
    width: int | None = None
    height: int | None = None
    scaled: bool = False
    ssim_floor: float | None = None
    ssim_worst_floor: float | None = None
    metric: str = "SSIM"
    vmaf_floor: float | None = None
    vmaf_worst_floor: float | None = None
    then: Target | None = None
    best_effort: bool = False
    audio: tuple[AudioPlan, ...] = ()
    rotate: bool = False
    frame_rate: str | None = None
    aim: Target | None = None
    handling: Handling = Handling()  # noqa: RUF009 - frozen, so sharing it is harmless
    search: Search | None = None
    cost: Cost | None = None

    @property
    def professional_tier(self) -> bool:
        """Source: MULTI_PASS_HQ is billed as professional (H264Settings in the API reference), and
        so are the codecs that the basic tier does not list.
        """
        return self.tuning == "MULTI_PASS_HQ" or self.codec != "H_264"

    @property
    def target(self) -> Target:
        """What the search aims at, in `metric`; the floors of the other metric are checks only."""
        if self.aim is not None:
            return self.aim
        if self.metric == "VMAF":
            return Target(metric="VMAF", mean=self.vmaf_floor or 0.0, worst=self.vmaf_worst_floor)
        return Target(metric="SSIM", mean=self.ssim_floor or 0.0, worst=self.ssim_worst_floor)
