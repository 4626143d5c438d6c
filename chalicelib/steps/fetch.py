"""Fetch: copy the source from Drive or S3 to the temporary bucket, and make sure of every byte.

When the invocation nears its end the flow calls again, and it goes on where it stopped: with the
parts that S3 does not have yet, then with the bytes of the object that are not hashed yet. What is
hashed as it passes need not be read again, so that reading the object is left to copies of which
an invocation died.
"""

from __future__ import annotations

from typing import Any, NoReturn

from chalicelib.adapters.drive_errors import FileGone
from chalicelib.domain import keys
from chalicelib.domain.drive import DriveFile, version_names
from chalicelib.domain.errors import Rejected, SlimreelError, Temporary, as_flow_sees_it
from chalicelib.domain.job import Fetched, Job
from chalicelib.domain.s3_source import is_s3
from chalicelib.domain.text import iso
from chalicelib.fetching.checking import md5_of_copy
from chalicelib.fetching.copying import copy_of
from chalicelib.fetching.from_s3 import copy_from_s3
from chalicelib.fetching.hashing import recalled
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.later import or_later

#: Copies that are not what Drive's checksum says before a person has to look.
WRONG_COPIES = 3


def fetch(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Copy as much as time allows; `done` says whether the copy is complete and checked.

    Raises:
        Rejected: the file was changed, moved to the bin, may not be downloaded, or never arrives
            as Drive's checksum says; or the submitted version is gone from S3.
        Temporary: Drive is unavailable, or the bytes that came were not the file's.
    """
    if job.source_key is not None:
        return {"done": True}
    try:
        if is_s3(job.file_id):
            return {"done": copy_from_s3(services, job, call)}
        return {"done": _copied_while_there(services, job, call)}
    except SlimreelError as error:
        if isinstance(as_flow_sees_it(error), Rejected):
            or_later(job, "unfinished uploads were not ended", lambda: _end_uploads(services, job))
        raise


def _end_uploads(services: Services, job: Job) -> None:
    """No run goes on with this copy: what there is of it would only cost money."""
    key = keys.source_key(job.job_id, job.file_name, job.source_run)
    services.storage.abort_uploads(services.settings.temp_bucket, key)


def _copied_while_there(services: Services, job: Job, call: StepCall) -> bool:
    try:
        return _copy_and_check(services, job, call)
    except (Withdrawn, FileGone):
        # Should it come back, it was never tried: from now on `dropped_again` looks out for it.
        job = ledger.write(services, job, row=False, withdrawn_at=iso(services.now()))
        check_unchanged(services.drive.get(job.file_id), job)
        ledger.write(services, job, row=False, withdrawn_at=None)
        raise Temporary("The file was gone for a moment; it is copied now.") from None


def _copy_and_check(services: Services, job: Job, call: StepCall) -> bool:
    file = services.drive.get(job.file_id)
    check_unchanged(file, job)
    if job.md5 is None and file.md5 is not None:  # Drive may take its time to work it out
        job = ledger.write(services, job, row=False, md5=file.md5)
    if job.size_bytes == 0:
        raise Rejected("The file is empty.")
    key = keys.source_key(job.job_id, job.file_name, job.source_run)
    at = services.settings.temp_bucket, key
    there = services.storage.found(*at)
    if there is not None and there.size_bytes != job.size_bytes:
        services.storage.delete(*at, etag=there.etag)
        there = None
    if there is not None:
        etag, hashed = there.etag, recalled(job.fetched, there.etag)
    else:
        copied = copy_of(services, job, at, call)
        if copied is None:
            return False
        job, etag, hashed = copied.job, copied.etag, copied.hashed
    if job.md5 is not None:
        md5 = md5_of_copy(services, job, at, etag, hashed, call)
        if md5 is None and there is not None and hashed.md5.state() is None:
            raise Rejected(
                "The file is too large to be checked in one go, and this installation cannot check "
                "it in several: it lacks the Python package rehashes."
            )
        if md5 is None:
            return False
        if md5 != job.md5:
            _refuse_copy(services, job, at, etag)
    check_unchanged(services.drive.get(job.file_id), job)
    ledger.write(services, job, row=False, source_key=key, fetched=None)
    return True


def _refuse_copy(services: Services, job: Job, at: tuple[str, str], etag: str) -> NoReturn:
    """Remove a copy that is not the file, and no better one that came in its place; count it.

    Raises:
        Rejected: the file was replaced meanwhile, or was copied often enough.
        Temporary: it is to be copied again.
    """
    check_unchanged(services.drive.get(job.file_id), job)
    wrong = 1 + (job.fetched.wrong_copies if job.fetched else 0)
    fetched = Fetched(wrong_copies=wrong) if wrong < WRONG_COPIES else None
    ledger.write(services, job, row=False, only_if={"source_key": None}, fetched=fetched)
    services.storage.delete(*at, etag=etag)
    if fetched is None:
        raise Rejected(
            f"The file was copied {wrong} times, and never were the bytes what Google Drive's "
            "checksum says. Check that it plays, and upload it again."
        )
    raise Temporary("The copy from Drive differs from the original; it is copied again.")


class Withdrawn(Rejected):
    """The file was taken away or replaced by whoever put it there."""


def check_unchanged(file: DriveFile, job: Job) -> None:
    """Raises:
    Withdrawn: it is not the file any more that this job is about.
    Rejected: it may not be downloaded.
    """
    if file.trashed:
        raise Withdrawn("The file was moved to the bin before it was copied.")
    if job.version_key not in version_names(file) or file.size_bytes != job.size_bytes:
        raise Withdrawn(
            "The file was replaced while it was being copied. "
            "The new version is processed as a video of its own."
        )
    if not file.can_download:
        raise Rejected(
            "The file may not be downloaded: its owner has switched that off for viewers."
        )
