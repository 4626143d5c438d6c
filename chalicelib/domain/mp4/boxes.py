"""Boxes of MP4 and MOV files: find them in a file, take `moov` apart, put it together again.

Everything works over `read(offset, length) -> bytes`, so a film of any size costs a few ranged
reads. Input is hostile until proven otherwise: sizes are checked against the enclosing box and
the file, `moov` has a size limit, the number of boxes has a limit, and nesting follows a fixed
table (`_NESTED`), so no input decides how deep this goes.

Source: ISO/IEC 14496-12 section 4.2 (boxes);
https://developer.apple.com/documentation/quicktime-file-format/atoms (QuickTime's variant).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Read = Callable[[int, int], bytes]

#: The index of a ten-hour film is some 30 MB. Rewriting takes six times as much memory, of the
#: 512 MB that `restore` has.
MOOV_LIMIT_BYTES = 40 * 2**20
#: Cameras write a handful of boxes beside each other; a long row of them is an attack on our time.
TOP_LEVEL_LIMIT = 1_000
BOXES_IN_MOOV_LIMIT = 50_000
#: Requests for one file. Each takes S3 some 20 ms, and a function has minutes.
READS_LIMIT = 1_500
_BLOCK_BYTES = 64 * 2**10

#: Which children of a box are opened; everything else stays a leaf, copied byte for byte.
_NESTED: dict[bytes, frozenset[bytes]] = {
    b"moov": frozenset({b"trak", b"udta", b"meta"}),
    b"trak": frozenset({b"mdia", b"udta", b"meta"}),
    b"mdia": frozenset({b"minf"}),
    b"minf": frozenset({b"stbl", b"dinf"}),
    b"udta": frozenset({b"meta"}),
    b"meta": frozenset({b"ilst"}),
}
#: Boxes in which writers are known to leave terminators and padding after the last child.
_LENIENT = frozenset({b"udta", b"meta", b"ilst"})


class Mp4Error(Exception):
    """The file is damaged, hostile or of a kind we do not rewrite; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A box at the top level of a file: bytes `[start, end)`, content from `start + header`."""

    type: bytes
    start: int
    header_bytes: int
    end: int


@dataclass(slots=True)
class Box:
    """A box taken apart.

    Attributes:
        payload: a leaf's content; of a container, the fields before its first child.
        children: None for a leaf.
        trailing: bytes after the last child that form no box (terminators, padding).
        wide: its header holds a 64-bit size, kept so that untouched boxes stay identical.
    """

    type: bytes
    payload: bytes | memoryview = b""
    children: list[Box] | None = None
    trailing: bytes = b""
    wide: bool = False

    def all(self, kind: bytes) -> list[Box]:
        return [child for child in self.children or () if child.type == kind]

    def first(self, *path: bytes) -> Box | None:
        """The first box down this path, or None."""
        return next(iter(self.every(*path)), None)

    def every(self, *path: bytes) -> list[Box]:
        """All boxes down this path, in order."""
        found = [self]
        for kind in path:
            found = [child for box in found for child in box.all(kind)]
        return found

    def size_bytes(self) -> int:
        inside = sum(child.size_bytes() for child in self.children or ())
        return (16 if self.wide else 8) + len(self.payload) + inside + len(self.trailing)

    def dump(self) -> bytes:
        pieces: list[bytes | memoryview] = []
        self._dump_into(pieces)
        return b"".join(pieces)

    def _dump_into(self, pieces: list[bytes | memoryview]) -> None:
        size = self.size_bytes()
        if self.wide:
            pieces.append(struct.pack(">I4sQ", 1, self.type, size))
        else:
            pieces.append(struct.pack(">I4s", size, self.type))
        pieces.append(self.payload)
        for child in self.children or ():
            child._dump_into(pieces)
        pieces.append(self.trailing)


@dataclass(slots=True)
class Source:
    """A file behind `read`, fetched in blocks so that a row of small boxes is one request."""

    read: Read
    size_bytes: int
    _block_start: int = 0
    _block: bytes = b""
    _reads_left: int = READS_LIMIT

    def take(self, start: int, length: int) -> bytes:
        """Exactly the bytes `[start, start + length)`.

        Raises:
            Mp4Error: the file ends before that.
        """
        if start < 0 or start + length > self.size_bytes:
            raise Mp4Error("The file ends in the middle of a box.")
        if length > _BLOCK_BYTES:
            return self._fetch(start, length)
        inside = start - self._block_start
        if inside < 0 or inside + length > len(self._block):
            self._block = self._fetch(start, min(_BLOCK_BYTES, self.size_bytes - start))
            self._block_start, inside = start, 0
        return self._block[inside : inside + length]

    def _fetch(self, start: int, length: int) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise Mp4Error("The file is scattered over too many pieces.")
        body = self.read(start, length)
        if len(body) != length:
            raise Mp4Error("The file is shorter than its stated size.")
        return body


def top_level(source: Source) -> Iterator[Span]:
    """The boxes of a file in order. Fewer than 8 bytes at the very end are ignored.

    Raises:
        Mp4Error: a size that cannot be, or too many boxes.
    """
    start = 0
    for _ in range(TOP_LEVEL_LIMIT):
        if source.size_bytes - start < 8:
            return
        span = _span_at(source, start)
        yield span
        start = span.end
    raise Mp4Error(f"More than {TOP_LEVEL_LIMIT} boxes in a row: not a film.")


def _span_at(source: Source, start: int) -> Span:
    size, kind = struct.unpack(">I4s", source.take(start, 8))
    header = 8
    if size == 1:
        (size,) = struct.unpack(">Q", source.take(start + 8, 8))
        header = 16
    elif size == 0:
        size = source.size_bytes - start
    if size < header:
        raise Mp4Error(f"The box {printable(kind)} states an impossible size.")
    if start + size > source.size_bytes:
        raise Mp4Error(f"The box {printable(kind)} goes on after the end of the file.")
    return Span(type=kind, start=start, header_bytes=header, end=start + size)


def load_moov(source: Source, span: Span) -> Box:
    """Take the `moov` at `span` apart.

    Raises:
        Mp4Error: larger than `MOOV_LIMIT_BYTES`, too many boxes, or broken inside.
    """
    length = span.end - span.start
    if length > MOOV_LIMIT_BYTES:
        raise Mp4Error(f"The film's index is larger than {MOOV_LIMIT_BYTES // 2**20} MiB.")
    raw = memoryview(source.take(span.start, length))[span.header_bytes :]
    box = Box(type=b"moov", wide=span.header_bytes == 16)
    _open(box, raw, _Budget())
    return box


@dataclass(slots=True)
class _Budget:
    boxes_left: int = field(default=BOXES_IN_MOOV_LIMIT)

    def spend(self) -> None:
        self.boxes_left -= 1
        if self.boxes_left < 0:
            raise Mp4Error(f"More than {BOXES_IN_MOOV_LIMIT} boxes in the film's index.")


def _open(box: Box, raw: memoryview, budget: _Budget) -> None:
    """Turn `box` into a container whose content is `raw`."""
    start = _fields_before_children(box.type, raw)
    box.payload = raw[:start]
    box.children = []
    while start < len(raw):
        found = _header(raw, start)
        if found is None:
            if box.type not in _LENIENT:
                raise Mp4Error(f"The box {printable(box.type)} is damaged inside.")
            break
        kind, header, end = found
        budget.spend()
        child = Box(type=kind, wide=header == 16)
        content = raw[start + header : end]
        if kind in _NESTED.get(box.type, frozenset()) and _can_open(kind, content):
            _open(child, content, budget)
        else:
            child.payload = content
        box.children.append(child)
        start = end
    box.trailing = bytes(raw[start:])


def _header(raw: memoryview, start: int) -> tuple[bytes, int, int] | None:
    """Type, header length and end of the box at `start`; None when no whole box is there."""
    if len(raw) - start < 8:
        return None
    size, kind = struct.unpack_from(">I4s", raw, start)
    header = 8
    if size == 1 and len(raw) - start >= 16:
        (size,) = struct.unpack_from(">Q", raw, start + 8)
        header = 16
    if size < header or start + size > len(raw):
        return None
    return kind, header, start + size


def _fields_before_children(kind: bytes, raw: memoryview) -> int:
    """`meta` has 4 bytes of version and flags in MP4, none in QuickTime."""
    if kind != b"meta" or bytes(raw[4:8]) == b"hdlr":
        return 0
    return 4


def _can_open(kind: bytes, raw: memoryview) -> bool:
    """A `meta` that is in neither of the two forms stays as it is."""
    return kind != b"meta" or b"hdlr" in (bytes(raw[4:8]), bytes(raw[8:12]))


def split(raw: bytes | memoryview) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of the boxes in `raw`; stops quietly at the first that is none.

    Raises:
        Mp4Error: there are too many.
    """
    view = memoryview(raw)
    start = 0
    budget = _Budget()
    while (found := _header(view, start)) is not None:
        budget.spend()
        kind, header, end = found
        yield kind, bytes(view[start + header : end])
        start = end


def printable(kind: bytes) -> str:
    """A four-character code for people: ©xyz, 'moov', with anything odd escaped."""
    return "".join(
        chr(byte) if 32 <= byte < 127 or byte == 0xA9 else f"\\x{byte:02x}" for byte in kind
    )
