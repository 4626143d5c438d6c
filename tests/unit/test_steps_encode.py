"""Encode and its completion: one MediaConvert job per attempt, one answer per token."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from chalicelib.adapters.encoder import NotTaken
from chalicelib.domain.errors import JobClosed, Temporary
from chalicelib.domain.job import Job, Outcome, Status
from chalicelib.domain.verdict import Decision
from chalicelib.steps.call import StepCall
from chalicelib.steps.encode import encode
from chalicelib.steps.encode_changed import encode_changed
from chalicelib.steps.ledger import Overtaken
from tests.examples import JOB_ID, a_job, a_plan, some_facts
from tests.fakes import Killed, World, aws_error, event

COMPLETE = {
    "outputGroupDetails": [
        {
            "outputDetails": [
                {
                    "durationInMs": 60_000,
                    "videoDetails": {"averageBitrate": 4_000_000, "qvbrAvgQuality": 7.6},
                }
            ]
        }
    ],
    "warnings": [{"code": 230001, "count": 1}],
}


@pytest.fixture
def world() -> World:
    world = World()
    world.with_job(planned())
    return world


def planned(**changes: Any) -> Job:
    facts = {"plan": a_plan(), "facts": some_facts(), "attempt": 1}
    return a_job(**{**facts, "source_key": f"jobs/{JOB_ID}/source.mov", **changes})


def encoding(world: World, token: str = "token-1") -> dict[str, Any]:
    """Enter the step with a token; returns the MediaConvert job."""
    world.flows.waiting.add(token)
    call = StepCall(state={"token": token}, deadline=time.monotonic() + 60)
    assert encode(world.services, world.job(JOB_ID), call) == {}
    return world.encoder.jobs[-1] if world.encoder.jobs else {}


def tell(world: World, detail: Mapping[str, Any]) -> None:
    encode_changed(world.services, detail)


def test_the_token_is_stored_before_the_job_is_created(world: World) -> None:
    world.encoder.fail_next("create_job", Temporary("busy"))
    with pytest.raises(Temporary):
        encoding(world)
    job = world.job(JOB_ID)
    assert (job.task_token, job.encoder_job_id) == ("token-1", None)
    assert encoding(world, "token-2")["Id"] == "encode-1"
    job = world.job(JOB_ID)
    assert (job.task_token, job.encoder_job_id) == ("token-2", "encode-1")


def test_the_job_carries_the_job_id_and_the_attempt(world: World) -> None:
    made = encoding(world)
    assert made["UserMetadata"] == {"job_id": JOB_ID, "attempt": "1", "workflow": "compress"}
    [source] = made["Settings"]["Inputs"]
    assert source["FileInput"] == f"s3://temp/jobs/{JOB_ID}/source.mov"


def test_an_encode_that_ended_while_nobody_heard_is_not_waited_for(world: World) -> None:
    made = encoding(world)
    world.encoder.end(made["Id"], "COMPLETE", **COMPLETE)  # and the event is lost
    encoding(world, "token-2")  # the execution was started again
    assert world.flows.answers == [("token-2", "succeed", {"outcome": "COMPLETE"})]
    assert [job["Id"] for job in world.encoder.jobs] == [made["Id"]]


def test_a_job_that_exists_is_adopted(world: World) -> None:
    """Died between creating it and storing its id."""
    world.peril.at = [*undisturbed_calls(), None].index("records.update", 2) + 1
    with pytest.raises(Killed):
        encoding(world)
    world.peril.revive()
    assert world.job(JOB_ID).encoder_job_id is None
    assert encoding(world, "token-2")["Id"] == "encode-1"
    assert len(world.encoder.jobs) == 1
    assert world.job(JOB_ID).encoder_job_id == "encode-1"


def undisturbed_calls() -> list[str]:
    world = World()
    world.with_job(planned())
    encoding(world)
    calls = world.peril.calls
    assert calls == ["records.update", "encoder.create_job", "records.update"]
    return calls


def searches(world: World) -> int:
    return world.peril.calls.count("encoder.find_job")


def test_the_encoder_is_searched_only_where_a_job_may_be(world: World) -> None:
    """It may be asked once a second, and there is an encode for every video."""
    with pytest.raises(Temporary):
        doubtful(world)
    assert searches(world) == 0
    encoding(world, "token-2")
    assert searches(world) == 1
    encoding(world, "token-3")
    assert searches(world) == 1  # its id is known


def doubtful(world: World) -> None:
    """CreateJob fails, and nobody knows whether there is a job."""
    world.encoder.fail_next("create_job", Temporary("busy"))
    encoding(world)


def test_who_was_turned_away_has_nothing_to_look_for(world: World) -> None:
    for number in range(3):
        world.encoder.fail_next("create_job", NotTaken("busy"))
        with pytest.raises(Temporary):
            encoding(world, f"token-{number}")
    encoding(world, "token-4")
    assert searches(world) == 0 and len(world.encoder.jobs) == 1


def test_who_came_after_another_leaves_the_doubt(world: World) -> None:
    """The first one's job may still come to light after the second was turned away."""
    with pytest.raises(Temporary):
        doubtful(world)
    world.encoder.fail_next("create_job", NotTaken("busy"))
    with pytest.raises(Temporary):
        encoding(world, "token-2")
    first = world.encoder.create_job(
        {"Inputs": [{"FileInput": f"s3://temp/jobs/{JOB_ID}/source.mov"}]},
        job_id=JOB_ID,
        attempt=1,
        workflow="compress",
    )
    assert encoding(world, "token-3")["Id"] == first
    assert len(world.encoder.jobs) == 1


