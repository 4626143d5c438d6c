"""Permanent signed links to a job's result.

A presigned S3 URL made with role credentials dies within hours, so rows and emails carry a link
to ourselves, `/v/<job>?s=<signature>`, which redirects to a fresh one.
"""

from __future__ import annotations

import hashlib
import hmac


def signature(job_id: str, key: str) -> str:
    """The `s` of a link: 128 bits of HMAC-SHA256."""
    return hmac.new(key.encode(), f"v:{job_id}".encode(), hashlib.sha256).hexdigest()[:32]


def is_genuine(job_id: str, given: str, key: str) -> bool:
    """Compare in constant time."""
    # `given` comes from anyone: halves of characters, which no encoding takes, must not raise.
    return hmac.compare_digest(signature(job_id, key).encode(), given.encode(errors="replace"))


def video_link(public_url: str, job_id: str, key: str) -> str:
    return f"{public_url.rstrip('/')}/v/{job_id}?s={signature(job_id, key)}"
