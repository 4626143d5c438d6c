"""The search for a setting: a few short samples of the film, encoded at a few levels, say which
level meets the target and how large the result will be.

Pure: `samples` chooses the stretches, `point` reads what came of them at one level, `choose`
decides. The scores are the encoder's own per-frame report of the samples. The whole result is
measured independently afterwards, so here the report only has to be close; what is off between the
two is put right by `Curves.shifted` when another attempt is needed.

Scores are interpolated as decibels of what is missing to a perfect one, and bitrates as powers of
two, each against what the level gives on ordinary films: on that scale a film's own curve is nearly
straight, so two levels are enough, and what they save is spent on seeing more of the film.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from chalicelib.domain import dial
from chalicelib.domain.curve import Curve, rising
from chalicelib.domain.mp4 import Pictures

#: Shorter films are encoded at the preset's own level: sampling them costs more than it saves.
SHORTEST_S = 20.0
#: All samples at all levels together take at most this share of the full encode's work ...
WORK_SHARE = 0.15
#: ... and of films up to two minutes this many seconds: MediaConvert bills 10 s of each output
#: anyway (chalicelib/data/prices.toml).
SHORT_FILM_S, SHORT_FILM_WORK_S = 120.0, 20.0
#: Levels to try lie this far below and above the one that gives the target on ordinary films.
BELOW, ABOVE = 1.0, 2.0
#: Samples last a second; where there is time for more than this many, two.
SAMPLES_MOST = 30
#: In turn, a sample is the easiest, hardest or most typical second of its part of the film:
#: these quantiles of how many bytes the source spends on its seconds.
QUANTILES = (1 / 2, 1 / 6, 5 / 6)
#: How often an encoder begins anew where nothing changes; samples begin anew all the time.
#: (GOP size AUTO is MediaConvert's secret; this is the stand-in's.)
KEY_EVERY_S = 5.0
#: By how much the samples' effort may be off the film's and be put right.
EFFORT_BOUNDS = (0.7, 1.4)
#: What a perfect score is; VMAF's a little beyond, because it hardly ever reaches 100.
PERFECT = {"SSIM": 1.0, "VMAF": 104.0}
#: The mean score of each level, 1 to 10: SSIM over 11 public films
#: (docs/mediaconvert-stand-in.md), VMAF (v0.6.1) over 3 s of 8 of them (docs/quality.md).
TYPICAL_SCORES = {
    "SSIM": (0.9307, 0.9491, 0.9635, 0.9727, 0.9793, 0.9850, 0.9894, 0.9918, 0.9936, 0.9954),
    "VMAF": (65.63, 75.15, 82.51, 87.29, 90.78, 93.46, 95.37, 96.53, 97.28, 97.82),
}
#: kbit/s of each level at 1080p30, likewise.
TYPICAL_KBPS = (720, 991, 1386, 1844, 2457, 3335, 4472, 5908, 7945, 11406)
#: The prediction must be this much above the target, or half of all results would miss it.
MARGIN_DB = 0.1
#: A target further than this above what the highest level promises is given up without an encode;
#: further still by so much for each level between that one and the highest that was tried.
HOPELESS_DB, HOPELESS_DB_A_LEVEL = 1.0, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a result must score, on average and in its worst 1 % of frames."""

    metric: str
    mean: float
    worst: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A stretch of the film that stands for `weight` of it; weights add up to 1."""

    start_s: float
    length_s: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What the samples came to at one level, projected to the whole film.

    Attributes:
        bitrate_bps: of the picture.
        mean, worst: score on average, and of the worst 1 % of frames.
    """

    level: float
    bitrate_bps: int
    mean: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search: what to try, what came of it, and what was chosen.

    Attributes:
        duration_s: of the film.
        work_share: encoding time of all samples over that of the film once.
        effort_ratio: what the samples' bitrate is multiplied by, because the source spends more
            or less on the film than on them.
        points: empty until the samples are encoded.
        level: the choice; None until then. The predictions are for it.
        predicted_bytes: of the whole file, sound included.
    """

    metric: str
    samples: tuple[Sample, ...]
    levels: tuple[float, ...]
    work_share: float
    duration_s: float = 0.0
    effort_ratio: float = 1.0
    points: tuple[Point, ...] = ()
    level: float | None = None
    predicted_mean: float | None = None
    predicted_worst: float | None = None
    predicted_bytes: int | None = None

    @property
    def is_over(self) -> bool:
        return bool(self.points)


def new_search(target: Target, duration_s: float, activity: Sequence[int] = ()) -> Search | None:
    """What to sample for a target; None for a film too short for it.

    Args:
        activity: bytes of picture in equally long stretches of the source, where known.
    """
    if duration_s < SHORTEST_S:
        return None
    return sampling(target, duration_s, activity)


def sampling(target: Target, duration_s: float, activity: Sequence[int] = ()) -> Search:
    """The search for a film of any length."""
    levels = levels_to_try(target)
    work_s = SHORT_FILM_WORK_S if duration_s <= SHORT_FILM_S else WORK_SHARE * duration_s
    chosen = samples(duration_s, activity, budget_s=work_s / len(levels))
    sampled_s = sum(sample.length_s for sample in chosen)
    return Search(
        metric=target.metric,
        samples=chosen,
        levels=levels,
        duration_s=duration_s,
        effort_ratio=round(_effort_ratio(chosen, duration_s, activity), 4),
        work_share=round(sampled_s * len(levels) / duration_s, 4),
    )


def levels_to_try(target: Target) -> tuple[float, float]:
    """A level below and one above the one that ordinary films need."""
    scores = TYPICAL_SCORES[target.metric]
    ordinary = next((n for n, score in enumerate(scores, start=1) if score >= target.mean), 10)
    low = min(max(ordinary - BELOW, dial.LOWEST), dial.HIGHEST - BELOW - ABOVE)
    return dial.nearest(low), dial.nearest(low + BELOW + ABOVE)


# Where to look


def samples(duration_s: float, activity: Sequence[int], *, budget_s: float) -> tuple[Sample, ...]:
    """Stretches that stand for the film: easy, typical and hard ones, from all over it.

    The film is cut into as many parts as there is time for samples. Of each part one stretch is
    taken, in turn the typical, an easy and a hard one by the bytes the source spends on them.
    Where the source tells nothing, it is the middle one.
    """
    if duration_s < 2.0:
        return (Sample(start_s=0.0, length_s=duration_s, weight=1.0),)
    length_s = 1.0 if budget_s <= SAMPLES_MOST else 2.0
    starts = _starts(duration_s, length_s)
    count = max(1, min(SAMPLES_MOST, int(budget_s / length_s), len(starts)))
    bounds = [round(number * len(starts) / count) for number in range(count + 1)]
    picked = []
    for number, (first, last) in enumerate(pairwise(bounds)):
        part = starts[first:last]
        if activity:
            effort = {start: _effort(activity, duration_s, start, length_s) for start in part}
            part = sorted(part, key=lambda start, of=effort: (of[start], start))  # type: ignore[misc]
        place = int(QUANTILES[number % 3] * len(part)) if activity else len(part) // 2
        picked.append(
            Sample(start_s=part[place], length_s=length_s, weight=len(part) / len(starts))
        )
    return tuple(sorted(picked, key=lambda sample: sample.start_s))


def _starts(duration_s: float, length_s: float) -> list[float]:
    """Where stretches begin. None reaches the very end, which may come earlier than the header
    says."""
    last = max(length_s, duration_s - 0.5)
    return [number * length_s for number in range(int(last / length_s))]


def _effort(activity: Sequence[int], duration_s: float, start_s: float, length_s: float) -> float:
    """The source's bytes in a stretch, from those of its equal parts."""
    each_s = duration_s / len(activity)
    total = 0.0
    for number in range(int(start_s / each_s), len(activity)):
        inside_s = min(start_s + length_s, (number + 1) * each_s) - max(start_s, number * each_s)
        if inside_s <= 0:
            break
        total += activity[number] * inside_s / each_s
    return total


