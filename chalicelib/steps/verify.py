"""Verify: read the measurement and decide what gets published."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from chalicelib.config import all_workflows, price_table
from chalicelib.domain import keys
from chalicelib.domain.errors import Rejected
from chalicelib.domain.job import Job, Status
from chalicelib.domain.money import encode_cost_usd
from chalicelib.domain.verdict import Decision, judge, missing_end, next_plan
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.plan import begin_attempt


def verify(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Raises: Rejected: the source itself lacks its end."""
    if job.measurement is None and job.verdict is not None:
        return {"decision": job.verdict.decision.value}  # this invocation is a repeat
    assert job.plan and job.measurement and job.result_size_bytes is not None
    promised_s = job.facts.longest_track_s if job.facts else None
    if cut_off := missing_end(job.measurement, promised_s):
        raise Rejected(cut_off)
    workflow = all_workflows()[job.workflow]
    ssim_mean = _encoder_ssim(services, job)
    verdict = judge(
        plan=job.plan,
        measurement=job.measurement,
        source_size_bytes=job.size_bytes,
        result_size_bytes=job.result_size_bytes,
        min_savings_percent=workflow.min_savings_percent,
        attempt=job.attempt,
        first_attempt=job.first_attempt,
        max_attempts=workflow.max_attempts,
        encoder_ssim_mean=ssim_mean,
    )
    job = ledger.write(
        services, job, verdict=verdict, encoder_ssim_mean=ssim_mean, **_length_at_last(job)
    )
    if verdict.decision is Decision.RETRY_HIGHER:
        assert job.plan is not None and job.measurement is not None
        better = next_plan(job.plan, job.measurement)
        assert better is not None  # judge() retries only where there is one
        begin_attempt(services, job, better, status=Status.RETRYING)
    return {"decision": verdict.decision.value}


def _length_at_last(job: Job) -> dict[str, Any]:
    """What follows from the length of a source that did not tell it."""
    assert job.plan and job.measurement
    tracks, facts = job.measurement.source_tracks, job.facts
    if facts is None or facts.duration_s is not None or not tracks:
        return {}
    timed = replace(facts, duration_s=max(track.end_s for track in tracks))
    dearer = encode_cost_usd(job.plan, timed, price_table())
    dearer -= encode_cost_usd(job.plan, facts, price_table())
    return {"facts": timed, "cost_usd": round((job.cost_usd or 0.0) + dearer, 6)}


def _encoder_ssim(services: Services, job: Job) -> float | None:
    """The encoder's own mean, from the summary lines of its per-frame metric file."""
    bucket = services.settings.temp_bucket
    key = keys.metric_key(job.job_id, job.attempt, "SSIM")
    if not services.storage.exists(bucket, key):
        return None
    found = re.search(rb"^Average:\s*([0-9.]+)", services.storage.read(bucket, key), re.MULTILINE)
    return float(found[1]) if found else None
