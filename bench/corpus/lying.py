"""MP4 films whose index lies: sizes, counts, times and dimensions that cannot be, or cost too much.

Source of the boxes' layouts: ISO/IEC 14496-12.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from bench.corpus.film import ANY, FAILED, KEPT, Film
from bench.corpus.surgery import Change, box, edited, patched, span
from bench.corpus.workshop import Workshop

_VIDEO = "moov/trak/mdia/minf/stbl"
_HUGE = 2**32 - 1


def films() -> Iterator[Film]:
    for name, path, change in _LIES:
        yield _lie(name, path, change)
    yield Film(name="pictures of 65535x65535.mp4", make=_resized(65535, 65535))
    yield Film(name="pictures of 0x0.mp4", make=_resized(0, 0))
    yield from _boxes()
    yield Film(name="six minutes of 4K60 in a megabyte.mp4", make=_bomb, ends=KEPT, limit_s=300)


#: What is said, the box that says it, and how it is changed.
_LIES: tuple[tuple[str, str, Change], ...] = (
    ("four billion samples", f"{_VIDEO}/stsz", patched(8, ">I", _HUGE)),
    ("samples of two gigabytes", f"{_VIDEO}/stsz", patched(4, ">I", 2**31)),
    ("no samples", f"{_VIDEO}/stsz", lambda _: struct.pack(">III", 0, 0, 0)),
    ("four billion chunks", f"{_VIDEO}/stco", patched(4, ">I", _HUGE)),
    ("chunks behind the end", f"{_VIDEO}/stco", patched(8, ">I", 0xFFFFFF00)),
    ("chunks in the header", f"{_VIDEO}/stco", patched(8, ">I", 0)),
    ("four billion samples per chunk", f"{_VIDEO}/stsc", patched(12, ">I", _HUGE)),
    ("no sample in any chunk", f"{_VIDEO}/stsc", lambda _: bytes(8)),
    ("a chunk number of zero", f"{_VIDEO}/stsc", patched(8, ">I", 0)),
    ("four billion time stamps", f"{_VIDEO}/stts", patched(4, ">I", _HUGE)),
    ("every frame at the same time", f"{_VIDEO}/stts", patched(12, ">I", 0)),
    ("frames that last two days", f"{_VIDEO}/stts", patched(12, ">I", 2**31 - 1)),
    ("frames that last less than nothing", f"{_VIDEO}/stts", patched(12, ">I", 2**31 + 5)),
    ("no stsd", f"{_VIDEO}/stsd", lambda _: bytes(8)),
    ("a codec nobody knows", f"{_VIDEO}/stsd", patched(12, ">4s", b"zzzz")),
    ("pictures said to be encrypted", f"{_VIDEO}/stsd", patched(12, ">4s", b"encv")),
    ("sound said to be encrypted", "moov/trak.1/mdia/minf/stbl/stsd", patched(12, ">4s", b"enca")),
    ("no decoder configuration", f"{_VIDEO}/stsd", patched(98, ">4s", b"free")),
    ("pictures said to be sound", "moov/trak/mdia/hdlr", patched(8, ">4s", b"soun")),
    ("pictures of an unknown kind", "moov/trak/mdia/hdlr", patched(8, ">4s", b"\0\xff\n'")),
    ("a time scale of zero", "moov/trak/mdia/mdhd", patched(12, ">I", 0)),
    ("a negative time scale", "moov/trak/mdia/mdhd", patched(12, ">I", 2**31 + 1)),
    ("a length of four billion", "moov/trak/mdia/mdhd", patched(16, ">I", _HUGE)),
    ("a film of no length", "moov/mvhd", patched(16, ">I", 0)),
    ("a film with a time scale of zero", "moov/mvhd", patched(12, ">I", 0)),
    ("an edit that starts in the past", "moov/trak/edts/elst", patched(12, ">i", -(2**30))),
    ("an edit far behind the end", "moov/trak/edts/elst", patched(12, ">I", 2**30)),
    ("an edit that lasts for ever", "moov/trak/edts/elst", patched(8, ">I", _HUGE)),
    ("an edit at speed zero", "moov/trak/edts/elst", patched(16, ">I", 0)),
    (
        "20,000 edits",
        "moov/trak/edts/elst",
        lambda _: struct.pack(">II", 0, 20_000) + struct.pack(">Iii", 40, 0, 1 << 16) * 20_000,
    ),
    ("a matrix of noise", "moov/trak/tkhd", patched(40, ">9I", *[0x7FFF1234] * 9)),
    ("pictures shown at 0x0", "moov/trak/tkhd", patched(76, ">II", 0, 0)),
    ("two tracks of one number", "moov/trak.1/tkhd", patched(12, ">I", 1)),
)


def _lie(name: str, path: str, change: Change) -> Film:
    return Film(name=f"{name}.mp4", make=lambda shop: edited(shop.sound("last.mp4"), path, change))


def _resized(width: int, height: int) -> Callable[[Workshop], bytes]:
    def make(shop: Workshop) -> bytes:
        return edited(shop.sound("last.mp4"), f"{_VIDEO}/stsd", patched(40, ">HH", width, height))

    return make


def _boxes() -> Iterator[Film]:
    """Lies told by the boxes themselves."""

    def made(change: Callable[[bytes], bytes]) -> Callable[[Workshop], bytes]:
        return lambda shop: change(shop.sound("last.mp4"))

    def in_moov(more: Callable[[], bytes]) -> Callable[[Workshop], bytes]:
        return made(lambda data: edited(data, "moov", lambda content: content + more()))

    def told_of(kind: bytes, size: int) -> Callable[[Workshop], bytes]:
        def change(data: bytes) -> bytes:
            start, _ = span(data, kind)
            return data[:start] + struct.pack(">I", size) + data[start + 4 :]

        return made(change)

    whole = b"mdat"
    yield Film(name="pictures of two gigabytes.mp4", make=told_of(whole, 2**31), ends=FAILED)
    yield Film(name="an index of four gigabytes.mp4", make=told_of(b"moov", _HUGE))
    yield Film(name="an index of five bytes.mp4", make=told_of(b"moov", 5), ends=FAILED)
    yield Film(name="no ftyp.mp4", make=made(lambda data: data[span(data, b"ftyp")[1] :]))
    yield Film(
        name="a brand of control characters.mp4",
        make=made(lambda data: data[:8] + b"\0\n\r\x1b" + data[12:]),
    )
    yield Film(name="boxes 20,000 deep.mp4", make=in_moov(lambda: _nested(20_000)))
    yield Film(name="200,000 empty boxes.mp4", make=in_moov(lambda: box(b"free") * 200_000))
    yield Film(
        name="40,000 pieces of metadata.mp4",
        make=in_moov(lambda: box(b"udta", *(box(_code(n), bytes(4)) for n in range(40_000)))),
        ends=ANY,
    )
    yield Film(
        name="a megabyte of title.mp4",
        make=in_moov(lambda: box(b"udta", box(b"titl", b"\0\0\0\0\x55\xc4" + b"=1+1\n" * 200_000))),
    )
    yield Film(
        name="two indexes.mp4",
        make=made(lambda data: data + data[slice(*span(data, b"moov"))]),
    )
    yield Film(
        name="an index inside the index.mp4",
        make=made(
            lambda data: edited(data, "moov", lambda c: c + data[slice(*span(data, b"moov"))])
        ),
    )
    yield Film(
        name="1,500 boxes in a row.mp4",
        make=made(lambda data: box(b"free") * 1_500 + data),
    )


def _nested(depth: int) -> bytes:
    """Boxes in boxes, without building each of them."""
    return b"".join(struct.pack(">I4s", 8 * (depth - n), b"udta") for n in range(depth))


def _code(number: int) -> bytes:
    """A code that means nothing to anybody."""
    letters = b"abcdefghijklmnopqrstuvwxyz0123456789"
    return b"z" + bytes(letters[(number // 36**place) % 36] for place in range(3))


def _bomb(shop: Workshop) -> bytes:
    """21,600 frames of 3840x2160 that all are the very same few kilobytes of one key frame."""
    frames, rate = 21_600, 60
    still = shop.make(
        "still.mp4",
        *("-frames:v", "1", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "40", "-an"),
        picture="color=gray:s=3840x2160:r=60:d=0.1,format=yuv420p",
        sounds=(),
    )
    ticks = 256  # of a frame
    stco = 0

    def place(content: bytes) -> bytes:
        nonlocal stco
        (stco,) = struct.unpack_from(">I", content, 8)
        return struct.pack(">II", 0, frames) + struct.pack(">I", stco) * frames

    def size(content: bytes) -> bytes:
        (one,) = struct.unpack_from(">I", content, 4)
        if not one:
            (one,) = struct.unpack_from(">I", content, 12)
        return struct.pack(">III", 0, one, frames)

    for path, change in {
        f"{_VIDEO}/stts": lambda _: struct.pack(">IIII", 0, 1, frames, ticks),
        f"{_VIDEO}/stsc": lambda _: struct.pack(">IIIII", 0, 1, 1, 1, 1),
        f"{_VIDEO}/stsz": size,
        f"{_VIDEO}/stco": place,
        "moov/trak/mdia/mdhd": patched(12, ">II", ticks * rate, ticks * frames),
        "moov/trak/tkhd": patched(20, ">I", 1000 * frames // rate),
        "moov/mvhd": patched(12, ">II", 1000, 1000 * frames // rate),
        "moov/trak/edts": lambda _: b"",
    }.items():
        still = edited(still, path, change)
    return still + box(b"free", bytes(max(0, 1_000_000 - len(still))))
