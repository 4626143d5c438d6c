"""A process that was taken for dead wakes up and goes on: nothing it does then counts.

`stale` is the job as such a process had read it before it fell asleep.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from chalicelib.domain.errors import JobClosed, Temporary
from chalicelib.domain.job import Fetched, Job, Outcome, Status
from chalicelib.domain.verdict import Decision, Verdict
from chalicelib.fetching import parts
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.encode import encode
from chalicelib.steps.encode_changed import encode_changed
from chalicelib.steps.fetch import fetch
from chalicelib.steps.ledger import Overtaken
from chalicelib.steps.plan import begin_attempt
from chalicelib.steps.publish import publish
from tests.examples import JOB_ID, a_job, a_plan
from tests.fakes import COMPRESSED, TEMP, World, event

SOURCE_KEY = f"jobs/{JOB_ID}/source.mov"


@pytest.fixture
def world() -> World:
    return World()


def call(**state: Any) -> StepCall:
    return StepCall(state=state, deadline=time.monotonic() + 60)


def encoding(world: World, **changes: Any) -> Job:
    facts: dict[str, Any] = {"source_key": SOURCE_KEY, "attempt": 1, "plan": a_plan()}
    return world.with_job(a_job(**{**facts, **changes}))


def test_an_attempt_that_others_have_begun_is_not_begun_again(world: World) -> None:
    stale = world.with_job(a_job())
    begin_attempt(world.services, stale, a_plan())
    encode(world.services, world.job(JOB_ID), call(token="live"))
    with pytest.raises(Overtaken):
        begin_attempt(world.services, stale, a_plan())
    job = world.job(JOB_ID)
    assert (job.attempt, job.task_token, job.encoder_job_id) == (1, "live", "encode-1")


def test_a_verdict_about_an_earlier_attempt_is_not_written(world: World) -> None:
    stale = encoding(world)
    kept = Verdict(decision=Decision.KEEP_ORIGINAL, reason="Damaged.")
    begin_attempt(world.services, stale, a_plan(), verdict=kept)
    better = Verdict(decision=Decision.ACCEPT, reason="Smaller.")
    with pytest.raises(Overtaken):
        ledger.write(world.services, stale, verdict=better)
    assert world.job(JOB_ID).verdict == kept


def test_nothing_is_written_to_a_job_that_has_ended(world: World) -> None:
    stale = encoding(world)
    ledger.close(world.services, stale, Status.FAILED, reason="It took too long.")
    with pytest.raises(JobClosed):
        ledger.write(world.services, stale, result_key="late")
    assert world.job(JOB_ID).result_key is None


def test_a_write_whose_answer_was_lost_is_known_as_our_own(world: World) -> None:
    """An AWS client repeats it by itself, and its condition no longer holds."""
    update = world.records.update

    def twice(*args: Any, **options: Any) -> Job | None:
        update(*args, **options)
        return update(*args, **options)

    world.records.update = twice  # type: ignore[method-assign]
    begin_attempt(world.services, world.with_job(a_job()), a_plan())
    assert world.job(JOB_ID).attempt == 1
    closed = ledger.close(world.services, world.job(JOB_ID), Status.FAILED, reason="x")
    assert closed.status is Status.FAILED


def test_an_old_token_does_not_take_the_place_of_the_live_one(world: World) -> None:
    stale = encoding(world)
    encode(world.services, stale, call(token="live"))
    with pytest.raises(Overtaken):
        encode(world.services, stale, call(token="old"))
    assert world.job(JOB_ID).task_token == "live"
    assert len(world.encoder.jobs) == 1


def test_of_two_encodes_of_an_attempt_one_counts_and_the_other_is_cancelled(world: World) -> None:
    """Ours was asked for while the other one's creator slept between its search and its call."""
    job = encoding(world)
    create = world.encoder.create_job

    def after_another(*args: Any, **options: Any) -> str:
        create(*args, **options)
        world.records.update(JOB_ID, {"encoder_job_id": "encode-1"})
        return create(*args, **options)

    world.encoder.create_job = after_another  # type: ignore[method-assign]
    with pytest.raises(Overtaken):
        encode(world.services, job, call(token="live"))
    first, second = world.encoder.jobs
    assert (first["Status"], second["Status"]) == ("SUBMITTED", "CANCELED")
    encode_changed(world.services, event(second, "CANCELED"))
    assert world.job(JOB_ID).outcome is None
    encode_changed(world.services, event(first, "COMPLETE"))
    outcome = world.job(JOB_ID).outcome
    assert outcome is not None and outcome.encoder_job_id == "encode-1"


