"""Push notifications: real POSTs to the address a channel named.

Source: https://developers.google.com/workspace/drive/api/guides/push
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate

import requests

from slimreel.local.drive.records import ChannelRow
from slimreel.local.faults import Faults

_LOG = logging.getLogger("slimreel.local.drive")

#: The only answers that bring a notification back; every other one loses it.
RETRIED = frozenset((500, 502, 503, 504))
SUCCESS = frozenset((102, 200, 201, 202, 204))
_ATTEMPTS = 6
_TIMEOUT_S = 10.0


@dataclass(order=True, slots=True)
class _Delivery:
    due_s: float
    number: int
    channel_id: str = field(compare=False)
    state: str = field(compare=False)
    changed: tuple[str, ...] = field(compare=False)
    attempt: int = field(compare=False, default=0)
    done: threading.Event = field(compare=False, default_factory=threading.Event)


class Notifier:
    """Delivers one after the other, in a thread of its own.

    Attributes:
        retry_base_s: the first back-off; it doubles with every attempt.
    """

    def __init__(
        self,
        find: Callable[[str], ChannelRow | None],
        save: Callable[[ChannelRow], None],
        faults: Faults,
        *,
        coalesce_s: float,
        retry_base_s: float,
    ) -> None:
        self._find = find
        self._save = save
        self._faults = faults
        self._coalesce_s = coalesce_s
        self.retry_base_s = retry_base_s
        self._queue: list[_Delivery] = []
        self._numbers = itertools.count()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._http = requests.Session()
        # A proxy from the environment has no business between two local programs.
        self._http.trust_env = False

    def sync(self, channel_id: str) -> threading.Event:
        """Announce a new channel; the event is set once that was tried."""
        return self._add(channel_id, "sync", (), delay_s=0.0)

    def file_changed(self, channel_id: str, state: str, changed: tuple[str, ...]) -> None:
        self._add(channel_id, state, changed, delay_s=0.0)

    def log_changed(self, channel_id: str) -> None:
        """Tell of new change-log entries; several within a moment become one notification."""
        with self._wake:
            waiting = any(
                one.channel_id == channel_id and one.state == "change" and one.attempt == 0
                for one in self._queue
            )
        if not waiting:
            self._add(channel_id, "change", (), delay_s=self._coalesce_s)

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(_TIMEOUT_S)
        self._http.close()

    def _add(
        self, channel_id: str, state: str, changed: tuple[str, ...], *, delay_s: float
    ) -> threading.Event:
        due_s = time.monotonic() + delay_s
        delivery = _Delivery(due_s, next(self._numbers), channel_id, state, changed)
        self._push(delivery)
        return delivery.done

    def _push(self, delivery: _Delivery) -> None:
        with self._wake:
            if self._closed:
                return
            heapq.heappush(self._queue, delivery)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="drive-notifier", daemon=True
                )
                self._thread.start()
            self._wake.notify_all()

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            channel = self._find(delivery.channel_id)
            if channel is not None:
                self._deliver(delivery, channel)
            delivery.done.set()

    def _next(self) -> _Delivery | None:
        with self._wake:
            while not self._closed:
                wait_s = self._queue[0].due_s - time.monotonic() if self._queue else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._queue)
                self._wake.wait(wait_s)
        return None

    def _deliver(self, delivery: _Delivery, channel: ChannelRow) -> None:
        fault = self._faults.take("drive", "notification")
        if fault is not None and fault.drop:
            _LOG.info("notification %s dropped by a fault", delivery.state)
            return
        status = self._post(delivery, channel)
        if fault is not None and fault.duplicate:
            self._post(delivery, channel)
        self._faults.done()
        if status in RETRIED and delivery.attempt + 1 < _ATTEMPTS:
            back_off_s = self.retry_base_s * 2**delivery.attempt * (1 + random.random())
            again = replace(
                delivery, due_s=time.monotonic() + back_off_s, attempt=delivery.attempt + 1
            )
            self._push(again)

    def _post(self, delivery: _Delivery, channel: ChannelRow) -> int | None:
        number = 1 if delivery.state == "sync" else channel.last_message + random.randint(1, 97)
        self._save(replace(channel, last_message=max(number, channel.last_message)))
        try:
            response = self._http.post(
                channel.address,
                data=b"",
                headers=headers(channel, delivery.state, delivery.changed, number),
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
        except (
            OSError
        ) as error:  # every error of requests is one, and a socket's own may slip through
            _LOG.warning("notification to %s was lost: %s", channel.address, error)
            return None
        if response.status_code not in SUCCESS:
            _LOG.warning(
                "notification to %s was answered %d", channel.address, response.status_code
            )
        return int(response.status_code)


def headers(
    channel: ChannelRow, state: str, changed: tuple[str, ...], number: int
) -> dict[str, str]:
    """Return the headers of one notification; its body is empty."""
    found = {
        "User-Agent": "APIs-Google",
        "Content-Type": "application/json; utf-8",
        "X-Goog-Channel-ID": channel.channel_id,
        "X-Goog-Channel-Expiration": formatdate(channel.expires_ms / 1000, usegmt=True),
        "X-Goog-Message-Number": str(number),
        "X-Goog-Resource-ID": channel.resource_id,
        "X-Goog-Resource-State": state,
        "X-Goog-Resource-URI": channel.resource_uri,
    }
    if channel.token is not None:
        found["X-Goog-Channel-Token"] = channel.token
    if changed and state == "update":
        found["X-Goog-Changed"] = ", ".join(changed)
    return found
