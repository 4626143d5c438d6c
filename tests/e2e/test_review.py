"""Reviews through everything: a person chooses in the grid, Airtable pings, the row answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chalicelib.domain.job import Status
from chalicelib.steps.desk import STATE
from slimreel.local.faults import Fault
from tests.clips import camera_clip
from tests.e2e.conftest import Studio, until


def choose(studio: Studio, job_id: str, choice: str) -> None:
    deployment = studio.deployment
    job = studio.job(job_id)
    assert job is not None and job.row_id is not None
    airtable = deployment.cloud.airtable
    airtable.edit(deployment.base_id, "Videos", job.row_id, {"Review": choice}, by="Mia")


def answered(studio: Studio, job_id: str, begin: str) -> dict[str, Any]:
    def said() -> dict[str, Any] | None:
        row = studio.row(job_id)
        there = str(row.get("Review Answer", "")).startswith(begin) and "Review" not in row
        return row if there else None

    return until(said, f"the row of {job_id} to answer; it is {studio.row(job_id)}")


def test_people_review_in_the_table(studio: Studio, tmp_path: Path) -> None:
    cloud = studio.deployment.cloud
    studio.deployment.invoke("requeue_rows")  # the schedule: it makes the webhook
    job_id = studio.job_id(studio.drop(camera_clip(tmp_path / "reviewed.mp4", seed=80)))
    studio.finished(job_id)
    # Every ping comes twice.
    cloud.faults.add(Fault(service="airtable", operation="notification", duplicate=True, times=9))
    choose(studio, job_id, "Approve")
    row = answered(studio, job_id, "1. Approve (Mia, ")
    assert row["Review Answer"].endswith("Approved.")
    choose(studio, job_id, "Keep original")
    answered(studio, job_id, "2. Keep original (Mia, ")

    def kept() -> bool | None:
        job = studio.job(job_id)
        return True if job and job.run == 2 and not job.status.is_open else None

    until(kept, "the original to be published")
    job = studio.finished(job_id)
    assert (job.status, job.run, len(job.requests)) == (Status.KEPT_ORIGINAL, 2, 2)
    assert studio.published(job).stat().st_size == job.size_bytes
    # This ping is lost; the slower look finds what was chosen.
    cloud.faults.clear()
    cloud.faults.add(Fault(service="airtable", operation="notification", drop=True))
    choose(studio, job_id, "Delete result")
    until(lambda: True if not cloud.faults.waiting() else None, "the ping to be lost")
    studio.deployment.records.save_state(*STATE, {"looked_at": "2026-01-01T00:00:00Z"})
    studio.deployment.invoke("requeue_rows")
    row = answered(studio, job_id, "3. Delete result (Mia, ")
    assert "Compressed URL" not in row
    assert cloud.airtable.too_fast == 0
