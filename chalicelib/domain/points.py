"""What came of a search's samples at one level, projected to the whole film."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chalicelib.domain.mp4 import Pictures
from chalicelib.domain.samples import Sample
from chalicelib.domain.search import Point, Search

#: How often an encoder begins anew where nothing changes; samples begin anew all the time.
#: (GOP size AUTO is MediaConvert's secret; this is the stand-in's.)
KEY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class _Share:
    """A sample's frames: it is encoded from `opening` to `closing` and scored from `first` to
    `last`, ends not included."""

    sample: Sample
    opening: int
    first: int
    last: int
    closing: int


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
    encoded_s = sum(sample.encoded_s for sample in search.samples)
    weighted: list[tuple[float, float]] = []
    for share in _shares(search.samples, len(scores)):
        own = scores[share.first : share.last]
        weighted += [(score, share.sample.weight / len(own)) for score in own]
    weight = sum(weight for _, weight in weighted)
    mean = math.fsum(score * share for score, share in weighted) / weight
    whole_bps = size_bytes * 8 / encoded_s
    bitrate = _bitrate(search, pictures) if pictures is not None else whole_bps
    return Point(
        level=level,
        bitrate_bps=round(bitrate * search.effort_ratio),
        mean=round(mean, 6),
        worst=round(_worst(weighted, weight / 100), 6),
    )


def _shares(samples: Sequence[Sample], count: int) -> Iterator[_Share]:
    """Each sample's part of so many frames; samples without one are left out."""
    per_s = count / sum(sample.encoded_s for sample in samples)
    at_s = 0.0
    for sample in samples:
        ends_s = (0.0, sample.run_in_s, sample.run_in_s + sample.length_s, sample.encoded_s)
        opening, first, last, closing = (round((at_s + end_s) * per_s) for end_s in ends_s)
        at_s += sample.encoded_s
        if last > first:
            yield _Share(sample, opening, first, last, closing)


def _bitrate(search: Search, pictures: Pictures) -> float:
    """Bits per second of the film that the samples stand for.

    A picture that needs no other is large. Samples begin with one because they begin; a film has
    one where its encoder begins anew, and at cuts, which are in the samples.
    """
    keys = set(pictures.keys)
    steady, cuts, seconds = 0.0, 0, 0.0
    openings: list[float] = []
    for share in _shares(search.samples, len(pictures.sizes_bytes)):
        sample, start = share.sample, share.opening
        sizes = pictures.sizes_bytes[start : share.closing]
        others = [size for n, size in enumerate(sizes, start=start) if n > start and n not in keys]
        usual = sum(others) / len(others) if others else float(sizes[0])
        opening = max(0.0, sizes[0] - usual) if start in keys else 0.0
        if start in keys:
            openings.append(opening)
        scored = sum(pictures.sizes_bytes[share.first : share.last])
        own = opening if share.first == start else 0.0
        steady += sample.weight * (scored - own) * 8 / sample.length_s
        cuts += sum(max(share.first, start + 1) <= key < share.last for key in keys)
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
