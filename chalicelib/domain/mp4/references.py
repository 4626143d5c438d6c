"""Which tracks of an MP4 or MOV stand for the chapters of others.

Source: ISO/IEC 14496-12 sections 8.3.2 (tkhd), 8.3.3 (tref); QuickTime File Format, "Chapter
lists" (a text track that another one refers to as `chap`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from .boxes import Box, split


def chapter_track_ids(traks: Iterable[Box]) -> frozenset[int]:
    """Ids of the text tracks that other tracks name as their chapters."""
    return frozenset(number for trak in traks for number in _chapters_of(trak))


def _chapters_of(trak: Box) -> Iterator[int]:
    reference = trak.first(b"tref")
    for kind, content in split(reference.payload) if reference is not None else ():
        if kind == b"chap":
            yield from (number for (number,) in struct.iter_unpack(">I", _whole_words(content)))


def _whole_words(content: bytes | memoryview) -> bytes:
    return bytes(content[: len(content) // 4 * 4])


def track_id(trak: Box) -> int | None:
    header = trak.first(b"tkhd")
    at = 20 if header is not None and header.payload[:1] == b"\x01" else 12
    if header is None or len(header.payload) < at + 4:
        return None
    return int(struct.unpack_from(">I", header.payload, at)[0])
