"""Webhooks: who is told of which changes, what their logs say, and the pings.

A ping says only that something happened; what did is in the webhook's log, which is read by
cursor. Source: https://airtable.com/developers/web/api/webhooks-overview
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import json
import logging
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from slimreel.local.airtable import errors
from slimreel.local.airtable.cells import instant
from slimreel.local.airtable.store import Change, Store, new_id
from slimreel.local.background import Background
from slimreel.local.faults import Faults

LOG = logging.getLogger("slimreel.local.airtable")

LIFE_S = 7 * 86400
LOG_LIFE_S = 7 * 86400
#: Payloads on one page; Airtable's own number is not documented.
PAGE = 50
#: Webhooks of one base. Source: https://airtable.com/developers/web/api/webhooks-overview
MOST = 10
RETRIES = 13
TIMEOUT_S = 25.0
#: Changes within a moment become one ping; Airtable merges them, too.
COALESCE_S = 0.05
DATA_TYPES = ("tableData", "tableFields", "tableMetadata")
SOURCES = (
    "client",
    "publicApi",
    "formSubmission",
    "formPageSubmission",
    "automation",
    "system",
    "sync",
    "anonymousUser",
    "unknown",
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS webhooks (
    seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, base_id TEXT NOT NULL REFERENCES bases,
    url TEXT, secret TEXT NOT NULL, specification TEXT NOT NULL, expires_s REAL NOT NULL,
    next_number INTEGER NOT NULL DEFAULT 1, pings_enabled INTEGER NOT NULL DEFAULT 1,
    last_success TEXT
);
CREATE TABLE IF NOT EXISTS payloads (
    webhook_id TEXT NOT NULL, number INTEGER NOT NULL, at_s REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (webhook_id, number)
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who changed something, and how."""

    source: str
    user: Mapping[str, str]

    @property
    def as_api(self) -> dict[str, Any]:
        return {"source": self.source, "sourceMetadata": {"user": dict(self.user)}}


