"""The encode that the record does not name: who created it may have died before storing its id."""

from __future__ import annotations

from chalicelib.domain.job import Job
from chalicelib.services import Services


def source_url(services: Services, job: Job) -> str:
    """Where an encode of the job reads the film."""
    return f"s3://{services.settings.temp_bucket}/{job.source_key}"


def earlier_encode(services: Services, job: Job) -> str | None:
    """MediaConvert's id of the attempt's encode; None where there is none.

    MediaConvert may be searched once a second, so it is only where somebody claimed the attempt.
    """
    if job.encode_claim is None:
        return None
    found = services.encoder.find_job(
        source_url=source_url(services, job), job_id=job.job_id, attempt=job.attempt
    )
    return str(found["Id"]) if found else None
