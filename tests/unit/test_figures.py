from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.adapters.metrics import Metrics
from chalicelib.config import price_table
from chalicelib.domain import figures
from chalicelib.domain.job import Job, Outcome, Status
from chalicelib.domain.text import iso
from chalicelib.steps import ledger, reconcile, rows
from chalicelib.steps.encode_changed import finish
from tests.examples import a_job, a_measurement, a_plan, some_facts
from tests.fakes import World

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def figures_in(world: World) -> list[dict[str, Any]]:
    """What each line says: the figures alone."""
    lines = [json.loads(line) for line in world.metric_lines]
    return [{name: line[name] for name in figures.UNITS if name in line} for line in lines]


def ended(**facts: Any) -> Job:
    told: dict[str, Any] = {
        "status": Status.COMPLETED,
        "size_bytes": 10 * 2**30,
        "published_size_bytes": 4 * 2**30,
        "started_at": iso(NOW - timedelta(minutes=90)),
        "completed_at": iso(NOW),
        "measurement": a_measurement(),
    }
    return a_job(**told | facts)


def test_a_video_made_smaller() -> None:
    job = ended()
    assert job.measurement is not None and job.measurement.score is not None
    assert figures.of_ended(job, price_table()) == {
        "Videos": 1,
        "Completed": 1,
        "KeptOriginal": 0,
        "Failed": 0,
        "Cancelled": 0,
        "ProcessingTime": 5400,
        "SourceBytes": 10 * 2**30,
        "SavedBytes": 6 * 2**30,
        "SavedUsdPerMonth": pytest.approx(6 * price_table().standard_per_gib_month),
        "Quality": job.measurement.score.mean,
    }


def test_an_original_that_was_kept_saved_nothing_and_has_no_quality() -> None:
    job = ended(status=Status.KEPT_ORIGINAL, published_size_bytes=10 * 2**30)
    told = figures.of_ended(job, price_table())
    assert (told["KeptOriginal"], told["Completed"], told["SavedBytes"]) == (1, 0, 0)
    assert "Quality" not in told


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_what_ended_without_a_result_counts_no_bytes(status: Status) -> None:
    told = figures.of_ended(ended(status=status, published_size_bytes=None), price_table())
    assert told[status.value] == told["Videos"] == 1
    assert "SourceBytes" not in told and "Quality" not in told


def test_a_clock_that_was_set_back_makes_no_negative_time() -> None:
    told = figures.of_ended(ended(started_at=iso(NOW + timedelta(hours=1))), price_table())
    assert told["ProcessingTime"] == 0


def test_a_line_is_what_cloudwatch_reads() -> None:
    text = figures.line(
        {"Videos": 1, "ProcessingTime": 9.5},
        at=NOW,
        stage="prod",
        workflow="compress",
        about={"job_id": "1", "error": None},
    )
    assert "\n" not in text
    line = json.loads(text)
    names = [{"Name": "Videos", "Unit": "Count"}, {"Name": "ProcessingTime", "Unit": "Seconds"}]
    assert line.pop("_aws") == {
        "Timestamp": int(NOW.timestamp() * 1000),
        "CloudWatchMetrics": [
            {"Namespace": "Slimreel", "Dimensions": [["Stage"]], "Metrics": names},
            {"Namespace": "Slimreel", "Dimensions": [["Stage", "Workflow"]], "Metrics": names[:1]},
        ],
    }
    assert line == {
        "job_id": "1",
        "Videos": 1,
        "ProcessingTime": 9.5,
        "Stage": "prod",
        "Workflow": "compress",
    }


def test_no_figure_is_made_up() -> None:
    with pytest.raises(KeyError):
        figures.line({"Clicks": 1}, at=NOW, stage="prod")


def test_units_are_those_cloudwatch_knows() -> None:
    """Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html"""
    assert {*figures.UNITS.values()} <= {"Count", "Seconds", "Bytes", "Percent", "None"}


def test_figures_go_to_the_log_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Metrics(stage="dev").put({"DriveNotifications": 1}, at=NOW)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["DriveNotifications"] == 1


def test_a_job_that_ends_is_told_of_once() -> None:
    world = World()
    job = world.with_job(a_job())
    reason = "The film is\nbroken."
    ledger.close(world.services, job, Status.FAILED, reason=reason, error="Rejected: broken")
    (line,) = (json.loads(one) for one in world.metric_lines)
    assert (line["Failed"], line["error"], line["reason"]) == (1, "Rejected", reason)
    assert (line["job_id"], line["Workflow"]) == (job.job_id, job.workflow)


def test_only_a_completed_encode_costs_and_only_once() -> None:
    world = World()
    job = world.with_job(a_job(attempt=1, plan=a_plan(), facts=some_facts()))
    done = Outcome(attempt=1, encoder_job_id="e", status="COMPLETE")
    finish(world.services, job, done)
    finish(world.services, job, done)
    (told,) = figures_in(world)
    assert told["CostUsd"] > 0

    failed = world.with_job(a_job(job_id="2", attempt=1, plan=a_plan(), facts=some_facts()))
    finish(world.services, failed, replace(done, status="ERROR", error_code=1040))
    assert len(world.metric_lines) == 1


@pytest.mark.parametrize(
    ("facts", "stuck"),
    [
        ({}, 1),
        ({"waiting": "The day's budget is used up."}, 0),
        ({"updated_at": iso(NOW - timedelta(hours=23))}, 0),
    ],
)
def test_a_video_that_has_not_moved_for_a_day_is_stuck(facts: dict[str, Any], stuck: int) -> None:
    world = World(now=lambda: NOW)
    old = iso(NOW - timedelta(hours=25))
    world.with_job(a_job(**{"updated_at": old, "created_at": old} | facts))
    reconcile.reconcile(world.services)
    assert figures_in(world)[-1] == {"OpenVideos": 1, "StuckVideos": stuck}


def test_how_full_the_base_is() -> None:
    world = World()
    world.with_job(a_job())
    rows.report(world.services)
    assert figures_in(world) == [
        {"RowsBehind": 1, "AirtableRows": 1, "AirtableFull": pytest.approx(100 / 50_000)}
    ]


def test_without_a_base_nothing_is_said_about_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(environment={"STAGE": "test"})
    monkeypatch.setattr(triggers, "services", lambda: world.services)
    triggers.requeue_rows()
    assert world.metric_lines == []
