"""Put metadata into an MP4 by writing its index anew, without touching the film itself.

The index (`moov`) is the only part that changes. When its size changes, everything behind it
moves, so the chunk offsets that point there move with it; what lies before it stays. That one rule
serves files with the index first and files with the index last.

Source: ISO/IEC 14496-12 sections 8.2.2 (mvhd), 8.3.2 (tkhd), 8.4.2 (mdhd), 8.7.5 (stco, co64);
QuickTime File Format, "User data atoms" and "Metadata atoms and types".
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .boxes import Box, Mp4Error, Read, Source, Span, load_moov, split, top_level
from .metadata import Entry, MovieMetadata, Store, TrackMetadata
from .reading import (
    TEXT_ITEM,
    chosen_name,
    handler_type,
    keys_of,
    language_offset,
    listed,
    metadata_of,
    starts_like_mp4,
)

#: More than this is not carried: it would be downloaded by everyone before the first picture.
METADATA_LIMIT_BYTES = 8 * 2**20

_OFFSET_LIMIT = {b"stco": 2**32 - 1, b"co64": 2**64 - 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """How to write the new file: the old one with bytes `[start, end)` replaced by `body`.

    Attributes:
        metadata: what the new file says about itself.
    """

    start: int
    end: int
    body: bytes
    metadata: MovieMetadata

    def new_size_bytes(self, size_bytes: int) -> int:
        return size_bytes - (self.end - self.start) + len(self.body)


def writer_entry(name: str) -> Entry:
    """Names the program that wrote a file (`©too`, shown by players as its encoder)."""
    data = TEXT_ITEM + bytes(4) + name.encode()
    return Entry(
        store="itunes", key=b"\xa9too", value=struct.pack(">I4s", 8 + len(data), b"data") + data
    )


def rewrite_head(read: Read, size_bytes: int, metadata: MovieMetadata) -> Rewrite:
    """How to put `metadata` into the MP4 behind `read`. Doing it twice changes nothing more.

    Values of `metadata` win over those of the file, except a track's language and name, which
    are filled in only where the file has none.

    Raises:
        Mp4Error: not an MP4, damaged, fragmented, protected, or pointing into other files.
    """
    source = Source(read, size_bytes)
    span, quicktime = _find_moov(source)
    moov = load_moov(source, span)
    _refuse_what_cannot_move(moov)
    _put(moov, metadata, quicktime=quicktime)
    _move_chunks(moov, span)
    return Rewrite(start=span.start, end=span.end, body=moov.dump(), metadata=metadata_of(moov))


def _find_moov(source: Source) -> tuple[Span, bool]:
    """The one `moov`, and whether the file says it is QuickTime."""
    found: list[Span] = []
    quicktime = False
    if source.size_bytes < 8 or not starts_like_mp4(source.take(0, 8)):
        raise Mp4Error("Not an MP4 file.")
    for span in top_level(source):
        if span.type == b"ftyp" and span.end - span.start >= span.header_bytes + 4:
            quicktime = source.take(span.start + span.header_bytes, 4) == b"qt  "
        if span.type in (b"moof", b"sidx"):
            raise Mp4Error("A fragmented MP4: its index is spread over the file.")
        if span.type == b"meta":
            _refuse_item_locations(source, span)
        if span.type == b"moov":
            found.append(span)
    if len(found) != 1:
        raise Mp4Error(f"Expected one film index (moov), found {len(found)}.")
    return found[0], quicktime


def _refuse_item_locations(source: Source, span: Span) -> None:
    length = span.end - span.start - span.header_bytes
    if length > 2**20:
        raise Mp4Error("Metadata beside the film's index is too large to look through.")
    raw = source.take(span.start + span.header_bytes, length)
    if b"iloc" in raw:
        raise Mp4Error("The file's metadata points to places in the file (iloc).")


def _refuse_what_cannot_move(moov: Box) -> None:
    if moov.first(b"cmov") is not None:
        raise Mp4Error("The film's index is compressed (cmov).")
    if moov.first(b"mvex") is not None:
        raise Mp4Error("A fragmented MP4: its index is spread over the file.")
    if moov.first(b"mvhd") is None:
        raise Mp4Error("The film's index has no header (mvhd).")
    for meta in _metas(moov):
        if meta.children is None or meta.first(b"iloc") is not None:
            raise Mp4Error("The film's metadata is of a kind that may point into the file.")
    if moov.every(b"trak", b"mdia", b"minf", b"stbl", b"saio"):
        raise Mp4Error("A protected track points to places in the file (saio).")
    for dref in moov.every(b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        _refuse_external_data(dref)


def _metas(moov: Box) -> list[Box]:
    holders = [moov, *moov.all(b"trak")]
    return [
        meta
        for holder in holders
        for meta in (*holder.all(b"meta"), *holder.every(b"udta", b"meta"))
    ]


def _refuse_external_data(dref: Box) -> None:
    for _, content in split(dref.payload[8:]):
        if len(content) < 4 or not content[3] & 1:
            raise Mp4Error("A track's media is in another file.")


# Metadata


def _put(moov: Box, metadata: MovieMetadata, *, quicktime: bool) -> None:
    _put_creation(moov.first(b"mvhd"), metadata.created_1904_s)
    _put_entries(moov, metadata.entries, quicktime=quicktime)
    traks = moov.all(b"trak")
    for trak in traks:
        _put_track_creation(trak, metadata.created_1904_s)
    for kind in ("vide", "soun"):
        ours = [trak for trak in traks if handler_type(trak.first(b"mdia")) == kind.encode()]
        theirs = metadata.tracks_of(kind)
        if len(ours) == len(theirs):  # otherwise nobody knows which belongs to which
            for trak, track in zip(ours, theirs, strict=True):
                _put_track(trak, track, quicktime=quicktime)


def _put_track(trak: Box, track: TrackMetadata, *, quicktime: bool) -> None:
    _put_track_creation(trak, track.created_1904_s)
    _put_entries(trak, track.entries, quicktime=quicktime)
    media = trak.first(b"mdia")
    if media is not None:
        _fill_language(media, track)
        _fill_name(media, track.name, quicktime=quicktime)


def _put_track_creation(trak: Box, seconds: int | None) -> None:
    _put_creation(trak.first(b"tkhd"), seconds)
    _put_creation(trak.first(b"mdia", b"mdhd"), seconds)


def _put_creation(header: Box | None, seconds: int | None) -> None:
    """A date after February 2040 does not fit into the short form of the box and is left out."""
    if header is None or seconds is None:
        return
    form = ">Q" if header.payload[:1] == b"\x01" else ">I"
    if len(header.payload) >= 12 and seconds < 2 ** (8 * struct.calcsize(form)):
        header.payload = _patched(header.payload, 4, struct.pack(form, seconds))


def _patched(payload: bytes | memoryview, start: int, value: bytes) -> bytes:
    return bytes(payload[:start]) + value + bytes(payload[start + len(value) :])


def _fill_language(media: Box, track: TrackMetadata) -> None:
    header = media.first(b"mdhd")
    if header is None or len(header.payload) < language_offset(header) + 2:
        return
    start = language_offset(header)
    (code,) = struct.unpack_from(">H", header.payload, start)
    if track.language is not None and code in (0, 0x7FFF, _packed("und")):
        header.payload = _patched(header.payload, start, struct.pack(">H", _packed(track.language)))
    if track.language_tag is not None and media.first(b"elng") is None and media.children:
        tag = Box(type=b"elng", payload=bytes(4) + track.language_tag.encode() + b"\0")
        media.children.insert(media.children.index(header) + 1, tag)


def _packed(language: str) -> int:
    """Three letters of five bits each."""
    first, second, third = (ord(letter) - 0x60 for letter in language)
    return first << 10 | second << 5 | third


def _fill_name(media: Box, name: str | None, *, quicktime: bool) -> None:
    handler = media.first(b"hdlr")
    if handler is None or name is None or chosen_name(handler) is not None:
        return
    text = name.encode()[:255].decode("utf-8", "ignore").encode()
    written = bytes((len(text),)) + text if quicktime else text + b"\0"
    handler.payload = bytes(handler.payload[:24]) + written


def _put_entries(box: Box, entries: Sequence[Entry], *, quicktime: bool) -> None:
    by_store: dict[Store, list[Entry]] = {"udta": [], "itunes": [], "mdta": []}
    left_bytes = METADATA_LIMIT_BYTES
    for entry in entries:
        if len(entry.value) <= left_bytes:
            left_bytes -= len(entry.value)
            by_store[entry.store].append(entry)
    if by_store["udta"]:
        _put_user_data(_user_data(box), by_store["udta"])
    if by_store["itunes"]:
        # An iTunes list is an MP4 box also inside a QuickTime file.
        _put_list(_user_data(box), by_store["itunes"], b"mdir", prefix=bytes(4))
    if by_store["mdta"]:
        _put_list(box, by_store["mdta"], b"mdta", prefix=b"" if quicktime else bytes(4))


def _user_data(box: Box) -> Box:
    found = box.first(b"udta")
    if found is None:
        found = Box(type=b"udta", children=[])
        assert box.children is not None
        box.children.append(found)
    return found


def _put_user_data(user_data: Box, entries: Sequence[Entry]) -> None:
    old = [(child.type, child) for child in user_data.children or ()]
    new = [(entry.key, Box(type=entry.key, payload=entry.value)) for entry in entries]
    user_data.children = [child for _, child in _merged(old, new)]


def _merged(
    old: Iterable[tuple[bytes, Box]], new: Iterable[tuple[bytes, Box]]
) -> list[tuple[bytes, Box]]:
    """`old` with every key of `new` replaced where it first stood, and the rest behind."""
    replacing: dict[bytes, list[tuple[bytes, Box]]] = {}
    for key, box in new:
        replacing.setdefault(key, []).append((key, box))
    keys = set(replacing)
    merged: list[tuple[bytes, Box]] = []
    for key, box in old:
        if key not in keys:
            merged.append((key, box))
        else:
            merged += replacing.pop(key, ())
    return merged + [item for group in replacing.values() for item in group]


def _put_list(holder: Box, entries: Sequence[Entry], handler: bytes, *, prefix: bytes) -> None:
    metas = holder.all(b"meta")
    meta = next((meta for meta in metas if handler_type(meta) == handler), None)
    if meta is None:
        if metas:  # one `meta` per holder is allowed, and this one speaks another language
            return
        meta = _new_meta(handler, prefix)
        assert holder.children is not None
        holder.children.append(meta)
    old = [(key, item) for (_, key, _), item in zip(listed(meta), _listed_items(meta), strict=True)]
    new = [(entry.key, Box(type=entry.key[:4], payload=entry.value)) for entry in entries]
    _write_list(meta, _merged(old, new), keyed=handler == b"mdta")


def _listed_items(meta: Box) -> list[Box]:
    """The boxes behind `listed`: items of a keyed list whose key does not exist are dropped."""
    items = meta.first(b"ilst")
    boxes = list(items.children or ()) if items is not None else []
    if handler_type(meta) != b"mdta":
        return boxes
    count = len(keys_of(meta))
    return [box for box in boxes if 1 <= int.from_bytes(box.type, "big") <= count]


def _write_list(meta: Box, items: list[tuple[bytes, Box]], *, keyed: bool) -> None:
    assert meta.children is not None
    if keyed:
        names = list(dict.fromkeys(key for key, _ in items))
        numbers = {name: number for number, name in enumerate(names, start=1)}
        for key, box in items:
            box.type = struct.pack(">I", numbers[key])
        raw = b"".join(struct.pack(">I", 4 + len(name)) + name for name in names)
        _replace(meta.children, Box(type=b"keys", payload=struct.pack(">II", 0, len(names)) + raw))
    _replace(meta.children, Box(type=b"ilst", children=[box for _, box in items]))


def _replace(children: list[Box], box: Box) -> None:
    for index, child in enumerate(children):
        if child.type == box.type:
            children[index] = box
            return
    children.append(box)


def _new_meta(handler: bytes, prefix: bytes) -> Box:
    vendor = b"appl" if handler == b"mdir" else bytes(4)
    payload = bytes(8) + handler + vendor + bytes(9)
    return Box(type=b"meta", payload=prefix, children=[Box(type=b"hdlr", payload=payload)])


# Chunk offsets


@dataclass(slots=True)
class _Table:
    """The places of a track's chunks in the file, and the box they came from."""

    box: Box
    places: array[int]
    #: Bytes of the box behind its table; they stay, so that sizes come out as computed.
    rest: bytes

    @property
    def growth_when_widened_bytes(self) -> int:
        return 4 * len(self.places) if self.box.type == b"stco" else 0