class Webhooks:
    """Those of all bases. Not thread-safe but for the pings: the caller holds the lock."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        clock: Callable[[], float],
        *,
        lock: Any,
        retry_base_s: float = 10.0,
    ) -> None:
        self._store, self._faults, self._clock, self._lock = store, faults, clock, lock
        self._retry_base_s = retry_base_s
        self._background = Background()
        self._due: set[str] = set()
        self._http = requests.Session()
        # A proxy from the environment has no business between two local programs.
        self._http.trust_env = False
        store.db.executescript(SCHEMA)

    def close(self) -> None:
        self._background.close()
        self._http.close()

    # the API

    def create(self, base_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if set(body) - {"notificationUrl", "specification"}:
            raise errors.invalid_request()
        url, specification = body.get("notificationUrl"), body.get("specification")
        if url is not None and not _is_acceptable(url):
            raise errors.invalid_request()
        _check(specification)
        (count,) = self._store.db.execute(
            "SELECT count(*) FROM webhooks WHERE base_id = ?", (base_id,)
        ).fetchone()
        if count >= MOST:
            raise errors.too_many_webhooks()
        webhook_id = new_id("ach")
        secret = base64.b64encode(secrets.token_bytes(32)).decode()
        expires_s = self._clock() + LIFE_S
        self._store.db.execute(
            "INSERT INTO webhooks (id, base_id, url, secret, specification, expires_s)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (webhook_id, base_id, url, secret, json.dumps(specification), expires_s),
        )
        return {
            "id": webhook_id,
            "macSecretBase64": secret,
            "expirationTime": _time(expires_s),
        }

    def list(self, base_id: str) -> dict[str, Any]:
        rows = self._store.db.execute(
            "SELECT id, url, specification, expires_s, next_number, pings_enabled, last_success"
            " FROM webhooks WHERE base_id = ? ORDER BY seq",
            (base_id,),
        ).fetchall()
        return {
            "webhooks": [
                {
                    "id": webhook_id,
                    "specification": json.loads(specification),
                    "notificationUrl": url,
                    "cursorForNextPayload": number,
                    "areNotificationsEnabled": bool(enabled),
                    "lastSuccessfulNotificationTime": last_success,
                    "isHookEnabled": expires_s > self._clock(),
                    "expirationTime": _time(expires_s),
                }
                for webhook_id, url, specification, expires_s, number, enabled, last_success in rows
                if expires_s + LOG_LIFE_S > self._clock()
            ]
        }

    def delete(self, base_id: str, webhook_id: str) -> None:
        self._known(base_id, webhook_id)
        self._store.db.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,))
        self._store.db.execute("DELETE FROM payloads WHERE webhook_id = ?", (webhook_id,))

    def refresh(self, base_id: str, webhook_id: str) -> dict[str, Any]:
        if self._known(base_id, webhook_id) <= self._clock():
            raise errors.not_permitted_or_not_there()
        return {"expirationTime": _time(self._extend(webhook_id))}

    def enable(self, base_id: str, webhook_id: str, body: Mapping[str, Any]) -> None:
        self._known(base_id, webhook_id)
        if set(body) != {"enable"} or not isinstance(body["enable"], bool):
            raise errors.invalid_request()
        self._store.db.execute(
            "UPDATE webhooks SET pings_enabled = ? WHERE id = ?", (body["enable"], webhook_id)
        )

    def payloads(self, base_id: str, webhook_id: str, cursor: str, limit: str) -> dict[str, Any]:
        """What was logged from a cursor on. Reading lets an active webhook live on."""
        expires_s = self._known(base_id, webhook_id)
        if not cursor.isdecimal() or int(cursor) < 1 or not limit.isdecimal() or int(limit) < 1:
            raise errors.invalid_request()
        count = min(int(limit), PAGE)
        rows = self._store.db.execute(
            "SELECT number, body FROM payloads WHERE webhook_id = ? AND number >= ? AND at_s > ?"
            " ORDER BY number LIMIT ?",
            (webhook_id, int(cursor), self._clock() - LOG_LIFE_S, count + 1),
        ).fetchall()
        if expires_s > self._clock():
            self._extend(webhook_id)
        shown = rows[:count]
        return {
            "payloads": [json.loads(body) for _, body in shown],
            "cursor": shown[-1][0] + 1 if shown else int(cursor),
            "mightHaveMore": len(rows) > count,
        }

    def _known(self, base_id: str, webhook_id: str) -> float:
        """When it expires.

        Raises:
            Refusal: there is none in this base.
        """
        row = self._store.db.execute(
            "SELECT expires_s FROM webhooks WHERE id = ? AND base_id = ?", (webhook_id, base_id)
        ).fetchone()
        if row is None or row[0] + LOG_LIFE_S <= self._clock():
            raise errors.not_permitted_or_not_there()
        return float(row[0])

    def _extend(self, webhook_id: str) -> float:
        expires_s = self._clock() + LIFE_S
        self._store.db.execute(
            "UPDATE webhooks SET expires_s = ? WHERE id = ?", (expires_s, webhook_id)
        )
        return expires_s

    # what happens

    def happened(self, base_id: str, changes: Sequence[Change], actor: Actor) -> None:
        """Log changes of records where they are wanted, and ping."""
        rows = self._store.db.execute(
            "SELECT id, specification, next_number FROM webhooks"
            " WHERE base_id = ? AND expires_s > ?",
            (base_id, self._clock()),
        ).fetchall()
        for webhook_id, specification, number in rows:
            filters = json.loads(specification)["options"]["filters"]
            payload = _payload(filters, changes, actor)
            if payload is None:
                continue
            body = {
                "timestamp": _time(self._clock()),
                "baseTransactionNumber": number,
                "payloadFormat": "v0",
                "actionMetadata": actor.as_api,
                "changedTablesById": payload,
            }
            self._store.db.execute(
                "INSERT INTO payloads VALUES (?, ?, ?, ?)",
                (webhook_id, number, self._clock(), json.dumps(body)),
            )
            self._store.db.execute(
                "UPDATE webhooks SET next_number = ? WHERE id = ?", (number + 1, webhook_id)
            )
            if webhook_id not in self._due:
                self._due.add(webhook_id)
                self._ping_later(webhook_id, COALESCE_S, 0)

    def _ping_later(self, webhook_id: str, delay_s: float, attempt: int) -> None:
        self._background.later(
            delay_s, lambda: self._ping(webhook_id, attempt), name="airtable-ping"
        )

    def _ping(self, webhook_id: str, attempt: int) -> None:
        with self._lock:
            self._due.discard(webhook_id)
            row = self._store.db.execute(
                "SELECT base_id, url, secret, pings_enabled FROM webhooks WHERE id = ?",
                (webhook_id,),
            ).fetchone()
        if row is None or row[1] is None or not row[3]:
            return
        base_id, url, secret, _ = row
        fault = self._faults.take("airtable", "notification")
        if fault is not None and fault.drop:
            LOG.info("a ping was dropped by a fault")
            return
        body = ping(base_id, webhook_id, self._clock())
        delivered = self._post(url, secret, body)
        if fault is not None and fault.duplicate:
            self._post(url, secret, body)
        self._faults.done()
        if delivered:
            with self._lock, self._store.db:
                self._store.db.execute(
                    "UPDATE webhooks SET last_success = ? WHERE id = ?",
                    (_time(self._clock()), webhook_id),
                )
        elif attempt < RETRIES:
            self._ping_later(webhook_id, self._retry_base_s * 2**attempt, attempt + 1)
        else:
            with self._lock, self._store.db:
                self.enable(base_id, webhook_id, {"enable": False})

    def _post(self, url: str, secret: str, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json",
            "X-Airtable-Content-MAC": signature(secret, body),
        }
        try:
            answer = self._http.post(
                url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            LOG.warning("a ping to %s was lost: %s", url, error)
            return False
        if answer.status_code not in (200, 204):
            LOG.warning("a ping to %s was answered %d", url, answer.status_code)
        return answer.status_code in (200, 204)


def ping(base_id: str, webhook_id: str, now_s: float) -> bytes:
    """The body of a ping."""
    told = {"base": {"id": base_id}, "webhook": {"id": webhook_id}, "timestamp": _time(now_s)}
    return json.dumps(told).encode("ascii")


def signature(secret: str, body: bytes) -> str:
    """The header by which a receiver knows a ping of its own webhook."""
    return "hmac-sha256=" + hmac.new(base64.b64decode(secret), body, "sha256").hexdigest()


def _payload(
    filters: Mapping[str, Any], changes: Sequence[Change], actor: Actor
) -> dict[str, Any] | None:
    """What a webhook's log says of the changes it wants to know; None where it wants none."""
    if "tableData" not in filters["dataTypes"]:
        return None
    if actor.source not in (filters.get("fromSources") or [actor.source]):
        return None
    tables: dict[str, dict[str, Any]] = {}
    for change in changes:
        if filters.get("recordChangeScope") not in (None, change.table_id):
            continue
        table = tables.setdefault(change.table_id, {})
        watched = filters.get("watchDataInFieldIds")
        if change.after is None:
            table.setdefault("destroyedRecordIds", []).append(change.record_id)
        elif change.before is None:
            shown = _shown(change, change.after, watched)
            told = {"createdTime": change.created_time, "cellValuesByFieldId": shown}
            table.setdefault("createdRecordsById", {})[change.record_id] = told
        elif fields := _changed(change, watched):
            now = _shown(change, change.after, fields, empty=True)
            told = {"current": {"cellValuesByFieldId": now}}
            table.setdefault("changedRecordsById", {})[change.record_id] = told
    told_tables = {table_id: told for table_id, told in tables.items() if told}
    return told_tables or None


