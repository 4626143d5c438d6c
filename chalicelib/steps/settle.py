"""Settle: what is left to do for a job that has ended: tell people, tidy up, add it to
the figures, take it off the list.

No part waits for another, and none can undo that the job has ended: a topic that takes no
messages for hours costs no execution its good end. Whatever could not be done leaves the job on
the list of open ones, and `reconcile` comes back to it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from chalicelib.domain import keys
from chalicelib.domain.job import Job, Status
from chalicelib.domain.tally import tally
from chalicelib.services import Services
from chalicelib.steps.call_back import call_back
from chalicelib.steps.earlier_encode import earlier_encode
from chalicelib.steps.later import or_later
from chalicelib.steps.notify import notify

#: A failed job keeps its temporary files until the bucket expires them: evidence, and a retry's
#: head start.
_TIDIED = (Status.COMPLETED, Status.KEPT_ORIGINAL, Status.CANCELLED)


def settle(
    services: Services,
    job: Job,
    *,
    nothing_runs: bool = False,
    calls_back: bool = True,
    away: set[str] | None = None,
) -> bool:
    """Finish what ending `job` began. False when some of it could not be done now.

    An address that does not answer is called again by a time-table of its own: meanwhile the job
    stays on the list, but that is no reason to leave others waiting.

    Args:
        calls_back: also who asked to be called; not for one who waits for an answer himself.
        away: origins that did not answer a moment ago.
        nothing_runs: no invocation of this run can be alive any more. Only then is it sure that
            nothing appears again after it was removed, and only then is removed what lies beside
            the published results.
    """
    was_cut_short = job.status is Status.CANCELLED
    told: list[Job] = []
    done = [
        not was_cut_short or or_later(job, "it was not stopped", lambda: stop(services, job)),
        or_later(job, "people were not told", lambda: told.append(notify(services, job))),
        or_later(job, "temporary files were not removed", lambda: _tidy_up(services, job)),
        or_later(job, "it was not added to the figures", lambda: _count(services, job)),
    ]
    is_told = not job.callbacks or (calls_back and _called_back(services, job, away))
    if not all(done):
        return False
    if (was_cut_short or job.litter) and not nothing_runs:
        return True
    if not or_later(job, "unpublished copies were not removed", lambda: _sweep(services, job)):
        return False
    if not is_told:
        return True  # `reconcile` has to come back: they are called by a time-table of their own
    if told and told[0].digest_since is not None:
        return True  # `reconcile` has to come back: the list of open jobs is what digests go by
    if job.way_back is not None and not job.way_back.is_over:
        _leave_to_write_back(services, job)
        return True  # `reconcile` has to come back: it is not in Drive yet
    if job.review is None or not job.review.is_pending:  # else `reconcile` has to come back
        services.records.settle(job.job_id, job.run, only_if={"review": job.review})
    return True


def _leave_to_write_back(services: Services, job: Job) -> None:
    """From now on `reconcile` looks after nothing else of the job, however long Drive refuses."""
    back = job.way_back
    if back is not None and not back.waits_alone:
        alone = {"write_back": replace(back, waits_alone=True)}
        unchanged = {"run": job.run, "write_back": back}
        services.records.update(job.job_id, alone, only_if=unchanged, row=False)


def _called_back(services: Services, job: Job, away: set[str] | None) -> bool:
    told: list[bool] = []
    or_later(job, "nobody was called", lambda: told.append(call_back(services, job, away)))
    return told == [True]


def stop_encode(services: Services, job: Job) -> None:
    """Cancel the encode of the job's current attempt, if there is one that may still run."""
    if job.outcome is not None or job.source_key is None or job.plan is None:
        return
    encoder_job_id = job.encoder_job_id or earlier_encode(services, job)
    if encoder_job_id is not None:
        services.encoder.cancel_job(encoder_job_id)


def stop(services: Services, job: Job) -> None:
    """Stop what still runs for a cancelled job. Its execution ends by itself once the task it
    waits at has an answer.
    """
    if job.task_token is not None:
        cause = json.dumps({"errorMessage": job.reason})
        services.flows.fail(job.task_token, error="JobClosed", cause=cause)
    stop_encode(services, job)


def _count(services: Services, job: Job) -> None:
    services.catalogue.count(tally(job), keys.execution_name(job.job_id, job.run))


def _tidy_up(services: Services, job: Job) -> None:
    """Remove what this run and those before it left, and nothing that a later one is making."""
    if job.status not in _TIDIED:
        return
    sources = {keys.source_key(job.job_id, job.file_name, n) for n in range(1, job.run + 1)}
    if services.settings.keep_originals and job.status is Status.COMPLETED:
        sources -= {job.source_key}  # people compare the result with it
    attempts = {keys.attempt_prefix(job.job_id, n) for n in range(1, job.attempt + 1)}
    for prefix in sorted(sources | attempts):
        services.storage.delete_prefix(services.settings.temp_bucket, prefix)


def _sweep(services: Services, job: Job) -> None:
    """Remove copies that never became the published result, and results that were replaced."""
    if not job.litter:
        return
    for key in job.litter:
        if key != job.published_key:
            services.storage.delete_prefix(services.settings.compressed_bucket, key)
    services.records.update(
        job.job_id, {"litter": ()}, only_if={"run": job.run, "status": job.status}, row=False
    )
