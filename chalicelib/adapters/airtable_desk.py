"""What people change in the table, and the webhook that tells of it.

Errors are those of `airtable`, and so are the pauses between calls.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chalicelib.adapters.airtable import Airtable, AirtableRefused
from chalicelib.domain.review import Choice, Wish
from chalicelib.domain.row import ANSWER_FIELD, KEY_FIELD, REVIEW_FIELD, REVIEWER_FIELD

LOG = logging.getLogger(__name__)

ROWS_AT_A_TIME = 100
"""One page, which is one call.
Source: https://airtable.com/developers/web/api/list-records"""

LIFE = timedelta(days=7)
"""Of a webhook whose answer does not say when it ends.
Source: https://airtable.com/developers/web/api/webhooks-overview"""

SOURCES = ("client", "formSubmission", "formPageSubmission", "automation", "anonymousUser")
"""Whose changes are told of: everybody's but those that come by the API, such as our own.
Source: https://airtable.com/developers/web/api/model/webhooks-specification"""

GONE = (403, 404)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The rows in which somebody chose something, and whether one call held all of them."""

    found: tuple[Wish, ...] = ()
    there_is_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook that was just made.

    Attributes:
        secret: base64; Airtable shows it once.
    """

    webhook_id: str
    secret: str
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """A page of a webhook's log.

    Attributes:
        names: who changed a row last, by the row's id.
        cursor: where the next page begins.
    """

    cursor: int
    names: Mapping[str, str] = field(default_factory=dict)
    there_is_more: bool = False


class Desk:
    """The table as people use it."""

    def __init__(self, airtable: Airtable, *, now: Any) -> None:
        """
        Args:
            now: a callable that returns the time in UTC.
        """
        self._airtable = airtable
        self._now = now

    def wishes(self) -> Wishes:
        """The rows in which one of our choices is chosen; options of people's own are theirs.

        Raises:
            AirtableRefused: among others, where the table has no such field.
        """
        from pyairtable.formulas import EQ, OR, Field

        chosen = OR(*(EQ(Field(REVIEW_FIELD), choice.value) for choice in Choice))
        # All fields: naming one that is not there would be an error, and who reviewed may not be.
        records = self._airtable.paced(
            lambda table: table.all(formula=chosen, max_records=ROWS_AT_A_TIME)
        )
        wishes = (_wish(record) for record in records)
        return Wishes(
            found=tuple(wish for wish in wishes if wish is not None),
            there_is_more=len(records) == ROWS_AT_A_TIME,
        )

    def watch(self, url: str) -> Webhook:
        """Have Airtable ping `url` when people change the field; instead of earlier webhooks there.

        Four calls and more. The token needs the scopes webhook:manage and schema.bases:read.
        """
        table = self._airtable.paced(lambda table: table.schema())
        reviews = next((f.id for f in table.fields if f.name == REVIEW_FIELD), None)
        if reviews is None:
            raise AirtableRefused(
                f"The table has no field {REVIEW_FIELD}: `slimreel airtable setup` makes it.",
                status=422,
            )
        for webhook in self._airtable.paced(lambda table: table.base.webhooks()):
            if webhook.notification_url == url:  # its secret is lost, or it is from another stage
                self._airtable.paced(partial(_delete, webhook))
        wanted = {
            "options": {
                "filters": {
                    "dataTypes": ["tableData"],
                    "recordChangeScope": table.id,
                    "watchDataInFieldIds": [reviews],
                    "fromSources": list(SOURCES),
                }
            }
        }
        made = self._airtable.paced(lambda table: table.base.add_webhook(url, wanted))
        return Webhook(
            webhook_id=made.id,
            secret=made.mac_secret_base64,
            ends_at=made.expiration_time or self._now() + LIFE,
        )

    def renew(self, webhook_id: str) -> datetime | None:
        """Let it live for another week, its pings switched on; None when it is gone."""
        found = self._airtable.paced(lambda table: table.base.webhooks())
        webhook = next((one for one in found if one.id == webhook_id), None)
        if webhook is None or not webhook.is_hook_enabled:
            return None
        try:
            self._airtable.paced(lambda _: webhook.extend_expiration())
            if not webhook.are_notifications_enabled:  # it gave up on us after a day of failures
                self._airtable.paced(lambda _: webhook.enable_notifications())
        except AirtableRefused as error:
            if error.status in GONE:
                return None
            raise
        renewed: datetime = self._now() + LIFE
        return renewed

    def changes(self, webhook_id: str, cursor: int) -> LogPage:
        """One page of what happened from `cursor` on. Reading also renews the webhook."""
        page = self._airtable.paced(
            lambda table: table.api.get(
                table.base.urls.webhooks / webhook_id / "payloads", params={"cursor": cursor}
            )
        )
        names: dict[str, str] = {}
        for payload in page.get("payloads") or ():
            name = _who(payload)
            if name is not None:
                names |= dict.fromkeys(_rows(payload), name)
        return LogPage(
            cursor=max(int(page.get("cursor") or cursor), cursor),
            names=names,
            there_is_more=bool(page.get("mightHaveMore")),
        )


def _delete(webhook: Any, _: Any) -> None:
    webhook.delete()


def _wish(record: Mapping[str, Any]) -> Wish | None:
    cells = record["fields"]
    job_id, choice = cells.get(KEY_FIELD), cells.get(REVIEW_FIELD)
    if not isinstance(job_id, str) or choice not in [known.value for known in Choice]:
        return None
    return Wish(
        row_id=str(record["id"]),
        job_id=job_id,
        choice=choice,
        answer=str(cells.get(ANSWER_FIELD) or ""),
        by=_name(cells.get(REVIEWER_FIELD)),
    )


def _who(payload: Mapping[str, Any]) -> str | None:
    """Source: https://airtable.com/developers/web/api/model/webhooks-payload"""
    metadata = (payload.get("actionMetadata") or {}).get("sourceMetadata") or {}
    return _name(metadata.get("user"))


def _rows(payload: Mapping[str, Any]) -> list[str]:
    tables = (payload.get("changedTablesById") or {}).values()
    return [row_id for table in tables for row_id in (table.get("changedRecordsById") or {})]


def _name(user: Any) -> str | None:
    if not isinstance(user, dict):
        return None
    name = user.get("name") or user.get("email")
    return str(name) if name else None
