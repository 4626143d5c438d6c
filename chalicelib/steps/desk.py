"""The desk: hear what people choose in the table.

A ping of Airtable's webhook, like the schedule, only says: look. What is wanted stands in the
rows: those in which something is chosen are listed, each choice is taken off and done. So a lost
ping costs time and a repeated one does nothing. Airtable's own log of changes, which a ping points
to, adds who it was.

Everything here runs in the rows' one writer, so that all calls to Airtable come from one place and
keep its limits.

What looking costs of the month's calls: with a live webhook four looks a day and one renewal every
two days, some 150 a month; without one a look every `AirtablePollMinutes`, 720 a month at 60. Each
review costs three more: the log, the look and the row.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chalicelib.adapters.airtable import AirtableError, AirtableOutOfCalls, AirtableRefused
from chalicelib.domain.text import iso, parse_iso
from chalicelib.services import Services
from chalicelib.steps.airtable_pause import Trouble
from chalicelib.steps.later import or_later
from chalicelib.steps.review import carry_out, take

log = logging.getLogger(__name__)

STATE = ("airtable", "desk")
#: With a webhook that is alive: for what its pings missed.
POLL_BESIDE_WEBHOOK = timedelta(hours=6)
#: A webhook ends seven days after it was made, refreshed or listed.
#: Source: https://airtable.com/developers/web/api/webhooks-overview
RENEW_EVERY = timedelta(days=2)
#: A table without the field, or a token without the right: somebody has to do something first.
AFTER_REFUSAL = timedelta(hours=6)
#: So many pages of the log in one look; its rest only tells who it was.
LOG_PAGES = 5
NOTIFICATIONS = "/airtable/notifications"


def poll(services: Services) -> bool:
    """Have the rows' writer look, when it is time to; True when it was asked."""
    if not services.settings.airtable_base_id:
        return False
    state, now = services.records.state(*STATE), services.now()
    watched = state.get("webhook_id") is not None and parse_iso(state["ends_at"]) > now
    period = timedelta(minutes=services.settings.airtable_poll_minutes)
    if state.get("refused"):
        period = max(period, AFTER_REFUSAL)
    elif watched:
        period = max(period, POLL_BESIDE_WEBHOOK)
    # A look in the future was noted by a wrong clock.
    if "looked_at" in state and timedelta() <= now - parse_iso(state["looked_at"]) < period:
        return False
    services.queues.look_at_desk(f"poll-{iso(now)}")
    return True


def look(services: Services) -> list[str]:
    """Take every choice off the rows and do it; returns the ids of the jobs whose rows changed.

    No failure gets out: rows must not wait for reviews. A look that could not be made is made up
    for by the next.
    """
    if not services.settings.airtable_base_id or Trouble(services).lasts:
        return []
    try:
        return _look(services, services.records.state(*STATE), services.now())
    except AirtableRefused as error:
        log.warning("choices in the table cannot be read: %s", error)
        looked = {"looked_at": iso(services.now()), "refused": True}
        services.records.save_state(*STATE, looked)
    except AirtableOutOfCalls as error:
        Trouble(services).met(error)
    except AirtableError as error:
        log.warning("choices in the table were not read; the next look does it: %s", error)
    except Exception:
        log.exception("choices in the table were not read; the next look does it")
    return []


def _look(services: Services, state: dict[str, Any], now: datetime) -> list[str]:
    state = _kept_watched(services, state, now)
    names, cursor = _names(services, state)
    wishes = services.desk.wishes()
    changed = []
    for wish in wishes.found:
        named = replace(wish, by=names.get(wish.row_id) or wish.by)
        job = take(services, named)
        if job is not None:
            or_later(job, "its review was not finished", partial(carry_out, services, job))
            changed.append(job.job_id)
    # Last: until here, dying means that the same is looked at again.
    services.records.save_state(*STATE, {"looked_at": iso(now), "refused": None, **cursor})
    if wishes.there_is_more:
        services.queues.look_at_desk(f"more-{iso(services.now())}")
    return changed


def _names(services: Services, state: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Who changed which row last, by the log from where we stopped; and what to remember of it."""
    names: dict[str, str] = {}
    if state.get("webhook_id") is None:
        return names, {}
    cursor = int(state.get("cursor", 1))
    try:
        for _ in range(LOG_PAGES):
            page = services.desk.changes(state["webhook_id"], cursor)
            names |= page.names
            cursor = page.cursor
            if not page.there_is_more:
                break
    except AirtableRefused as error:
        log.warning("Airtable's log cannot be read; who it was stays unknown: %s", error)
        return names, {"webhook_id": None, "renew_at": None}  # the next look makes another webhook
    return names, {"cursor": cursor}


def _kept_watched(services: Services, state: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The state with a webhook that lasts; without one where Airtable gives us none."""
    if not services.settings.public_url:
        return state
    url = services.settings.public_url.rstrip("/") + NOTIFICATIONS
    at_home = state.get("url") == url
    is_due = "renew_at" not in state or now >= parse_iso(state["renew_at"])
    # A table that was refused may have got its field meanwhile.
    if at_home and not is_due and not state.get("refused"):
        return state
    changes: dict[str, Any] = {"url": url, "renew_at": iso(now + RENEW_EVERY)}
    try:
        ends_at = None
        if at_home and state.get("webhook_id") is not None:
            ends_at = services.desk.renew(state["webhook_id"])
        if ends_at is None:
            made = services.desk.watch(url)
            ends_at = made.ends_at
            changes |= {"webhook_id": made.webhook_id, "secret": made.secret, "cursor": 1}
        changes["ends_at"] = iso(ends_at)
    except AirtableRefused as error:
        log.warning("no webhook, so changes are found by looking now and then: %s", error)
        changes |= {"webhook_id": None, "secret": None}
    saved = services.records.save_state(*STATE, changes)
    assert saved is not None  # it was asked for without a condition
    return saved
