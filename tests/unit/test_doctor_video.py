"""The doctor's test video: what is said of one that is not seen, does not end, or ends badly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.domain.job import Status
from slimreel.doctor import Finding, video
from slimreel.doctor.video import watch
from tests.examples import JOB_ID, a_job
from tests.fakes import World

NAME = "slimreel test 2026-11-21 120000.mp4"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "LOOK_EVERY_S", 0.0)


def watched(world: World, **within: float) -> tuple[Finding, list[str]]:
    """What is found, and what was said meanwhile."""
    site: Any = SimpleNamespace(catalogue=world.catalogue, records=world.records)
    said: list[str] = []
    [finding] = watch(site, NAME, said.append, **within)
    return finding, said


def with_job(**changes: Any) -> World:
    world = World()
    world.with_job(a_job(file_name="another.mp4", job_id="f" * 20))
    world.with_job(a_job(**{"file_name": NAME, "step": "encode", **changes}))
    return world


def test_one_that_nobody_takes_on_is_given_up() -> None:
    world = with_job(file_name="not this one.mp4")
    finding, said = watched(world, seen_within_s=0.01)
    assert (finding.verdict, said) == ("wrong", [])
    assert "was not taken on" in finding.said and "in the right folder" in finding.next_step


def test_one_that_does_not_end_is_given_up_with_its_last_step() -> None:
    finding, said = watched(with_job(), seen_within_s=0.01, ended_within_s=0.01)
    assert (finding.verdict, said[1:]) == ("wrong", ["encode …"])
    assert said[0].startswith(f"Taken on as {JOB_ID} after ")
    assert "its last step is encode" in finding.said


def test_one_that_failed_says_why_and_where_to_look() -> None:
    finding, _ = watched(with_job(status=Status.FAILED, reason="It has no picture."))
    assert (finding.verdict, finding.said) == ("wrong", "Failed: It has no picture.")
    assert f"slimreel status {JOB_ID}" in finding.next_step


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.KEPT_ORIGINAL])
def test_one_that_was_published_is_well(status: Status) -> None:
    world = with_job(status=status, reason="90 % smaller.", published_key="compress/1/film.mp4")
    finding, _ = watched(world)
    assert finding.verdict == "ok"
    assert finding.said.startswith(f"{status}: 90 % smaller. It took ")