def test_who_was_overtaken_does_not_take_the_others_doubt_away(world: World) -> None:
    """It slept while another came, created one and died; then it is turned away."""
    create = world.encoder.create_job

    def after_another(*args: Any, **options: Any) -> str:
        world.encoder.create_job = create
        job = world.job(JOB_ID)
        world.peril.at = len(world.peril.calls) + 4
        with pytest.raises(Killed):
            encode(
                world.services, job, StepCall(state={"token": "token-2"}, deadline=time.monotonic())
            )
        world.peril.revive()
        raise NotTaken("busy")

    world.encoder.create_job = after_another
    with pytest.raises(Temporary):
        encoding(world)
    assert (world.job(JOB_ID).encoder_job_id, len(world.encoder.jobs)) == (None, 1)
    assert encoding(world, "token-3")["Id"] == "encode-1"
    assert len(world.encoder.jobs) == 1


def test_a_twin_with_the_same_token_does_not_take_the_claim_for_its_own(world: World) -> None:
    stale = world.job(JOB_ID)
    encoding(world)
    with pytest.raises(Overtaken):
        encode(
            world.services, stale, StepCall(state={"token": "token-1"}, deadline=time.monotonic())
        )
    assert len(world.encoder.jobs) == 1


def test_a_job_of_another_attempt_is_not_adopted(world: World) -> None:
    encoding(world)
    world.records.update(JOB_ID, {"attempt": 2, "encoder_job_id": None, "task_token": None})
    assert encoding(world, "token-2")["UserMetadata"]["attempt"] == "2"
    assert len(world.encoder.jobs) == 2


def test_the_step_called_again_waits_with_the_new_token(world: World) -> None:
    made = encoding(world)
    world.flows.waiting.clear()
    encoding(world, "token-2")
    assert len(world.encoder.jobs) == 1
    tell(world, event(made, "COMPLETE"))
    assert world.flows.answers == [("token-2", "succeed", {"outcome": "COMPLETE"})]


def test_an_outcome_that_was_faster_is_answered_at_once(world: World) -> None:
    made = encoding(world)
    world.flows.waiting.clear()  # that try of the state ended without anybody noticing
    tell(world, event(made, "COMPLETE"))
    assert world.flows.answers == []
    encoding(world, "token-2")
    assert world.flows.answers == [("token-2", "succeed", {"outcome": "COMPLETE"})]
    assert len(world.encoder.jobs) == 1


def test_an_event_before_the_id_is_stored_counts(world: World) -> None:
    create = world.encoder.create_job

    def at_once(*args: Any, **options: Any) -> str:
        made = create(*args, **options)
        tell(world, world.encoder.end(made, "COMPLETE"))
        return made

    world.encoder.create_job = at_once
    encoding(world)
    assert [answer[1] for answer in world.flows.answers] == ["succeed"]
    assert world.job(JOB_ID).encoder_job_id == "encode-1"


