"""Whatever the film looks like: metadata arrives, chunks are found, nothing else changes."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.mp4 import (
    Entry,
    MovieMetadata,
    Mp4Error,
    TrackMetadata,
    read_metadata,
    rewrite_head,
)
from chalicelib.domain.mp4.boxes import Source, load_moov, top_level
from tests.mp4_samples import FTYP, Track, applied, box, chunks, film, itunes, mdta, reading, xyz

quick = settings(deadline=None)

#: The check finds chunk tables by their names, so a value must not hold one.
content = st.binary(max_size=40).filter(lambda b: b"stco" not in b and b"co64" not in b)
#: Codes that no test film uses for anything else.
codes = st.sampled_from([b"\xa9xyz", b"\xa9nam", b"\xa9mak", b"abcd", b"XMP_", b"zzzz"])
languages = st.sampled_from([None, "eng", "fra", "deu", "zho"])
names = st.one_of(st.none(), st.sampled_from(["Dialogue", "Musik & Geräusche", "配音", "é" * 200]))


@st.composite
def entries(draw):
    found = {}
    for key in draw(st.lists(codes, max_size=4, unique=True)):
        found["udta", key] = Entry(store="udta", key=key, value=draw(content))
    for key in draw(st.lists(codes, max_size=3, unique=True)):
        found["itunes", key] = Entry(store="itunes", key=key, value=draw(content))
    for name in draw(st.lists(st.text("abc.", min_size=1, max_size=8), max_size=3, unique=True)):
        key = b"mdta" + name.encode()
        found["mdta", key] = Entry(store="mdta", key=key, value=draw(content))
    return tuple(found.values())


tracks_said = st.builds(
    TrackMetadata,
    kind=st.sampled_from(["vide", "soun"]),
    created_1904_s=st.one_of(st.none(), st.integers(1, 2**32 - 1)),
    language=languages,
    name=names,
    entries=entries(),
)
said = st.builds(
    MovieMetadata,
    created_1904_s=st.one_of(st.none(), st.integers(1, 2**32 - 1)),
    entries=entries(),
    tracks=st.lists(tracks_said, max_size=3).map(tuple),
)

junk = st.lists(
    st.builds(box, st.sampled_from([b"free", b"uuid", b"abcd"]), content, wide=st.booleans()),
    max_size=3,
).map(b"".join)
user_data = st.one_of(
    st.just(b""),
    st.just(box(b"udta")),
    st.just(box(b"udta", box(b"\xa9xyz", xyz()), bytes(4))),
    st.just(box(b"udta", itunes({b"\xa9too": "x", b"\xa9nam": "y"}))),
    st.just(box(b"udta", b"no boxes at all in here")),
    content.map(lambda raw: box(b"udta", box(b"zzzz", raw), box(b"meta", raw))),
)
keyed = st.one_of(
    st.just(b""),
    st.booleans().map(lambda full: mdta({"abc": "1", "kept": "2"}, full=full)),
)
tracks = st.builds(
    Track,
    kind=st.sampled_from([b"vide", b"soun", b"text"]),
    created=st.integers(0, 2**32 - 1),
    language=st.sampled_from(["und", "eng"]),
    name=st.sampled_from([b"SoundHandler\0", b"\0", b"\x05Named"]),
    long_offsets=st.booleans(),
    extra=st.one_of(user_data, junk),
    media_extra=junk,
    padding=st.sampled_from([b"", b"pad!"]),
)
films = st.builds(
    film,
    st.lists(tracks, min_size=1, max_size=4),
    chunks_per_track=st.integers(0, 5),
    moov_first=st.booleans(),
    before=junk.map(lambda raw: FTYP + raw),
    between=junk,
    after=junk,
    created=st.integers(0, 2**32 - 1),
    extra=st.tuples(user_data, keyed, junk).map(b"".join),
    wide=st.booleans(),
)


def put(data: bytes, metadata: MovieMetadata) -> bytes | None:
    """The new file; None for one whose metadata might point into the file."""
    try:
        rewrite = rewrite_head(*reading(data), metadata)
    except Mp4Error as error:
        assert "of a kind that may point" in str(error)
        return None
    assert rewrite.new_size_bytes(len(data)) == len(data) - rewrite.end + rewrite.start + len(
        rewrite.body
    )
    return applied(data, rewrite.start, rewrite.end, rewrite.body)


def spans(data: bytes) -> list[tuple[bytes, bytes]]:
    found = top_level(Source(*reading(data)))
    return [(span.type, data[span.start : span.end]) for span in found if span.type != b"moov"]


@quick
@given(films, said)
def test_every_chunk_is_found_and_every_other_box_is_the_same(data, metadata):
    new = put(data, metadata)
    if new is not None:
        assert chunks(new) == chunks(data)
        assert spans(new) == spans(data)


@quick
@given(films, said)
def test_doing_it_twice_is_doing_it_once(data, metadata):
    once = put(data, metadata)
    if once is not None:
        assert put(once, metadata) == once


@quick
@given(films, said)
def test_entries_arrive_and_none_of_the_others_leave(data, metadata):
    new = put(data, metadata)
    if new is None:
        return
    before, after = read_metadata(*reading(data)), read_metadata(*reading(new))
    if metadata.created_1904_s is not None:
        assert after.created_1904_s == metadata.created_1904_s
    ours = {(entry.store, entry.key) for entry in metadata.entries}
    assert {entry for entry in metadata.entries if entry.store == "udta"} <= set(after.entries)
    kept = {entry for entry in before.entries if (entry.store, entry.key) not in ours}
    assert kept <= set(after.entries)
    assert len(after.tracks) == len(before.tracks)


@quick
@given(films)
def test_taking_an_index_apart_and_putting_it_together_is_exact(data):
    source = Source(*reading(data))
    (span,) = [span for span in top_level(source) if span.type == b"moov"]
    assert load_moov(source, span).dump() == data[span.start : span.end]


@quick
@given(films, said, st.data())
def test_damage_is_refused_and_never_crashes(data, metadata, more):
    broken = bytearray(data)
    for _ in range(more.draw(st.integers(1, 6))):
        place = more.draw(st.integers(0, len(data) - 1))
        broken[place] = more.draw(st.integers(0, 255))
    broken = broken[: more.draw(st.integers(0, len(broken)))]
    for attempt in (
        lambda raw: read_metadata(*reading(raw)),
        lambda raw: put_or_raise(raw, metadata),
    ):
        try:
            attempt(bytes(broken))
        except Mp4Error as error:
            assert str(error)


def put_or_raise(data: bytes, metadata: MovieMetadata) -> None:
    rewrite = rewrite_head(*reading(data), metadata)
    assert len(rewrite.body) == struct.unpack(">I", rewrite.body[:4])[0] or rewrite.body[3] == 1


@quick
@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_survived(data):
    for start in (b"", b"\x1a\x45\xdf\xa3", FTYP):
        try:
            read_metadata(*reading(start + data))
        except Mp4Error as error:
            assert str(error)
