"""The few things about an MP4 or MOV file that no demuxer tells: is `moov` there, was the file
cut short, and is a track encrypted (ffmpeg decodes such tracks to garbage and exits with 0)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: Top-level boxes an MP4 or MOV file may start with.
_FIRST = frozenset({"ftyp", "moov", "mdat", "free", "skip", "wide", "pnot", "styp", "uuid"})
_PARENTS = frozenset({"trak", "mdia", "minf", "stbl"})
#: What a picture's sample entry holds before its boxes.
_VISUAL_FIELDS_BYTES = 78
_DOLBY_VISION_ENTRIES = frozenset({"dvh1", "dvhe", "dva1", "dvav", "dav1"})
_DOLBY_VISION_BOXES = frozenset({"dvcC", "dvvC", "dvwC"})
_MOOV_LIMIT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`cut_short`: the last top-level box promises more bytes than the file has.

    `sample_entries`: four-character codes in all `stsd` boxes, for example {"avc1", "enca"}.
    `dolby_vision`: a sample entry is configured for it.
    """

    is_mp4: bool
    has_moov: bool
    cut_short: bool
    sample_entries: frozenset[str]
    dolby_vision: bool = False


def scan(path: Path) -> Layout:
    """Walk the top-level boxes without reading the media between them."""
    size = path.stat().st_size
    moov = b""
    names: list[str] = []
    cut_short = False
    with path.open("rb") as file:
        at = 0
        while at + 8 <= size:
            name, header, length = _header(file, at, size)
            if not names and name not in _FIRST:
                break
            names.append(name)
            if length < header:
                break
            if name == "moov" and length <= _MOOV_LIMIT_BYTES:
                moov = file.read(length - header)
            cut_short = at + length > size
            at += length
    return Layout(
        is_mp4=bool(names),
        has_moov="moov" in names,
        cut_short=cut_short,
        sample_entries=frozenset(name for name, _ in _sample_entries(moov)),
        dolby_vision=any(_is_dolby_vision(*entry) for entry in _sample_entries(moov)),
    )


def _header(file: BinaryIO, at: int, size: int) -> tuple[str, int, int]:
    """Name, header length and box length at an offset; leaves the file after the header."""
    file.seek(at)
    length, name = struct.unpack(">I4s", file.read(8))
    header = 8
    if length == 1:
        large = file.read(8)
        header, length = 16, struct.unpack(">Q", large)[0] if len(large) == 8 else 0
    elif length == 0:
        length = size - at
    return name.decode("latin-1"), header, length


def _is_dolby_vision(name: str, body: bytes) -> bool:
    """Source: "Dolby Vision Streams within the ISO Base Media File Format", sections 2 and 3."""
    inside = {kind for kind, _ in _children(body[_VISUAL_FIELDS_BYTES:])}
    return name in _DOLBY_VISION_ENTRIES or not inside.isdisjoint(_DOLBY_VISION_BOXES)


def _sample_entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    for name, body in _children(data):
        if name in _PARENTS:
            yield from _sample_entries(body)
        elif name == "stsd":
            yield from _children(body[8:])


def _children(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield name.decode("latin-1"), data[at + 8 : at + length]
        at += length
