"""Plan: decide what to do with the source, and write down why."""

from __future__ import annotations

from typing import Any

from chalicelib.config import all_presets, all_workflows, price_table
from chalicelib.domain.errors import Rejected
from chalicelib.domain.job import Job
from chalicelib.domain.money import attempt_cost_usd, estimated
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.planner import make_plan
from chalicelib.domain.verdict import Decision, Verdict
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.runner_up import earlier_result

MAX_ENCODER_FAULTS = 2
#: Where the flow goes without another encode.
PUBLISH = "publish"


def plan(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Raises: Rejected: there is nothing to encode, or the encoder keeps failing."""
    if job.verdict is not None and job.verdict.decision is Decision.ACCEPT:
        return {"route": PUBLISH}  # this invocation is a repeat
    if job.plan is not None and job.attempt and not _came_from_fault(job):
        return {"route": job.plan.route.value}  # this invocation is a repeat
    if job.runner_up is not None and job.runner_up.verdict is not None and _came_from_fault(job):
        # Only a leaner one was looked for; what there is, is good.
        refund = {"cost_usd": round((job.cost_usd or 0.0) - _charged(job), 6)}
        ledger.write(services, job, outcome=None, **earlier_result(job) | refund)
        return {"route": PUBLISH}
    workflow = all_workflows()[job.workflow]
    assert job.facts is not None
    faults = job.encoder_faults + _came_from_fault(job)
    if faults > MAX_ENCODER_FAULTS:
        raise Rejected(f"The encoder failed {faults} times by its own fault; try again later.")
    if job.plan is not None and _came_from_fault(job):
        # The fault says nothing against the plan, nor does its attempt count as one of them.
        begin_attempt(
            services, job, job.plan, encoder_faults=faults, first_attempt=job.first_attempt + 1
        )
        return {"route": job.plan.route.value}
    preset = all_presets()[job.wanted_preset or workflow.preset]
    if job.wants_original is not None:
        wanted = Plan(route=Route.KEEP, preset=preset.name, reasons=(job.wants_original,))
        return take(services, job, wanted)
    return take(services, job, make_plan(job.facts, preset, workflow))


def take(services: Services, job: Job, decided: Plan) -> dict[str, Any]:
    """Begin what was decided, as the first of the attempts it may take.

    Raises:
        Rejected: it was decided to refuse the video.
    """
    assert job.facts is not None
    decided = estimated(decided, job.facts, price_table())
    if decided.route is Route.REJECT:
        ledger.write(services, job, plan=decided)
        raise Rejected(decided.reasons[0])
    begin_attempt(
        services,
        job,
        decided,
        first_attempt=job.attempt + 1,
        runner_up=None,
        verdict=_keep(decided) if decided.route is Route.KEEP else None,
    )
    return {"route": decided.route.value}


def begin_attempt(services: Services, job: Job, decided: Plan, **changes: Any) -> Job:
    """Store the plan of a new attempt and clear what belonged to the one before.

    Its estimated cost is added now, and that of an attempt that failed taken back: only a job
    MediaConvert completes is charged.
    """
    return ledger.write(
        services,
        job,
        only_if={"status": ledger.OPEN},
        plan=decided,
        attempt=job.attempt + 1,
        searching=True if decided.route is Route.SEARCH else None,
        cost_usd=round((job.cost_usd or 0.0) + _cost(job, decided), 6),
        task_token=None,
        encode_claim=None,
        encoder_job_id=None,
        encode_percent=None,
        outcome=None,
        restored=None,
        result_key=None,
        result_size_bytes=None,
        encoder_ssim_mean=None,
        measurement=None,
        **changes,
    )


def _cost(job: Job, decided: Plan) -> float:
    if job.facts is None:
        return 0.0
    usd = attempt_cost_usd(decided, job.facts, price_table())
    return usd - _charged(job) if _came_from_fault(job) else usd


def _charged(job: Job) -> float:
    """What was added for the attempt under way."""
    if job.facts is None or job.plan is None:
        return 0.0
    return attempt_cost_usd(job.plan, job.facts, price_table())


def _came_from_fault(job: Job) -> bool:
    return job.outcome is not None and job.outcome.status == "ERROR"


def _keep(decided: Plan) -> Verdict:
    return Verdict(decision=Decision.KEEP_ORIGINAL, reason=decided.reasons[0])
