"""Ways that the stories of the matrix do not go: played once each, for the record of calls only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chalicelib import triggers
from chalicelib.adapters.airtable import AirtableUnavailable
from chalicelib.domain import keys
from chalicelib.domain.encoding import modifier
from chalicelib.domain.job import Status
from chalicelib.domain.job_list import Asked, Sort
from chalicelib.steps import notify, sync
from chalicelib.steps.airtable_pause import PATIENCE
from chalicelib.steps.cancel import cancel
from tests.fakes import ENVIRONMENT, TEMP, aws_error
from tests.model.promises import all_jobs
from tests.reliability.stage import Stage, Strike
from tests.reliability.stories import Story, a_film, the_desk_is_open

SSIM_FILE = b"0,0.98\n1,0.97\n\nAverage: 0.975\n"


#: One for each index that lists are read from.
EVERY_LIST = (
    Asked(),
    Asked(status=Status.FAILED),
    Asked(workflow="compress"),
    Asked(uploader="anna@example.com"),
    Asked(sort=Sort.LARGEST),
    Asked(sort=Sort.MOST_SAVED),
)


def a_person_looks_at_everything(stage: Stage) -> None:
    a_film(stage)
    job, reach = stage.job(), stage.reach()
    film = (reach.settings.temp_bucket, f"jobs/{job.job_id}/source.mov")
    for asked in EVERY_LIST:
        stage.ask("list_jobs", lambda asked=asked: reach.catalogue.list_jobs(asked, limit=10))
    stage.ask("details", lambda: reach.storage.exists(*film))
    stage.ask("details", lambda: reach.storage.presigned_url(*film, expires_s=60))


def a_person_cancels_before_the_encodes_id_is_known(stage: Stage) -> None:
    dropped(stage)
    stage.go_on_until_encoding()
    job_id = stage.job().job_id
    stage.world.records.items[f"job#{job_id}", "job"].pop("encoder_job_id")
    stage.ask("cancel_job", lambda: cancel(stage.reach(), job_id, by="Anna"))


def a_person_cancels_while_the_encode_is_created(stage: Stage) -> None:
    cancelled_after(stage, stage.world.encoder, "create_job")
    dropped(stage)
    stage.go_on()


def a_person_cancels_while_the_result_is_published(stage: Stage) -> None:
    cancelled_after(stage, stage.world.storage, "copy")
    dropped(stage)
    stage.go_on()


def people_want_it_smaller_while_an_old_encode_lives(stage: Stage, *, known: bool = True) -> None:
    the_desk_is_open(stage)
    dropped(stage)
    stage.go_on_until_encoding()
    stage.stop_execution()
    detail = stage.flows.events.pop()
    stage.attempt("execution_ended", lambda: triggers.execution_ended({"detail": detail}))
    stage.go_on_until_encoding()
    if not known:
        job_id = stage.job().job_id
        stage.world.records.items[f"job#{job_id}", "job"].pop("encoder_job_id")
    stage.choose("Redo smaller")
    stage.go_on_until_encoding()


def people_want_it_smaller_while_an_unknown_encode_lives(stage: Stage) -> None:
    people_want_it_smaller_while_an_old_encode_lives(stage, known=False)


def a_week_is_over(stage: Stage) -> None:
    """And is summed up."""
    stage.run_schedule("reconcile")
    a_film(stage)
    stage.time_s += 7 * 86400
    stage.run_schedule("reconcile")


def the_days_money_is_used_up(stage: Stage) -> None:
    """The step dies once it has said so; meanwhile the copy expires and the limit is raised."""
    stage.world.environment = {**ENVIRONMENT, "MAX_COST_PER_DAY": "0.0001"}
    stage.strike = Strike("budget", "flows.heartbeat", error=aws_error("Unavailable", status=503))
    dropped(stage)
    until(stage, lambda: bool(stage.strike and stage.strike.times))
    stage.world.storage.objects.clear()
    stage.world.environment = ENVIRONMENT
    stage.go_on()


def the_encoder_tells_what_it_scored(stage: Stage) -> None:
    """Of the samples of the search, and of the film."""
    dropped(stage)
    stage.go_on_until_encoding()
    job = stage.job()
    assert job.plan is not None and job.plan.search is not None
    objects = stage.world.storage.objects
    for level in job.plan.search.levels:
        at = job.job_id, job.attempt, modifier(level)
        objects[TEMP, keys.sample_key(*at)] = b"film" * 1000
        objects[TEMP, keys.sample_metric_key(*at, job.plan.search.metric)] = SSIM_FILE
    for attempt in range(1, 6):
        objects[TEMP, keys.metric_key(job.job_id, attempt, "SSIM")] = SSIM_FILE
    stage.go_on()


def people_want_to_hear_of_every_start(stage: Stage) -> None:
    known = {
        name: replace(one, notify_kinds=(*one.notify_kinds, "started"))
        for name, one in notify.all_workflows().items()
    }
    stage.patch.setattr(notify, "all_workflows", lambda: known)
    a_film(stage)


def more_is_dropped_than_one_can_read(stage: Stage) -> None:
    enough_s = sync.READ_S
    for tell in (stage.tell_of_changes, lambda: stage.run_schedule("sweep")):
        stage.drop("good")
        stage.drop("good")
        stage.patch.setattr(sync, "READ_S", -1.0)
        tell()
        stage._messages()
        stage.patch.setattr(sync, "READ_S", enough_s)
        stage.go_on()


def what_failed_is_dropped_again(stage: Stage) -> None:
    for tell in (stage.tell_of_changes, lambda: stage.run_schedule("sweep")):
        file_id = stage.drop("broken")
        for trashed in (False, True, False):
            stage.world.drive.change(file_id, trashed=trashed)
            tell()
            stage.go_on()


def its_execution_is_stopped_once_the_result_is_published(stage: Stage) -> None:
    away = aws_error("Unavailable", status=503)
    stage.strike = Strike("announce", "records.append_moment", error=away)
    dropped(stage)
    until(stage, lambda: bool(stage.strike and stage.strike.times))
    stage.stop_execution()
    stage.go_on()


def airtable_comes_back_and_more_rows_wait(stage: Stage) -> None:
    down = [
        AirtableUnavailable("Airtable answered 503.", retry_after_s=10) for _ in range(PATIENCE)
    ]
    stage.world.airtable.fail_next("upsert", *down)
    dropped(stage)
    dropped(stage)
    until(stage, lambda: not stage.world.airtable.failures["upsert"])
    stage.time_s += 86400
    one = {"messageId": "1", "receiptHandle": "h"}
    one["body"] = json.dumps({"job_id": all_jobs(stage)[0].job_id})
    stage.attempt("rows", lambda: triggers.rows_changed({"Records": [one]}))


def dropped(stage: Stage) -> None:
    stage.drop("good")
    stage.tell_of_changes()


def until(stage: Stage, reached: Callable[[], bool], most: int = 200) -> None:
    """Let it go on, a little at a time."""
    for _ in range(most):
        if reached():
            return
        stage._messages() or stage._flows() or stage._encodes() or stage._events()
    raise AssertionError("it was never reached")


def cancelled_after(stage: Stage, adapter: Any, method: str) -> None:
    """Somebody cancels the job once this call has done its work, before its answer arrives."""
    work = getattr(adapter, method)

    def call(*args: Any, **options: Any) -> Any:
        answer = work(*args, **options)
        cancel(stage.world.services, stage.job().job_id, by="Anna")
        return answer

    stage.patch.setattr(adapter, method, call)


RARE: tuple[Story, ...] = (
    a_person_looks_at_everything,
    a_person_cancels_before_the_encodes_id_is_known,
    a_person_cancels_while_the_encode_is_created,
    a_person_cancels_while_the_result_is_published,
    people_want_it_smaller_while_an_old_encode_lives,
    people_want_it_smaller_while_an_unknown_encode_lives,
    a_week_is_over,
    the_days_money_is_used_up,
    the_encoder_tells_what_it_scored,
    people_want_to_hear_of_every_start,
    more_is_dropped_than_one_can_read,
    what_failed_is_dropped_again,
    its_execution_is_stopped_once_the_result_is_published,
    airtable_comes_back_and_more_rows_wait,
)
