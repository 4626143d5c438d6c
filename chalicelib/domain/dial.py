"""QVBR's dial: quality levels from 1 to 10, in thirds of a level.

A level is written with two decimals, 7.33; MediaConvert takes 7 and a fine tune of 0.33, which it
rounds to the nearest third.
Source: QvbrQualityLevelFineTune in
https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html (H264QvbrSettings)
"""

from __future__ import annotations

#: Every level there is, ascending.
LEVELS = tuple(round(third / 3, 2) for third in range(3, 31))
LOWEST, HIGHEST = LEVELS[0], LEVELS[-1]


def nearest(level: float) -> float:
    """The level of the dial that is nearest."""
    return min(LEVELS, key=lambda known: abs(known - level))


def above(level: float, *, by: float = 0.0) -> float | None:
    """The lowest level that is higher than `level`, and by at least `by`; None past the end."""
    return next((known for known in LEVELS if known > level and known >= level + by - 0.005), None)


def parts(level: float) -> tuple[int, float]:
    """Level and fine tune as MediaConvert takes them.

    >>> parts(7.33)
    (7, 0.33)
    """
    whole = int(level + 0.005)
    return whole, round(max(0.0, level - whole), 2)


def label(level: float) -> str:
    """
    >>> label(8.0), label(7.33)
    ('8', '7.33')
    """
    return f"{level:g}"
