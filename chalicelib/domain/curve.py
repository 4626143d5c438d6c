"""A rising curve through a few noisy points: what lies between the levels that were tried.

Scores of a handful of samples need not rise strictly, and levels do not lie on a straight line.
Points that fall are averaged first (isotonic regression, pool adjacent violators), then joined by
a monotone cubic (Fritsch-Carlson, 1980), which never overshoots between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Curve:
    """Rising values over strictly rising places; built by `rising`.

    Attributes:
        slopes: at each point.
        before, beyond: how steeply the curve goes on at its two ends.
    """

    places: tuple[float, ...]
    values: tuple[float, ...]
    slopes: tuple[float, ...]
    before: float
    beyond: float

    def at(self, place: float) -> float:
        """The value at a place; past the ends the curve goes on straight."""
        if place <= self.places[0]:
            return self.values[0] + self.before * (place - self.places[0])
        if place >= self.places[-1]:
            return self.values[-1] + self.beyond * (place - self.places[-1])
        right = next(n for n, known in enumerate(self.places) if known > place)
        return self._between(right - 1, right, place)

    def _between(self, left: int, right: int, place: float) -> float:
        """Cubic Hermite interpolation."""
        width = self.places[right] - self.places[left]
        t = (place - self.places[left]) / width
        return (
            self.values[left] * (1 + 2 * t) * (1 - t) ** 2
            + self.slopes[left] * width * t * (1 - t) ** 2
            + self.values[right] * t**2 * (3 - 2 * t)
            + self.slopes[right] * width * t**2 * (t - 1)
        )


def rising(points: Sequence[tuple[float, float]], *, typical_slope: float) -> Curve:
    """The curve nearest to `points` (place, value) that never falls.

    Args:
        typical_slope: what a single point's curve rises by; the ends of a longer one go on with no
            less than a quarter of it, so that following them leads somewhere.

    Raises:
        ValueError: no points.
    """
    if not points:
        raise ValueError("a curve needs a point")
    means = _means(points)
    places = tuple(place for place, _ in means)
    values = tuple(_pooled([value for _, value in means]))
    if len(places) == 1:
        return Curve(places, values, (0.0,), typical_slope, typical_slope)
    slopes = _slopes(places, values)
    least = typical_slope / 4
    return Curve(places, values, slopes, max(slopes[0], least), max(slopes[-1], least))


def _means(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """One value for each place."""
    at: dict[float, list[float]] = {}
    for place, value in points:
        at.setdefault(place, []).append(value)
    return [(place, sum(values) / len(values)) for place, values in sorted(at.items())]


def _pooled(values: Sequence[float]) -> list[float]:
    """The nearest sequence that does not fall, by least squares."""
    pools: list[tuple[float, int]] = []
    for value in values:
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (b, many), (a, few) = pools.pop(), pools.pop()
            pools.append(((a * few + b * many) / (few + many), few + many))
    return [mean for mean, count in pools for _ in range(count)]


def _slopes(places: Sequence[float], values: Sequence[float]) -> tuple[float, ...]:
    """A slope at each point: the chords' at the ends, their harmonic mean between, which is never
    above twice the lower one, so that the cubic does not overshoot."""
    chords = _chords(places, values)
    inner = [0.0 if a * b <= 0 else 2 * a * b / (a + b) for a, b in pairwise(chords)]
    return (chords[0], *inner, chords[-1])


def _chords(places: Sequence[float], values: Sequence[float]) -> list[float]:
    return [
        (after - before) / (right - left)
        for (left, before), (right, after) in pairwise(zip(places, values, strict=True))
    ]
