"""What an index tells of tracks that are not carried, and of turns that the encoder cannot do."""

from __future__ import annotations

import struct

import pytest

from chalicelib.domain.mp4 import survey
from tests.mp4_samples import FTYP, Track, box, itunes, mdta, mvhd, reading

ONE = 0x10000


def movie(*traks: bytes) -> bytes:
    return FTYP + box(b"moov", mvhd(), *traks)


def placed(a: int, b: int, c: int, d: int, *, wide: bool = False) -> bytes:
    """A picture track with this matrix."""
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    fields = bytes(32 if wide else 20) + bytes(16) + matrix + bytes(8)
    header = box(b"tkhd", bytes([wide, 0, 0, 7]), fields)
    handler = box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"), b"x\0")
    return box(b"trak", header, box(b"mdia", handler))


def numbered(track: bytes, number: int) -> bytes:
    """The track under another id."""
    at = track.index(b"tkhd") + 4 + 12
    return track[:at] + struct.pack(">I", number) + track[at + 4 :]


def test_every_track_beside_picture_and_sound_is_told() -> None:
    kinds = (b"vide", b"soun", b"sbtl", b"tmcd", b"meta", b"hint", b"what")
    data = movie(*(Track(kind=kind, language="deu").dump() for kind in kinds))
    found = survey(*reading(data)).beside
    assert [(item.kind, item.noun) for item in found] == [
        ("subtitles", "subtitle track"),
        ("timecode", "time code track"),
        ("data", "timed metadata track"),
        ("data", "data track"),
    ]
    assert {item.language for item in found} == {"deu"}


def test_a_text_track_is_chapters_where_another_track_says_so() -> None:
    refers = box(b"tref", box(b"chap", struct.pack(">I", 3)))
    data = movie(
        numbered(Track(extra=refers).dump(), 1),
        numbered(Track(kind=b"text").dump(), 2),
        numbered(Track(kind=b"text").dump(), 3),
    )
    found = survey(*reading(data)).beside
    assert [(item.kind, item.noun) for item in found] == [
        ("subtitles", "text track"),
        ("chapters", "chapter track"),
    ]


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((ONE, 0, 0, ONE), None),
        ((0, ONE, -ONE, 0), None),
        ((-ONE, 0, 0, -ONE), None),
        ((0, -ONE, ONE, 0), None),
        ((2 * ONE, 0, 0, 2 * ONE), None),  # shown larger, but upright
        ((-ONE, 0, 0, ONE), "mirrored"),
        ((0, ONE, ONE, 0), "mirrored"),
        ((46341, 46341, -46341, 46341), "turned by an odd angle"),
        ((0, 0, 0, 0), None),
    ],
)
@pytest.mark.parametrize("wide", [False, True])
def test_a_turn_that_is_none_by_quarters_is_told(
    matrix: tuple[int, int, int, int], turn: str | None, wide: bool
) -> None:
    assert survey(*reading(movie(placed(*matrix, wide=wide)))).odd_turn == turn


def test_a_header_too_short_for_a_matrix_tells_nothing() -> None:
    handler = box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"), b"x\0")
    for header in (b"", box(b"tkhd", bytes(20))):
        data = movie(box(b"trak", header, box(b"mdia", handler)))
        assert survey(*reading(data)).odd_turn is None


XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
NRTM = box(b"meta", bytes(4), box(b"hdlr", bytes(8), b"nrtm", bytes(13)))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (movie() + box(b"mdat", bytes(90)) + box(b"uuid", XMP, b"<x/>"), ["XMP"]),
        (FTYP + box(b"uuid", XMP) + movie()[len(FTYP) :], ["XMP"]),
        (movie() + box(b"uuid", bytes(16)) + box(b"uuid", b"short"), []),
        (movie() + box(b"meta", b"<xml/>"), ["other metadata"]),
        (movie(NRTM) + box(b"meta", b"<xml/>"), ["other metadata"]),
        (movie(NRTM), ["other metadata"]),
        (movie(mdta({"k": "v"}), itunes({b"\xa9nam": "x"})), []),
        (movie() + box(b"meta", b"<xml/>")[:-1], []),
        (movie() + box(b"moof") * 5_000 + box(b"meta"), []),
    ],
)
def test_what_a_file_says_elsewhere_is_told(data: bytes, told: list[str]) -> None:
    found = survey(*reading(data)).beside
    assert [(item.kind, item.noun) for item in found] == [("tags", name) for name in told]


def test_a_track_need_not_say_its_language() -> None:
    [item] = survey(*reading(movie(Track(kind=b"subt").dump()))).beside
    assert item.language is None


def test_a_crowd_of_tracks_is_not_all_remembered() -> None:
    data = movie(*(Track(kind=b"sbtl").dump() for _ in range(300)))
    assert len(survey(*reading(data)).beside) == 100
