"""Rows: Airtable shows the record as it is, sooner or later, and one bad row is only that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.adapters.airtable import (
    AirtableOutOfCalls,
    AirtableRefused,
    AirtableUnavailable,
)
from chalicelib.domain.job import Status
from chalicelib.steps.rows import DEFAULT_PAUSE_S, requeue, sync_rows
from tests.examples import a_job
from tests.fakes import ENVIRONMENT, World

IDS = [f"{number:020x}" for number in range(25)]


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


def test_out_of_calls_the_rows_stay_marked_and_are_queued_again(world: World) -> None:
    dirty(world, 2)
    world.airtable.fail_next("upsert", AirtableOutOfCalls("The month's calls are used up."))
    assert triggers.rows_changed(messages(*IDS[:2])) == {"batchItemFailures": []}
    assert unsynced(world) == IDS[:2]
    world.queues.dirty.clear()
    assert requeue(world.services) == 2
    assert sorted(world.queues.dirty) == [(job_id, 1) for job_id in IDS[:2]]


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
