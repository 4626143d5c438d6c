"""Dropped again: the very content that failed, or was cancelled, comes back.

It is the same job, so nothing starts by itself, and whoever dropped it is told so at once; unless
it was never copied, because it was gone by then: it is back now, and begins anew. Drive's log
mentions a file for many reasons; what counts as a drop is a new upload of the same content, or a
return from the bin or from another folder.
"""

from __future__ import annotations

import contextlib

from chalicelib.config import all_workflows
from chalicelib.domain import keys
from chalicelib.domain.control import NotNow
from chalicelib.domain.drive import DriveFile, is_video, version_names
from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Job, Status
from chalicelib.domain.notice import dropped_again_notice
from chalicelib.domain.text import iso
from chalicelib.domain.workflow import Workflow
from chalicelib.services import Services
from chalicelib.steps.ledger import tell_row_writer

#: What is not tried again by itself. What is published needs no word.
ENDED = (Status.FAILED, Status.CANCELLED)


def dropped(services: Services, job: Job, file: DriveFile) -> None:
    """Say so in log, row and email when this is a drop of what came to nothing before.

    The email goes out before it is written down, so one too many is possible, and none too few.
    """
    if job.withdrawn_at is not None and job.status.is_open:
        raise Temporary("The file is back before its job was closed; its change is read again.")
    if job.withdrawn_at is not None and job.status is Status.FAILED:
        from chalicelib.steps.retry import retry  # which starts executions as sync does

        with contextlib.suppress(NotNow):  # somebody else was faster
            retry(services, job.job_id, by=job.uploader or "someone", after_run=job.run)
        return
    uploaded_anew = job.revision_id is not None and file.head_revision_id != job.revision_id
    if job.status not in ENDED or not (uploaded_anew or job.left_at is not None):
        return
    if dropped_again_notice(job).kind in all_workflows()[job.workflow].notify_kinds:
        services.topic.publish(dropped_again_notice(job))
    changed = services.records.update(
        job.job_id,
        {
            "dropped_again_at": iso(services.now()),
            "left_at": None,
            "revision_id": file.head_revision_id,
        },
        only_if={"run": job.run, "status": job.status},
    )
    if changed is not None:
        tell_row_writer(services, changed)


def gone(services: Services, workflow: Workflow, file: DriveFile) -> None:
    """Remember that a file whose job came to nothing is in the bin or elsewhere now."""
    if not is_video(file) or not (file.md5 or file.head_revision_id):
        return
    for version_key in version_names(file):
        job = services.records.get(keys.job_id(workflow.name, file.file_id, version_key))
        if job is not None and job.status in ENDED and job.left_at is None:
            only_if = {"run": job.run, "status": job.status}
            left = {"left_at": iso(services.now())}
            services.records.update(job.job_id, left, only_if=only_if, row=False)
