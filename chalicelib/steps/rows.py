"""Rows: bring Airtable up to date with the job records.

A message only says that a job's row is dirty; what is written is the record as it is now. So
messages may be repeated, lost or out of order, and Airtable may be away for hours: the record
keeps the row marked until a write of its latest version went through.

All messages are of one group, in which one that cannot be handled would hold up all behind it. So
every failure is kept to its own row: what may pass is tried again later, what will not is set
aside, and an Airtable that takes nothing is left alone for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from chalicelib.adapters import aws_errors
from chalicelib.adapters.airtable import AirtableOutOfCalls, AirtableRefused, AirtableUnavailable
from chalicelib.domain.job import Job
from chalicelib.domain.job_row import job_row
from chalicelib.services import Services
from chalicelib.steps.airtable_pause import Trouble

log = logging.getLogger(__name__)

#: Source: https://airtable.com/developers/web/api/update-multiple-records
ROWS_PER_CALL = 10
DEFAULT_PAUSE_S = 60.0
QUICK_PAUSE_S = 2.0
#: So often a row that fails by our own fault is tried before it is set aside.
ATTEMPTS = 5
#: A row that Airtable refuses while it takes others: tried again after so long, and then after
#: twice as long each time.
FIRST_REFUSAL = timedelta(minutes=30)
LONGEST_REFUSAL = timedelta(days=1)


def sync_rows(
    services: Services, job_ids: Sequence[str], attempts: Mapping[str, int] | None = None
) -> dict[str, float]:
    """Write the rows of these jobs.

    A stage without an Airtable base keeps no rows.

    Args:
        attempts: how often each was tried, this time included.

    Returns:
        The ids of the jobs to try again, each with the seconds to wait before.
    """
    if not services.settings.airtable_base_id:
        return {}
    trouble = Trouble(services)
    if trouble.lasts:
        return {}  # the rows stay marked, and `requeue` brings them
    batch = _Batch(services=services, trouble=trouble, attempts=attempts or {})
    dirty = [(job, row) for job_id in job_ids for job, row in batch.read(job_id)]
    for start in range(0, len(dirty), ROWS_PER_CALL):
        if not trouble.lasts:
            batch.write(dirty[start : start + ROWS_PER_CALL])
    batch.judge_refusals()
    if trouble.is_known and batch.written:
        trouble.passed()
        requeue(services)  # the others that wait
    return batch.again


class _Batch:
    """One invocation's rows."""

    def __init__(
        self, *, services: Services, trouble: Trouble, attempts: Mapping[str, int]
    ) -> None:
        self._services, self._trouble, self._attempts = services, trouble, attempts
        self._jobs: dict[str, Job] = {}
        self.again: dict[str, float] = {}
        self.refused: list[tuple[Job, AirtableRefused]] = []
        self.written = 0

    def read(self, job_id: str) -> list[tuple[Job, dict[str, Any]]]:
        """The job and its row, if the row is dirty."""
        try:
            job = self._services.records.get(job_id)
            if job is None or job.synced_version >= job.row_version:
                return []
            self._jobs[job_id] = job
            return [(job, _row(self._services, job))]
        except Exception as error:  # noqa: BLE001 - logged there, and a matter of these rows only
            self._stumbled(job_id, error)
            return []

    def write(self, rows: Sequence[tuple[Job, dict[str, Any]]]) -> None:
        """Write these rows; should Airtable refuse them together, one by one."""
        try:
            ids = self._services.airtable.upsert([row for _, row in rows])
        except AirtableUnavailable as error:
            if not self._trouble.met(error):
                wait_s = error.retry_after_s or DEFAULT_PAUSE_S
                self.again |= {job.job_id: wait_s for job, _ in rows}
        except AirtableOutOfCalls as error:
            self._trouble.met(error)
        except AirtableRefused as error:
            if len(rows) == 1:
                self.refused.append((rows[0][0], error))
                return
            for row in rows:  # one bad row must not hold up the others
                if not self._trouble.lasts:
                    self.write([row])
        except Exception as error:  # noqa: BLE001 - logged there, and a matter of these rows only
            for job, _ in rows:
                self._stumbled(job.job_id, error)
        else:
            for job, _ in rows:
                self._mark(job, ids)

    def judge_refusals(self) -> None:
        """Where Airtable took other rows, the fault is in these; else it is in the table."""
        if not self.refused:
            return
        _, error = self.refused[0]
        if not self.written:
            self._trouble.met(error)
            return
        self._trouble.tell(error)
        for job, error in self.refused:
            log.error("job %s: Airtable refused the row: %s", job.job_id, error)
            _leave_for_later(self._services, job)

    def _mark(self, job: Job, row_ids: Mapping[str, str]) -> None:
        try:
            self._services.records.mark_synced(job.job_id, job.row_version, row_ids[job.job_id])
            if job.review is not None and job.review.number > job.review_shown:
                shown = {"review_shown": job.review.number}
                self._services.records.update(job.job_id, shown, row=False)
            self.written += 1
        except Exception as error:  # noqa: BLE001 - logged there, and a matter of these rows only
            self._stumbled(job.job_id, error)

    def _stumbled(self, job_id: str, error: Exception) -> None:
        """We could not do it, which is no fault of Airtable's."""
        log.error("job %s: its row was not written", job_id, exc_info=error)
        if aws_errors.passes(error):
            self.again[job_id] = DEFAULT_PAUSE_S
        elif self._attempts.get(job_id, 1) < ATTEMPTS:
            self.again[job_id] = QUICK_PAUSE_S  # the rows behind it wait with it
        else:
            self._services.queues.set_row_aside(job_id, f"{type(error).__name__}: {error}")
            if job_id in self._jobs:
                _leave_for_later(self._services, self._jobs[job_id])


