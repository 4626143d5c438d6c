"""Put metadata into an MP4, and leave everything else alone."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.mp4 import MovieMetadata, Mp4Error, read_metadata, rewrite_head
from chalicelib.domain.mp4.metadata import Entry, TrackMetadata
from tests.mp4_samples import (
    FTYP,
    Track,
    applied,
    box,
    chunks,
    film,
    itunes,
    mdta,
    reading,
    xyz,
)

CREATED = 3766201689
LOCATION = Entry(store="udta", key=b"\xa9xyz", value=xyz())
MAKE = Entry(
    store="mdta",
    key=b"mdtacom.apple.quicktime.make",
    value=box(b"data", struct.pack(">II", 1, 0), b"Apple"),
)
TITLE = Entry(
    store="itunes",
    key=b"\xa9nam",
    value=box(b"data", struct.pack(">II", 1, 0), b"Hello"),
)
EVERYTHING = MovieMetadata(
    created_1904_s=CREATED,
    entries=(LOCATION, TITLE, MAKE),
    tracks=(
        TrackMetadata(kind="vide"),
        TrackMetadata(kind="soun", language="fra", language_tag="fr-CA", name="Dialogue"),
    ),
)


def put(data: bytes, metadata: MovieMetadata) -> bytes:
    rewrite = rewrite_head(*reading(data), metadata)
    return applied(data, rewrite.start, rewrite.end, rewrite.body)


def two_tracks(**options) -> bytes:
    return film([Track(), Track(kind=b"soun")], **options)


@pytest.mark.parametrize("moov_first", [True, False])
def test_everything_is_there_and_every_chunk_is_found(moov_first):
    data = two_tracks(moov_first=moov_first)
    new = put(data, EVERYTHING)
    assert EVERYTHING.missing_in(read_metadata(*reading(new))) == ()
    assert chunks(new) == chunks(data)
    assert len(new) > len(data)


def test_index_between_two_halves_moves_only_the_second():
    early, late = Track(), Track(kind=b"soun")
    two_tracks_around = film([early, late], between=box(b"free", bytes(40)))
    start = two_tracks_around.index(b"mdat") - 4
    late.places = [start + 8]
    early.places = [len(FTYP) + 8]
    first = box(b"mdat", b"early...")
    moov = box(b"moov", box(b"mvhd", bytes(100)), early.dump(), late.dump())
    late.places = [len(FTYP + first) + len(moov) + 8]
    moov = box(b"moov", box(b"mvhd", bytes(100)), early.dump(), late.dump())
    data = FTYP + first + moov + box(b"mdat", b"late....")
    assert chunks(data) == [b"early...", b"late...."]
    assert chunks(put(data, EVERYTHING)) == [b"early...", b"late...."]


def test_doing_it_twice_changes_nothing_more():
    once = put(two_tracks(), EVERYTHING)
    assert put(once, EVERYTHING) == once


def test_nothing_to_put_leaves_every_byte():
    data = two_tracks(extra=box(b"udta", box(b"\xa9xyz", xyz()), bytes(4)), wide=True)
    assert put(data, MovieMetadata()) == data


def test_values_of_the_source_win_and_others_stay():
    user_data = box(b"udta", box(b"\xa9xyz", xyz("+00.0000+000.0000/")), box(b"\xa9cmt", b"kept"))
    new = put(two_tracks(extra=user_data), EVERYTHING)
    entries = read_metadata(*reading(new)).entries
    assert LOCATION in entries
    assert [entry.value for entry in entries if entry.key == b"\xa9cmt"] == [b"kept"]
    assert new.count(b"\xa9xyz") == 1


def test_existing_lists_are_added_to():
    extra = box(b"udta", itunes({b"\xa9too": "encoder", b"\xa9nam": "old"}))
    extra += mdta({"com.example.kept": "yes", "com.apple.quicktime.make": "old"}, full=True)
    new = put(two_tracks(extra=extra), EVERYTHING)
    metadata = read_metadata(*reading(new))
    assert b"encoder" in new
    assert b"old" not in new
    assert [entry.key for entry in metadata.entries] == [
        b"\xa9xyz",
        b"\xa9nam",
        b"mdtacom.example.kept",
        b"mdtacom.apple.quicktime.make",
    ]


def test_language_and_name_of_the_result_are_respected():
    data = film([Track(), Track(kind=b"soun", language="deu", name=b"Ton\0")])
    track = read_metadata(*reading(put(data, EVERYTHING))).tracks[1]
    assert (track.language, track.name) == ("deu", "Ton")


def test_names_are_not_dealt_out_when_tracks_do_not_match():
    data = film([Track(), Track(kind=b"soun"), Track(kind=b"soun")])
    metadata = read_metadata(*reading(put(data, EVERYTHING)))
    assert [track.name for track in metadata.tracks] == [None, None, None]
    assert "name of audio track 1" in EVERYTHING.missing_in(metadata)


def test_tracks_that_the_encoder_dropped_are_named():
    source = MovieMetadata(tracks=(TrackMetadata(kind="meta"), TrackMetadata(kind="tmcd")))
    kept = read_metadata(*reading(put(two_tracks(), source)))
    assert source.missing_in(kept) == ("timed metadata track", "time code track")


def test_date_that_does_not_fit_is_reported_lost():
    late = MovieMetadata(created_1904_s=2**32 + 5)
    assert late.missing_in(read_metadata(*reading(put(two_tracks(), late)))) == ("recording date",)


class Sparse:
    """A film of many gigabytes: its head is real, and at every later place stands that place."""

    def __init__(self, track: Track, places: list[int], size_bytes: int) -> None:
        track.places = places
        moov = box(b"moov", box(b"mvhd", bytes(100)), track.dump())
        lead = len(FTYP) + len(moov)
        self.head = FTYP + moov + struct.pack(">I4sQ", 1, b"mdat", size_bytes - lead)
        self.size_bytes = size_bytes

    def read(self, start: int, length: int) -> bytes:
        assert length < 2**20, "only the head may be read"
        return self.head[start : start + length].ljust(length, b"\0")


def offsets_of(body: bytes) -> tuple[bytes, list[int]]:
    for kind, form in ((b"stco", "I"), (b"co64", "Q")):
        place = body.find(kind)
        if place >= 0:
            (count,) = struct.unpack_from(">I", body, place + 8)
            return kind, list(struct.unpack_from(f">{count}{form}", body, place + 12))
    raise AssertionError("no offsets")


def test_offsets_that_would_pass_4_gib_become_long_ones():
    places = [10_000, 2**32 - 20]
    sparse = Sparse(Track(), places, 2**32 + 10_000)
    rewrite = rewrite_head(sparse.read, sparse.size_bytes, EVERYTHING)
    kind, moved = offsets_of(rewrite.body)
    growth = len(rewrite.body) - (rewrite.end - rewrite.start)
    assert kind == b"co64"
    assert moved == [place + growth for place in places]


def test_offsets_far_beyond_4_gib_move_along():
    places = [10_000, 2**40]
    sparse = Sparse(Track(long_offsets=True), places, 2**41)
    rewrite = rewrite_head(sparse.read, sparse.size_bytes, EVERYTHING)
    growth = len(rewrite.body) - (rewrite.end - rewrite.start)
    assert offsets_of(rewrite.body) == (b"co64", [place + growth for place in places])


def test_short_offsets_stay_short_where_they_fit():
    sparse = Sparse(Track(), [10_000, 2**31], 2**32)
    kind, _ = offsets_of(rewrite_head(sparse.read, sparse.size_bytes, EVERYTHING).body)
    assert kind == b"stco"


@st.composite
def places_around_4_gib(draw):
    """Chunks of a track; many of them stand where a little growth takes them past 4 GiB."""
    brink = st.integers(2**32 - 2_000, 2**32 - 1)
    return draw(st.lists(brink | st.integers(10_000, 2**32 - 1), min_size=1, max_size=60))


@given(
    tracks=st.lists(places_around_4_gib(), min_size=1, max_size=3),
    title=st.integers(0, 3_000),
)
def test_wherever_the_chunks_stand_each_offset_moves_by_what_the_index_grew(tracks, title):
    """Widening one table moves the chunks of all; none may wrap around or be left behind."""
    parts = []
    for places in tracks:
        track = Track()
        track.places = places
        parts.append(track.dump())
    moov = box(b"moov", box(b"mvhd", bytes(100)), *parts)
    size = 2**33
    head = FTYP + moov + struct.pack(">I4sQ", 1, b"mdat", size - len(FTYP + moov))
    entry = Entry(store="udta", key=b"\xa9nam", value=bytes(title))
    metadata = MovieMetadata(entries=(entry,) if title else ())

    def read(start: int, length: int) -> bytes:
        return head[start : start + length].ljust(length, b"\0")

    rewrite = rewrite_head(read, size, metadata)
    growth = len(rewrite.body) - (rewrite.end - rewrite.start)
    tables = tables_of(rewrite.body)
    behind = rewrite.end
    assert len(tables) == len(tracks)
    for (kind, moved), places in zip(tables, tracks, strict=True):
        assert moved == [place + growth if place >= behind else place for place in places]
        if kind == b"stco":
            assert max(moved) < 2**32
        else:
            assert max(places) + title + 4 * sum(map(len, tracks)) + 100 >= 2**32


def tables_of(body: bytes) -> list[tuple[bytes, list[int]]]:
    """Kind and offsets of every table, in order."""
    found, start = [], 0
    while places := [at for kind in (b"stco", b"co64") if (at := body.find(kind, start)) >= 0]:
        at = min(places)
        kind = body[at : at + 4]
        (count,) = struct.unpack_from(">I", body, at + 8)
        form = "I" if kind == b"stco" else "Q"
        found.append((kind, list(struct.unpack_from(f">{count}{form}", body, at + 12))))
        start = at + 12 + count * struct.calcsize(form)
    return found


def test_bytes_behind_a_table_of_offsets_stay():
    data = film([Track(padding=b"pad!"), Track(kind=b"soun", padding=b"pad?")])
    new = put(data, EVERYTHING)
    assert chunks(new) == chunks(data)
    assert b"pad!" in new and b"pad?" in new


def external_data() -> bytes:
    return two_tracks().replace(
        box(b"url ", struct.pack(">I", 1)), box(b"url ", struct.pack(">I", 0))
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (two_tracks(after=box(b"moof", bytes(20))), "fragmented"),
        (two_tracks(extra=box(b"mvex", bytes(20))), "fragmented"),
        (two_tracks(after=box(b"moov")), "found 2"),
        (FTYP + box(b"mdat"), "found 0"),
        (b"a text file", "Not an MP4"),
        (b"", "Not an MP4"),
        (FTYP + box(b"moov", box(b"cmov", bytes(9))), "compressed"),
        (FTYP + box(b"moov", Track().dump()), "no header"),
        (external_data(), "another file"),
        (two_tracks(after=box(b"meta", bytes(8), box(b"iloc"))), "iloc"),
        (two_tracks().replace(b"stsd", b"saio"), "saio"),
        (two_tracks()[:-4], "goes on after the end"),
    ],
)
def test_what_could_be_damaged_is_refused_with_a_reason(data, reason):
    with pytest.raises(Mp4Error, match=reason):
        rewrite_head(*reading(data), EVERYTHING)


def test_offset_into_the_index_itself_is_refused():
    track = Track()
    data = film([track])
    broken = data.replace(struct.pack(">I", track.places[0]), struct.pack(">I", len(FTYP) + 4), 1)
    with pytest.raises(Mp4Error, match="points into"):
        rewrite_head(*reading(broken), EVERYTHING)
