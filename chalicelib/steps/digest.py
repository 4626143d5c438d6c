"""Digest: many jobs that end within a short time become one email.

`notify` puts an email off when its workflow has had its share of single ones; the job then stays
on the list of open ones, which is the only list of what waits. So whoever dies here leaves every
email where it was: each is claimed by its job's own claim before the digest is sent, and the digest
is noted as sent by one write right after SNS took it, before the jobs are marked one by one.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from chalicelib.config import all_workflows, price_table
from chalicelib.domain.digest import digest_notice
from chalicelib.domain.errors import SlimreelError
from chalicelib.domain.job import Job
from chalicelib.domain.notice import KINDS, notice
from chalicelib.domain.text import iso, parse_iso
from chalicelib.domain.workflow import Workflow
from chalicelib.services import Services
from chalicelib.steps import ledger

log = logging.getLogger(__name__)

#: In one email, which SNS takes up to 256 KB of.
MOST = 100
REMEMBERED_DAYS = 30


def put_off(services: Services, job: Job, workflow: Workflow) -> bool:
    """Whether so many have ended in so short a time that this email waits for the digest.

    Each workflow has a window of its own. While one is over its share, the next one begins as such:
    a thousand videos make one digest a window and not five emails beside each.
    """
    if workflow.digest_after is None:
        return False
    key, now = (f"digest#{workflow.name}", "window"), services.now()
    lasts = timedelta(minutes=workflow.digest_minutes)
    for _ in range(3):
        window = services.records.state(*key)
        age = now - parse_iso(window["began"]) if window else 3 * lasts
        forget = {"expires_at": int(now.timestamp()) + 86400}
        if timedelta() <= age < lasts:
            same = {"began": window["began"]}
            counted = services.records.save_state(*key, forget, only_if=same, add={"count": 1})
        else:
            busy = age < 2 * lasts and int(window["count"]) > workflow.digest_after
            fresh = {"began": iso(now), "count": 1 + workflow.digest_after * busy, **forget}
            before = {"began": window.get("began")}
            counted = services.records.save_state(*key, fresh, only_if=before)
        if counted is not None:
            return int(counted["count"]) > workflow.digest_after
    return False  # one email too many is better than none


def send(services: Services, waiting: Sequence[Job]) -> list[Job]:
    """Send the digests that are due; returns the jobs as they are then, those that were told."""
    told: list[Job] = []
    by_workflow: dict[str, list[Job]] = {}
    for job in waiting:
        by_workflow.setdefault(job.workflow, []).append(job)
    for name, jobs in by_workflow.items():
        workflow = all_workflows().get(name)
        lasts = timedelta(minutes=workflow.digest_minutes) if workflow else timedelta()
        oldest = min(parse_iso(job.digest_since or job.updated_at) for job in jobs)
        age = services.now() - oldest
        if len(jobs) < MOST and timedelta() <= age < lasts:
            continue
        for start in range(0, len(jobs), MOST):
            try:
                told += _sent(services, name, jobs[start : start + MOST])
            except Exception:
                log.exception("a digest of %s was not sent; the next round does it", name)
    return told


def _sent(services: Services, workflow: str, jobs: Sequence[Job]) -> list[Job]:
    now, digest_id = services.now(), uuid.uuid4().hex
    ours = [c for job in jobs if (c := _claimed(services, job, now, digest_id)) is not None]
    mailed = [job for job in ours if not _is_mailed(services, job)]
    if mailed:
        try:
            _publish(services, workflow, mailed)
        except Exception:
            for job in mailed:
                ledger.write(services, job, row=False, ended_too=True, notice_claim=None)
            raise
        expires_at = int((now + timedelta(days=REMEMBERED_DAYS)).timestamp())
        sent = {"sent_at": iso(now), "expires_at": expires_at}
        services.records.save_state(f"digest#{digest_id}", "sent", sent)
    done = []
    for job in ours:
        marks = (*job.notices_sent, mark_of(job))
        try:
            changes: dict[str, Any] = {"notices_sent": marks, "digest_since": None}
            done.append(ledger.write(services, job, row=False, ended_too=True, **changes))
        except SlimreelError as error:
            log.info("job %s: told, and in a new run now: %s", job.job_id, error)
    return done


def mark_of(job: Job) -> str:
    return f"{job.run}:{KINDS[job.status]}"


def _is_mailed(services: Services, job: Job) -> bool:
    """Whether whoever claimed it before had sent it, and died over marking its jobs."""
    earlier = (job.notice_claim or "").split(" ")[3:]
    return any(_was_sent(services, one) for one in earlier)


def _was_sent(services: Services, digest_id: str) -> bool:
    return bool(services.records.state(f"digest#{digest_id}", "sent"))


def _claimed(services: Services, job: Job, now: datetime, digest_id: str) -> Job | None:
    """The job with our claim on its email, and in it the one before that may have been carried
    out; None where another process is at it, or there is nothing to send any more.
    """
    from chalicelib.steps.notify import CLAIM_LASTS  # which puts emails off

    mark, earlier = mark_of(job), ""
    if mark in job.notices_sent:
        return None
    if job.notice_claim is not None:
        claimed, at, *whose = job.notice_claim.split(" ")
        if claimed == mark and timedelta() <= now - parse_iso(at) < CLAIM_LASTS:
            return None
        if claimed == mark:
            sent = (one for one in whose if _was_sent(services, one))
            earlier = next(sent, whose[0])
    claim = f"{mark} {iso(now)} {digest_id} {earlier}".rstrip()
    unchanged = {"notice_claim": job.notice_claim, "status": job.status}
    try:
        return ledger.write(
            services, job, only_if=unchanged, row=False, ended_too=True, notice_claim=claim
        )
    except SlimreelError as error:
        log.info("job %s: somebody else tells of it: %s", job.job_id, error)
        return None


def _publish(services: Services, workflow: str, jobs: Sequence[Job]) -> None:
    links = [services.link_to(job) for job in jobs]
    if len(jobs) == 1:
        message = notice(jobs[0], link=links[0], prices=price_table())
        assert message is not None  # it was put off, so there is one
    else:
        pairs = list(zip(jobs, links, strict=True))
        message = digest_notice(pairs, workflow=workflow, prices=price_table())
    services.topic.publish(message)
