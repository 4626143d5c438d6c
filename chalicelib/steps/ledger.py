"""Write down what happened to a job: the record first, then word to the row's writer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from chalicelib.config import price_table
from chalicelib.domain import figures
from chalicelib.domain.errors import JobClosed, Temporary
from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import iso
from chalicelib.services import Services

log = logging.getLogger(__name__)

#: As a condition: the job has not ended.
OPEN = tuple(status for status in Status if status.is_open)


class Overtaken(Temporary):
    """Another invocation of this run was faster; look at the record again."""


def write(
    services: Services,
    job: Job,
    *,
    only_if: Mapping[str, Any] | None = None,
    row: bool = True,
    ended_too: bool = False,
    **changes: Any,
) -> Job:
    """Change an open job this run owns, and tell the row writer when the row shows it.

    A process that was stopped and wakes up late finds the job closed or in a later attempt, and
    writes nothing.

    Args:
        only_if: what must be so beside that, as in `Records.update`.
        ended_too: also a job that has ended, which nothing but its closing may touch.

    Raises:
        JobClosed: the job has ended, or a newer run owns it.
        Overtaken: it is in another attempt, or a condition of `only_if` no longer holds.
    """
    fence: dict[str, Any] = {"run": job.run}
    if not ended_too:
        fence |= {"status": OPEN, "attempt": job.attempt}
    try:
        return _written(services, job, {**fence, **(only_if or {})}, changes, row)
    except _Refused as refused:
        now = refused.now
        if now is not None and now.run == job.run and (now.status.is_open or ended_too):
            raise Overtaken("Another process worked on this job at the same time.") from None
        raise JobClosed(f"Job {job.job_id} is no longer run {job.run}'s to change.") from None


def close(
    services: Services,
    job: Job,
    status: Status,
    *,
    only_if: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Job:
    """End an open job. It ends once, whoever comes first.

    Raises:
        JobClosed: it has ended in another way meanwhile, a newer run owns it, or a condition of
            `only_if` does not hold.
    """
    conditions = {"run": job.run, "status": OPEN, **(only_if or {})}
    ended = {"status": status, "completed_at": iso(services.now()), **changes}
    try:
        closed = _written(services, job, conditions, ended, row=True)
    except _Refused:
        raise JobClosed(f"Job {job.job_id} is no longer run {job.run}'s to end.") from None
    services.metrics.put(
        figures.of_ended(closed, price_table()),
        at=services.now(),
        workflow=closed.workflow,
        job_id=closed.job_id,
        run=closed.run,
        error=closed.error.partition(":")[0] if closed.error else None,
        reason=closed.reason,
    )
    return closed


class _Refused(Exception):
    """A condition did not hold; `now` is how the job is."""

    def __init__(self, now: Job | None) -> None:
        super().__init__()
        self.now = now


def _written(
    services: Services,
    job: Job,
    conditions: Mapping[str, Any],
    changes: Mapping[str, Any],
    row: bool,
) -> Job:
    """Raises: _Refused."""
    changed = services.records.update(
        job.job_id, {"updated_at": iso(services.now()), **changes}, only_if=conditions, row=row
    )
    if changed is None:
        changed = services.records.get(job.job_id)
        if changed is None or changed.run != job.run or not _shows(changed, changes):
            raise _Refused(changed)
    if row:
        tell_row_writer(services, changed)
    return changed


def _shows(job: Job, changes: Mapping[str, Any]) -> bool:
    """Whether this is written already: an AWS client repeats a call whose answer was lost, and
    then meets its own write.
    """
    return all(getattr(job, name) == value for name, value in changes.items())


def tell_row_writer(services: Services, job: Job) -> None:
    """A message that was not sent delays the row and not the video: its record is marked, and
    `requeue` sends another.
    """
    try:
        services.queues.row_is_dirty(job.job_id, job.row_version)
    except Exception:
        log.exception("job %s: its row waits for the next round", job.job_id)
