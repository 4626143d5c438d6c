"""Notify: the email for the state a job is in, once per job, run and kind."""

from __future__ import annotations

import uuid
from datetime import timedelta

from chalicelib.config import all_workflows, price_table
from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Job
from chalicelib.domain.notice import notice
from chalicelib.domain.text import iso, parse_iso
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.digest import put_off

#: As long as any function that sends emails may run: whoever claimed one longer ago is dead.
CLAIM_LASTS = timedelta(seconds=300)


class BeingSent(Temporary):
    """Another process is sending this email, or died over it a moment ago."""


def notify(services: Services, job: Job) -> Job:
    """Send the email unless it was sent, waits for a digest, or the workflow does not want it.

    One process claims it, sends it and marks it as sent, so a second one goes out only when that
    process dies or hangs between the last two.

    Raises:
        BeingSent: by another process.
    """
    if job.result_deleted is not None:
        return job  # there is nothing to announce any more
    message = notice(job, link=services.link_to(job), prices=price_table())
    workflow = all_workflows()[job.workflow]
    if message is None or message.kind not in workflow.notify_kinds:
        return job
    mark = f"{job.run}:{message.kind}"
    if mark in job.notices_sent or job.digest_since is not None:
        return job
    if not job.status.is_open and put_off(services, job, workflow):
        since = {"digest_since": iso(services.now())}
        unclaimed = {"notice_claim": job.notice_claim}
        return ledger.write(services, job, only_if=unclaimed, row=False, ended_too=True, **since)
    job = _claimed(services, job, mark)
    try:
        services.topic.publish(message)
    except Exception:
        ledger.write(services, job, row=False, ended_too=True, notice_claim=None)
        raise
    sent = (*job.notices_sent, mark)
    return ledger.write(services, job, row=False, ended_too=True, notices_sent=sent)


def _claimed(services: Services, job: Job, mark: str) -> Job:
    """Raises: BeingSent."""
    now = services.now()
    if job.notice_claim is not None:
        claimed, at = job.notice_claim.split(" ")[:2]
        if claimed == mark and timedelta() <= now - parse_iso(at) < CLAIM_LASTS:
            raise BeingSent(f"Another process began to send this email at {at}.")
    # Each claim is another, and stays: so this finds out, too, who was faster and is done already.
    unchanged = {"notice_claim": job.notice_claim}
    claim = f"{mark} {iso(now)} {uuid.uuid4().hex}"
    try:
        return ledger.write(
            services, job, only_if=unchanged, row=False, ended_too=True, notice_claim=claim
        )
    except ledger.Overtaken:
        raise BeingSent("Another process is sending this email.") from None
