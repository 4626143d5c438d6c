"""Where to look: short stretches of a film that together stand for all of it.

One is taken of each of equally long parts, from around its middle, and such ones that together the
source spends as many bytes on them as on the film: neither its easy seconds nor its hard ones
weigh more than they do in the film. (docs/quality.md has what else was tried.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Samples last a second; where there is time for more than this many, two.
SAMPLES_MOST = 30
#: By how much the samples' effort may be off the film's and be put right.
EFFORT_BOUNDS = (0.7, 1.4)
#: Of its part, a sample lies in this middle share.
MIDDLE_SHARE = 0.5
#: A step towards the film's effort must bring us nearer by so much of what was missing.
WORTH_A_STEP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A stretch of the film that stands for `weight` of it; weights add up to 1."""

    start_s: float
    length_s: float
    weight: float

    @property
    def end_s(self) -> float:
        return self.start_s + self.length_s


def samples(duration_s: float, activity: Sequence[int], *, budget_s: float) -> tuple[Sample, ...]:
    """Samples of a film, in its order, apart from each other.

    Args:
        activity: bytes of picture in equally long stretches of the source, where known.
        budget_s: how much may be encoded.
    """
    if duration_s < 2.0:
        return (Sample(start_s=0.0, length_s=duration_s, weight=1.0),)
    length_s = 1.0 if budget_s <= SAMPLES_MOST else 2.0
    starts = _starts(duration_s, length_s)
    count = max(1, min(SAMPLES_MOST, int(budget_s / length_s), len(starts)))
    bounds = [round(number * len(starts) / count) for number in range(count + 1)]
    parts = [starts[first:last] for first, last in pairwise(bounds)]
    weights = [len(part) / len(starts) for part in parts]
    efforts = [[effort(activity, duration_s, start, length_s) for start in part] for part in parts]
    return tuple(
        Sample(start_s=part[place], length_s=length_s, weight=weight)
        for part, place, weight in zip(parts, _balanced(efforts, weights), weights, strict=True)
    )


def _starts(duration_s: float, length_s: float) -> list[float]:
    """Where stretches begin. None reaches the very end, which may come earlier than the header
    says."""
    last = max(length_s, duration_s - 0.5)
    return [number * length_s for number in range(int(last / length_s))]


def _balanced(efforts: Sequence[Sequence[float]], weights: Sequence[float]) -> list[int]:
    """Which stretch of each part: the middle ones, moved a little until together they take as much
    effort as the film."""
    places = [len(part) // 2 for part in efforts]
    goal = sum(w * sum(part) / len(part) for w, part in zip(weights, efforts, strict=True))
    chosen = zip(weights, efforts, places, strict=True)
    missing = goal - sum(w * part[place] for w, part, place in chosen)
    for _ in range(3 * len(efforts)):
        moves = [
            (abs(missing - weights[n] * (part[place] - part[places[n]])), n, place)
            for n, part in enumerate(efforts)
            for place in _middle(len(part))
        ]
        left, n, place = min(moves)
        if left >= (1 - WORTH_A_STEP) * abs(missing):
            break
        missing -= weights[n] * (efforts[n][place] - efforts[n][places[n]])
        places[n] = place
    return places


def _middle(count: int) -> range:
    reach = round(MIDDLE_SHARE / 2 * count)
    return range(max(0, count // 2 - reach), min(count, count // 2 + reach + 1))


def effort(activity: Sequence[int], duration_s: float, start_s: float, length_s: float) -> float:
    """The source's bytes in a stretch, from those of its equal parts; 0 where nothing is known."""
    if not activity:
        return 0.0
    each_s = duration_s / len(activity)
    total = 0.0
    for number in range(int(start_s / each_s), len(activity)):
        inside_s = min(start_s + length_s, (number + 1) * each_s) - max(start_s, number * each_s)
        if inside_s <= 0:
            break
        total += activity[number] * inside_s / each_s
    return total


def effort_ratio(samples: Sequence[Sample], duration_s: float, activity: Sequence[int]) -> float:
    """The source's bitrate over that of its samples: what they are too easy or too hard by."""
    if not activity:
        return 1.0
    efforts = (s.weight * effort(activity, duration_s, s.start_s, s.length_s) for s in samples)
    sampled_bytes = sum(efforts) / samples[0].length_s
    if sampled_bytes <= 0:
        return 1.0
    low, high = EFFORT_BOUNDS
    return min(max(sum(activity) / duration_s / sampled_bytes, low), high)
