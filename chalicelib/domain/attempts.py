"""The plan of the next attempt, from what was measured of the last one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from chalicelib.domain import dial
from chalicelib.domain.bitrate import MAX_BITRATE_BPS
from chalicelib.domain.floors import floors, missed, scene_floor
from chalicelib.domain.measurement import Measurement
from chalicelib.domain.plan import Plan
from chalicelib.domain.prediction import Curves, curves, typical
from chalicelib.domain.score import QualityScore
from chalicelib.domain.search import Target
from chalicelib.domain.size_limit import limited

#: By how much a level may bind less when it is raised by one.
CAP_STEP = 1.5
#: What a result above its limit of size is aimed at next, of the limit.
TIGHTER = 0.96


def aimed_higher(plan: Plan, measurement: Measurement | None, why: str) -> Plan | None:
    """The plan for another try at floors that were missed; None where no level is higher.

    The level is the lowest that promises them all on the film's curve, or on that of ordinary
    films, moved to go through what was measured.
    """
    level = plan.qvbr_level
    higher = None if level is None else _corrected(plan, level, measurement)
    if higher is None or level is None:
        return None
    return replace(
        at_level(plan, higher),
        then=None,
        best_effort=plan.best_effort or plan.then is not None,
        reasons=(f"QVBR level {dial.label(higher)}: {why}.",),
    )


def at_level(plan: Plan, level: float) -> Plan:
    """The plan at another level, its bitrate cap moved along within what the source has."""
    ceiling = plan.bitrate_ceiling_bps or MAX_BITRATE_BPS
    steps = max(0.0, level - (plan.qvbr_level or level))
    cap = min(int((plan.max_bitrate_bps or MAX_BITRATE_BPS) * CAP_STEP**steps), ceiling)
    return replace(plan, qvbr_level=level, max_bitrate_bps=cap)


def tightened(plan: Plan, result_bps: float, size_bytes: int, limit_bytes: int) -> Plan:
    """The plan for another try at a limit of size that was passed.

    Args:
        result_bps: of the whole file that was too large; `size_bytes` is its size.
    """
    was_bps = plan.max_average_bps or result_bps
    return limited(plan, was_bps * TIGHTER * limit_bytes / size_bytes, limit_bytes)


def at_rate(plan: Plan, frame_rate: str, why: str) -> Plan:
    """The plan for the next attempt, with so many frames a second."""
    rate = f"{round(float(Fraction(frame_rate)), 2):g} frames a second"
    return replace(plan, frame_rate=frame_rate, reasons=(f"{rate}, or else {why}.",))


def _corrected(plan: Plan, level: float, measurement: Measurement | None) -> float | None:
    if level >= dial.HIGHEST:
        return None
    if measurement is None:
        return dial.above(level, by=1.0) or dial.HIGHEST
    levels = []
    for target in _targets(plan, measurement):
        score = measurement.scored(target.metric)
        if score is None:
            levels.append(dial.above(level, by=1.0))
        else:
            found = _curves(plan, target.metric, level, score.mean, score.worst_1_percent)
            levels.append(found.lowest(target, above=level))
            levels.append(_for_the_scene(plan, target, level, score))
    return max(higher or dial.HIGHEST for higher in levels)


def _targets(plan: Plan, measurement: Measurement) -> tuple[Target, ...]:
    """What to aim at: the plan's target, and whatever else was missed."""
    first = plan.then or plan.target
    others = (target for target in floors(plan) if target.metric != first.metric)
    scores = ((target, measurement.scored(target.metric)) for target in others)
    return first, *(target for target, score in scores if score and missed(target, score))


def _for_the_scene(plan: Plan, target: Target, level: float, score: QualityScore) -> float | None:
    """The same level for the worst second: the lower curve is taken through it."""
    aim = replace(target, worst=scene_floor(target))
    found = _curves(plan, target.metric, level, score.mean, score.worst_second)
    return found.lowest(aim, above=level)


def _curves(plan: Plan, metric: str, level: float, mean: float, worst: float) -> Curves:
    searched = plan.search
    if searched is None or not searched.points or searched.metric != metric:
        return typical(metric, level, mean, worst)
    return curves(metric, searched.points).shifted(level, mean, worst)