def test_who_comes_late_to_an_attempt_does_not_name_its_job(world: World) -> None:
    """The flow went on to attempt 2 before attempt 1's invocation had stored the id."""
    create = world.encoder.create_job

    def overtaken(*args: Any, **options: Any) -> str:
        made = create(*args, **options)
        world.records.update(JOB_ID, {"attempt": 2})
        return made

    world.encoder.create_job = overtaken
    with pytest.raises(Overtaken):
        encoding(world)
    assert world.job(JOB_ID).encoder_job_id is None
    assert [job["Status"] for job in world.encoder.jobs] == ["CANCELED"]


def test_a_newer_run_is_not_disturbed(world: World) -> None:
    job = world.job(JOB_ID)
    world.records.update(JOB_ID, {"run": 2})
    call = StepCall(state={"token": "old"}, deadline=time.monotonic() + 60)
    with pytest.raises(JobClosed):
        encode(world.services, job, call)
    assert world.encoder.jobs == []
    assert world.job(JOB_ID).task_token is None


# Completion


def test_a_complete_job_wakes_the_flow_and_says_what_came_of_it(world: World) -> None:
    made = encoding(world)
    tell(world, event(made, "COMPLETE", **COMPLETE))
    assert world.flows.answers == [("token-1", "succeed", {"outcome": "COMPLETE"})]
    job = world.job(JOB_ID)
    assert job.encode_percent == 100
    assert job.outcome == Outcome(
        attempt=1,
        encoder_job_id="encode-1",
        status="COMPLETE",
        duration_ms=60_000,
        average_bitrate_bps=4_000_000,
        qvbr_average=7.6,
        warnings=(230001,),
    )


def test_an_event_without_details_is_enough(world: World) -> None:
    tell(world, event(encoding(world), "COMPLETE"))
    assert [answer[1] for answer in world.flows.answers] == ["succeed"]


@pytest.mark.parametrize("twins", [2, 5])
def test_duplicates_are_harmless(world: World, twins: int) -> None:
    detail = event(encoding(world), "COMPLETE", **COMPLETE)
    for _ in range(twins):
        tell(world, detail)
    assert len(world.flows.answers) == 1


def test_a_late_event_of_attempt_1_does_not_end_attempt_2(world: World) -> None:
    first = encoding(world)
    world.records.update(JOB_ID, {"attempt": 2, "encoder_job_id": None, "task_token": None})
    encoding(world, "token-2")
    for status in ("PROGRESSING", "STATUS_UPDATE", "ERROR", "COMPLETE"):
        tell(world, event(first, status, errorCode=1075))
    job = world.job(JOB_ID)
    assert job.outcome is None and job.encode_percent is None
    assert world.flows.answers == [] and world.flows.beats == []


def test_the_first_outcome_stays(world: World) -> None:
    made = encoding(world)
    tell(world, event(made, "COMPLETE"))
    tell(world, event(made, "ERROR", errorCode=1999))
    assert world.job(JOB_ID).outcome.status == "COMPLETE"
    assert [answer[1] for answer in world.flows.answers] == ["succeed"]


def test_a_handler_that_died_before_it_answered_is_made_up_for(world: World) -> None:
    """EventBridge's Lambda calls again; the outcome is there, the answer is not."""
    made = encoding(world)
    world.flows.fail_next("succeed", aws_error("InternalError", status=500))
    with pytest.raises(Exception, match="InternalError"):
        tell(world, event(made, "COMPLETE"))
    assert world.job(JOB_ID).outcome is not None
    tell(world, event(made, "COMPLETE"))
    assert [answer[1] for answer in world.flows.answers] == ["succeed"]


@pytest.mark.parametrize("ended", [Status.FAILED, Status.COMPLETED, Status.CANCELLED])
def test_events_of_a_closed_job_change_nothing(world: World, ended: Status) -> None:
    made = encoding(world)
    world.records.update(JOB_ID, {"status": ended})
    before = world.job(JOB_ID)
    for status in ("STATUS_UPDATE", "COMPLETE", "ERROR"):
        tell(world, event(made, status, jobProgress={"jobPercentComplete": 50}))
    assert world.job(JOB_ID) == before


