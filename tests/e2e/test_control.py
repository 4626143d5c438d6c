"""A person in control of the real stack: through the command line, the signed API and the flow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chalicelib.domain import keys
from chalicelib.domain.job import Job, Status
from slimreel.__main__ import main
from slimreel.local.faults import Fault
from tests.clips import camera_clip
from tests.e2e.conftest import Studio, until
from tests.e2e.test_faults import COMPLETE, add, encodes, reconcile_later

FUNCTIONS = ("budget", "reconcile_jobs")


@pytest.fixture
def slimreel(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command against the studio's Slimreel; returns its exit status and its JSON."""
    monkeypatch.setenv("SLIMREEL_URL", studio.deployment.cloud.endpoint_url + "/api")

    def run(*arguments: str) -> tuple[int, Any]:
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_an_encode_is_cancelled(studio: Studio, slimreel: Any, tmp_path: Path) -> None:
    # Given an encode whose end nobody hears of
    add(studio, Fault(service="events", operation=COMPLETE, drop=True))
    clip = camera_clip(tmp_path / "cancelled.mp4", seed=60)
    job_id = studio.job_id(studio.drop(clip))
    until(lambda: encodes(studio, job_id) or None, "the encode")
    # When a person cancels
    code, said = slimreel("cancel", job_id)
    assert (code, said["status"]) == (0, "Cancelled")
    # Then everything stops by itself and people know who it was
    job = studio.finished(job_id)
    assert str(job.reason).startswith("Cancelled by you on ")
    assert studio.row(job_id)["Status"] == "Cancelled"
    assert studio.row(job_id)["Reason"].startswith("Cancelled by you on ")
    studio.deployment.cloud.faults.clear()
    [email] = studio.emails(job_id)
    assert "Cancelled by you on " in email.body
    flows = studio.deployment.flows
    assert flows.status("compress", keys.execution_name(job_id, 1)) == "SUCCEEDED"

    def no_encode_runs() -> bool | None:
        ended = [e["Status"] in ("CANCELED", "COMPLETE") for e in encodes(studio, job_id)]
        return True if all(ended) else None

    until(no_encode_runs, "the encode to stop")
    reconcile_later(studio)
    assert studio.temp_keys(job_id) == []
    assert slimreel("status", job_id)[0] == 1


def test_what_failed_is_tried_again(studio: Studio, slimreel: Any, tmp_path: Path) -> None:
    refused = {"status": 400, "code": "BadRequestException"}
    add(studio, Fault(service="mediaconvert", operation="Probe", **refused))
    clip = camera_clip(tmp_path / "failing.mp4", seed=61)
    job_id = studio.job_id(studio.drop(clip))
    assert studio.finished(job_id).status is Status.FAILED
    code, said = slimreel("retry", job_id, "--preset", "compression")
    assert (code, said["status"], said["run"]) == (0, "Processing", 2)
    job = studio.finished(job_id)
    assert (job.status, job.run, job.preset) == (Status.COMPLETED, 2, "compression")
    assert studio.published(job).stat().st_size == job.published_size_bytes
    assert studio.row(job_id)["Status"] == "Completed"
    code, said = slimreel("status", job_id, "--wait")
    assert (code, said["published"]["run"]) == (0, 2)
    assert [mail.subject.partition(":")[2] for mail in studio.emails(job_id)] == [
        " failing.mp4",
        " failing.mp4",
    ]
    assert job_id not in [found["job_id"] for found in slimreel("list", "--status", "failed")[1]]
    assert job_id in [found["job_id"] for found in slimreel("list", "--status", "completed")[1]]


def test_nothing_is_answered_without_a_signature(studio: Studio) -> None:
    url = studio.deployment.cloud.endpoint_url + "/api"
    for method, path in (("GET", "/jobs"), ("POST", "/jobs"), ("POST", f"/jobs/{'f' * 20}/cancel")):
        answer = requests.request(method, url + path, timeout=10)
        assert (answer.status_code, answer.json()["message"]) == (
            403,
            "Missing Authentication Token",
        )
    assert requests.get(url + "/health", timeout=10).json() == {"status": "ok"}


@pytest.fixture
def limit(studio: Studio) -> Iterator[Any]:
    """Sets the stage's daily limit, as a deployment with another parameter does."""
    client = studio.deployment.cloud.client("lambda")

    def set_limit(usd: str) -> None:
        for function in FUNCTIONS:
            name = f"slimreel-local-{function}"
            now = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            variables = {**now, "MAX_COST_PER_DAY": usd}
            client.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables}
            )

    yield set_limit
    set_limit("")


def test_beyond_the_days_budget_an_encode_waits_until_the_limit_is_raised(
    studio: Studio, slimreel: Any, limit: Any, tmp_path: Path
) -> None:
    limit("0")
    job_id = studio.job_id(studio.drop(camera_clip(tmp_path / "dear.mp4", seed=62)))

    def waits() -> Job | None:
        job = studio.job(job_id)
        return job if job and job.waiting and job.synced_version == job.row_version else None

    job = until(waits, "the job to wait")
    assert job.status is Status.PROCESSING and encodes(studio, job_id) == []
    assert "more than the $0.00 a day" in studio.row(job_id)["Reason"]
    assert "more than the $0.00 a day" in slimreel("status", job_id)[1]["waiting"]
    alerts = [m for m in studio.emails(job_id) if m.subject.startswith("Encodes are paused")]
    assert len(alerts) == 1
    limit("")
    reconcile_later(studio)
    assert studio.finished(job_id).status is Status.COMPLETED
