"""Reviews: what people choose in the table is done once, at any moment, and answered in the row."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.adapters.airtable import AirtableRefused, AirtableUnavailable
from chalicelib.api import videos
from chalicelib.domain import link
from chalicelib.domain.job import Status
from chalicelib.domain.review import Choice, State
from chalicelib.steps import review as review_step
from chalicelib.steps.reconcile import reconcile
from tests.examples import a_measurement, a_score, a_workflow
from tests.fakes import INBOX, Killed, Peril
from tests.unit.control_room import RESULT, SOURCE, ControlRoom, control_room
from tests.unit.test_steps_retry import LOW, completed, encoding, failed, kept

__all__ = ["control_room"]
Rooms = Callable[[], ControlRoom]
#: Good enough for every preset.
FINE = a_measurement(score=a_score(mean=0.995, worst_1_percent=0.99))
DONE_FOLDER = "done-folder-id"


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow that moves the originals of approved results."""
    flows = {"compress": a_workflow(drive_folder=INBOX, done_folder=DONE_FOLDER)}
    monkeypatch.setattr(review_step, "all_workflows", lambda: flows)


def write_rows(room: ControlRoom) -> None:
    """The rows' writer, on everything that waits for it."""
    queues = room.world.queues
    bodies = [f'{{"job_id": "{job_id}"}}' for job_id, _ in queues.dirty]
    bodies += ['{"desk": "look"}' for _ in queues.desk]
    queues.dirty.clear()
    queues.desk.clear()
    records = [
        {"messageId": str(n), "body": body, "receiptHandle": str(n)}
        for n, body in enumerate(bodies)
    ]
    if records:
        assert triggers.rows_changed({"Records": records}) == {"batchItemFailures": []}


def choose(room: ControlRoom, choice: Choice, **who: Any) -> None:
    """Somebody chooses in the row, and Airtable pings."""
    room.measured = room.measured or [FINE] * 5
    write_rows(room)
    room.world.desk.choose(room.job_id, choice.value, **who)
    room.world.queues.look_at_desk("ping")


def row(room: ControlRoom) -> dict[str, Any]:
    return room.world.airtable.rows[room.job_id]


def answer(room: ControlRoom) -> str:
    while room.world.queues.dirty or room.world.queues.desk:
        write_rows(room)
    assert row(room).get("Review") is None
    return str(row(room)["Review Answer"])


# Each choice


def test_what_is_approved_says_by_whom(control_room: Rooms) -> None:
    room = completed(control_room())
    choose(room, Choice.APPROVE)
    assert answer(room) == "1. Approve (Mia, 4 May 2026, 09:30 UTC): Approved."
    approved = room.job.approved
    assert approved is not None and (approved.run, approved.by) == (1, "Mia")
    assert room.job.requests[-1].action == "approve"
    assert room.published() == {room.job.published_key: RESULT}


def test_the_original_of_what_is_approved_moves_into_the_folder_of_done_ones(
    control_room: Rooms, moves: None
) -> None:
    room = completed(control_room())
    choose(room, Choice.APPROVE)
    assert "is being moved" in answer(room)
    room.hours_later()
    assert answer(room).endswith(review_step.MOVED)
    assert room.world.drive.files[room.job.file_id].parents == (DONE_FOLDER,)
    assert room.world.drive.contents[room.job.file_id] == SOURCE
    assert room.job.review is not None and room.job.review.state is State.DONE
    assert list(room.world.records.open_jobs()) == []


def test_a_newer_version_is_not_moved(control_room: Rooms, moves: None) -> None:
    room = completed(control_room())
    choose(room, Choice.APPROVE)
    room.world.drive.replace(room.job.file_id, b"another take")
    answer(room)
    room.hours_later()
    assert "newer content" in answer(room)
    assert room.world.drive.files[room.job.file_id].parents == (INBOX,)


@pytest.mark.parametrize(
    ("choice", "preset"), [(Choice.REDO_BETTER, "high"), (Choice.REDO_SMALLER, "compression")]
)
def test_a_redo_is_a_run_with_the_next_preset(
    control_room: Rooms, choice: Choice, preset: str
) -> None:
    room = completed(control_room())
    choose(room, choice)
    assert f"Run 2 with preset {preset} is on its way" in answer(room)
    room.play()
    room.hours_later()
    job = room.job
    assert (job.status, job.run, job.published_run) == (Status.COMPLETED, 2, 2)
    assert job.plan is not None and job.plan.preset == preset
    assert room.published() == {job.published_key: RESULT}


def test_where_the_ladder_ends_it_says_so(control_room: Rooms) -> None:
    room = completed(control_room())
    for _ in range(2):
        choose(room, Choice.REDO_BETTER)
        answer(room)
        room.play()
    assert room.job.run == 2
    assert "there is no preset that is better than high" in answer(room)


