"""The report a person reads at the end, and the JSON that others read."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from chalicelib.domain.job import Job, Moment, Status
from slimreel.report import Email, Report, render, report, step_times
from tests.examples import a_job

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "report.md"


def a_report(job: Job) -> Report:
    email = Email(subject="97 % smaller: film.mov", to="you@example.com", body="Saved.")
    return report(job, output_path="compressed/x.mp4", airtable_row={"Status": "x"}, email=email)


def shown(found: Report) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(render(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_field_is_documented_and_no_other() -> None:
    documented = DOCUMENT.read_text()
    for field in dataclasses.fields(Report):
        assert f"`{field.name}`" in documented


def test_json_has_the_promised_fields() -> None:
    found = json.loads(a_report(a_job(status=Status.COMPLETED)).as_json())
    promised = {"job_id", "status", "original_size_bytes", "compressed_size_bytes", "duration_s"}
    assert promised | {"ssim_mean", "preset", "output_path"} <= set(found)


@pytest.mark.parametrize("status", [s for s in Status if not s.is_open])
def test_every_ending_can_be_shown(status: Status) -> None:
    text = shown(a_report(a_job(status=status, reason="Because.")))
    assert status.value in text
    assert "Because." in text


def test_markup_in_a_name_is_only_text() -> None:
    text = shown(a_report(a_job(status=Status.FAILED, file_name="[bold]film[/bold] [x.mov")))
    assert "[bold]film[/bold] [x.mov" in text


def test_scores_of_a_result_that_was_thrown_away_are_not_the_originals() -> None:
    assert a_report(a_job(status=Status.KEPT_ORIGINAL)).ssim_mean is None


def test_step_times_add_up_to_the_whole() -> None:
    timeline = (
        Moment(step="register", at="2026-05-04T09:30:00.000Z"),
        Moment(step="fetch", at="2026-05-04T09:30:01.500Z"),
    )
    job = a_job(timeline=timeline, completed_at="2026-05-04T09:30:04.000Z")
    assert [(t.step, t.seconds) for t in step_times(job)] == [("register", 1.5), ("fetch", 2.5)]


def test_a_job_that_has_not_begun_has_no_step_times() -> None:
    assert list(step_times(a_job(timeline=()))) == []
