"""Retry: a new run of the same job, because a person asks for it.

One conditional write makes the new run and forgets what the old one found out. What the old run
may still do cannot reach the new one: its steps and executions carry the old run's number, and
its encodes an attempt that is over. What is published stays until the new run has published in
its place: the record then changes from the one to the other at once.
"""

from __future__ import annotations

from typing import Any

from chalicelib.config import all_presets, all_workflows
from chalicelib.domain.control import BadRequest, NotNow, UnknownJob, name_of, why_not_retry
from chalicelib.domain.job import Job, Request, Status
from chalicelib.domain.text import iso
from chalicelib.services import Services
from chalicelib.steps.later import or_later
from chalicelib.steps.ledger import tell_row_writer
from chalicelib.steps.settle import stop_encode
from chalicelib.steps.sync import start_execution

#: What one run found out, and the next has to find out for itself.
FORGOTTEN = (
    "started_at",
    "completed_at",
    "step",
    "facts",
    "plan",
    "searching",
    "waiting",
    "reserved_for",
    "runner_up",
    "task_token",
    "encode_claim",
    "encoder_job_id",
    "encode_percent",
    "outcome",
    "restored",
    "result_key",
    "result_size_bytes",
    "encoder_ssim_mean",
    "measurement",
    "verdict",
    "copy_under_way",
    "reason",
    "error",
    "withdrawn_at",
    "left_at",
    "dropped_again_at",
    "ended_in",
    "source_key",
    "wants_original",
    "digest_since",
    "approved",
    "result_deleted",
)


def retry(
    services: Services,
    job_id: str,
    *,
    by: str,
    preset: str | None = None,
    force: bool = False,
    after_run: int | None = None,
    wants_original: str | None = None,
) -> Job:
    """Begin a new run.

    Args:
        preset: of `presets.toml`; None keeps to what was asked for the last time.
        force: also where a result is published already.
        after_run: the run the person has looked at. Two who press the button at once, or one
            whose answer was lost, then begin one run and not two.
        wants_original: why the new run is to publish the original, a sentence for people.

    Raises:
        UnknownJob, BadRequest, NotNow.
    """
    if preset is not None and preset not in all_presets():
        raise BadRequest(f"There is no preset {preset!r}; choose {', '.join(all_presets())}.")
    job = services.records.get(job_id)
    if job is None:
        raise UnknownJob(job_id)
    if after_run is not None and job.run > after_run:
        return _started(services, job)  # it was begun already
    if problem := why_not_retry(job, force=force):
        raise NotNow(problem)
    if job.workflow not in all_workflows():
        raise NotNow(f"Its workflow, {job.workflow}, is no longer there.")
    begun, asked = _begun(services, job, by, preset, wants_original)
    if begun is None:
        return _met(services, job, asked, after_run)
    or_later(begun, "its row was not queued", lambda: tell_row_writer(services, begun))
    # An encode may outlive a run that failed: nobody needs it, and it is paid for.
    or_later(job, "its old encode was not stopped", lambda: stop_encode(services, job))
    return _started(services, begun)


def _begun(
    services: Services, job: Job, by: str, preset: str | None, wants_original: str | None
) -> tuple[Job | None, Request]:
    """The job in its new run; None when it was not ours to begin."""
    now = iso(services.now())
    asked = Request(action="retry", by=name_of(by), at=now, run=job.run + 1, preset=preset)
    changes: dict[str, Any] = {
        **dict.fromkeys(FORGOTTEN),
        "run": job.run + 1,
        "status": Status.PROCESSING,
        "execution_started": False,
        "updated_at": now,
        # A late event of the last encode names the attempt it belongs to.
        "attempt": job.attempt + 1,
        "encoder_faults": 0,
        "earlier_cost_usd": job.cost_usd,
        "earlier_size_bytes": job.published_size_bytes,
        "wanted_preset": preset or job.wanted_preset,
        "wants_original": wants_original,
        "requests": (*job.requests, asked),
    }
    if job.status is not Status.FAILED:
        # Its copy of the source is being removed or has been; a failed job keeps it.
        changes |= {"source_run": job.run + 1, "fetched": None}
    only_if = {"run": job.run, "status": job.status}
    return services.records.update(job.job_id, changes, only_if=only_if), asked


def _met(services: Services, job: Job, asked: Request, after_run: int | None) -> Job:
    """What is there in place of the run we wanted to begin.

    Raises:
        NotNow: somebody else began another.
    """
    now = services.records.get(job.job_id)
    # An AWS client repeats a call whose answer was lost, and then meets its own write.
    if now is None or not (
        asked in now.requests or (after_run is not None and now.run > after_run)
    ):
        raise NotNow("Somebody else asked for this job a moment before; look at it again.")
    return _started(services, now)


def _started(services: Services, job: Job) -> Job:
    """Its execution started, if it was not; should that fail, `reconcile` starts it."""
    if job.status.is_open and not job.execution_started:
        or_later(job, "its execution was not started", lambda: start_execution(services, job))
    return job
