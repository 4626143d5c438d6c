"""How good a result must be: the floors of a plan, and which of them a score misses."""

from __future__ import annotations

from chalicelib.domain.plan import Plan
from chalicelib.domain.score import QualityScore
from chalicelib.domain.search import Target
from chalicelib.domain.text import clock, rounded_down

#: How many digits of a score people get to read.
_DIGITS = {"SSIM": 3, "VMAF": 1}


def floors(plan: Plan) -> tuple[Target, ...]:
    """What the result must reach, the metric that is aimed at first; maybe nothing at all."""
    asked = {
        "VMAF": (plan.vmaf_floor, plan.vmaf_worst_floor),
        "SSIM": (plan.ssim_floor, plan.ssim_worst_floor),
    }
    return tuple(
        Target(metric=metric, mean=mean or 0.0, worst=worst)
        for metric, (mean, worst) in asked.items()
        if (mean, worst) != (None, None)
    )


def scene_floor(target: Target) -> float | None:
    """What the worst second must reach: a quarter of the way from the floor of the worst 1 % of
    frames to that of the average.

    Films with hard scenes stay above it where their average just meets its floor: of 12 public ones
    the worst second lay up to 0.065 below an average of 0.95 (docs/verification.md).

    A single odd frame, as in a cut or a flash, is 1/24 to 1/60 of a second's mean: it cannot miss
    this floor alone. A second that looks worse than the rest is seen, however long the film.
    """
    return None if target.worst is None else target.worst + (target.mean - target.worst) / 4


def missed(target: Target, score: QualityScore) -> tuple[str, ...]:
    """In sentences. NaN reaches no floor."""
    metric = target.metric
    scene = scene_floor(target)
    problems: list[str] = []
    if not score.mean >= target.mean:
        problems.append(
            f"likeness to the original (mean {metric}) is "
            f"{_figure(metric, score.mean)}, below {_floor(metric, target.mean)}"
        )
    if target.worst is not None and not score.worst_1_percent >= target.worst:
        problems.append(
            f"likeness in the worst 1 % of frames ({metric}) is "
            f"{_figure(metric, score.worst_1_percent)}, below {_floor(metric, target.worst)}"
        )
    if scene is not None and not score.worst_second >= scene:
        problems.append(
            f"likeness in the worst second, at {clock(score.worst_second_at_s)} ({metric}), is "
            f"{_figure(metric, score.worst_second)}, below {_floor(metric, scene)}"
        )
    return tuple(problems)


def _figure(metric: str, score: float) -> str:
    """Rounded down: a narrow miss must not read as a hit."""
    return rounded_down(score, _DIGITS[metric])


def _floor(metric: str, floor: float) -> str:
    return f"{floor:.{_DIGITS[metric]}f}"
