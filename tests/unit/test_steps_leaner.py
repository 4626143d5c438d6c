"""A result that came out better than it has to be: a leaner one is looked for once, and the first
stays at hand whatever becomes of that."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.job import Job, Outcome, Restored, Status
from chalicelib.domain.plan import Plan
from chalicelib.domain.verdict import Decision
from chalicelib.steps import verify as verify_step
from chalicelib.steps.call import StepCall
from chalicelib.steps.plan import plan
from chalicelib.steps.verify import verify
from tests.examples import JOB_ID, a_job, a_measurement, a_score, a_workflow, some_facts
from tests.fakes import World
from tests.unit.test_leaner import searched

TOO_GOOD = a_measurement(score=a_score(mean=0.966, worst_1_percent=0.95))
JUST_ENOUGH = a_measurement(score=a_score(mean=0.951, worst_1_percent=0.93))
TOO_LOW = a_measurement(score=a_score(mean=0.948, worst_1_percent=0.93))


@pytest.fixture
def world() -> World:
    return World()


def call() -> StepCall:
    return StepCall(state={}, deadline=time.monotonic() + 60)


def first_result(world: World, **changes: Any) -> Job:
    """A short film, encoded once and measured."""
    facts = some_facts(duration_s=60.0)
    known: dict[str, Any] = {
        "facts": facts,
        "plan": searched(4.0),
        "attempt": 2,
        "first_attempt": 2,
        "measurement": TOO_GOOD,
        "restored": Restored(restored=True),
        "result_key": "first",
        "result_size_bytes": 30_000_000,
        "cost_usd": 0.02,
    }
    return world.with_job(a_job(**known | changes))


def decide(world: World) -> str:
    return str(verify(world.services, world.job(JOB_ID), call())["decision"])


def second_result(world: World, **changes: Any) -> Job:
    """After the second encode."""
    first_result(world)
    assert decide(world) == "retry_higher"
    known: dict[str, Any] = {"result_key": "second", "result_size_bytes": 24_000_000}
    world.records.update(JOB_ID, known | changes)
    decisions = {decide(world) for _ in range(2)}  # any step may be repeated
    assert decisions == {"accept"}
    return world.job(JOB_ID)


def level(plan: Plan | None) -> float:
    assert plan is not None and plan.qvbr_level is not None
    return plan.qvbr_level


def test_another_encode_begins_at_the_level_that_will_do(world: World) -> None:
    first_result(world)
    assert decide(world) == "retry_higher"
    job = world.job(JOB_ID)
    assert (job.status, job.attempt) == (Status.RETRYING, 3)
    assert 2.33 <= level(job.plan) <= 3.33
    assert job.verdict is not None and "better than it has to be" in job.verdict.reason
    assert job.runner_up is not None and job.runner_up.result_key == "first"
    assert job.cost_usd is not None and job.cost_usd > 0.02


def test_the_leaner_result_is_published_where_it_is_good_enough(world: World) -> None:
    job = second_result(world, measurement=JUST_ENOUGH)
    assert (job.result_key, job.result_size_bytes) == ("second", 24_000_000)
    assert job.verdict is not None and not job.verdict.best_effort


@pytest.mark.parametrize(
    "changes",
    [
        {"measurement": TOO_LOW},
        {"measurement": replace(JUST_ENOUGH, decode_errors=1)},
        {"measurement": JUST_ENOUGH, "result_size_bytes": 31_000_000},
    ],
    ids=["misses the target", "damaged", "no leaner"],
)
def test_otherwise_the_first_one_is_with_its_own_figures(
    world: World, changes: dict[str, Any]
) -> None:
    job = second_result(world, **changes)
    assert (job.result_key, job.result_size_bytes) == ("first", 30_000_000)
    assert job.measurement == TOO_GOOD and level(job.plan) == 4.0
    assert job.verdict is not None and job.verdict.decision is Decision.ACCEPT
    assert "all checks passed" in job.verdict.reason and not job.verdict.best_effort
    assert job.runner_up is None


def test_a_fault_of_the_second_encode_leads_to_the_first_result(world: World) -> None:
    first_result(world)
    assert decide(world) == "retry_higher"
    fault = Outcome(attempt=3, encoder_job_id="e", status="ERROR", error_code=1999)
    world.records.update(JOB_ID, {"outcome": fault, "measurement": None, "result_key": None})
    for _ in range(2):
        assert plan(world.services, world.job(JOB_ID), call()) == {"route": "publish"}
    job = world.job(JOB_ID)
    assert (job.result_key, job.attempt) == ("first", 3)
    assert job.verdict is not None and job.verdict.decision is Decision.ACCEPT
    assert job.cost_usd == pytest.approx(0.02)  # what failed is not charged


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": 3},  # it was put right once already
        {"plan": replace(searched(4.0), search=None)},
        {"measurement": JUST_ENOUGH},
    ],
    ids=["second encode", "not searched", "just good enough"],
)
def test_nothing_else_is_encoded_again(world: World, changes: dict[str, Any]) -> None:
    first_result(world, **changes)
    assert decide(world) == "accept"
    assert world.job(JOB_ID).result_key == "first"


def test_a_workflow_that_allows_one_encode_gets_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = {"compress": a_workflow(max_attempts=1)}
    monkeypatch.setattr(verify_step, "all_workflows", lambda: flows)
    first_result(world)
    assert decide(world) == "accept"
