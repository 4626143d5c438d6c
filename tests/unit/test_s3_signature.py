"""Against the worked examples in the documentation.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.signature import check_signature

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRETS = {KEY_ID: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
SIGNED_AT = datetime(2013, 5, 24, tzinfo=UTC)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HOST = "http://examplebucket.s3.amazonaws.com"
PRESIGNED = (
    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)


def request(path: str, signature: str = "", headers: dict[str, str] | None = None) -> Request:
    headers = dict(headers or {})
    if signature:
        names = ";".join(sorted(["host", *(name.lower() for name in headers)]))
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20130524/us-east-1/s3/aws4_request,"
            f"SignedHeaders={names},Signature={signature}"
        )
    return Request(EnvironBuilder(path, base_url=HOST, headers=headers).get_environ())


def check(example: Request, now: datetime = SIGNED_AT, region: str = "us-east-1") -> None:
    check_signature(example, region=region, secrets=SECRETS, now=now)


DATED = {"x-amz-content-sha256": EMPTY, "x-amz-date": "20130524T000000Z"}


@pytest.mark.parametrize(
    "path, headers, signature",
    [
        (
            "/test.txt",
            {"Range": "bytes=0-9", **DATED},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "/?lifecycle",
            DATED,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "/?max-keys=2&prefix=J",
            DATED,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_documented_signature_is_accepted(path: str, headers: dict, signature: str) -> None:
    check(request(path, signature, headers))
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        check(request(path, "0" * 64, headers))


def test_documented_presigned_url_is_accepted_for_a_day() -> None:
    day = timedelta(days=1)
    check(request(PRESIGNED), now=SIGNED_AT + day - timedelta(seconds=1))
    with pytest.raises(S3Error, match="Request has expired"):
        check(request(PRESIGNED), now=SIGNED_AT + day)


@pytest.mark.parametrize(
    "old, new, code",
    [
        ("test.txt", "text.txt", "SignatureDoesNotMatch"),
        ("Expires=86400", "Expires=604801", "AuthorizationQueryParametersError"),
        ("Expires=86400", "Expires=soon", "AuthorizationQueryParametersError"),
        ("&X-Amz-Date=20130524T000000Z", "", "AuthorizationQueryParametersError"),
        ("us-east-1%2Fs3", "us-east-1%2Fiam", "AuthorizationQueryParametersError"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAOTHER", "InvalidAccessKeyId"),
    ],
)
def test_changed_presigned_url_is_refused(old: str, new: str, code: str) -> None:
    assert old in PRESIGNED
    with pytest.raises(S3Error, match=code):
        check(request(PRESIGNED.replace(old, new)))


def test_old_header_signature_is_refused() -> None:
    signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    with pytest.raises(S3Error, match="RequestTimeTooSkewed"):
        check(request("/?lifecycle", signature, DATED), now=SIGNED_AT + timedelta(minutes=16))


def test_anonymous_request_is_refused() -> None:
    with pytest.raises(S3Error, match="AccessDenied"):
        check(request("/test.txt"))
