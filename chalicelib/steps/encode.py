"""Encode: submit the MediaConvert job of this attempt, exactly once: of the film, or of samples.

The order is law, because the process may die between any two lines: the token and our claim are
stored, in one write, before the job is created, and its id after. On entry a stored outcome comes
first (the completion event was faster than us), then a job that already exists (who created it died
before storing its id), and only then is one created: MediaConvert's own request token deduplicates
for one minute only. A job that was there already is asked whether it has ended: its event may have
come while nobody could hear.

MediaConvert may be searched once a second, so it is only where there can be a job: where somebody
had claimed the attempt before us. The claim has a name of ours that nobody else has, so that a twin
of this invocation, which has the same token, does not take it for its own. Whoever claimed first,
and was turned away for certain, takes the claim back, so that a busy MediaConvert is not searched
for each of its refusals. Whoever came to a claim leaves it: who made it may still create.

Between the creation and the storing of the id a person may cancel, or a process that was taken for
dead may wake up and have created one as well. One encode is named in the record; whoever finds that
it is not theirs cancels theirs.
"""

from __future__ import annotations

import uuid
from typing import Any

from chalicelib.adapters.encoder import NotTaken, outcome_of
from chalicelib.domain import keys
from chalicelib.domain.encoding import job_settings, search_settings
from chalicelib.domain.errors import JobClosed
from chalicelib.domain.job import Job
from chalicelib.domain.plan import Route
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.earlier_encode import earlier_encode, source_url
from chalicelib.steps.encode_changed import answer_token, finish
from chalicelib.steps.ledger import Overtaken


def encode(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    claimed_before, claim = job.encode_claim, uuid.uuid4().hex
    job = ledger.write(
        services,
        job,
        row=False,
        only_if={"task_token": job.task_token, "encode_claim": claimed_before},
        task_token=str(call.state["token"]),
        encode_claim=claimed_before or claim,
    )
    if job.outcome is not None:
        answer_token(services, job)
        return {}
    known = job.encoder_job_id
    if known is None and claimed_before is not None:
        known = earlier_encode(services, job)
    if job.encoder_job_id is None:
        encoder_job_id = known or _created(services, job, ours=claimed_before is None)
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


def _created(services: Services, job: Job, *, ours: bool) -> str:
    """
    Args:
        ours: the claim in the record is this invocation's.
    """
    try:
        return services.encoder.create_job(
            _settings(services, job), job_id=job.job_id, attempt=job.attempt, workflow=job.workflow
        )
    except NotTaken:
        if ours:
            _take_back(services, job)
        raise


def _take_back(services: Services, job: Job) -> None:
    """Unless somebody came to it meanwhile, who may have created by now."""
    unchanged = {"task_token": job.task_token, "encode_claim": job.encode_claim}
    services.records.update(job.job_id, {"encode_claim": None}, only_if=unchanged, row=False)


def _settings(services: Services, job: Job) -> dict[str, Any]:
    """Of the whole film, or of the samples of a search."""
    assert job.plan is not None
    bucket, source = services.settings.temp_bucket, source_url(services, job)
    if job.plan.route is Route.SEARCH:
        assert job.plan.search is not None and job.facts is not None and job.facts.video is not None
        return search_settings(
            job.plan,
            job.plan.search,
            source_url=source,
            destination_url=f"s3://{bucket}/{keys.samples_url_key(job.job_id, job.attempt)}",
            frame_rate=job.facts.video.frame_rate,
        )
    destination = keys.encoded_key(job.job_id, job.attempt).removesuffix(".mp4")
    return job_settings(job.plan, source_url=source, destination_url=f"s3://{bucket}/{destination}")
