"""Rows: bring Airtable up to date with the job records.

A message only says that a job's row is dirty; what is written is the record as it is now. So
messages may be repeated, lost or out of order, and Airtable may be away for hours: the record
keeps the row marked until a write of its latest version went through.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from chalicelib.adapters.airtable import AirtableOutOfCalls, AirtableRefused, AirtableUnavailable
from chalicelib.domain.job import Job
from chalicelib.domain.job_row import job_row
from chalicelib.domain.link import video_link
from chalicelib.services import Services
from chalicelib.steps.ledger import tell_row_writer

log = logging.getLogger(__name__)

#: Source: https://airtable.com/developers/web/api/update-multiple-records
ROWS_PER_CALL = 10
DEFAULT_PAUSE_S = 60.0


def sync_rows(services: Services, job_ids: Sequence[str]) -> dict[str, float]:
    """Write the rows of these jobs.

    A stage without an Airtable base keeps no rows.

    Returns:
        The ids of the jobs to try again, each with the seconds to wait before.
    """
    if not services.settings.airtable_base_id:
        return {}
    found = (services.records.get(job_id) for job_id in job_ids)
    dirty = [job for job in found if job and job.synced_version < job.row_version]
    again: dict[str, float] = {}
    for start in range(0, len(dirty), ROWS_PER_CALL):
        again |= _write(services, dirty[start : start + ROWS_PER_CALL])
    return again


def _write(services: Services, jobs: Sequence[Job]) -> dict[str, float]:
    try:
        ids = services.airtable.upsert([_row(services, job) for job in jobs])
    except AirtableUnavailable as error:
        log.warning("Airtable is unavailable: %s", error)
        return {job.job_id: error.retry_after_s or DEFAULT_PAUSE_S for job in jobs}
    except AirtableOutOfCalls as error:
        # Trying again soon would not help; the rows stay marked and are queued again later.
        log.error("Airtable took no row: %s", error)
        return {}
    except AirtableRefused as error:
        if len(jobs) > 1:  # one bad row refuses the whole call; the others must not wait for it
            return {k: v for job in jobs for k, v in _write(services, [job]).items()}
        log.error("job %s: Airtable refused the row: %s", jobs[0].job_id, error)
        return {}
    for job in jobs:
        services.records.mark_synced(job.job_id, job.row_version, ids[job.job_id])
    return {}


def _row(services: Services, job: Job) -> dict[str, object]:
    link = video_link(services.settings.public_url, job.job_id, services.link_key)
    return job_row(job, link=link if job.published_key else None)


def requeue(services: Services) -> int:
    """Put rows that are still not written back on the queue; returns how many."""
    if not services.settings.airtable_base_id:
        return 0
    count = 0
    for job in services.records.unsynced_jobs():
        tell_row_writer(services, job)
        count += 1
    return count
