"""What a limit of size leaves for the picture, and the plan that keeps to it."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.bitrate import MIN_BITRATE_BPS, least_bps
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.picture import SHORT_SIDE_FLOOR_PX
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.sound import sound_bps
from chalicelib.domain.text import human_size, rate_words
from chalicelib.domain.workflow import Workflow

#: Of a size that may not be passed, the share that is aimed at.
CAP_AIM = 0.98


def within(plan: Plan, facts: MediaFacts, workflow: Workflow) -> Plan:
    """The plan under the workflow's limit of size, where arithmetic alone says something of it.

    What a search finds out is decided after it.
    """
    limit = workflow.max_output_bytes
    room_bps = picture_room_bps(plan, facts, limit)
    if limit is None or room_bps is None:
        return plan
    if room_bps < least_bps(plan, facts):
        return cannot_fit(plan, facts, limit)
    can_pass = facts.size_bytes > limit and room_bps < (plan.max_bitrate_bps or 0)
    if plan.route is Route.SEARCH or not can_pass:
        return plan
    return limited(plan, room_bps, limit)


def limited(plan: Plan, room_bps: float, limit_bytes: int) -> Plan:
    """The plan with an average bitrate that keeps the file within a size.

    Only two passes can promise an average.
    Source: MaxAverageBitrate in H264QvbrSettings; AV1 has none, so its cap is lowered instead.
    """
    average = max(MIN_BITRATE_BPS, int(room_bps))
    why = f"On average at most {rate_words(average)}, so that it fits in {human_size(limit_bytes)}."
    reasons = (*plan.reasons, why)
    if plan.codec == "AV1":
        return replace(plan, max_bitrate_bps=average, bitrate_ceiling_bps=average, reasons=reasons)
    cap = max(plan.max_bitrate_bps or average, average)
    return replace(
        plan,
        max_average_bps=average,
        max_bitrate_bps=cap,
        tuning="MULTI_PASS_HQ",
        reasons=reasons,
    )


def picture_room_bps(plan: Plan, facts: MediaFacts, limit_bytes: int | None) -> float | None:
    """What a limit of size leaves for the picture; None where there is no limit or no length."""
    duration_s = facts.picture_s
    if limit_bytes is None or duration_s is None:
        return None
    return CAP_AIM * limit_bytes * 8 / duration_s - sound_bps(plan, facts)


def kept_too_large(facts: MediaFacts, limit_bytes: int | None) -> str:
    """What to add where an original is kept that is larger than the workflow allows."""
    if limit_bytes is None or facts.size_bytes <= limit_bytes:
        return ""
    return (
        f" At {human_size(facts.size_bytes)} it stays above the {human_size(limit_bytes)} this "
        "workflow allows."
    )


def cannot_fit(plan: Plan, facts: MediaFacts, limit_bytes: int, needed: int | None = None) -> Plan:
    """The plan for a film that no setting brings under the workflow's limit of size."""
    lines = min(SHORT_SIDE_FLOOR_PX, plan.width or 0, plan.height or 0)
    about = f" It needs about {human_size(needed)}." if needed else ""
    reason = (
        f"The video cannot be brought under {human_size(limit_bytes)}, not even at {lines} lines "
        f"and the lowest quality worth having.{about}"
    )
    fits = facts.size_bytes <= limit_bytes
    route = Route.KEEP if fits else Route.REJECT
    what = "" if fits else " Cut it into parts, or raise the workflow's limit."
    return Plan(route=route, preset=plan.preset, reasons=(reason + what,), search=plan.search)
