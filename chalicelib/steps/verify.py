"""Verify: read the measurement and decide what gets published."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from chalicelib.config import all_workflows, price_table
from chalicelib.domain import keys
from chalicelib.domain.errors import Rejected
from chalicelib.domain.job import Contender, Job, Status
from chalicelib.domain.measurement import Measurement
from chalicelib.domain.money import encode_cost_usd
from chalicelib.domain.plan import Plan
from chalicelib.domain.verdict import (
    Decision,
    Verdict,
    best_effort,
    better,
    judge,
    loss_notes,
    missing_end,
    next_plan,
)
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
        max_output_bytes=workflow.max_output_bytes,
        attempt=job.attempt,
        first_attempt=job.first_attempt,
        max_attempts=workflow.max_attempts,
        encoder_ssim_mean=ssim_mean,
        put_back=job.restored.fields if job.restored else (),
    )
    changes = {
        "verdict": verdict,
        "encoder_ssim_mean": ssim_mean,
        "measurement": _with_losses(job),
        **_length_at_last(job),
    }
    if verdict.decision is not Decision.RETRY_HIGHER:
        ledger.write(services, job, **changes | _better_result(job, verdict))
        return {"decision": _decision(job, verdict).value}
    job = ledger.write(services, job, **changes)
    assert job.plan is not None and job.measurement is not None
    improved = next_plan(
        job.plan,
        job.measurement,
        result_size_bytes=job.result_size_bytes or 0,
        max_output_bytes=workflow.max_output_bytes,
    )
    assert improved is not None  # judge() retries only where there is one
    begin_attempt(services, job, improved, status=Status.RETRYING, **_set_aside(job, improved))
    return {"decision": verdict.decision.value}


def _with_losses(job: Job) -> Measurement:
    """The measurement, with a note on everything that nobody has told of yet."""
    assert job.measurement is not None
    restored = job.restored
    put_back, known = (restored.fields, restored.lost) if restored else ((), ())
    notes = loss_notes(job.measurement, put_back, known)
    return replace(job.measurement, notes=tuple(dict.fromkeys((*job.measurement.notes, *notes))))


def _set_aside(job: Job, improved: Plan) -> dict[str, Any]:
    """Keep this attempt's result, where the preset wants the better of two in the end."""
    assert job.plan and job.measurement and job.result_key and job.result_size_bytes is not None
    if job.plan.then is None or improved.then is not None:
        return {}
    contender = Contender(
        plan=job.plan,
        measurement=job.measurement,
        restored=job.restored,
        result_key=job.result_key,
        result_size_bytes=job.result_size_bytes,
        encoder_ssim_mean=job.encoder_ssim_mean,
    )
    return {"runner_up": contender}


def _decision(job: Job, verdict: Verdict) -> Decision:
    return Decision.ACCEPT if _takes_runner_up(job, verdict) else verdict.decision


def _takes_runner_up(job: Job, verdict: Verdict) -> bool:
    """The earlier result is better, or this one is not to be published at all."""
    earlier = job.runner_up
    if earlier is None or job.measurement is None:
        return False
    kept = verdict.decision is Decision.KEEP_ORIGINAL
    return kept or (verdict.best_effort and not _is_better(job, earlier))


def _is_better(job: Job, earlier: Contender) -> bool:
    assert job.plan and job.measurement
    return better(job.measurement, earlier.measurement, job.plan.metric)


def _better_result(job: Job, verdict: Verdict) -> dict[str, Any]:
    """The earlier result in this one's place, where it is the better one."""
    earlier = job.runner_up
    if earlier is None or not _takes_runner_up(job, verdict):
        return {}
    # Its plan must not ask for another attempt when this invocation is repeated.
    settled = replace(earlier.plan, then=None, best_effort=True)
    return {
        "plan": settled,
        "runner_up": None,
        "measurement": earlier.measurement,
        "restored": earlier.restored,
        "result_key": earlier.result_key,
        "result_size_bytes": earlier.result_size_bytes,
        "encoder_ssim_mean": earlier.encoder_ssim_mean,
        "verdict": best_effort(
            settled,
            earlier.measurement,
            source_size_bytes=job.size_bytes,
            result_size_bytes=earlier.result_size_bytes,
        ),
    }


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
