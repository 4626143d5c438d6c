"""What the samples lead to: a level for the whole film, or the original, before money is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chalicelib.domain import dial
from chalicelib.domain.attempts import at_level
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.ordinary import shown
from chalicelib.domain.picture import SHORT_SIDE_FLOOR_PX, even
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.prediction import at_level as predicted_at
from chalicelib.domain.prediction import best_promise, chosen, curves
from chalicelib.domain.search import Point, Search, Target
from chalicelib.domain.size_limit import cannot_fit, kept_too_large, limited, picture_room_bps
from chalicelib.domain.sound import sound_bps
from chalicelib.domain.text import human_size, percent
from chalicelib.domain.workflow import Workflow

#: A limit of size may cost this much quality, and no more: what `compression` calls good enough,
#: and what VMAF's scale calls good (chalicelib/data/presets.toml).
LIMIT_FLOORS = {
    "SSIM": Target(metric="SSIM", mean=0.85, worst=0.70),
    "VMAF": Target(metric="VMAF", mean=60.0, worst=40.0),
}
#: A result predicted this near to the limit is held below it by an average bitrate.
NEAR_LIMIT = 0.9
#: How bitrate falls with the number of pixels at the same level.
#: Source: Ben Waggoner's rule of thumb, "Compression for Great Video and Audio".
PIXELS_POWER = 0.75


def decide(plan: Plan, points: Sequence[Point], facts: MediaFacts, workflow: Workflow) -> Plan:
    """The plan once its samples were encoded: encode at the level found, or keep the original.

    Without points the search failed, and the film is encoded at the preset's own level.
    """
    duration_s = facts.picture_s
    assert plan.search is not None and duration_s is not None
    if not points:
        level = dial.label(plan.qvbr_level or 0)
        why = f"The samples could not be used, so the preset's own QVBR level, {level}, is taken."
        return replace(plan, route=Route.ENCODE, reasons=(plan.reasons[0], why, *plan.reasons[2:]))
    search = replace(plan.search, points=tuple(points))
    plan = replace(plan, search=search)
    other_bytes = _other_bytes(plan, facts, duration_s)
    found = chosen(search, plan.target, duration_s=duration_s, other_bytes=other_bytes)
    if found is None:
        return _hopeless(plan, search, kept_too_large(facts, workflow.max_output_bytes))
    encode = _at(plan, found)
    if workflow.max_output_bytes is not None:
        encode = _under_limit(encode, facts, workflow.max_output_bytes, duration_s, other_bytes)
    return _if_it_pays(encode, facts, workflow)


def _at(plan: Plan, found: Search) -> Plan:
    assert found.level is not None
    encode = replace(at_level(plan, found.level), route=Route.ENCODE, search=found)
    return replace(encode, reasons=(found_words(found), *plan.reasons[:1], *plan.reasons[2:]))


def found_words(search: Search) -> str:
    """What was found, in a sentence."""
    assert search.level is not None and search.predicted_mean is not None
    return (
        f"Setting found by search: QVBR level {dial.label(search.level)}, predicted "
        f"{search.metric} {shown(search.predicted_mean, search.metric)} and "
        f"{human_size(search.predicted_bytes or 0)}."
    )


def _hopeless(plan: Plan, search: Search, besides: str) -> Plan:
    mean, worst = best_promise(search)
    target = plan.target
    missed, floor, where = mean, target.mean, "on average"
    if mean >= target.mean and target.worst is not None:
        missed, floor, where = worst, target.worst, "in the worst 1 % of frames"
    reason = (
        f"Samples show that no setting would look good enough: at best {search.metric} "
        f"{shown(missed, search.metric)} {where}, below {shown(floor, search.metric)}."
        f"{besides}"
    )
    return replace(plan, route=Route.KEEP, reasons=(reason,))


def _if_it_pays(plan: Plan, facts: MediaFacts, workflow: Workflow) -> Plan:
    """Keep the original where the prediction says that encoding it would not pay."""
    if plan.route is not Route.ENCODE or plan.search is None:
        return plan
    predicted_bytes = plan.search.predicted_bytes or 0
    saved = 1 - predicted_bytes / facts.size_bytes
    over_limit = (
        workflow.max_output_bytes is not None and facts.size_bytes > workflow.max_output_bytes
    )
    if 100 * saved >= workflow.min_savings_percent or over_limit:
        return plan
    would = (
        f"would have saved only {percent(saved)}"
        if saved > 0
        else f"would have made it {percent(-saved)} bigger"
    )
    reason = (
        f"Samples show that compressing {would}; {workflow.min_savings_percent:g} % "
        "make it worth while."
    )
    return replace(plan, route=Route.KEEP, reasons=(reason,))


def _other_bytes(plan: Plan, facts: MediaFacts, duration_s: float) -> int:
    """Sound. What the container adds to the picture is in the samples, too."""
    return round(sound_bps(plan, facts) * duration_s / 8)


# A limit of size


def _under_limit(
    plan: Plan, facts: MediaFacts, limit_bytes: int, duration_s: float, other_bytes: int
) -> Plan:
    """The highest quality that fits: a lower level, then a smaller picture, else nothing."""
    assert plan.search is not None
    room_bps = picture_room_bps(plan, facts, limit_bytes)
    assert room_bps is not None
    predicted_bytes = plan.search.predicted_bytes or 0
    if predicted_bytes <= NEAR_LIMIT * limit_bytes:
        return plan
    if predicted_bytes <= limit_bytes:
        return limited(plan, room_bps, limit_bytes)
    smaller = 1.0
    for short_side in _ladder(plan):
        smaller = _shrink(plan, short_side)
        level = _highest_that_fits(plan.search, room_bps, smaller)
        if level is not None:
            found = predicted_at(plan.search, level, duration_s=duration_s, other_bytes=other_bytes)
            return _lowered(plan, found, short_side, room_bps, limit_bytes)
    least_bps = curves(plan.search.metric, plan.search.points).bps_at(dial.LOWEST)
    needed = round(least_bps * smaller * duration_s / 8) + other_bytes
    return replace(cannot_fit(plan, facts, limit_bytes, needed), search=plan.search)


def _ladder(plan: Plan) -> list[int]:
    """Short sides to try: as it is, then 1080 and 720 where they are smaller."""
    assert plan.width and plan.height
    own = min(plan.width, plan.height)
    return [own, *(side for side in (1080, SHORT_SIDE_FLOOR_PX) if side < own)]


def _shrink(plan: Plan, short_side: int) -> float:
    """By what the bitrate shrinks with the picture."""
    assert plan.width and plan.height
    return float((short_side / min(plan.width, plan.height)) ** (2 * PIXELS_POWER))


def _highest_that_fits(search: Search, room_bps: float, smaller: float) -> float | None:
    """The highest level that fits and keeps the least quality worth having; None without one."""
    found = curves(search.metric, search.points)
    fitting = [level for level in dial.LEVELS if found.bps_at(level) * smaller <= room_bps]
    floor = LIMIT_FLOORS[search.metric]
    good = [level for level in fitting if found.gap_db(floor, level) >= 0]
    return min(max(good), search.level or dial.HIGHEST) if good else None


def _lowered(plan: Plan, found: Search, short_side: int, room_bps: float, limit_bytes: int) -> Plan:
    assert plan.width and plan.height and found.level is not None
    factor = short_side / min(plan.width, plan.height)
    width, height = even(plan.width * factor), even(plan.height * factor)
    shrunk = factor < 1
    predicted = min(found.predicted_bytes or 0, limit_bytes)
    encode = replace(
        at_level(plan, found.level),
        width=width,
        height=height,
        scaled=plan.scaled or shrunk,
        **_lowered_floors(plan),
        search=replace(found, predicted_bytes=predicted),
        reasons=(
            found_words(replace(found, predicted_bytes=predicted)),
            f"The preset's quality would not fit in {human_size(limit_bytes)}; this is the best "
            "that does.",
            *plan.reasons[1:],
        ),
    )
    if shrunk:
        why = f"The picture goes from {plan.width}x{plan.height} to {width}x{height}, to fit."
        encode = replace(encode, losses=(*plan.losses, why))
    return limited(encode, room_bps, limit_bytes)


def _lowered_floors(plan: Plan) -> dict[str, Any]:
    """What a result under a limit of size must still reach, in both metrics."""
    ssim, vmaf = LIMIT_FLOORS["SSIM"], LIMIT_FLOORS["VMAF"]
    floors = {
        "ssim_floor": (plan.ssim_floor, ssim.mean),
        "ssim_worst_floor": (plan.ssim_worst_floor, ssim.worst),
        "vmaf_floor": (plan.vmaf_floor, vmaf.mean),
        "vmaf_worst_floor": (plan.vmaf_worst_floor, vmaf.worst),
    }
    return {
        name: min(asked, least)
        for name, (asked, least) in floors.items()
        if asked is not None and least is not None
    }
