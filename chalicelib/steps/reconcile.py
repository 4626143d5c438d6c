"""Reconcile: find open jobs whose execution or encode ended without our hearing of it.

Step Functions runs no Catch when an execution fails outside a state, times out as a whole or is
stopped, and MediaConvert's events may be lost. Both are asked here, for open jobs only. A job
whose closing was cut short, after its record and before its email, is closed to the end.

MediaConvert answers two GetJob calls a second, so it is asked once which encodes wait or run; only
after those that do neither, which is to say whose end was not heard of, is asked one by one.
Where the result lies is computed from the job, because only the event would tell.
Source: https://docs.aws.amazon.com/general/latest/gr/mediaconvert.html (service quotas)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from chalicelib.adapters.encoder import outcome_of
from chalicelib.domain import keys
from chalicelib.domain.errors import JobClosed, SlimreelError
from chalicelib.domain.job import Job, Outcome
from chalicelib.domain.text import iso, parse_iso
from chalicelib.services import Services
from chalicelib.steps import digest, ledger, summary
from chalicelib.steps.budget import admit
from chalicelib.steps.earlier_encode import earlier_encode
from chalicelib.steps.encode_changed import answer_token, finish
from chalicelib.steps.fail import close_failed
from chalicelib.steps.later import or_later
from chalicelib.steps.review import carry_out
from chalicelib.steps.settle import settle
from chalicelib.steps.sync import start_execution
from chalicelib.steps.write_back import try_again

log = logging.getLogger(__name__)

#: A job that was changed more recently is still being started or closed by whoever changed it:
#: longer than any function that closes one may run.
SETTLE_S = 150
#: No invocation of a run that ended so long ago is alive: Lambda ends each after 15 minutes.
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
OUTLIVED_S = 960
#: No step, wait or encode of a film that goes on takes so long without a word of it.
STUCK_AFTER = timedelta(days=1)
#: What a round may take to write results into Drive that it did not take at first. An upload that
#: is not through by then goes on in the next.
WRITE_BACK_S = 60.0
#: So many jobs in a row that could not be settled, and the rest wait for the next time: a topic
#: that is away must not use up the time of those whose encodes have ended.
UNSETTLED_IN_A_ROW = 3


def execution_ended(services: Services, detail: Mapping[str, Any]) -> None:
    """Close the job of an execution that FAILED, TIMED_OUT or was ABORTED."""
    named = keys.job_and_run(str(detail["name"]))
    job = services.records.get(named[0]) if named else None
    if job is None or named is None or job.run != named[1] or not job.status.is_open:
        # A flow that ended in its own Fail state has closed the job. If people were not told yet,
        # `reconcile` tells them: two at once would tell them twice.
        return
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
    encodes = _Encodes(services)
    unsettled_in_a_row = open_jobs = stuck_jobs = 0
    to_digest: list[Job] = []
    away: set[str] = set()  # of those to be called back
    ways_back = _WaysBack()
    for listed in services.records.open_jobs():
        open_jobs += listed.status.is_open
        stuck_jobs += _is_stuck(listed, now)
        # A clock that was set back meanwhile makes it look as if written in the future.
        if abs((now - parse_iso(listed.updated_at)).total_seconds()) < settle_s:
            continue
        try:
            # The list is a while old when a job's turn comes: it may have ended well since.
            job = services.records.get(listed.job_id)
            if job is None:
                continue
            job = _reviewed(services, job)
            if job.status.is_open:
                _reconcile_job(services, job, encodes)
            elif job.digest_since is not None:
                to_digest.append(job)
            elif job.way_back is not None and job.way_back.waits_alone:
                ways_back.go_on(services, job, now)
            elif unsettled_in_a_row < UNSETTLED_IN_A_ROW and _claimed(services, job, now):
                long_ago = _ended_long_ago(job, now)
                settled = settle(services, job, nothing_runs=long_ago, away=away)
                unsettled_in_a_row = 0 if settled else unsettled_in_a_row + 1
        except SlimreelError as error:
            log.warning("job %s: not reconciled: %s", listed.job_id, error)
        except Exception:
            # Whatever is wrong with this one, the others must not wait for it.
            log.exception("job %s: not reconciled", listed.job_id)
    _tell_of_many(services, to_digest, now)
    summary.send_due(services)
    services.metrics.put({"OpenVideos": open_jobs, "StuckVideos": stuck_jobs}, at=now)


def _is_stuck(job: Job, now: datetime) -> bool:
    """Nothing moved for a day, and the job does not say what it waits for."""
    if not job.status.is_open:
        moved = job.completed_at or job.updated_at  # looking after it changes `updated_at`
    else:
        moved = max([job.updated_at, *(moment.at for moment in job.timeline[-1:])])
    if job.way_back is not None and job.way_back.waits_alone:
        return False  # its row says what it waits for, and for a week at most
    return job.waiting is None and now - parse_iso(moved) > STUCK_AFTER


class _WaysBack:
    """The results that Drive did not take at first, as many as there is time for."""

    def __init__(self) -> None:
        self._deadline: float | None = None
        self._refused: set[str] = set()  # workflows: what is wrong is often wrong for all of theirs

    def go_on(self, services: Services, job: Job, now: datetime) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + WRITE_BACK_S
        back = job.way_back
        assert back is not None
        if not back.is_over:
            has_time = time.monotonic() < self._deadline
            if not back.is_due(now) or not has_time or job.workflow in self._refused:
                return
            if not _claimed(services, job, now):
                return
            if not try_again(services, job, self._deadline):
                self._refused.add(job.workflow)
            job = services.records.get(job.job_id) or job
        if job.way_back is None or job.way_back.is_over:
            settle(services, job, nothing_runs=_ended_long_ago(job, now))


def _tell_of_many(services: Services, waiting: Sequence[Job], now: datetime) -> None:
    """Send what was put off until now, and finish what waited for that."""
    for job in digest.send(services, waiting):
        settle(services, job, nothing_runs=_ended_long_ago(job, now))


def _reviewed(services: Services, job: Job) -> Job:
    """The job after what is left of its last review was done, or tried."""
    if job.review is None or not job.review.is_pending:
        return job
    or_later(job, "its review was not finished", lambda: carry_out(services, job))
    return services.records.get(job.job_id) or job


def _ended_long_ago(job: Job, now: datetime) -> bool:
    ended = job.completed_at or job.updated_at
    return abs((now - parse_iso(ended)).total_seconds()) > OUTLIVED_S


def _claimed(services: Services, job: Job, now: datetime) -> bool:
    """Whether it is ours to close this job to the end, for as long as `SETTLE_S`.

    A schedule may fire twice, and two who settle a job at once send two emails.
    """
    claim, seen = {"updated_at": iso(now)}, {"run": job.run, "updated_at": job.updated_at}
    return services.records.update(job.job_id, claim, only_if=seen, row=False) is not None


class _Encodes:
    """What MediaConvert says about encodes, asked once for all of them."""

    def __init__(self, services: Services) -> None:
        self._encoder = services.encoder
        self._unfinished: set[str] | None = None

    def outcome(self, job: Job, encoder_job_id: str) -> Outcome | None:
        """None while it waits or runs."""
        if self._unfinished is None:
            self._unfinished = self._encoder.unfinished_jobs()
        if encoder_job_id in self._unfinished:
            return None
        return outcome_of(self._encoder.get_job(encoder_job_id), job.attempt)


def _reconcile_job(services: Services, job: Job, encodes: _Encodes) -> None:
    status = services.flows.status(job.workflow, keys.execution_name(job.job_id, job.run))
    if status is None or not job.execution_started:
        start_execution(services, job)
    elif status != "RUNNING":
        close_failed(services, job, _ERRORS.get(status, "Unexpected"), f"execution {status}")
    elif job.step == "budget" and job.task_token is not None:
        admit(services, job)
    elif job.outcome is not None:
        # Whoever stored it may have died before answering; a token answered before is no error.
        answer_token(services, job)
    elif job.task_token is not None:
        _ask_encoder(services, job, job.task_token, encodes)


def _ask_encoder(services: Services, job: Job, token: str, encodes: _Encodes) -> None:
    encoder_job_id = job.encoder_job_id or _found(services, job)
    if encoder_job_id is None:
        return
    outcome = encodes.outcome(job, encoder_job_id)
    if outcome is not None:
        finish(services, job, outcome)
    else:
        # A job waiting in MediaConvert's queue sends no events, so its flow would time out.
        services.flows.heartbeat(token)


def _found(services: Services, job: Job) -> str | None:
    """The encode whose creator died before it could write down the id."""
    found = earlier_encode(services, job)
    if found is not None:
        wanted = {"attempt": job.attempt}
        ledger.write(services, job, row=False, only_if=wanted, encoder_job_id=found)
    return found
