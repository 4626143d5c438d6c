"""Register, publish, announce and fail: a job begins once and ends once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.domain.errors import JobClosed, Temporary
from chalicelib.domain.job import Fetched, Job, Status
from chalicelib.domain.notice import Notice
from chalicelib.domain.verdict import Decision, Verdict
from chalicelib.steps import notify as notify_step
from chalicelib.steps.announce import announce
from chalicelib.steps.call import StepCall
from chalicelib.steps.fail import close_failed, fail
from chalicelib.steps.notify import CLAIM_LASTS, BeingSent, notify
from chalicelib.steps.publish import publish
from chalicelib.steps.register import register
from slimreel.paths import PROJECT_DIR
from tests.examples import JOB_ID, a_job, a_workflow
from tests.fakes import COMPRESSED, TEMP, Killed, World, aws_error

ACCEPTED = Verdict(decision=Decision.ACCEPT, reason="90 % smaller; all checks passed.")
KEPT = Verdict(decision=Decision.KEEP_ORIGINAL, reason="It would have been bigger.")
SOURCE, RESULT = f"jobs/{JOB_ID}/source.mov", f"jobs/{JOB_ID}/a1/restored.mp4"
KEY = f"compress/{JOB_ID}/Szene-4.mp4"


@pytest.fixture
def world() -> World:
    return World()


def call(**state: Any) -> StepCall:
    return StepCall(state=state, deadline=time.monotonic() + 60)


def judged(world: World, verdict: Verdict = ACCEPTED, **changes: Any) -> Job:
    world.storage.put(TEMP, SOURCE, b"the original film", content_type="video/quicktime")
    world.storage.put(TEMP, RESULT, b"smaller", content_type="video/mp4")
    facts = {"source_key": SOURCE, "size_bytes": 17, "result_key": RESULT, "result_size_bytes": 7}
    facts |= {"attempt": 1}
    return world.with_job(a_job(**{**facts, "verdict": verdict, **changes}))


def kinds(world: World) -> list[str]:
    return [notice.kind for notice in world.topic.sent]


def test_a_registered_job_was_started_once(world: World, monkeypatch) -> None:
    flows = {"compress": a_workflow(notify_kinds=("started",))}
    monkeypatch.setattr(notify_step, "all_workflows", lambda: flows)
    world.with_job(a_job())
    register(world.services, world.job(JOB_ID), call())
    first = world.job(JOB_ID)
    register(world.services, first, call())
    assert world.job(JOB_ID).started_at == first.started_at
    assert first.execution_started
    assert kinds(world) == ["started"]


def test_nobody_is_told_of_a_start_unless_they_want_it(world: World) -> None:
    world.with_job(a_job())
    register(world.services, world.job(JOB_ID), call())
    assert kinds(world) == []


# Publish


def test_the_result_is_published_under_the_dropped_name(world: World) -> None:
    publish(world.services, judged(world), call())
    job = world.job(JOB_ID)
    assert (job.published_key, job.published_size_bytes) == (KEY, 7)
    assert world.storage.objects[COMPRESSED, KEY] == b"smaller"
    assert world.storage.types[COMPRESSED, KEY] == "video/mp4"
    assert world.storage.names[COMPRESSED, KEY] == "Szene 4.mp4"


def test_a_film_too_large_for_one_invocation_is_published_in_several(world: World) -> None:
    world.storage.copy_takes_invocations = 3
    job = judged(world)
    for _ in range(2):
        with pytest.raises(Temporary, match="several rounds"):
            publish(world.services, world.job(job.job_id), call())
        assert world.job(job.job_id).copy_under_way == "a copy under way"
        assert world.job(job.job_id).published_key is None
    publish(world.services, world.job(job.job_id), call())
    now = world.job(job.job_id)
    assert (now.published_key, now.copy_under_way) == (KEY, None)


def test_an_original_that_is_kept_is_published_as_it_came(world: World) -> None:
    publish(world.services, judged(world, KEPT), call())
    job = world.job(JOB_ID)
    assert job.published_key == f"compress/{JOB_ID}/Szene-4.mov"
    assert job.published_size_bytes == 17
    assert world.storage.objects[COMPRESSED, job.published_key] == b"the original film"
    assert world.storage.types[COMPRESSED, job.published_key] == "video/quicktime"


def test_publishing_again_copies_nothing(world: World, monkeypatch) -> None:
    publish(world.services, judged(world), call())
    world.storage.fail_next("copy", AssertionError("copied again"))
    publish(world.services, world.job(JOB_ID), call())
    assert world.job(JOB_ID).published_key == KEY


def test_half_a_copy_is_not_taken_for_the_whole(world: World) -> None:
    world.storage.put(COMPRESSED, KEY, b"smal", content_type="video/mp4")
    publish(world.services, judged(world), call())
    assert world.storage.objects[COMPRESSED, KEY] == b"smaller"


# Announce


@pytest.mark.parametrize(
    ("verdict", "status", "kind"),
    [(ACCEPTED, Status.COMPLETED, "completed"), (KEPT, Status.KEPT_ORIGINAL, "kept")],
)
def test_an_announced_job_is_closed_mailed_and_tidied_up(
    world: World, verdict: Verdict, status: Status, kind: str
) -> None:
    job = judged(world, verdict, published_key=KEY, published_size_bytes=7)
    world.storage.create_upload(TEMP, SOURCE, content_type="video/mp4")
    announce(world.services, job, call())
    job = world.job(JOB_ID)
    assert (job.status, job.reason) == (status, verdict.reason)
    assert job.completed_at
    assert kinds(world) == [kind]
    assert [at for at in world.storage.objects if at[0] == TEMP] == []
    assert world.storage.uploads == {}
    assert list(world.records.open_jobs()) == []


def test_announcing_again_mails_nobody(world: World) -> None:
    announce(world.services, judged(world), call())
    completed_at = world.job(JOB_ID).completed_at
    announce(world.services, world.job(JOB_ID), call())
    assert kinds(world) == ["completed"]
    assert world.job(JOB_ID).completed_at == completed_at


def test_a_topic_that_takes_nothing_costs_no_job_its_good_end(world: World) -> None:
    """The flow goes on; the email comes later, and nothing temporary waits for it."""
    world.topic.fail_next("publish", aws_error("InternalFailure", status=500))
    assert announce(world.services, judged(world), call()) == {}
    assert world.job(JOB_ID).status is Status.COMPLETED
    assert not [at for at in world.storage.objects if at[0] == TEMP]
    assert [job.job_id for job in world.records.open_jobs()] == [JOB_ID]  # for reconcile
    announce(world.services, world.job(JOB_ID), call())
    assert kinds(world) == ["completed"]
    assert list(world.records.open_jobs()) == []


def test_temporary_files_that_could_not_be_removed_hold_up_no_email(world: World) -> None:
    world.storage.fail_next("delete_prefix", aws_error("SlowDown", status=503))
    announce(world.services, judged(world), call())
    assert kinds(world) == ["completed"]
    assert [job.job_id for job in world.records.open_jobs()] == [JOB_ID]
    announce(world.services, world.job(JOB_ID), call())
    assert kinds(world) == ["completed"]
    assert not [at for at in world.storage.objects if at[0] == TEMP]
    assert list(world.records.open_jobs()) == []


def test_what_failed_meanwhile_is_not_announced_as_well(world: World) -> None:
    job = judged(world)
    close_failed(world.services, job, "Aborted", "")
    with pytest.raises(JobClosed):
        announce(world.services, job, call())
    assert announce(world.services, world.job(JOB_ID), call()) == {}
    assert world.job(JOB_ID).status is Status.FAILED
    assert kinds(world) == ["failed"]
    assert (TEMP, SOURCE) in world.storage.objects


def test_a_write_whose_answer_was_lost_is_known_as_our_own(world: World) -> None:
    """An AWS client repeats such a call by itself, and its condition no longer holds."""
    job, update = judged(world), world.records.update

    def twice(job_id: str, changes: dict[str, Any], **options: Any) -> Job | None:
        update(job_id, changes, **options)
        return update(job_id, changes, **options)

    world.records.update = twice
    announce(world.services, job, call())
    assert world.job(JOB_ID).status is Status.COMPLETED
    assert kinds(world) == ["completed"]


def test_a_newer_run_takes_over(world: World) -> None:
    job = judged(world)
    world.records.update(JOB_ID, {"run": 2})
    for step in (announce, publish, register, fail):
        with pytest.raises(JobClosed):
            step(world.services, job, call())
    assert world.job(JOB_ID).status is Status.PROCESSING
    assert kinds(world) == []


def test_each_run_has_an_email_of_its_own(world: World) -> None:
    announce(world.services, judged(world), call())
    world.records.update(JOB_ID, {"run": 2, "status": Status.PROCESSING})
    announce(world.services, world.job(JOB_ID), call())
    assert kinds(world) == ["completed", "completed"]


def test_two_that_close_a_job_at_once_tell_people_once(world: World) -> None:
    job = judged(world, status=Status.COMPLETED)
    publish = world.topic.publish

    def while_another_closes_it(message: Notice) -> None:
        with pytest.raises(BeingSent):
            notify(world.services, world.job(JOB_ID))
        with pytest.raises(BeingSent):
            notify(world.services, job)
        publish(message)

    world.topic.publish = while_another_closes_it
    notify(world.services, job)
    with pytest.raises(BeingSent):
        notify(world.services, job)  # read before, and slow
    notify(world.services, world.job(JOB_ID))
    assert kinds(world) == ["completed"]


def test_who_died_over_an_email_holds_it_up_for_minutes_only(world: World) -> None:
    job, now = judged(world, status=Status.COMPLETED), datetime.now(UTC)
    world.now = lambda: now
    world.topic.fail_next("publish", Killed())
    with pytest.raises(Killed):
        notify(world.services, job)
    with pytest.raises(BeingSent):
        notify(world.services, world.job(JOB_ID))
    world.now = lambda: now + CLAIM_LASTS
    notify(world.services, world.job(JOB_ID))
    assert kinds(world) == ["completed"]


def test_no_function_that_sends_emails_outlives_its_claim() -> None:
    config = json.loads((PROJECT_DIR / ".chalice" / "config.json").read_text())
    functions = config["lambda_functions"]
    sending = {
        name
        for name in functions
        if "sns:Publish" in (PROJECT_DIR / ".chalice" / f"policy-{name}.json").read_text()
    }
    assert {"announce", "fail", "reconcile_jobs"} <= sending
    usual_s = config["lambda_timeout"]
    longest_s = max(functions[name].get("lambda_timeout", usual_s) for name in sending)
    assert longest_s <= CLAIM_LASTS.total_seconds()


# Fail


def caught(error: str, message: str) -> dict[str, str]:
    return {"Error": error, "Cause": json.dumps({"errorMessage": message, "errorType": error})}


def test_a_failed_job_says_why_and_keeps_its_files(world: World) -> None:
    upload = Fetched(upload_id="upload-1", part_size_bytes=16)
    job = judged(world, fetched=upload)
    fail(world.services, job, call(error=caught("Rejected", "The file is empty.")))
    job = world.job(JOB_ID)
    assert (job.status, job.reason) == (Status.FAILED, "The file is empty.")
    assert job.error == "Rejected: The file is empty."
    assert kinds(world) == ["failed"]
    assert (TEMP, SOURCE) in world.storage.objects
    assert list(world.records.open_jobs()) == []


def test_failing_again_changes_nothing(world: World) -> None:
    fail(world.services, judged(world), call(error=caught("Rejected", "The file is empty.")))
    before = world.job(JOB_ID)
    fail(world.services, before, call(error=caught("States.Timeout", "")))
    close_failed(world.services, before, "Aborted", "")
    assert world.job(JOB_ID) == before
    assert kinds(world) == ["failed"]


@pytest.mark.parametrize(("verdict", "kind"), [(ACCEPTED, "completed"), (KEPT, "kept")])
def test_what_is_published_has_not_failed(world: World, verdict: Verdict, kind: str) -> None:
    """Whatever became of its flow afterwards, it has done all that was asked of it."""
    facts = {"published_run": 1, "published_key": KEY, "published_size_bytes": 7}
    fail(world.services, judged(world, verdict, **facts), call(error=caught("ClientError", "no")))
    job = world.job(JOB_ID)
    assert (job.reason, job.error) == (verdict.reason, None)
    assert kinds(world) == [kind]
    assert list(world.records.open_jobs()) == []


@pytest.mark.parametrize("state", [{}, {"error": None}, {"error": {}}, {"error": {"Error": "X"}}])
def test_a_failure_without_words_is_a_failure(world: World, state: dict[str, Any]) -> None:
    fail(world.services, judged(world), call(**state))
    assert world.job(JOB_ID).status is Status.FAILED
    assert world.job(JOB_ID).reason


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.KEPT_ORIGINAL, Status.CANCELLED])
def test_what_ended_otherwise_does_not_fail(world: World, status: Status) -> None:
    world.with_job(a_job(status))
    fail(world.services, world.job(JOB_ID), call(error=caught("Rejected", "x")))
    assert world.job(JOB_ID).status is status and kinds(world) == []