def _changed(change: Change, watched: Collection[str] | None) -> list[str]:
    before, after = change.before or {}, change.after or {}
    fields = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [name for name in fields if watched is None or name in watched]


def _shown(
    change: Change, cells: Mapping[str, Any], fields: Collection[str] | None, empty: bool = False
) -> dict[str, Any]:
    """Cells as payloads have them: a select is an object. An emptied cell is null."""
    names = [name for name in (cells if fields is None else fields) if empty or name in cells]
    return {name: change.as_payload(name, cells.get(name)) for name in names}


def _check(specification: object) -> None:
    try:
        filters = specification["options"]["filters"]  # type: ignore[index]
        kinds, sources = filters["dataTypes"], filters.get("fromSources", [])
        fields = filters.get("watchDataInFieldIds", [])
    except (KeyError, TypeError, AttributeError):
        raise errors.invalid_request() from None
    known = {"dataTypes", "recordChangeScope", "watchDataInFieldIds", "fromSources", "changeTypes"}
    if set(filters) - known or "changeTypes" in filters:
        raise errors.not_built("other filters of webhooks")
    is_sane = (
        isinstance(kinds, list)
        and kinds
        and set(kinds) <= set(DATA_TYPES)
        and isinstance(fields, list)
        and isinstance(sources, list)
        and set(sources) <= set(SOURCES)
    )
    if not is_sane:
        raise errors.invalid_request()


def _is_acceptable(url: object) -> bool:
    """Airtable wants https; no laptop has a certificate, so plain http is taken for this one."""
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return True
    try:
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def _time(seconds: float) -> str:
    return instant(datetime.fromtimestamp(seconds, UTC))
