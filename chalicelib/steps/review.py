"""Review: do what a person chose in the table, once, and say in the row what came of it.

The choice is written into the job's record first, with a number of its own, and the record stays
on the list of open jobs until it is done. So whoever dies over it leaves something that
`reconcile` finishes, and nothing that could be done twice: each action holds the condition that
the job is still in the run the person looked at.

The original in Drive may be moved into a folder of done ones. Nothing here deletes it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from chalicelib.adapters.drive_errors import DriveError
from chalicelib.config import all_presets, all_workflows
from chalicelib.domain.control import CannotDo
from chalicelib.domain.drive import version_names
from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Job, Request, Status
from chalicelib.domain.review import (
    Approval,
    Choice,
    Review,
    State,
    Wish,
    deleted_because,
    is_answered,
    kept_because,
    no_step,
    reviewer,
)
from chalicelib.domain.text import iso
from chalicelib.services import Services
from chalicelib.steps.ledger import tell_row_writer
from chalicelib.steps.retry import retry

log = logging.getLogger(__name__)

#: What can be approved or deleted.
_PUBLISHED = (Status.COMPLETED, Status.KEPT_ORIGINAL)
MOVING = "Approved. The original is being moved into the folder of done ones."
MOVED = "Approved. The original is in the folder of done ones."


def take(services: Services, wish: Wish) -> Job | None:
    """Write the choice into the job's record, unless it was; None where there is no such job."""
    job = services.records.get(wish.job_id)
    if job is None:
        log.warning("row %s: there is no job %s", wish.row_id, wish.job_id[:40])
        return None
    if is_answered(wish, job.review, job.review_shown):
        return job
    review = Review(
        number=job.review.number + 1 if job.review else 1,
        choice=wish.choice,
        run=job.run,
        by=reviewer(wish.by),
        at=iso(services.now()),
    )
    taken = _write(services, job, {"review": review}, {"review": job.review})
    if taken is not None:
        return taken
    now = services.records.get(wish.job_id)
    # An AWS client repeats a call whose answer was lost, and then meets its own write. Else the
    # job began another run this moment: the choice is still in the row for the next look.
    return now if now is not None and now.review == review else None


def carry_out(services: Services, job: Job) -> Job:
    """Do what is left of the job's last review; returns the job as it then is.

    Raises:
        Temporary: Drive or AWS does not answer; the next time goes on.
    """
    review = job.review
    if review is None or not review.is_pending:
        return job
    if review.state is State.MOVING:
        return _move(services, job, review)
    match Choice(review.choice):
        case Choice.APPROVE:
            return _approve(services, job, review)
        case Choice.REDO_BETTER | Choice.REDO_SMALLER as choice:
            return _redo(services, job, review, choice)
        case Choice.KEEP_ORIGINAL:
            return _keep_original(services, job, review)
        case Choice.DELETE_RESULT:
            return _delete_result(services, job, review)


def _approve(services: Services, job: Job, review: Review) -> Job:
    if problem := _not_published(job, review):
        return _answer(services, job, review, problem)
    workflow = all_workflows().get(job.workflow)
    moves = workflow is not None and workflow.done_folder is not None
    said = replace(
        review,
        state=State.MOVING if moves else State.DONE,
        answer=MOVING if moves else "Approved.",
    )
    changes = {
        "review": said,
        "approved": Approval(run=job.run, by=review.by, at=review.at),
        "requests": (*job.requests, _request(review, "approve")),
    }
    return _done(services, job, changes, review, published_key=job.published_key)


def _move(services: Services, job: Job, review: Review) -> Job:
    """The original of an approved result, into the folder its workflow names."""
    workflow = all_workflows().get(job.workflow)
    if workflow is None or workflow.done_folder is None:
        return _answer(services, job, review, "Approved.")
    if job.run != review.run:
        said = f"Approved. The original was not moved: run {job.run} has begun since."
        return _answer(services, job, review, said)
    try:
        file = services.drive.get(job.file_id)
        if job.version_key not in version_names(file):
            said = "Approved. The original was not moved: there is newer content in its place."
        elif workflow.done_folder in file.parents:
            said = MOVED
        else:
            folder = workflow.done_folder
            services.drive_writer.move(job.file_id, into=folder, out_of=file.parents)
            said = MOVED
    except Temporary:
        raise
    except DriveError as error:
        said = f"Approved. The original could not be moved: {error.reason}"
    return _answer(services, job, review, said)


