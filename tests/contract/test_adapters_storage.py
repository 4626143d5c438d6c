"""S3's adapter over the stand-in, and the fake that other tests use for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.adapters import storage as storage_module
from chalicelib.adapters.storage import (
    ObjectExists,
    ObjectMissing,
    content_disposition,
    copy_ranges,
)
from chalicelib.adapters.storage import Storage as S3Storage
from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.faults import Fault, Faults
from slimreel.local.http_server import Server
from slimreel.local.s3 import S3
from tests import fakes

MIB = 2**20
NAME = "Über «ملف» 🎬 'q\" \n-x.mp4"


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults()


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory, faults) -> Iterator[Any]:
    keys = {ACCESS_KEY_ID: SECRET_ACCESS_KEY}
    with serving(S3(tmp_path_factory.mktemp("s3"), faults=faults, secrets=keys)) as client:
        make_buckets(client)
        yield client


@contextmanager
def serving(s3: S3) -> Iterator[Any]:
    from werkzeug import Request

    server = Server(Request.application(s3.handle))
    server.start()
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{server.port}",
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=Config(signature_version="s3v4", retries={"mode": "standard", "max_attempts": 8}),
    )
    yield client
    client.close()
    server.stop()
    s3.close()


class Denials:
    """Nothing may be removed."""

    def of_call(self) -> None: ...
    def of_hearing_of_absence(self) -> None: ...
    def of_deleting(self, key: str) -> str:
        return f"You may not remove {key}."


def test_what_s3_did_not_remove_is_not_taken_for_removed(tmp_path: Path) -> None:
    """It answers 200 to that, with one error for each key."""
    s3 = S3(tmp_path, faults=Faults(), denials=lambda key, call: Denials())
    with serving(s3) as client:
        make_buckets(client)
        storage = S3Storage(client)
        storage.put("temp", "jobs/1/film.mp4", b"film", content_type="video/mp4")
        with pytest.raises(ClientError, match=r"AccessDenied.*may not remove jobs/1/film\.mp4"):
            storage.delete_prefix("temp", "jobs/1/")
        assert storage.exists("temp", "jobs/1/film.mp4")


def make_buckets(client: Any) -> None:
    for bucket in ("temp", "compressed"):
        client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )


@pytest.fixture(params=["stand-in", "fake"])
def storage(request) -> Iterator[Any]:
    if request.param == "fake":
        yield fakes.Storage()
    else:
        yield request.getfixturevalue("s3")


@pytest.fixture
def s3(stand_in, faults) -> Iterator[S3Storage]:
    made = S3Storage(stand_in)
    yield made
    faults.clear()
    for bucket in ("temp", "compressed"):
        made.delete_prefix(bucket, "")


def put(storage: Any, key: str = "jobs/1/a", body: bytes = b"0123456789") -> None:
    storage.put("temp", key, body, content_type="video/mp4")


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=code)


def test_what_was_put_is_there(storage) -> None:
    put(storage)
    assert storage.read("temp", "jobs/1/a") == b"0123456789"
    assert storage.size_bytes("temp", "jobs/1/a") == 10
    assert storage.size_or_none("temp", "jobs/1/a") == 10
    assert storage.read_range("temp", "jobs/1/a", 3, 4) == b"3456"
    assert b"".join(storage.chunks("temp", "jobs/1/a", 3)) == b"0123456789"


def test_what_is_not_there_is_none_or_an_error(storage) -> None:
    put(storage, "jobs/1/a-longer-name")
    assert storage.size_or_none("temp", "jobs/1/a") is None
    assert not storage.exists("temp", "jobs/1/a")
    with refused("404"):
        storage.size_bytes("temp", "jobs/1/a")
    with refused("NoSuchKey"):
        storage.read("temp", "jobs/1/a")


def test_a_version_says_what_is_there(storage) -> None:
    etag = storage.put("temp", "film", b"0123", content_type="video/mp4")
    there = storage.version("temp", "film")
    assert (there.size_bytes, there.etag, there.content_type) == (4, etag, "video/mp4")
    assert (there.version_id, there.is_archived) == (None, False)
    assert there.modified_at.tzinfo is not None
    with pytest.raises(ObjectMissing):
        storage.version("temp", "nothing")


def test_a_copy_of_one_version_is_of_that_one_or_none(storage) -> None:
    etag = storage.put("temp", "film", b"first", content_type="video/mp4")
    what = {"content_type": "video/mp4", "file_name": "x.mp4", "etag": etag}
    assert storage.copy(("temp", "film"), ("compressed", "copy"), **what)
    assert storage.read("compressed", "copy") == b"first"
    put(storage, "film", b"second")
    with refused("PreconditionFailed"):
        storage.copy(("temp", "film"), ("compressed", "another"), **what)
    assert not storage.exists("compressed", "another")


def test_json_comes_back(storage) -> None:
    storage.put_json("temp", "x.json", {"a": [1, None, "ü"]})
    assert b'"a": [1, null' in storage.read("temp", "x.json")


def test_an_upload_in_parts(storage) -> None:
    upload = storage.create_upload("temp", "k", content_type="video/mp4")
    etags = {
        2: storage.upload_part("temp", "k", upload, 2, b"end"),
        1: storage.upload_part("temp", "k", upload, 1, b"x" * 5 * MIB),
    }
    parts = storage.parts("temp", "k", upload)
    assert {number: size for number, (_, size) in parts.items()} == {1: 5 * MIB, 2: 3}
    assert {number: etag for number, (etag, _) in parts.items()} == etags
    assert storage.size_or_none("temp", "k") is None
    etag = storage.complete_upload("temp", "k", upload, etags)
    assert storage.found("temp", "k").etag == etag
    assert storage.size_bytes("temp", "k") == 5 * MIB + 3
    assert storage.read_range("temp", "k", 5 * MIB, 3) == b"end"


def test_what_is_not_to_be_replaced_is_not(storage) -> None:
    put(storage)
    there = storage.found("temp", "jobs/1/a")
    assert there.size_bytes == 10
    upload = storage.create_upload("temp", "jobs/1/a", content_type="video/mp4")
    parts = {1: storage.upload_part("temp", "jobs/1/a", upload, 1, bytearray(b"other"))}
    with pytest.raises(ObjectExists):
        storage.complete_upload("temp", "jobs/1/a", upload, parts, replace=False)
    with pytest.raises(ObjectExists):
        storage.put("temp", "jobs/1/a", b"other", content_type="video/mp4", replace=False)
    assert storage.found("temp", "jobs/1/a") == there
    etag = storage.put("temp", "b", bytearray(b"new"), content_type="video/mp4", replace=False)
    assert storage.found("temp", "b").etag == etag
    assert storage.found("temp", "c") is None


def test_a_range_of_one_object_is_not_read_from_its_successor(storage) -> None:
    put(storage)
    etag = storage.found("temp", "jobs/1/a").etag
    assert storage.read_range("temp", "jobs/1/a", 2, 3, etag=etag) == b"234"
    put(storage, body=b"other bytes")
    with refused("PreconditionFailed"):
        storage.read_range("temp", "jobs/1/a", 2, 3, etag=etag)


def test_an_upload_that_is_over_is_not_known_any_more(storage) -> None:
    upload = storage.create_upload("temp", "k", content_type="video/mp4")
    assert storage.parts("temp", "k", upload) == {}
    storage.abort_upload("temp", "k", upload)
    with refused("NoSuchUpload"):
        storage.parts("temp", "k", upload)
    with refused("NoSuchUpload"):
        storage.upload_part("temp", "k", upload, 1, b"x")


def test_an_object_is_removed_while_it_is_the_one_that_is_meant(storage) -> None:
    etag = storage.put("temp", "k", b"one", content_type="video/mp4")
    storage.delete("temp", "k", etag=etag)
    assert not storage.exists("temp", "k")
    storage.delete("temp", "k", etag=etag)  # nothing is there any more
    put(storage, "k", b"another")
    storage.delete("temp", "k", etag=etag)
    assert storage.exists("temp", "k")


def test_a_prefix_is_removed_with_its_unfinished_uploads(storage) -> None:
    for key in ("jobs/1/a", "jobs/1/b/c", "jobs/12/a"):
        put(storage, key)
    upload = storage.create_upload("temp", "jobs/1/source", content_type="video/mp4")
    other = storage.create_upload("temp", "jobs/12/source", content_type="video/mp4")
    storage.delete_prefix("temp", "jobs/1/")
    storage.delete_prefix("temp", "jobs/1/")  # twice is as good
    assert not storage.exists("temp", "jobs/1/a") and not storage.exists("temp", "jobs/1/b/c")
    assert storage.exists("temp", "jobs/12/a")
    with refused("NoSuchUpload"):
        storage.parts("temp", "jobs/1/source", upload)
    assert storage.parts("temp", "jobs/12/source", other) == {}


def test_a_copy_is_whole_and_replaces_what_was_there(storage) -> None:
    put(storage)
    for body in (b"before", None):
        if body:
            storage.put("compressed", "k.mp4", body, content_type="text/plain")
        storage.copy(
            ("temp", "jobs/1/a"), ("compressed", "k.mp4"), content_type="video/mp4", file_name=NAME
        )
        assert storage.read("compressed", "k.mp4") == b"0123456789"


# Of the real adapter only


def test_a_copy_has_its_type_and_its_name(s3: S3Storage) -> None:
    put(s3)
    s3.copy(
        ("temp", "jobs/1/a"),
        ("compressed", "k.mp4"),
        content_type="video/quicktime",
        file_name=NAME,
    )
    head = s3._s3.head_object(Bucket="compressed", Key="k.mp4")
    assert head["ContentType"] == "video/quicktime"
    assert head["ContentDisposition"] == content_disposition(NAME)


def test_a_large_copy_goes_in_parts(s3: S3Storage, monkeypatch) -> None:
    monkeypatch.setattr(storage_module, "COPY_LIMIT_BYTES", 5 * MIB)
    monkeypatch.setattr(storage_module, "COPY_PART_BYTES", 5 * MIB)
    body = bytes(range(256)) * 4 * 1024 * 11 + b"tail"
    put(s3, body=body)
    target = ("compressed", "k.mp4")
    s3.copy(("temp", "jobs/1/a"), target, content_type="video/mp4", file_name=NAME)
    assert s3.read(*target) == body
    head = s3._s3.head_object(Bucket="compressed", Key="k.mp4")
    assert head["ETag"].endswith('-3"')
    assert head["ContentDisposition"] == content_disposition(NAME)


def test_a_large_copy_that_fails_leaves_no_upload(s3: S3Storage, faults, monkeypatch) -> None:
    monkeypatch.setattr(storage_module, "COPY_LIMIT_BYTES", 5 * MIB)
    monkeypatch.setattr(storage_module, "COPY_PART_BYTES", 5 * MIB)
    put(s3, body=b"x" * 11 * MIB)
    faults.add(Fault(service="s3", operation="UploadPartCopy", nth=2, status=403, code="Denied"))
    with refused("Denied"):
        s3.copy(("temp", "jobs/1/a"), ("compressed", "k"), content_type="v/m", file_name="n")
    assert "Uploads" not in s3._s3.list_multipart_uploads(Bucket="compressed")


def test_a_large_copy_goes_on_where_it_stopped(s3: S3Storage, monkeypatch) -> None:
    monkeypatch.setattr(storage_module, "COPY_LIMIT_BYTES", 5 * MIB)
    monkeypatch.setattr(storage_module, "COPY_PART_BYTES", 5 * MIB)
    monkeypatch.setattr(storage_module, "COPIES_AT_A_TIME", 1)
    body = bytes(range(256)) * 4 * 1024 * 16
    put(s3, body=body)
    target, marks, looks = ("compressed", "k.mp4"), [], iter([1.0, 1.0])

    def copied(seconds_left) -> bool:
        return s3.copy(
            ("temp", "jobs/1/a"),
            target,
            content_type="video/mp4",
            file_name=NAME,
            under_way=marks[-1] if marks else None,
            begun=marks.append,
            seconds_left=seconds_left,
        )

    assert not copied(lambda: next(looks, 0.0))
    upload_id = marks[0].split()[1]
    before = s3.parts(*target, upload_id)
    assert sorted(before) == [1, 2]
    assert s3.size_or_none(*target) is None
    copies = []
    copy_part = s3.copy_part
    monkeypatch.setattr(
        s3, "copy_part", lambda *args, **more: copies.append(args[3]) or copy_part(*args, **more)
    )
    assert copied(lambda: 1.0)
    assert (len(marks), copies) == (1, [3, 4])
    assert s3.read(*target) == body


def test_parts_of_another_source_are_not_gone_on_with(s3: S3Storage, monkeypatch) -> None:
    monkeypatch.setattr(storage_module, "COPY_LIMIT_BYTES", 5 * MIB)
    monkeypatch.setattr(storage_module, "COPY_PART_BYTES", 5 * MIB)
    marks: list[str] = []
    about = {"content_type": "video/mp4", "file_name": NAME, "begun": marks.append}
    source, target = ("temp", "jobs/1/a"), ("compressed", "k.mp4")
    put(s3, body=b"a" * 6 * MIB)
    assert not s3.copy(source, target, seconds_left=lambda: 0.0, **about)
    put(s3, body=b"b" * 6 * MIB)
    assert s3.copy(source, target, under_way=marks[0], **about)
    assert s3.read(*target) == b"b" * 6 * MIB
    assert "Uploads" not in s3._s3.list_multipart_uploads(Bucket="compressed")


@pytest.mark.parametrize("code", ["SlowDown", "InternalError"])
def test_a_busy_s3_is_asked_again(s3: S3Storage, faults, code: str) -> None:
    status = 503 if code == "SlowDown" else 500
    faults.add(Fault(service="s3", operation="UploadPart", status=status, code=code))
    upload = s3.create_upload("temp", "k", content_type="video/mp4")
    etag = s3.upload_part("temp", "k", upload, 1, b"bytes")
    s3.complete_upload("temp", "k", upload, {1: etag})
    assert s3.read("temp", "k") == b"bytes"


def test_a_presigned_link_gives_the_file_under_its_name(s3: S3Storage) -> None:
    put(s3)
    url = s3.presigned_url("temp", "jobs/1/a", expires_s=60, file_name=NAME)
    answer = requests.get(url, timeout=10)
    assert answer.content == b"0123456789"
    assert answer.headers["Content-Disposition"] == content_disposition(NAME)
    part = requests.get(
        s3.presigned_url("temp", "jobs/1/a", expires_s=60),
        headers={"Range": "bytes=2-4"},
        timeout=10,
    )
    assert (part.status_code, part.content) == (206, b"234")
    assert requests.get(url.replace("jobs/1/a", "jobs/2/a"), timeout=10).status_code == 403


def test_any_name_fits_a_header() -> None:
    header = content_disposition(NAME)
    assert header.isascii() and "\n" not in header and '"' not in header
    assert header == f"attachment; filename*=UTF-8''{quote(NAME, safe='')}"


@pytest.mark.parametrize("size_bytes", [1, 2**30, 2**30 + 1, 5 * 2**30 + 1, 48 * 2**30])
def test_copy_ranges_cover_every_byte_once(size_bytes: int) -> None:
    ranges = copy_ranges(size_bytes)
    assert ranges[0][0] == 0 and ranges[-1][1] == size_bytes - 1
    assert all(end + 1 == after for (_, end), (after, _) in pairwise(ranges))
    assert len(ranges) <= 10_000 and all(end - start < 5 * 2**30 for start, end in ranges)
