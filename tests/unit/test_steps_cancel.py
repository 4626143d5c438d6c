"""Cancel: at any moment of a job's life, and whatever dies meanwhile, nothing is left running."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.domain.control import NotNow, UnknownJob
from chalicelib.domain.job import Status
from chalicelib.steps.cancel import cancel
from chalicelib.steps.retry import retry
from tests.fakes import Killed, Peril, aws_error
from tests.unit.control_room import RESULT, SOURCE, ControlRoom, StepIn, control_room

__all__ = ["control_room"]
Rooms = Callable[[], ControlRoom]


def encoding(room: ControlRoom) -> ControlRoom:
    """A dropped video whose encode runs."""
    room.drop()
    room.play(until=lambda: bool(room.encoding()))
    return room


def check_cancelled(room: ControlRoom, when: str = "", *, emails: int = 1) -> None:
    """Nothing runs, nothing is left, and people know."""
    assert room.job.status is Status.CANCELLED, when
    assert str(room.job.reason).startswith("Cancelled by anna on 4 May 2026, "), when
    assert room.published() == {}, when
    assert room.temporary() == [], when
    assert room.encoding() == [], when
    assert room.flows.running() == [], when
    assert {e.status for e in room.flows.executions.values()} <= {"SUCCEEDED"}, when
    assert room.emails() == ["cancelled"] * emails, when
    assert list(room.world.records.open_jobs()) == [], when
    told = (room.job_id, room.job.row_version) in room.world.queues.dirty
    assert told or list(room.world.records.unsynced_jobs()), when


def check_completed(room: ControlRoom, when: str = "") -> None:
    assert room.job.status is Status.COMPLETED, when
    assert room.published() == {room.job.published_key: RESULT}, when
    assert room.temporary() == [], when
    assert room.emails() == ["completed"], when
    assert list(room.world.records.open_jobs()) == [], when


def test_an_encode_is_stopped_and_its_flow_ends_by_itself(control_room: Rooms) -> None:
    room = encoding(control_room())
    job = cancel(room.person(), room.job_id, by="anna")
    assert job.reason == "Cancelled by anna on 4 May 2026, 09:30 UTC."
    assert [e["Status"] for e in room.world.encoder.jobs] == ["CANCELED"]
    assert room.emails() == ["cancelled"]
    assert room.temporary() == []
    room.play()
    [execution] = room.flows.executions.values()
    assert (execution.status, execution.history[-2]) == ("SUCCEEDED", "Closed")
    room.hours_later()
    check_cancelled(room)


def test_what_is_left_of_a_late_worker_is_removed_hours_later(control_room: Rooms) -> None:
    room = encoding(control_room())
    cancel(room.person(), room.job_id, by="anna")
    late = f"jobs/{room.job_id}/a1/encoded.mp4"
    room.world.storage.put("temp", late, b"x", content_type="video/mp4")
    room.play()
    assert room.temporary() == [late]
    room.hours_later()
    check_cancelled(room)


@pytest.mark.parametrize("length_s", [10.0, 60.0])
def test_whenever_a_person_cancels(control_room: Rooms, length_s: float) -> None:
    """Before every single call that the whole pipeline makes, for a short film and for one that is
    sampled first.
    """

    def new_room() -> ControlRoom:
        room = control_room()
        room.length_s = length_s
        return room

    undisturbed = new_room()
    undisturbed.watched_by(Peril())
    undisturbed.drop()
    undisturbed.play()
    check_completed(undisturbed)
    calls = undisturbed.world.peril.calls
    first = calls.index("records.create") + 2
    too_late = 0
    for at in range(first, len(calls) + 1):
        too_late += cancelled_at(new_room(), at, f"before call {at}, {calls[at - 1]}")
    # Only what comes after the record named the published copy is too late.
    after_publishing = len(calls) - max(n for n, c in enumerate(calls) if c == "storage.copy") - 2
    assert 0 < too_late <= after_publishing


def cancelled_at(room: ControlRoom, at: int, when: str) -> bool:
    refused: list[NotNow] = []

    def act() -> None:
        [job_id] = {pk.removeprefix("job#") for pk, sk in room.world.records.items if sk == "job"}
        room.job_id = job_id
        try:
            cancel(room.person(), job_id, by="anna")
        except NotNow as refusal:
            refused.append(refusal)

    room.watched_by(StepIn(at, act))
    triggers.sweep_drive()
    room.world.drive.add("Take 3.mov", SOURCE)
    triggers.sweep_drive()
    room.play()
    room.hours_later()
    if refused:
        check_completed(room, when)
    else:
        check_cancelled(room, when)
    return bool(refused)


def test_killed_at_any_call_of_cancelling(control_room: Rooms) -> None:
    """Its person asks again, or nobody does: the end is the same."""
    peril = Peril()
    room = encoding(control_room())
    room.watched_by(peril)
    cancel(room.services, room.job_id, by="anna")
    calls = peril.calls
    assert {"encoder.cancel_job", "topic.publish", "storage.delete_prefix"} <= {*calls}
    for again in (True, False):
        for at in range(1, len(calls) + 1):
            room = encoding(control_room())
            room.watched_by(Peril(at))
            with pytest.raises(Killed):
                cancel(room.services, room.job_id, by="anna")
            room.watched_by(Peril())
            if room.job.status.is_open:  # it died before the record said so: nothing happened
                assert room.encoding() and at <= calls.index("records.update") + 1
                continue
            if again:
                cancel(room.person(), room.job_id, by="ben")
            room.play()
            room.hours_later()
            emails = 2 if calls[at - 2] == "topic.publish" else 1
            check_cancelled(room, f"before call {at}, {calls[at - 1]}", emails=emails)


def test_two_people_at_once(control_room: Rooms) -> None:
    room = encoding(control_room())
    ben = room.person()

    def anna_is_quicker() -> None:
        cancel(room.person(), room.job_id, by="anna")

    room.world.peril = StepIn(2, anna_is_quicker)  # after ben has read the record
    ben = room.world.new_process()
    assert cancel(ben, room.job_id, by="ben").status is Status.CANCELLED
    room.watched_by(Peril())
    room.play()
    room.hours_later()
    check_cancelled(room)
    assert [(r.action, r.by) for r in room.job.requests] == [("cancel", "anna")]


def test_a_request_that_is_repeated_while_the_first_is_at_work_tells_nobody_twice(
    control_room: Rooms,
) -> None:
    counted = Peril()
    room = encoding(control_room())
    room.watched_by(counted)
    cancel(room.services, room.job_id, by="anna")
    for at in range(1, len(counted.calls) + 1):
        room = encoding(control_room())
        again = StepIn(at, lambda room=room: cancel(room.person(), room.job_id, by="anna") and None)  # type: ignore[misc]
        room.world.peril = again
        anna = room.world.new_process()
        room.world.peril = Peril()
        assert cancel(anna, room.job_id, by="anna").status is Status.CANCELLED
        room.play()
        room.hours_later()
        check_cancelled(room, f"before call {at}, {counted.calls[at - 1]}")


def test_services_that_are_away_are_asked_again_later(control_room: Rooms) -> None:
    room = encoding(control_room())
    outage = aws_error("InternalFailure", status=500)
    room.world.encoder.fail_next("cancel_job", outage)
    room.world.topic.fail_next("publish", outage)
    room.world.storage.fail_next("delete_prefix", outage)
    room.flows.fail_next("fail", outage)
    assert cancel(room.person(), room.job_id, by="anna").status is Status.CANCELLED
    room.hours_later()
    check_cancelled(room)


@pytest.mark.parametrize("its_worker", ["finds out", "dies"])
def test_a_published_copy_the_record_does_not_know_is_removed(
    control_room: Rooms, its_worker: str
) -> None:
    room = control_room()
    room.drop()
    copy = room.world.storage.copy

    def cancelled_meanwhile(*args: Any, **options: Any) -> bool:
        whole = copy(*args, **options)
        cancel(room.person(), room.job_id, by="anna")
        if its_worker == "dies":
            raise aws_error("Killed")
        return whole

    room.world.storage.copy = cancelled_meanwhile  # type: ignore[method-assign]
    room.play()
    assert len(room.published()) == (1 if its_worker == "dies" else 0)
    assert set(room.published()) <= set(room.job.litter)
    assert room.job.published_key is None
    room.hours_later()
    check_cancelled(room)
    assert room.job.litter == ()


def test_what_is_published_can_no_longer_be_cancelled(control_room: Rooms) -> None:
    room = control_room()
    room.drop()
    room.play(until=lambda: room.job.published_key is not None)
    with pytest.raises(NotNow, match="too late"):
        cancel(room.person(), room.job_id, by="anna")
    room.play()
    check_completed(room)
    with pytest.raises(NotNow, match="has ended as Completed"):
        cancel(room.person(), room.job_id, by="anna")


def test_what_is_published_while_somebody_cancels_stays_published(control_room: Rooms) -> None:
    room = control_room()
    room.drop()
    room.play(until=lambda: room.flows.running()[0].state == "Publish")
    # She reads the record, and then the film is published.
    room.world.peril = StepIn(2, lambda: room.flows.advance(room.flows.running()[0]))
    anna = room.world.new_process()
    with pytest.raises(NotNow, match="too late"):
        cancel(anna, room.job_id, by="anna")
    room.watched_by(Peril())
    room.play()
    check_completed(room)


def test_tidying_up_late_leaves_alone_what_a_new_run_has_fetched(control_room: Rooms) -> None:
    room = encoding(control_room())

    def a_new_run_is_faster() -> None:
        retry(room.person(), room.job_id, by="ben")
        room.play(until=lambda: bool(room.encoding()))

    counted = Peril()
    room.watched_by(counted)
    cancel(room.services, room.job_id, by="anna")
    tidies = counted.calls.index("storage.delete_prefix") + 1
    room = encoding(control_room())
    room.world.peril = StepIn(tidies, a_new_run_is_faster)
    anna = room.world.new_process()
    room.world.peril = Peril()
    cancel(anna, room.job_id, by="anna")
    assert room.job.run == 2
    assert str(room.job.source_key) in room.temporary()
    room.watched_by(Peril())
    room.play()
    room.hours_later()
    assert room.job.status is Status.COMPLETED
    assert room.temporary() == []


def test_what_is_published_is_never_swept_up(control_room: Rooms) -> None:
    room = control_room()
    room.drop()
    room.play()
    published = room.published()
    room.world.records.update(room.job_id, {"litter": tuple(published), "open": "1"})
    room.hours_later()
    assert room.job.litter == ()
    assert room.published() == published


def test_an_unknown_job(control_room: Rooms) -> None:
    with pytest.raises(UnknownJob, match="There is no job nonsense"):
        cancel(control_room().person(), "nonsense", by="anna")


@pytest.mark.parametrize(
    ("by", "shown"), [("anna\nStatus: Completed", "anna Status: Completed"), (" ", "someone")]
)
def test_a_persons_name_stays_on_its_line(control_room: Rooms, by: str, shown: str) -> None:
    room = encoding(control_room())
    reason = cancel(room.person(), room.job_id, by=by).reason
    assert reason == f"Cancelled by {shown} on 4 May 2026, 09:30 UTC."


def test_the_source_is_never_touched(control_room: Rooms) -> None:
    room = encoding(control_room())
    cancel(room.person(), room.job_id, by="anna")
    [content] = room.world.drive.contents.values()
    assert content == SOURCE
