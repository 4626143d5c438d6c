"""Whether the sound of a result comes when that of its source does, by cross-correlation.

What is compared is how loudness rises and falls, in steps of 5 ms: an encode keeps that, whatever
it does to the waveform, and silence and steady tones have none, so they tell nothing rather than
something wrong. Found shifts are true to about 2 ms (docs/verification.md).
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul

from chalicelib.domain.sync import Reading

#: Sound is looked at in this many samples a second, whose loudness is taken in blocks.
RATE_HZ, BLOCK_SAMPLES = 8_000, 40
BLOCKS_PER_S = RATE_HZ // BLOCK_SAMPLES
#: How much of the result is looked for in the source at a time, and how far off.
PIECE_S, REACH_S = 6.0, 2.0
#: Shorter sound is too little to tell anything.
LEAST_S = 0.5
#: Of full scale 32,768: below the first (-60 dB) nothing is heard, so it all counts as equal;
#: nothing is left of a sound below the second (-72 dB), and it was one above the third (-50 dB).
QUIETEST, GONE, HEARD = 32.0, 8.0, 104.0
#: Loudness is taken against the average of this time around it, ...
MOMENT_S = 0.5
#: ... and must vary by this to be recognised: standard deviation in doublings (1.5 dB).
LIVELY = 0.25
#: Correlation from which on a shift is believed. Encodes of public films reached 0.98 and more; a
#: piece in the middle of which something is lost does not.
ALIKE = 0.8
#: Below the first the other tracks are tried, as two languages may share their music; one of them
#: must be so much more alike.
SURE, RATHER = 0.9, 0.15
#: In less than this nothing is told to be another sound.
SURELY_S = 4.0
#: Of several shifts that fit nearly as well (a beat, an echo), the smallest is the one.
NEARLY = 0.9
#: Loudness must fit this much worse 20 ms off, or the shift is too vague to be told.
SHARP, SHARP_S = 0.02, 0.02
#: Shares of loudness that is not where it was: a channel is another's above the first, if it is
#: one below the second.
FOREIGN, OWN = 0.5, 0.25
#: Silence of this length is missed.
SILENCE_S = 1.0

#: Loudness (mean of the absolute samples) of each block of one channel.
Loudness = list[float]


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of one audio track: its channels' loudness, block by block."""

    channels: tuple[Loudness, ...]

    @property
    def whole(self) -> Loudness:
        """All channels together."""
        count = len(self.channels)
        return [sum(blocks) / count for blocks in zip(*self.channels, strict=True)]


