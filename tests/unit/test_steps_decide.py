"""Inspect, plan, measure and verify: decided once, whatever is repeated."""

from __future__ import annotations

import time
from typing import Any

import pytest

from chalicelib.config import all_presets
from chalicelib.domain.errors import JobClosed, Rejected
from chalicelib.domain.job import Job, Outcome, Restored, Status
from chalicelib.domain.plan import Route
from chalicelib.domain.search import Target
from chalicelib.domain.verdict import Decision, Verdict
from chalicelib.measuring import Progress
from chalicelib.steps import measure as measure_step
from chalicelib.steps import plan as plan_step
from chalicelib.steps import verify as verify_step
from chalicelib.steps.call import StepCall
from chalicelib.steps.inspect import inspect
from chalicelib.steps.measure import measure
from chalicelib.steps.plan import MAX_ENCODER_FAULTS, plan
from chalicelib.steps.restore import restore
from chalicelib.steps.verify import verify
from tests.examples import (
    JOB_ID,
    a_job,
    a_measurement,
    a_plan,
    a_score,
    a_video,
    a_workflow,
    some_facts,
    tracks,
)
from tests.fakes import TEMP, Killed, World

LOW = a_measurement(score=a_score(mean=0.90))


@pytest.fixture
def world() -> World:
    return World()


def call() -> StepCall:
    return StepCall(state={}, deadline=time.monotonic() + 60)


def inspected(world: World, **changes: Any) -> Job:
    return world.with_job(a_job(**{"facts": some_facts(), **changes}))


def fault(attempt: int) -> Outcome:
    return Outcome(
        attempt=attempt, encoder_job_id=f"encode-{attempt}", status="ERROR", error_code=1999
    )


# Inspect


def test_what_probe_finds_is_written_down(world: World) -> None:
    world.with_job(a_job(source_key="jobs/x/source.mp4"))
    world.storage.put(TEMP, "jobs/x/source.mp4", b"not an MP4", content_type="video/mp4")
    asked = []
    world.encoder.probe = lambda url: (
        asked.append(url) or {"Container": {"Format": "mp4", "Duration": 2.0, "Tracks": []}}
    )
    assert inspect(world.services, world.job(JOB_ID), call()) == {}
    assert asked == [f"s3://{TEMP}/jobs/x/source.mp4"]
    facts = world.job(JOB_ID).facts
    assert facts is not None and (facts.container, facts.duration_s) == ("mp4", 2.0)
    assert len(world.queues.dirty) == 1


# Plan


def test_a_plan_begins_the_first_attempt(world: World) -> None:
    assert plan(world.services, inspected(world), call()) == {"route": "search"}
    job = world.job(JOB_ID)
    assert (job.attempt, job.first_attempt, job.encoder_faults) == (1, 1, 0)
    assert job.plan is not None and job.plan.qvbr_level == all_presets()["balanced"].qvbr_level
    assert job.cost_usd and job.cost_usd > 0


def test_planning_again_changes_nothing(world: World) -> None:
    plan(world.services, inspected(world), call())
    before = world.job(JOB_ID)
    assert plan(world.services, before, call()) == {"route": "search"}
    assert world.job(JOB_ID) == before


def test_a_plan_to_keep_has_its_verdict(world: World, monkeypatch) -> None:
    flows = {"compress": a_workflow(compress_above_bytes=5 * 10**9)}
    monkeypatch.setattr(plan_step, "all_workflows", lambda: flows)
    assert plan(world.services, inspected(world), call()) == {"route": "keep"}
    job = world.job(JOB_ID)
    assert job.verdict is not None and job.verdict.decision is Decision.KEEP_ORIGINAL
    assert "Smaller than" in job.verdict.reason and job.cost_usd == 0
    assert plan(world.services, job, call()) == {"route": "keep"}


def test_nothing_to_encode_is_rejected_each_time(world: World) -> None:
    job = inspected(world, facts=some_facts(video=a_video(width=0)))
    for _ in range(2):
        with pytest.raises(Rejected, match="picture"):
            plan(world.services, world.job(job.job_id), call())
    assert world.job(JOB_ID).plan.route is Route.REJECT


def test_a_fault_is_planned_again_so_many_times_and_no_more(world: World) -> None:
    plan(world.services, inspected(world), call())
    attempts = []
    for attempt in range(1, 1 + MAX_ENCODER_FAULTS):
        world.records.update(JOB_ID, {"outcome": fault(attempt)})
        assert plan(world.services, world.job(JOB_ID), call()) == {"route": "search"}
        assert plan(world.services, world.job(JOB_ID), call()) == {"route": "search"}  # repeated
        attempts.append(world.job(JOB_ID).attempt)
    assert attempts == [2, 3]
    world.records.update(JOB_ID, {"outcome": fault(3)})
    for _ in range(2):
        with pytest.raises(Rejected, match="failed 3 times"):
            plan(world.services, world.job(JOB_ID), call())
    assert world.job(JOB_ID).attempt == 3


