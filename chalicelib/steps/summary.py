"""Summary: once a week, what each workflow saved, what failed and what waits for a review."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from chalicelib.config import all_workflows, price_table
from chalicelib.domain.digest import Week, summary_notice, week_of
from chalicelib.domain.job import Status
from chalicelib.domain.job_list import Asked, JobSummary
from chalicelib.domain.text import iso, parse_iso
from chalicelib.services import Services
from chalicelib.steps.notify import CLAIM_LASTS

log = logging.getLogger(__name__)

#: On the first look after this, for the week before.
WEEKDAY, HOUR = 0, 6  # Monday, UTC
#: A job may take three days, so one that ended this week may have begun the week before.
LOOK_BACK = timedelta(days=4)
#: So many completed jobs are looked up one by one; of more, some to review are not named.
MOST_LOOKED_AT = 1000


def send_due(services: Services) -> int:
    """Send the summaries that are due; returns how many."""
    count = 0
    for name, workflow in all_workflows().items():
        if not workflow.weekly:
            continue
        try:
            count += _sent(services, name)
        except Exception:
            log.exception("the week of %s was not summed up; the next round does it", name)
    return count


def _sent(services: Services, workflow: str) -> bool:
    now, key = services.now(), (f"summary#{workflow}", "week")
    known = services.records.state(*key)
    this = week_of(now - timedelta(days=WEEKDAY, hours=HOUR))
    if not known:  # a new stage has no week behind it
        services.records.save_state(*key, {"sent": this}, only_if={"sent": None})
        return False
    if known.get("sent") == this or not _claimed(services, key, known, now):
        return False
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0)
    week = _week(services, workflow, monday.replace(microsecond=0) - timedelta(days=7))
    try:
        services.topic.publish(summary_notice(week, prices=price_table()))
    except Exception:
        services.records.save_state(*key, {"claimed_at": None})
        raise
    services.records.save_state(*key, {"sent": this, "claimed_at": None})
    return True


def _claimed(
    services: Services, key: tuple[str, str], known: dict[str, Any], now: datetime
) -> bool:
    """Whether it is ours to send; a claim is void after as long as any function may run."""
    at = known.get("claimed_at")
    if at is not None and timedelta() <= now - parse_iso(at) < CLAIM_LASTS:
        return False
    seen = {"claimed_at": at, "sent": known.get("sent")}
    return bool(services.records.save_state(*key, {"claimed_at": iso(now)}, only_if=seen))


def _week(services: Services, workflow: str, begins: datetime) -> Week:
    ends, ended = begins + timedelta(days=7), []
    since = (begins - LOOK_BACK).date().isoformat()
    asked, place = Asked(workflow=workflow, since=since), None
    while True:
        page, place = services.catalogue.list_jobs(asked, limit=100, after=place)
        ended += [job for job in page if _ended_in(job, begins, ends)]
        if place is None:
            break
    completed = [job for job in ended if job.status is Status.COMPLETED]
    return Week(
        workflow=workflow,
        begins=begins,
        jobs=tuple(ended),
        to_review=tuple(
            job for job in completed[:MOST_LOOKED_AT] if not _is_reviewed(services, job)
        ),
    )


def _ended_in(job: JobSummary, begins: datetime, ends: datetime) -> bool:
    return job.completed_at is not None and begins <= parse_iso(job.completed_at) < ends


def _is_reviewed(services: Services, summary: JobSummary) -> bool:
    job = services.records.get(summary.job_id)
    return job is None or job.approved is not None or job.result_deleted is not None
