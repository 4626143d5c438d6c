"""Date, title, chapters, and the audio tracks' names and languages of Matroska and WebM files.

Only elements before the first cluster are read: writers put Info and Tracks there.

Source: RFC 8794 (EBML), RFC 9559 (Matroska).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from .boxes import Mp4Error, Source
from .metadata import Entry, MovieMetadata, TrackMetadata

EBML_MAGIC = b"\x1a\x45\xdf\xa3"

_SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_CHAPTERS = 0x1043A770
_DATE, _TITLE = 0x4461, 0x7BA9
_TRACK, _TYPE, _NAME, _LANGUAGE, _LANGUAGE_TAG = 0xAE, 0x83, 0x536E, 0x22B59C, 0x22B59D
_KINDS = {1: "vide", 2: "soun", 0x11: "sbtl"}

#: Seconds from 1904-01-01 (MP4) to 2001-01-01 (Matroska).
_EPOCH_2001_S = 3_061_152_000
_HEAD_LIMIT_BYTES = 4 * 2**20
_ELEMENTS_LIMIT = 10_000


@dataclass(slots=True)
class _Cursor:
    """Elements between two places of a file, with limits on how many are looked at and how much
    of their content is taken."""

    source: Source
    elements_left: int = field(default=_ELEMENTS_LIMIT)
    bytes_left: int = field(default=_HEAD_LIMIT_BYTES)

    def elements(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Id, start and end of the content of each element in `[start, end)`."""
        while start < end:
            self.elements_left -= 1
            if self.elements_left < 0:
                raise Mp4Error("The Matroska header holds too many elements.")
            kind, start = self._number(start, end, keep_marker=True)
            size, start = self._number(start, end, keep_marker=False)
            stop = min(end, start + size)
            yield kind, start, stop
            start = stop

    def _number(self, start: int, end: int, *, keep_marker: bool) -> tuple[int, int]:
        first = self.source.take(start, 1)[0]
        length = 9 - first.bit_length()
        if length > 8 or start + length > end:
            raise Mp4Error("The Matroska header is damaged.")
        value = int.from_bytes(self.source.take(start, length), "big")
        if not keep_marker:
            unknown = value == (1 << (7 * length + 1)) - 1
            value = end if unknown else value - (1 << (7 * length))
        return value, start + length

    def bytes(self, start: int, end: int) -> bytes:
        self.bytes_left -= end - start
        if self.bytes_left < 0:
            raise Mp4Error("The Matroska header holds more than any film has to say.")
        return self.source.take(start, end - start)


def read_matroska(source: Source) -> MovieMetadata:
    """What the file says about itself.

    Raises:
        Mp4Error: the header is damaged or oversized.
    """
    cursor = _Cursor(source)
    created: int | None = None
    entries: tuple[Entry, ...] = ()
    tracks: tuple[TrackMetadata, ...] = ()
    chapters: tuple[TrackMetadata, ...] = ()
    for kind, start, end in _segment(cursor):
        if kind == _INFO:
            created, entries = _info(cursor, start, end)
        elif kind == _TRACKS:
            tracks = tuple(
                _track(cursor, begin, stop)
                for item, begin, stop in cursor.elements(start, end)
                if item == _TRACK
            )
        elif kind == _CHAPTERS and end > start:
            chapters = (TrackMetadata(kind="chap"),)
        elif kind == _CLUSTER:
            break
    return MovieMetadata(created_1904_s=created, entries=entries, tracks=(*tracks, *chapters))


def _segment(cursor: _Cursor) -> Iterator[tuple[int, int, int]]:
    for kind, start, end in cursor.elements(0, cursor.source.size_bytes):
        if kind == _SEGMENT:
            yield from cursor.elements(start, end)
            return


def _info(cursor: _Cursor, start: int, end: int) -> tuple[int | None, tuple[Entry, ...]]:
    created: int | None = None
    entries: list[Entry] = []
    for kind, begin, stop in cursor.elements(start, end):
        if kind == _DATE and stop - begin == 8:
            nanoseconds = int.from_bytes(cursor.bytes(begin, stop), "big", signed=True)
            created = max(0, nanoseconds // 10**9 + _EPOCH_2001_S) or None
        elif kind == _TITLE and stop > begin:
            text = cursor.bytes(begin, stop).rstrip(b"\0")
            entries.append(Entry(store="itunes", key=b"\xa9nam", value=_text_item(text)))
    return created, tuple(entries)


def _text_item(text: bytes) -> bytes:
    """An iTunes data box: type 1 is UTF-8."""
    return struct.pack(">I4sII", 16 + len(text), b"data", 1, 0) + text


def _track(cursor: _Cursor, start: int, end: int) -> TrackMetadata:
    # RFC 9559 5.1.4.1.19: a track without Language is English. Writers leave it out when they
    # do not know, so a missing one counts as undetermined here.
    found: dict[int, bytes] = {}
    for kind, begin, stop in cursor.elements(start, end):
        if kind in (_TYPE, _NAME, _LANGUAGE, _LANGUAGE_TAG):
            found[kind] = cursor.bytes(begin, stop)
    number = int.from_bytes(found.get(_TYPE, b""), "big")
    return TrackMetadata(
        kind=_KINDS.get(number, f"matroska {number}"),
        language=_language(found.get(_LANGUAGE)),
        language_tag=_language_tag(found.get(_LANGUAGE_TAG)),
        name=_text(found.get(_NAME)),
    )


def _text(raw: bytes | None) -> str | None:
    text = (raw or b"").rstrip(b"\0").decode("utf-8", "replace")
    return "".join(char for char in text if char.isprintable()).strip()[:255] or None


def _language(raw: bytes | None) -> str | None:
    text = _text(raw)
    return text if text and re.fullmatch("[a-z]{3}", text) and text != "und" else None


def _language_tag(raw: bytes | None) -> str | None:
    text = _text(raw)
    return text if text and re.fullmatch("[A-Za-z0-9-]{2,35}", text) and text != "und" else None