def test_a_new_attempt_knows_nothing_of_the_one_before(world: World) -> None:
    stale = {
        "outcome": fault(1),
        "task_token": "old",
        "encoder_job_id": "encode-1",
        "encode_percent": 100,
        "result_key": "a1",
        "result_size_bytes": 1,
        "restored": Restored(restored=False),
        "encoder_ssim_mean": 0.9,
        "measurement": a_measurement(),
        "verdict": Verdict(decision=Decision.RETRY_HIGHER, reason="low"),
    }
    inspected(world, plan=a_plan(), attempt=1, **stale)
    plan(world.services, world.job(JOB_ID), call())
    job = world.job(JOB_ID)
    left = {name for name in stale if name != "verdict" and getattr(job, name) is not None}
    assert left == set()


def test_a_job_that_was_closed_meanwhile_is_not_opened_again(world: World) -> None:
    job = inspected(world)
    world.records.update(JOB_ID, {"status": Status.FAILED})
    with pytest.raises(JobClosed):
        plan(world.services, job, call())
    assert world.job(JOB_ID).status is Status.FAILED


# Restore and measure


def test_an_encode_that_cannot_be_parsed_goes_on_as_it_is(world: World) -> None:
    world.with_job(a_job(attempt=2, source_key="source", plan=a_plan()))
    world.storage.put(TEMP, "source", b"no film", content_type="video/mp4")
    encoded = f"jobs/{JOB_ID}/a2/encoded.mp4"
    world.storage.put(TEMP, encoded, b"smaller", content_type="video/mp4")
    for _ in range(2):
        restore(world.services, world.job(JOB_ID), call())
        job = world.job(JOB_ID)
        assert (job.result_key, job.result_size_bytes) == (encoded, 7)
        assert job.restored is not None and job.restored.reason


def test_measuring_goes_on_in_the_next_invocation(world: World, monkeypatch) -> None:
    world.with_job(a_job(attempt=1, source_key="source", result_key="result", result_size_bytes=7))
    progress = Progress(windows_done=4, notes=("so far",))
    seen, answers = [], [progress, a_measurement()]

    def go_on(ffmpeg, *, source, result, sampling, progress, remaining_s):
        seen.append(progress)
        assert not sampling.vmaf
        assert 50 < remaining_s() <= 60
        assert source.url.startswith("https://temp") and "X-Amz-Expires=3600" in source.url
        return answers.pop(0)

    monkeypatch.setattr(measure_step, "go_on", go_on)
    assert measure(world.services, world.job(JOB_ID), call()) == {"done": False}
    assert measure(world.services, world.job(JOB_ID), call()) == {"done": True}
    assert seen == [None, progress]
    assert measure(world.services, world.job(JOB_ID), call()) == {"done": True}  # a repeat
    assert len(seen) == 2
    assert world.job(JOB_ID).measurement == a_measurement()


# Verify


def measured(world: World, measurement: Any, **changes: Any) -> Job:
    plain = {"plan": a_plan(), "attempt": 1, "result_size_bytes": 30_000_000, "result_key": "r"}
    return inspected(world, measurement=measurement, **{**plain, **changes})


def test_a_good_result_is_accepted(world: World) -> None:
    job = measured(world, a_measurement())
    for _ in range(2):
        assert verify(world.services, job, call()) == {"decision": "accept"}
        job = world.job(JOB_ID)
    assert job.verdict is not None and "90 % smaller" in job.verdict.reason.replace("\xa0", " ")


def test_a_low_score_means_a_higher_level(world: World) -> None:
    measured(world, LOW, outcome=fault(1), task_token="old", encoder_job_id="encode-1")
    assert verify(world.services, world.job(JOB_ID), call()) == {"decision": "retry_higher"}
    job = world.job(JOB_ID)
    assert (job.status, job.attempt, job.first_attempt) == (Status.RETRYING, 2, 1)
    assert job.plan is not None and job.plan.qvbr_level == 10  # 3 dB more
    cleared = (job.outcome, job.task_token, job.encoder_job_id, job.measurement, job.result_key)
    assert cleared == (None,) * 5
    # and asked again it says the same and does nothing
    assert verify(world.services, job, call()) == {"decision": "retry_higher"}
    assert world.job(JOB_ID) == job


def test_a_crash_between_verdict_and_new_attempt_makes_one_new_attempt() -> None:
    def play(at: int | None) -> World:
        world = World()
        measured(world, LOW)
        world.peril.at = at
        try:
            verify(world.services, world.job(JOB_ID), call())
        except Killed:
            world.peril.revive()
            verify(world.services, world.job(JOB_ID), call())
        return world

    for at in range(1, len(play(None).peril.calls) + 1):
        job = play(at).job(JOB_ID)
        assert (job.attempt, job.plan.qvbr_level) == (2, 10), at


