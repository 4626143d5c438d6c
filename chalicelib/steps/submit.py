"""Submit: a person hands a Drive file to a workflow, wherever in Drive it lies."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.adapters.drive_errors import DriveError
from chalicelib.config import all_presets, all_workflows
from chalicelib.domain.control import BadRequest, name_of
from chalicelib.domain.drive import DriveFile, Ignored, candidate
from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Job, Request
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
) -> tuple[Job, bool]:
    """The job of this content in this workflow, and whether it is new.

    Content that was submitted or dropped before is the job it was: trying it again is `retry`.

    Args:
        workflow_name: may be left out where there is one workflow only.

    Raises:
        BadRequest: an unknown workflow or preset, or no video we can read.
        Temporary: Drive does not answer.
    """
    workflow = _workflow(workflow_name)
    if preset is not None and preset not in all_presets():
        raise BadRequest(f"There is no preset {preset!r}; choose {', '.join(all_presets())}.")
    job = _job(services, workflow, _file(services, file_id), by, preset)
    is_new = services.records.create(job)
    if not is_new:
        job = services.records.get(job.job_id) or job
    else:
        or_later(job, "its row was not queued", lambda: tell_row_writer(services, job))
    if job.status.is_open and not job.execution_started:
        or_later(job, "its execution was not started", lambda: start_execution(services, job))
    return job, is_new


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


def _job(
    services: Services, workflow: Workflow, file: DriveFile, by: str, preset: str | None
) -> Job:
    # Where it lies does not matter here; everything else that makes a video a candidate does.
    watched = workflow.drive_folder in file.parents
    folder = workflow.drive_folder if watched else next(iter(file.parents), "")
    assert folder is not None
    found = candidate(replace(file, parents=(folder,)), folder)
    if isinstance(found, Ignored):
        raise BadRequest(f"This is nothing to process: {found.reason}")
    job = new_job(workflow.name, folder, found, services.now())
    asked = Request(action="submit", by=name_of(by), at=iso(services.now()), run=1, preset=preset)
    return replace(job, wanted_preset=preset, requests=(asked,))