def sounds(data: bytes, channels: Sequence[int]) -> list[Sound]:
    """Take apart what ffmpeg wrote: 16-bit samples of all channels of all tracks in turn.

    Args:
        channels: how many each track has.
    """
    width = sum(channels)
    samples = array("h", data[: len(data) // (2 * width) * 2 * width])
    if sys.byteorder == "big":
        samples.byteswap()
    columns = iter([_loudness(samples[place::width]) for place in range(width)])
    return [Sound(tuple(next(columns) for _ in range(count))) for count in channels]


def _loudness(samples: array[int]) -> Loudness:
    ends = range(0, len(samples) - BLOCK_SAMPLES + 1, BLOCK_SAMPLES)
    return [sum(map(abs, samples[at : at + BLOCK_SAMPLES])) / BLOCK_SAMPLES for at in ends]


def readings(
    source: Sequence[Sound], result: Sequence[Sound], start_s: float
) -> tuple[Reading, ...]:
    """Hold each track of the result against the source's, piece by piece.

    Both are of the same stretch of the film, which begins `start_s` after its first frame.
    """
    found: list[Reading] = []
    before = [_ups_and_downs(sound.whole) for sound in source]
    for number, (own, sound) in enumerate(zip(source, result, strict=False), start=1):
        after = _ups_and_downs(sound.whole)
        silent = tuple(_silences(own.whole, sound.whole, start_s))
        for first, last in _pieces(min(len(after), len(before[number - 1]))):
            at_s = round(start_s + (first + last) / 2 / BLOCKS_PER_S, 3)
            fit = _fit(before[number - 1], after, first, last)
            lag = round((fit.shift_s or 0.0) * BLOCKS_PER_S)
            found.append(
                Reading(
                    track=number,
                    at_s=at_s,
                    shift_s=fit.shift_s,
                    likeness=fit.likeness,
                    like_track=_like(before, after, number, fit, first, last),
                    other_channels=fit.shift_s is not None
                    and _other_channels(own, sound, first, last, lag),
                    silent_s=silent,
                )
            )
            silent = ()
    return tuple(found)


def _pieces(blocks: int) -> Iterator[tuple[int, int]]:
    """First and last block of pieces all over a stretch, so that both its ends are heard."""
    length = min(blocks, round(PIECE_S * BLOCKS_PER_S))
    if length < LEAST_S * BLOCKS_PER_S:
        return
    count = min(5, math.ceil(blocks / length))
    for number in range(count):
        first = round((blocks - length) * number / max(count - 1, 1))
        yield first, first + length


@dataclass(frozen=True, slots=True)
class _Fit:
    shift_s: float | None = None
    likeness: float | None = None


def _fit(source: Loudness, result: Loudness, first: int, last: int) -> _Fit:
    """Where a piece of the result is in the source."""
    piece = result[first:last]
    reach = min(round(REACH_S * BLOCKS_PER_S), (last - first) // 2)
    wide = _padded(source, first - reach, last + reach)
    if not (_is_lively(piece) and _is_lively(source[first:last])):
        return _Fit()
    scores = _correlations(piece, wide)
    best = max(scores)
    if best < ALIKE:
        # Of a tone there are only the two ends, which say little.
        return _Fit(None, round(best, 3) if last - first >= SURELY_S * BLOCKS_PER_S else None)
    peaks = [n for n in range(len(scores)) if scores[n] >= NEARLY * best and _is_peak(scores, n)]
    # The source's sound begins `reach` blocks before the piece, and a late result finds its
    # counterpart earlier in it.
    peak = min(peaks, key=lambda place: abs(place - reach))
    if not _is_sharp(scores, peak):
        return _Fit(None, None)
    shift = reach - _between(scores, peak)
    return _Fit(round(shift / BLOCKS_PER_S, 4), round(scores[peak], 3))


def _padded(loudness: Loudness, first: int, last: int) -> Loudness:
    """A stretch that may reach beyond either end, where there is nothing."""
    before, after = max(0, -first), max(0, last - len(loudness))
    return [*([0.0] * before), *loudness[max(0, first) : max(0, last)], *([0.0] * after)]


def _is_lively(moved: Sequence[float]) -> bool:
    return math.fsum(map(mul, moved, moved)) >= LIVELY**2 * len(moved)


def _ups_and_downs(loudness: Loudness) -> list[float]:
    """Loudness as it is heard, in doublings, against that of the moment around it."""
    heard = [math.log2(max(block, QUIETEST)) for block in loudness]
    sums = [0.0, *accumulate(heard)]
    half, count = round(MOMENT_S * BLOCKS_PER_S / 2), len(heard)
    moved = []
    for place, value in enumerate(heard):
        first, last = max(0, place - half), min(count, place + half + 1)
        moved.append(value - (sums[last] - sums[first]) / (last - first))
    return moved


def _correlations(piece: Sequence[float], wide: Sequence[float]) -> list[float]:
    """Normalised, at every place where the piece fits into the other."""
    length = len(piece)
    own = math.sqrt(math.fsum(map(mul, piece, piece)))
    squares = [0.0, *accumulate(map(mul, wide, wide))]
    found = []
    for place in range(len(wide) - length + 1):
        there = math.sqrt(max(squares[place + length] - squares[place], 0.0))
        dot = sum(map(mul, piece, wide[place : place + length]))
        # Where there is next to nothing, next to nothing would be scaled up to a match.
        found.append(dot / (own * max(there, own / 4)))
    return found


def _is_peak(scores: Sequence[float], place: int) -> bool:
    """At either end it may be the slope of a peak that is out of reach."""
    inside = 0 < place < len(scores) - 1
    return inside and scores[place - 1] <= scores[place] >= scores[place + 1]


def _is_sharp(scores: Sequence[float], peak: int) -> bool:
    off = round(SHARP_S * BLOCKS_PER_S)
    beside = [scores[place] for place in (peak - off, peak + off) if 0 <= place < len(scores)]
    return max(beside) <= scores[peak] - SHARP


def _between(scores: Sequence[float], peak: int) -> float:
    """The top of the parabola through a peak and its neighbours."""
    left, top, right = scores[peak - 1 : peak + 2]
    bend = left - 2 * top + right
    return peak + (0.5 * (left - right) / bend if bend < 0 else 0.0)


def _like(
    sources: Sequence[Loudness], result: Loudness, number: int, own: _Fit, first: int, last: int
) -> int | None:
    """The source's track that a piece is rather like, where it is not quite like its own."""
    if own.likeness is None or own.likeness >= SURE:
        return None
    others = {
        other: _fit(source, result, first, last)
        for other, source in enumerate(sources, start=1)
        if other != number
    }
    alike = {n: fit.likeness or 0.0 for n, fit in others.items() if fit.shift_s is not None}
    best = max(alike, key=lambda other: alike[other], default=None)
    return best if best is not None and alike[best] >= own.likeness + RATHER else None


def _other_channels(source: Sound, result: Sound, first: int, last: int, lag: int) -> bool:
    """Whether each channel that is not the source's own is another one of it."""
    if len(source.channels) != len(result.channels) or len(source.channels) < 2:
        return False
    before = [_padded(channel, first - lag, last - lag) for channel in source.channels]
    after = [channel[first:last] for channel in result.channels]
    foreign = [
        place
        for place, channel in enumerate(after)
        if sum(channel) > HEARD * len(channel) and _unlike(channel, before[place]) > FOREIGN
    ]
    others = [min(_unlike(after[place], other) for other in before) for place in foreign]
    return bool(foreign) and max(others) < OWN


def _unlike(one: Loudness, other: Loudness) -> float:
    """The share of two channels' loudness that only one of them has: 0 to 1."""
    total = sum(one) + sum(other)
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / total if total else 0.0


def _silences(source: Loudness, result: Loudness, start_s: float) -> Iterator[float]:
    """Starts and ends of what is silent in the result alone."""
    count = min(len(source), len(result))
    edges = [n for n in range(1, count) if (result[n] < GONE) != (result[n - 1] < GONE)]
    for first, last in pairwise([0, *edges, count]):
        is_long = last - first >= SILENCE_S * BLOCKS_PER_S
        if is_long and result[first] < GONE and sum(source[first:last]) > HEARD * (last - first):
            yield round(start_s + first / BLOCKS_PER_S, 3)
            yield round(start_s + last / BLOCKS_PER_S, 3)
