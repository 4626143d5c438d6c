"""The push channel through which Drive tells us that its change log has grown.

A channel cannot be renewed: a new one is opened before the old one ends, and for a while both
notify. Its record is stored before it is opened, because its first notification may arrive before
the answer to the call that opened it.
"""

from __future__ import annotations

import logging
import secrets
import uuid
from datetime import datetime, timedelta

from chalicelib.adapters.drive_errors import ChannelIdTaken, DriveError
from chalicelib.domain.text import iso, parse_iso
from chalicelib.services import Services
from chalicelib.steps.sync import STATE

log = logging.getLogger(__name__)

CURRENT = ("drive#changes", "channel")
#: Drive ends a change channel after seven days at most.
#: Source: https://developers.google.com/workspace/drive/api/guides/push
LIFE = timedelta(days=7)
#: Open the next one this long before the current one ends, or half way through a shorter life.
OVERLAP = timedelta(days=1)
#: So many sweeps in a row that found changes nobody had notified us of, and the channel is taken
#: for dead: anyone with the same OAuth client can stop it, and Drive does not say so.
#: One such sweep proves nothing: it may have been quicker than the notification.
SILENT_SWEEPS = 2


def renew(services: Services, now: datetime | None = None) -> bool:
    """Open a new channel when the current one ends soon. True when one was opened."""
    now = now or services.now()
    current = services.records.state(*CURRENT)
    if current and now < parse_iso(current["renew_at"]):
        return False
    try:
        opened = _open(services, now)
    except ChannelIdTaken:
        # Most likely our own: the answer that opened it was lost, and with it what stops it.
        opened = _open(services, now)
    services.records.save_state(*CURRENT, {**opened, "silent": 0})
    if current:
        _close(services, current)
    return True


def heard(services: Services) -> None:
    """A notification came."""
    if services.records.state(*CURRENT).get("silent"):
        services.records.save_state(*CURRENT, {"silent": 0})


def swept(services: Services, changes: int) -> None:
    """A sweep read so many changes that no notification had had read before."""
    if not changes or not services.records.state(*CURRENT).get("channel_id"):
        return
    now = services.records.save_state(*CURRENT, {}, add={"silent": 1})
    if now is not None and now["silent"] >= SILENT_SWEEPS:
        log.warning("Drive's channel is silent though there are changes; opening another")
        services.records.save_state(*CURRENT, {"renew_at": iso(services.now())})
        renew(services)


def _open(services: Services, now: datetime) -> dict[str, str]:
    channel_id, token = str(uuid.uuid4()), secrets.token_urlsafe(32)
    expires = now + LIFE
    services.records.save_state(
        f"channel#{channel_id}",
        "channel",
        {"token": token, "valid_until": iso(expires), "expires_at": int(expires.timestamp())},
    )
    page_token = _page_token(services)
    channel = services.drive.watch_changes(
        channel_id=channel_id,
        token=token,
        address=f"{services.settings.public_url.rstrip('/')}/drive/notifications",
        expires_at=expires,
        page_token=page_token,
    )
    services.records.save_state(
        f"channel#{channel_id}",
        "channel",
        {
            "valid_until": iso(channel.expires_at),
            "expires_at": int((channel.expires_at + OVERLAP).timestamp()),
        },
    )
    life = channel.expires_at - now
    return {
        "channel_id": channel_id,
        "resource_id": channel.resource_id,
        "renew_at": iso(channel.expires_at - min(OVERLAP, life / 2)),
    }


def _page_token(services: Services) -> str:
    """Where sync will read on; the first channel also sets sync's starting point."""
    state = services.records.state(*STATE)
    if "page_token" in state:
        return str(state["page_token"])
    token = services.drive.start_page_token()
    kept = services.records.save_state(*STATE, {"page_token": token}, only_if={"page_token": None})
    return str((kept or services.records.state(*STATE))["page_token"])


def _close(services: Services, old: dict[str, str]) -> None:
    try:
        services.drive.stop_channel(channel_id=old["channel_id"], resource_id=old["resource_id"])
    except DriveError as error:
        # It ends by itself; until then its notifications are only more hints.
        log.warning("the old channel could not be stopped: %s", error)
    services.records.delete_state(f"channel#{old['channel_id']}", "channel")
