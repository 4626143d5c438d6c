"""Fail: close a job that could not be processed, and tell people why.

The source's copy and everything temporary stay until the bucket expires them, as evidence and
for a retry.
"""

from __future__ import annotations

from typing import Any

from chalicelib.domain.failure import failure
from chalicelib.domain.job import Job, Status
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.announce import close_well
from chalicelib.steps.call import StepCall
from chalicelib.steps.settle import settle


def fail(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    error = call.state.get("error") or {}
    close_failed(services, job, str(error.get("Error", "")), str(error.get("Cause", "")))
    return {}


def close_failed(services: Services, job: Job, error: str, cause: str) -> None:
    """Mark the job failed, once, with a sentence for people and the details for the engineer.

    A job whose result is published has done all that was asked of it, whatever became of its
    flow afterwards, and ends well.

    Raises:
        JobClosed: it ended in another way meanwhile.
    """
    if job.status.is_open and job.published_run == job.run:
        settle(services, close_well(services, job))
        return
    if job.status.is_open:
        reason, details = failure(error, cause)
        job = ledger.close(
            services, job, Status.FAILED, reason=reason, error=details, ended_in=_last_step(job)
        )
    if job.status is Status.FAILED:
        settle(services, job)


def _last_step(job: Job) -> str | None:
    """The step that failed: the last one this run began, telling people apart."""
    begun = [moment.step for moment in job.timeline if moment.run == job.run]
    return next((step for step in reversed(begun) if step != "fail"), None)
