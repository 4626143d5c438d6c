"""What Matroska holds beside its film: tags, attached files, chapters, at either end of it."""

from __future__ import annotations

import struct

import pytest

from chalicelib.domain.mp4 import MovieMetadata, read_metadata, survey
from tests.mp4_samples import reading

INFO, TAGS, ATTACHMENTS, CHAPTERS, CLUSTER = (
    0x1549A966,
    0x1254C367,
    0x1941A469,
    0x1043A770,
    0x1F43B675,
)
TITLE = 0x7BA9


def element(kind: int, *content: bytes) -> bytes:
    body = b"".join(content)
    code = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return code + struct.pack(">Q", 1 << 56 | len(body)) + body


def tag(name: str, text: str | bytes, *targets: bytes) -> bytes:
    value = text.encode() if isinstance(text, str) else text
    simple = element(0x67C8, element(0x45A3, name.encode()), element(0x4487, value))
    return element(0x7373, element(0x63C0, *targets), simple)


def attached(name: str, media_type: str, content: bytes = b"content") -> bytes:
    parts = (0x466E, name.encode()), (0x4660, media_type.encode()), (0x465C, content)
    return element(0x61A7, *(element(*part) for part in parts))


def film(*elements: bytes) -> bytes:
    return element(0x1A45DFA3) + element(0x18538067, *elements)


def places(*of: tuple[int, int]) -> bytes:
    """A list of places: what, and where in the segment."""
    return element(
        0x114D9B74,
        *(
            element(0x4DBB, element(0x53AB, struct.pack(">I", kind)), element(0x53AC, place))
            for kind, place in ((kind, struct.pack(">Q", at)) for kind, at in of)
        ),
    )


def read(*elements: bytes) -> MovieMetadata:
    return read_metadata(*reading(film(*elements)))


def lost(*elements: bytes) -> list[tuple[str, str]]:
    return [(item.kind, item.noun) for item in survey(*reading(film(*elements))).beside]


def test_tags_that_mp4_knows_are_carried_and_the_others_named() -> None:
    tags = element(
        TAGS,
        tag("ARTIST", "Ada"),
        tag("LOCATION", "+48.8577+002.2950/"),
        tag("COM.APPLE.QUICKTIME.MAKE", "Apple"),
        tag("SHOT_ID", "B-17"),
        tag("ARTIST", "a second one"),
        tag("ENCODER", "Lavf"),
        tag("BPS-eng", "1000"),
        tag("_STATISTICS_WRITING_APP", "mkvmerge"),
    )
    found = read(tags)
    assert [(entry.store, entry.key, entry.label) for entry in found.entries] == [
        ("itunes", b"\xa9ART", "artist"),
        ("udta", b"\xa9xyz", "location"),
        ("mdta", b"mdtacom.apple.quicktime.make", "camera make"),
    ]
    assert found.entries[0].value == struct.pack(">I4sII", 19, b"data", 1, 0) + b"Ada"
    assert found.unplaced == ("SHOT_ID", "ARTIST")
    assert found.missing_in(MovieMetadata(entries=found.entries)) == ("SHOT_ID", "ARTIST")
    assert lost(tags) == [("tags", "SHOT_ID"), ("tags", "ARTIST")]


@pytest.mark.parametrize(
    ("target", "is_carried"),
    [
        (b"", True),
        (element(0x68CA, b"\x32"), True),
        (element(0x68CA, b"\x46"), False),  # of a series
        (element(0x63C5, b"\x00"), True),
        (element(0x63C5, b"\x07"), False),  # of one track
    ],
)
def test_only_tags_of_the_film_as_a_whole_are_carried(target: bytes, is_carried: bool) -> None:
    found = read(element(TAGS, tag("COMMENT", "x", target)))
    assert (len(found.entries), found.unplaced) == ((1, ()) if is_carried else (0, ("COMMENT",)))


def test_the_title_of_the_header_goes_first() -> None:
    info = element(INFO, element(TITLE, b"Header"))
    found = read(info, element(TAGS, tag("TITLE", "Tag")))
    assert [entry.value[16:] for entry in found.entries] == [b"Header"]
    assert read(element(TAGS, tag("TITLE", "Tag"))).entries[0].value[16:] == b"Tag"


def test_attached_files_are_told_and_a_cover_is_carried() -> None:
    found = element(
        ATTACHMENTS,
        attached("Cover.jpg", "image/jpeg", b"picture"),
        attached("back.png", "image/png"),
        attached("serif.ttf", "application/x-truetype-font"),
        attached("sans.otf", "font/otf"),
        attached("notes.pdf", "application/pdf"),
    )
    [entry] = read(found).entries
    assert (entry.label, entry.value[8:12], entry.value[16:]) == (
        "cover picture",
        struct.pack(">I", 13),
        b"picture",
    )
    assert lost(found) == [
        ("attachments", "attached picture"),
        ("attachments", "attached font"),
        ("attachments", "attached font"),
        ("attachments", "attached file"),
    ]


def test_a_cover_too_large_for_an_index_is_told_instead() -> None:
    huge = element(ATTACHMENTS, attached("cover.png", "image/png", bytes(2**20 + 1)))
    assert lost(huge) == [("attachments", "attached picture")]


def behind(kind: int, content: bytes, *, off: int = 0) -> tuple[bytes, ...]:
    """A film with an element behind its clusters and a list that says so."""
    cluster = element(CLUSTER, bytes(100_000))
    head = places((kind, 0))
    at = len(head) + len(cluster) + off
    return places((kind, at)), cluster, element(kind, content)


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        (TAGS, tag("SHOT_ID", "x"), [("tags", "SHOT_ID")]),
        (ATTACHMENTS, attached("a.ttf", "font/ttf"), [("attachments", "attached font")]),
        (CHAPTERS, element(0x45B9), [("chapters", "chapters")]),
    ],
)
def test_what_comes_behind_the_film_is_found_by_the_list_of_places(
    kind: int, content: bytes, told: list[tuple[str, str]]
) -> None:
    assert lost(*behind(kind, content)) == told
    assert lost(*behind(kind, content, off=3)) == []  # something else is there
    assert lost(*behind(kind, content, off=2**40)) == []
    cut_off = film(*behind(kind, content))[: -len(content) - 20]
    assert survey(*reading(cut_off)).beside == ()


def test_nothing_is_told_twice() -> None:
    tags = element(TAGS, tag("SHOT_ID", "x"))
    head = places((TAGS, 0))
    assert lost(places((TAGS, len(head))), tags) == [("tags", "SHOT_ID")]


def test_endless_tags_take_nothing_else_with_them() -> None:
    info = element(INFO, element(TITLE, b"A film"))
    endless = element(TAGS, tag("A", "x") * 5_000)
    found = read(info, endless, endless, element(ATTACHMENTS, attached("a.ttf", "font/ttf")))
    assert found.fields == ("title", "A")
    damaged = read(info, element(TAGS, b"\x73\x73\x00\x00\x00"))
    assert damaged.fields == ("title",)


def test_names_are_tamed_and_long_texts_left() -> None:
    found = read(element(TAGS, tag("A\nB" + 100 * "C", "x"), tag("COMMENT", 9_000 * "x")))
    assert found.unplaced == ("AB" + 58 * "C", "COMMENT")
