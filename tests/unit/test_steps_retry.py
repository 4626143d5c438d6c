"""Retry: a new run of the same job, which the old one cannot harm. Nothing published is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import chain
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.domain.control import BadRequest, NotNow, UnknownJob
from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import iso
from chalicelib.steps.cancel import cancel
from chalicelib.steps.retry import FORGOTTEN, retry
from tests.examples import a_measurement, a_score
from tests.fakes import COMPRESSED, TEMP, Killed, Peril, aws_error, event
from tests.unit.control_room import RESULT, SOURCE, ControlRoom, StepIn, control_room

__all__ = ["control_room"]
Rooms = Callable[[], ControlRoom]
LOW = a_measurement(score=a_score(mean=0.90))


def encoding(room: ControlRoom) -> ControlRoom:
    room.drop()
    room.play(until=lambda: bool(room.encoding()))
    return room


def failed(room: ControlRoom) -> ControlRoom:
    """MediaConvert could not read it."""
    encoding(room)
    detail = room.world.encoder.end(room.encoding()[0], "ERROR", errorCode=1075)
    triggers.encode_changed({"detail": detail})
    room.play()
    assert room.job.status is Status.FAILED
    return room


def cancelled(room: ControlRoom) -> ControlRoom:
    encoding(room)
    cancel(room.person(), room.job_id, by="anna")
    room.play()
    return room


def completed(room: ControlRoom) -> ControlRoom:
    room.drop()
    room.play()
    assert room.job.status is Status.COMPLETED
    return room


def kept(room: ControlRoom) -> ControlRoom:
    room.measured = [LOW] * 3
    room.drop()
    room.play()
    assert room.job.status is Status.KEPT_ORIGINAL
    return room


def again(room: ControlRoom, **options: Any) -> Job:
    return retry(room.person(), room.job_id, **{"by": "ben", **options})


def check_second_run(room: ControlRoom, when: str = "", *, emails: int = 1) -> None:
    job = room.job
    assert (job.status, job.run, job.published_run) == (Status.COMPLETED, 2, 2), when
    assert room.published() == {job.published_key: RESULT}, when
    assert job.litter == (), when
    assert room.temporary() == [], when
    assert room.encoding() == [] and room.flows.running() == [], when
    assert len([n for n in job.notices_sent if n.startswith("2:")]) == 1, when
    assert room.emails()[-emails:] == ["completed"] * emails, when
    assert list(room.world.records.open_jobs()) == [], when
    attempts = [encode["UserMetadata"]["attempt"] for encode in room.world.encoder.jobs]
    assert len(attempts) == len(set(attempts)), when


# From where


@pytest.mark.parametrize("ended", [failed, cancelled, kept])
def test_what_ended_without_a_result_is_tried_again(
    control_room: Rooms, ended: Callable[[ControlRoom], ControlRoom]
) -> None:
    room = ended(control_room())
    job = again(room)
    assert (job.status, job.run, job.reason, job.error) == (Status.PROCESSING, 2, None, None)
    room.play()
    room.hours_later()
    check_second_run(room)
    assert [(r.action, r.by, r.run) for r in room.job.requests][-1] == ("retry", "ben", 2)
    assert {moment.run for moment in room.job.timeline} == {1, 2}


def test_a_published_result_is_only_replaced_by_force(control_room: Rooms) -> None:
    room = completed(control_room())
    with pytest.raises(NotNow, match="Ask with force"):
        again(room)
    assert again(room, force=True).run == 2


def test_the_first_result_stays_until_the_second_is_published(control_room: Rooms) -> None:
    room = completed(control_room())
    first = str(room.job.published_key)
    again(room, force=True)

    def second_there() -> bool:
        assert room.world.storage.objects[COMPRESSED, str(room.job.published_key)] == RESULT
        return room.job.published_run == 2

    room.play(until=second_there)
    assert room.job.published_key != first
    assert {first} < {*room.published()}
    room.play()
    room.hours_later()
    check_second_run(room)


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_a_second_run_that_comes_to_nothing_leaves_the_first_result(
    control_room: Rooms, how: str
) -> None:
    room = completed(control_room())
    first = room.published()
    again(room, force=True)
    room.play(until=lambda: bool(room.encoding()))
    if how == "cancelled":
        cancel(room.person(), room.job_id, by="anna")
        assert "What an earlier run published stays." in str(room.job.reason)
    else:
        detail = room.world.encoder.end(room.encoding()[0], "ERROR", errorCode=1075)
        triggers.encode_changed({"detail": detail})
    room.play()
    room.hours_later()
    assert room.published() == first
    assert room.job.published_key in first


def test_an_open_or_unknown_job_cannot_be_tried_again(control_room: Rooms) -> None:
    room = encoding(control_room())
    with pytest.raises(NotNow, match="still being processed"):
        again(room)
    with pytest.raises(UnknownJob):
        retry(room.person(), "nonsense", by="ben")


# With which settings


def test_another_preset_counts_until_yet_another_is_asked_for(control_room: Rooms) -> None:
    room = failed(control_room())
    again(room, preset="high")
    room.play()
    assert room.job.preset == "high"
    again(room, force=True)
    room.play()
    assert (room.job.run, room.job.preset) == (3, "high")
    again(room, force=True, preset="balanced")
    room.play()
    assert (room.job.run, room.job.preset) == (4, "balanced")


def test_a_preset_there_is_not(control_room: Rooms) -> None:
    room = failed(control_room())
    with pytest.raises(BadRequest, match=r"no preset 'best'; choose .*balanced"):
        again(room, preset="best")
    assert room.job.run == 1


def test_every_field_of_a_job_is_forgotten_changed_or_kept_on_purpose() -> None:
    """A new field has to be thought about: what of it may a new run believe?"""
    changed = {"run", "status", "updated_at", "execution_started", "attempt", "encoder_faults"}
    changed |= {"wanted_preset", "requests", "source_run", "fetched"}
    changed |= {"earlier_cost_usd", "earlier_size_bytes"}
    source = {"job_id", "workflow", "file_id", "folder_id", "file_name", "mime_type"}
    source |= {"version_key", "size_bytes", "md5", "uploader", "source_url", "uploaded_at"}
    source |= {"created_at", "revision_id"}
    published = {"published_key", "published_size_bytes", "published_run", "litter", "link_number"}
    published |= {"saved_bytes", "write_back"}
    told = {"timeline", "notices_sent", "notice_claim", "callbacks", "cost_usd"}
    told |= {"row_version", "synced_version", "row_id", "review", "review_shown"}
    replanned = {"first_attempt"}  # by Plan, with the first attempt of the new run
    groups = [changed, source, published, told, replanned, set(FORGOTTEN)]
    assert sorted(chain(*groups)) == sorted(field.name for field in fields(Job))


def test_a_workflow_that_is_gone(control_room: Rooms) -> None:
    room = failed(control_room())
    room.world.records.update(room.job_id, {"workflow": "archive-of-old"})
    with pytest.raises(NotNow, match="is no longer there"):
        again(room)


# The copy of the source


def test_a_failed_jobs_copy_is_checked_and_used_again(control_room: Rooms) -> None:
    room = failed(control_room())
    room.world.drive.ranges.clear()
    again(room)
    room.play()
    assert room.world.drive.ranges == []
    assert room.world.storage.reads or room.job.status is Status.COMPLETED
    check_second_run(room)


def test_a_copy_that_changed_or_expired_is_fetched_again(control_room: Rooms) -> None:
    for spoil in (True, False):
        room = failed(control_room())
        at = (TEMP, str(room.job.source_key))
        if spoil:
            room.world.storage.objects[at] = bytes(len(SOURCE))
        else:
            del room.world.storage.objects[at]
        room.world.drive.ranges.clear()
        again(room)
        room.play()
        assert room.world.drive.ranges
        check_second_run(room)


def test_a_source_that_was_replaced_is_another_video(control_room: Rooms) -> None:
    room = failed(control_room())
    [file_id] = room.world.drive.files
    room.world.drive.replace(file_id, b"new content")
    again(room)
    room.play()
    assert room.job.status is Status.FAILED
    assert "replaced" in str(room.job.reason)


# Twice, late, and dying


def test_two_who_look_at_the_same_run_begin_one(control_room: Rooms) -> None:
    room = failed(control_room())
    assert again(room, after_run=1).run == 2
    assert again(room, after_run=1, by="anna").run == 2
    room.play()
    assert again(room, after_run=1).run == 2  # even when that one has ended
    check_second_run(room)


def test_two_at_the_same_moment(control_room: Rooms) -> None:
    for after_run in (None, 1):
        room = failed(control_room())
        room.world.peril = StepIn(2, lambda room=room: again(room, by="anna") and None)  # type: ignore[misc]
        ben = room.world.new_process()
        if after_run:
            assert retry(ben, room.job_id, by="ben", after_run=1).run == 2
        else:
            with pytest.raises(NotNow, match="Somebody else"):
                retry(ben, room.job_id, by="ben")
        room.watched_by(Peril())
        room.play()
        check_second_run(room)
        assert [r.by for r in room.job.requests] == ["anna"]


def test_an_answer_that_was_lost_is_no_second_run(control_room: Rooms) -> None:
    """An AWS client repeats the write by itself, and then meets its own."""
    room = failed(control_room())
    update, person = room.world.records.update, room.person()

    def answered_at_the_second_try(*args: Any, **options: Any) -> Job | None:
        update(*args, **options)
        return update(*args, **options)

    person.records = type(room.world.records)()
    person.records.items = room.world.records.items
    person.records.update = answered_at_the_second_try  # type: ignore[method-assign]
    assert retry(person, room.job_id, by="ben").run == 2
    room.play()
    check_second_run(room)


def test_killed_at_any_call_of_asking_again(control_room: Rooms) -> None:
    """The person repeats the request, or nobody does and `reconcile` goes on."""
    peril = Peril()
    room = failed(control_room())
    room.watched_by(peril)
    retry(room.services, room.job_id, by="ben")
    calls = peril.calls
    assert "flows.start" in calls
    for repeated in (True, False):
        for at in range(1, len(calls) + 1):
            room = failed(control_room())
            room.watched_by(Peril(at))
            with pytest.raises(Killed):
                retry(room.services, room.job_id, by="ben")
            room.watched_by(Peril())
            if repeated:
                assert again(room, after_run=1).run == 2
            elif room.job.run == 1:
                continue  # it died before the record said so: nothing happened
            room.play()
            room.hours_later()
            check_second_run(room, f"before call {at}, {calls[at - 1]}")


def test_the_run_that_was_cancelled_goes_on_late(control_room: Rooms) -> None:
    """Before any call of the first run it is cancelled and begun anew; the old worker wakes up in
    the middle of its step and does the rest of it.
    """
    undisturbed = control_room()
    undisturbed.watched_by(Peril())
    completed(undisturbed)
    calls = undisturbed.world.peril.calls
    first = calls.index("records.create") + 3
    for at in range(first, len(calls) + 1):
        room = control_room()
        begun: list[Job] = []

        def act(room: ControlRoom = room, begun: list[Job] = begun) -> None:
            [job_id] = {k.removeprefix("job#") for k, sk in room.world.records.items if sk == "job"}
            try:
                cancel(room.person(), job_id, by="anna")
            except NotNow:
                return
            begun.append(retry(room.person(), job_id, by="ben", after_run=1))
            room.job_id = job_id

        room.watched_by(StepIn(at, act))
        triggers.sweep_drive()
        room.world.drive.add("Take 3.mov", SOURCE)
        triggers.sweep_drive()
        room.play()
        room.hours_later()
        if begun:
            check_second_run(room, f"before call {at}, {calls[at - 1]}")
    assert begun == []  # the last call is after publishing


def test_an_event_of_the_first_run_does_not_end_the_second(control_room: Rooms) -> None:
    room = cancelled(control_room())
    [old] = room.world.encoder.jobs
    again(room)
    triggers.encode_changed({"detail": event(old, "COMPLETE")})
    triggers.encode_changed({"detail": event(old, "ERROR", errorCode=1075)})
    assert room.job.outcome is None
    room.play()
    room.hours_later()
    check_second_run(room)


def test_the_end_of_the_first_execution_does_not_end_the_second(control_room: Rooms) -> None:
    room = failed(control_room())
    again(room)
    name = f"{room.job_id}-1"
    for status in ("FAILED", "TIMED_OUT", "ABORTED"):
        triggers.execution_ended({"detail": {"name": name, "status": status}})
    assert room.job.status is Status.PROCESSING
    room.play()
    check_second_run(room)


def test_an_encode_that_outlived_its_failed_run_is_stopped(control_room: Rooms) -> None:
    room = encoding(control_room())
    room.flows.stop(f"{room.job_id}-1")
    [stopped] = room.flows.events
    triggers.execution_ended({"detail": stopped})
    assert room.job.status is Status.FAILED and room.encoding()
    again(room)
    assert room.encoding() == []
    room.play()
    room.hours_later()
    check_second_run(room)


def test_an_execution_that_does_not_start_is_started_later(control_room: Rooms) -> None:
    room = failed(control_room())
    room.flows.fail_next("start", aws_error("InternalFailure", status=500))
    room.world.queues.fail_next("row_is_dirty", aws_error("InternalFailure", status=500))
    assert again(room).run == 2
    assert not room.job.execution_started and room.job.updated_at == iso(room.clock)
    room.hours_later()
    check_second_run(room)
