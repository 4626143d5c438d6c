"""Metadata comes back into real films, and real decoders find every frame where it was."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import av
import boto3
import pytest
from moto import mock_aws

from chalicelib.adapters.storage import Storage
from chalicelib.domain.mp4 import MovieMetadata, Read, read_metadata, rewrite_head, survey
from chalicelib.restoring import ObjectRef, restore
from tests.made_clips import BARE, DIALOGUE, MUSIC, encode, ffmpeg, frames, make, said
from tests.mp4_samples import applied

SOURCE = ObjectRef(bucket="temp", key="jobs/1/source.mov")
ENCODED = ObjectRef(bucket="temp", key="jobs/1/a1/encoded.mp4")
TARGET = ObjectRef(bucket="temp", key="jobs/1/a1/restored.mp4")

PHONE = (
    *("-metadata", "creation_time=2023-05-06T07:08:09Z"),
    *("-metadata", "com.apple.quicktime.location.ISO6709=+48.8577+002.2950+035/"),
    *("-metadata", "com.apple.quicktime.make=Apple"),
    *("-metadata", "com.apple.quicktime.model=iPhone 15 Pro"),
    *("-metadata", "title=Sommer in Köln"),
    *("-movflags", "use_metadata_tags"),
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Path]:
    """Films by name, each with the bare encode of it."""
    place = tmp_path_factory.mktemp("clips")
    tracks = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
    names = ("-metadata:s:a:0", "handler_name=Dialogue", "-metadata:s:a:1", "handler_name=M&E")
    android = ("-metadata", "location=+48.8577+002.2950/", "-metadata", "title=Paris")
    remuxed = ("-metadata", "com.android.model=Pixel 9", "-metadata", "artist=Ada")
    made = {
        "phone": make(place / "phone.mov", *PHONE, seconds=1),
        "android": make(place / "android.mp4", *android, seconds=1),
        "dubbed": make(place / "dubbed.mov", *tracks, *names, seconds=1, sounds=(DIALOGUE, MUSIC)),
        "matroska": make(place / "film.mkv", *android, *remuxed, *tracks[:2], seconds=1),
        "bare": make(place / "bare.mp4", "-fflags", "+bitexact", seconds=1, sounds=()),
    }
    # Noise does not compress, so a second of it is larger than one part of an upload.
    noise = "nullsrc=s=640x480:r=30,geq=random(1)*255:128:128"
    made["large"] = make(place / "large.mov", *PHONE, "-crf", "1", seconds=0.7, picture=noise)
    encoded = {
        f"{name} encoded": encode(path, place / f"{name}_encoded.mp4", *BARE)
        for name, path in made.items()
        if name != "large"
    }
    encoded["large encoded"] = encode(
        made["large"], place / "large_encoded.mp4", *BARE, "-crf", "6"
    )
    return made | encoded


@pytest.fixture
def storage(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="temp")
        yield Storage(client)


def restored(storage: Storage, source: Path, encoded: Path, place: Path):
    storage.put(SOURCE.bucket, SOURCE.key, source.read_bytes(), content_type="video/quicktime")
    storage.put(ENCODED.bucket, ENCODED.key, encoded.read_bytes(), content_type="video/mp4")
    report = restore(
        storage, source=SOURCE, encoded=ENCODED, target=TARGET, writer="Slimreel, preset x"
    )
    path = place / "restored.mp4"
    if report.restored:
        path.write_bytes(storage.read(TARGET.bucket, TARGET.key))
    return report, path


def test_phone_film_keeps_date_place_and_camera(storage, clips, tmp_path):
    encoded = clips["phone encoded"]
    assert "creation_time" not in said(encoded)
    report, path = restored(storage, clips["phone"], encoded, tmp_path)
    metadata = said(path)
    assert metadata["creation_time"].startswith("2023-05-06T07:08:09")
    assert metadata["com.apple.quicktime.location.ISO6709"] == "+48.8577+002.2950+035/"
    assert metadata["com.apple.quicktime.make"] == "Apple"
    assert metadata["com.apple.quicktime.model"] == "iPhone 15 Pro"
    assert metadata["title"] == "Sommer in Köln"
    assert frames(path) == frames(encoded)
    assert report.fields == ("recording date", "location", "camera make", "camera model", "title")
    assert report.lost == ()


def test_every_track_of_the_phone_film_has_the_date(storage, clips, tmp_path):
    _, path = restored(storage, clips["phone"], clips["phone encoded"], tmp_path)
    with av.open(str(path)) as film:
        dates = {stream.metadata["creation_time"] for stream in film.streams}
    assert dates == {"2023-05-06T07:08:09.000000Z"}


def test_android_film_keeps_its_place(storage, clips, tmp_path):
    _, path = restored(storage, clips["android"], clips["android encoded"], tmp_path)
    metadata = said(path)
    assert metadata["location"] == "+48.8577+002.2950/"
    assert metadata["title"] == "Paris"
    assert frames(path) == frames(clips["android encoded"])


def test_dubbed_film_keeps_names_and_languages_of_its_tracks(storage, clips, tmp_path):
    report, path = restored(storage, clips["dubbed"], clips["dubbed encoded"], tmp_path)
    with av.open(str(path)) as film:
        audio = [
            (stream.metadata["language"], stream.metadata["handler_name"])
            for stream in film.streams.audio
        ]
    assert audio == [("eng", "Dialogue"), ("fra", "M&E")]
    assert frames(path) == frames(clips["dubbed encoded"])
    assert "name of audio track 2" in report.fields


def test_title_tags_and_language_come_over_from_matroska(storage, clips, tmp_path):
    report, path = restored(storage, clips["matroska"], clips["matroska encoded"], tmp_path)
    assert report.lost == ()
    known = said(path)
    assert (known["title"], known["artist"]) == ("Paris", "Ada")
    assert known["location"] == "+48.8577+002.2950/"
    assert known["com.android.model"] == "Pixel 9"
    with av.open(str(path)) as film:
        assert film.streams.audio[0].metadata["language"] == "eng"


def test_large_film_is_copied_inside_s3(storage, clips, tmp_path, monkeypatch):
    encoded = clips["large encoded"]
    assert encoded.stat().st_size > 6 * 2**20
    uploaded = []
    upload_part = storage.upload_part

    def counting(bucket: str, key: str, upload_id: str, number: int, body: bytes) -> str:
        uploaded.append(len(body))
        return upload_part(bucket, key, upload_id, number, body)

    monkeypatch.setattr(storage, "upload_part", counting)
    report, path = restored(storage, clips["large"], encoded, tmp_path)
    assert report.restored
    assert uploaded == [5 * 2**20]
    assert frames(path) == frames(encoded)
    assert said(path)["com.apple.quicktime.make"] == "Apple"


def test_failed_copy_leaves_no_unfinished_upload(storage, clips, tmp_path, monkeypatch):
    def broken(*_: object) -> str:
        raise ConnectionError("S3 is away")

    monkeypatch.setattr(storage, "copy_part", broken)
    with pytest.raises(ConnectionError):
        restored(storage, clips["large"], clips["large encoded"], tmp_path)
    assert "Uploads" not in storage._s3.list_multipart_uploads(Bucket="temp")
    assert not storage.exists(TARGET.bucket, TARGET.key)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-movflags", "frag_keyframe+empty_moov"), "fragmented"),
        (("-f", "mpegts"), "Not an MP4"),
    ],
)
def test_result_that_cannot_be_rewritten_is_left_alone(storage, clips, tmp_path, options, reason):
    odd = tmp_path / "odd.mp4"
    ffmpeg("-i", clips["phone encoded"], "-c", "copy", *options, odd)
    report, _ = restored(storage, clips["phone"], odd, tmp_path)
    assert not report.restored
    assert reason in report.reason
    assert "location" in report.lost
    assert not storage.exists(TARGET.bucket, TARGET.key)


def test_every_result_says_who_wrote_it(storage, tmp_path, clips):
    avi = tmp_path / "silent.avi"
    ffmpeg("-i", clips["bare"], "-c", "copy", avi)
    report, path = restored(storage, avi, clips["bare encoded"], tmp_path)
    assert (report.restored, report.fields, report.lost) == (True, (), ())
    assert said(path)["encoder"] == "Slimreel, preset x"
    data = path.read_bytes()
    assert survey(lambda at, n: data[at : at + n], len(data)).writer == "Slimreel, preset x"


def test_who_wrote_the_source_is_not_carried_over(storage, tmp_path, clips):
    _, path = restored(storage, clips["phone"], clips["phone encoded"], tmp_path)
    data = path.read_bytes()
    assert survey(lambda at, n: data[at : at + n], len(data)).writer == "Slimreel, preset x"
    again = read_metadata(lambda at, n: data[at : at + n], len(data))
    assert all(b"Slimreel" not in entry.value for entry in again.entries)


@pytest.mark.parametrize("moov_first", [True, False])
def test_decoders_find_every_frame_in_either_order_of_boxes(clips, tmp_path, moov_first):
    flags = "+faststart" if moov_first else "-faststart"
    film = tmp_path / "film.mp4"
    ffmpeg("-i", clips["dubbed encoded"], "-map", "0", "-c", "copy", "-movflags", flags, film)
    data, source = film.read_bytes(), clips["phone"].read_bytes()
    metadata = read_metadata(lambda start, n: source[start : start + n], len(source))
    rewrite = rewrite_head(lambda start, n: data[start : start + n], len(data), metadata)
    assert (rewrite.end == len(data)) is not moov_first
    new = tmp_path / "new.mp4"
    new.write_bytes(applied(data, rewrite.start, rewrite.end, rewrite.body))
    assert frames(new) == frames(film)
    assert said(new)["com.apple.quicktime.make"] == "Apple"


def test_decoders_find_every_frame_beyond_4_gib(clips, tmp_path):
    """A sparse film whose media lies where short offsets just still fit; with metadata put in
    they do not, and put in once more, the long ones move."""
    encoded = clips["phone encoded"]
    far, farther, farthest = (tmp_path / f"{name}.mp4" for name in ("far", "farther", "farthest"))
    write_far_away(encoded.read_bytes(), far)
    put_into_sparse(far, farther, read_metadata(*opened(clips["android"])))
    put_into_sparse(farther, farthest, read_metadata(*opened(clips["phone"])))
    assert b"stco" in head_of(far) and b"co64" not in head_of(far)
    assert b"co64" in head_of(farther)
    assert frames(far) == frames(farther) == frames(farthest) == frames(encoded)
    assert said(farthest)["com.apple.quicktime.make"] == "Apple"
    assert said(farthest)["location"] == "+48.8577+002.2950/"


def opened(path: Path) -> tuple[Read, int]:
    def read(start: int, length: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    return read, path.stat().st_size


def head_of(path: Path) -> bytes:
    return opened(path)[0](0, 100_000)


def write_far_away(data: bytes, path: Path) -> None:
    """An index-first film in a file full of hole, its last chunk just below 4 GiB."""
    moov_end = data.index(b"mdat") - 4
    moov = bytearray(data[:moov_end])
    places = list(offset_places(moov))
    gap = 2**32 - 10 - max(struct.unpack_from(">I", moov, at)[0] for at in places)
    for at in places:
        struct.pack_into(">I", moov, at, struct.unpack_from(">I", moov, at)[0] + gap)
    with path.open("wb") as out:
        out.write(moov + struct.pack(">I4sQ", 1, b"mdat", gap + len(data) - moov_end))
        out.seek(moov_end + gap)
        out.write(data[moov_end:])


def offset_places(moov: bytes | bytearray) -> Iterator[int]:
    place = -1
    while (place := moov.find(b"stco", place + 1)) >= 0:
        (count,) = struct.unpack_from(">I", moov, place + 8)
        yield from range(place + 12, place + 12 + 4 * count, 4)


def put_into_sparse(old: Path, new: Path, metadata: MovieMetadata) -> None:
    """Rewrite, keeping the hole a hole."""
    read, size_bytes = opened(old)
    rewrite = rewrite_head(read, size_bytes, metadata)
    media_bytes = 2**20
    with new.open("wb") as out:
        out.write(read(0, rewrite.start) + rewrite.body + read(rewrite.end, 100))
        out.seek(rewrite.new_size_bytes(size_bytes) - media_bytes)
        out.write(read(size_bytes - media_bytes, media_bytes))
