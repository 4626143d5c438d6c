"""How many bytes each picture of an MP4 or MOV has, read from its index without the film.

Source: ISO/IEC 14496-12 sections 8.6.1.2 (stts), 8.6.1.3 (ctts), 8.6.2 (stss), 8.7.3.2 (stsz).
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, groupby, pairwise

from chalicelib.domain.pace import PICTURES_LIMIT, Pace, are_even, pace

from .beside import Beside, beside, odd_turn, outside
from .boxes import Box, Mp4Error, Read, Source, load_moov, top_level
from .reading import (
    handler_type,
    itunes_text,
    metadata_of,
    read_metadata,
    starts_like_mp4,
)

#: Nearly 14 hours at 60 frames a second. Looking at so many takes seconds and 60 MB; a file of a
#: hundred bytes can claim any number.
SAMPLES_LIMIT = 3_000_000
#: How finely a film's activity is told. Two hours give 15 s each.
ACTIVITY_BUCKETS = 480


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The picture track's samples in decoding order.

    Attributes:
        sizes_bytes: one for each picture.
        times_s: when it is decoded, from the track's beginning; one more than there are pictures,
            the last being the track's end.
        keys: numbers, from 0 and rising, of the pictures that need no other.
    """

    sizes_bytes: Sequence[int]
    times_s: Sequence[float]
    keys: Sequence[int]

    @property
    def duration_s(self) -> float:
        return self.times_s[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a file's index tells about a film before it is decoded. Empty for files other than MP4,
    MOV, Matroska and WebM.

    Attributes:
        writer: the program that wrote the file, by its own word (`©too`).
        activity: bytes of picture in each of equally long stretches: how hard its encoder found
            them. A picture that others build on is counted where they are.
        beside: what there is beside picture and sound; of Matroska too.
        odd_turn: how the picture is shown, where it is not by quarter turns.
        pace: how its pictures come, where their rate varies.
    """

    writer: str | None = None
    activity: tuple[int, ...] = ()
    beside: tuple[Beside, ...] = ()
    odd_turn: str | None = None
    pace: Pace | None = None


def survey(read: Read, size_bytes: int) -> Survey:
    """Look into the index behind `read`.

    Raises:
        Mp4Error: a file that is damaged or too large to index.
    """
    source = Source(read, size_bytes)
    moov = _moov(source)
    if moov is None:
        return Survey(beside=beside(read_metadata(read, size_bytes)))
    pictures = _pictures(moov)
    return Survey(
        writer=itunes_text(moov, b"\xa9too"),
        activity=activity(pictures) if pictures else (),
        beside=(*beside(metadata_of(moov)), *outside(source, moov)),
        odd_turn=odd_turn(moov),
        pace=_pace(moov),
    )


def pictures(read: Read, size_bytes: int) -> Pictures | None:
    """The samples of the first picture track; None where the index does not list them.

    Raises:
        Mp4Error: an MP4 or MOV that is damaged or too large to index.
    """
    moov = _moov(Source(read, size_bytes))
    return _pictures(moov) if moov is not None else None


def activity(pictures: Pictures) -> tuple[int, ...]:
    """Bytes of picture per stretch, at least a second each and at most `ACTIVITY_BUCKETS`.

    A picture that others build on is spread evenly over their time, or it would look like a burst
    of motion.
    """
    duration_s = pictures.duration_s
    count = max(1, min(ACTIVITY_BUCKETS, int(duration_s)))
    each_s = duration_s / count
    totals = [0.0] * count
    for start_s, end_s, size_bytes in _spread(pictures):
        first, last = int(start_s / each_s), min(count - 1, int(end_s / each_s))
        for bucket in range(min(first, count - 1), last + 1):
            inside_s = min(end_s, (bucket + 1) * each_s) - max(start_s, bucket * each_s)
            totals[bucket] += size_bytes * max(0.0, inside_s) / (end_s - start_s)
    return tuple(round(total) for total in totals)


def _spread(pictures: Pictures) -> Iterator[tuple[float, float, int]]:
    """Start, end and bytes: of each picture, those that others build on over all of theirs."""
    count = len(pictures.sizes_bytes)
    keys = iter(pictures.keys)
    key = next(keys, count)
    for number in range(count):
        end = number + 1
        if number == key:
            end = key = next(keys, count)
        start_s, end_s = pictures.times_s[number], pictures.times_s[end]
        if end_s > start_s:
            yield start_s, end_s, pictures.sizes_bytes[number]


def _moov(source: Source) -> Box | None:
    if source.size_bytes < 8 or not starts_like_mp4(source.take(0, 8)):
        return None
    for span in top_level(source):
        if span.type == b"moov":
            return load_moov(source, span)
    return None


def _pictures(moov: Box) -> Pictures | None:
    for trak in moov.all(b"trak"):
        if handler_type(trak.first(b"mdia")) == b"vide":
            return _of_track(trak)
    return None


def _pace(moov: Box) -> Pace | None:
    for trak in moov.all(b"trak"):
        if handler_type(trak.first(b"mdia")) == b"vide":
            table, header = trak.first(b"mdia", b"minf", b"stbl"), trak.first(b"mdia", b"mdhd")
            if table is None or header is None or (timescale := _timescale(header)) <= 0:
                return None
            return pace(_shown(table), Fraction(1, timescale))
    return None


def _shown(table: Box) -> Sequence[int]:
    """When the pictures are shown, in order: as they are decoded, each with its own delay. Empty
    for what is decoded evenly, as most films: delays only change the order then."""
    stts = table.first(b"stts")
    if are_even(_how_many(stts)):
        return ()
    decoded = _run_lengths(stts, PICTURES_LIMIT)
    delays = _run_lengths(table.first(b"ctts"), PICTURES_LIMIT)
    starts = array("q", accumulate(decoded, initial=0))[:-1]
    if len(delays) == len(starts):
        for place, delay in enumerate(delays):
            starts[place] += _signed(delay)
    return [start for start, _ in groupby(sorted(starts))]


def _how_many(stts: Box | None) -> Counter[int]:
    """How many pictures last for how many ticks."""
    counts: Counter[int] = Counter()
    for count, ticks in _runs(stts):
        counts[ticks] += count
    return counts


def _runs(box: Box | None) -> Iterator[tuple[int, int]]:
    """How many pictures have which value, one run after the other."""
    if box is not None and len(box.payload) >= 8:
        (entries,) = struct.unpack_from(">I", box.payload, 4)
        words = _words(box.payload, 8, 2 * entries)
        yield from zip(words[::2], words[1::2], strict=False)


def _signed(delay: int) -> int:
    """As version 1 has it; no picture of version 0 waits for so long."""
    return delay - 2**32 if delay >= 2**31 else delay


def _run_lengths(box: Box | None, limit: int) -> Sequence[int]:
    """The value of each picture; the first so many."""
    values = array("I")
    for count, value in _runs(box):
        values.extend(array("I", [value]) * min(count, limit - len(values)))
    return values


def _of_track(trak: Box) -> Pictures | None:
    table, header = trak.first(b"mdia", b"minf", b"stbl"), trak.first(b"mdia", b"mdhd")
    if table is None or header is None:
        return None
    sizes = _sizes(table.first(b"stsz"))
    times = _times(table.first(b"stts"), _timescale(header), len(sizes))
    if not sizes or len(times) != len(sizes) + 1 or times[-1] <= 0:
        return None
    return Pictures(sizes_bytes=sizes, times_s=times, keys=_keys(table, len(sizes)))


def _sizes(stsz: Box | None) -> Sequence[int]:
    if stsz is None or len(stsz.payload) < 12:
        return ()
    size, count = struct.unpack_from(">II", stsz.payload, 4)
    if count > SAMPLES_LIMIT:
        raise Mp4Error(f"The film's index lists more than {SAMPLES_LIMIT} pictures.")
    return array("I", [size]) * count if size else _words(stsz.payload, 12, count)


def _times(stts: Box | None, timescale: int, count: int) -> Sequence[float]:
    """The times of so many samples, and the end of the last; empty where they do not fit."""
    if timescale <= 0:
        return ()
    times = array("d", [0.0])
    ticks = 0
    for samples, ticks_each in _runs(stts):
        if len(times) + samples > count + 1:
            return ()
        for _ in range(samples):
            ticks += ticks_each
            times.append(ticks / timescale)
    return times


def _timescale(mdhd: Box) -> int:
    at = 20 if mdhd.payload[:1] == b"\x01" else 12
    if len(mdhd.payload) < at + 4:
        return 0
    return int(struct.unpack_from(">I", mdhd.payload, at)[0])


def _keys(table: Box, count: int) -> Sequence[int]:
    """Without a list every picture is one that needs no other."""
    stss = table.first(b"stss")
    if stss is None:
        return range(count)
    if len(stss.payload) < 8:
        return ()
    (listed,) = struct.unpack_from(">I", stss.payload, 4)
    numbers = _words(stss.payload, 8, min(listed, count + 1))
    rising = all(one < other for one, other in pairwise(numbers))
    if (
        len(numbers) > count
        or not rising
        or (numbers and not 1 <= numbers[0] <= numbers[-1] <= count)
    ):
        return ()  # it lists what there is not
    return array("I", (number - 1 for number in numbers))


def _words(payload: bytes | memoryview, start: int, count: int) -> Sequence[int]:
    """So many 32-bit numbers; none where the box is too short for them."""
    end = start + 4 * count
    if len(payload) < end:
        return ()
    words = array("I")
    words.frombytes(bytes(payload[start:end]))
    if sys.byteorder == "little":
        words.byteswap()
    return words
