"""Rows: Airtable shows the record as it is, sooner or later, and one bad row is only that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.adapters.airtable import (
    AirtableOutOfCalls,
    AirtableRefused,
    AirtableUnavailable,
)
from chalicelib.domain.job import Job, Status
from chalicelib.steps import ledger
from chalicelib.steps import rows as rows_step
from chalicelib.steps.airtable_pause import PATIENCE
from chalicelib.steps.rows import ATTEMPTS, DEFAULT_PAUSE_S, requeue, sync_rows
from tests.examples import a_job
from tests.fakes import ENVIRONMENT, World, aws_error

IDS = [f"{number:020x}" for number in range(25)]
NOTHING_AGAIN: dict[str, Any] = {"batchItemFailures": []}


class Clock:
    """The clock of a world, which moves when it is told to."""

    def __init__(self, world: World) -> None:
        self._now = datetime(2026, 5, 4, 12, tzinfo=UTC)
        world.now = lambda: self._now

    def passes(self, **time: float) -> None:
        self._now += timedelta(**time)


@pytest.fixture
def world(monkeypatch) -> World:
    world = World()
    monkeypatch.setattr(triggers, "services", lambda: world.services)
    return world


def dirty(world: World, count: int) -> list[str]:
    for job_id in IDS[:count]:
        world.with_job(a_job(job_id=job_id, file_name=f"{job_id}.mp4", row_version=1))
    return IDS[:count]


def unsynced(world: World) -> list[str]:
    return sorted(job.job_id for job in world.records.unsynced_jobs())


def messages(*job_ids: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": json.dumps({"job_id": job_id}),
            }
            for number, job_id in enumerate(job_ids)
        ]
    }


def refused(count: int) -> list[AirtableRefused]:
    return [AirtableRefused("Airtable answered 422.", status=422) for _ in range(count)]


def test_rows_are_written_ten_at_a_time(world: World) -> None:
    assert sync_rows(world.services, dirty(world, 25)) == {}
    assert [len(call) for call in world.airtable.calls] == [10, 10, 5]
    assert unsynced(world) == []
    job = world.job(IDS[3])
    assert (job.synced_version, job.row_id) == (1, f"rec{IDS[3]}")


def test_what_is_written_is_the_record_as_it_is_now(world: World) -> None:
    [job_id] = dirty(world, 1)
    world.records.update(job_id, {"status": Status.FAILED, "reason": "The file is empty."})
    triggers.rows_changed(messages(job_id, job_id, job_id))  # late, and three times
    assert len(world.airtable.calls) == 1
    assert world.airtable.rows[job_id]["Status"] == "Failed"


def test_a_row_that_is_up_to_date_costs_no_call(world: World) -> None:
    sync_rows(world.services, dirty(world, 2))
    world.airtable.calls.clear()
    assert triggers.rows_changed(messages(*IDS[:2], "0" * 19 + "z")) == {"batchItemFailures": []}
    assert world.airtable.calls == []


def test_an_outage_is_waited_for(world: World) -> None:
    dirty(world, 2)
    world.airtable.fail_next("upsert", AirtableUnavailable("busy", retry_after_s=30.0, status=429))
    answer = triggers.rows_changed(messages(*IDS[:2]))
    assert [f["itemIdentifier"] for f in answer["batchItemFailures"]] == ["message-0", "message-1"]
    assert world.queues.shown_again == [("receipt-0", 30.0), ("receipt-1", 30.0)]
    assert unsynced(world) == IDS[:2]
    assert triggers.rows_changed(messages(*IDS[:2])) == {"batchItemFailures": []}
    assert unsynced(world) == []


def test_an_outage_of_unknown_length_has_a_pause_too(world: World) -> None:
    dirty(world, 1)
    world.airtable.fail_next("upsert", AirtableUnavailable("down", retry_after_s=0, status=503))
    assert sync_rows(world.services, IDS[:1]) == {IDS[0]: DEFAULT_PAUSE_S}


def test_only_the_rows_of_the_call_that_failed_come_again(world: World) -> None:
    dirty(world, 15)
    world.airtable.fail_next("upsert", AirtableUnavailable("busy", retry_after_s=30.0))
    again = sync_rows(world.services, IDS[:15])
    assert sorted(again) == IDS[:10]
    assert unsynced(world) == IDS[:10]


def test_out_of_calls_the_rows_stay_marked_and_nothing_is_tried_for_a_while(world: World) -> None:
    clock = Clock(world)
    dirty(world, 25)
    used_up = AirtableOutOfCalls("The month's calls are used up.", status=429)
    world.airtable.fail_next("upsert", used_up)
    assert triggers.rows_changed(messages(*IDS[:10])) == NOTHING_AGAIN
    for start in (0, 10, 20):  # neither those that are queued already nor the schedule cost a call
        assert triggers.rows_changed(messages(*IDS[start : start + 10])) == NOTHING_AGAIN
    assert requeue(world.services) == 0
    assert len(world.airtable.calls) == 1
    assert unsynced(world) == IDS
    # When an hour has passed, it is one call's worth to see whether Airtable takes rows again,
    clock.passes(hours=1)
    assert requeue(world.services) == 10
    probe = [job_id for job_id, _ in world.queues.dirty]
    world.queues.dirty.clear()
    assert triggers.rows_changed(messages(*probe)) == NOTHING_AGAIN
    # and then all of them
    assert sorted(world.queues.dirty) == [(job_id, 1) for job_id in unsynced(world)]
    assert len(unsynced(world)) == 15


def test_people_are_told_once_and_not_per_row(world: World) -> None:
    clock = Clock(world)
    dirty(world, 10)
    for _ in range(5):
        used_up = AirtableOutOfCalls("The month's calls are used up.", status=429)
        world.airtable.fail_next("upsert", used_up)
        triggers.rows_changed(messages(*IDS[:10]))
        clock.passes(hours=2)
    [alert] = world.topic.sent
    assert alert.kind == "alert" and "The month's calls are used up." in alert.body
    assert alert.subject.isascii() and len(alert.subject) < 100
    # It is over when no row waits; the next time is news again.
    triggers.rows_changed(messages(*IDS[:10]))
    requeue(world.services)
    world.records.update(IDS[0], {"status": Status.FAILED})
    world.airtable.fail_next("upsert", AirtableOutOfCalls("Used up again.", status=429))
    triggers.rows_changed(messages(IDS[0]))
    assert len(world.topic.sent) == 2


def test_people_who_could_not_be_told_are_told_with_the_next_failure(world: World) -> None:
    clock = Clock(world)
    dirty(world, 1)
    world.topic.fail_next("publish", aws_error("InternalFailure", status=500))
    for _ in range(3):
        world.airtable.fail_next("upsert", AirtableOutOfCalls("Used up.", status=429))
        assert triggers.rows_changed(messages(IDS[0])) == NOTHING_AGAIN
        clock.passes(hours=2)
    assert len(world.topic.sent) == 1


def test_an_outage_of_hours_fills_no_dead_letters_and_passes_by_itself(world: World) -> None:
    """Each message may be received twenty times; an outage must not use that up."""
    clock = Clock(world)
    dirty(world, 10)
    down = AirtableUnavailable("Airtable answered 503.", retry_after_s=10.0, status=503)
    received = 0
    for _ in range(12):  # two hours
        world.airtable.fail_next("upsert", *[down] * 4)
        queued = IDS[:10]
        while queued:
            received += 1
            failed = triggers.rows_changed(messages(*queued))["batchItemFailures"]
            queued = queued if failed else []
        requeue(world.services)
        clock.passes(minutes=10)
    assert received <= PATIENCE + 12
    assert world.queues.rows_aside == []
    [alert] = world.topic.sent  # only because it took so long
    assert "503" in alert.body
    world.airtable.failures.clear()
    clock.passes(hours=2)
    assert requeue(world.services) == 10
    assert triggers.rows_changed(messages(*IDS[:10])) == NOTHING_AGAIN
    assert unsynced(world) == []


def test_an_outage_of_minutes_is_nobodys_news(world: World) -> None:
    dirty(world, 1)
    down = [AirtableUnavailable("down", retry_after_s=10.0, status=503) for _ in range(2)]
    world.airtable.fail_next("upsert", *down)
    for _ in down:
        assert sync_rows(world.services, IDS[:1])
    assert sync_rows(world.services, IDS[:1]) == {}
    assert unsynced(world) == [] and world.topic.sent == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "AUTHENTICATION_REQUIRED"),
        (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"),
        (404, "NOT_FOUND"),
        (422, "UNKNOWN_FIELD_NAME"),
        (422, ""),  # how a full base refuses is not documented
    ],
)
def test_a_table_that_takes_nothing_is_left_alone(world: World, status: int, kind: str) -> None:
    """A full base, a renamed field, a revoked token: a person has to act, and is told once."""
    clock = Clock(world)
    dirty(world, 10)
    said = AirtableRefused(f"Airtable answered {status} {kind}.", status=status, kind=kind)
    world.airtable.fail_next("upsert", *[said] * 99)
    for _ in range(6):
        assert triggers.rows_changed(messages(*IDS[:10])) == NOTHING_AGAIN
        clock.passes(minutes=5)
    assert len(world.airtable.calls) <= 11 * 3  # at first, after 10 minutes, and 20 minutes later
    [alert] = world.topic.sent
    assert str(status) in alert.body
    assert unsynced(world) == IDS[:10]
    world.airtable.failures.clear()  # somebody repaired it
    clock.passes(hours=3)
    requeue(world.services)
    assert triggers.rows_changed(messages(*IDS[:10])) == NOTHING_AGAIN
    assert unsynced(world) == []


def test_a_full_base_takes_changes_of_rows_it_has(world: World) -> None:
    """And its new rows are not tried every ten minutes: calls are few."""
    clock = Clock(world)
    dirty(world, 6)
    upsert = world.airtable.upsert
    full = [True]

    def picky(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        if full[0] and any(row["Job ID"] >= IDS[3] for row in rows):
            world.airtable.fail_next("upsert", AirtableRefused("No more records.", status=422))
        return upsert(rows)

    world.airtable.upsert = picky
    assert sync_rows(world.services, IDS[:6]) == {}
    assert unsynced(world) == IDS[3:6]
    assert [notice.kind for notice in world.topic.sent] == ["alert"]
    assert requeue(world.services) == 0  # for a while
    world.records.update(IDS[3], {"status": Status.FAILED})
    assert requeue(world.services) == 1  # what has changed may well be taken
    full[0] = False
    clock.passes(minutes=31)
    assert requeue(world.services) == 3
    assert sync_rows(world.services, IDS[3:6]) == {}
    assert unsynced(world) == []
    assert len(world.topic.sent) == 1


def test_a_queue_that_takes_no_message_delays_the_row_and_not_the_video(world: World) -> None:
    [job_id] = dirty(world, 1)
    world.queues.fail_next("row_is_dirty", aws_error("ServiceUnavailable", status=503))
    ledger.write(world.services, world.job(job_id), started_at="2026-05-04T09:31:00.000Z")
    assert world.queues.dirty == []
    assert requeue(world.services) == 1
    sync_rows(world.services, [job_id])
    assert world.airtable.rows[job_id]["Processing Date"] == "2026-05-04T09:31:00.000Z"


# Poison


def test_a_message_that_is_none_of_ours_is_set_aside_at_once(world: World) -> None:
    [job_id] = dirty(world, 1)
    batch = messages(job_id, job_id, job_id, job_id)
    bodies = ["no JSON", "[]", json.dumps({"job_id": 7})]
    for record, body in zip(batch["Records"], bodies, strict=False):
        record["body"] = body
    assert triggers.rows_changed(batch) == NOTHING_AGAIN
    assert [aside for aside, _ in world.queues.rows_aside] == bodies
    assert unsynced(world) == []  # and the one behind them was written


def test_a_row_that_cannot_be_made_holds_up_nobody_and_is_set_aside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(world)
    dirty(world, 3)
    make = rows_step.job_row

    def cannot(job: Job, **options: Any) -> dict[str, Any]:
        return make(job, **options) if job.job_id != IDS[0] else {}["Resolution"]

    monkeypatch.setattr(rows_step, "job_row", cannot)
    for tried in range(1, ATTEMPTS + 1):
        batch = messages(*IDS[:3])
        for record in batch["Records"]:
            record["attributes"] = {"ApproximateReceiveCount": str(tried)}
        failed = triggers.rows_changed(batch)["batchItemFailures"]
        assert unsynced(world) == [IDS[0]]
        assert failed == ([{"itemIdentifier": "message-0"}] if tried < ATTEMPTS else [])
    assert all(wait_s <= 5 for _, wait_s in world.queues.shown_again)  # the others wait with it
    assert world.queues.rows_aside == [(IDS[0], "KeyError: 'Resolution'")]
    assert requeue(world.services) == 0
    clock.passes(days=1)
    assert requeue(world.services) == 1  # it may have been repaired


def test_an_outage_of_our_own_database_sets_nothing_aside(world: World) -> None:
    dirty(world, 2)
    throttled = aws_error("ProvisionedThroughputExceededException")
    world.records.fail_next("get", throttled, throttled)
    again = sync_rows(world.services, IDS[:2], dict.fromkeys(IDS[:2], 19))
    assert again == dict.fromkeys(IDS[:2], DEFAULT_PAUSE_S)
    assert world.queues.rows_aside == []


def test_one_bad_row_does_not_hold_up_the_others(world: World) -> None:
    dirty(world, 3)
    upsert = world.airtable.upsert

    def picky(rows):
        if any(row["Job ID"] == IDS[1] for row in rows):
            world.airtable.fail_next("upsert", *refused(1))
        return upsert(rows)

    world.airtable.upsert = picky
    assert sync_rows(world.services, IDS[:3]) == {}
    assert [len(call) for call in world.airtable.calls] == [3, 1, 1, 1]
    assert unsynced(world) == [IDS[1]]
    assert sorted(world.airtable.rows) == [IDS[0], IDS[2]]


def test_an_outage_in_the_middle_of_one_by_one_is_an_outage(world: World) -> None:
    dirty(world, 2)
    busy = AirtableUnavailable("busy", retry_after_s=30.0)
    world.airtable.fail_next("upsert", *refused(1), busy)
    assert sync_rows(world.services, IDS[:2]) == {IDS[0]: 30.0}
    assert unsynced(world) == [IDS[0]]


def test_a_record_that_moved_on_meanwhile_stays_marked(world: World) -> None:
    [job_id] = dirty(world, 1)
    upsert = world.airtable.upsert

    def slow(rows):
        ids = upsert(rows)
        world.records.update(job_id, {"status": Status.FAILED})
        return ids

    world.airtable.upsert = slow
    sync_rows(world.services, [job_id])
    assert world.airtable.rows[job_id]["Status"] == "Processing"
    assert unsynced(world) == [job_id]
    world.airtable.upsert = upsert
    sync_rows(world.services, [job_id])
    assert world.airtable.rows[job_id]["Status"] == "Failed"
    assert unsynced(world) == []


def test_the_link_comes_with_what_was_published(world: World) -> None:
    dirty(world, 2)
    world.records.update(IDS[1], {"published_key": "compress/x/y.mp4"})
    sync_rows(world.services, IDS[:2])
    assert world.airtable.rows[IDS[0]]["Compressed URL"] is None
    url = world.airtable.rows[IDS[1]]["Compressed URL"]
    assert url.startswith(f"https://slimreel.example/api/v/{IDS[1]}?s=")


def test_a_stage_without_a_base_keeps_no_rows_and_queues_none() -> None:
    world = World(environment={**ENVIRONMENT, "AIRTABLE_BASE_ID": ""})
    dirty(world, 2)
    assert sync_rows(world.services, IDS[:2]) == {}
    assert requeue(world.services) == 0
    assert world.airtable.calls == [] and world.queues.dirty == []
    assert unsynced(world) == IDS[:2]  # written when there is a base one day
