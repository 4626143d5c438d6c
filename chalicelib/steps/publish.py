"""Publish: copy what the verdict says, result or original, to the compressed bucket."""

from __future__ import annotations

from typing import Any

from chalicelib.domain import keys
from chalicelib.domain.job import Job
from chalicelib.domain.verdict import Decision
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall


def publish(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Copy inside S3; a copy that is there already, whole, is left as it is."""
    assert job.verdict is not None
    original = job.verdict.decision is Decision.KEEP_ORIGINAL
    source_key = job.source_key if original else job.result_key
    size_bytes = job.size_bytes if original else job.result_size_bytes
    assert source_key is not None
    extension = keys.extension(job.file_name) if original else ".mp4"
    key = keys.published_key(job.workflow, job.job_id, job.file_name, extension)
    target = services.settings.compressed_bucket, key
    if services.storage.size_or_none(*target) != size_bytes:
        services.storage.copy(
            (services.settings.temp_bucket, source_key),
            target,
            content_type=job.mime_type if original else "video/mp4",
            file_name=keys.download_name(job.file_name, key),
        )
    ledger.write(services, job, published_key=key, published_size_bytes=size_bytes)
    return {}
