"""What an MP4's index tells about its pictures before anything is decoded."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from chalicelib.domain.mp4 import Mp4Error, Pictures, pictures, survey
from chalicelib.domain.mp4.samples import activity
from tests.mp4_samples import box, mvhd, reading

MDHD = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, 4000, 0, 0))


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def table(sizes: bytes, times: bytes, keys: bytes | None = None) -> bytes:
    parts = [box(b"stsz", bytes(4), sizes), box(b"stts", bytes(4), times)]
    if keys is not None:
        parts.append(box(b"stss", bytes(4), keys))
    return box(b"stbl", *parts)


def film(tables: bytes, *, kind: bytes = b"vide", more: bytes = b"") -> bytes:
    handler = box(b"hdlr", struct.pack(">II4s12x", 0, 0, kind), b"\0")
    trak = box(b"trak", box(b"mdia", MDHD, handler, box(b"minf", tables)))
    return box(b"ftyp", b"isom", bytes(4)) + box(b"moov", mvhd(), trak, more)


def found(data: bytes) -> Pictures | None:
    return pictures(*reading(data))


FOUR = numbers(0, 4, 900, 100, 700, 300), numbers(1, 4, 1000)


def test_sizes_times_and_key_pictures_are_read() -> None:
    read = found(film(table(*FOUR, numbers(2, 1, 3))))
    assert read is not None
    assert list(read.sizes_bytes) == [900, 100, 700, 300]
    assert list(read.times_s) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert list(read.keys) == [0, 2]


def test_pictures_of_one_size_without_a_list_are_all_keys() -> None:
    read = found(film(table(numbers(500, 3), numbers(2, 1, 1000, 2, 500))))
    assert read is not None
    assert list(read.sizes_bytes) == [500, 500, 500]
    assert list(read.times_s) == [0.0, 1.0, 1.5, 2.0]
    assert list(read.keys) == [0, 1, 2]


def test_a_key_picture_counts_where_others_build_on_it() -> None:
    read = found(film(table(*FOUR, numbers(2, 1, 3))))
    assert read is not None
    assert activity(read) == (450, 550, 350, 650)


def test_long_films_are_told_in_few_stretches_that_add_up() -> None:
    long = Pictures(sizes_bytes=[7] * 5000, times_s=list(range(5001)), keys=[0])
    told = activity(long)
    assert len(told) == 480
    assert sum(told) == pytest.approx(35_000, rel=0.02)


def test_the_program_that_wrote_it_is_named() -> None:
    data = box(b"data", numbers(1, 0), "HandBrake 1.9 – x".encode())
    items = box(b"ilst", box(b"\xa9too", data))
    handler = box(b"hdlr", bytes(8), b"mdir", b"appl", bytes(9))
    more = box(b"udta", box(b"meta", bytes(4), handler, items))
    told = survey(*reading(film(table(*FOUR), more=more)))
    assert told.writer == "HandBrake 1.9 – x"
    assert len(told.activity) == 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        film(table(*FOUR), kind=b"soun"),
        film(box(b"stbl")),
        film(table(numbers(0, 9, 900), numbers(1, 9, 1000))),  # sizes end too early
        film(table(numbers(0, 4, 1, 1, 1, 1), numbers(1, 3, 1000))),  # one time is missing
        film(table(numbers(0, 2, 1, 1), numbers(1, 0xFFFFFFFF, 1))),  # more times than pictures
        film(table(numbers(0, 2, 1, 1), numbers(1, 2, 0))),  # all at once
    ],
)
def test_an_index_that_does_not_tell_is_no_error(data: bytes) -> None:
    assert found(data) is None
    assert survey(*reading(data)).activity == ()


@pytest.mark.parametrize(
    "data",
    [
        film(table(numbers(1, 0xFFFFFFFF), numbers(1, 1, 1))),
        box(b"ftyp", b"isom", bytes(4)) + numbers(2**31) + b"moov",
    ],
)
def test_a_hostile_index_is_refused(data: bytes) -> None:
    with pytest.raises(Mp4Error):
        found(data)


def test_pictures_are_counted_as_they_are_shown() -> None:
    """Decoded evenly, and shown so only with their delays."""
    sizes = numbers(7, 200)
    steady = film(table(sizes, numbers(1, 200, 40)))
    assert survey(*reading(steady)).pace is None
    delays = box(b"ctts", bytes(4), numbers(2, 100, 0, 100, 20))
    tables = table(sizes, numbers(2, 100, 40, 100, 100))
    uneven = survey(*reading(film(tables))).pace
    assert uneven is not None and uneven.roomy == "25/1"
    delayed = survey(*reading(film(box(b"stbl", tables[8:], delays)))).pace
    assert delayed is not None and delayed.roomy == "25/1"
    back = box(b"ctts", bytes(4), numbers(2, 100, 2**32 - 40, 100, 0))
    assert survey(*reading(film(box(b"stbl", tables[8:], back)))).pace is not None
    short = box(b"ctts", bytes(4), numbers(1, 3, 40))
    assert (
        survey(*reading(film(box(b"stbl", table(sizes, numbers(1, 200, 40))[8:], short)))).pace
        is None
    )


def test_a_real_file_is_read_as_ffmpeg_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i"]
    argv += ["testsrc2=size=160x120:rate=25:duration=4", "-g", "50", "-preset", "ultrafast"]
    subprocess.run([*argv, str(path)], check=True)
    data = path.read_bytes()
    read = found(data)
    assert read is not None
    assert (len(read.sizes_bytes), read.duration_s) == (100, 4.0)
    assert list(read.keys) == [0, 50]
    assert 0.5 < sum(read.sizes_bytes) / len(data) < 1
    told = survey(*reading(data))
    assert len(told.activity) == 4
    assert told.writer is not None and told.writer.startswith("Lavf")
