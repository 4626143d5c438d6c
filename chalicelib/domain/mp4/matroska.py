"""Date, title, tags, chapters, attached files, and the audio tracks' names and languages of
Matroska and WebM files.

Elements before the first cluster are read, and of those behind the film the ones that the file's
own list of places (SeekHead) names: writers put Info and Tracks in front, and Tags at either end.

Source: RFC 8794 (EBML), RFC 9559 (Matroska).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from .boxes import Mp4Error, Source
from .matroska_tags import Tag, cover, data_item, entries_of_tags, is_of_the_writer, is_picture
from .metadata import (
    ATTACHED_FILE,
    ATTACHED_FONT,
    ATTACHED_PICTURE,
    MARKS,
    Entry,
    MovieMetadata,
    TrackMetadata,
)

EBML_MAGIC = b"\x1a\x45\xdf\xa3"

_SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_CHAPTERS, _ATTACHMENTS, _TAGS, _SEEK_HEAD = 0x1043A770, 0x1941A469, 0x1254C367, 0x114D9B74
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_ATTACHED, _FILE_NAME, _FILE_TYPE, _FILE_DATA = 0x61A7, 0x466E, 0x4660, 0x465C
_TAG, _TARGETS, _SIMPLE_TAG, _TAG_NAME, _TAG_TEXT = 0x7373, 0x63C0, 0x67C8, 0x45A3, 0x4487
_TARGET_LEVEL, _TARGET_IDS = 0x68CA, (0x63C5, 0x63C9, 0x63C4, 0x63C6)
#: What may come behind the film, too.
_BESIDE = (_CHAPTERS, _ATTACHMENTS, _TAGS)
_DATE, _TITLE = 0x4461, 0x7BA9
_TRACK, _TYPE, _NAME, _LANGUAGE, _LANGUAGE_TAG = 0xAE, 0x83, 0x536E, 0x22B59C, 0x22B59D
_KINDS = {1: "vide", 2: "soun", 0x11: "sbtl"}

#: Seconds from 1904-01-01 (MP4) to 2001-01-01 (Matroska).
_EPOCH_2001_S = 3_061_152_000
_HEAD_LIMIT_BYTES = 4 * 2**20
_ELEMENTS_LIMIT = 10_000
#: Of a tag's text, and of a picture.
TEXT_LIMIT_BYTES, COVER_LIMIT_BYTES = 8 * 2**10, 2**20
#: "ALBUM / OPERA / CONCERT / MOVIE / EPISODE", which is what a tag without a level is about.
LEVEL_OF_A_FILM = 50


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


@dataclass(slots=True)
class _Found:
    """What the elements of a segment said, one after the other."""

    created: int | None = None
    title: tuple[Entry, ...] = ()
    tracks: tuple[TrackMetadata, ...] = ()
    chapters: list[TrackMetadata] = field(default_factory=list)
    attached: list[TrackMetadata] = field(default_factory=list)
    covers: list[Entry] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)

    def metadata(self) -> MovieMetadata:
        entries, unplaced = entries_of_tags(self.tags, titled=bool(self.title))
        return MovieMetadata(
            created_1904_s=self.created,
            entries=(*self.title, *entries, *self.covers),
            tracks=(*self.tracks, *self.chapters, *self.attached),
            unplaced=unplaced,
        )


def read_matroska(source: Source) -> MovieMetadata:
    """What the file says about itself.

    Raises:
        Mp4Error: the header is damaged or oversized.
    """
    # What stands beside has limits of its own: where it is endless, the rest still counts.
    cursor, aside, found = _Cursor(source), _Cursor(source), _Found()
    segment = _segment(cursor)
    behind: dict[int, int] = {}
    met = set()
    for kind, start, end in cursor.elements(*segment):
        if kind == _CLUSTER:
            break
        met.add(kind)
        if kind == _SEEK_HEAD:
            behind |= _places(cursor, segment[0], start, end)
        elif kind == _INFO:
            found.created, found.title = _info(cursor, start, end)
        elif kind == _TRACKS:
            found.tracks = tuple(_all_tracks(cursor, start, end))
        elif kind in _BESIDE:
            _read_beside(aside, found, kind, start, end)
    for kind in _BESIDE:
        place = behind.get(kind, segment[1])
        if kind not in met and place < segment[1]:
            # What is there instead, in a file that was cut off, is no matter.
            with suppress(Mp4Error):
                item, start, end = next(aside.elements(place, segment[1]))
                if item == kind:
                    _read_beside(aside, found, kind, start, end)
    return found.metadata()


def _segment(cursor: _Cursor) -> tuple[int, int]:
    """Start and end of its content."""
    for kind, start, end in cursor.elements(0, cursor.source.size_bytes):
        if kind == _SEGMENT:
            return start, end
    return 0, 0


def _places(cursor: _Cursor, zero: int, start: int, end: int) -> dict[int, int]:
    """Where in the file each kind of element is."""
    places: dict[int, int] = {}
    for kind, begin, stop in cursor.elements(start, end):
        if kind == _SEEK:
            said = {
                item: cursor.bytes(first, last)
                for item, first, last in cursor.elements(begin, stop)
                if item in (_SEEK_ID, _SEEK_POSITION) and last - first <= 8
            }
            wanted, place = (said.get(item, b"") for item in (_SEEK_ID, _SEEK_POSITION))
            places[int.from_bytes(wanted, "big")] = zero + int.from_bytes(place, "big")
    return places


def _all_tracks(cursor: _Cursor, start: int, end: int) -> Iterator[TrackMetadata]:
    for kind, begin, stop in cursor.elements(start, end):
        if kind == _TRACK:
            yield _track(cursor, begin, stop)


def _read_beside(cursor: _Cursor, found: _Found, kind: int, start: int, end: int) -> None:
    with suppress(Mp4Error):
        if kind == _CHAPTERS and end > start:
            found.chapters = [TrackMetadata(kind=MARKS)]
        for item, begin, stop in cursor.elements(start, end):
            if item == _ATTACHED:
                _attached(cursor, found, begin, stop)
            elif item == _TAG:
                found.tags += _tags(cursor, begin, stop)


def _attached(cursor: _Cursor, found: _Found, start: int, end: int) -> None:
    parts = {item: (begin, stop) for item, begin, stop in cursor.elements(start, end)}
    name, kind = (_short(cursor, parts.get(item)) or "" for item in (_FILE_NAME, _FILE_TYPE))
    begin, stop = parts.get(_FILE_DATA, (0, 0))
    if not found.covers and cover(name, kind) and stop - begin <= COVER_LIMIT_BYTES:
        picture = data_item(cursor.bytes(begin, stop), kind)
        found.covers.append(Entry(store="itunes", key=b"covr", value=picture))
        return
    noun = ATTACHED_FONT if "font" in kind.lower() else ATTACHED_FILE
    found.attached.append(TrackMetadata(kind=ATTACHED_PICTURE if is_picture(kind) else noun))


def _tags(cursor: _Cursor, start: int, end: int) -> Iterator[Tag]:
    is_of_all = True
    tags: list[Tag] = []
    for kind, begin, stop in cursor.elements(start, end):
        if kind == _TARGETS:
            is_of_all = _is_the_film(cursor, begin, stop)
        elif kind == _SIMPLE_TAG:
            parts = {item: (first, last) for item, first, last in cursor.elements(begin, stop)}
            name = _short(cursor, parts.get(_TAG_NAME))
            if name and not is_of_the_writer(name):
                tags.append(Tag(name=name, text=_short(cursor, parts.get(_TAG_TEXT))))
    yield from (tag if is_of_all else Tag(name=tag.name) for tag in tags)


def _is_the_film(cursor: _Cursor, start: int, end: int) -> bool:
    """Whether a tag is about the film as a whole, and not a part of it or a series."""
    for kind, begin, stop in cursor.elements(start, end):
        value = int.from_bytes(cursor.bytes(begin, stop)[:8], "big")
        if (kind in _TARGET_IDS and value) or (kind == _TARGET_LEVEL and value != LEVEL_OF_A_FILM):
            return False
    return True


def _short(cursor: _Cursor, at: tuple[int, int] | None) -> str | None:
    """Text that is short enough to be carried; None where there is none."""
    if at is None or at[1] - at[0] > TEXT_LIMIT_BYTES:
        return None
    return cursor.bytes(*at).rstrip(b"\0").decode("utf-8", "replace") or None


def _info(cursor: _Cursor, start: int, end: int) -> tuple[int | None, tuple[Entry, ...]]:
    created: int | None = None
    entries: list[Entry] = []
    for kind, begin, stop in cursor.elements(start, end):
        if kind == _DATE and stop - begin == 8:
            nanoseconds = int.from_bytes(cursor.bytes(begin, stop), "big", signed=True)
            created = max(0, nanoseconds // 10**9 + _EPOCH_2001_S) or None
        elif kind == _TITLE and stop > begin:
            text = cursor.bytes(begin, stop).rstrip(b"\0")
            entries.append(Entry(store="itunes", key=b"\xa9nam", value=data_item(text)))
    return created, tuple(entries)


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
