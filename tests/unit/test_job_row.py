"""A job as its Airtable row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.job import Job, Status
from chalicelib.domain.job_row import job_row, quality_note, resolution
from chalicelib.domain.review import Review
from chalicelib.domain.row import (
    ANSWER_FIELD,
    DRIVE_COPY_FIELD,
    FIELDS,
    REVIEW_FIELD,
    STATUS_COLOURS,
)
from chalicelib.domain.verdict import Decision, Verdict
from chalicelib.domain.write_back import WriteBack
from tests.examples import LINK, a_job, a_measurement, a_plan, some_facts

ACCEPTED = Verdict(decision=Decision.ACCEPT, reason="76 % smaller; all checks passed.")
REFUSED = Verdict(decision=Decision.KEEP_ORIGINAL, reason="No setting looked good enough.")


def row(job: Job, link: str | None = None) -> dict[str, Any]:
    return job_row(job, link=link)


def completed(**changes: Any) -> Job:
    plain: dict[str, Any] = {
        "size_bytes": 5_000_000_000,
        "published_size_bytes": 1_200_000_000,
        "facts": some_facts(),
        "plan": a_plan(reasons=("H.264 at QVBR level 8.", "At most 10.0 Mbit/s.")),
        "measurement": a_measurement(),
        "verdict": ACCEPTED,
        "reason": ACCEPTED.reason,
        "cost_usd": 0.015,
        "uploader": "Ada Lovelace",
        "uploaded_at": "2026-05-04T09:29:00.000Z",
        "source_url": "https://drive.google.com/file/d/1AbC-dEf_/view",
        "started_at": "2026-05-04T09:30:00.000Z",
        "completed_at": "2026-05-04T09:33:00.000Z",
        "encoder_ssim_mean": 0.9912,
    }
    return a_job(Status.COMPLETED, **plain | changes)


def kept_after_an_encode() -> Job:
    """The result was scaled, measured and refused; the original is what got published."""
    return replace(
        completed(),
        status=Status.KEPT_ORIGINAL,
        published_size_bytes=5_000_000_000,
        plan=a_plan(scaled=True, width=1280, height=720),
        verdict=REFUSED,
        reason=REFUSED.reason,
    )


EVERY_JOB = [
    a_job(),
    a_job(Status.RETRYING, plan=a_plan(), facts=some_facts()),
    completed(),
    kept_after_an_encode(),
    a_job(Status.FAILED, reason="The file is empty.", error="Rejected: The file is empty."),
    a_job(Status.CANCELLED),
]


def a_job_with_status(job: Job) -> str:
    return job.status.value


@pytest.mark.parametrize("job", EVERY_JOB, ids=a_job_with_status)
def test_a_row_has_exactly_the_tables_fields(job: Job) -> None:
    names = {field.name for field in FIELDS}
    later = {REVIEW_FIELD, ANSWER_FIELD, DRIVE_COPY_FIELD}  # bases of old lack those
    assert set(row(job)) == names - later
    job = replace(job, write_back=WriteBack(run=1))
    review = Review(number=1, choice="Approve", run=1, by="Mia", at="2026-05-04T09:30:00.000Z")
    assert set(row(replace(job, review=review))) == names
    taken = row(replace(job, review=review, review_shown=1))
    assert set(taken) == names - {REVIEW_FIELD}  # what is chosen next is not emptied unread


def test_there_is_a_job_here_for_every_status() -> None:
    assert {job.status for job in EVERY_JOB} == set(Status)


@pytest.mark.parametrize("job", EVERY_JOB, ids=a_job_with_status)
def test_every_cell_is_of_its_fields_type(job: Job) -> None:
    cells = row(job, LINK)
    for field in (field for field in FIELDS if field.name in cells):
        wanted: Any = (int, float) if field.type in ("number", "percent", "currency") else str
        assert cells[field.name] is None or isinstance(cells[field.name], wanted), field.name
    assert cells["Status"] in STATUS_COLOURS
    json.dumps(cells, allow_nan=False)


def test_a_completed_row_in_full() -> None:
    assert row(completed(), LINK) == {
        "Job ID": "0123456789abcdef0123",
        "File Name": "Szene 4.mov",
        "Status": "Completed",
        "Reason": (
            "76 % smaller; all checks passed.\nH.264 at QVBR level 8.\nAt most 10.0 Mbit/s."
        ),
        "Original Size (MB)": 5000.0,
        "Compressed Size (MB)": 1200.0,
        "Savings (%)": pytest.approx(0.76),  # Airtable stores percent as a fraction
        "Compression Ratio": 4.167,
        "Quality": 0.987654,
        "Quality Note": (
            "Measured by Slimreel (ffmpeg 7.1); worst 1 %: 0.912, worst second: 0.960; "
            "the encoder's own report: 0.991"
        ),
        "Duration (seconds)": 60.0,
        "Resolution": "1920x1080",
        "Preset": "balanced",
        "Original URL": "https://drive.google.com/file/d/1AbC-dEf_/view",
        "Compressed URL": LINK,
        "Original Uploader": "Ada Lovelace",
        "Upload Date": "2026-05-04T09:29:00.000Z",
        "Processing Date": "2026-05-04T09:30:00.000Z",
        "Completion Date": "2026-05-04T09:33:00.000Z",
        "Processing Time (minutes)": 3.0,
        "Cost (USD)": 0.015,
        "Error Message": None,
    }


def test_a_row_says_processing_from_the_first_second() -> None:
    cells = row(a_job())
    assert cells["Status"] == "Processing"
    assert cells["Original Size (MB)"] == 300.0
    empty = {name for name, cell in cells.items() if cell is None}
    assert {"Compressed Size (MB)", "Savings (%)", "Quality", "Completion Date"} <= empty


def test_settings_are_explained_while_the_encode_runs() -> None:
    plan = a_plan(reasons=("H.264 at QVBR level 8.", "At most 10.0 Mbit/s."))
    assert row(a_job(plan=plan))["Reason"] == "H.264 at QVBR level 8.\nAt most 10.0 Mbit/s."


@pytest.mark.parametrize("status", [Status.FAILED, Status.KEPT_ORIGINAL, Status.CANCELLED])
def test_settings_are_not_explained_where_nothing_came_of_them(status: Status) -> None:
    job = a_job(status, plan=a_plan(), verdict=REFUSED, reason=REFUSED.reason)
    assert row(job)["Reason"] == REFUSED.reason


def test_the_row_tells_what_was_lost_and_noticed() -> None:
    job = completed(
        plan=a_plan(reasons=("Level 8.",), losses=("10-bit colour becomes 8-bit.",)),
        measurement=a_measurement(notes=("The original itself is damaged.",)),
    )
    assert row(job)["Reason"] == "\n".join(
        (
            ACCEPTED.reason,
            "Level 8.",
            "Not carried over: 10-bit colour becomes 8-bit.",
            "The original itself is damaged.",
        )
    )


def test_no_reason_is_an_empty_cell() -> None:
    assert row(a_job())["Reason"] is None


# what is published when the original is kept


def test_a_refused_results_quality_is_not_shown_for_the_original() -> None:
    cells = row(kept_after_an_encode(), LINK)
    assert (cells["Quality"], cells["Quality Note"]) == (None, None)


def test_a_refused_results_size_is_not_shown_for_the_original() -> None:
    assert resolution(kept_after_an_encode()) == "1920x1080"


def test_a_kept_original_saves_nothing() -> None:
    cells = row(kept_after_an_encode(), LINK)
    assert (cells["Savings (%)"], cells["Compression Ratio"]) == (0, 1.0)
    assert cells["Compressed Size (MB)"] == cells["Original Size (MB)"]


# parts


def test_a_smaller_picture_is_told_beside_the_original() -> None:
    job = completed(plan=a_plan(scaled=True, width=1280, height=720))
    assert resolution(job) == "1920x1080 → 1280x720"


def test_an_unknown_resolution_is_empty() -> None:
    assert resolution(a_job()) is None


def test_a_note_without_the_encoders_report() -> None:
    note = quality_note(completed(encoder_ssim_mean=None))
    assert note == "Measured by Slimreel (ffmpeg 7.1); worst 1 %: 0.912, worst second: 0.960"


@pytest.mark.parametrize("measurement", [None, a_measurement(score=None)])
def test_quality_nobody_measured_is_empty(measurement: object) -> None:
    cells = row(completed(measurement=measurement))
    assert (cells["Quality"], cells["Quality Note"]) == (None, None)


def test_minutes_are_counted_only_to_an_end() -> None:
    assert row(completed(completed_at=None))["Processing Time (minutes)"] is None
    assert row(completed(started_at=None))["Processing Time (minutes)"] is None
    short = completed(completed_at="2026-05-04T09:30:20.000Z")
    assert row(short)["Processing Time (minutes)"] == 0.33


def test_technical_details_have_a_cell_of_their_own() -> None:
    job = a_job(Status.FAILED, reason="The file is empty.", error="Rejected: The file is empty.")
    cells = row(job)
    assert cells["Reason"] == "The file is empty."
    assert cells["Error Message"] == "Rejected: The file is empty."


def test_an_empty_result_has_no_ratio() -> None:
    assert row(completed(published_size_bytes=0))["Compression Ratio"] is None


@settings(deadline=None)
@given(st.integers(1, 10**13), st.integers(1, 10**13))
def test_figures_agree_with_each_other(size_bytes: int, published: int) -> None:
    cells = row(completed(size_bytes=size_bytes, published_size_bytes=published))
    assert cells["Savings (%)"] == pytest.approx(1 - published / size_bytes)
    assert cells["Compression Ratio"] == pytest.approx(size_bytes / published, abs=0.001)
    assert abs(cells["Original Size (MB)"] * 1e6 - size_bytes) <= 5001
