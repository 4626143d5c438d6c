"""The local S3 as a real boto3 client sees it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from werkzeug import Request
from werkzeug.serving import WSGIRequestHandler, make_server

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.faults import Fault, Faults
from slimreel.local.s3 import S3

MIB = 1 << 20
KEY_ID, SECRET = "AKIDLOCAL", "local-secret"
BUCKET = "slimreel-temp"


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, *_: object) -> None:
        """Quiet."""


class Cloud:
    """A running S3 with its faults, and clients for it."""

    def __init__(self) -> None:
        self.server = make_server(
            "127.0.0.1",
            0,
            Request.application(lambda request: self.s3.handle(request)),
            threaded=True,
            request_handler=Handler,
        )
        self.url = f"http://127.0.0.1:{self.server.port}"
        self._thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def open(self, root: Path) -> None:
        self.root = root
        self.faults = Faults()
        self.s3 = S3(root, faults=self.faults, secrets={KEY_ID: SECRET})

    def stop(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def client(self, *, secret: str = SECRET, retries: int = 1, **config: object):
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=secret,
            config=Config(
                signature_version="s3v4",
                retries={"total_max_attempts": retries, "mode": "standard"},
                **config,
            ),
        )

    def signed(self, method: str, path: str, headers: dict[str, str], payload: str) -> dict:
        """Headers for a raw request with this x-amz-content-sha256."""
        request = AWSRequest(
            method, self.url + path, headers={**headers, "X-Amz-Content-SHA256": payload}
        )
        signer = _SignAsIs(Credentials(KEY_ID, SECRET), "s3", REGION)
        signer.sent_payload = payload
        signer.add_auth(request)
        return dict(request.headers.items())

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)


class _SignAsIs(S3SigV4Auth):
    sent_payload = ""

    def payload(self, request: AWSRequest) -> str:
        return self.sent_payload


@pytest.fixture(scope="module")
def running() -> Iterator[Cloud]:
    running = Cloud()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shared_client(running: Cloud):
    return running.client()


@pytest.fixture
def cloud(running: Cloud, shared_client, tmp_path: Path) -> Iterator[Cloud]:
    """A store of its own for each test, with an empty bucket."""
    running.open(tmp_path / "s3")
    make_bucket(shared_client, BUCKET)
    yield running
    running.s3.close()


@pytest.fixture
def s3(cloud: Cloud, shared_client):
    return shared_client


def make_bucket(client, name: str) -> None:
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})


def error_of(call, **arguments) -> tuple[str, int]:
    """Code and status of the refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def message_of(call, **arguments) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Message"]


def put(s3, key: str, body: bytes = b"hello", **more):
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def body_of(s3, key: str, **more) -> bytes:
    with closing(s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"]) as body:
        return body.read()


def blobs(cloud: Cloud) -> list[Path]:
    return [*(cloud.root / "blobs").iterdir(), *(cloud.root / "drafts").iterdir()]


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


# Buckets


def test_bucket_life(s3) -> None:
    assert s3.head_bucket(Bucket=BUCKET)["BucketRegion"] == REGION
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == REGION
    (listed,) = s3.list_buckets()["Buckets"]
    assert listed["Name"] == BUCKET
    assert datetime.now(UTC) - listed["CreationDate"] < timedelta(minutes=1)
    s3.delete_bucket(Bucket=BUCKET)
    assert error_of(s3.head_bucket, Bucket=BUCKET) == ("404", 404)
    assert error_of(s3.list_objects_v2, Bucket=BUCKET) == ("NoSuchBucket", 404)


def test_buckets_are_listed_in_pages(s3) -> None:
    for name in ("bbb", "aaa"):
        make_bucket(s3, name)
    first = s3.list_buckets(MaxBuckets=2)
    assert [bucket["Name"] for bucket in first["Buckets"]] == ["aaa", "bbb"]
    rest = s3.list_buckets(ContinuationToken=first["ContinuationToken"])
    assert [bucket["Name"] for bucket in rest["Buckets"]] == [BUCKET]


def test_bucket_that_exists_is_refused(s3) -> None:
    configuration = {"LocationConstraint": REGION}
    refused = error_of(s3.create_bucket, Bucket=BUCKET, CreateBucketConfiguration=configuration)
    assert refused == ("BucketAlreadyOwnedByYou", 409)


def test_bucket_for_another_region_is_refused(s3) -> None:
    assert error_of(s3.create_bucket, Bucket="elsewhere")[0] == (
        "IllegalLocationConstraintException"
    )


@pytest.mark.parametrize("name", ["Upper", "a..b", "-ab", "xn--abc", "192.168.1.1", "abc-s3alias"])
def test_invalid_bucket_name_is_refused(s3, name: str) -> None:
    refused = error_of(
        s3.create_bucket,
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )
    assert refused == ("InvalidBucketName", 400)


def test_bucket_with_objects_is_not_deleted(s3) -> None:
    put(s3, "k")
    assert error_of(s3.delete_bucket, Bucket=BUCKET) == ("BucketNotEmpty", 409)


# Settings of buckets


def test_lifecycle_reads_back_as_put(s3) -> None:
    rule = {
        "ID": "temp",
        "Status": "Enabled",
        "Filter": {"Prefix": "jobs/"},
        "Expiration": {"Days": 7},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    assert error_of(s3.get_bucket_lifecycle_configuration, Bucket=BUCKET)[0] == (
        "NoSuchLifecycleConfiguration"
    )
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"] == [rule]
    s3.delete_bucket_lifecycle(Bucket=BUCKET)
    assert error_of(s3.get_bucket_lifecycle_configuration, Bucket=BUCKET)[1] == 404


@pytest.mark.parametrize(
    "rule, code",
    [
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({}, "InvalidRequest"),
        (
            {
                "Filter": {"Tag": {"Key": "a", "Value": "b"}},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            },
            "InvalidRequest",
        ),
    ],
)
def test_lifecycle_rule_that_aws_refuses_is_refused(s3, rule: dict, code: str) -> None:
    whole = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **rule}
    refused = error_of(
        s3.put_bucket_lifecycle_configuration,
        Bucket=BUCKET,
        LifecycleConfiguration={"Rules": [whole]},
    )
    assert refused == (code, 400)


def test_new_bucket_is_private_encrypted_and_without_acls(s3) -> None:
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert len(block) == 4 and all(block.values())
    controls = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]
    assert controls["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)


def test_kms_bucket_shows_its_key_on_objects_and_hides_their_md5(s3) -> None:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/films"}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    put(s3, "k", b"film")
    shown = s3.head_object(Bucket=BUCKET, Key="k")
    assert shown["ServerSideEncryption"] == "aws:kms"
    assert shown["SSEKMSKeyId"] == f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:alias/films"
    assert shown["BucketKeyEnabled"] is True
    assert shown["ETag"] != f'"{hashlib.md5(b"film").hexdigest()}"'
    s3.delete_bucket_encryption(Bucket=BUCKET)
    put(s3, "k2")
    assert s3.head_object(Bucket=BUCKET, Key="k2")["ServerSideEncryption"] == "AES256"


def test_public_access_block_policy_tags_and_ownership_read_back(s3) -> None:
    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": False,
    }
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=block)
    assert s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"] == block
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny"}]})
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    assert s3.get_bucket_policy(Bucket=BUCKET)["Policy"] == policy
    tags = [{"Key": "app", "Value": "slim & reel"}]
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == tags
    rules = [{"ObjectOwnership": "ObjectWriter"}]
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls={"Rules": rules})
    controls = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]
    assert controls == {"Rules": rules}


