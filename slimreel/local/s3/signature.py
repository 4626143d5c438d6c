"""Signature Version 4, in the Authorization header or in a presigned URL.

Anonymous and Version 2 requests are refused, as a bucket made today refuses them. The signature
itself is checked when the secret keys are known; presigned URLs expire either way.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from werkzeug import Request

from slimreel.local import sigv4
from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.routing import path_bytes

ALGORITHM = sigv4.ALGORITHM
MAX_PRESIGNED_S = 7 * 24 * 3600
MAX_CLOCK_SKEW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    access_key_id: str
    scope: str  # "20260131/eu-west-1/s3/aws4_request"
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime
    expires_s: int | None  # presigned only


def access_key_id(request: Request) -> str:
    """Whose key a request is signed with.

    Raises: S3Error: it is not signed, or not as it must be.
    """
    return _who_signed(request).access_key_id


def _who_signed(request: Request) -> _Signed:
    return _presigned(request) if "X-Amz-Signature" in request.args else _from_header(request)


def check_signature(
    request: Request, *, region: str, secrets: Mapping[str, str] | None, now: datetime
) -> None:
    """Let the request pass, or say why not; `secrets` maps access key ids to secret keys.

    Raises:
        S3Error: AccessDenied, SignatureDoesNotMatch, InvalidAccessKeyId, RequestTimeTooSkewed
            or one about the form of the signature.
    """
    signed = _who_signed(request)
    presigned = signed.expires_s is not None
    if signed.service != "s3":
        raise _misformed(presigned, 'incorrect service. This endpoint belongs to "s3".')
    if signed.region != region:
        raise _misformed(
            presigned, f"the region '{signed.region}' is wrong; expecting '{region}'", region
        )
    if signed.expires_s is not None:
        _check_expiry(signed.signed_at, signed.expires_s, now)
    if secrets is None:
        return
    if signed.access_key_id not in secrets:
        raise S3Error(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
            details={"AWSAccessKeyId": signed.access_key_id},
        )
    if not presigned and abs(now - signed.signed_at) > MAX_CLOCK_SKEW:
        raise S3Error(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
    expected = _signature(request, signed, secrets[signed.access_key_id])
    if not hmac.compare_digest(expected, signed.signature):
        raise S3Error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )


def _from_header(request: Request) -> _Signed:
    header = request.headers.get("Authorization")
    if header is None and "Signature" not in request.args:
        raise S3Error("AccessDenied", "Access Denied")
    if header is None or not header.startswith(ALGORITHM):
        raise S3Error(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. "
            f"Please use {ALGORITHM}.",
        )
    fields = dict(re.findall(r"(\w+)=([^,\s]+)", header.removeprefix(ALGORITHM)))
    date = request.headers.get("x-amz-date", "")
    try:
        return _signed(
            credential=fields["Credential"],
            signed_headers=fields["SignedHeaders"],
            signature=fields["Signature"],
            date=date,
            expires_s=None,
        )
    except (KeyError, ValueError) as error:
        raise _misformed(False, f"{error} is missing or invalid") from error


def _presigned(request: Request) -> _Signed:
    query = request.args
    try:
        if query["X-Amz-Algorithm"] != ALGORITHM:
            raise ValueError("X-Amz-Algorithm")
        expires_s = int(query["X-Amz-Expires"])
        if not 0 < expires_s <= MAX_PRESIGNED_S:
            raise ValueError(f"X-Amz-Expires must be less than a week (in seconds), {expires_s}")
        return _signed(
            credential=query["X-Amz-Credential"],
            signed_headers=query["X-Amz-SignedHeaders"],
            signature=query["X-Amz-Signature"],
            date=query["X-Amz-Date"],
            expires_s=expires_s,
        )
    except (KeyError, ValueError) as error:
        raise _misformed(True, f"{error} is missing or invalid") from error


def _signed(
    *, credential: str, signed_headers: str, signature: str, date: str, expires_s: int | None
) -> _Signed:
    access_key_id, scope = credential.split("/", 1)
    _, region, service, _ = scope.split("/")
    return _Signed(
        access_key_id=access_key_id,
        scope=scope,
        region=region,
        service=service,
        signed_headers=tuple(signed_headers.split(";")),
        signature=signature,
        signed_at=datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
        expires_s=expires_s,
    )


def _check_expiry(signed_at: datetime, expires_s: int, now: datetime) -> None:
    expires_at = signed_at + timedelta(seconds=expires_s)
    if signed_at > now + MAX_CLOCK_SKEW:
        raise S3Error("AccessDenied", "Request is not yet valid")
    if now >= expires_at:
        raise S3Error(
            "AccessDenied",
            "Request has expired",
            details={
                "X-Amz-Expires": expires_s,
                "Expires": f"{expires_at:%Y-%m-%dT%H:%M:%SZ}",
                "ServerTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            },
        )


def _misformed(presigned: bool, what: str, expected_region: str | None = None) -> S3Error:
    code = "AuthorizationQueryParametersError" if presigned else "AuthorizationHeaderMalformed"
    where = "query-string authorization" if presigned else "authorization header"
    details = {"Region": expected_region} if expected_region else {}
    return S3Error(code, f"The {where} is malformed; {what}", details=details)


def _signature(request: Request, signed: _Signed, secret: str) -> str:
    presigned = signed.expires_s is not None
    payload = "UNSIGNED-PAYLOAD" if presigned else request.headers.get("x-amz-content-sha256", "")
    canonical = sigv4.canonical_request(
        request,
        path=quote(path_bytes(request), safe="/-_.~"),
        signed_headers=signed.signed_headers,
        payload_hash=payload,
    )
    to_sign = sigv4.string_to_sign(canonical, signed_at=signed.signed_at, scope=signed.scope)
    return sigv4.signature(to_sign, scope=signed.scope, secret=secret)
