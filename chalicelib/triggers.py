"""From raw events to the work: what every trigger in `app.py` does with its event.

An exception is logged once, here, with the job's id, and raised again: Step Functions, SQS and
EventBridge each know what to do with a failed invocation.
"""

from __future__ import annotations

import importlib
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from chalicelib.config import settings
from chalicelib.domain.errors import JobClosed, SlimreelError, Temporary, as_flow_sees_it
from chalicelib.domain.job import Job
from chalicelib.domain.text import iso
from chalicelib.services import Services, services
from chalicelib.steps.call import Step, StepCall

log = logging.getLogger(__name__)
# Ours only: at DEBUG, botocore logs whole answers, secrets from SSM included.
logging.getLogger("chalicelib").setLevel(settings().log_level)

#: Drive sends its notifications with an empty body and a type of its own.
ANY_CONTENT_TYPE = ["application/json; utf-8", "application/json", "text/plain", "*/*"]
#: Kept free at the end of an invocation, to write down how far it came.
MARGIN_S = 30.0
#: Steps that may run on a job which has just been closed, to finish what closing it began.
_CLOSING_STEPS = ("announce", "fail")


def step(name: str, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Run the step `chalicelib.steps.<name>` on the job named in the flow's state.

    Raises:
        JobClosed: the job has ended, or a newer run owns it.
    """
    from chalicelib.steps.shortage import said

    run: Step = getattr(importlib.import_module(f"chalicelib.steps.{name}"), name)
    reach = services()
    job_id, run_number = str(event["job_id"]), int(event["run"])
    left_s = context.get_remaining_time_in_millis() / 1000
    call = StepCall(state=event, deadline=time.monotonic() + max(left_s - MARGIN_S, left_s / 2))
    try:
        job = _entered(reach, job_id, run_number, name)
        answer = said(run, reach, job, call)
        log.info("job %s: %s done: %s", job_id, name, answer)
        return answer
    except SlimreelError as error:
        log.warning("job %s: %s: %s: %s", job_id, name, type(error).__name__, error)
        raise as_flow_sees_it(error) from error
    except Exception as error:
        log.exception("job %s: %s failed", job_id, name)
        from chalicelib.adapters import aws_errors

        if aws_errors.passes(error):
            # Flows try again for minutes what is Temporary, and for seconds what is not.
            raise Temporary(aws_errors.in_words(error)) from error
        raise


def _entered(reach: Services, job_id: str, run_number: int, step_name: str) -> Job:
    """The job, with the step in its timeline: one call, unless the step was entered before."""
    at = iso(reach.now())
    entered = reach.records.append_moment(job_id, run_number, step_name, at)
    if entered is not None:
        return entered
    job = _owned(reach, job_id, run_number, step_name)
    if job.step != step_name:
        reach.records.append_moment(job_id, run_number, step_name, at, ended=True)
    return job


def _owned(reach: Services, job_id: str, run_number: int, step_name: str) -> Job:
    job = reach.records.get(job_id)
    if job is None or job.run != run_number:
        raise JobClosed(f"Run {run_number} of job {job_id} is not the current one.")
    if not job.status.is_open and step_name not in _CLOSING_STEPS:
        raise JobClosed(f"Job {job_id} is already {job.status.value.lower()}.")
    return job


def drive_changed(event: Mapping[str, Any]) -> dict[str, Any]:
    """Any number of hints mean one thing: read the change log.

    A message that names a file was among the dead letters, and was sent back to have it looked at.
    """
    from chalicelib.steps.channel import heard
    from chalicelib.steps.sync import look_at, sync

    named = {r["messageId"]: _named_in(r["body"], "file_id") for r in event["Records"]}
    failed = []
    for message_id, file_id in named.items():
        try:
            if file_id is not None:
                look_at(services(), file_id)
        except Exception:
            log.exception("Drive file %s could not be started", file_id)
            failed.append({"itemIdentifier": message_id})
    if None in named.values() or not named:
        heard(services())
        rung = [_named_in(r["body"], "channel_id") for r in event["Records"]]
        sync(services(), heard_channel=next(filter(None, rung), None))
    return {"batchItemFailures": failed}


def rows_changed(event: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the rows of these jobs up to date; those that could not be are tried again later.

    Any number of hints that people changed something in the table mean one thing: look.
    """
    from chalicelib.steps.desk import look
    from chalicelib.steps.rows import sync_rows

    queues = services().queues
    job_of: dict[str, str] = {}
    attempts: dict[str, int] = {}
    hints = [r for r in event["Records"] if _named_in(r["body"], "desk") is not None]
    for record in event["Records"]:
        if record in hints:
            continue
        job_id = _named_in(record["body"], "job_id")
        if job_id is None:  # it would hold up every message behind it
            queues.set_unreadable_aside(record["body"], "The message names no job.")
            continue
        job_of[record["messageId"]] = job_id
        tried = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
        attempts[job_id] = max(tried, attempts.get(job_id, 1))
    reviewed = look(services()) if hints else []
    again = sync_rows(services(), sorted({*attempts, *reviewed}), attempts)
    retried = [r for r in event["Records"] if job_of.get(r["messageId"]) in again]
    for record in retried:
        wait_s = again[job_of[record["messageId"]]]
        queues.show_row_again(record["receiptHandle"], wait_s)
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in retried]}


def _named_in(body: str, key: str) -> str | None:
    """The text under `key` in a message; None in one that has none."""
    try:
        message = json.loads(body)
    except ValueError:
        return None
    named = message.get(key) if isinstance(message, dict) else None
    return named if isinstance(named, str) and named else None


def encode_changed(event: Mapping[str, Any]) -> None:
    from chalicelib.steps.encode_changed import encode_changed

    encode_changed(services(), event["detail"])


def execution_ended(event: Mapping[str, Any]) -> None:
    from chalicelib.steps.reconcile import execution_ended

    execution_ended(services(), event["detail"])


def sweep_drive() -> None:
    """What a push missed; and a push that misses everything is replaced."""
    from chalicelib.steps.channel import swept
    from chalicelib.steps.sync import sync

    swept(services(), sync(services()))


def renew_channel() -> None:
    from chalicelib.steps.channel import renew

    renew(services())


def reconcile_jobs(event: Mapping[str, Any]) -> None:
    """A schedule's event is empty; one sent by hand may say `{"detail": {"settle_s": 0}}`."""
    from chalicelib.steps.reconcile import reconcile

    settle_s = (event.get("detail") or {}).get("settle_s")
    reconcile(services(), settle_s=None if settle_s is None else float(settle_s))


def requeue_rows() -> None:
    from chalicelib.steps.desk import poll
    from chalicelib.steps.rows import report, requeue

    poll(services())
    requeue(services())
    report(services())