@pytest.mark.parametrize(
    "metadata",
    [{}, {"job_id": JOB_ID}, {"attempt": "1"}, {"job_id": "unknown", "attempt": "1"}],
)
def test_somebody_elses_job_is_ignored(world: World, metadata: dict[str, str]) -> None:
    encoding(world)
    tell(world, {"jobId": "other", "status": "COMPLETE", "userMetadata": metadata})
    tell(world, {"jobId": "other", "status": "COMPLETE"})
    assert world.job(JOB_ID).outcome is None and world.flows.answers == []


def test_a_token_that_nobody_waits_for_is_no_error(world: World) -> None:
    made = encoding(world)
    world.flows.waiting.clear()
    tell(world, event(made, "STATUS_UPDATE", jobProgress={"jobPercentComplete": 5}))
    tell(world, event(made, "COMPLETE"))
    assert world.job(JOB_ID).outcome is not None


def test_an_attempt_without_a_token_yet_is_no_error(world: World) -> None:
    made = encoding(world)
    world.records.update(JOB_ID, {"task_token": None})
    tell(world, event(made, "STATUS_UPDATE", jobProgress={"jobPercentComplete": 5}))
    tell(world, event(made, "COMPLETE"))
    assert world.job(JOB_ID).outcome is not None and world.flows.answers == []


# How it ends badly


@pytest.mark.parametrize(
    ("status", "code", "error", "sentence"),
    [
        ("ERROR", 1075, "Rejected", "damaged"),
        ("ERROR", 4242, "Rejected", "could not encode"),
        ("ERROR", None, "Rejected", "could not encode"),
        ("ERROR", 1999, "EncoderFault", "could not encode"),
        ("ERROR", 1030, "NoDecoder", "does not know the codec"),
        ("CANCELED", None, "Rejected", "cancelled"),
    ],
)
def test_each_ending_has_the_name_the_flow_knows(
    world: World, status: str, code: int | None, error: str, sentence: str
) -> None:
    facts = {} if code is None else {"errorCode": code, "errorMessage": "own words"}
    tell(world, event(encoding(world), status, **facts))
    [(_, how, cause)] = world.flows.answers
    assert how == error
    assert sentence in json.loads(cause)["errorMessage"]


def test_what_cannot_be_decoded_is_to_be_kept(world: World) -> None:
    tell(world, event(encoding(world), "ERROR", errorCode=1030))
    verdict = world.job(JOB_ID).verdict
    assert verdict is not None and verdict.decision is Decision.KEEP_ORIGINAL
    assert "codec" in verdict.reason


# Progress


def progress(made: Mapping[str, Any], percent: int | None) -> dict[str, Any]:
    facts = {} if percent is None else {"jobPercentComplete": percent}
    return event(made, "STATUS_UPDATE", jobProgress=facts)


def test_progress_is_noted_and_only_goes_up(world: World) -> None:
    made = encoding(world)
    seen = []
    for percent in (5, 40, 20, None, 90):
        tell(world, progress(made, percent))
        seen.append(world.job(JOB_ID).encode_percent)
    assert seen == [5, 40, 40, 40, 90]
    assert world.flows.beats == ["token-1"] * 5
    assert world.queues.dirty == []  # nothing the row shows


def test_progress_never_comes_after_the_end(world: World) -> None:
    made = encoding(world)
    tell(world, progress(made, 40))
    tell(world, event(made, "COMPLETE"))
    tell(world, progress(made, 50))
    assert world.job(JOB_ID).encode_percent == 100


def test_two_progress_events_at_once_leave_the_later(world: World) -> None:
    made = encoding(world)
    heartbeat, others = world.flows.heartbeat, [progress(made, 60)]

    def overtaken(token: str) -> bool:
        if others:
            tell(world, others.pop())
        return heartbeat(token)

    world.flows.heartbeat = overtaken
    tell(world, progress(made, 30))
    assert world.job(JOB_ID).encode_percent == 60


def test_progress_is_no_change_that_reconcile_would_wait_for(world: World) -> None:
    made = encoding(world)
    before = world.job(JOB_ID).updated_at
    tell(world, progress(made, 30))
    assert world.job(JOB_ID).updated_at == before