def _row(services: Services, job: Job) -> dict[str, Any]:
    link = services.link_to(job)
    return job_row(job, link=link if job.published_key else None)


def _refusals(job_id: str) -> tuple[str, str]:
    return f"row#{job_id}", "refused"


def _leave_for_later(services: Services, job: Job) -> None:
    """Have `requeue` pass over the row for a while, unless the record changes."""
    known = services.records.state(*_refusals(job.job_id))
    times = int(known.get("times", 0)) if known.get("row_version") == job.row_version else 0
    wait = min(FIRST_REFUSAL * float(2 ** min(times, 10)), LONGEST_REFUSAL)
    now_s = services.now().timestamp()
    services.records.save_state(
        *_refusals(job.job_id),
        {
            "row_version": job.row_version,
            "times": times + 1,
            "not_before": now_s + wait.total_seconds(),
            "expires_at": int(now_s) + 30 * 86400,
        },
    )


def _may_be_tried(services: Services, job: Job) -> bool:
    known = services.records.state(*_refusals(job.job_id))
    changed = known.get("row_version") != job.row_version
    return changed or float(known["not_before"]) <= services.now().timestamp()


def report(services: Services) -> None:
    """Say how many rows Airtable lacks, and how full the base is.

    Each job has a row, and of all items in the table those that are not jobs are few. What else
    lies in the base, or was deleted there, only Airtable knows, and asking it costs calls.
    """
    if not services.settings.airtable_base_id:
        return
    rows, limit = services.records.item_count(), services.settings.airtable_row_limit
    behind = sum(1 for _ in services.records.unsynced_jobs())
    figures: dict[str, float] = {"RowsBehind": behind, "AirtableRows": rows}
    if limit:
        figures["AirtableFull"] = 100 * rows / limit
    services.metrics.put(figures, at=services.now())


def requeue(services: Services) -> int:
    """Put rows that are still not written back on the queue; returns how many.

    While Airtable takes nothing it is one call's worth, to see whether it does again.
    """
    if not services.settings.airtable_base_id:
        return 0
    trouble = Trouble(services)
    if trouble.lasts:
        return 0
    waiting = services.records.unsynced_jobs()
    count, left = 0, False
    for job in waiting:
        left = True
        if _may_be_tried(services, job):
            services.queues.row_is_dirty(job.job_id, job.row_version)
            count += 1
        if trouble.is_known and count == ROWS_PER_CALL:
            break
    if not left:
        trouble.is_over()
    return count
