"""Encode: submit the MediaConvert job of this attempt, exactly once: of the film, or of samples.

The order is law, because the process may die between any two lines: the token is stored before
the job is created, and its id after. On entry a stored outcome comes first (the completion event
was faster than us), then a job that already exists (we died before storing its id), and only
then is one created: MediaConvert's own request token deduplicates for one minute only. A job that
was there already is asked whether it has ended: its event may have come while nobody could hear.

Between the creation and the storing of the id a person may cancel, or a process that was taken for
dead may wake up and have created one as well. One encode is named in the record; whoever finds that
it is not theirs cancels theirs.
"""

from __future__ import annotations

from typing import Any

from chalicelib.adapters.encoder import Encoder, outcome_of
from chalicelib.domain import keys
from chalicelib.domain.encoding import job_settings, search_settings
from chalicelib.domain.errors import JobClosed
from chalicelib.domain.job import Job
from chalicelib.domain.plan import Route
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.encode_changed import answer_token, finish
from chalicelib.steps.ledger import Overtaken


def encode(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    job = ledger.write(
        services,
        job,
        row=False,
        only_if={"task_token": job.task_token},
        task_token=str(call.state["token"]),
    )
    if job.outcome is not None:
        answer_token(services, job)
        return {}
    known = job.encoder_job_id or _found(services.encoder, services, job)
    if job.encoder_job_id is None:
        encoder_job_id = known or _created(services, job)
        try:
            ledger.write(
                services,
                job,
                row=False,
                only_if={"encoder_job_id": None},
                encoder_job_id=encoder_job_id,
            )
        except (JobClosed, Overtaken):
            _cancel(services, job, encoder_job_id)
            raise
    if known is not None:
        outcome = outcome_of(services.encoder.get_job(known), job.attempt)
        if outcome is not None:
            finish(services, job, outcome)
    return {}


def _cancel(services: Services, job: Job, encoder_job_id: str) -> None:
    """Cancel our encode unless it is the one that counts."""
    now = services.records.get(job.job_id)
    counts = now is not None and now.status.is_open and now.encoder_job_id == encoder_job_id
    if not counts:
        services.encoder.cancel_job(encoder_job_id)


def _source_url(services: Services, job: Job) -> str:
    return f"s3://{services.settings.temp_bucket}/{job.source_key}"


def _found(encoder: Encoder, services: Services, job: Job) -> str | None:
    found = encoder.find_job(
        source_url=_source_url(services, job), job_id=job.job_id, attempt=job.attempt
    )
    return str(found["Id"]) if found else None


def _created(services: Services, job: Job) -> str:
    return services.encoder.create_job(
        _settings(services, job), job_id=job.job_id, attempt=job.attempt, workflow=job.workflow
    )


def _settings(services: Services, job: Job) -> dict[str, Any]:
    """Of the whole film, or of the samples of a search."""
    assert job.plan is not None
    bucket, source_url = services.settings.temp_bucket, _source_url(services, job)
    if job.plan.route is Route.SEARCH:
        assert job.plan.search is not None and job.facts is not None and job.facts.video is not None
        return search_settings(
            job.plan,
            job.plan.search,
            source_url=source_url,
            destination_url=f"s3://{bucket}/{keys.samples_url_key(job.job_id, job.attempt)}",
            frame_rate=job.facts.video.frame_rate,
        )
    destination = keys.encoded_key(job.job_id, job.attempt).removesuffix(".mp4")
    return job_settings(
        job.plan, source_url=source_url, destination_url=f"s3://{bucket}/{destination}"
    )
