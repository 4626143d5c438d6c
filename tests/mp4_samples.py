"""MP4 files built byte by byte, for tests that need to know where everything is."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from chalicelib.domain.mp4 import Read


def box(kind: bytes, *content: bytes, wide: bool = False) -> bytes:
    body = b"".join(content)
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def reading(data: bytes) -> tuple[Read, int]:
    """`read` and size, as the functions under test want them."""
    return (lambda start, length: data[start : start + length]), len(data)


def mvhd(created: int = 0) -> bytes:
    return box(b"mvhd", struct.pack(">IIIII", 0, created, created, 1000, 2000), bytes(80))


def packed(language: str) -> int:
    first, second, third = (ord(letter) - 0x60 for letter in language)
    return first << 10 | second << 5 | third


@dataclass
class Track:
    """A track whose chunks lie where `places` says; `padding` follows the table that says so."""

    kind: bytes = b"vide"
    created: int = 0
    language: str = "und"
    name: bytes = b"SoundHandler\0"
    long_offsets: bool = False
    extra: bytes = b""
    media_extra: bytes = b""
    padding: bytes = b""
    places: list[int] = field(default_factory=list)

    def dump(self) -> bytes:
        form = ">Q" if self.long_offsets else ">I"
        table = b"".join(struct.pack(form, place) for place in self.places)
        offsets = box(
            b"co64" if self.long_offsets else b"stco",
            struct.pack(">II", 0, len(self.places)),
            table,
            self.padding,
        )
        url = box(b"url ", struct.pack(">I", 1))
        references = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), url))
        header = struct.pack(">IIIIIHH", 0, self.created, 0, 1000, 2000, packed(self.language), 0)
        handler = struct.pack(">II4s12x", 0, 0, self.kind) + self.name
        return box(
            b"trak",
            box(b"tkhd", struct.pack(">IIIIII", 7, self.created, 0, 1, 0, 2000), bytes(60)),
            box(
                b"mdia",
                box(b"mdhd", header),
                self.media_extra,
                box(b"hdlr", handler),
                box(b"minf", references, box(b"stbl", box(b"stsd", bytes(8)), offsets)),
            ),
            self.extra,
        )


FTYP = box(b"ftyp", b"isom", bytes(4), b"isommp42")


def film(
    tracks: Sequence[Track],
    *,
    chunks_per_track: int = 3,
    moov_first: bool = True,
    before: bytes = FTYP,
    between: bytes = b"",
    after: bytes = b"",
    created: int = 0,
    extra: bytes = b"",
    wide: bool = False,
) -> bytes:
    """A whole file. Chunk n of track t holds the text "t:n", padded to eight bytes."""

    def moov() -> bytes:
        traks = [track.dump() for track in tracks]
        return box(b"moov", mvhd(created), *traks, extra, wide=wide)

    for track in tracks:
        track.places = [0] * chunks_per_track
    lead = len(before) + (len(moov()) + len(between) if moov_first else 0)
    content = b""
    for number in range(chunks_per_track):
        for index, track in enumerate(tracks):
            track.places[number] = lead + 8 + len(content)
            content += f"{index}:{number}".encode().ljust(8, b".")
    mdat = box(b"mdat", content)
    if moov_first:
        return before + moov() + between + mdat + after
    return before + mdat + between + moov() + after


def chunks(data: bytes) -> list[bytes]:
    """What the offset tables of a file point to: eight bytes each, tracks one after the other."""
    found = []
    start = 0
    while (place := _next_table(data, start)) is not None:
        kind = data[place + 4 : place + 8]
        form, size = (">Q", 8) if kind == b"co64" else (">I", 4)
        (count,) = struct.unpack_from(">I", data, place + 12)
        for number in range(count):
            (offset,) = struct.unpack_from(form, data, place + 16 + size * number)
            found.append(data[offset : offset + 8])
        start = place + 8
    return found


def _next_table(data: bytes, start: int) -> int | None:
    places = [data.find(kind, start) for kind in (b"stco", b"co64")]
    return min((place - 4 for place in places if place >= 0), default=None)


def applied(data: bytes, start: int, end: int, body: bytes) -> bytes:
    return data[:start] + body + data[end:]


def xyz(text: str = "+48.8577+002.2950/") -> bytes:
    """QuickTime's user data text: length, language, text."""
    return struct.pack(">HH", len(text), 0x15C7) + text.encode()


def mdta(pairs: dict[str, str], *, full: bool = False) -> bytes:
    """A `meta` box of keyed metadata, in QuickTime's form or (full) MP4's."""
    keys = b"".join(struct.pack(">I4s", 8 + len(key), b"mdta") + key.encode() for key in pairs)
    items = [
        box(
            struct.pack(">I", number),
            box(b"data", struct.pack(">II", 1, 0), value.encode()),
        )
        for number, value in enumerate(pairs.values(), start=1)
    ]
    return box(
        b"meta",
        bytes(4) if full else b"",
        box(b"hdlr", bytes(8), b"mdta", bytes(13)),
        box(b"keys", struct.pack(">II", 0, len(pairs)), keys),
        box(b"ilst", *items),
    )


def itunes(pairs: dict[bytes, str]) -> bytes:
    items = [
        box(kind, box(b"data", struct.pack(">II", 1, 0), value.encode()))
        for kind, value in pairs.items()
    ]
    return box(
        b"meta", bytes(4), box(b"hdlr", bytes(8), b"mdirappl", bytes(9)), box(b"ilst", *items)
    )
