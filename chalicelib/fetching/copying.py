"""The object made of a Drive file: small files in one put, others by a multipart upload."""

from __future__ import annotations

import time
from dataclasses import dataclass

from botocore.exceptions import ClientError

from chalicelib.adapters.storage import ObjectExists
from chalicelib.domain.errors import JobClosed, Temporary
from chalicelib.domain.job import Fetched, Job
from chalicelib.fetching import parts
from chalicelib.fetching.download import fill
from chalicelib.fetching.hashing import Hashed
from chalicelib.fetching.upload import GRACE_S, Upload
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A whole copy whose bytes are still to be compared.

    Attributes:
        job: the record as it is now.
        etag: of the object.
        hashed: as far as the bytes of that very object were hashed when they passed.
    """

    job: Job
    etag: str
    hashed: Hashed


def copy_of(services: Services, job: Job, at: tuple[str, str], call: StepCall) -> Copied | None:
    """Copy the file to `at` (bucket and key); None when the time was up first.

    An object that somebody else put there meanwhile is left, and not hashed yet.
    """
    try:
        if job.size_bytes <= parts.PART_BYTES:
            return _copy_at_once(services, job, at, call)
        return _copy_in_parts(services, job, at, call)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
        raise Temporary("Another process finished or gave up the copy meanwhile.") from error
    except ObjectExists as exists:
        there = services.storage.found(*at)
        if there is None or there.size_bytes != job.size_bytes:
            raise Temporary("Two copies from Drive got in each other's way.") from exists
        return Copied(job=job, etag=there.etag, hashed=Hashed())


def _copy_at_once(
    services: Services, job: Job, at: tuple[str, str], call: StepCall
) -> Copied | None:
    give_up_at = time.monotonic() + call.seconds_left() + GRACE_S
    body = bytearray(job.size_bytes)
    if not fill(
        services.drive, job.file_id, 0, body, is_over=lambda: time.monotonic() > give_up_at
    ):
        return None
    hashed = Hashed()
    hashed.add(body)
    etag = services.storage.put(*at, body, content_type=job.mime_type, replace=False)
    return Copied(job=job, etag=etag, hashed=hashed)


def _copy_in_parts(
    services: Services, job: Job, at: tuple[str, str], call: StepCall
) -> Copied | None:
    job, stored = _upload_so_far(services, job, at)
    upload = Upload(services, job, at, stored)
    if not upload.go_on(call):
        return None
    return Copied(job=job, etag=upload.complete(), hashed=upload.hashed)


def _upload_so_far(
    services: Services, job: Job, at: tuple[str, str]
) -> tuple[Job, dict[int, tuple[str, int]]]:
    """The job with its open upload, and ETag and size of the parts; a new one where none is."""
    if job.fetched is not None and job.fetched.upload_id is not None:
        try:
            return job, services.storage.parts(*at, job.fetched.upload_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
    upload_id = services.storage.create_upload(*at, content_type=job.mime_type)
    fetched = Fetched(
        upload_id=upload_id,
        part_size_bytes=parts.part_size_bytes(job.size_bytes),
        wrong_copies=job.fetched.wrong_copies if job.fetched else 0,
    )
    only_if = {"fetched": job.fetched, "source_key": None}
    try:
        return ledger.write(services, job, row=False, only_if=only_if, fetched=fetched), {}
    except (JobClosed, ledger.Overtaken):
        services.storage.abort_upload(*at, upload_id)  # nobody knows of it but us
        raise
