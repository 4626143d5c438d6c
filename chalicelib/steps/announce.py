"""Announce: close a job that ended well: status, row, email, and a clean temporary bucket."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.job import Job, Status
from chalicelib.domain.verdict import Decision
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.settle import settle


def announce(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    if job.status.is_open:
        job = close_well(services, job)
    elif job.status not in (Status.COMPLETED, Status.KEPT_ORIGINAL):
        return {}
    settle(services, job)
    return {}


def close_well(services: Services, job: Job) -> Job:
    """End a job whose result is published.

    Raises:
        JobClosed: it has ended in another way meanwhile.
    """
    assert job.verdict is not None
    kept = job.verdict.decision is Decision.KEEP_ORIGINAL
    status = Status.KEPT_ORIGINAL if kept else Status.COMPLETED
    return ledger.close(services, job, status, reason=job.verdict.reason)
