"""What an encode costs and what a smaller file is worth, from a dated price table.

All figures are estimates in US dollars; the table says where its numbers come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from chalicelib.domain.media import MediaFacts
from chalicelib.domain.plan import Cost, Plan, Route
from chalicelib.domain.search import Search

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """`chalicelib/data/prices.toml`, parsed."""

    as_of: str
    sd_basic_per_minute: float
    hd_multiplier: float
    uhd_multiplier: float
    fps_60_multiplier: float
    fps_120_multiplier: float
    pro_multiplier: float
    hevc_multiplier: float
    av1_multiplier: float
    minimum_seconds: float
    standard_per_gib_month: float


def prices(data: Mapping[str, Any]) -> Prices:
    """The price table from the parsed data file."""
    return Prices(as_of=data["as_of"], **data["mediaconvert"], **data["s3"])


def encode_cost_usd(plan: Plan, facts: MediaFacts, prices: Prices) -> float:
    """What one attempt of this plan costs: minutes x size x frame rate x tier.

    Source of the bands: https://docs.aws.amazon.com/mediaconvert/latest/ug/usage-report-understand.html
    (SD below 720, HD to 1080, 4K above; up to 30, 60 and 120 frames per second).
    """
    video = facts.video
    if video is None or plan.width is None or plan.height is None:
        return 0.0
    seconds = max(video.duration_s or facts.duration_s or 0.0, prices.minimum_seconds)
    return seconds / 60 * _usd_per_minute(plan, facts, prices)


def search_cost_usd(plan: Plan, facts: MediaFacts, prices: Prices) -> float:
    """What the samples cost: one output per level, each billed for `minimum_seconds` at least."""
    search = plan.search
    if search is None or facts.video is None or plan.width is None or plan.height is None:
        return 0.0
    seconds = max(search.sampled_s, prices.minimum_seconds) * len(search.levels)
    return seconds / 60 * _usd_per_minute(plan, facts, prices)


def attempt_cost_usd(plan: Plan, facts: MediaFacts, prices: Prices) -> float:
    """What MediaConvert charges when the attempt that this plan begins completes."""
    if plan.route is Route.SEARCH:
        return search_cost_usd(plan, facts, prices)
    return encode_cost_usd(plan, facts, prices) if plan.route is Route.ENCODE else 0.0


def estimated(plan: Plan, facts: MediaFacts, prices: Prices) -> Plan:
    """The plan with what it costs and, once a size is predicted, when storage has paid for it."""
    if plan.route not in (Route.SEARCH, Route.ENCODE):
        return plan
    search_usd = search_cost_usd(plan, facts, prices)
    encode_usd = encode_cost_usd(plan, facts, prices)
    predicted_bytes = _predicted_bytes(plan.search)
    months = None
    if predicted_bytes is not None:
        saved_bytes = facts.size_bytes - predicted_bytes
        months = months_to_pay_back(search_usd + encode_usd, saved_bytes, prices)
    cost = Cost(
        tier="professional" if plan.professional_tier else "basic",
        search_usd=round(search_usd, 6),
        encode_usd=round(encode_usd, 6),
        months=None if months is None else round(months, 1),
    )
    return replace(plan, cost=cost)


def _predicted_bytes(search: Search | None) -> int | None:
    return search.predicted_bytes if search is not None else None


def _usd_per_minute(plan: Plan, facts: MediaFacts, prices: Prices) -> float:
    assert facts.video is not None and plan.width is not None and plan.height is not None
    usd = prices.sd_basic_per_minute
    short = min(plan.width, plan.height)
    usd *= prices.uhd_multiplier if short > 1080 else prices.hd_multiplier if short >= 720 else 1
    rate = float(Fraction(plan.frame_rate)) if plan.frame_rate else facts.video.frame_rate or 30
    usd *= prices.fps_120_multiplier if rate > 60 else prices.fps_60_multiplier if rate > 30 else 1
    codecs = {"H_265": prices.hevc_multiplier, "AV1": prices.av1_multiplier}
    return (
        usd * codecs.get(plan.codec, 1) * (prices.pro_multiplier if plan.professional_tier else 1)
    )


def storage_usd_per_month(size_bytes: int, prices: Prices) -> float:
    """What S3 Standard charges for so many bytes in a month."""
    return size_bytes / GIB * prices.standard_per_gib_month


def months_to_pay_back(cost_usd: float, saved_bytes: int, prices: Prices) -> float | None:
    """Months until the saved storage has paid for the encode; None when nothing is saved."""
    saving = storage_usd_per_month(saved_bytes, prices)
    return cost_usd / saving if saving > 0 else None
