"""What a film says about itself."""

import struct
from datetime import UTC, datetime

import pytest

from chalicelib.domain.mp4 import MovieMetadata, Mp4Error, read_metadata
from tests.mp4_samples import (
    FTYP,
    Track,
    box,
    film,
    itunes,
    mdta,
    mvhd,
    packed,
    reading,
    xyz,
)

#: 2023-05-06 07:08:09 UTC, counted from 1904.
CREATED = 3766201689
IPHONE = {
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 15 Pro",
    "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035/",
    "com.apple.quicktime.creationdate": "2023-05-06T09:08:09+0200",
}


def test_phone_film_says_when_where_and_with_what():
    extra = mdta(IPHONE)
    metadata = read_metadata(*reading(film([Track()], created=CREATED, extra=extra)))
    assert metadata.created_at == datetime(2023, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert metadata.fields == ("recording date", "camera make", "camera model", "location")


def test_index_at_the_end_is_read_too():
    data = film([Track()], created=CREATED, moov_first=False)
    assert read_metadata(*reading(data)).created_1904_s == CREATED


def test_android_location_and_itunes_title_are_found():
    user_data = box(b"udta", box(b"\xa9xyz", xyz()), itunes({b"\xa9nam": "Hello"}))
    metadata = read_metadata(*reading(film([Track()], extra=user_data)))
    assert [(entry.store, entry.label) for entry in metadata.entries] == [
        ("udta", "location"),
        ("itunes", "title"),
    ]


def test_what_describes_the_encode_is_not_metadata_of_the_film():
    user_data = box(b"udta", itunes({b"\xa9too": "Lavf63.1.102"}), box(b"free", bytes(9)))
    gapless = box(
        b"----", box(b"mean", bytes(4), b"com.apple.iTunes"), box(b"name", bytes(4), b"iTunSMPB")
    )
    listed = box(
        b"meta", bytes(4), box(b"hdlr", bytes(8), b"mdir", bytes(13)), box(b"ilst", gapless)
    )
    track = Track(extra=box(b"udta", listed))
    metadata = read_metadata(*reading(film([track], extra=user_data)))
    assert metadata.fields == ()


def test_terminator_of_quicktime_user_data_is_no_box():
    user_data = box(b"udta", box(b"\xa9xyz", xyz()), bytes(4))
    assert read_metadata(*reading(film([Track()], extra=user_data))).fields == ("location",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"Dialogue\0", "Dialogue"),
        (b"\x08Dialogue", "Dialogue"),  # QuickTime counts the letters
        ("Synchronfassung ü\0".encode(), "Synchronfassung ü"),
        (b"SoundHandler\0", None),
        (b"SoundHandle\0", None),
        (b"Core Media Audio\0", None),
        (b"\0", None),
        (b"", None),
    ],
)
def test_only_names_that_a_person_chose_count(name, expected):
    data = film([Track(kind=b"soun", name=name)])
    assert read_metadata(*reading(data)).tracks[0].name == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [(packed("fra"), "fra"), (packed("und"), None), (1, "fra"), (0x7FFF, None)],
)
def test_language_of_a_track(code, expected):
    data = film([Track(kind=b"soun", language="und")])
    data = data.replace(struct.pack(">HH", packed("und"), 0), struct.pack(">HH", code, 0))
    assert read_metadata(*reading(data)).tracks[0].language == expected


def test_regional_language_tag_is_read():
    track = Track(kind=b"soun", language="por", media_extra=box(b"elng", bytes(4), b"pt-BR\0"))
    assert read_metadata(*reading(film([track]))).tracks[0].language_tag == "pt-BR"


def test_camera_that_wrote_unix_time_is_understood():
    assert MovieMetadata(created_1904_s=1_683_356_889).created_at == datetime(
        2023, 5, 6, 7, 8, 9, tzinfo=UTC
    )


def test_long_form_of_the_header_has_a_long_date():
    header = box(b"mvhd", struct.pack(">IQQIQ", 1 << 24, 5_000_000_000, 0, 1000, 2000), bytes(80))
    data = FTYP + box(b"moov", header)
    assert read_metadata(*reading(data)).created_1904_s == 5_000_000_000


@pytest.mark.parametrize("data", [b"", b"RIFF....AVI LIST", b"short", b"a text file named .mp4"])
def test_other_files_say_nothing(data):
    assert read_metadata(*reading(data)) == MovieMetadata()


def test_matroska_gives_date_title_chapters_and_track_names():
    def element(kind: int, content: bytes) -> bytes:
        size = struct.pack(">Q", 1 << 56 | len(content))
        return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + size + content

    nanoseconds = (CREATED - 3_061_152_000) * 10**9
    info = element(0x4461, struct.pack(">q", nanoseconds)) + element(0x7BA9, b"A film")
    audio = b"".join(
        element(*pair) for pair in [(0x83, b"\2"), (0x536E, b"M&E"), (0x22B59C, b"fra")]
    )
    segment = element(0x1549A966, info) + element(0x1654AE6B, element(0xAE, audio))
    segment += element(0x1043A770, element(0x45B9, b""))
    data = element(0x1A45DFA3, b"") + element(0x18538067, segment)
    metadata = read_metadata(*reading(data))
    assert metadata.created_1904_s == CREATED
    assert metadata.fields == (
        "recording date",
        "title",
        "language of audio track 1",
        "name of audio track 1",
        "chapters",
    )


def test_cut_off_film_is_refused_with_a_sentence():
    data = film([Track()], moov_first=False)
    with pytest.raises(Mp4Error, match="goes on after the end"):
        read_metadata(*reading(data[:-20]))


def test_film_without_index_is_refused():
    with pytest.raises(Mp4Error, match="missing"):
        read_metadata(*reading(FTYP + box(b"mdat", bytes(100))))


def test_index_over_the_limit_is_refused_before_it_is_read():
    size = 65 * 2**20
    head = FTYP + struct.pack(">I4s", size, b"moov")
    longest = 0

    def read(start: int, length: int) -> bytes:
        nonlocal longest
        longest = max(longest, length)
        return head[start : start + length].ljust(length, b"\0")

    with pytest.raises(Mp4Error, match="larger than 40 MiB"):
        read_metadata(read, len(FTYP) + size)
    assert longest <= 64 * 2**10


def test_a_million_tiny_boxes_end_early():
    with pytest.raises(Mp4Error, match="boxes in a row"):
        read_metadata(*reading(FTYP + box(b"free") * 5_000))
    with pytest.raises(Mp4Error, match="boxes in the film's index"):
        read_metadata(*reading(FTYP + box(b"moov", mvhd(), box(b"free") * 60_000)))


def test_boxes_nested_ten_thousand_deep_do_not_nest_here():
    data = b""
    for _ in range(2_000):
        data = box(b"udta", data)
    assert read_metadata(*reading(FTYP + box(b"moov", mvhd(), data))).tracks == ()


def test_box_larger_than_what_holds_it_is_refused():
    trak = bytearray(Track().dump())
    trak[8:12] = struct.pack(">I", 0x7FFFFFFF)
    with pytest.raises(Mp4Error, match="damaged inside"):
        read_metadata(*reading(FTYP + box(b"moov", mvhd(), bytes(trak))))