@pytest.mark.parametrize(
    "delete, get, code",
    [
        (
            "delete_public_access_block",
            "get_public_access_block",
            "NoSuchPublicAccessBlockConfiguration",
        ),
        ("delete_bucket_policy", "get_bucket_policy", "NoSuchBucketPolicy"),
        ("delete_bucket_tagging", "get_bucket_tagging", "NoSuchTagSet"),
        ("delete_bucket_cors", "get_bucket_cors", "NoSuchCORSConfiguration"),
        (
            "delete_bucket_ownership_controls",
            "get_bucket_ownership_controls",
            "OwnershipControlsNotFoundError",
        ),
    ],
)
def test_deleted_setting_has_its_own_error(s3, delete: str, get: str, code: str) -> None:
    getattr(s3, delete)(Bucket=BUCKET)
    assert error_of(getattr(s3, get), Bucket=BUCKET) == (code, 404)


def test_policy_that_is_no_json_is_refused(s3) -> None:
    assert error_of(s3.put_bucket_policy, Bucket=BUCKET, Policy="nope")[0] == "MalformedPolicy"


def test_cors_rules_read_back_and_reach_browsers(cloud: Cloud, s3) -> None:
    rule = {
        "AllowedMethods": ["GET"],
        "AllowedOrigins": ["https://*.example.com"],
        "AllowedHeaders": ["range"],
        "MaxAgeSeconds": 60,
    }
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"] == [rule]
    put(s3, "k")
    headers = {"Origin": "https://a.example.com", "Access-Control-Request-Method": "GET"}
    assert _preflight(cloud, headers) == (200, "https://a.example.com")
    assert _preflight(cloud, {**headers, "Origin": "https://evil.org"}) == (403, None)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "k"})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example.com"


def _preflight(cloud: Cloud, headers: dict[str, str]) -> tuple[int, str | None]:
    connection = cloud.connection()
    connection.request("OPTIONS", f"/{BUCKET}/k", headers=headers)
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.headers["Access-Control-Allow-Origin"]


def test_what_is_not_there_says_so(s3, caplog: pytest.LogCaptureFixture) -> None:
    versioning = {"Status": "Enabled"}
    refused = ("NotImplemented", 501)
    assert refused == error_of(
        s3.put_bucket_versioning, Bucket=BUCKET, VersioningConfiguration=versioning
    )
    assert refused == error_of(
        s3.put_bucket_notification_configuration,
        Bucket=BUCKET,
        NotificationConfiguration={"EventBridgeConfiguration": {}},
    )
    assert error_of(s3.get_bucket_website, Bucket=BUCKET) == refused
    assert error_of(
        s3.get_object_attributes, Bucket=BUCKET, Key="k", ObjectAttributes=["ETag"]
    ) == (refused)
    assert refused == error_of(
        s3.put_object,
        Bucket=BUCKET,
        Key="k",
        SSECustomerKey=b"k" * 32,
        SSECustomerAlgorithm="AES256",
    )
    assert sum("501" in record.message for record in caplog.records) == 5
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=BUCKET)


# Objects


def test_object_comes_back_as_put(s3) -> None:
    answer = put(
        s3,
        "jobs/1/source.mov",
        b"film",
        ContentType="video/quicktime",
        ContentDisposition='attachment; filename="a.mov"',
        CacheControl="no-cache",
        StorageClass="STANDARD_IA",
        Metadata={"Job-Id": "1", "note": "a b"},
    )
    assert answer["ETag"] == f'"{hashlib.md5(b"film").hexdigest()}"'
    got = s3.get_object(Bucket=BUCKET, Key="jobs/1/source.mov")
    with closing(got["Body"]) as body:
        assert body.read() == b"film"
    assert got["ContentType"] == "video/quicktime"
    assert got["ContentDisposition"] == 'attachment; filename="a.mov"'
    assert got["CacheControl"] == "no-cache"
    assert got["StorageClass"] == "STANDARD_IA"
    assert got["Metadata"] == {"job-id": "1", "note": "a b"}
    assert got["ServerSideEncryption"] == "AES256"
    assert got["ETag"] == answer["ETag"]
    assert got["ContentLength"] == 4
    assert got["AcceptRanges"] == "bytes"
    head = s3.head_object(Bucket=BUCKET, Key="jobs/1/source.mov")
    assert head["ContentLength"] == 4
    assert head["LastModified"] == got["LastModified"]


def test_empty_object(s3) -> None:
    put(s3, "empty", b"")
    assert body_of(s3, "empty") == b""
    assert error_of(s3.get_object, Bucket=BUCKET, Key="empty", Range="bytes=0-") == (
        "InvalidRange",
        416,
    )


def test_missing_object(s3) -> None:
    assert error_of(s3.get_object, Bucket=BUCKET, Key="no") == ("NoSuchKey", 404)
    assert error_of(s3.head_object, Bucket=BUCKET, Key="no") == ("404", 404)
    assert error_of(s3.get_object, Bucket="nobucket", Key="no") == ("NoSuchBucket", 404)
    assert s3.delete_object(Bucket=BUCKET, Key="no")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_errors_carry_ids_and_resource(s3) -> None:
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=BUCKET, Key="no")
    response = caught.value.response
    assert response["Error"]["Key"] == "no"
    assert response["Error"]["Resource"] == f"/{BUCKET}/no"
    assert response["ResponseMetadata"]["RequestId"]
    assert response["ResponseMetadata"]["HostId"]


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd",
        "/leading//slashes/",
        "a/./b/../c",
        "Übung 🎬 \u202egnp.mp4",
        "quote\" & <tag> 'x' +%2F?#=;.mp4",
        " spaces ",
        "k" * 1024,
        "-dash\nnewline",
    ],
)
def test_any_key_is_only_a_name(cloud: Cloud, s3, key: str) -> None:
    put(s3, key, b"x")
    assert body_of(s3, key) == b"x"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == [key]
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": key})
    assert body_of(s3, "copy") == b"x"
    outside = [path for path in cloud.root.parent.rglob("*") if cloud.root not in path.parents]
    assert outside == [cloud.root]
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_key_over_1024_bytes_is_refused(s3) -> None:
    assert error_of(s3.put_object, Bucket=BUCKET, Key="ü" * 513) == ("KeyTooLongError", 400)


def test_metadata_over_2_kib_is_refused(s3) -> None:
    assert error_of(s3.put_object, Bucket=BUCKET, Key="k", Metadata={"a": "b" * 2048}) == (
        "MetadataTooLarge",
        400,
    )
    put(s3, "k", Metadata={"a": "b" * 2047})


