"""MediaConvert: probe a source, create, find and cancel jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError, SSLError

from chalicelib.domain.errors import Rejected, Temporary
from chalicelib.domain.job import Outcome

_BUSY = (
    "TooManyRequestsException",
    "InternalServerErrorException",
    "ServiceQuotaExceededException",
)
#: Of them, those by which a call was turned away before it did anything.
_TURNED_AWAY = ("TooManyRequestsException", "ServiceQuotaExceededException")
#: What CancelJob answers for a job that has ended is nowhere documented; these three can be meant.
_NOTHING_TO_CANCEL = ("NotFoundException", "ConflictException", "BadRequestException")


class NotTaken(Temporary):
    """MediaConvert was too busy, and it is certain that it made no job."""


class Encoder:
    """Thin over a boto3 MediaConvert client."""

    def __init__(self, client: Any, *, queue_arn: str, role_arn: str) -> None:
        self._client = client
        self._queue_arn = queue_arn
        self._role_arn = role_arn
        client.meta.events.register_first("needs-retry.mediaconvert.CreateJob", _do_not_repeat)

    def probe(self, url: str) -> dict[str, Any]:
        """The first `ProbeResult` for an `s3://` URL.

        Raises:
            Rejected: the file is damaged or no video.
            Temporary: MediaConvert is busy.
        """
        try:
            results = self._client.probe(InputFiles=[{"FileUrl": url}])["ProbeResults"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "UnprocessableEntityException":
                raise Rejected(
                    "The video is damaged or incomplete: its index cannot be read. "
                    "Export or upload it again."
                ) from error
            if code == "BadRequestException":
                raise Rejected("The file is not a video we can read.") from error
            raise _translated(error) from error
        return dict(results[0]) if results else {}

    def create_job(
        self, settings: Mapping[str, Any], *, job_id: str, attempt: int, workflow: str
    ) -> str:
        """Submit a job and return its MediaConvert id.

        Raises:
            NotTaken: there is no job: every try was turned away.
            Temporary, botocore HTTPClientError, anything else: there was an error or no answer, and
                there may be a job all the same: `find_job` tells.
        """
        try:
            answer = self._client.create_job(
                Role=self._role_arn,
                Queue=self._queue_arn,
                Settings=settings,
                StatusUpdateInterval="SECONDS_10",
                ClientRequestToken=f"{job_id}-{attempt}",
                UserMetadata={"job_id": job_id, "attempt": str(attempt), "workflow": workflow},
            )
        except ClientError as error:
            code: str = error.response["Error"]["Code"]
            if code in _TURNED_AWAY:
                raise NotTaken(f"MediaConvert is busy ({code}).") from error
            raise _translated(error) from error
        return str(answer["Job"]["Id"])

    def find_job(self, *, source_url: str, job_id: str, attempt: int) -> dict[str, Any] | None:
        """The MediaConvert job of this attempt, found by its input, which only it has."""
        for job in self._search(source_url):
            metadata = job.get("UserMetadata", {})
            if (metadata.get("job_id"), metadata.get("attempt")) == (job_id, str(attempt)):
                return job
        return None

    def get_job(self, encoder_job_id: str) -> dict[str, Any]:
        try:
            return dict(self._client.get_job(Id=encoder_job_id)["Job"])
        except ClientError as error:
            raise _translated(error) from error

    def unfinished_jobs(self) -> set[str]:
        """The ids of our queue's jobs that wait or run, in one call for every twenty of them.

        A job that goes from waiting to running between two calls is seen in the second.
        """
        name = self._queue_arn.rpartition("/")[2]
        pager = self._client.get_paginator("list_jobs")
        try:
            return {
                str(job["Id"])
                for status in ("SUBMITTED", "PROGRESSING")
                for page in pager.paginate(Queue=name, Status=status)
                for job in page.get("Jobs", [])
            }
        except ClientError as error:
            raise _translated(error) from error

    def cancel_job(self, encoder_job_id: str) -> None:
        """Cancel; a job that has ended or is unknown is left as it is."""
        try:
            self._client.cancel_job(Id=encoder_job_id)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOTHING_TO_CANCEL:
                raise _translated(error) from error

    def _search(self, source_url: str) -> list[dict[str, Any]]:
        try:
            pages = self._client.get_paginator("search_jobs").paginate(
                InputFile=source_url, Queue=self._queue_arn
            )
            return [job for page in pages for job in page.get("Jobs", [])]
        except ClientError as error:
            raise _translated(error) from error


def outcome_of(job: Mapping[str, Any], attempt: int) -> Outcome | None:
    """The outcome in a GetJob answer; None while the job is still on its way."""
    if job["Status"] not in ("COMPLETE", "ERROR", "CANCELED"):
        return None
    groups = job.get("OutputGroupDetails", [])
    details = [output for group in groups for output in group.get("OutputDetails", [])]
    return Outcome(
        attempt=attempt,
        encoder_job_id=job["Id"],
        status=job["Status"],
        error_code=job.get("ErrorCode"),
        error_message=job.get("ErrorMessage"),
        duration_ms=details[0].get("DurationInMs") if details else None,
    )


def _do_not_repeat(
    *, response: tuple[Any, dict[str, Any]] | None, caught_exception: Exception | None, **_: Any
) -> None:
    """Have the client raise where CreateJob may have made a job without our hearing of it.

    It would send the call again after its time-out of a minute, when MediaConvert may have
    forgotten the request token, and start and charge a second job. An error of MediaConvert's own
    is raised at once, too: were it followed by a throttle, the throttle alone would be heard of.
    Source: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html
    """
    if isinstance(caught_exception, HTTPClientError | SSLError):
        raise caught_exception
    if response is not None and response[0].status_code >= 500:
        raise ClientError(response[1], "CreateJob")


def _translated(error: ClientError) -> Exception:
    code: str = error.response["Error"]["Code"]
    if code in _BUSY:
        return Temporary(f"MediaConvert is busy ({code}).")
    untranslated: Exception = error
    return untranslated
