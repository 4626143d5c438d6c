"""Matroska's tags as entries of an MP4, as far as MP4 has a place for them.

Source: draft-ietf-cellar-tags-12, https://datatracker.ietf.org/doc/html/draft-ietf-cellar-tags-12
(names of tags); "Well-known types" in the QuickTime File Format (kinds of data).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from .metadata import LABEL_LIMIT, Entry

#: iTunes keys by the name of a tag; DATE, LOCATION and the dotted ones are ffmpeg's, when it puts a
#: phone's film into Matroska.
_PLACES = {
    "TITLE": b"\xa9nam",
    "ARTIST": b"\xa9ART",
    "COMPOSER": b"\xa9wrt",
    "COMMENT": b"\xa9cmt",
    "DESCRIPTION": b"desc",
    "SYNOPSIS": b"ldes",
    "GENRE": b"\xa9gen",
    "KEYWORDS": b"keyw",
    "COPYRIGHT": b"cprt",
    "DATE": b"\xa9day",
    "DATE_RECORDED": b"\xa9day",
}
_POSITION = re.compile(r"[+-]\d+(\.\d+)?[+-]\d+(\.\d+)?.*/?")
_KEYED = re.compile(r"COM\.(APPLE\.QUICKTIME|ANDROID)\.[A-Z0-9_.]+")
#: Said of the file and not of the film: wrong once it was encoded anew. A language may follow.
_OF_THE_WRITER = re.compile(
    r"(ENCODER|ENCODER_OPTIONS|BPS|DURATION|NUMBER_OF_FRAMES|NUMBER_OF_BYTES|SOURCE_ID|"
    r"_STATISTICS_.*|MAJOR_BRAND|MINOR_VERSION|COMPATIBLE_BRANDS|HANDLER_NAME|VENDOR_ID|"
    r"CREATION_TIME|LOCATION-[A-Z]{3})(-[A-Z]{3})?"
)
#: Kinds of data: UTF-8, and pictures by their media type.
_TEXT, _PICTURES = 1, {"image/jpeg": 13, "image/png": 14}
#: The language that QuickTime's user data text is marked with: none in particular.
_UNDETERMINED = 0x55C4


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag; `text` is None where it is about a part of the film, too long, or no text."""

    name: str
    text: str | None = None


def entries_of_tags(
    tags: Iterable[Tag], *, titled: bool
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """What can be carried, and the names of what cannot. Of several under one key, the first.

    Args:
        titled: the film has a title beside its tags.
    """
    entries: dict[tuple[str, bytes], Entry] = {}
    unplaced: list[str] = []
    for tag in tags:
        entry = _entry(tag)
        if entry is not None and titled and entry.key == _PLACES["TITLE"]:
            continue
        if entry is None or (entry.store, entry.key) in entries:
            unplaced.append(_tamed(tag.name))
        else:
            entries[entry.store, entry.key] = entry
    return tuple(entries.values()), tuple(dict.fromkeys(unplaced))


def _entry(tag: Tag) -> Entry | None:
    name, text = tag.name.upper(), (tag.text or "").encode()
    if not text:
        return None
    if name in _PLACES:
        return Entry(store="itunes", key=_PLACES[name], value=data_item(text))
    if name == "LOCATION" and _POSITION.fullmatch(tag.text or ""):
        head = struct.pack(">HH", len(text), _UNDETERMINED)
        return Entry(store="udta", key=b"\xa9xyz", value=head + text)
    if _KEYED.fullmatch(name):
        key = name.lower().replace(".iso6709", ".ISO6709")
        return Entry(store="mdta", key=b"mdta" + key.encode(), value=data_item(text))
    return None


def is_of_the_writer(name: str) -> bool:
    return _OF_THE_WRITER.fullmatch(name.upper()) is not None


def cover(name: str, media_type: str) -> bool:
    """Whether an attached file is the picture that stands for the film.

    Source: RFC 9559, section 21.1 (cover art).
    """
    return media_type in _PICTURES and re.match(r"(small_)?cover", name.lower()) is not None


def is_picture(media_type: str) -> bool:
    return media_type.lower().startswith("image/")


def data_item(content: bytes, media_type: str = "") -> bytes:
    """An iTunes data box."""
    kind = _PICTURES.get(media_type, _TEXT)
    return struct.pack(">I4sII", 16 + len(content), b"data", kind, 0) + content


def _tamed(name: str) -> str:
    """A name that anyone may have chosen, on one line and short."""
    return "".join(char for char in name if char.isprintable()).strip()[:LABEL_LIMIT] or "unnamed"