def test_unknown_storage_class_is_refused(s3) -> None:
    assert error_of(s3.put_object, Bucket=BUCKET, Key="k", StorageClass="COLD")[0] == (
        "InvalidStorageClass"
    )


def test_public_acl_is_refused(s3) -> None:
    assert error_of(s3.put_object, Bucket=BUCKET, Key="k", ACL="public-read")[0] == (
        "AccessControlListNotSupported"
    )


def test_wrong_owner_is_refused(s3) -> None:
    owner = "999999999999"
    assert error_of(s3.head_bucket, Bucket=BUCKET, ExpectedBucketOwner=owner) == ("403", 403)
    s3.head_bucket(Bucket=BUCKET, ExpectedBucketOwner=ACCOUNT_ID)


@pytest.mark.parametrize(
    "asked, body, shown",
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-2", b"0123456789", None),
        ("words=1-2", b"0123456789", None),
    ],
)
def test_ranges(s3, asked: str, body: bytes, shown: str | None) -> None:
    put(s3, "k", b"0123456789")
    got = s3.get_object(Bucket=BUCKET, Key="k", Range=asked)
    with closing(got["Body"]) as stream:
        assert stream.read() == body
    assert got.get("ContentRange") == shown
    assert got["ResponseMetadata"]["HTTPStatusCode"] == (206 if shown else 200)
    assert got["ContentLength"] == len(body)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-0", "bytes=99-100"])
def test_range_outside_the_object_is_refused(s3, asked: str) -> None:
    put(s3, "k", b"0123456789")
    assert error_of(s3.get_object, Bucket=BUCKET, Key="k", Range=asked) == ("InvalidRange", 416)


def test_conditional_reads(s3) -> None:
    etag = put(s3, "k")["ETag"]
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
    assert body_of(s3, "k", IfMatch=etag, IfNoneMatch='"other"', IfModifiedSince=past)
    assert error_of(s3.get_object, Bucket=BUCKET, Key="k", IfMatch='"x"')[1] == 412
    assert error_of(s3.get_object, Bucket=BUCKET, Key="k", IfNoneMatch=etag)[1] == 304
    assert error_of(s3.head_object, Bucket=BUCKET, Key="k", IfModifiedSince=future)[1] == 304
    assert error_of(s3.get_object, Bucket=BUCKET, Key="k", IfUnmodifiedSince=past)[1] == 412
    assert body_of(s3, "k", IfMatch=etag, IfUnmodifiedSince=past)


def test_conditional_writes(s3) -> None:
    first = put(s3, "k", b"1", IfNoneMatch="*")["ETag"]
    create, replace = {"IfNoneMatch": "*"}, {"IfMatch": first}
    taken = error_of(s3.put_object, Bucket=BUCKET, Key="k", Body=b"2", **create)
    assert taken == ("PreconditionFailed", 412)
    put(s3, "k", b"3", **replace)
    assert error_of(s3.put_object, Bucket=BUCKET, Key="k", Body=b"4", **replace)[1] == 412
    assert error_of(s3.put_object, Bucket=BUCKET, Key="no", **replace) == ("NoSuchKey", 404)
    assert error_of(s3.delete_object, Bucket=BUCKET, Key="k", **replace)[1] == 412
    assert body_of(s3, "k") == b"3"


def test_one_of_many_conditional_writers_wins(cloud: Cloud, s3) -> None:
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            put(s3, "k", str(number).encode() * 10_000, IfNoneMatch="*")
            outcomes.append("won")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["PreconditionFailed"] * 7 + ["won"]
    assert len(blobs(cloud)) == 1


def test_replaced_object_stays_readable_for_who_reads_it(cloud: Cloud, s3) -> None:
    put(s3, "k", b"old" * MIB)
    reading = s3.get_object(Bucket=BUCKET, Key="k")["Body"]
    start = reading.read(3)
    put(s3, "k", b"new")
    with closing(reading):
        assert start + reading.read() == b"old" * MIB
    assert body_of(s3, "k") == b"new"


def test_response_headers_can_be_overridden(s3) -> None:
    put(s3, "k")
    overrides = {
        "ResponseContentDisposition": "attachment; filename*=UTF-8''%C3%BC.mp4",
        "ResponseContentType": "video/mp4",
    }
    got = s3.get_object(Bucket=BUCKET, Key="k", **overrides)
    got["Body"].close()
    assert got["ContentDisposition"] == overrides["ResponseContentDisposition"]
    assert got["ContentType"] == "video/mp4"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "🎬"])
def test_override_that_is_no_header_is_refused(s3, value: str) -> None:
    put(s3, "k")
    refused = error_of(s3.get_object, Bucket=BUCKET, Key="k", ResponseContentDisposition=value)
    assert refused == ("InvalidArgument", 400)


def test_delete_many(s3) -> None:
    for key in ("a", "b", "c"):
        put(s3, key)
    deleted = s3.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": "a"}, {"Key": "missing"}]}
    )
    assert [item["Key"] for item in deleted["Deleted"]] == ["a", "missing"]
    quiet = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["c"]


def test_object_tags(s3) -> None:
    put(s3, "k", Tagging="kind=source&note=a%20b")
    got = s3.get_object(Bucket=BUCKET, Key="k")
    got["Body"].close()
    assert got["TagCount"] == 2
    tags = [{"Key": "kind", "Value": "result"}]
    s3.put_object_tagging(Bucket=BUCKET, Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="k")["TagSet"] == tags
    s3.delete_object_tagging(Bucket=BUCKET, Key="k")
    assert s3.get_object_tagging(Bucket=BUCKET, Key="k")["TagSet"] == []


def test_archived_object_cannot_be_read(s3) -> None:
    put(s3, "k", StorageClass="DEEP_ARCHIVE")
    assert error_of(s3.get_object, Bucket=BUCKET, Key="k") == ("InvalidObjectState", 403)
    assert s3.head_object(Bucket=BUCKET, Key="k")["StorageClass"] == "DEEP_ARCHIVE"


# Digests of bodies


