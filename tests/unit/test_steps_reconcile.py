"""Reconcile: what we did not hear of is found, and nothing that is well is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Job, Outcome, Status
from chalicelib.domain.notice import Notice
from chalicelib.steps.reconcile import (
    SETTLE_S,
    UNSETTLED_IN_A_ROW,
    execution_ended,
    reconcile,
)
from tests.examples import JOB_ID, a_job, a_plan, some_facts
from tests.fakes import TEMP, Killed, World, aws_error

NAME = f"{JOB_ID}-1"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World()


def encoding(world: World, **changes: Any) -> Job:
    """A job that waits for its encode."""
    made = world.encoder.create_job({}, job_id=JOB_ID, attempt=1, workflow="compress")
    facts = {"plan": a_plan(), "facts": some_facts(), "attempt": 1, "execution_started": True}
    job = world.with_job(
        a_job(**{**facts, "task_token": "token", "encoder_job_id": made, **changes})
    )
    world.flows.executions[NAME] = "RUNNING"
    world.flows.waiting.add("token")
    return job


def answers(world: World) -> list[str]:
    return [how for _, how, _ in world.flows.answers]


def kinds(world: World) -> list[str]:
    return [notice.kind for notice in world.topic.sent]


def test_a_lost_completion_is_found(world: World) -> None:
    encoding(world)
    world.encoder.end("encode-1", "COMPLETE")
    reconcile(world.services, now=NOW)
    assert answers(world) == ["succeed"]
    assert world.job(JOB_ID).outcome.status == "COMPLETE"


def test_a_lost_failure_is_found(world: World) -> None:
    encoding(world)
    world.encoder.end("encode-1", "ERROR", errorCode=1999, errorMessage="own words")
    reconcile(world.services, now=NOW)
    assert answers(world) == ["EncoderFault"]


def test_an_outcome_that_was_never_answered_is_answered(world: World) -> None:
    """Its handler stored it and died, and so did whoever called it again."""
    encoding(world, outcome=Outcome(attempt=1, encoder_job_id="encode-1", status="COMPLETE"))
    reconcile(world.services, now=NOW)
    reconcile(world.services, now=NOW)
    assert answers(world) == ["succeed"]


def test_a_queued_encode_is_kept_alive(world: World) -> None:
    encoding(world)
    for _ in range(3):
        reconcile(world.services, now=NOW)
    assert world.flows.beats == ["token"] * 3
    assert world.job(JOB_ID).status is Status.PROCESSING


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
def test_an_execution_that_ended_without_a_word_closes_its_job(world: World, status: str) -> None:
    encoding(world)
    world.flows.executions[NAME] = status
    reconcile(world.services, now=NOW)
    job = world.job(JOB_ID)
    assert job.status is Status.FAILED and job.completed_at
    assert job.reason and "Traceback" not in job.reason
    assert kinds(world) == ["failed"]
    assert list(world.records.open_jobs()) == []


def test_an_execution_that_was_never_started_is_started(world: World) -> None:
    world.with_job(a_job())
    reconcile(world.services, now=NOW)
    assert world.flows.started == [("compress", NAME, {"job_id": JOB_ID, "run": 1})]
    assert world.job(JOB_ID).execution_started


def test_an_execution_nobody_knows_any_more_is_started_again(world: World) -> None:
    world.with_job(a_job(execution_started=True))
    reconcile(world.services, now=NOW)
    assert [name for _, name, _ in world.flows.started] == [NAME]


def test_what_was_just_touched_is_left_alone(world: World) -> None:
    job = world.with_job(a_job())
    touched = datetime.fromisoformat(job.updated_at)
    reconcile(world.services, now=touched + timedelta(seconds=SETTLE_S - 1))
    assert world.flows.started == []
    reconcile(world.services, now=touched + timedelta(seconds=SETTLE_S))
    assert len(world.flows.started) == 1


@pytest.mark.parametrize(
    "error", [Temporary("MediaConvert is busy."), aws_error("NotFoundException"), KeyError("x")]
)
def test_one_job_that_cannot_be_reconciled_does_not_hold_up_the_others(
    world: World, error: Exception
) -> None:
    encoding(world)
    world.with_job(a_job(job_id="f" * 20, updated_at="2026-05-04T10:00:00.000Z"))
    world.encoder.fail_next("get_job", error)
    reconcile(world.services, now=NOW)
    assert [name for _, name, _ in world.flows.started] == ["f" * 20 + "-1"]


def test_a_job_that_ended_well_since_it_was_listed_is_not_failed(world: World, monkeypatch) -> None:
    """The list of a hundred jobs takes minutes to walk through."""
    listed = encoding(world)
    monkeypatch.setattr(world.records, "open_jobs", lambda: iter([listed]))
    world.records.update(JOB_ID, {"status": Status.COMPLETED, "notices_sent": ("1:completed",)})
    world.flows.executions[NAME] = "SUCCEEDED"
    reconcile(world.services, now=NOW)
    assert world.job(JOB_ID).status is Status.COMPLETED
    assert kinds(world) == []


def test_a_job_that_ends_well_while_it_is_looked_at_is_not_failed(world: World) -> None:
    encoding(world)
    status = world.flows.status

    def ends_now(*args: str) -> str | None:
        world.records.update(JOB_ID, {"status": Status.COMPLETED})
        world.flows.executions[NAME] = "SUCCEEDED"
        return status(*args)

    world.flows.status = ends_now
    reconcile(world.services, now=NOW)
    assert world.job(JOB_ID).status is Status.COMPLETED
    assert kinds(world) == []


def test_a_closing_that_was_cut_short_is_closed_to_the_end() -> None:
    """Killed at any call: people are told once, or twice if it was right after the email."""
    calls = aborted(at=None).peril.calls
    assert "topic.publish" in calls
    for at in range(1, len(calls) + 1):
        world = aborted(at)
        for hours in (1, 2):
            later = datetime.now(UTC) + timedelta(hours=hours)
            world.now = lambda later=later: later
            reconcile(world.services, now=later)
        assert world.job(JOB_ID).status is Status.FAILED, at
        emails = 2 if calls[at - 2] == "topic.publish" else 1
        assert kinds(world) == ["failed"] * emails, at
        assert list(world.records.open_jobs()) == [], at


def aborted(at: int | None) -> World:
    """A reconcile that finds an aborted execution and dies at a call."""
    world = World()
    encoding(world)
    world.flows.executions[NAME] = "ABORTED"
    world.peril.at = at
    try:
        reconcile(world.services, now=NOW)
    except Killed:
        world.peril.revive()
    return world


def test_an_email_that_sns_refused_for_hours_is_sent_in_the_end(world: World) -> None:
    encoding(world)
    world.flows.executions[NAME] = "ABORTED"
    outage = [aws_error("InternalFailure", status=500) for _ in range(3)]
    world.topic.fail_next("publish", *outage)
    for hours in range(1, 6):
        reconcile(world.services, now=datetime.now(UTC) + timedelta(hours=hours))
    assert kinds(world) == ["failed"]
    assert list(world.records.open_jobs()) == []


def closed(world: World, job_id: str, status: Status = Status.COMPLETED) -> None:
    """A job whose closing was cut short right after its record."""
    world.with_job(a_job(job_id=job_id))
    world.records.update(job_id, {"status": status, "published_size_bytes": 1})
    world.storage.put(TEMP, f"jobs/{job_id}/source.mov", b"film", content_type="video/mp4")


def test_what_ended_well_is_tidied_up_too(world: World) -> None:
    closed(world, JOB_ID)
    reconcile(world.services, now=NOW)
    assert kinds(world) == ["completed"]
    assert world.storage.objects == {}
    assert list(world.records.open_jobs()) == []


def test_two_reconciles_at_once_send_one_email(world: World) -> None:
    """A schedule may fire twice."""
    closed(world, JOB_ID)
    publish, other = world.topic.publish, world.new_process()

    def slow(notice: Notice) -> None:
        world.topic.publish = publish
        reconcile(other, now=NOW)
        publish(notice)

    world.topic.publish = slow
    reconcile(world.services, now=NOW)
    assert kinds(world) == ["completed"]


def test_a_topic_that_is_away_takes_no_time_from_those_that_still_work(world: World) -> None:
    for number in range(9):
        closed(world, f"{number:020x}")
    encoding(world, updated_at="2026-05-04T10:00:00.000Z")
    world.encoder.end("encode-1", "COMPLETE")
    away = [aws_error("InternalFailure", status=500) for _ in range(99)]
    world.topic.fail_next("publish", *away)
    reconcile(world.services, now=NOW)
    assert answers(world) == ["succeed"]
    assert len(away) - len(world.topic.failures["publish"]) == UNSETTLED_IN_A_ROW
    # and each of them has its turn
    for hours in range(1, 4):
        reconcile(world.services, now=NOW + timedelta(hours=hours))
    world.topic.failures.clear()
    for hours in range(4, 6):
        reconcile(world.services, now=NOW + timedelta(hours=hours))
    assert kinds(world) == ["completed"] * 9


def test_the_encoder_is_asked_after_those_that_ended_only(world: World) -> None:
    """It takes two such questions a second, and there may be a thousand jobs."""
    for number in range(5):
        job_id = f"{number:020x}"
        made = world.encoder.create_job({}, job_id=job_id, attempt=1, workflow="compress")
        facts = {"attempt": 1, "execution_started": True, "encoder_job_id": made}
        world.with_job(a_job(job_id=job_id, task_token=f"token-{number}", **facts))
        world.flows.executions[f"{job_id}-1"] = "RUNNING"
        world.flows.waiting.add(f"token-{number}")
    world.encoder.end("encode-3", "COMPLETE")
    world.peril.calls.clear()
    reconcile(world.services, now=NOW)
    assert world.peril.calls.count("encoder.unfinished_jobs") == 1
    assert world.peril.calls.count("encoder.get_job") == 1
    assert [token for token, _, _ in world.flows.answers] == ["token-2"]
    assert len(world.flows.beats) == 4


def test_an_encode_whose_id_was_never_written_down_is_found(world: World) -> None:
    url = "s3://temp/jobs/1/source.mov"
    begun = {"encode_claim": "somebody", "source_key": "jobs/1/source.mov"}
    encoding(world, encoder_job_id=None, **begun)
    world.encoder.jobs[0]["Settings"] = {"Inputs": [{"FileInput": url}]}
    reconcile(world.services, now=NOW)
    assert world.job(JOB_ID).encoder_job_id == "encode-1"
    assert world.flows.beats == ["token"]


# The event


def ended(status: str = "ABORTED", name: str = NAME, **facts: Any) -> dict[str, Any]:
    return {"name": name, "status": status, **facts}


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_ended_execution_closes_its_job_once(world: World, status: str) -> None:
    encoding(world)
    for _ in range(3):
        execution_ended(world.services, ended(status, error=None, cause=None))
    assert world.job(JOB_ID).status is Status.FAILED
    assert kinds(world) == ["failed"]


def test_a_timed_out_execution_says_so(world: World) -> None:
    encoding(world)
    execution_ended(world.services, ended("TIMED_OUT"))
    assert "longer than expected" in str(world.job(JOB_ID).reason)


def test_the_flows_own_words_stay(world: World) -> None:
    encoding(world)
    world.records.update(JOB_ID, {"status": Status.FAILED, "reason": "The file is empty."})
    execution_ended(world.services, ended("FAILED", error="JobFailed", cause="see record"))
    assert world.job(JOB_ID).reason == "The file is empty."


def test_a_completed_job_stays_completed(world: World) -> None:
    encoding(world)
    world.records.update(JOB_ID, {"status": Status.COMPLETED})
    execution_ended(world.services, ended("TIMED_OUT"))
    assert world.job(JOB_ID).status is Status.COMPLETED and kinds(world) == []


def test_a_job_that_ends_well_at_that_moment_stays_completed(world: World, monkeypatch) -> None:
    job = encoding(world)
    world.records.update(JOB_ID, {"status": Status.COMPLETED})
    monkeypatch.setattr(world.records, "get", lambda job_id: job)  # read a moment before
    execution_ended(world.services, ended("TIMED_OUT"))
    assert world.records.items[f"job#{JOB_ID}", "job"]["status"] == "Completed"
    assert kinds(world) == []


@pytest.mark.parametrize("name", [f"{JOB_ID}-2", f"{'f' * 20}-1", "somebody-elses", "", "x" * 80])
def test_executions_of_other_runs_and_of_strangers_close_nothing(world: World, name: str) -> None:
    encoding(world)
    execution_ended(world.services, ended(name=name))
    assert world.job(JOB_ID).status is Status.PROCESSING
