"""The webhook Drive's push notifications come to. It must answer fast and believe nothing."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping

from chalice.app import Response

from chalicelib.domain.text import parse_iso
from chalicelib.services import Services, services

log = logging.getLogger(__name__)


def receive(headers: Mapping[str, str]) -> Response:
    """Queue a hint that Drive changed. A call that is not from our live channel starts nothing."""
    given = {name.lower(): value for name, value in headers.items()}
    channel_id = given.get("x-goog-channel-id", "")
    problem = _problem(services(), channel_id, given.get("x-goog-channel-token", ""))
    if problem:
        log.warning("notification refused: %s", problem)
        return Response({"message": problem}, status_code=403)
    if given.get("x-goog-resource-state") in ("change", "changed"):
        number = given.get("x-goog-message-number", "")[:20]
        services().queues.drive_may_have_changed({"channel_id": channel_id, "message": number})
    return Response({"message": "thank you"}, status_code=200)


def _problem(reach: Services, channel_id: str, token: str) -> str | None:
    known = reach.records.state(f"channel#{channel_id}", "channel") if _sane(channel_id) else {}
    expected = str(known.get("token", ""))
    given = token.encode(errors="replace")  # halves of characters, which no encoding takes
    if not expected or not hmac.compare_digest(expected.encode(), given):
        return "This is not one of our channels, or its token is wrong."
    if parse_iso(known["valid_until"]) < reach.now():
        return "This channel has expired."
    return None


def _sane(channel_id: str) -> bool:
    """Whether it may be one of ours at all; DynamoDB does not take any key."""
    return 0 < len(channel_id) <= 64 and channel_id.isascii()
