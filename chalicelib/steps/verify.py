"""Verify: read the measurement and decide what gets published."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from chalicelib.config import all_workflows, price_table
from chalicelib.domain import keys
from chalicelib.domain.errors import Rejected
from chalicelib.domain.job import Job, Status
from chalicelib.domain.leaner import leaner, reached
from chalicelib.domain.measurement import Measurement
from chalicelib.domain.money import encode_cost_usd
from chalicelib.domain.plan import Plan
from chalicelib.domain.verdict import (
    Decision,
    Verdict,
    judge,
    loss_notes,
    missing_end,
    next_plan,
)
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.plan import begin_attempt
from chalicelib.steps.runner_up import contender, earlier_result, takes_runner_up


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
    found_before = job.runner_up is not None and job.runner_up.verdict is not None
    verdict = judge(
        plan=job.plan,
        measurement=job.measurement,
        source_size_bytes=job.size_bytes,
        result_size_bytes=job.result_size_bytes,
        min_savings_percent=workflow.min_savings_percent,
        max_output_bytes=workflow.max_output_bytes,
        attempt=job.attempt,
        first_attempt=job.first_attempt,
        max_attempts=0 if found_before else workflow.max_attempts,
        encoder_ssim_mean=ssim_mean,
        put_back=job.restored.fields if job.restored else (),
    )
    changes = {
        "verdict": verdict,
        "encoder_ssim_mean": ssim_mean,
        "measurement": _with_losses(job),
        **_length_at_last(job),
    }
    if (leanest := _leaner(job, verdict)) is not None:
        again = Verdict(decision=Decision.RETRY_HIGHER, reason=leanest.reasons[0])
        job = ledger.write(services, job, **changes | {"verdict": again})
        kept = contender(job, verdict)
        begin_attempt(services, job, leanest, status=Status.RETRYING, runner_up=kept)
        return {"decision": Decision.RETRY_HIGHER.value}
    if takes_runner_up(job, verdict):
        ledger.write(services, job, **changes | earlier_result(job))
        return {"decision": Decision.ACCEPT.value}
    if verdict.decision is not Decision.RETRY_HIGHER:
        ledger.write(services, job, **changes)
        return {"decision": verdict.decision.value}
    job = ledger.write(services, job, **changes)
    assert job.plan is not None and job.measurement is not None
    improved = next_plan(
        job.plan,
        job.measurement,
        result_size_bytes=job.result_size_bytes or 0,
        max_output_bytes=workflow.max_output_bytes,
    )
    assert improved is not None  # judge() retries only where there is one
    # The preset may want the better of two in the end.
    two = job.plan.then is not None and improved.then is None
    kept_aside = {"runner_up": contender(job)} if two else {}
    begin_attempt(services, job, improved, status=Status.RETRYING, **kept_aside)
    return {"decision": verdict.decision.value}


def _with_losses(job: Job) -> Measurement:
    """The measurement, with a note on everything that nobody has told of yet."""
    assert job.measurement is not None
    restored = job.restored
    put_back, known = (restored.fields, restored.lost) if restored else ((), ())
    notes = loss_notes(job.measurement, put_back, known)
    return replace(job.measurement, notes=tuple(dict.fromkeys((*job.measurement.notes, *notes))))


def _leaner(job: Job, verdict: Verdict) -> Plan | None:
    """The plan for another encode of a film that came out better than it has to be. Once, after the
    first encode: nobody should wait any longer for a few bytes less."""
    assert job.plan and job.measurement and job.result_size_bytes is not None
    may_try = all_workflows()[job.workflow].max_attempts > 1
    is_first = job.attempt == job.first_attempt
    if verdict.decision is not Decision.ACCEPT or not may_try or not is_first or not job.facts:
        return None
    return leaner(
        job.plan,
        reached(job.plan, job.measurement),
        job.facts,
        price_table(),
        result_size_bytes=job.result_size_bytes,
    )


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
