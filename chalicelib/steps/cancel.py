"""Cancel: a person stops a job, at any moment of its life.

The record is marked first, on the condition that the job is open and nothing of this run is
published yet. From then on no step of the run can change anything: each of its writes carries the
condition that failed. Then everything that still runs is stopped: the encode is cancelled and the
flow's waiting task answered, so the execution ends by itself in its state Closed. It is never
stopped from outside, which no Catch would see.

Whatever cannot be reached at that moment is left to `reconcile`, which comes back until it is done.
"""

from __future__ import annotations

from chalicelib.adapters.records import Below
from chalicelib.domain.control import (
    NotNow,
    UnknownJob,
    cancelled_because,
    name_of,
    why_not_cancel,
)
from chalicelib.domain.errors import JobClosed
from chalicelib.domain.job import Job, Request, Status
from chalicelib.domain.text import iso
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.later import or_later
from chalicelib.steps.settle import settle, stop


def cancel(services: Services, job_id: str, *, by: str) -> Job:
    """Stop a job; one that was cancelled before stays as it is.

    Raises:
        UnknownJob: there is none.
        NotNow: it has ended, or its result was just published.
    """
    job = services.records.get(job_id)
    if job is None:
        raise UnknownJob(job_id)
    marked = None if job.status is Status.CANCELLED else _marked(services, job, by)
    if marked is None:
        # Somebody else was quicker, and tells people; two at once would tell them twice.
        job = services.records.get(job_id) or job
        or_later(job, "it was not stopped", lambda: stop(services, job))
        return job
    settle(services, marked, calls_back=False)  # `reconcile` does: the person waits for us
    return marked


def _marked(services: Services, job: Job, by: str) -> Job | None:
    """The job as it is cancelled; None when somebody else has just done that."""
    _check(job)
    now = services.now()
    asked = Request(action="cancel", by=name_of(by), at=iso(now), run=job.run)
    try:
        return ledger.close(
            services,
            job,
            Status.CANCELLED,
            only_if={"published_run": Below(job.run)},
            reason=cancelled_because(job, by, now),
            requests=(*job.requests, asked),
            waiting=None,
        )
    except JobClosed:
        now_is = services.records.get(job.job_id)
        if now_is is not None and (now_is.run, now_is.status) == (job.run, Status.CANCELLED):
            return None
        _check(now_is or job)
        raise NotNow("The job was started anew this moment; look at it again.") from None


def _check(job: Job) -> None:
    if problem := why_not_cancel(job):
        raise NotNow(problem)
