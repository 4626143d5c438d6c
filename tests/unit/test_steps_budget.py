"""The daily budget: an encode is counted once, the limit is kept, and nobody waits in vain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.domain.job import Status
from chalicelib.domain.job_row import job_row
from chalicelib.steps.cancel import cancel
from chalicelib.steps.reconcile import reconcile
from tests.examples import a_measurement, a_score
from tests.fakes import ENVIRONMENT, TEMP, Killed, Peril, aws_error
from tests.unit.control_room import RESULT, ControlRoom, control_room

__all__ = ["control_room"]
Rooms = Callable[[], ControlRoom]
LOW = a_measurement(score=a_score(mean=0.90))


def limited(room: ControlRoom, usd: str) -> ControlRoom:
    """The stage's limit from now on, as a new deployment sets it."""
    environment: Mapping[str, str] = {**ENVIRONMENT, "MAX_COST_PER_DAY": usd}
    room.world.environment = environment
    room.services = room.world.new_process()
    return room


def account(room: ControlRoom) -> dict[str, Any]:
    """Today's."""
    state: dict[str, Any] = room.world.records.state(f"budget#{room.clock:%Y-%m-%d}", "day")
    return state


def spent_usd(room: ControlRoom) -> float:
    return float(account(room).get("reserved_micro_usd", 0)) / 1e6


def reconcile_now(room: ControlRoom) -> None:
    room.clock += timedelta(minutes=5)
    reconcile(room.person())
    room.play_what_is_due()


@pytest.fixture
def cost_usd(control_room: Rooms) -> float:
    """Of the one encode that the plainest job takes."""
    room = limited(control_room(), "1000")
    room.drop()
    room.play()
    assert room.job.status is Status.COMPLETED and room.job.cost_usd
    assert spent_usd(room) == pytest.approx(room.job.cost_usd, abs=2e-6)
    return spent_usd(room)


def test_without_a_limit_nothing_is_counted(control_room: Rooms) -> None:
    room = control_room()
    room.drop()
    room.play()
    assert room.job.status is Status.COMPLETED
    assert account(room) == {}


def test_beyond_the_limit_a_job_waits_and_says_so(control_room: Rooms, cost_usd: float) -> None:
    room = limited(control_room(), f"{1.5 * cost_usd:.4f}")
    room.drop("first.mov")
    room.play()
    second = room.drop("second.mov")
    room.play_what_is_due()
    assert (room.job.status, room.job.step, room.encoding()) == (Status.PROCESSING, "budget", [])
    assert "that this stage may spend today" in str(room.job.waiting)
    assert room.job.waiting in job_row(room.job, link=None)["Reason"]
    assert (second, room.job.row_version) in room.world.queues.dirty
    assert spent_usd(room) == cost_usd


def test_one_email_a_day_however_many_wait_however_often(
    control_room: Rooms, cost_usd: float
) -> None:
    room = limited(control_room(), f"{cost_usd / 2:.6f}")
    for number in range(3):
        room.drop(f"{number}.mov")
        room.play_what_is_due()
    for _ in range(5):
        reconcile_now(room)
    assert room.emails() == ["alert"]
    [email] = room.world.topic.sent
    assert "0.mov" in email.body and "more than the $" in email.body
    room.clock += timedelta(days=1)
    reconcile_now(room)
    assert room.emails() == ["alert"] * 2


def test_an_email_that_was_refused_is_sent_with_the_next_try(
    control_room: Rooms, cost_usd: float
) -> None:
    room = limited(control_room(), "0")
    room.world.topic.fail_next("publish", aws_error("InternalFailure", status=500))
    room.drop()
    room.play_what_is_due()
    assert room.emails() == []
    reconcile_now(room)
    assert room.emails() == ["alert"]


def test_it_goes_on_by_itself_the_next_day(control_room: Rooms, cost_usd: float) -> None:
    room = limited(control_room(), f"{cost_usd:.6f}")
    room.drop("first.mov")
    room.play()
    room.drop("second.mov")
    room.play_what_is_due()
    for _ in range(10):
        reconcile_now(room)
    assert room.job.waiting
    room.clock += timedelta(hours=15)
    reconcile_now(room)
    assert room.job.waiting is None
    room.play()
    room.hours_later()
    assert room.job.status is Status.COMPLETED
    assert "may spend" not in str(job_row(room.job, link=None)["Reason"])


def test_a_raised_limit_counts_at_once(control_room: Rooms, cost_usd: float) -> None:
    room = limited(control_room(), "0")
    room.drop()
    room.play_what_is_due()
    assert "raised" in str(room.job.waiting)
    limited(room, "")
    reconcile_now(room)
    room.play()
    assert room.job.status is Status.COMPLETED


def test_whoever_waited_longest_goes_first(control_room: Rooms, cost_usd: float) -> None:
    room = limited(control_room(), "0")
    waiting = []
    for number in range(3):
        waiting.append(room.drop(f"{number}.mov"))
        room.play_what_is_due()
        room.clock += timedelta(minutes=10)
    limited(room, f"{1.5 * cost_usd:.6f}")
    reconcile_now(room)
    assert [room.world.job(job_id).waiting is None for job_id in waiting] == [True, False, False]