def _move_chunks(moov: Box, span: Span) -> None:
    """Add what `moov` grew by to every offset that points behind it.

    Short tables (stco) become long ones (co64) where an offset would pass 4 GiB. That makes
    `moov` grow again, so the choice is made for the largest growth there could be.
    """
    tables = [_table(box) for box in _offset_boxes(moov)]
    old = span.end - span.start
    worst = moov.size_bytes() - old + sum(table.growth_when_widened_bytes for table in tables)
    for table in tables:
        highest = max((place for place in table.places if place >= span.end), default=0)
        if table.box.type == b"stco" and highest + max(worst, 0) > _OFFSET_LIMIT[b"stco"]:
            table.box.type = b"co64"
            _write(table)
    growth = moov.size_bytes() - old
    if growth == 0:
        return
    for table in tables:
        table.places = array("Q", (_moved(place, span, growth) for place in table.places))
        _write(table)


def _offset_boxes(moov: Box) -> list[Box]:
    tables = moov.every(b"trak", b"mdia", b"minf", b"stbl")
    return [box for kind in _OFFSET_LIMIT for table in tables for box in table.all(kind)]


def _table(box: Box) -> _Table:
    places = array("I" if box.type == b"stco" else "Q")
    if len(box.payload) < 8:
        raise Mp4Error("A table of chunk offsets is damaged.")
    (count,) = struct.unpack_from(">I", box.payload, 4)
    end = 8 + count * places.itemsize
    if len(box.payload) < end:
        raise Mp4Error("A table of chunk offsets is cut off.")
    places.frombytes(bytes(box.payload[8:end]))
    _big_endian(places)
    return _Table(box, places, bytes(box.payload[end:]))


def _write(table: _Table) -> None:
    places = array("I" if table.box.type == b"stco" else "Q", table.places)
    _big_endian(places)
    table.box.payload = bytes(table.box.payload[:8]) + places.tobytes() + table.rest


def _big_endian(places: array[int]) -> None:
    if sys.byteorder == "little":
        places.byteswap()


def _moved(place: int, span: Span, growth: int) -> int:
    if place < span.start:
        return place
    if place < span.end:
        raise Mp4Error("A chunk offset points into the film's index.")
    if place + growth > _OFFSET_LIMIT[b"co64"]:
        raise Mp4Error("A chunk offset points beyond any file.")
    return place + growth