def _effort_ratio(samples: Sequence[Sample], duration_s: float, activity: Sequence[int]) -> float:
    """The source's bitrate over that of its samples: what they are too easy or too hard by."""
    if not activity:
        return 1.0
    efforts = (s.weight * _effort(activity, duration_s, s.start_s, s.length_s) for s in samples)
    sampled_bytes = sum(efforts) / samples[0].length_s
    if sampled_bytes <= 0:
        return 1.0
    low, high = EFFORT_BOUNDS
    return min(max(sum(activity) / duration_s / sampled_bytes, low), high)


# What came of it


def point(
    search: Search,
    level: float,
    scores: Sequence[float],
    pictures: Pictures | None,
    size_bytes: int,
) -> Point:
    """Project one level's samples, strung together in one file, to the whole film.

    Args:
        scores: one per frame.
        pictures: the file's samples; None where its index could not be read.
        size_bytes: of the file.

    Raises:
        ValueError: there are no scores.
    """
    if not scores:
        raise ValueError("no frame was scored")
    total_s = sum(sample.length_s for sample in search.samples)
    weighted: list[tuple[float, float]] = []
    for sample, first, last in _shares(search.samples, len(scores)):
        own = scores[first:last]
        weighted += [(score, sample.weight / len(own)) for score in own]
    weight = sum(weight for _, weight in weighted)
    mean = math.fsum(score * share for score, share in weighted) / weight
    whole_bps = size_bytes * 8 / total_s
    bitrate = _bitrate(search, pictures) if pictures is not None else whole_bps
    return Point(
        level=level,
        bitrate_bps=round(bitrate * search.effort_ratio),
        mean=round(mean, 6),
        worst=round(_worst(weighted, weight / 100), 6),
    )


