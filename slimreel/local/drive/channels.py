"""Notification channels: opening, ending, and who hears of what.

Source: https://developers.google.com/workspace/drive/api/guides/push
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import re
from typing import Any
from urllib.parse import urlsplit

from slimreel.local.drive.errors import Refusal, invalid_value
from slimreel.local.drive.library import Event, Library, now_ms
from slimreel.local.drive.notifier import Notifier
from slimreel.local.drive.records import ChannelRow
from slimreel.local.faults import Faults

_LOG = logging.getLogger("slimreel.local.drive")

#: Without a wish, and at most: 1 hour; 7 days on the change log, 1 day on a file.
#: Source: the push guide above, "Optional properties".
_DEFAULT_LIFE_MS = 3_600_000
_LONGEST_LOG_LIFE_MS = 604_800_000
_LONGEST_FILE_LIFE_MS = 86_400_000
#: How long `watch` waits for its own sync message: a receiver must cope with a sync that
#: comes before the answer, so here it always does.
_SYNC_FIRST_S = 1.0


class Channels:
    """All channels. They survive a restart, as Google's do."""

    def __init__(
        self, library: Library, faults: Faults, *, coalesce_s: float, retry_base_s: float
    ) -> None:
        self._library = library
        self._records = library.records
        self.notifier = Notifier(
            self._live, self._save, faults, coalesce_s=coalesce_s, retry_base_s=retry_base_s
        )
        library.listener = self._happened

    def watch_log(self, wish: dict[str, Any], resource_uri: str) -> dict[str, Any]:
        """Open a channel on the change log and return the Channel resource."""
        return self._open(wish, None, "changes", resource_uri, _LONGEST_LOG_LIFE_MS)

    def watch_file(self, wish: dict[str, Any], file_id: str, resource_uri: str) -> dict[str, Any]:
        """Open a channel on one file or folder and return the Channel resource."""
        return self._open(wish, file_id, file_id, resource_uri, _LONGEST_FILE_LIFE_MS)

    def stop(self, wish: dict[str, Any]) -> None:
        """End a channel.

        Raises:
            Refusal: 404, no such channel (public code takes that for "already gone").
        """
        channel = self._live(str(wish.get("id", "")))
        if channel is None or channel.resource_id != wish.get("resourceId"):
            message = f"Channel '{wish.get('id')}' not found for project 'slimreel-local'"
            raise Refusal(404, "notFound", message)
        with self._library.lock:
            self._records.forget_channel(channel.channel_id)

    def open_channels(self) -> list[ChannelRow]:
        with self._library.lock:
            return [one for one in self._records.channels() if one.expires_ms > now_ms()]

    def _open(
        self, wish: dict[str, Any], file_id: str | None, resource: str, uri: str, longest_ms: int
    ) -> dict[str, Any]:
        _check_wish(wish)
        channel = ChannelRow(
            channel_id=wish["id"],
            resource_id=hashlib.sha256(resource.encode()).hexdigest()[:27],
            resource_uri=uri,
            file_id=file_id,
            address=wish["address"],
            token=wish.get("token"),
            expires_ms=_expiry(wish.get("expiration"), longest_ms),
        )
        with self._library.lock:
            if any(one.channel_id == channel.channel_id for one in self._records.channels()):
                message = f"Channel id {channel.channel_id} not unique"
                raise Refusal(400, "channelIdNotUnique", message)
            self._records.save_channel(channel)
        self.notifier.sync(channel.channel_id).wait(_SYNC_FIRST_S)
        return _channel_json(channel)

    def _live(self, channel_id: str) -> ChannelRow | None:
        for channel in self.open_channels():
            if channel.channel_id == channel_id:
                return channel
        return None

    def _save(self, channel: ChannelRow) -> None:
        with self._library.lock:
            if self._live(channel.channel_id) is not None:  # stopped meanwhile: stays stopped
                self._records.save_channel(channel)

    def _happened(self, event: Event) -> None:
        for channel in self.open_channels():
            if channel.file_id is None:
                if event.drive_id and self._library.is_member:
                    continue  # that is in the drive's own log
                self.notifier.log_changed(channel.channel_id)
            elif channel.file_id == event.file_id:
                self.notifier.file_changed(channel.channel_id, event.state, event.changed)
            elif channel.file_id in event.folder_ids:
                self.notifier.file_changed(channel.channel_id, "update", ("children",))


def _check_wish(wish: dict[str, Any]) -> None:
    channel_id, token = wish.get("id"), wish.get("token")
    if not channel_id:
        raise Refusal(400, "required", "Required parameter: resource.id")
    if not isinstance(channel_id, str) or len(channel_id) > 64:
        raise invalid_value("resource.id")
    if wish.get("type") not in ("web_hook", "webhook"):
        message = f"Channel type {wish.get('type')} not supported."
        raise Refusal(400, "push.channelTypeNotSupported", message)
    if token is not None and (not isinstance(token, str) or len(token) > 256):
        raise invalid_value("resource.token")
    _check_address(str(wish.get("address", "")))


def _check_address(address: str) -> None:
    """Google insists on https with a certificate everyone trusts.

    No laptop has one for itself, so plain http is taken here, but for this machine only.
    """
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return
    message = f"WebHook callback must be HTTPS: {address}"
    raise Refusal(400, "push.webhookUrlNotHttps", message)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _expiry(wish: Any, longest_ms: int) -> int:
    """Return when the channel ends, in ms since 1970: the wish, or Google's limit if earlier."""
    now = now_ms()
    if wish is None:
        return now + _DEFAULT_LIFE_MS
    if not re.fullmatch(r"[0-9]{1,18}", str(wish)) or int(wish) <= now:
        raise invalid_value("resource.expiration")
    return min(int(wish), now + longest_ms)


def _channel_json(channel: ChannelRow) -> dict[str, Any]:
    answer = {
        "kind": "api#channel",
        "id": channel.channel_id,
        "resourceId": channel.resource_id,
        "resourceUri": channel.resource_uri,
        "expiration": str(channel.expires_ms),
    }
    return answer if channel.token is None else answer | {"token": channel.token}
