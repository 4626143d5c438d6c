"""Permanent signed links to a job's result.

A presigned S3 URL made with role credentials dies within hours, so rows and emails carry a link
to ourselves, `/v/<job>?s=<signature>`, which redirects to a fresh one.
"""

from __future__ import annotations

import hashlib
import hmac
import re

#: Nobody revokes a link a million times.
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")


def signature(job_id: str, key: str, number: int = 0) -> str:
    """The `s` of a link: 128 bits of HMAC-SHA256, and the link's number where it is not the first.

    Args:
        number: how many links of this job were revoked before this one.
    """
    signed = f"v:{job_id}:{number}" if number else f"v:{job_id}"
    proof = hmac.new(key.encode(), signed.encode(), hashlib.sha256).hexdigest()[:32]
    return f"{proof}-{number}" if number else proof


def number_of(job_id: str, given: str, key: str) -> int | None:
    """Which of the job's links this is, counted from 0; None when we never made it.

    Compares in constant time.
    """
    _, _, told = given.partition("-")
    number = int(told) if _NUMBER.fullmatch(told) else 0
    wanted = signature(job_id, key, number).encode()
    # `given` comes from anyone: halves of characters, which no encoding takes, must not raise.
    return number if hmac.compare_digest(wanted, given.encode(errors="replace")) else None


def is_genuine(job_id: str, given: str, key: str) -> bool:
    """Whether we made this link, revoked or not."""
    return number_of(job_id, given, key) is not None


def video_link(public_url: str, job_id: str, key: str, number: int = 0) -> str:
    return f"{public_url.rstrip('/')}/v/{job_id}?s={signature(job_id, key, number)}"
