"""Reconcile: find open jobs whose execution or encode ended without our hearing of it.

Step Functions runs no Catch when an execution fails outside a state, times out as a whole or is
stopped, and MediaConvert's events may be lost. Both are asked here, for open jobs only. A job
whose closing was cut short, after its record and before its email, is closed to the end.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chalicelib.adapters.encoder import outcome_of
from chalicelib.domain import keys
from chalicelib.domain.errors import JobClosed, SlimreelError
from chalicelib.domain.job import Job
from chalicelib.domain.text import parse_iso
from chalicelib.services import Services
from chalicelib.steps.encode_changed import answer_token, finish
from chalicelib.steps.fail import close_failed
from chalicelib.steps.notify import notify
from chalicelib.steps.sync import start_execution

log = logging.getLogger(__name__)

#: A job younger than this is still being started by whoever created it.
SETTLE_S = 120


def execution_ended(services: Services, detail: Mapping[str, Any]) -> None:
    """Close the job of an execution that FAILED, TIMED_OUT or was ABORTED."""
    named = keys.job_and_run(str(detail["name"]))
    job = services.records.get(named[0]) if named else None
    if job is None or named is None or job.run != named[1]:
        return
    # A flow that ended in its own Fail state has closed the job already; this then does nothing.
    error = detail.get("error") or _ERRORS.get(detail["status"], "Unexpected")
    try:
        close_failed(services, job, error, detail.get("cause") or "")
    except JobClosed as closed:
        log.info("%s", closed)


_ERRORS = {"TIMED_OUT": "States.Timeout", "ABORTED": "Aborted"}


def reconcile(
    services: Services, now: datetime | None = None, settle_s: float | None = None
) -> None:
    """Bring every open job's record in line with what AWS says about it.

    Args:
        settle_s: leave alone what was touched less than so many seconds ago; the stage's setting,
            or `SETTLE_S`, where None. 0 is for when nothing else runs: after an outage, say.
    """
    if settle_s is None:
        settle_s = services.settings.reconcile_settle_s or SETTLE_S
    now = now or services.now()
    for job in services.records.open_jobs():
        # A clock that was set back meanwhile makes it look as if written in the future.
        if abs((now - parse_iso(job.updated_at)).total_seconds()) < settle_s:
            continue
        try:
            _reconcile_job(services, job.job_id)
        except SlimreelError as error:
            log.warning("job %s: not reconciled: %s", job.job_id, error)
        except Exception:
            # Whatever is wrong with this one, the others must not wait for it.
            log.exception("job %s: not reconciled", job.job_id)


def _reconcile_job(services: Services, job_id: str) -> None:
    # The list is a while old when a job's turn comes: it may have ended well since.
    job = services.records.get(job_id)
    if job is None:
        return
    if not job.status.is_open:
        notify(services, job)
        services.records.settle(job.job_id, job.run)
        return
    status = services.flows.status(job.workflow, keys.execution_name(job.job_id, job.run))
    if status is None or not job.execution_started:
        start_execution(services, job)
    elif status != "RUNNING":
        close_failed(services, job, _ERRORS.get(status, "Unexpected"), f"execution {status}")
    elif job.outcome is not None:
        # Whoever stored it may have died before answering; a token answered before is no error.
        answer_token(services, job)
    elif job.encoder_job_id:
        _ask_encoder(services, job, job.encoder_job_id)


def _ask_encoder(services: Services, job: Job, encoder_job_id: str) -> None:
    outcome = outcome_of(services.encoder.get_job(encoder_job_id), job.attempt)
    if outcome is not None:
        finish(services, job, outcome)
    elif job.task_token:
        # A job waiting in MediaConvert's queue sends no events, so its flow would time out.
        services.flows.heartbeat(job.task_token)