def test_the_encode_whose_end_was_heard_first_is_the_one_that_counts(world: World) -> None:
    job = encoding(world)
    create = world.encoder.create_job

    def after_another(*args: Any, **options: Any) -> str:
        create(*args, **options)
        made = create(*args, **options)
        encode_changed(world.services, event(world.encoder.jobs[0], "COMPLETE"))
        return made

    world.encoder.create_job = after_another  # type: ignore[method-assign]
    with pytest.raises(Overtaken):
        encode(world.services, job, call(token="live"))
    assert world.encoder.jobs[1]["Status"] == "CANCELED"
    job = world.job(JOB_ID)
    assert job.outcome == Outcome(attempt=1, encoder_job_id="encode-1", status="COMPLETE")


def test_of_two_uploads_one_is_known_and_the_other_is_given_up(world: World, monkeypatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 10)
    monkeypatch.setattr(parts, "MIB", 1)
    film = bytes(range(35))
    file = world.drive.files[world.drive.add("film.mov", film, file_id="film")]
    stale = world.with_job(a_job(file_id="film", size_bytes=35, md5=file.md5, version_key=file.md5))
    key = f"jobs/{JOB_ID}/source.mov"
    theirs = world.storage.create_upload(TEMP, key, content_type="video/quicktime")
    fetched = Fetched(upload_id=theirs, part_size_bytes=10)
    world.records.update(JOB_ID, {"fetched": fetched})
    with pytest.raises(Overtaken):
        fetch(world.services, stale, call())
    assert list(world.storage.uploads) == [theirs]
    assert world.job(JOB_ID).fetched == fetched
    assert fetch(world.services, world.job(JOB_ID), call()) == {"done": True}
    assert world.storage.objects[TEMP, str(world.job(JOB_ID).source_key)] == film


def test_a_copy_found_wrong_is_removed_and_not_the_good_one_in_its_place(world: World) -> None:
    film = bytes(range(35))
    file = world.drive.files[world.drive.add("film.mov", film, file_id="film")]
    stale = world.with_job(a_job(file_id="film", size_bytes=35, md5=file.md5, version_key=file.md5))
    update, awake = world.records.update, []

    def slow(*args: Any, **options: Any) -> Job | None:
        changed = update(*args, **options)
        if not awake:
            awake.append(True)
            for _ in range(2):  # one that finds the wrong copy as well, and one that does better
                with contextlib.suppress(Temporary):
                    fetch(world.services, world.job(JOB_ID), call())
        return changed

    world.drive.rubbish = 1
    world.records.update = slow  # type: ignore[method-assign]
    with pytest.raises(Temporary, match="differs"):
        fetch(world.services, stale, call())
    assert world.storage.objects[TEMP, str(world.job(JOB_ID).source_key)] == film


def published(world: World) -> Job:
    world.storage.put(TEMP, "result.mp4", b"smaller", content_type="video/mp4")
    accepted = Verdict(decision=Decision.ACCEPT, reason="Smaller.")
    return encoding(world, verdict=accepted, result_key="result.mp4", result_size_bytes=7)


def test_a_copy_for_a_job_that_failed_meanwhile_is_removed(world: World) -> None:
    job = published(world)
    copy = world.storage.copy

    def slow(*args: Any, **options: Any) -> bool:
        whole = copy(*args, **options)
        ledger.close(world.services, job, Status.FAILED, reason="It took too long.")
        return whole

    world.storage.copy = slow  # type: ignore[method-assign]
    with pytest.raises(JobClosed):
        publish(world.services, job, call())
    assert not [key for bucket, key in world.storage.objects if bucket == COMPRESSED]


def test_a_copy_that_another_has_published_meanwhile_stays(world: World) -> None:
    job = published(world)
    copy = world.storage.copy

    def slow(*args: Any, **options: Any) -> bool:
        whole = copy(*args, **options)
        world.storage.copy = copy  # type: ignore[method-assign]
        publish(world.services, world.job(JOB_ID), call())
        ledger.close(world.services, world.job(JOB_ID), Status.COMPLETED, reason="Smaller.")
        return whole

    world.storage.copy = slow  # type: ignore[method-assign]
    publish(world.services, job, call())
    assert (COMPRESSED, world.job(JOB_ID).published_key) in world.storage.objects