def test_default_checksum_is_verified_and_comes_back(s3) -> None:
    assert put(s3, "k", b"film")["ChecksumCRC32"] == crc32(b"film")
    got = s3.get_object(Bucket=BUCKET, Key="k")
    assert (got["ChecksumCRC32"], got["ChecksumType"]) == (crc32(b"film"), "FULL_OBJECT")
    got["Body"].close()
    part = s3.get_object(Bucket=BUCKET, Key="k", Range="bytes=0-1")
    assert "ChecksumCRC32" not in part
    part["Body"].close()


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256"])
def test_named_checksum(s3, algorithm: str) -> None:
    digest = hashlib.new(algorithm, b"film").digest()
    put(s3, "k", b"film", ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == base64.b64encode(digest).decode()


def test_checksum_that_cannot_be_computed_is_kept(s3) -> None:
    value = base64.b64encode(b"12345678").decode()
    put(s3, "k", ChecksumCRC64NVME=value)
    head = s3.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == value


@pytest.mark.parametrize(
    "claim, code",
    [
        ({"ChecksumCRC32": crc32(b"other")}, "BadDigest"),
        ({"ChecksumCRC32": "AAA="}, "InvalidRequest"),
        ({"ContentMD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}, "BadDigest"),
        ({"ContentMD5": "nope"}, "InvalidDigest"),
    ],
)
def test_body_that_is_not_what_it_claims_is_refused(cloud: Cloud, s3, claim, code) -> None:
    assert error_of(s3.put_object, Bucket=BUCKET, Key="k", Body=b"film", **claim) == (code, 400)
    assert blobs(cloud) == []


def test_damage_on_disk_is_noticed_by_the_client(cloud: Cloud, s3) -> None:
    put(s3, "k", b"film")
    cloud.s3.object_path(BUCKET, "k").write_bytes(b"fylm")
    with (
        closing(s3.get_object(Bucket=BUCKET, Key="k")["Body"]) as body,
        pytest.raises(Exception, match="did not match calculated checksum"),
    ):
        body.read()


def test_payload_hash_that_does_not_match_is_refused(cloud: Cloud) -> None:
    wrong = hashlib.sha256(b"other").hexdigest()
    status, answer = send(cloud, "PUT", f"/{BUCKET}/k", b"film", {}, wrong)
    assert (status, b"<Code>XAmzContentSHA256Mismatch</Code>" in answer) == (400, True)


def chunked(blocks: list[bytes], trailer: bytes, *, signed: bool = False) -> bytes:
    extension = b";chunk-signature=" + b"0" * 64 if signed else b""
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(b), extension, b) for b in blocks)
    return body + b"0" + extension + b"\r\n" + trailer + b"\r\n"


def send(
    cloud: Cloud, method: str, path: str, body: bytes, headers: dict, payload: str
) -> tuple[int, bytes]:
    connection = cloud.connection()
    signed = cloud.signed(method, path, headers, payload)
    connection.request(method, path, body=body, headers=signed)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("transfer_chunked", [False, True])
def test_aws_chunked_body_with_trailing_checksum(
    cloud: Cloud, s3, signed: bool, transfer_chunked: bool
) -> None:
    blocks = [b"a" * 70_000, b"b" * 3, os.urandom(MIB + 1)]
    film = b"".join(blocks)
    trailer = f"x-amz-checksum-crc32:{crc32(film)}\r\n".encode()
    body = chunked(blocks, trailer, signed=signed)
    headers = {
        "Content-Encoding": "aws-chunked,gzip",
        "X-Amz-Decoded-Content-Length": str(len(film)),
        "X-Amz-Trailer": "x-amz-checksum-crc32",
    }
    sent = io.BytesIO(body) if transfer_chunked else body
    if transfer_chunked:
        headers["Transfer-Encoding"] = "chunked"
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    payload = payload if signed else "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    connection = cloud.connection()
    connection.request(
        "PUT",
        f"/{BUCKET}/k",
        body=sent,
        headers=cloud.signed("PUT", f"/{BUCKET}/k", headers, payload),
        encode_chunked=transfer_chunked,
    )
    assert connection.getresponse().status == 200
    connection.close()
    got = s3.get_object(Bucket=BUCKET, Key="k")
    with closing(got["Body"]) as stream:
        assert stream.read() == film
    assert (got["ContentEncoding"], got["ChecksumCRC32"]) == ("gzip", crc32(film))


@pytest.mark.parametrize(
    "body, code",
    [
        (chunked([b"film"], f"x-amz-checksum-crc32:{crc32(b'xxxx')}\r\n".encode()), "BadDigest"),
        (chunked([b"film"], b""), "InvalidRequest"),
        (chunked([b"fil"], f"x-amz-checksum-crc32:{crc32(b'fil')}\r\n".encode()), "IncompleteBody"),
        (b"4\r\nfi", "IncompleteBody"),
        (b"zz\r\nfilm\r\n", "IncompleteBody"),
    ],
)
def test_broken_aws_chunked_body_is_refused(cloud: Cloud, body: bytes, code: str) -> None:
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": "4",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
    }
    payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    status, answer = send(cloud, "PUT", f"/{BUCKET}/k", body, headers, payload)
    assert (status, f"<Code>{code}</Code>".encode() in answer) == (400, True)
    assert blobs(cloud) == []


def raw(cloud: Cloud, head: str, body: bytes = b"") -> bytes:
    """What a bare socket gets for these bytes."""
    headers = cloud.signed("PUT", f"/{BUCKET}/k", {}, "UNSIGNED-PAYLOAD")
    lines = [f"PUT /{BUCKET}/k HTTP/1.1", f"Host: 127.0.0.1:{cloud.server.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", cloud.server.port), timeout=10) as connection:
        connection.sendall(("\r\n".join([*lines, head]) + "\r\n\r\n").encode() + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_put_without_length_is_refused(cloud: Cloud) -> None:
    answer = raw(cloud, "X-Nothing: 1")
    assert answer.startswith(b"HTTP/1.1 411 ")
    assert b"<Code>MissingContentLength</Code>" in answer


def test_put_over_5_gib_is_refused_before_its_body(cloud: Cloud) -> None:
    answer = raw(cloud, f"Content-Length: {(5 << 30) + 1}")
    assert b"<Code>EntityTooLarge</Code>" in answer
    assert b"\r\nConnection: close\r\n" in answer


def test_put_cut_short_leaves_nothing(cloud: Cloud, s3) -> None:
    answer = raw(cloud, "Content-Length: 100", b"only this")
    assert b"<Code>IncompleteBody</Code>" in answer
    assert error_of(s3.head_object, Bucket=BUCKET, Key="k")[1] == 404
    assert blobs(cloud) == []


def test_expect_100_continue_is_answered_first(cloud: Cloud) -> None:
    headers = cloud.signed("PUT", f"/{BUCKET}/k", {"Expect": "100-continue"}, "UNSIGNED-PAYLOAD")
    lines = [f"PUT /{BUCKET}/k HTTP/1.1", f"Host: 127.0.0.1:{cloud.server.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", cloud.server.port), timeout=10) as connection:
        connection.sendall(("\r\n".join([*lines, "Content-Length: 4"]) + "\r\n\r\n").encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"film")
        assert b" 200 OK\r\n" in b"".join(iter(lambda: connection.recv(65536), b""))


# Copies


