"""What MediaConvert says about a job: store its outcome, then wake the flow that waits for it.

Events come at least once, late and in any order. The job id and the attempt travel in the
MediaConvert job's metadata, so an event of an earlier attempt changes nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from chalicelib.adapters.records import Below
from chalicelib.config import price_table
from chalicelib.domain import encoder_errors
from chalicelib.domain.job import Job, Outcome
from chalicelib.domain.money import attempt_cost_usd
from chalicelib.domain.plan import Route
from chalicelib.domain.text import iso
from chalicelib.domain.verdict import Decision, Verdict
from chalicelib.services import Services
from chalicelib.steps.ledger import OPEN

log = logging.getLogger(__name__)


def encode_changed(services: Services, detail: Mapping[str, Any]) -> None:
    """Handle the `detail` of a 'MediaConvert Job State Change' event."""
    metadata = detail.get("userMetadata", {})
    job = services.records.get(str(metadata.get("job_id", "")))
    if job is None or not job.status.is_open or str(job.attempt) != metadata.get("attempt"):
        log.info("event of no current attempt ignored: %s", dict(detail))
        return
    if job.encoder_job_id not in (None, detail["jobId"]):
        log.info("event of an encode that was cancelled as one too many ignored: %s", dict(detail))
        return
    if detail["status"] in ("COMPLETE", "ERROR", "CANCELED"):
        finish(services, job, outcome_in_event(detail, job.attempt))
    elif job.task_token:
        services.flows.heartbeat(job.task_token)
        _note_progress(services, job, detail)


def finish(services: Services, job: Job, outcome: Outcome) -> None:
    """Store the outcome of the job's current attempt and answer the waiting flow."""
    changes: dict[str, Any] = {
        "outcome": outcome,
        "encoder_job_id": outcome.encoder_job_id,
        "encode_percent": 100,
        "updated_at": iso(services.now()),
    }
    if outcome.error_code in encoder_errors.NO_DECODER:
        changes["verdict"] = Verdict(
            decision=Decision.KEEP_ORIGINAL, reason=encoder_errors.sentence(outcome.error_code)
        )
    first = services.records.update(
        job.job_id,
        changes,
        only_if={
            "run": job.run,
            "status": OPEN,
            "attempt": outcome.attempt,
            "outcome": None,
        },
        row=False,
    )
    if first is not None and outcome.status == "COMPLETE":
        _report_cost(services, first)
    # An outcome stored before may belong to a handler that died before it answered the token.
    current = first or services.records.get(job.job_id)
    if current is not None and current.attempt == outcome.attempt:
        answer_token(services, current)


def _report_cost(services: Services, job: Job) -> None:
    """MediaConvert charges for what it completed, and for nothing else."""
    if job.plan is not None and job.facts is not None:
        services.metrics.put(
            {"CostUsd": attempt_cost_usd(job.plan, job.facts, price_table())},
            at=services.now(),
            workflow=job.workflow,
            job_id=job.job_id,
            attempt=job.attempt,
        )


def answer_token(services: Services, job: Job) -> None:
    """Answer the flow's task token with the stored outcome; a used or dead token is no error."""
    outcome, token = job.outcome, job.task_token
    if outcome is None or token is None:
        return
    if outcome.status == "COMPLETE" or _can_do_without(job, outcome):
        services.flows.succeed(token, {"outcome": outcome.status})
        return
    name, message = _failure(outcome)
    words = encoder_errors.own_words(outcome.error_code, outcome.error_message)
    # The same shape as the cause of a failed Lambda function, so that Fail reads only one.
    cause = json.dumps({"errorMessage": message, "errorDetails": words})
    services.flows.fail(token, error=name, cause=cause)


def _can_do_without(job: Job, outcome: Outcome) -> bool:
    """A search that failed for a reason of its own is done without. Is it the film's, the encode
    of the whole of it will say so, and a job that fails costs nothing."""
    searching = job.plan is not None and job.plan.route is Route.SEARCH
    code = outcome.error_code
    own = code not in encoder_errors.FAULTS and code not in encoder_errors.NO_DECODER
    return searching and outcome.status == "ERROR" and own


def outcome_in_event(detail: Mapping[str, Any], attempt: int) -> Outcome:
    """Every field but the status is optional in the events of today's service."""
    groups = detail.get("outputGroupDetails", [])
    outputs = [output for group in groups for output in group.get("outputDetails", [])]
    output = outputs[0] if outputs else {}
    video = output.get("videoDetails", {})
    return Outcome(
        attempt=attempt,
        encoder_job_id=detail["jobId"],
        status=detail["status"],
        error_code=detail.get("errorCode"),
        error_message=detail.get("errorMessage"),
        duration_ms=output.get("durationInMs"),
        average_bitrate_bps=video.get("averageBitrate"),
        qvbr_average=video.get("qvbrAvgQuality"),
        warnings=tuple(warning["code"] for warning in detail.get("warnings", [])),
    )


def _failure(outcome: Outcome) -> tuple[str, str]:
    if outcome.status == "CANCELED":
        return "Rejected", "The encode was cancelled in MediaConvert."
    if outcome.error_code in encoder_errors.NO_DECODER:
        return "NoDecoder", encoder_errors.sentence(outcome.error_code)
    is_fault = outcome.error_code in encoder_errors.FAULTS
    name = "EncoderFault" if is_fault else "Rejected"
    return name, encoder_errors.sentence(outcome.error_code)


def _note_progress(services: Services, job: Job, detail: Mapping[str, Any]) -> None:
    percent = detail.get("jobProgress", {}).get("jobPercentComplete")
    if percent is None or percent <= (job.encode_percent or 0):
        return
    services.records.update(
        job.job_id,
        {"encode_percent": int(percent)},
        only_if={
            "run": job.run,
            "status": OPEN,
            "attempt": job.attempt,
            "outcome": None,
            "encode_percent": Below(int(percent)),
        },
        row=False,
    )
