"""The plan of the next attempt, from what was measured of the last one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from chalicelib.domain import dial
from chalicelib.domain.bitrate import MAX_BITRATE_BPS
from chalicelib.domain.measurement import QualityScore
from chalicelib.domain.plan import Plan
from chalicelib.domain.prediction import Curves, curves, typical
from chalicelib.domain.search import Target
from chalicelib.domain.size_limit import limited

#: By how much a level may bind less when it is raised by one.
CAP_STEP = 1.5
#: What a result above its limit of size is aimed at next, of the limit.
TIGHTER = 0.96


def aimed_higher(plan: Plan, score: QualityScore | None, why: str) -> Plan | None:
    """The plan for another try at a target that was missed; None where no level is higher.

    The level is the lowest that promises the target on the film's curve, or on that of ordinary
    films, moved to go through what was measured.
    """
    target, level = plan.then or plan.target, plan.qvbr_level
    higher = None if level is None else _corrected(plan, level, score, target)
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


def _corrected(
    plan: Plan, level: float, score: QualityScore | None, target: Target
) -> float | None:
    if level >= dial.HIGHEST:
        return None
    if score is None:
        return dial.above(level, by=1.0) or dial.HIGHEST
    found = _curves(plan, level, score)
    return found.lowest(target, above=level) or dial.HIGHEST


def _curves(plan: Plan, level: float, score: QualityScore) -> Curves:
    mean, worst = score.ssim_mean, score.ssim_worst_1_percent
    if plan.search is None or not plan.search.points:
        return typical("SSIM", level, mean, worst)
    return curves("SSIM", plan.search.points).shifted(level, mean, worst)
