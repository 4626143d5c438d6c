"""What a film has beside picture and sound: subtitles, chapters, time code, data of cameras.

Also how the picture is placed, where no quarter turn says it.

Source: ISO/IEC 14496-12 sections 8.3.2 (tkhd), 8.11.1 (meta); XMP Specification Part 3 (its uuid).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from .boxes import Box, Mp4Error, Source, Span, top_level
from .metadata import (
    ATTACHED_FILE,
    ATTACHED_FONT,
    ATTACHED_PICTURE,
    CHAPTER_TRACK,
    MARKS,
    OTHER_TRACKS,
    MovieMetadata,
)
from .reading import handler_type

#: Handlers and the kind of thing they stand for; all others are data.
_KINDS = {
    "sbtl": "subtitles",
    "subt": "subtitles",
    "subp": "subtitles",
    "text": "subtitles",
    "clcp": "subtitles",
    "tmcd": "timecode",
    MARKS: "chapters",
    CHAPTER_TRACK: "chapters",
    ATTACHED_FONT: "attachments",
    ATTACHED_PICTURE: "attachments",
    ATTACHED_FILE: "attachments",
}
#: What a record has room for; a hostile index may list tens of thousands.
BESIDE_LIMIT = 100
#: Boxes of a file that are looked at; one that is streamed has thousands of fragments.
BOXES_LIMIT = 100
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
#: Kinds of metadata that are read and put back, entry by entry.
_CARRIED_META = (b"mdir", b"mdta")
#: Tracks that are carried, and those that only serve them.
_NOT_BESIDE = ("vide", "soun", "hint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One track that is neither picture nor sound; of a Matroska file also its chapters, attached
    files, and tags that MP4 has no place for.

    Attributes:
        kind: "subtitles", "chapters", "timecode", "attachments", "tags" or "data".
        noun: for people; of a tag its name.
        language: ISO 639-2/T.
    """

    kind: str
    noun: str
    language: str | None = None


def beside(metadata: MovieMetadata) -> tuple[Beside, ...]:
    """In the file's order, the first `BESIDE_LIMIT`."""
    others = [track for track in metadata.tracks if track.kind not in _NOT_BESIDE]
    found = [
        Beside(
            kind=_KINDS.get(track.kind, "data"),
            noun=OTHER_TRACKS.get(track.kind, "data track"),
            language=track.language,
        )
        for track in others
    ]
    tags = (Beside(kind="tags", noun=name) for name in metadata.unplaced)
    return (*found, *tags)[:BESIDE_LIMIT]


def outside(source: Source, moov: Box) -> tuple[Beside, ...]:
    """What a file says about itself where it is not read: in boxes of its own, as editing suites
    write them, and in the form that some cameras have."""
    return tuple(Beside(kind="tags", noun=name) for name in dict.fromkeys(_outside(source, moov)))


def _outside(source: Source, moov: Box) -> Iterator[str]:
    if any(handler_type(meta) not in _CARRIED_META for meta in moov.all(b"meta")):
        yield "other metadata"
    with suppress(Mp4Error):  # of what is cut off or scattered, the rest
        for span in islice(top_level(source), BOXES_LIMIT):
            if span.type == b"meta":
                yield "other metadata"
            elif span.type == b"uuid" and _uuid(source, span) == _XMP:
                yield "XMP"


def _uuid(source: Source, span: Span) -> bytes:
    content = span.start + span.header_bytes
    return source.take(content, min(len(_XMP), span.end - content))


def odd_turn(moov: Box) -> str | None:
    """How the first picture track is placed, where it is not by quarter turns: "mirrored", or
    "turned by an odd angle"; None where it is, or does not say."""
    for trak in moov.all(b"trak"):
        if handler_type(trak.first(b"mdia")) == b"vide":
            return _odd_turn(trak.first(b"tkhd"))
    return None


def _odd_turn(header: Box | None) -> str | None:
    at = 52 if header is not None and header.payload[:1] == b"\x01" else 40
    if header is None or len(header.payload) < at + 20:
        return None
    a, b, _, c, d = struct.unpack_from(">5i", header.payload, at)
    if a * d - b * c < 0:
        return "mirrored"
    straight = (b == c == 0) or (a == d == 0)
    return None if straight else "turned by an odd angle"