def _shares(samples: Sequence[Sample], count: int) -> Iterator[tuple[Sample, int, int]]:
    """Each sample's part of so many frames; samples without one are left out."""
    total_s = sum(sample.length_s for sample in samples)
    at_s = 0.0
    for sample in samples:
        first = round(at_s / total_s * count)
        at_s += sample.length_s
        last = round(at_s / total_s * count)
        if last > first:
            yield sample, first, last


def _bitrate(search: Search, pictures: Pictures) -> float:
    """Bits per second of the film that the samples stand for.

    A picture that needs no other is large. Samples begin with one because they begin; a film has
    one where its encoder begins anew, and at cuts, which are in the samples.
    """
    keys = set(pictures.keys)
    steady, cuts, seconds = 0.0, 0, 0.0
    openings: list[float] = []
    for sample, first, last in _shares(search.samples, len(pictures.sizes_bytes)):
        sizes = pictures.sizes_bytes[first:last]
        others = [size for n, size in enumerate(sizes, start=first) if n > first and n not in keys]
        usual = sum(others) / len(others) if others else float(sizes[0])
        opening = max(0.0, sizes[0] - usual) if first in keys else 0.0
        if first in keys:
            openings.append(opening)
        steady += sample.weight * (sum(sizes) - opening) * 8 / sample.length_s
        cuts += sum(first < key < last for key in keys)
        seconds += sample.length_s
    # The more cuts, the rarer a film goes on for so long that its encoder begins anew by itself.
    duration_s = search.duration_s or seconds
    anew_per_s = math.floor(duration_s / KEY_EVERY_S + 1) / duration_s
    anew_per_s *= math.exp(-KEY_EVERY_S * cuts / seconds)
    mean_opening = sum(openings) / len(openings) if openings else 0.0
    return steady + mean_opening * 8 * anew_per_s


def _worst(weighted: Sequence[tuple[float, float]], share: float) -> float:
    """The mean of the lowest scores that together weigh `share`."""
    left, total = share, 0.0
    for score, weight in sorted(weighted):
        taken = min(weight, left)
        total += score * taken
        left -= taken
        if left <= 0:
            break
    return total / (share - left) if share > left else min(weighted)[0]


# The decision


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

    def lowest(self, target: Target, *, above: float = 0.0) -> float | None:
        """The lowest level whose prediction meets the target; None when there is none."""
        levels = (level for level in dial.LEVELS if level > above)
        return next((level for level in levels if self.gap_db(target, level) >= MARGIN_DB), None)

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


def typical_db(level: float, metric: str) -> float:
    """What a level scores on ordinary films."""
    return _between_levels([to_db(score, metric) for score in TYPICAL_SCORES[metric]], level)


def typical_log2(level: float) -> float:
    """The bitrate a level takes on ordinary films of 1080p30, log2 of kbit/s."""
    return _between_levels([math.log2(kbps) for kbps in TYPICAL_KBPS], level)


def _between_levels(values: Sequence[float], level: float) -> float:
    """Straight between whole levels; `values` are those of levels 1 to 10."""
    left = min(max(int(level) - 1, 0), len(values) - 2)
    share = level - 1 - left
    return values[left] * (1 - share) + values[left + 1] * share


def to_db(score: float, metric: str) -> float:
    """How little is missing to a perfect score, in decibels; at most 60."""
    missing = 1 - score / PERFECT[metric]
    return -10 * math.log10(min(max(missing, 1e-6), 2.0))


def from_db(decibels: float, metric: str) -> float:
    return PERFECT[metric] * (1 - 10 ** (-decibels / 10))


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
    return HOPELESS_DB + HOPELESS_DB_A_LEVEL * (dial.HIGHEST - tried)


def best_promise(search: Search) -> tuple[float, float]:
    """The scores that the highest level promises, on average and of the worst 1 % of frames."""
    found = curves(search.metric, search.points)
    return found.mean_at(dial.HIGHEST), found.worst_at(dial.HIGHEST)
