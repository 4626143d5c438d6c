"""What a search predicts for every level, and which level it takes.

Between the levels that were tried lies a rising curve, drawn against what levels give on ordinary
films (`ordinary.py`): on that scale a film's own curve is nearly straight, so two levels are
enough, and what they save is spent on seeing more of the film.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.domain import dial
from chalicelib.domain.curve import Curve, rising
from chalicelib.domain.ordinary import from_db, to_db, typical_db, typical_log2
from chalicelib.domain.search import Point, Search, Target

#: The prediction must be this much above the target, or half of all results would miss it.
MARGIN_DB = 0.1
#: A target further than this above what the highest level promises is given up without an encode;
#: further still by so much for each level between that one and the highest that was tried.
HOPELESS_DB = {"SSIM": 1.0, "VMAF": 2.0}
HOPELESS_DB_A_LEVEL = 0.3


@dataclass(frozen=True, slots=True)
class Curves:
    """Scores and bitrate over the levels."""

    metric: str
    mean: Curve
    worst: Curve
    log2_bps: Curve
    mean_shift_db: float = 0.0
    worst_shift_db: float = 0.0

    def mean_at(self, level: float) -> float:
        return from_db(self._mean_db(level), self.metric)

    def worst_at(self, level: float) -> float:
        return from_db(self._worst_db(level), self.metric)

    def bps_at(self, level: float) -> float:
        return float(2 ** self.log2_bps.at(typical_log2(level)))

    def _mean_db(self, level: float) -> float:
        return self.mean.at(typical_db(level, self.metric)) + self.mean_shift_db

    def _worst_db(self, level: float) -> float:
        return self.worst.at(typical_db(level, self.metric)) + self.worst_shift_db

    def lowest(
        self, target: Target, *, above: float = 0.0, margin_db: float = MARGIN_DB
    ) -> float | None:
        """The lowest level whose prediction meets the target; None when there is none."""
        levels = (level for level in dial.LEVELS if level > above)
        return next((level for level in levels if self.gap_db(target, level) >= margin_db), None)

    def gap_db(self, target: Target, level: float) -> float:
        """By how much the prediction passes the target, in the tighter of mean and worst."""
        gap = self._mean_db(level) - to_db(target.mean, self.metric)
        if target.worst is None:
            return gap
        return min(gap, self._worst_db(level) - to_db(target.worst, self.metric))

    def shifted(self, level: float, mean: float, worst: float | None) -> Curves:
        """The same curves through what was measured of the whole result at one level."""
        mean_off = to_db(mean, self.metric) - self._mean_db(level)
        worst_off = 0.0
        if worst is not None:
            worst_off = to_db(worst, self.metric) - self._worst_db(level)
        return replace(
            self,
            mean_shift_db=self.mean_shift_db + mean_off,
            worst_shift_db=self.worst_shift_db + worst_off,
        )


def curves(metric: str, points: Sequence[Point]) -> Curves:
    """Rising curves through the points, however noisy.

    Raises:
        ValueError: no points.
    """
    places = [typical_db(p.level, metric) for p in points]
    means = [to_db(p.mean, metric) for p in points]
    worsts = [to_db(p.worst, metric) for p in points]
    rates = [(typical_log2(p.level), math.log2(max(p.bitrate_bps, 1))) for p in points]
    return Curves(
        metric,
        rising(list(zip(places, means, strict=True)), typical_slope=1.0),
        rising(list(zip(places, worsts, strict=True)), typical_slope=1.0),
        rising(rates, typical_slope=1.0),
    )


def typical(metric: str, level: float, mean: float, worst: float) -> Curves:
    """Curves of which one measured point is known."""
    return curves(metric, [Point(level=level, bitrate_bps=1, mean=mean, worst=worst)])


def chosen(search: Search, target: Target, *, duration_s: float, other_bytes: int) -> Search | None:
    """The search with its choice: the lowest level that promises to meet the target.

    None when no level comes near it. Where the highest is near, it is chosen: the samples may be
    a little off.

    Args:
        other_bytes: of the file beside the picture.
    """
    found = curves(search.metric, search.points)
    level = found.lowest(target)
    if level is None:
        if found.gap_db(target, dial.HIGHEST) < -hopeless_db(search):
            return None
        level = dial.HIGHEST
    return at_level(search, level, duration_s=duration_s, other_bytes=other_bytes)


def at_level(search: Search, level: float, *, duration_s: float, other_bytes: int) -> Search:
    """The search with what it predicts for a level."""
    found = curves(search.metric, search.points)
    picture_bytes = found.bps_at(level) * duration_s / 8
    return replace(
        search,
        level=level,
        predicted_mean=round(found.mean_at(level), 4),
        predicted_worst=round(found.worst_at(level), 4),
        predicted_bytes=round(picture_bytes) + other_bytes,
    )


def hopeless_db(search: Search) -> float:
    """How far below a target the highest level's promise may be and still be tried."""
    tried = max(point.level for point in search.points)
    return HOPELESS_DB[search.metric] + HOPELESS_DB_A_LEVEL * (dial.HIGHEST - tried)


def best_promise(search: Search) -> tuple[float, float]:
    """The scores that the highest level promises, on average and of the worst 1 % of frames."""
    found = curves(search.metric, search.points)
    return found.mean_at(dial.HIGHEST), found.worst_at(dial.HIGHEST)
