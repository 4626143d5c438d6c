"""What came of a search's samples at one level, projected to the whole film."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from chalicelib.domain.mp4 import Pictures
from chalicelib.domain.ordinary import from_db, to_db
from chalicelib.domain.samples import Sample
from chalicelib.domain.search import Point, Search

#: How often an encoder begins anew where nothing changes; samples begin anew all the time.
#: (GOP size AUTO is MediaConvert's secret; this is the stand-in's.)
KEY_EVERY_S = 5.0
#: A sample scores lower than the same second does within the whole film, because its encoder has
#: seen nothing before it and looks no further than its end: by so much of the score's decibels.
#: (Measured on nine films, one by one 0 to 6 % (docs/quality.md); another encoder may differ, and
#: what it differs by is put right once the whole film is measured.)
BEGINNING_SHARE = 0.025


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
    weighted: list[tuple[float, float]] = []
    for sample, first, last in _shares(search.samples, len(scores)):
        own = scores[first:last]
        weighted += [(score, sample.weight / len(own)) for score in own]
    weight = sum(weight for _, weight in weighted)
    sampled_db = to_db(
        math.fsum(score * share for score, share in weighted) / weight, search.metric
    )
    mean_db = sampled_db * (1 + BEGINNING_SHARE * _begun(search.samples))
    worst_db = to_db(_worst(weighted, weight / 100), search.metric)
    mean, worst = (
        from_db(decibels - search.lost_on_screen_db, search.metric)
        for decibels in (mean_db, worst_db)
    )
    whole_bps = size_bytes * 8 / search.sampled_s
    bitrate = _bitrate(search, pictures) if pictures is not None else whole_bps
    return Point(
        level=level,
        bitrate_bps=round(bitrate * search.effort_ratio),
        mean=round(mean, 6),
        worst=round(worst, 6),
    )


def _begun(samples: Sequence[Sample]) -> float:
    """The share of the film whose samples do not go on where the one before ended."""
    ends_s = [-1.0, *(sample.end_s for sample in samples)]
    pairs = zip(samples, ends_s, strict=False)
    return sum(sample.weight for sample, end_s in pairs if sample.start_s > end_s + 1e-6)


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
