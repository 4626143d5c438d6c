"""API Gateway's check of a call to a route with IAM authorization, with its own refusals.

Not imitated: policies. Whoever has the account's key may call every route. A signature in the
query is refused as not supported here.

Sources: https://repost.aws/knowledge-center/api-gateway-troubleshoot-403-forbidden for the answers,
https://github.com/mhart/aws4/issues/110 and /118 and https://github.com/aws/aws-sdk-js/issues/792
for their full texts.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from werkzeug import Request

from slimreel.local import sigv4

SERVICE = "execute-api"
#: API Gateway allows less than S3 does.
CLOCK_SKEW = timedelta(minutes=5)


class SignatureRefused(Exception):
    """403. `error_type` is the header `x-amzn-ErrorType`, the text is the `message`."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type, self.message = error_type, message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    access_key_id: str
    scope: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime


def verify(
    request: Request, *, raw_path: str, region: str, secrets: Mapping[str, str], now: datetime
) -> str:
    """The access key id that signed the request.

    Args:
        raw_path: as it was sent, still percent-encoded.
        secrets: secret keys by access key id.

    Raises:
        SignatureRefused
    """
    header = request.headers.get("Authorization", "")
    if not header or not header.startswith("AWS4-"):
        raise SignatureRefused(
            "MissingAuthenticationTokenException", "Missing Authentication Token"
        )
    signed = _parsed(header, request)
    _check_scope(signed, region)
    secret = secrets.get(signed.access_key_id)
    if secret is None:
        raise SignatureRefused(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    _check_time(signed.signed_at, now)
    canonical = sigv4.canonical_request(
        request,
        path=quote(raw_path, safe="/-_.~"),  # encoded once more than it was sent; only S3 does not
        signed_headers=signed.signed_headers,
        payload_hash=hashlib.sha256(request.get_data()).hexdigest(),
    )
    to_sign = sigv4.string_to_sign(canonical, signed_at=signed.signed_at, scope=signed.scope)
    expected = sigv4.signature(to_sign, scope=signed.scope, secret=secret)
    if not hmac.compare_digest(expected, signed.signature):
        raise SignatureRefused(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            f"details.\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n"
            f"The String-to-Sign should have been\n'{to_sign}'\n",
        )
    return signed.access_key_id


def _parsed(header: str, request: Request) -> _Signed:
    fields = dict(re.findall(r"(\w+)=([^,\s]+)", header.removeprefix(sigv4.ALGORITHM)))
    date = request.headers.get("X-Amz-Date", "")
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if name not in fields]
    if missing or not date:
        wanted = [f"Authorization header requires '{name}' parameter." for name in missing]
        if not date:
            wanted.append(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
                "header."
            )
        raise SignatureRefused(
            "IncompleteSignatureException", f"{' '.join(wanted)} Authorization={header}"
        )
    try:
        access_key_id, scope = fields["Credential"].split("/", 1)
        _, region, service, _ = scope.split("/")
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise SignatureRefused(
            "IncompleteSignatureException",
            f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/"
            f"service/term, and the date be in ISO 8601 basic format; got '{fields['Credential']}'"
            f" and '{date}'",
        ) from error
    return _Signed(
        access_key_id=access_key_id,
        scope=scope,
        region=region,
        service=service,
        signed_headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
        signed_at=signed_at,
    )


def _check_scope(signed: _Signed, region: str) -> None:
    wrong = ""
    if signed.region != region:
        wrong += f"Credential should be scoped to a valid region, not '{signed.region}'. "
    if signed.service != SERVICE:
        wrong += f"Credential should be scoped to correct service: '{SERVICE}'. "
    if "host" not in signed.signed_headers:
        wrong += "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization. "
    if wrong:
        raise SignatureRefused("InvalidSignatureException", wrong)


def _check_time(signed_at: datetime, now: datetime) -> None:
    if abs(now - signed_at) <= CLOCK_SKEW:
        return
    if signed_at < now:
        how, limit, sign = "expired: {} is now earlier than", now - CLOCK_SKEW, "-"
    else:
        how, limit, sign = "not yet current: {} is still later than", now + CLOCK_SKEW, "+"
    signed, until, today = (f"{moment:%Y%m%dT%H%M%SZ}" for moment in (signed_at, limit, now))
    message = f"Signature {how.format(signed)} {until} ({today} {sign} 5 min.)"
    raise SignatureRefused("InvalidSignatureException", message)
