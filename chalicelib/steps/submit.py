"""Submit: somebody hands a file to a workflow, from anywhere in Drive or from an S3 bucket."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.adapters import aws_errors
from chalicelib.adapters.drive_errors import DriveError
from chalicelib.adapters.storage import ObjectMissing
from chalicelib.config import all_presets, all_workflows
from chalicelib.domain import keys
from chalicelib.domain.callback import MOST, BadAddress, Callback, checked_url
from chalicelib.domain.control import BadRequest, NotNow, name_of
from chalicelib.domain.drive import DriveFile, Ignored, candidate
from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Job, Request, Status
from chalicelib.domain.s3_source import (
    S3Address,
    is_s3,
    s3_address,
    why_not_allowed,
    why_not_video,
)
from chalicelib.domain.text import iso
from chalicelib.domain.workflow import Workflow
from chalicelib.services import Services
from chalicelib.steps.later import or_later
from chalicelib.steps.ledger import tell_row_writer
from chalicelib.steps.sync import new_job, start_execution


def submit(
    services: Services,
    file_id: str,
    *,
    by: str,
    workflow_name: str | None = None,
    preset: str | None = None,
    callback_url: str | None = None,
) -> tuple[Job, bool]:
    """The job of this content in this workflow, and whether it is new.

    Content that was submitted or dropped before is the job it was: trying it again is `retry`.

    Args:
        file_id: Drive's, or `s3://bucket/key`.
        workflow_name: may be left out where there is one workflow only.
        callback_url: to call at the job's end. A job that has ended already calls nobody: the
            answer says how it ended.

    Raises:
        BadRequest: an unknown workflow or preset, or no video we can read.
        Temporary: Drive does not answer.
    """
    workflow = _workflow(workflow_name)
    if preset is not None and preset not in all_presets():
        raise BadRequest(f"There is no preset {preset!r}; choose {', '.join(all_presets())}.")
    callback = _callback(services, callback_url)
    asked = Request(action="submit", by=name_of(by), at=iso(services.now()), run=1, preset=preset)
    made = (
        _job_of_object(services, workflow, s3_address(file_id), asked)
        if is_s3(file_id)
        else _job_of_file(services, workflow, _file(services, file_id))
    )
    job = replace(made, wanted_preset=preset, requests=(asked,), callbacks=callback)
    is_new = services.records.create(job)
    if not is_new:
        job = _with_callback(services, services.records.get(job.job_id) or job, callback)
    else:
        or_later(job, "its row was not queued", lambda: tell_row_writer(services, job))
    if job.status.is_open and not job.execution_started:
        or_later(job, "its execution was not started", lambda: start_execution(services, job))
    return job, is_new


def _callback(services: Services, url: str | None) -> tuple[Callback, ...]:
    if url is None:
        return ()
    allowed = services.settings.callback_origins
    try:
        return (Callback(url=checked_url(url, allowed_origins=allowed)),)
    except BadAddress as problem:
        raise BadRequest(str(problem)) from None


def _with_callback(services: Services, job: Job, wanted: tuple[Callback, ...]) -> Job:
    """A job that is there already and still open will call this one, too.

    Raises:
        NotNow: it calls enough others, or so many ask at once.
    """
    for _ in range(MOST):
        known = {callback.url for callback in job.callbacks}
        if not job.status.is_open or all(callback.url in known for callback in wanted):
            return job
        if len(job.callbacks) >= MOST:
            raise NotNow(f"This job is to call {MOST} addresses at its end already.")
        # A tuple of one: "one of these", of which there is one.
        seen = {"run": job.run, "status": job.status, "callbacks": (list(job.callbacks),)}
        both = (*job.callbacks, *wanted)
        told = services.records.update(job.job_id, {"callbacks": both}, only_if=seen, row=False)
        if told is not None:
            return told
        job = services.records.get(job.job_id) or job
    raise NotNow("Too many ask for this job at once; ask again.")


def _workflow(name: str | None) -> Workflow:
    known = all_workflows()
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None:
        raise BadRequest(f"Say which workflow: {', '.join(known)}.")
    if name not in known:
        raise BadRequest(f"There is no workflow {name!r}; choose {', '.join(known)}.")
    return known[name]


def _file(services: Services, file_id: str) -> DriveFile:
    try:
        return services.drive.get(file_id)
    except Temporary:
        raise
    except DriveError as error:
        raise BadRequest(f"Drive file {file_id}: {error.reason}") from error


def _job_of_object(
    services: Services, workflow: Workflow, address: S3Address, asked: Request
) -> Job:
    settings = services.settings
    if problem := why_not_allowed(address.bucket, settings.submit_buckets):
        raise BadRequest(problem)
    if address.bucket in (settings.temp_bucket, settings.compressed_bucket):
        raise BadRequest(f"The bucket {address.bucket} is Slimreel's own.")
    try:
        there = services.storage.version(address.bucket, address.key)
    except ObjectMissing as missing:
        raise BadRequest(
            f"There is no object {address.url}, or Slimreel may not read it: see the bucket's "
            "policy, and that of its key."
        ) from missing
    except Exception as error:
        if aws_errors.passes(error):
            raise Temporary(aws_errors.in_words(error)) from error
        raise
    if there.is_archived:
        raise BadRequest("The object lies in an S3 archive. Restore it, and submit it again.")
    type_, size = there.content_type, there.size_bytes
    if problem := why_not_video(address, content_type=type_, size_bytes=size):
        raise BadRequest(f"This is nothing to process: {problem}")
    version_key = there.version_id or there.etag.strip('"')
    return Job(
        job_id=keys.job_id(workflow.name, address.url, version_key),
        workflow=workflow.name,
        run=1,
        status=Status.PROCESSING,
        file_id=address.url,
        folder_id="",
        file_name=address.file_name,
        mime_type=type_,
        version_key=version_key,
        size_bytes=size,
        uploader=asked.by,
        source_url=address.page_url,
        uploaded_at=iso(there.modified_at),
        revision_id=there.etag,
        created_at=asked.at,
        updated_at=asked.at,
        row_version=1,
    )


def _job_of_file(services: Services, workflow: Workflow, file: DriveFile) -> Job:
    # Where it lies does not matter here; everything else that makes a video a candidate does.
    watched = workflow.drive_folder in file.parents
    folder = workflow.drive_folder if watched else next(iter(file.parents), "")
    assert folder is not None
    found = candidate(replace(file, parents=(folder,)), folder)
    if isinstance(found, Ignored):
        raise BadRequest(f"This is nothing to process: {found.reason}")
    return new_job(workflow.name, folder, found, services.now())
