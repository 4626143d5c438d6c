"""Constant or variable frame rate, and which constant rate an output gets.

Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/using-variable-frame-rate-inputs.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

#: Rates a variable-rate input is rounded up to.
_STEPS = (1, 5, 10, 15, 24, 30, 50, 60)

#: An average of 30.02 is a 30 frames/s camera, not a reason to make 50 of it. The guide says
#: "rounded up" and nothing about a margin; this one is ours.
_MARGIN = Fraction(1005, 1000)

#: Share of odd intervals that still counts as constant: a gap or two, not a variable rate.
_ODD_SHARE = 0.01

_COMMON = tuple(Fraction(n, 1001) for n in (24000, 30000, 48000, 60000, 120000)) + tuple(
    Fraction(n) for n in (5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
) + (Fraction(25, 2), Fraction(15000, 1001))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """`rate` is exact for a constant rate, the average for a variable one."""

    rate: Fraction
    vfr: bool


def timing(times: Sequence[int], *, time_base: Fraction, nominal: Fraction) -> Timing:
    """Judge the sorted, distinct presentation times of all frames, in units of `time_base`."""
    if len(times) < 3:
        return Timing(rate=nominal, vfr=False)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    usual = median_low(gaps)
    # One tick either way is rounding, as in Matroska's milliseconds.
    odd = sum(abs(gap - usual) > 1 for gap in gaps)
    average = Fraction(len(gaps)) / ((times[-1] - times[0]) * time_base)
    if odd > max(1, len(gaps) * _ODD_SHARE):
        return Timing(rate=average, vfr=True)
    steady = [gap for gap in gaps if abs(gap - usual) <= 1]
    return Timing(rate=_snap(Fraction(len(steady)) / (sum(steady) * time_base), nominal), vfr=False)


def _snap(measured: Fraction, nominal: Fraction) -> Fraction:
    """A common rate, or the one the container names, when it is the measured one."""
    for candidate in (*_COMMON, nominal):
        if abs(measured / candidate - 1) < Fraction(1, 10_000):
            return candidate
    for candidate in (nominal, *_COMMON):  # short files in coarse ticks
        if abs(measured / candidate - 1) < Fraction(1, 100):
            return candidate
    return measured.limit_denominator(1001)


def output_rate(timing: Timing) -> Fraction:
    """The rate of an output that follows its source."""
    if not timing.vfr:
        return timing.rate
    for step in _STEPS:
        if timing.rate <= step * _MARGIN:
            return Fraction(step)
    return Fraction(_STEPS[-1])
