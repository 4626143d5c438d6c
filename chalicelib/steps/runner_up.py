"""A result that is kept while another attempt is made, and put back where that one is no better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib.domain.job import Contender, Job
from chalicelib.domain.verdict import Decision, Verdict, best_effort, better


def contender(job: Job, verdict: Verdict | None = None) -> Contender:
    """This attempt's result.

    Args:
        verdict: where it passed every check, and only a leaner one is looked for.
    """
    assert job.plan and job.measurement and job.result_key and job.result_size_bytes is not None
    return Contender(
        plan=job.plan,
        measurement=job.measurement,
        restored=job.restored,
        result_key=job.result_key,
        result_size_bytes=job.result_size_bytes,
        encoder_ssim_mean=job.encoder_ssim_mean,
        verdict=verdict,
    )


def takes_runner_up(job: Job, verdict: Verdict) -> bool:
    """Whether the earlier result is the better one, or this one is not to be published at all."""
    earlier = job.runner_up
    if earlier is None or job.measurement is None:
        return False
    if earlier.verdict is not None:
        smaller = (job.result_size_bytes or 0) < earlier.result_size_bytes
        return verdict.decision is not Decision.ACCEPT or not smaller
    kept = verdict.decision is Decision.KEEP_ORIGINAL
    return kept or (verdict.best_effort and not _is_better(job, earlier))


def earlier_result(job: Job) -> dict[str, Any]:
    """What the job's record says with the earlier result in this one's place."""
    earlier = job.runner_up
    assert earlier is not None
    # Its plan must not ask for another attempt when this invocation is repeated.
    settled, verdict = earlier.plan, earlier.verdict
    if verdict is None:
        settled = replace(earlier.plan, then=None, best_effort=True)
        verdict = best_effort(
            settled,
            earlier.measurement,
            source_size_bytes=job.size_bytes,
            result_size_bytes=earlier.result_size_bytes,
        )
    return {
        "plan": settled,
        "runner_up": None,
        "measurement": earlier.measurement,
        "restored": earlier.restored,
        "result_key": earlier.result_key,
        "result_size_bytes": earlier.result_size_bytes,
        "encoder_ssim_mean": earlier.encoder_ssim_mean,
        "verdict": verdict,
    }


def _is_better(job: Job, earlier: Contender) -> bool:
    assert job.plan and job.measurement
    return better(job.measurement, earlier.measurement, job.plan.metric)
