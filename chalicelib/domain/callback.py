"""Calling back: who asked to be told of a job's end, what they are told, and how it is signed.

The signature is an HMAC-SHA256 over the time and the body, so that neither can be changed and an
old call not be played again: `Slimreel-Signature: t=1767258000,v1=<hex>`. The scheme is that of
Stripe's webhooks. Source: https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from chalicelib.domain.errors import SlimreelError
from chalicelib.domain.text import iso, parse_iso

HEADER = "Slimreel-Signature"
URL_LIMIT = 1000
#: Addresses of one job; each costs a call at its end.
MOST = 5
#: From the job's end on; then it is given up.
GIVE_UP_AFTER = timedelta(hours=6)
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)


class BadAddress(SlimreelError):
    """An address that may not be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """An address to call once a run has ended.

    Attributes:
        url: a secret of whoever gave it: it may carry a token. Only its origin is ever shown.
        run: the run that the rest is about.
        tries: how often it was called in vain.
        next_at: not before; None for at once.
        told_at: when it was.
        problem: why it was given up, or what went wrong the last time.
        given_up: nobody calls it any more for this run.
    """

    url: str
    run: int = 1
    tries: int = 0
    next_at: str | None = None
    told_at: str | None = None
    problem: str | None = None
    given_up: bool = False

    @property
    def origin(self) -> str:
        return origin_of(self.url)

    @property
    def is_over(self) -> bool:
        return self.told_at is not None or self.given_up

    def is_due(self, now: datetime) -> bool:
        return not self.is_over and (self.next_at is None or parse_iso(self.next_at) <= now)


def origin_of(url: str) -> str:
    """`https://host:port` of an address, in lower case, without a port that goes without saying.

    >>> origin_of("https://N8N.example:443/webhook/1?token=x")
    'https://n8n.example'
    """
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return f"{parts.scheme}://{(parts.hostname or '').lower()}{port}"


def checked_url(url: str, *, allowed_origins: tuple[str, ...] = ()) -> str:
    """An address that may be called, as far as its text tells; the host's addresses are looked at
    each time it is called.

    Args:
        allowed_origins: may be called although they are not public, or not HTTPS.

    Raises:
        BadAddress
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadAddress("callback_url is no address.") from None
    if len(url) > URL_LIMIT or not url.isascii() or not url.isprintable() or " " in url:
        raise BadAddress(f"callback_url is plain ASCII of at most {URL_LIMIT} characters.")
    if "\\" in url or parts.username is not None or parts.password is not None or parts.fragment:
        raise BadAddress("callback_url holds no user, password or fragment.")
    if parts.scheme in ("http", "https") and origin_of(url) in allowed_origins:
        return url
    if parts.scheme != "https":
        raise BadAddress("callback_url begins with https://.")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) or "." not in host or host.rpartition(".")[2].isdigit():
        raise BadAddress("callback_url has the full name of a public host, not an IP address.")
    if port is not None and port != 443 and port < 1024:
        raise BadAddress("callback_url has port 443, or one from 1024 on.")
    return url


def body_of(job_view: Mapping[str, Any], *, at: datetime) -> bytes:
    """What is sent: `id` is the same however often a run's end is told.

    Args:
        job_view: as `GET /jobs/{job_id}` shows it.
    """
    status = str(job_view["status"]).lower().replace(" ", "_")
    told = {
        "id": f"{job_view['job_id']}-{job_view['run']}",
        "event": f"job.{status}",
        "sent_at": iso(at),
        "job": job_view,
    }
    return json.dumps(told, ensure_ascii=False).encode()


def signature(key: str, body: bytes, *, at: datetime) -> str:
    """The header's value.

    >>> from datetime import UTC
    >>> signature("key", b"{}", at=datetime(2026, 1, 1, tzinfo=UTC))[:20]
    't=1767225600,v1=df34'
    """
    seconds = int(at.timestamp())
    signed = hmac.new(key.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={signed.hexdigest()}"


def due_again(tries: int, *, now: datetime, ended: datetime) -> datetime | None:
    """When to try again after so many tries in vain; None for never.

    >>> from datetime import UTC
    >>> at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> due_again(1, now=at, ended=at).minute
    5
    """
    again = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries - 1, 10))
    return again if again - ended <= GIVE_UP_AFTER else None
