"""Scores of single frames as a line that people can read: one point for each second."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

#: Of a film that is compared whole, two minutes; of a longer one, all its windows: far fewer.
MOST_POINTS = 600

#: When, the mean and the lowest score of the frames in that second.
Point = tuple[float, ...]


def by_second(scores: Sequence[float], start_s: float, frame_s: float) -> tuple[Point, ...]:
    """
    Args:
        scores: of frames that follow one another.
        start_s: when the first is shown, from the first frame of the film.
        frame_s: how long each is shown.

    >>> by_second([0.9, 1.0, 0.8, 0.8], 10.0, 0.5)
    ((10.0, 0.95, 0.9), (11.0, 0.8, 0.8))
    """
    seconds: dict[int, list[float]] = {}
    for number, score in enumerate(scores):
        seconds.setdefault(int(start_s + number * frame_s), []).append(score)
    return tuple(
        (float(second), round(fsum(those) / len(those), 4), round(min(those), 4))
        for second, those in seconds.items()
    )[:MOST_POINTS]