def test_copy_keeps_metadata_and_can_replace_it(s3) -> None:
    source = {"Bucket": BUCKET, "Key": "a"}
    put(s3, "a", b"film", Metadata={"x": "1"}, ContentType="video/mp4", Tagging="t=1")
    copied = s3.copy_object(Bucket=BUCKET, Key="b", CopySource=source)["CopyObjectResult"]
    assert copied["ETag"] == f'"{hashlib.md5(b"film").hexdigest()}"'
    assert copied["ChecksumCRC32"] == crc32(b"film")
    head = s3.head_object(Bucket=BUCKET, Key="b")
    assert (head["Metadata"], head["ContentType"]) == ({"x": "1"}, "video/mp4")
    assert s3.get_object_tagging(Bucket=BUCKET, Key="b")["TagSet"]
    s3.copy_object(
        Bucket=BUCKET, Key="a", CopySource=source, MetadataDirective="REPLACE", Metadata={"y": "2"}
    )
    assert s3.head_object(Bucket=BUCKET, Key="a")["Metadata"] == {"y": "2"}
    s3.delete_object(Bucket=BUCKET, Key="a")
    assert body_of(s3, "b") == b"film"


def test_copy_onto_itself_without_changes_is_refused(s3) -> None:
    put(s3, "a")
    source = {"Bucket": BUCKET, "Key": "a"}
    assert error_of(s3.copy_object, Bucket=BUCKET, Key="a", CopySource=source) == (
        "InvalidRequest",
        400,
    )
    s3.copy_object(Bucket=BUCKET, Key="a", CopySource=source, StorageClass="STANDARD_IA")
    assert body_of(s3, "a") == b"hello"


def test_conditional_copy(s3) -> None:
    etag = put(s3, "a")["ETag"]
    arguments = {"Bucket": BUCKET, "Key": "b", "CopySource": {"Bucket": BUCKET, "Key": "a"}}
    assert error_of(s3.copy_object, **arguments, CopySourceIfMatch='"x"')[1] == 412
    assert error_of(s3.copy_object, **arguments, CopySourceIfNoneMatch=etag)[1] == 412
    s3.copy_object(**arguments, CopySourceIfMatch=etag)
    assert error_of(s3.copy_object, **arguments, IfNoneMatch="*")[1] == 412


def test_copy_of_what_is_not_there(s3) -> None:
    missing = {"Bucket": BUCKET, "Key": "no"}
    assert error_of(s3.copy_object, Bucket=BUCKET, Key="b", CopySource=missing)[0] == "NoSuchKey"
    assert error_of(s3.copy_object, Bucket=BUCKET, Key="b", CopySource="nokey")[0] == (
        "InvalidArgument"
    )


def put_sparse(cloud: Cloud, key: str, size_bytes: int) -> None:
    """An object of zeros too big to send, straight into the store."""
    path = cloud.root.parent / "sparse"
    with path.open("wb") as file:
        file.truncate(size_bytes)
    cloud.s3.put_file(BUCKET, key, path, content_type="video/mp4")


def test_copy_over_5_gib_is_refused(cloud: Cloud, s3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slimreel.local.s3.service._file_md5", lambda _: "0" * 32)
    put_sparse(cloud, "big", (5 << 30) + 1)
    source = {"Bucket": BUCKET, "Key": "big"}
    assert "larger than the maximum" in message_of(
        s3.copy_object, Bucket=BUCKET, Key="b", CopySource=source
    )
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="b")["UploadId"]
    whole = {"Bucket": BUCKET, "Key": "b", "UploadId": upload, "PartNumber": 1}
    assert "larger than the maximum" in message_of(s3.upload_part_copy, **whole, CopySource=source)
    last = 5 << 30
    part = s3.upload_part_copy(
        **whole, CopySource=source, CopySourceRange=f"bytes={last - 9}-{last}"
    )
    assert part["CopyPartResult"]["ETag"] == f'"{hashlib.md5(bytes(10)).hexdigest()}"'


# Listing


def keys(answer) -> list[str]:
    return [item["Key"] for item in answer.get("Contents", [])]


def prefixes(answer) -> list[str]:
    return [item["Prefix"] for item in answer.get("CommonPrefixes", [])]


def test_listing_is_in_byte_order_and_pages(s3) -> None:
    names = ["b", "a/2", "a/1", "ab", "Z", "\uffee", "🎬", "a b+c"]
    for name in names:
        put(s3, name, name.encode())
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, MaxKeys=3)
    listed = [key for page in pages for key in keys(page)]
    assert listed == sorted(names, key=lambda name: name.encode())
    (first,) = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1)["Contents"]
    assert (first["Size"], first["StorageClass"]) == (1, "STANDARD")
    assert first["ETag"] == f'"{hashlib.md5(b"Z").hexdigest()}"'


def test_folders_count_once_each(s3) -> None:
    for name in ("jobs/1/a", "jobs/1/b", "jobs/2/a", "jobs/top", "other"):
        put(s3, name)
    answer = s3.list_objects_v2(Bucket=BUCKET, Prefix="jobs/", Delimiter="/")
    assert (keys(answer), prefixes(answer)) == (["jobs/top"], ["jobs/1/", "jobs/2/"])
    assert (answer["KeyCount"], answer["IsTruncated"]) == (3, False)
    paginator = s3.get_paginator("list_objects_v2")
    pages = [*paginator.paginate(Bucket=BUCKET, Prefix="jobs/", Delimiter="/", MaxKeys=1)]
    assert [keys(page) + prefixes(page) for page in pages] == [
        ["jobs/1/"],
        ["jobs/2/"],
        ["jobs/top"],
    ]
    older = s3.get_paginator("list_objects")
    pages = [*older.paginate(Bucket=BUCKET, Prefix="jobs/", Delimiter="/", MaxKeys=1)]
    assert [keys(page) + prefixes(page) for page in pages] == [
        ["jobs/1/"],
        ["jobs/2/"],
        ["jobs/top"],
    ]


def test_listing_starts_after_and_ends(s3) -> None:
    for name in ("a", "b", "c"):
        put(s3, name)
    assert keys(s3.list_objects_v2(Bucket=BUCKET, StartAfter="a")) == ["b", "c"]
    none = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)
    refused = error_of(s3.list_objects_v2, Bucket=BUCKET, ContinuationToken="%%")
    assert refused == ("InvalidArgument", 400)


def test_listing_more_than_a_thousand(cloud: Cloud, s3) -> None:
    for number in range(1002):
        path = cloud.root.parent / "one"
        path.write_bytes(b"")
        cloud.s3.put_file(BUCKET, f"{number:05d}", path, content_type="text/plain")
    first = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=5000)
    assert (first["KeyCount"], first["MaxKeys"], first["IsTruncated"]) == (1000, 1000, True)
    rest = s3.list_objects_v2(Bucket=BUCKET, ContinuationToken=first["NextContinuationToken"])
    assert keys(rest) == ["01000", "01001"]


# Multipart uploads


class Multi:
    """A multipart upload being made, by what the API wants of it."""

    def __init__(self, s3, key: str = "big", **options) -> None:
        self.s3 = s3
        created = s3.create_multipart_upload(Bucket=BUCKET, Key=key, **options)
        self.name = {"Bucket": BUCKET, "Key": key, "UploadId": created["UploadId"]}
        self.parts: list[dict] = []

    def part(self, number: int, body: bytes, **more):
        answer = self.s3.upload_part(**self.name, PartNumber=number, Body=body, **more)
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return answer

    def copy(self, number: int, source: str, span: str | None = None):
        more = {} if span is None else {"CopySourceRange": span}
        answer = self.s3.upload_part_copy(
            **self.name, PartNumber=number, CopySource={"Bucket": BUCKET, "Key": source}, **more
        )["CopyPartResult"]
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return answer

    def complete(self, **more):
        return self.s3.complete_multipart_upload(
            **self.name, MultipartUpload={"Parts": self.parts}, **more
        )


