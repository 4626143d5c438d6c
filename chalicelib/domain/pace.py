"""How evenly a film's pictures follow one another, and which constant rate has a place for each.

MediaConvert writes constant rates only. Left alone it gives a film whose rate varies the average,
rounded up to 1, 5, 10, 15, 24, 30, 50 or 60: a recording of a screen that moves now and then loses
the pictures of its quick moments. So a rate is asked for wherever a film's own index shows that it
varies.

Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/using-variable-frame-rate-inputs.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

#: Share of a film's pictures that may find no place: one here and there, where the clock of a
#: camera is not that of the result.
CROWDED_SHARE = 0.02
#: How much quicker than its camera's rate a picture may follow another.
JITTER = 0.1
#: Share of gaps unlike the usual one in a film whose rate is constant: one or two are a hiccup.
ODD_SHARE = 0.01
#: How far a camera's clock may be off.
CLOCK_SHARE = 0.005
#: Frame rates a result may be given, the fastest being what H.264 encoders are sold with.
RATES = (
    *("5/1", "10/1", "12/1", "15/1", "20/1", "24000/1001", "24/1", "25/1", "30000/1001", "30/1"),
    *("48/1", "50/1", "60000/1001", "60/1", "90/1", "100/1", "120/1"),
)
#: Gaps of a stretch whose speed is looked at by itself.
BURST = 5
#: So many pictures say how the others come; an hour of a phone's film has 108,000.
PICTURES_LIMIT = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Of a film whose rate varies.

    Attributes:
        average: pictures a second.
        roomy: the lowest common rate with a place for nearly every picture, as "30/1"; None where
            there is none.
    """

    average: float
    roomy: str | None = None


def pace(starts: Sequence[int], tick_s: Fraction) -> Pace | None:
    """How the pictures come that are shown at these moments; None where the rate is constant.

    Args:
        starts: rising, in ticks.
    """
    starts = starts[:PICTURES_LIMIT]
    gaps = [later - earlier for earlier, later in pairwise(starts) if later > earlier]
    counts = Counter(gaps)
    if len(gaps) < 2 or are_even(counts):
        return None
    average = Fraction(len(gaps)) / (sum(gaps) * tick_s)
    quick = quick_gap(gaps)
    for rate in (
        *_known_rate(gaps, _middle(counts), tick_s),
        *_known_rate(gaps, quick, tick_s),
        *_whole_rates(average),
    ):
        if _has_room(starts, tick_s, Fraction(rate), float(quick * tick_s)):
            return Pace(average=round(float(average), 3), roomy=rate)
    return Pace(average=round(float(average), 3))


def crowded(starts: Collection[int], places_per_tick: Fraction) -> int:
    """How many pictures find the place nearest to them taken."""
    first = min(starts, default=0)
    over, under = places_per_tick.as_integer_ratio()
    places = {(2 * over * (start - first) + under) // (2 * under) for start in starts}
    return len(starts) - len(places)


def quick_gap(gaps: Sequence[int]) -> int:
    """The one that all but the quickest fifth of them keep."""
    return sorted(gaps)[len(gaps) // 5] if gaps else 0


def lacks_room(taken: int, pictures: int, rate: float, quick_s: float) -> bool:
    """Whether a rate costs pictures, and not because they only come unevenly."""
    if taken <= CROWDED_SHARE * pictures or not quick_s:
        return False
    return rate * (1 + JITTER) < 1 / quick_s


def roomy_rate(quick_s: float | None) -> str | None:
    """The common rate whose pictures follow each other as quickly; None where there is none."""
    if not quick_s:
        return None
    needed = 1 / quick_s
    near = [rate for rate in RATES if abs(float(Fraction(rate)) / needed - 1) < JITTER]
    if near:
        return min(near, key=lambda rate: abs(float(Fraction(rate)) - needed))
    return next((rate for rate in RATES if Fraction(rate) > needed), None)


def are_even(gaps: Mapping[int, int]) -> bool:
    """Whether the rate is constant, by how many gaps there are of each length. A tick either way is
    rounding, as in whole milliseconds."""
    usual, count = _middle(gaps), sum(gaps.values())
    odd = sum(times for gap, times in gaps.items() if abs(gap - usual) > 1)
    return odd <= max(1, ODD_SHARE * count)


def _middle(gaps: Mapping[int, int]) -> int:
    """The lower median."""
    left = (sum(gaps.values()) + 1) // 2
    for gap in sorted(gaps):
        left -= gaps[gap]
        if left <= 0:
            return gap
    return 0


def _known_rate(gaps: Sequence[int], about: int, tick_s: Fraction) -> tuple[str, ...]:
    """The common rate of pictures that come about so far apart, if it is one: a camera's."""
    steady = [gap for gap in gaps if abs(gap - about) <= JITTER * about]
    rate = float(len(steady) / (sum(steady) * tick_s))
    nearest = min(RATES, key=lambda known: abs(float(Fraction(known)) - rate))
    is_near = abs(float(Fraction(nearest)) / rate - 1) <= CLOCK_SHARE
    return (nearest,) if is_near else ()


def _whole_rates(average: Fraction) -> list[str]:
    """Those that are not below the average by more than a clock is off."""
    least = float(average) * (1 - CLOCK_SHARE)
    return [rate for rate in RATES if rate.endswith("/1") and float(Fraction(rate)) >= least]


def _has_room(starts: Sequence[int], tick_s: Fraction, rate: Fraction, quick_s: float) -> bool:
    taken = crowded(starts, tick_s * rate)
    if lacks_room(taken, len(starts), float(rate), quick_s):
        return False
    most = CROWDED_SHARE * len(starts)
    return taken <= most or _in_bursts(starts, tick_s * rate) <= most


def _in_bursts(starts: Sequence[int], places_per_tick: Fraction) -> int:
    """How many pictures begin a stretch that is quicker than the places come. A clock that jitters
    makes none: what comes early is followed by what comes late."""
    least = float(BURST / places_per_tick) / (1 + JITTER)
    ends = zip(starts, starts[BURST:], strict=False)
    return sum(later - earlier < least for earlier, later in ends)
