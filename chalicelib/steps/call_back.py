"""Call back: tell whoever submitted a job and gave an address that it has ended.

At least once: who was called and died before noting it is called again, with the same `id`. What
could not be told is tried again by `reconcile`, at growing intervals for `GIVE_UP_AFTER`, for which
the job stays on the list of open ones; then it is given up, and the record says why.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from chalicelib.adapters.callbacks import CallbackRefused
from chalicelib.domain.callback import HEADER, Callback, body_of, due_again, signature
from chalicelib.domain.errors import SlimreelError
from chalicelib.domain.job import Job
from chalicelib.domain.job_view import job_view
from chalicelib.domain.text import iso, parse_iso
from chalicelib.services import Services
from chalicelib.steps import ledger

log = logging.getLogger(__name__)


def call_back(services: Services, job: Job, away: set[str] | None = None) -> bool:
    """Call who is due; whether nobody is left to be called.

    Args:
        away: origins that did not answer a moment ago; they are passed over, and more are noted.
    """
    away = set() if away is None else away
    waiting = [_of_this_run(callback, job) for callback in job.callbacks]
    now = services.now()
    if not any(callback.is_due(now) and callback.origin not in away for callback in waiting):
        return all(callback.is_over for callback in waiting)
    tried = tuple(_called(services, job, callback, away) for callback in waiting)
    if tried != job.callbacks:
        ledger.write(
            services, job, row=False, ended_too=True, only_if={"run": job.run}, callbacks=tried
        )
    return all(callback.is_over for callback in tried)


def _of_this_run(callback: Callback, job: Job) -> Callback:
    return callback if callback.run == job.run else Callback(url=callback.url, run=job.run)


def _called(services: Services, job: Job, callback: Callback, away: set[str]) -> Callback:
    now = services.now()
    if not callback.is_due(now) or callback.origin in away:
        return callback
    try:
        _tell(services, job, callback)
    except SlimreelError as error:
        log.warning("job %s: not called back: %s", job.job_id, error)
        away.add(callback.origin)
        again = None
        if not isinstance(error, CallbackRefused):
            ended = parse_iso(job.completed_at or job.updated_at)
            again = due_again(callback.tries + 1, now=now, ended=ended)
        return replace(
            callback,
            tries=callback.tries + 1,
            next_at=iso(again) if again else None,
            problem=str(error),
            given_up=again is None,
        )
    return replace(callback, told_at=iso(now), next_at=None, problem=None)


def _tell(services: Services, job: Job, callback: Callback) -> None:
    link = services.link_to(job) if job.published_key is not None else None
    now = services.now()
    body = body_of(job_view(job, link=link), at=now)
    headers = {HEADER: signature(services.callback_key, body, at=now), "User-Agent": "Slimreel"}
    services.callbacks.post(callback.url, body, headers)
