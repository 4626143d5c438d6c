"""Write down what happened to a job: the record first, then word to the row's writer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from chalicelib.domain.errors import JobClosed
from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import iso
from chalicelib.services import Services

log = logging.getLogger(__name__)

#: As a condition: the job has not ended.
OPEN = tuple(status for status in Status if status.is_open)


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

    Args:
        ended_too: also a job that has ended, which nothing but its closing may touch.

    Raises:
        JobClosed: the job has ended, a newer run owns it, or a condition of `only_if` no longer
            holds.
    """
    conditions = {"run": job.run, **({} if ended_too else {"status": OPEN}), **(only_if or {})}
    changed = services.records.update(
        job.job_id, {"updated_at": iso(services.now()), **changes}, only_if=conditions, row=row
    )
    if changed is None:
        raise JobClosed(f"Job {job.job_id} is no longer run {job.run}'s to change.")
    if row:
        tell_row_writer(services, changed)
    return changed


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
        JobClosed: it has ended in another way meanwhile, or a newer run owns it.
    """
    completed_at = iso(services.now())
    try:
        return write(
            services,
            job,
            only_if=only_if,
            status=status,
            completed_at=completed_at,
            **changes,
        )
    except JobClosed:
        # An AWS client repeats a call whose answer was lost, and then meets its own write.
        now = services.records.get(job.job_id)
        if now is None or (now.run, now.status, now.completed_at) != (
            job.run,
            status,
            completed_at,
        ):
            raise
        return now


def tell_row_writer(services: Services, job: Job) -> None:
    """A message that was not sent delays the row and not the video: its record is marked, and
    `requeue` sends another.
    """
    try:
        services.queues.row_is_dirty(job.job_id, job.row_version)
    except Exception:
        log.exception("job %s: its row waits for the next round", job.job_id)
