"""Cut films open: MP4 boxes found by their path and changed, bytes flipped at seeded places."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta"})

Change = Callable[[bytes], bytes]


def box(kind: bytes, *content: bytes) -> bytes:
    """One box with the size it really has."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of each box in a row; of a well-formed file without 64-bit sizes."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at, at + size
        at += size


def edited(data: bytes, path: str, change: Change) -> bytes:
    """`data` with the content of the box at `path` changed, and the sizes around it put right.

    Offsets of chunks stay as they are: take a film whose index comes last.

    Args:
        path: such as "moov/trak.1/mdia/mdhd"; ".1" is the second of its kind.

    Raises:
        LookupError: there is no such box.
    """
    name, _, rest = path.partition("/")
    kind, _, number = name.partition(".")
    wanted = int(number or 0)
    pieces: list[bytes] = []
    found = False
    for here, start, end in boxes(data):
        content = data[start + 8 : end]
        if here != kind.encode("latin-1"):
            pieces.append(data[start:end])
            continue
        if wanted == 0:
            content = edited(content, rest, change) if rest else change(content)
            found = True
        wanted -= 1
        pieces.append(box(here, content))
    if not found:
        raise LookupError(path)
    return b"".join(pieces)


def patched(offset: int, form: str, *values: int | bytes) -> Change:
    """A change that writes `values` at `offset` of a box's content."""

    def change(content: bytes) -> bytes:
        written = struct.pack(form, *values)
        return content[:offset] + written + content[offset + len(written) :]

    return change


def span(data: bytes, kind: bytes) -> tuple[int, int]:
    """Start and end of a top-level box."""
    return next((start, end) for found, start, end in boxes(data) if found == kind)


def flipped(data: bytes, *, seed: int, flips: int, start: int = 0, end: int | None = None) -> bytes:
    """One bit turned at each of `flips` places between `start` and `end`; the same every time."""
    places = random.Random(seed)
    turned = bytearray(data)
    for _ in range(flips):
        turned[places.randrange(start, end or len(data))] ^= 1 << places.randrange(8)
    return bytes(turned)