def test_the_original_is_published_in_place_of_the_result(control_room: Rooms) -> None:
    room = completed(control_room())
    choose(room, Choice.KEEP_ORIGINAL)
    assert "Run 2 to publish the original is on its way" in answer(room)
    room.play()
    room.hours_later()
    job = room.job
    assert (job.status, job.published_run) == (Status.KEPT_ORIGINAL, 2)
    assert room.published() == {job.published_key: SOURCE}
    assert job.reason is not None and job.reason.startswith("Mia asked for the original on")
    choose(room, Choice.KEEP_ORIGINAL)
    assert "the original is what is published already" in answer(room)
    choose(room, Choice.REDO_SMALLER)  # and a later run is an ordinary one again
    answer(room)
    room.play()
    assert room.job.status is Status.COMPLETED


def test_a_deleted_result_is_gone_and_the_link_says_so(
    control_room: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = completed(control_room())
    monkeypatch.setattr(videos, "services", lambda: room.services)
    signature = link.video_link("https://x", room.job_id, "key", 0).partition("s=")[2]
    assert videos.open_link(room.job_id, signature).status_code == 302
    choose(room, Choice.DELETE_RESULT)
    assert "The published file was deleted by Mia" in answer(room)
    assert row(room)["Compressed URL"] is None and row(room)["Compressed Size (MB)"] is None
    gone = videos.open_link(room.job_id, signature)
    assert gone.status_code == 410 and "deleted by Mia" in gone.body["message"]
    assert videos.open_link(room.job_id, "wrong").status_code == 404
    assert room.world.drive.contents[room.job.file_id] == SOURCE
    room.hours_later()
    assert room.published() == {}
    assert room.job.litter == () and list(room.world.records.open_jobs()) == []
    assert room.emails() == ["completed"]
    choose(room, Choice.REDO_SMALLER)
    answer(room)
    room.play()
    assert room.published() == {room.job.published_key: RESULT}
    assert videos.open_link(room.job_id, signature).status_code == 302


# At any moment


@pytest.mark.parametrize("choice", list(Choice))
def test_a_job_on_its_way_is_left_alone(control_room: Rooms, choice: Choice) -> None:
    room = encoding(control_room())
    choose(room, choice)
    assert "Nothing was done: " in answer(room)
    room.play()
    assert (room.job.status, room.job.run) == (Status.COMPLETED, 1)


@pytest.mark.parametrize("choice", [Choice.APPROVE, Choice.DELETE_RESULT])
def test_without_a_result_there_is_nothing_to_approve_or_delete(
    control_room: Rooms, choice: Choice
) -> None:
    room = failed(control_room())
    choose(room, choice)
    assert "there is no published result; the job is Failed" in answer(room)


def test_what_failed_can_be_redone_and_kept(control_room: Rooms) -> None:
    room = failed(control_room())
    choose(room, Choice.KEEP_ORIGINAL)
    answer(room)
    room.play()
    assert room.job.status is Status.KEPT_ORIGINAL
    assert room.published() == {room.job.published_key: SOURCE}


def test_an_original_that_was_kept_can_be_approved(control_room: Rooms) -> None:
    room = kept(control_room())
    choose(room, Choice.APPROVE)
    assert answer(room).endswith("Approved.")


def test_a_choice_about_an_older_run_is_not_carried_out(control_room: Rooms) -> None:
    room = completed(control_room())
    choose(room, Choice.DELETE_RESULT)
    taken = review_step.take(room.person(), room.world.desk.wishes().found[0])
    assert taken is not None
    choose_later = replace(taken.review, run=0)  # type: ignore[type-var]
    room.world.records.update(room.job_id, {"review": choose_later})
    reconcile_later(room)
    assert "run 1 has begun since" in answer(room)
    assert room.published() == {room.job.published_key: RESULT}


def reconcile_later(room: ControlRoom) -> None:
    room.clock += timedelta(minutes=6)
    reconcile(room.person())


# Lost and repeated


def test_a_lost_ping_is_made_up_for_by_the_next_look(control_room: Rooms) -> None:
    room = completed(control_room())
    triggers.requeue_rows()
    write_rows(room)  # the webhook is there
    assert list(room.world.desk.webhooks) == ["ach1"]
    choose(room, Choice.APPROVE)
    room.world.queues.desk.clear()  # lost
    triggers.requeue_rows()
    write_rows(room)
    assert row(room)["Review"] == "Approve" and room.job.approved is None
    room.clock += timedelta(hours=6)
    triggers.requeue_rows()
    assert answer(room).endswith("Approved.")


def test_a_base_without_the_fields_is_asked_seldom_and_then_heard(control_room: Rooms) -> None:
    room = completed(control_room())
    desk, refused = room.world.desk, AirtableRefused("no field Review", status=422)
    desk.fail_next("watch", refused, refused)
    desk.fail_next("wishes", refused, refused)
    looks = []
    for _ in range(80):  # ten minutes each: thirteen hours
        triggers.requeue_rows()
        looks.append(bool(room.world.queues.desk))
        write_rows(room)
        room.clock += timedelta(minutes=10)
    assert sum(looks) == 3 and list(desk.webhooks) == ["ach1"]
    choose(room, Choice.APPROVE)
    assert answer(room).endswith("Approved.")


def test_without_a_webhook_the_table_is_looked_at_now_and_then(control_room: Rooms) -> None:
    room = completed(control_room())
    room.world.desk.fail_next("watch", AirtableRefused("no webhook:manage", status=403))
    looks = 0
    for _ in range(60):  # ten hours
        triggers.requeue_rows()
        looks += len(room.world.queues.desk)
        write_rows(room)
        room.clock += timedelta(minutes=10)
    assert looks == 10


def test_a_ping_again_and_again_does_it_once(control_room: Rooms) -> None:
    room = completed(control_room())
    choose(room, Choice.REDO_BETTER)
    for _ in range(5):
        room.world.queues.look_at_desk("ping")
        write_rows(room)
    room.play()
    room.world.queues.look_at_desk("ping")
    assert answer(room).startswith("1. Redo better")
    assert room.job.run == 2 and len(room.job.requests) == 1


def test_the_same_choice_made_again_is_another_wish(control_room: Rooms) -> None:
    room = completed(control_room())
    for number in (1, 2):
        choose(room, Choice.APPROVE)
        assert answer(room).startswith(f"{number}. Approve")


def test_rows_that_airtable_does_not_take_have_nothing_done_twice(control_room: Rooms) -> None:
    room = completed(control_room())
    choose(room, Choice.REDO_SMALLER)
    room.world.airtable.fail_next("upsert", AirtableUnavailable("down", retry_after_s=1))
    triggers.rows_changed(
        {"Records": [{"messageId": "1", "body": '{"desk": "look"}', "receiptHandle": "1"}]}
    )
    room.world.queues.desk.clear()
    assert row(room)["Review"] == "Redo smaller"  # it still stands there
    for _ in range(2):
        room.world.queues.look_at_desk("ping")
        write_rows(room)
    room.play()
    assert answer(room).startswith("1. Redo smaller")
    assert room.job.run == 2 and room.job.preset == "compression"


@pytest.mark.parametrize("choice", [c for c in Choice if c is not Choice.REDO_BETTER])
def test_a_death_at_any_call_leaves_what_the_next_one_finishes(
    control_room: Rooms, choice: Choice, moves: None
) -> None:
    at, died = 0, True
    while died:
        at += 1
        room = completed(control_room())
        choose(room, choice)
        peril = Peril(at=at)
        room.watched_by(peril)
        with contextlib.suppress(Killed):
            write_rows(room)
        died = peril.dead
        room.watched_by(Peril())
        room.world.queues.look_at_desk("message again")
        write_rows(room)
        room.play()
        room.hours_later()
        triggers.requeue_rows()
        said, where = answer(room), f"{choice}, died at {at}: {peril.calls[-1:]}"
        assert said.startswith(f"1. {choice}"), where
        job = room.job
        runs = 1 if choice in (Choice.APPROVE, Choice.DELETE_RESULT) else 2
        assert job.run == runs and not job.status.is_open, where
        assert len(job.requests) == 1, where
        assert job.litter == () and room.temporary() == [], where
        assert list(room.world.records.open_jobs()) == [], where
        if choice is Choice.DELETE_RESULT:
            assert room.published() == {} and job.published_key is None, where
        else:
            body = SOURCE if choice is Choice.KEEP_ORIGINAL else RESULT
            assert room.published() == {job.published_key: body}, where
        parents = room.world.drive.files[job.file_id].parents
        assert parents == ((DONE_FOLDER,) if choice is Choice.APPROVE else (INBOX,)), where
    assert at > 5


def test_a_bucket_that_does_not_answer_loses_its_file_later(control_room: Rooms) -> None:
    room = completed(control_room())
    choose(room, Choice.DELETE_RESULT)
    room.world.storage.fail_next("delete_prefix", *[OSError("no answer")] * 2)
    answer(room)
    room.hours_later()
    assert room.published() == {} and room.job.litter == ()


def test_low_quality_is_no_reason_to_refuse_a_choice(control_room: Rooms) -> None:
    room = control_room()
    room.measured = [LOW] * 6
    room.drop()
    room.play()
    choose(room, Choice.REDO_SMALLER)
    answer(room)
    assert room.job.run == 2
