"""Publish: copy what the verdict says, result or original, to the compressed bucket."""

from __future__ import annotations

from typing import Any

from chalicelib.config import all_workflows
from chalicelib.domain import keys
from chalicelib.domain.errors import JobClosed, Temporary
from chalicelib.domain.job import Job
from chalicelib.domain.verdict import Decision
from chalicelib.domain.write_back import of_run
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.write_back import wanted_by


def publish(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Copy inside S3; a copy that is there already, whole, is left as it is.

    The copy is litter until the record names it as what is published, and what it replaces is
    litter from then on: however this ends, the record knows every object of the job.
    """
    assert job.verdict is not None
    if job.published_run == job.run:  # this invocation is a repeat
        return {"writes_back": job.way_back is not None and not job.way_back.is_over}
    original = job.verdict.decision is Decision.KEEP_ORIGINAL
    source_key = job.source_key if original else job.result_key
    size_bytes = job.size_bytes if original else job.result_size_bytes
    assert source_key is not None
    extension = keys.extension(job.file_name) if original else ".mp4"
    key = keys.published_key(job.workflow, job.job_id, job.file_name, extension, job.run)
    if key not in job.litter:
        job = ledger.write(services, job, row=False, litter=(*job.litter, key))
    target = services.settings.compressed_bucket, key
    if services.storage.size_or_none(*target) != size_bytes:
        whole = services.storage.copy(
            (services.settings.temp_bucket, source_key),
            target,
            content_type=job.mime_type if original else "video/mp4",
            file_name=keys.download_name(job.file_name, key),
            under_way=job.copy_under_way,
            begun=lambda mark: _note(services, job, mark),
            seconds_left=call.seconds_left,
        )
        if not whole:
            # The flow calls again after a moment, eight times: enough for 5 TB.
            raise Temporary("The film is so large that publishing it takes several rounds.")
    wanted = not original and wanted_by(all_workflows().get(job.workflow), job)
    way_back = of_run(job.run, job.write_back) if wanted else job.write_back
    try:
        ledger.write(
            services,
            job,
            published_key=key,
            published_size_bytes=size_bytes,
            saved_bytes=job.size_bytes - (size_bytes or 0),
            published_run=job.run,
            litter=_without(job, key),
            copy_under_way=None,
            write_back=way_back,
        )
    except JobClosed:
        # We slept while the job ended. Nobody may come back for what we have just put there.
        now = services.records.get(job.job_id)
        if now is not None and now.published_key != key:
            services.storage.delete_prefix(*target)
        raise
    return {"writes_back": wanted}


def _note(services: Services, job: Job, mark: str) -> None:
    ledger.write(services, job, row=False, copy_under_way=mark)


def _without(job: Job, key: str) -> tuple[str, ...]:
    replaced = (job.published_key,) if job.published_key not in (None, key) else ()
    return tuple(k for k in (*job.litter, *replaced) if k is not None and k != key)
