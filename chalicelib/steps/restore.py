"""Restore: put back the metadata that encoding dropped, or go on without where that cannot be."""

from __future__ import annotations

from typing import Any

from chalicelib import restoring
from chalicelib.domain import dial, keys
from chalicelib.domain.job import Job, Restored
from chalicelib.domain.mp4 import MARK
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall


def _writer(job: Job) -> str:
    """For people and for us: a file of ours that is dropped again is not compressed again."""
    assert job.plan is not None and job.plan.qvbr_level is not None
    return f"{MARK}, preset {job.plan.preset}, QVBR level {dial.label(job.plan.qvbr_level)}"


def restore(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    assert job.source_key is not None
    bucket = services.settings.temp_bucket
    encoded = keys.encoded_key(job.job_id, job.attempt)
    target = keys.restored_key(job.job_id, job.attempt)
    report = restoring.restore(
        services.storage,
        source=restoring.ObjectRef(bucket=bucket, key=job.source_key),
        encoded=restoring.ObjectRef(bucket=bucket, key=encoded),
        target=restoring.ObjectRef(bucket=bucket, key=target),
        writer=_writer(job),
    )
    result_key = target if report.restored else encoded
    ledger.write(
        services,
        job,
        row=False,
        restored=Restored(
            restored=report.restored,
            fields=report.fields,
            lost=report.lost,
            reason=report.reason or None,
        ),
        result_key=result_key,
        result_size_bytes=services.storage.size_bytes(bucket, result_key),
    )
    return {}
