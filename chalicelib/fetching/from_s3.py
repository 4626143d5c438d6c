"""The copy of a source that lies in S3: made inside S3, of the very version that was submitted.

S3 copies without our seeing a byte, and only while the object is the one of that ETag; so there is
nothing to hash. The submitted object itself is only ever read.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain import keys
from chalicelib.domain.errors import Rejected, Temporary
from chalicelib.domain.job import Fetched, Job
from chalicelib.domain.s3_source import s3_address
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall

_GONE = ("NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404", "NotFound")
_REPLACED = ("PreconditionFailed", "412")
_REFUSED = ("AccessDenied", "403", "Forbidden", "AllAccessDisabled")


def copy_from_s3(services: Services, job: Job, call: StepCall) -> bool:
    """Copy as much as time allows; True once the copy is whole and noted.

    Raises:
        Rejected: the version that was submitted is not there any more, or may not be read.
        Temporary: another process finished or gave up this copy.
    """
    key = keys.source_key(job.job_id, job.file_name, job.source_run)
    at = services.settings.temp_bucket, key
    if services.storage.size_or_none(*at) != job.size_bytes and not _copied(
        services, job, at, call
    ):
        return False
    if services.storage.size_or_none(*at) != job.size_bytes:
        raise Temporary("The copy inside S3 is not as large as the original; it is copied again.")
    ledger.write(services, job, row=False, source_key=key, fetched=None)
    return True


def _copied(services: Services, job: Job, at: tuple[str, str], call: StepCall) -> bool:
    source = s3_address(job.file_id)
    under_way = job.fetched.upload_id if job.fetched else None

    def begun(what: str) -> None:
        ledger.write(services, job, row=False, fetched=Fetched(upload_id=what))

    try:
        return services.storage.copy(
            (source.bucket, source.key),
            at,
            content_type=job.mime_type,
            file_name=job.file_name,
            under_way=under_way,
            begun=begun,
            seconds_left=call.seconds_left,
            etag=job.revision_id,
            version_id=version_id(job),
        )
    except ClientError as error:
        _explain(error.response["Error"].get("Code", ""), error)
        raise


def version_id(job: Job) -> str | None:
    """S3's id of the version; None where its bucket keeps none."""
    etag = (job.revision_id or "").strip('"')
    return job.version_key if job.version_key != etag else None


def _explain(code: str, error: Any) -> None:
    """Raises: what a person can do something about, or a later try may."""
    if code == "NoSuchUpload":
        raise Temporary("Another process finished or gave up the copy meanwhile.") from error
    if code in _REPLACED:
        raise Rejected(
            "The file in S3 was replaced after it was submitted. Submit it again: the new "
            "version is a video of its own."
        ) from error
    if code in _GONE:
        raise Rejected("The file is no longer in its S3 bucket.") from error
    if code in _REFUSED:
        raise Rejected(
            "Slimreel may not read the file in S3, or it is gone. Whoever runs Slimreel can look "
            "at the bucket's policy and key, and at the parameter SubmitBuckets."
        ) from error
    if code == "InvalidObjectState":
        raise Rejected(
            "The file lies in an S3 archive. Restore it, and submit it again."
        ) from error