FIVE_MIB = os.urandom(5 * MIB)


def test_multipart_upload_joins_its_parts(cloud: Cloud, s3) -> None:
    upload = Multi(s3, ContentType="video/mp4", Metadata={"job": "1"})
    upload.part(3, b"end")
    upload.part(1, b"replaced later")
    upload.parts.clear()
    first = upload.part(1, FIVE_MIB)
    assert first["ChecksumCRC32"] == crc32(FIVE_MIB)
    upload.parts.append({"PartNumber": 3, "ETag": f'"{hashlib.md5(b"end").hexdigest()}"'})
    digests = hashlib.md5(FIVE_MIB).digest() + hashlib.md5(b"end").digest()
    etag = f'"{hashlib.md5(digests).hexdigest()}-2"'
    assert upload.complete()["ETag"] == etag
    head = s3.head_object(Bucket=BUCKET, Key="big")
    assert (head["ETag"], head["ContentLength"]) == (etag, 5 * MIB + 3)
    assert (head["ContentType"], head["Metadata"]) == ("video/mp4", {"job": "1"})
    assert body_of(s3, "big") == FIVE_MIB + b"end"
    assert body_of(s3, "big", PartNumber=2) == b"end"
    assert error_of(s3.get_object, Bucket=BUCKET, Key="big", PartNumber=3)[1] == 416
    assert len(blobs(cloud)) == 1


def test_completion_may_be_asked_twice(s3) -> None:
    upload = Multi(s3)
    upload.part(1, b"x")
    first = upload.complete(IfNoneMatch="*")
    again = upload.complete(IfNoneMatch="*")
    assert (again["ETag"], again["Location"]) == (first["ETag"], first["Location"])
    s3.abort_multipart_upload(**upload.name)
    assert body_of(s3, "big") == b"x"
    assert error_of(s3.upload_part, **upload.name, PartNumber=1, Body=b"y")[0] == "NoSuchUpload"
    upload.parts[0]["ETag"] = '"other"'
    assert error_of(upload.complete)[0] == "NoSuchUpload"


def test_part_under_5_mib_that_is_not_last_is_refused(s3) -> None:
    upload = Multi(s3)
    upload.part(1, FIVE_MIB[:-1])
    upload.part(2, b"end")
    with pytest.raises(ClientError) as caught:
        upload.complete()
    assert caught.value.response["Error"]["Code"] == "EntityTooSmall"
    assert caught.value.response["Error"]["PartNumber"] == "1"
    upload.part(1, FIVE_MIB)
    upload.parts = [upload.parts[2], upload.parts[1]]
    upload.complete()


@pytest.mark.parametrize(
    "parts, code",
    [
        ([{"PartNumber": 2, "ETag": "e2"}, {"PartNumber": 1, "ETag": "e1"}], "InvalidPartOrder"),
        ([{"PartNumber": 1, "ETag": "e1"}, {"PartNumber": 1, "ETag": "e1"}], "InvalidPartOrder"),
        ([{"PartNumber": 1, "ETag": "wrong"}], "InvalidPart"),
        ([{"PartNumber": 9, "ETag": "e1"}], "InvalidPart"),
        ([{"PartNumber": 10001, "ETag": "e1"}], "InvalidArgument"),
        ([], "MalformedXML"),
    ],
)
def test_wrong_part_list_is_refused(s3, parts: list[dict], code: str) -> None:
    upload = Multi(s3)
    upload.part(1, b"x")
    etag = upload.parts[0]["ETag"]
    upload.parts = [
        {**part, "ETag": etag if part["ETag"] != "wrong" else "wrong"} for part in parts
    ]
    assert error_of(upload.complete) == (code, 400)
    upload.parts = [{"PartNumber": 1, "ETag": etag}]
    upload.complete()


@pytest.mark.parametrize("number", [0, 10001])
def test_part_number_out_of_range_is_refused(s3, number: int) -> None:
    assert error_of(Multi(s3).part, number=number, body=b"") == ("InvalidArgument", 400)


def test_conditional_completion_keeps_the_upload(s3) -> None:
    put(s3, "big", b"there first")
    upload = Multi(s3)
    upload.part(1, b"x")
    assert error_of(upload.complete, IfNoneMatch="*") == ("PreconditionFailed", 412)
    s3.delete_object(Bucket=BUCKET, Key="big")
    upload.complete(IfNoneMatch="*")
    assert body_of(s3, "big") == b"x"


def test_aborted_upload_frees_its_parts(cloud: Cloud, s3) -> None:
    upload = Multi(s3)
    upload.part(1, b"x")
    s3.abort_multipart_upload(**upload.name)
    assert blobs(cloud) == []
    assert error_of(upload.complete) == ("NoSuchUpload", 404)
    assert error_of(s3.abort_multipart_upload, **upload.name) == ("NoSuchUpload", 404)
    assert error_of(s3.list_parts, **upload.name) == ("NoSuchUpload", 404)


def test_parts_are_listed_in_pages(s3) -> None:
    upload = Multi(s3)
    for number in (7, 2, 10000):
        upload.part(number, b"x" * (number % 9))
    pages = [*s3.get_paginator("list_parts").paginate(**upload.name, MaxParts=2)]
    listed = [(part["PartNumber"], part["Size"]) for page in pages for part in page["Parts"]]
    assert listed == [(2, 2), (7, 7), (10000, 1)]
    assert [page["IsTruncated"] for page in pages] == [True, False]


def test_uploads_are_listed_in_pages_and_folders(s3) -> None:
    uploads = [Multi(s3, key) for key in ("a", "b/1", "b/2", "c", "c")]
    paginator = s3.get_paginator("list_multipart_uploads")
    pages = [*paginator.paginate(Bucket=BUCKET, MaxUploads=2)]
    listed = [upload["UploadId"] for page in pages for upload in page["Uploads"]]
    assert sorted(listed) == sorted(upload.name["UploadId"] for upload in uploads)
    assert len(pages) == 3
    pages = [*paginator.paginate(Bucket=BUCKET, MaxUploads=1, Delimiter="/")]
    assert [p for page in pages for p in prefixes(page)] == ["b/"]
    assert [u["Key"] for page in pages for u in page.get("Uploads", [])] == ["a", "c", "c"]


def test_upload_file_and_download_file(cloud: Cloud, s3, tmp_path: Path) -> None:
    film = FIVE_MIB + b"end"
    (tmp_path / "film.mp4").write_bytes(film)
    config = TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB)
    s3.upload_file(str(tmp_path / "film.mp4"), BUCKET, "film", Config=config)
    s3.download_file(BUCKET, "film", str(tmp_path / "back.mp4"), Config=config)
    assert (tmp_path / "back.mp4").read_bytes() == film
    s3.copy({"Bucket": BUCKET, "Key": "film"}, BUCKET, "copy", Config=config)
    assert body_of(s3, "copy") == film
    assert len(blobs(cloud)) == 2


