"""Announce: close a job that ended well: status, row, email, and a clean temporary bucket."""

from __future__ import annotations

from typing import Any

from chalicelib.domain import keys
from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import now_iso
from chalicelib.domain.verdict import Decision
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.notify import notify


def announce(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    assert job.verdict is not None
    if job.status.is_open:
        kept = job.verdict.decision is Decision.KEEP_ORIGINAL
        job = ledger.write(
            services,
            job,
            status=Status.KEPT_ORIGINAL if kept else Status.COMPLETED,
            reason=job.verdict.reason,
            completed_at=now_iso(),
        )
    elif job.status not in (Status.COMPLETED, Status.KEPT_ORIGINAL):
        return {}
    notify(services, job)
    services.storage.delete_prefix(services.settings.temp_bucket, keys.job_prefix(job.job_id))
    return {}
