"""Read what a film says about itself: MP4 and MOV in full, date, titles and languages of Matroska
and WebM. Other containers give empty metadata."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

from .boxes import Box, Mp4Error, Read, Source, load_moov, split, top_level
from .matroska import EBML_MAGIC, read_matroska
from .metadata import CHAPTER_TRACK, Entry, MovieMetadata, Store, TrackMetadata
from .references import chapter_track_ids, track_id

_MP4_STARTS = frozenset(
    {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"styp"}
)

#: Says how a file was written, not what was filmed: wrong, or even harmful to playback, once the
#: film was encoded anew (iTunSMPB tells players how much silence to cut).
_OF_THE_ENCODE = {
    "udta": frozenset(
        {b"meta", b"free", b"skip", b"wide", b"hnti", b"hinf", b"ludt", b"\xa9too", b"\xa9enc"}
    ),
    "itunes": frozenset({b"\xa9too", b"\xa9enc", b"free"}),
    "mdta": frozenset(
        {
            b"encoder",
            b"major_brand",
            b"minor_version",
            b"compatible_brands",
            b"com.apple.quicktime.video-orientation",
        }
    ),
}
_GAPLESS_ITEMS = (b"iTunSMPB", b"iTunNORM")

#: Names that programs give their handlers by default.
_STANDARD_NAME = re.compile(
    r"handler?|core media|l-smash|gpac|bento4|mainconcept|iso media|isomedia|^(video|sound|audio)$",
    re.IGNORECASE,
)
_NAME_LIMIT = 255
#: How the files we write name their writer (`©too`) begins.
MARK = "Slimreel"
#: Kind of data of an item that is UTF-8 text.
#: Source: "Well-known types" in the QuickTime File Format.
TEXT_ITEM = b"\x00\x00\x00\x01"

#: Macintosh language codes of QuickTime files, by their ISO 639-2/T code.
#: Source: QuickTime File Format, "Language code values".
# fmt: off
_MACINTOSH_LANGUAGES = (
    "eng", "fra", "deu", "ita", "nld", "swe", "spa", "dan", "por", "nor", "heb", "jpn", "ara",
    "fin", "ell", "isl", "mlt", "tur", "hrv", "zho", "urd", "hin", "tha", "kor", "lit", "pol",
    "hun", "est", "lav", "sme", "fao", "fas", "rus", "zho", "nld", "gle", "sqi", "ron", "ces",
    "slk", "slv", "yid", "srp", "mkd", "bul", "ukr", "bel", "uzb", "kaz", "aze", "aze", "hye",
    "kat", "mol", "kir", "tgk", "tuk", "mon", "mon", "pus", "kur", "kas", "snd", "bod", "nep",
    "san", "mar", "ben", "asm", "guj", "pan", "ori", "mal", "kan", "tam", "tel", "sin", "mya",
    "khm", "lao", "vie", "ind", "tgl", "msa", "msa", "amh", "tir", "orm", "som", "swa", "kin",
    "run", "nya", "mlg", "epo",
)
# fmt: on


def read_metadata(read: Read, size_bytes: int) -> MovieMetadata:
    """What the film behind `read` says about itself.

    Raises:
        Mp4Error: an MP4 or MOV that is damaged or too large to index.
    """
    source = Source(read, size_bytes)
    if size_bytes < 8:
        return MovieMetadata()
    start = source.take(0, 8)
    if start[:4] == EBML_MAGIC:
        return read_matroska(source)
    if not starts_like_mp4(start):
        return MovieMetadata()
    for span in top_level(source):
        if span.type == b"moov":
            return metadata_of(load_moov(source, span))
    raise Mp4Error("The film's index (moov) is missing.")


def starts_like_mp4(start: bytes) -> bool:
    """Whether the first 8 bytes of a file can be those of an MP4 or MOV."""
    return start[4:8] in _MP4_STARTS


def metadata_of(moov: Box) -> MovieMetadata:
    """What a `moov` that was taken apart says."""
    return MovieMetadata(
        created_1904_s=creation_time(moov.first(b"mvhd")),
        entries=tuple(entries_of(moov)),
        tracks=_tracks(moov.all(b"trak")),
    )


def handler_type(box: Box | None) -> bytes:
    """The four-character code in the `hdlr` of a `mdia` or `meta` box; empty when there is none."""
    handler = box.first(b"hdlr") if box is not None else None
    return bytes(handler.payload[8:12]) if handler is not None else b""


def creation_time(header: Box | None) -> int | None:
    """Creation time of a `mvhd`, `tkhd` or `mdhd`, in seconds since 1904; None when unset."""
    if header is None or len(header.payload) < 12:
        return None
    form = ">Q" if header.payload[0] == 1 else ">I"
    (seconds,) = struct.unpack_from(form, header.payload, 4)
    return int(seconds) or None


def language_offset(mdhd: Box) -> int:
    """Where in a `mdhd` the two bytes of language are."""
    return 32 if mdhd.payload[:1] == b"\x01" else 20


def _tracks(traks: Sequence[Box]) -> tuple[TrackMetadata, ...]:
    chapters = chapter_track_ids(traks)
    return tuple(_track(trak, is_chapters=track_id(trak) in chapters) for trak in traks)


def _track(trak: Box, *, is_chapters: bool) -> TrackMetadata:
    media = trak.first(b"mdia")
    header = trak.first(b"mdia", b"mdhd")
    kind = handler_type(media).decode("latin-1")
    return TrackMetadata(
        kind=CHAPTER_TRACK if is_chapters and kind == "text" else kind,
        created_1904_s=creation_time(header) or creation_time(trak.first(b"tkhd")),
        language=_language(header),
        language_tag=_language_tag(trak.first(b"mdia", b"elng")),
        name=chosen_name(trak.first(b"mdia", b"hdlr")),
        entries=tuple(entries_of(trak)),
    )


def _language(mdhd: Box | None) -> str | None:
    if mdhd is None or len(mdhd.payload) < language_offset(mdhd) + 2:
        return None
    (code,) = struct.unpack_from(">H", mdhd.payload, language_offset(mdhd))
    if code < 0x400:
        return _MACINTOSH_LANGUAGES[code] if code < len(_MACINTOSH_LANGUAGES) else None
    letters = "".join(chr(((code >> shift) & 31) + 0x60) for shift in (10, 5, 0))
    return letters if letters.isalpha() and letters != "und" else None


def _language_tag(elng: Box | None) -> str | None:
    if elng is None:
        return None
    tag = bytes(elng.payload[4:]).split(b"\0")[0].decode("ascii", "replace")
    return tag if re.fullmatch(r"[A-Za-z0-9-]{2,35}", tag) and tag != "und" else None


def chosen_name(hdlr: Box | None) -> str | None:
    """The name a person gave the track; None where a program put its standard name."""
    raw = bytes(hdlr.payload[24:]) if hdlr is not None else b""
    if raw and raw[0] == len(raw) - 1:  # QuickTime counts, MP4 ends with a zero
        raw = raw[1:]
    text = raw.split(b"\0")[0].decode("utf-8", "replace")
    text = "".join(char for char in text if char.isprintable()).strip()[:_NAME_LIMIT]
    return text if text and not is_standard_name(text) else None


def is_standard_name(text: str) -> bool:
    """Whether a track's name is one that a program gave it."""
    return _STANDARD_NAME.search(text) is not None


