"""Budget: let an encode begin when the day has money left for it, or let the job wait.

The flow stands at a task token. What an encode is estimated to cost is reserved on the day's
account, one item in DynamoDB that holds the sum and every reservation by name: one conditional
write adds both or neither, so however often and by however many it is tried, an encode is counted
once and the sum never passes the limit. Where there is no room the job says so and waits;
`reconcile` tries again every few minutes, those that have waited longest first, so that a new day
or a raised limit lets them go on by themselves.

The account's item takes some 8,000 encodes a day (DynamoDB items end at 400 KB).
"""

from __future__ import annotations

from typing import Any

from chalicelib.adapters.records import Below
from chalicelib.config import price_table
from chalicelib.domain import alert
from chalicelib.domain.budget import Budget, day_of, forgotten_at, micro_usd, why_it_waits
from chalicelib.domain.job import Job
from chalicelib.domain.money import attempt_cost_usd
from chalicelib.domain.text import iso
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.later import or_later


def budget(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    before = {"task_token": job.task_token}
    token = str(call.state["token"])
    admit(services, ledger.write(services, job, row=False, only_if=before, task_token=token))
    return {}


def admit(services: Services, job: Job) -> bool:
    """Answer the waiting flow once the encode's cost is reserved. Safe to repeat.

    Raises:
        JobClosed: it was cancelled meanwhile.
    """
    assert job.task_token is not None
    shortage = _shortage(services, job)
    if shortage is not None:
        if job.waiting is None:
            ledger.write(services, job, waiting=shortage)
        or_later(job, "people were not told that it waits", lambda: _tell(services, job, shortage))
        services.flows.heartbeat(job.task_token)
        return False
    if job.reserved_for != encode_number(job) or job.waiting is not None:
        job = _reserved(services, job)
    if job.source_key is None:
        said = "The copy of the video has expired; it is fetched again."
        services.flows.fail(str(job.task_token), error="SourceExpired", cause=said)
    else:
        services.flows.succeed(str(job.task_token), {})
    return True


def encode_number(job: Job) -> int:
    """Which encode of the job this is, over all runs. One that takes the place of an encode that
    failed by MediaConvert's own fault, which is not charged, has that one's number.
    """
    return job.attempt - job.encoder_faults


def _shortage(services: Services, job: Job) -> str | None:
    """Why it has to wait; None once its cost is reserved."""
    limit_usd, number = services.settings.max_cost_per_day_usd, encode_number(job)
    if limit_usd is None or job.reserved_for == number:
        return None
    assert job.plan is not None and job.facts is not None
    budget, now = Budget.of_usd(limit_usd), services.now()
    cost = micro_usd(attempt_cost_usd(job.plan, job.facts, price_table()))
    account, entry = _account(services), f"{job.job_id}-{number}"
    room = budget.highest_before(cost)
    if room >= 0 and services.records.save_state(
        *account,
        {entry: cost, "expires_at": forgotten_at(now)},
        add={"reserved_micro_usd": cost},
        only_if={entry: None, "reserved_micro_usd": Below(room + 1)},
    ):
        return None
    today = services.records.state(*account)
    if entry in today:
        return None  # whoever reserved it died before the record said so
    reserved = int(today.get("reserved_micro_usd", 0))
    return why_it_waits(budget, cost_micro_usd=cost, reserved_micro_usd=reserved)


def _reserved(services: Services, job: Job) -> Job:
    """Written down; and a copy that expired while the job waited is no longer counted on."""
    changes: dict[str, Any] = {"reserved_for": encode_number(job), "waiting": None}
    if job.waiting is not None and job.source_key is not None:
        bucket = services.settings.temp_bucket
        if services.storage.size_or_none(bucket, job.source_key) != job.size_bytes:
            changes["source_key"] = None
    return ledger.write(services, job, row=job.waiting is not None, **changes)


def _tell(services: Services, job: Job, why: str) -> None:
    """One email a day at most. It is taken on before it is sent, so that two cannot; should the
    process die in between, that day has none, and rows and pages say it alone.
    """
    account, now = _account(services), services.now()
    mark = {"told_at": iso(now), "expires_at": forgotten_at(now)}
    if not services.records.save_state(*account, mark, only_if={"told_at": None}):
        return
    try:
        services.topic.publish(alert.encodes_wait(why, file_name=job.file_name, job_id=job.job_id))
    except Exception:
        services.records.save_state(*account, {"told_at": None})
        raise


def _account(services: Services) -> tuple[str, str]:
    return f"budget#{day_of(services.now())}", "day"
