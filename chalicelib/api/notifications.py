"""The webhook Drive's push notifications come to. It must answer fast and believe nothing."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from chalice.app import Response

from chalicelib.domain.text import parse_iso
from chalicelib.services import Services, services

log = logging.getLogger(__name__)

#: A channel that was stopped can start a look into the change log for so long; that harms nobody.
REMEMBERED_S = 60.0
_channels: WeakKeyDictionary[Services, dict[str, tuple[float, Mapping[str, Any]]]] = (
    WeakKeyDictionary()
)


def receive(headers: Mapping[str, str]) -> Response:
    """Queue a hint that Drive changed. A call that is not from our live channel starts nothing."""
    given = {name.lower(): value for name, value in headers.items()}
    channel_id = given.get("x-goog-channel-id", "")
    problem = _problem(services(), channel_id, given.get("x-goog-channel-token", ""))
    if problem:
        log.warning("notification refused: %s", problem)
        return Response({"message": problem}, status_code=403)
    # The first message of a channel, sync, tells of no change, but goes the whole way all the same:
    # so it can be seen that Drive reaches us.
    if given.get("x-goog-resource-state") in ("sync", "change", "changed"):
        number = given.get("x-goog-message-number", "")[:20]
        services().queues.drive_may_have_changed({"channel_id": channel_id, "message": number})
        services().metrics.put({"DriveNotifications": 1}, at=services().now())
    return Response({"message": "thank you"}, status_code=200)


def _problem(reach: Services, channel_id: str, token: str) -> str | None:
    known = _channel(reach, channel_id) if _sane(channel_id) else {}
    expected = str(known.get("token", ""))
    given = token.encode(errors="replace")  # halves of characters, which no encoding takes
    if not expected or not hmac.compare_digest(expected.encode(), given):
        return "This is not one of our channels, or its token is wrong."
    if parse_iso(known["valid_until"]) < reach.now():
        return "This channel has expired."
    return None


def _channel(reach: Services, channel_id: str) -> Mapping[str, Any]:
    """What we know of a channel; a known one is looked up once in a while, not for every call."""
    remembered = _channels.setdefault(reach, {})
    at, known = remembered.get(channel_id, (0.0, {}))
    if not known or time.monotonic() - at > REMEMBERED_S:
        known = reach.records.state(f"channel#{channel_id}", "channel")
        if known:
            remembered[channel_id] = time.monotonic(), known
    return known


def _sane(channel_id: str) -> bool:
    """Whether it may be one of ours at all; DynamoDB does not take any key."""
    return 0 < len(channel_id) <= 64 and channel_id.isascii()