def _redo(services: Services, job: Job, review: Review, choice: Choice) -> Job:
    workflow = all_workflows().get(job.workflow)
    # In the run that was looked at; once a new one has begun, what it wants is the ladder's step.
    if job.run == review.run:
        used = job.preset or job.wanted_preset or (workflow.preset if workflow else None)
        preset = all_presets().get(used) if used else None
        step = None
        if preset is not None:
            step = preset.better if choice is Choice.REDO_BETTER else preset.smaller
        if step is None:
            return _answer(services, job, review, no_step(choice, used))
    else:
        step = job.wanted_preset
    return _new_run(services, job, review, f"with preset {step}", preset=step)


def _keep_original(services: Services, job: Job, review: Review) -> Job:
    if job.run == review.run and job.status is Status.KEPT_ORIGINAL and job.published_key:
        said = "Nothing was done: the original is what is published already."
        return _answer(services, job, review, said)
    why = kept_because(review.by, services.now())
    return _new_run(services, job, review, "to publish the original", wants_original=why)


def _new_run(services: Services, job: Job, review: Review, what_for: str, **options: Any) -> Job:
    try:
        begun = retry(
            services, job.job_id, by=review.by, force=True, after_run=review.run, **options
        )
    except CannotDo as problem:
        return _answer(services, job, review, f"Nothing was done: {problem}")
    ours = any(
        asked.action == "retry" and asked.run == review.run + 1 and asked.by == review.by
        for asked in begun.requests
    )
    said = f"Run {begun.run} {what_for} is on its way. What is published stays until then."
    if not ours:
        said = f"Nothing was done: somebody else had begun run {begun.run} a moment before."
    return _answer(services, begun, review, said)


def _delete_result(services: Services, job: Job, review: Review) -> Job:
    if problem := _not_published(job, review):
        return _answer(services, job, review, problem)
    key = job.published_key
    assert key is not None
    gone = deleted_because(review.by, services.now())
    changes = {
        "review": replace(review, state=State.DONE, answer=gone),
        "published_key": None,
        "published_size_bytes": None,
        "saved_bytes": None,
        "published_run": None,
        "approved": None,
        "result_deleted": gone,
        "reason": gone,
        "litter": (*job.litter, key),
        "requests": (*job.requests, _request(review, "delete result")),
    }
    # It is litter now, which `reconcile` removes once nothing of the run can be alive.
    return _done(services, job, changes, review, published_key=key)


def _not_published(job: Job, review: Review) -> str | None:
    if job.run != review.run:
        return (
            f"Nothing was done: run {job.run} has begun since. Look at its result and choose again."
        )
    if job.status not in _PUBLISHED or job.published_key is None:
        return f"Nothing was done: there is no published result; the job is {job.status.value}."
    return None


def _request(review: Review, action: str) -> Request:
    return Request(action=action, by=review.by, at=review.at, run=review.run)


def _answer(services: Services, job: Job, review: Review, said: str) -> Job:
    """It is done, or will not be."""
    answered = replace(review, state=State.DONE, answer=said)
    changed = _write(services, job, {"review": answered}, {"review": review})
    return changed or services.records.get(job.job_id) or job


def _done(
    services: Services, job: Job, changes: dict[str, Any], review: Review, **seen: Any
) -> Job:
    """Change the job as it was looked at; when it has changed meanwhile, the next time decides."""
    only_if = {"review": review, "status": job.status, **seen}
    changed = _write(services, job, changes, only_if)
    return changed or services.records.get(job.job_id) or job


def _write(
    services: Services, job: Job, changes: dict[str, Any], only_if: dict[str, Any]
) -> Job | None:
    stamped = {"updated_at": iso(services.now()), **changes}
    fenced = {"run": job.run, **only_if}
    changed = services.records.update(job.job_id, stamped, only_if=fenced, unsettled=True)
    if changed is not None:
        tell_row_writer(services, changed)
    return changed