def entries_of(box: Box) -> Iterator[Entry]:
    """The entries of a `moov` or `trak` in the order of the file, without the encoder's own."""
    user_data = box.first(b"udta")
    for child in user_data.children or () if user_data is not None else ():
        yield from _wanted("udta", child.type, bytes(child.payload))
    for parent in (user_data, box):
        for meta in parent.all(b"meta") if parent is not None else ():
            for store, key, value in listed(meta):
                yield from _wanted(store, key, value)


def _wanted(store: Store, key: bytes, value: bytes) -> Iterator[Entry]:
    name = key[4:] if store == "mdta" else key
    stale = name in _OF_THE_ENCODE[store] or any(item in key for item in _GAPLESS_ITEMS)
    if not stale:
        yield Entry(store=store, key=key, value=value)


def listed(meta: Box) -> Iterator[tuple[Store, bytes, bytes]]:
    """Store, key and value of every item of a `meta` box, in order."""
    items = meta.first(b"ilst")
    if items is None:
        return
    kind = handler_type(meta)
    if kind == b"mdir":
        for item in items.children or ():
            yield "itunes", _itunes_key(item), bytes(item.payload)
    elif kind == b"mdta":
        names = keys_of(meta)
        for item in items.children or ():
            number = int.from_bytes(item.type, "big")
            if 1 <= number <= len(names):
                yield "mdta", names[number - 1], bytes(item.payload)


def itunes_text(moov: Box, key: bytes) -> str | None:
    """The text under a key of a film's iTunes list; None where there is none."""
    for meta in moov.every(b"udta", b"meta"):
        for store, name, value in listed(meta):
            if store == "itunes" and name == key:
                for kind, data in split(value):
                    if kind == b"data" and data[:4] == TEXT_ITEM:
                        return data[8:].decode("utf-8", "replace")
    return None


def _itunes_key(item: Box) -> bytes:
    """The item's code; freeform items (`----`) are told apart by what precedes their data."""
    if item.type != b"----":
        return item.type
    raw = bytes(item.payload)
    named = b"".join(value[4:] for kind, value in split(raw) if kind in (b"mean", b"name"))
    return item.type + named


def keys_of(meta: Box) -> list[bytes]:
    """The keys of an `mdta` list, each as namespace and name."""
    box = meta.first(b"keys")
    return [kind + name for kind, name in split(box.payload[8:])] if box is not None else []
