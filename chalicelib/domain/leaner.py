"""A result that looks better than it has to: whether a leaner one is worth another encode.

Samples are a few seconds of a film, so one result in two is a step of the dial above the lowest
that would do, and some are more. Another encode at the level that the measurement points to mends
that, and costs as much as the first one did; what it saves is mostly some ten percent of the
storage. So it is done where it costs next to nothing, which is for short films, or where storage
pays for it within two years. An hour of HD at 3 Mbit/s costs 90 cents
and saves 135 MB by one step, 0.3 cents of storage a month: that is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.domain import dial
from chalicelib.domain.attempts import at_level
from chalicelib.domain.floors import floors, scene_floor
from chalicelib.domain.measurement import Measurement
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.money import Prices, encode_cost_usd, months_to_pay_back
from chalicelib.domain.ordinary import shown
from chalicelib.domain.plan import Plan
from chalicelib.domain.prediction import Curves, curves, typical
from chalicelib.domain.search import Target
from chalicelib.domain.sound import sound_bps
from chalicelib.domain.text import percent

#: Another encode that costs no more is always worth it: 80 s of HD in a single pass.
NEXT_TO_NOTHING_USD = 0.02
#: A dearer one must be paid for by storage within this time.
PAID_WITHIN_MONTHS = 24.0
#: What it must save of the picture: a step of the dial is 8 to 12 %.
LEAST_SHARE = 0.05
#: The curve goes through what was measured, so less can be off than before any encode.
MARGIN_DB = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What a result was measured to reach of something that was asked of it."""

    target: Target
    mean: float
    worst: float


def reached(plan: Plan, measurement: Measurement) -> tuple[Reached, ...]:
    """What was measured of everything that the plan asks for, what it aims at first.

    Nothing where something that it asks for was not measured.
    """
    found: list[Reached] = []
    for target in floors(plan):
        score = measurement.scored(target.metric)
        if score is None:
            return ()
        found.append(Reached(target=target, mean=score.mean, worst=score.worst_1_percent))
        scene = replace(target, worst=scene_floor(target))
        found.append(Reached(target=scene, mean=score.mean, worst=score.worst_second))
    return tuple(found)


def leaner(
    plan: Plan,
    reached: Sequence[Reached],
    facts: MediaFacts,
    prices: Prices,
    *,
    result_size_bytes: int,
) -> Plan | None:
    """The plan for another encode at a lower level; None where it would not be worth it.

    Args:
        reached: of everything that is asked of the result; all of it must be promised.
    """
    lower = _lower(plan, reached)
    if lower is None or plan.search is None or plan.qvbr_level is None:
        return None
    found = curves(plan.search.metric, plan.search.points)
    share = 1 - found.bps_at(lower) / found.bps_at(plan.qvbr_level)
    picture_bytes = result_size_bytes - sound_bps(plan, facts) * (facts.picture_s or 0.0) / 8
    if share < LEAST_SHARE or not _is_worth(plan, facts, prices, round(share * picture_bytes)):
        return None
    first = reached[0]
    why = (
        f"QVBR level {dial.label(lower)}: with {first.target.metric} "
        f"{shown(first.mean, first.target.metric)} the first result is better than it has to be, "
        f"and {percent(share)} fewer bytes promise enough."
    )
    return replace(at_level(plan, lower), then=None, reasons=(why,))


def _lower(plan: Plan, reached: Sequence[Reached]) -> float | None:
    """The lowest level that promises everything, where it is below the plan's."""
    level = plan.qvbr_level
    searched = plan.search is not None and plan.search.is_over and plan.max_average_bps is None
    if level is None or not searched or not reached:
        return None
    levels = [_curves(plan, level, one).lowest(one.target, margin_db=MARGIN_DB) for one in reached]
    promising = [found for found in levels if found is not None]
    if len(promising) < len(levels) or max(promising) >= level:
        return None
    return max(promising)


def _curves(plan: Plan, level: float, one: Reached) -> Curves:
    metric = one.target.metric
    if plan.search is None or plan.search.metric != metric:
        return typical(metric, level, one.mean, one.worst)
    return curves(metric, plan.search.points).shifted(level, one.mean, one.worst)


def _is_worth(plan: Plan, facts: MediaFacts, prices: Prices, saved_bytes: int) -> bool:
    cost_usd = encode_cost_usd(plan, facts, prices)
    if cost_usd <= NEXT_TO_NOTHING_USD:
        return saved_bytes > 0
    months = months_to_pay_back(cost_usd, saved_bytes, prices)
    return months is not None and months <= PAID_WITHIN_MONTHS