def test_nothing_times_out_in_three_weeks(control_room: Rooms, cost_usd: float) -> None:
    room = limited(control_room(), "0")
    room.drop()
    room.play_what_is_due()
    for _ in range(21 * 8):
        room.clock += timedelta(hours=3) - timedelta(minutes=5)
        reconcile_now(room)
    [execution] = room.flows.running()
    assert execution.history.count("Budget") == 1
    # and the copy of the source has long expired
    room.world.storage.objects = {
        a: b for a, b in room.world.storage.objects.items() if a[0] != TEMP
    }
    limited(room, "")
    reconcile_now(room)
    room.play()
    room.hours_later()
    assert execution.history.count("Fetch") == 2
    assert room.job.status is Status.COMPLETED
    assert RESULT in room.published().values()


def test_reconcile_being_away_for_a_day_fails_nothing(control_room: Rooms, cost_usd: float) -> None:
    room = limited(control_room(), "0")
    room.drop()
    room.play_what_is_due()
    for _ in range(40):
        room.clock += timedelta(hours=1)
        room.play_what_is_due()
    assert room.job.status is Status.PROCESSING
    limited(room, "")
    reconcile_now(room)
    room.play()
    assert room.job.status is Status.COMPLETED


def test_who_waits_can_be_cancelled(control_room: Rooms, cost_usd: float) -> None:
    room = limited(control_room(), "0")
    room.drop()
    room.play_what_is_due()
    job = cancel(room.person(), room.job_id, by="anna")
    assert (job.status, job.waiting) == (Status.CANCELLED, None)
    room.play_what_is_due()
    assert room.flows.running() == []
    room.hours_later()
    assert list(room.world.records.open_jobs()) == []


# Counted once


def test_each_attempt_is_counted_and_a_fault_of_the_encoder_is_not(
    control_room: Rooms, cost_usd: float
) -> None:
    room = limited(control_room(), "1000")
    room.measured = [LOW, a_measurement()]
    room.drop()
    room.play(until=lambda: bool(room.encoding()))
    detail = room.world.encoder.end(room.encoding()[0], "ERROR", errorCode=1999)
    triggers.encode_changed({"detail": detail})
    room.play()
    assert (room.job.status, room.job.attempt) == (Status.COMPLETED, 3)
    assert spent_usd(room) == pytest.approx(2 * cost_usd, abs=1e-6)
    assert len([name for name in account(room) if name.startswith(room.job_id)]) == 2


@pytest.mark.parametrize("room_for_it", [True, False])
def test_killed_at_any_call(control_room: Rooms, cost_usd: float, room_for_it: bool) -> None:
    """Of the step: counted once, told once, and it goes on."""
    usd = f"{10 * cost_usd:.6f}" if room_for_it else "0"
    peril = Peril()
    room = at_budget(limited(control_room(), usd), peril)
    advance_or_die(room)
    calls = len(peril.calls)
    assert calls >= 5
    for at in range(1, calls + 1):
        room = at_budget(limited(control_room(), usd), Peril(at))
        advance_or_die(room)
        room.watched_by(Peril())
        for _ in range(3):
            room.play_what_is_due()
            reconcile_now(room)
        if not room_for_it:
            assert room.job.waiting and room.job.status is Status.PROCESSING, at
            assert len(room.emails()) <= 1, at
            limited(room, f"{cost_usd:.6f}")
            reconcile_now(room)
        room.play()
        room.hours_later()
        assert room.job.status is Status.COMPLETED, at
        assert spent_at_start(room) == cost_usd, at


def test_killed_at_any_call_of_letting_it_go_on(control_room: Rooms, cost_usd: float) -> None:
    def that_may_go_on(peril: Peril) -> ControlRoom:
        room = limited(control_room(), "0")
        room.drop()
        room.play_what_is_due()
        limited(room, f"{cost_usd:.6f}")
        room.watched_by(peril)
        room.clock += timedelta(minutes=5)
        with suppress(Killed):
            reconcile(room.services)
        return room

    peril = Peril()
    that_may_go_on(peril)
    assert "flows.succeed" in peril.calls
    for at in range(1, len(peril.calls) + 1):
        room = that_may_go_on(Peril(at))
        room.watched_by(Peril())
        for _ in range(2):
            reconcile_now(room)
        room.play()
        room.hours_later()
        assert room.job.status is Status.COMPLETED, at
        assert spent_at_start(room) == cost_usd, at


def at_budget(room: ControlRoom, peril: Peril) -> ControlRoom:
    """Up to the moment before the step, which will pass by `peril`."""
    room.drop()
    room.play(until=lambda: room.flows.running()[0].state == "Budget")
    room.watched_by(peril)
    return room


def advance_or_die(room: ControlRoom) -> None:
    """One call of the step; when it dies, Step Functions learns that the function is gone."""
    room.dying = True
    room.flows.advance(room.flows.running()[0])
    room.dying = False


def spent_at_start(room: ControlRoom) -> float:
    state = room.world.records.state("budget#2026-05-04", "day")
    return float(state["reserved_micro_usd"]) / 1e6


def test_an_answer_that_was_lost_is_not_counted_twice(control_room: Rooms, cost_usd: float) -> None:
    """An AWS client repeats the write by itself, and is told that the condition does not hold."""
    room = limited(control_room(), f"{cost_usd:.6f}")
    save = room.world.records.save_state

    def twice(*args: Any, **options: Any) -> Any:
        save(*args, **options)
        return save(*args, **options)

    room.world.records.save_state = twice  # type: ignore[method-assign]
    room.drop()
    room.world.records.save_state = twice  # type: ignore[method-assign]
    room.play()
    assert room.job.status is Status.COMPLETED
    assert spent_usd(room) == cost_usd
