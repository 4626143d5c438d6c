"""Whatever an index claims, reading and rewriting it costs little: memory, requests, words."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.corpus.surgery import flipped
from chalicelib.domain.mp4 import (
    MOOV_LIMIT_BYTES,
    Entry,
    MovieMetadata,
    Mp4Error,
    read_metadata,
    rewrite_head,
    survey,
)
from chalicelib.domain.mp4.boxes import READS_LIMIT
from chalicelib.domain.mp4.metadata import LABEL_LIMIT, LABELS_LIMIT
from tests.mp4_samples import FTYP, Track, box, film, itunes, mdta, mvhd, xyz

PLACE = MovieMetadata(entries=(Entry(store="udta", key=b"\xa9xyz", value=xyz()),))
SOUND = film(
    [Track(extra=box(b"udta", box(b"\xa9xyz", xyz()))), Track(kind=b"soun", name=b"\x05Named")],
    chunks_per_track=40,
    extra=box(b"udta", itunes({b"\xa9nam": "y"})) + mdta({"abc": "1"}),
)


class Counted:
    """Bytes behind `read`, and what was asked of them; after them `more`, again and again."""

    def __init__(self, data: bytes, size_bytes: int | None = None, more: bytes = b"\0") -> None:
        self.data, self.more = data, more
        self.size_bytes = size_bytes or len(data)
        self.reads = self.bytes = 0

    def read(self, start: int, length: int) -> bytes:
        self.reads += 1
        self.bytes += length
        found = self.data[start : start + length]
        behind = (start + len(found) - len(self.data)) % len(self.more)
        times = (behind + length) // len(self.more) + 1
        return found + (self.more * times)[behind : behind + length - len(found)]


def look(source: Counted) -> None:
    """Everything Slimreel does with an index; refusing is fine, with a sentence."""
    for work in (
        lambda: read_metadata(source.read, source.size_bytes).fields,
        lambda: survey(source.read, source.size_bytes),
        lambda: rewrite_head(source.read, source.size_bytes, PLACE),
    ):
        try:
            work()
        except Mp4Error as error:
            assert str(error).endswith(".")


sizes = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 7, 8, 16, 2**31, 2**32 - 1]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 5), sizes), min_size=1, max_size=4))
def test_no_number_in_an_index_makes_it_dear(lies: list[tuple[int, int]]) -> None:
    data = bytearray(SOUND)
    for place, value in lies:
        data[place : place + 4] = struct.pack(">I", value)
    source = Counted(bytes(data), size_bytes=100 * 2**30)
    tracemalloc.start()
    look(source)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert source.reads <= 3 * READS_LIMIT
    assert peak_bytes < 6 * MOOV_LIMIT_BYTES


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 64))
def test_turned_bits_are_survived(seed: int, flips: int) -> None:
    look(Counted(flipped(SOUND, seed=seed, flips=flips)))


def matroska(*elements: bytes) -> bytes:
    ebml = b"\x1a\x45\xdf\xa3\x80"
    return ebml + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + b"".join(elements)


def element(code: bytes, content: bytes) -> bytes:
    return code + struct.pack(">Q", 1 << 56 | len(content)) + content


def in_moov(*content: bytes) -> bytes:
    return FTYP + box(b"moov", mvhd(), *content)


KEYS = struct.pack(">I4sc", 9, b"mdta", b"k")


def titles() -> Counted:
    """Eight megabytes of them."""
    title = element(b"\x7b\xa9", bytes(2**20))
    return Counted(matroska(element(b"\x15\x49\xa9\x66", title * 8)))


def padding() -> Counted:
    """Half a gigabyte of it before the film begins."""
    return Counted(matroska(), size_bytes=2**29, more=element(b"\xec", bytes(100_000)))


def scattered() -> Counted:
    """Boxes all over the file, one request each."""
    return Counted(FTYP, size_bytes=2**29, more=box(b"free", bytes(400_000)))


def many_keys() -> Counted:
    names = box(b"keys", struct.pack(">II", 0, 10**6), KEYS * 10**6)
    kind = box(b"hdlr", bytes(8), b"mdta", bytes(13))
    return Counted(in_moov(box(b"meta", kind, names, box(b"ilst"))))


def many_references() -> Counted:
    places = box(b"dref", bytes(8), box(b"url ", struct.pack(">I", 1)) * 10**6)
    return Counted(in_moov(box(b"trak", box(b"mdia", box(b"minf", box(b"dinf", places))))))


@pytest.mark.parametrize("make", [titles, padding, scattered, many_keys, many_references])
def test_what_would_be_dear_is_given_up(make: Callable[[], Counted]) -> None:
    source = make()
    tracemalloc.start()
    with pytest.raises(Mp4Error):
        read_metadata(source.read, source.size_bytes)
        rewrite_head(source.read, source.size_bytes, PLACE)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert source.reads <= READS_LIMIT + 1
    assert peak_bytes < 64 * 2**20


def test_rewriting_takes_a_few_times_the_index_in_memory() -> None:
    count = 2**16
    places = struct.pack(">II", 0, count) + struct.pack(">I", 2**27) * count
    tables = box(b"stbl", box(b"stsd", bytes(8)), box(b"stco", places))
    data = in_moov(box(b"trak", box(b"mdia", box(b"minf", tables))))
    tracemalloc.start()
    rewrite_head(Counted(data).read, len(data), PLACE)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The largest index there may be then takes 300 MB of the function's 512; an interpreter with
    # boto3 takes some 90, and the upload twice the index.
    assert peak_bytes < 7.5 * len(data)
    assert 7.5 * MOOV_LIMIT_BYTES < 330e6


def test_what_a_film_says_about_itself_fits_into_a_record_and_an_email() -> None:
    codes = [bytes((97 + n // 676 % 26, 97 + n // 26 % 26, 97 + n % 26, 122)) for n in range(9_000)]
    names = {f"k{n}\nSubject: forged {'x' * 5_000}": "v" for n in range(30)}
    data = in_moov(box(b"udta", *(box(code, bytes(4)) for code in codes)), mdta(names))
    fields = read_metadata(Counted(data).read, len(data)).fields
    assert len(fields) == LABELS_LIMIT + 1
    assert fields[-1].endswith(" more")
    assert all(len(field) <= LABEL_LIMIT and field.isprintable() for field in fields)


def listing(count: int, *tables: bytes) -> bytes:
    """A film of a few hundred bytes that says it holds so many pictures, all of one size."""
    stsz = box(b"stsz", struct.pack(">III", 0, 1_000, count))
    stts = box(b"stts", struct.pack(">IIII", 0, 1, count, 1))
    mdhd = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 60, count, 0, 0))
    kind = box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"))
    minf = box(b"minf", box(b"stbl", stsz, stts, *tables))
    return in_moov(box(b"trak", box(b"mdia", mdhd, kind, minf)))


def keys(numbers: list[int]) -> bytes:
    return box(b"stss", struct.pack(f">II{len(numbers)}I", 0, len(numbers), *numbers))


@pytest.mark.parametrize("of", [(), (keys(list(range(1, 30_001))),)], ids=["unlisted", "listed"])
def test_pictures_that_are_only_claimed_take_little_memory(of: tuple[bytes, ...]) -> None:
    count = 30_000
    data = listing(count, *of)
    tracemalloc.start()
    found = survey(Counted(data).read, len(data))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(found.activity) == pytest.approx(1_000 * count, rel=0.01)
    assert peak_bytes < 45 * count


def test_more_pictures_than_any_film_has_are_refused() -> None:
    data = listing(2**32 - 1)
    with pytest.raises(Mp4Error, match="more than"):
        survey(Counted(data).read, len(data))


@pytest.mark.parametrize("numbers", [[3, 2, 1], [1, 1], [0, 1], [1, 11], [2**32 - 1]])
def test_key_pictures_there_cannot_be_are_no_key_pictures(numbers: list[int]) -> None:
    data = listing(10, keys(numbers))
    assert survey(Counted(data).read, len(data)) == survey(
        Counted(listing(10, keys([]))).read, len(listing(10, keys([])))
    )