# Checksums of multipart uploads


def test_composite_checksum(s3) -> None:
    upload = Multi(s3, ChecksumAlgorithm="SHA256")
    for number, body in ((1, FIVE_MIB), (2, b"end")):
        answer = upload.part(number, body, ChecksumAlgorithm="SHA256")
        upload.parts[-1]["ChecksumSHA256"] = answer["ChecksumSHA256"]
    digests = hashlib.sha256(FIVE_MIB).digest() + hashlib.sha256(b"end").digest()
    expected = base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-2"
    answer = upload.complete()
    assert (answer["ChecksumSHA256"], answer["ChecksumType"]) == (expected, "COMPOSITE")
    head = s3.head_object(Bucket=BUCKET, Key="big", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (expected, "COMPOSITE")
    assert len(body_of(s3, "big")) == 5 * MIB + 3


def test_full_object_checksum_is_combined_from_parts(s3) -> None:
    upload = Multi(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    upload.part(1, FIVE_MIB)
    upload.part(2, b"end")
    expected = crc32(FIVE_MIB + b"end")
    wrong = {"ChecksumCRC32": crc32(b"other"), "ChecksumType": "FULL_OBJECT"}
    assert error_of(upload.complete, **wrong) == ("BadDigest", 400)
    assert error_of(upload.complete, MpuObjectSize=5)[0] == "InvalidRequest"
    assert upload.complete(ChecksumCRC32=expected, MpuObjectSize=5 * MIB + 3)["ChecksumCRC32"] == (
        expected
    )
    assert body_of(s3, "big") == FIVE_MIB + b"end"


def test_part_with_another_checksum_than_its_upload_is_refused(s3) -> None:
    upload = Multi(s3, ChecksumAlgorithm="SHA256")
    assert "expected checksum Type: sha256" in message_of(upload.part, number=1, body=b"x")


def test_completion_without_the_checksums_of_its_parts_is_refused(s3) -> None:
    upload = Multi(s3, ChecksumAlgorithm="CRC32")
    upload.part(1, b"x")
    assert "must include the checksum for each part" in message_of(upload.complete)
    upload.parts[0]["ChecksumCRC32"] = crc32(b"other")
    assert error_of(upload.complete) == ("InvalidPart", 400)


@pytest.mark.parametrize("algorithm, kind", [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")])
def test_checksum_type_an_algorithm_lacks_is_refused(s3, algorithm: str, kind: str) -> None:
    assert f"The {kind} checksum type cannot be used" in message_of(
        Multi, s3=s3, ChecksumAlgorithm=algorithm, ChecksumType=kind
    )


# UploadPartCopy


def test_part_copies_make_a_new_object_around_old_bytes(s3) -> None:
    put(s3, "source", FIVE_MIB + b"tail")
    upload = Multi(s3)
    upload.part(1, FIVE_MIB[::-1])
    copied = upload.copy(2, "source", f"bytes=1-{5 * MIB}")
    middle = (FIVE_MIB + b"tail")[1 : 5 * MIB + 1]
    assert copied["ETag"] == f'"{hashlib.md5(middle).hexdigest()}"'
    put(s3, "small", b"end")
    upload.copy(3, "small")
    upload.complete()
    assert body_of(s3, "big") == FIVE_MIB[::-1] + middle + b"end"


@pytest.mark.parametrize(
    "span",
    ["bytes=0-", "bytes=-5", "0-5", "bytes=5-2", "bytes=0-1,3-4", "bytes=a-b", "bytes=0-5242881"],
)
def test_copy_range_must_be_exact_and_inside(s3, span: str) -> None:
    put(s3, "source", FIVE_MIB + b"1")
    assert error_of(Multi(s3).copy, number=1, source="source", span=span) == (
        "InvalidArgument",
        400,
    )


def test_copy_range_out_of_a_source_of_5_mib_is_refused(s3) -> None:
    put(s3, "source", FIVE_MIB)
    assert error_of(Multi(s3).copy, number=1, source="source", span="bytes=0-1") == (
        "InvalidRequest",
        400,
    )


def test_part_copy_gets_the_checksum_of_its_upload(s3) -> None:
    put(s3, "source", b"film")
    upload = Multi(s3, ChecksumAlgorithm="SHA256")
    copied = upload.copy(1, "source")
    expected = base64.b64encode(hashlib.sha256(b"film").digest()).decode()
    assert copied["ChecksumSHA256"] == expected


# Who may call


def test_presigned_url_works_until_it_expires(cloud: Cloud, s3, monkeypatch) -> None:
    put(s3, "ü b", b"film")
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "ü b"}, ExpiresIn=60
    )
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"film"
    later = datetime.now(UTC) + timedelta(seconds=61)
    monkeypatch.setattr("slimreel.local.s3.service.utc_now", lambda: later)
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        urllib.request.urlopen(url)
    assert b"Request has expired" in caught.value.read()
    caught.value.close()


def test_presigned_put(cloud: Cloud, s3) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "k"})
    request = urllib.request.Request(url, data=b"film", method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert body_of(s3, "k") == b"film"


@pytest.mark.parametrize("change", [("/k?", "/other?"), ("X-Amz-Expires=60", "X-Amz-Expires=61")])
def test_changed_presigned_url_is_refused(s3, change: tuple[str, str]) -> None:
    put(s3, "other")
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "k"}, ExpiresIn=60
    )
    assert change[0] in url
    assert status_of(url.replace(*change)) == 403


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_anonymous_and_version_2_requests_are_refused(cloud: Cloud, s3) -> None:
    put(s3, "k")
    assert status_of(f"{cloud.url}/{BUCKET}/k") == 403
    older = boto3.client(
        "s3",
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )
    url = older.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "k"})
    assert "AWSAccessKeyId" in url
    assert status_of(url) == 400


def test_wrong_secret_and_wrong_region_are_refused(cloud: Cloud) -> None:
    wrong = cloud.client(secret="other")
    assert error_of(wrong.list_objects_v2, Bucket=BUCKET) == ("SignatureDoesNotMatch", 403)
    elsewhere = boto3.client(
        "s3",
        endpoint_url=cloud.url,
        region_name="eu-central-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )
    assert error_of(elsewhere.list_buckets)[0] == "AuthorizationHeaderMalformed"


def test_presigned_url_for_more_than_a_week_is_refused(cloud: Cloud, s3) -> None:
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "k"}, ExpiresIn=604_801
    )
    assert status_of(url) == 400


# Faults


def test_fault_before_the_work(cloud: Cloud, s3) -> None:
    cloud.faults.add(Fault(service="s3", operation="PutObject", status=503, code="SlowDown"))
    assert error_of(s3.put_object, Bucket=BUCKET, Key="k", Body=FIVE_MIB) == ("SlowDown", 503)
    assert error_of(s3.head_object, Bucket=BUCKET, Key="k")[1] == 404