@pytest.mark.parametrize(
    ("attempt", "first_attempt", "level", "decision"),
    [
        (2, 1, 9, "retry_higher"),
        (3, 1, 10, "keep_original"),  # three attempts is what the workflow allows
        (3, 2, 9, "retry_higher"),  # one of them was the encoder's own fault
        (1, 1, 10, "keep_original"),  # there is no higher level
    ],
)
def test_attempts_end(world: World, attempt, first_attempt, level, decision) -> None:
    facts = {"attempt": attempt, "first_attempt": first_attempt, "plan": a_plan(qvbr_level=level)}
    job = measured(world, LOW, **facts)
    assert verify(world.services, job, call()) == {"decision": decision}


PLUS = a_plan(preset="balanced+", then=Target(metric="SSIM", mean=0.98, worst=0.93))


def best_of_two(world: World, second: Any, **changes: Any) -> Job:
    """A preset that wants the better of two, after both were measured."""
    first = a_measurement(score=a_score(mean=0.92))
    measured(world, first, plan=PLUS, result_key="first", result_size_bytes=20_000_000)
    assert verify(world.services, world.job(JOB_ID), call()) == {"decision": "retry_higher"}
    world.records.update(
        JOB_ID,
        {"measurement": second, "result_key": "second", "result_size_bytes": 30_000_000, **changes},
    )
    decisions = [verify(world.services, world.job(JOB_ID), call()) for _ in range(2)]
    assert decisions == [{"decision": "accept"}] * 2
    return world.job(JOB_ID)


@pytest.mark.parametrize(("score", "published"), [(0.94, "second"), (0.91, "first")])
def test_the_better_of_two_is_published_as_a_best_effort_that_says_so(
    world: World, score: float, published: str
) -> None:
    job = best_of_two(world, a_measurement(score=a_score(mean=score)))
    assert job.result_key == published
    assert job.verdict is not None and job.verdict.best_effort
    assert "as a best effort: likeness to the original" in job.verdict.reason
    assert job.measurement is not None and job.measurement.score is not None
    assert job.measurement.score.mean == max(score, 0.92)


def test_a_second_try_that_is_good_enough_is_no_best_effort(world: World) -> None:
    job = best_of_two(world, a_measurement(score=a_score(mean=0.97)))
    assert (job.result_key, job.verdict and job.verdict.best_effort) == ("second", False)


def test_a_second_try_that_saves_too_little_gives_way_to_the_first(world: World) -> None:
    better = a_measurement(score=a_score(mean=0.97))
    job = best_of_two(world, better, result_size_bytes=290_000_000)
    assert (job.result_key, job.verdict and job.verdict.best_effort) == ("first", True)


def test_a_result_above_the_workflows_limit_is_tried_smaller_and_never_published(
    world: World, monkeypatch
) -> None:
    flows = {"compress": a_workflow(max_output_bytes=20_000_000)}
    monkeypatch.setattr(verify_step, "all_workflows", lambda: flows)
    measured(world, a_measurement())
    assert verify(world.services, world.job(JOB_ID), call()) == {"decision": "retry_higher"}
    plan = world.job(JOB_ID).plan
    # 30 MB in a minute are 4 Mbit/s, of which two thirds may be had
    assert plan is not None and plan.max_average_bps == int(4e6 * 0.96 * 20 / 30)
    assert plan.tuning == "MULTI_PASS_HQ"
    again = {"measurement": a_measurement(), "result_size_bytes": 21_000_000, "attempt": 3}
    world.records.update(JOB_ID, {**again, "result_key": "r"})
    assert verify(world.services, world.job(JOB_ID), call()) == {"decision": "keep_original"}
    verdict = world.job(JOB_ID).verdict
    assert verdict is not None
    assert "21.0 MB, more than the 20.0 MB this workflow allows" in verdict.reason


def test_a_source_without_its_end_is_rejected(world: World) -> None:
    facts = some_facts(duration_s=90.0, video=a_video(duration_s=90.0))
    job = measured(world, a_measurement(source_tracks=tracks()), facts=facts)
    with pytest.raises(Rejected, match="ends too early"):
        verify(world.services, job, call())
    assert world.job(JOB_ID).verdict is None


def test_the_encoders_own_report_is_recorded_as_that(world: World) -> None:
    job = measured(world, a_measurement())
    csv = b"Frame,SSIM\n0,0.99\nAverage: 0.9812\nWorst: 0.97\n"
    world.storage.put(TEMP, f"jobs/{JOB_ID}/a1/encoded_SSIM.csv", csv, content_type="text/csv")
    verify(world.services, job, call())
    assert world.job(JOB_ID).encoder_ssim_mean == 0.9812


def test_a_closed_job_is_not_encoded_again(world: World, monkeypatch) -> None:
    """Somebody stopped the execution while the result was judged."""
    measured(world, LOW)
    judge = verify_step.judge

    def slow(**facts: Any) -> Verdict:
        world.records.update(JOB_ID, {"status": Status.FAILED})
        return judge(**facts)

    monkeypatch.setattr(verify_step, "judge", slow)
    with pytest.raises(JobClosed):
        verify(world.services, world.job(JOB_ID), call())
    assert (world.job(JOB_ID).status, world.job(JOB_ID).attempt) == (Status.FAILED, 1)
