"""Signature Version 4: what every service computes alike.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import parse_qsl, quote

from werkzeug import Request

ALGORITHM = "AWS4-HMAC-SHA256"


def canonical_request(
    request: Request, *, path: str, signed_headers: Iterable[str], payload_hash: str
) -> str:
    """
    Args:
        path: encoded as the service encodes it.
        signed_headers: in lower case, in the order in which they were signed.
    """
    names = tuple(signed_headers)
    return "\n".join(
        [
            request.method,
            path,
            _canonical_query(request),
            *(f"{name}:{_canonical_header(request, name)}" for name in names),
            "",
            ";".join(names),
            payload_hash,
        ]
    )


def string_to_sign(canonical: str, *, signed_at: datetime, scope: str) -> str:
    """
    Args:
        scope: "20260131/eu-west-1/s3/aws4_request"
    """
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join([ALGORITHM, f"{signed_at:%Y%m%dT%H%M%SZ}", scope, digest])


def signature(to_sign: str, *, scope: str, secret: str) -> str:
    key = f"AWS4{secret}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode("utf-8"), "sha256")
    return hmac.digest(key, to_sign.encode("utf-8"), "sha256").hex()


def _canonical_query(request: Request) -> str:
    pairs = parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)
    encoded = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in pairs
        if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in encoded)


def _canonical_header(request: Request, name: str) -> str:
    return " ".join(request.headers.get(name, "").split())