def test_client_retries_through_a_fault(cloud: Cloud) -> None:
    cloud.faults.add(Fault(service="s3", operation="UploadPart", status=500))
    upload = Multi(cloud.client(retries=3))
    upload.part(1, FIVE_MIB)
    upload.complete()
    assert body_of(cloud.client(), "big") == FIVE_MIB


def test_fault_after_the_work_loses_only_the_answer(cloud: Cloud, s3) -> None:
    operation = "CompleteMultipartUpload"
    cloud.faults.add(Fault(service="s3", operation=operation, status=500, after_effect=True))
    upload = Multi(s3)
    upload.part(1, b"film")
    assert error_of(upload.complete)[1] == 500
    assert body_of(s3, "big") == b"film"
    upload.complete()


@pytest.mark.parametrize("cut_at", [0, 1, 3 * MIB])
def test_body_can_be_cut(cloud: Cloud, s3, cut_at: int) -> None:
    put(s3, "k", FIVE_MIB)
    cloud.faults.add(Fault(service="s3", operation="GetObject", cut_body_at_byte=cut_at))
    got = s3.get_object(Bucket=BUCKET, Key="k")
    assert got["ContentLength"] == 5 * MIB
    with (
        closing(got["Body"]) as body,
        pytest.raises((IncompleteReadError, ResponseStreamingError)),
    ):
        body.read()
    assert body_of(s3, "k") == FIVE_MIB


# The rest of the program's way in


def test_file_is_moved_in_and_found(cloud: Cloud, s3, tmp_path: Path) -> None:
    path = tmp_path / "encoded.mp4"
    path.write_bytes(b"film")
    inode = path.stat().st_ino
    cloud.s3.put_file(BUCKET, "jobs/1/encoded.mp4", path, content_type="video/mp4")
    assert not path.exists()
    got = s3.get_object(Bucket=BUCKET, Key="jobs/1/encoded.mp4")
    with closing(got["Body"]) as body:
        assert body.read() == b"film"
    assert got["ContentType"] == "video/mp4"
    assert got["ETag"] == f'"{hashlib.md5(b"film").hexdigest()}"'
    assert cloud.s3.object_path(BUCKET, "jobs/1/encoded.mp4").stat().st_ino == inode


def test_what_is_missing_is_a_key_error(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(b"film")
    with pytest.raises(KeyError):
        cloud.s3.object_path(BUCKET, "no")
    with pytest.raises(KeyError):
        cloud.s3.object_path("nobucket", "no")
    with pytest.raises(KeyError):
        cloud.s3.put_file("nobucket", "k", path, content_type="video/mp4")
    assert path.exists()
    assert (cloud.s3.has_bucket(BUCKET), cloud.s3.has_bucket("nobucket")) == (True, False)


def expire_rules(s3, *rules: dict) -> None:
    whole = [{"ID": f"r{n}", "Status": "Enabled", **rule} for n, rule in enumerate(rules)]
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": whole})


def test_lifecycle_takes_effect_at_midnight_after_its_days(cloud: Cloud, s3) -> None:
    expire_rules(
        s3,
        {
            "Filter": {"Prefix": "jobs/"},
            "Expiration": {"Days": 7},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    )
    assert 'rule-id="r0"' in put(s3, "jobs/1")["Expiration"]
    put(s3, "other")
    Multi(s3, "jobs/2").part(1, b"x")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moment = timedelta(seconds=1)
    assert cloud.s3.expire(today + timedelta(days=2) - moment).uploads == ()
    assert cloud.s3.expire(today + timedelta(days=2)).uploads == ((BUCKET, "jobs/2"),)
    assert cloud.s3.expire(today + timedelta(days=8) - moment).objects == ()
    assert cloud.s3.expire(today + timedelta(days=8)).objects == ((BUCKET, "jobs/1"),)
    assert keys(s3.list_objects_v2(Bucket=BUCKET)) == ["other"]
    assert len(blobs(cloud)) == 1


def test_lifecycle_moves_large_objects_to_colder_storage(cloud: Cloud, s3) -> None:
    expire_rules(
        s3,
        {"Filter": {"Prefix": ""}, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]},
    )
    put(s3, "large", b"x" * (128 << 10))
    put(s3, "small")
    moved = cloud.s3.expire(datetime.now(UTC) + timedelta(days=32)).transitions
    assert moved == ((BUCKET, "large"),)
    assert error_of(s3.get_object, Bucket=BUCKET, Key="large")[0] == "InvalidObjectState"


# Death and return


def test_second_process_is_kept_out(cloud: Cloud) -> None:
    with pytest.raises(BlockingIOError):
        S3(cloud.root, faults=Faults())


CHILD = """
import sys
from pathlib import Path
from werkzeug import Request
from werkzeug.serving import make_server
from slimreel.local.faults import Faults
from slimreel.local.s3 import S3
s3 = S3(Path(sys.argv[1]), faults=Faults())
server = make_server("127.0.0.1", 0, Request.application(s3.handle), threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


def half_put(client, root: Path) -> http.client.HTTPConnection:
    """A PUT that has sent half its body, some of which is on disk."""
    url = client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "half"})
    target = url.partition("://")[2]
    connection = http.client.HTTPConnection(target.partition("/")[0], timeout=10)
    connection.putrequest("PUT", "/" + target.partition("/")[2])
    connection.putheader("Content-Length", str(10 * MIB))
    connection.endheaders()
    connection.send(FIVE_MIB)
    deadline = time.monotonic() + 5
    while not any(draft.stat().st_size for draft in (root / "drafts").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return connection


def test_killed_process_loses_nothing_it_answered(
    running: Cloud, shared_client, tmp_path: Path
) -> None:
    root = tmp_path / "s3"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{int(child.stdout.readline())}",
            region_name=REGION,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            config=Config(signature_version="s3v4"),
        )
        make_bucket(client, BUCKET)
        put(client, "k", b"film", Metadata={"a": "b"})
        upload = Multi(client)
        upload.part(1, b"part")
        with closing(half_put(client, root)):
            child.send_signal(signal.SIGKILL)
    (root / "blobs" / "unknown").write_bytes(b"x")  # as between writing and indexing
    running.open(root)
    upload.s3 = shared_client
    assert body_of(shared_client, "k") == b"film"
    assert shared_client.head_object(Bucket=BUCKET, Key="k")["Metadata"] == {"a": "b"}
    assert len(blobs(running)) == 2
    upload.complete()
    assert body_of(shared_client, "big") == b"part"
    running.s3.close()


def test_path_that_is_not_utf8_is_refused(cloud: Cloud) -> None:
    path = f"/{BUCKET}/" + quote(b"\xff")
    status, answer = send(cloud, "GET", path, b"", {}, "UNSIGNED-PAYLOAD")
    assert (status, b"<Code>InvalidURI</Code>" in answer) == (400, True)
