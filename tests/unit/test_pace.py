"""How evenly pictures come, and the constant rate that has room for them."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.pace import CROWDED_SHARE, RATES, Pace, crowded, pace

TICK = Fraction(1, 90_000)
SECOND = 90_000


def starts(*gaps: int) -> list[int]:
    return list(accumulate(gaps, initial=0))


def found(*gaps: int, tick_s: Fraction = TICK) -> Pace | None:
    return pace(starts(*gaps), tick_s)


@pytest.mark.parametrize(
    "gaps",
    [
        [3003] * 50,
        [33, 33, 34] * 30,  # whole milliseconds
        [3000] * 200 + [9000],  # one hiccup
        [3000, 3000],
        [],
    ],
)
def test_a_constant_rate_has_no_pace(gaps: list[int]) -> None:
    tick_s = Fraction(1, 1000) if gaps[:1] == [33] else TICK
    assert found(*gaps, tick_s=tick_s) is None


@pytest.mark.parametrize(
    ("gaps", "roomy"),
    [
        ([3003 - 400, 3003 + 400, 3003] * 30, "30000/1001"),  # a clock that jitters
        ([3000] * 17 + [6000] + [3000] * 40 + [6000], "30/1"),  # a picture missing here and there
        ([3750] * 60 + [3000] * 60, "30/1"),  # a phone as it gets dark
        ([9000] * 60 + [3000] * 10, "30/1"),  # a screen that moves for a moment
        ([90_000] * 50 + [1500] * 12, "60/1"),
        ([3600] * 100 + [3600 * 3] * 30, "25/1"),
        ([750] * 100 + [3000] * 100, "120/1"),
        ([375] * 100 + [3000] * 100, None),  # 240 at times
    ],
)
def test_the_lowest_rate_with_room_is_found(gaps: list[int], roomy: str | None) -> None:
    got = found(*gaps)
    assert got is not None and got.roomy == roomy
    assert got.average == pytest.approx(len(gaps) * SECOND / sum(gaps), rel=1e-3)


@given(st.lists(st.integers(750, 30_000), min_size=20, max_size=80))
def test_hardly_a_picture_is_without_a_place(gaps: list[int]) -> None:
    got = found(*gaps)
    if got is None or got.roomy is None:
        return
    rate = Fraction(got.roomy)
    assert got.roomy in RATES
    assert len(gaps) * SECOND / sum(gaps) <= float(rate) * 1.1
    # Beside those that only come unevenly.
    quickest = sorted(gaps)[len(gaps) // 5]
    if quickest < SECOND / rate / Fraction(11, 10):
        assert crowded(starts(*gaps), TICK * rate) <= CROWDED_SHARE * (len(gaps) + 1)


def test_moments_that_come_twice_are_one() -> None:
    assert pace([0, 0, 3000, 3000, 6000, 6000], TICK) is None
