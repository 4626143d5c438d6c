"""What people may ask of a job, when it can be done, and what they are told when it cannot.

CannotDo
├── UnknownJob   there is no such job
├── BadRequest   what was asked makes no sense; it never will
├── NotAllowed   not by this person
└── NotNow       not in the state the job is in; the message says what would help
"""

from __future__ import annotations

from datetime import datetime

from chalicelib.domain.errors import SlimreelError
from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import one_line

#: Names come from outside: an IAM user, a role's session, later an email address.
BY_LIMIT = 80


class CannotDo(SlimreelError):
    """Root of the four."""


class UnknownJob(CannotDo):
    """There is no such job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {one_line(job_id)[:40]}.")


class BadRequest(CannotDo):
    """The request itself is wrong."""


class NotAllowed(CannotDo):
    """Somebody else may do this, but not whoever asked."""


class NotNow(CannotDo):
    """The job is in a state in which this cannot be done."""


def name_of(by: str) -> str:
    """A person's name as records, rows and emails show it: one line, not too long."""
    return one_line(by).strip()[:BY_LIMIT] or "someone"


def moment(at: datetime) -> str:
    """As people write it.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 5, 4, 9, 30, tzinfo=UTC))
    '4 May 2026, 09:30 UTC'
    """
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def cancelled_because(job: Job, by: str, at: datetime) -> str:
    """The reason of a job that a person stopped."""
    reason = f"Cancelled by {name_of(by)} on {moment(at)}."
    if job.published_key is not None:
        reason += " What an earlier run published stays."
    return reason


def why_not_cancel(job: Job) -> str | None:
    """Why an open or ended job cannot be cancelled; None when it can."""
    if not job.status.is_open:
        return f"Nothing is left to cancel: the job has ended as {job.status.value}."
    if job.published_run == job.run:
        return "It is too late to cancel: the result was published this moment."
    return None


def why_not_retry(job: Job, *, force: bool) -> str | None:
    """Why a job cannot be tried again; None when it can."""
    if job.status.is_open:
        return "The job is still being processed. Wait for its end, or cancel it first."
    if job.status is Status.COMPLETED and not force:
        return (
            "The job is completed. Trying again pays for another encode, and its result replaces "
            "the published one once it is verified. Ask with force to do it all the same."
        )
    return None
