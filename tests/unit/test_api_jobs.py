"""Jobs over HTTP: what is shown, what is refused and how. Who may call is in `test_access`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app as app_module
from chalicelib.api import jobs
from chalicelib.domain.job import Moment, Request, Status
from chalicelib.steps import submit as submit_step
from tests.examples import JOB_ID, a_job, a_measurement, a_plan, a_workflow, some_facts
from tests.fakes import INBOX, World, aws_error

# chalice.test verifies no signatures, and says so; the gateway's tests are elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer is not:UserWarning")

ROOT = Path(app_module.__file__).parent
FILE_ID = "1AbC-dEf_ghi"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(jobs, "services", lambda: world.services)
    flows = {"compress": a_workflow(drive_folder=INBOX)}
    monkeypatch.setattr(submit_step, "all_workflows", lambda: flows)
    return world


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(app_module.app, project_dir=str(ROOT)) as client:
        yield client


def call(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    headers = {"Content-Type": "application/json"}
    answer = client.http.request(method, path, headers=headers, body=raw)
    return answer.status_code, answer.json_body


# Looking


def test_a_list(world: World, client: Client) -> None:
    for n in range(3):
        at = f"2026-05-04T09:3{n}:00.000Z"
        world.with_job(a_job(job_id=f"{n:020x}", created_at=at, status=Status.COMPLETED))
    status, body = call(client, "GET", "/jobs?limit=2")
    assert (status, [job["job_id"][-1] for job in body["jobs"]]) == (200, ["2", "1"])
    status, body = call(client, "GET", f"/jobs?limit=2&page={body['next_page']}")
    assert [job["job_id"][-1] for job in body["jobs"]] == ["0"]
    assert body["next_page"] is None
    assert call(client, "GET", "/jobs?status=failed") == (200, {"jobs": [], "next_page": None})
    assert len(call(client, "GET", "/jobs?status=completed&workflow=compress")[1]["jobs"]) == 3


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status=done", "no status 'done'; choose Processing"),
        ("limit=0", "from 1 to 100"),
        ("limit=101", "from 1 to 100"),
        ("limit=ten", "from 1 to 100"),
        ("page=abc", "page token"),
        ("page=4pyT", "page token"),
        ("workflow=a%20b", "name of a workflow"),
        ("statis=failed", "search, limit and page only"),
        ("sort=best", "sort is one of newest, oldest, largest, most_saved"),
        ("since=today", "since is a day of UTC"),
        ("min_saved_percent=-1", "is a whole number"),
        ("search=a&page=%F0", "page token"),
        (
            "sort=largest&page=MjAyNi0wNS0wNFQwOTozMDowMC4wMDBaIDAwMDAwMDAwMDAwMDAwMDAwMDAw",
            "page t",
        ),
    ],
)
def test_a_question_that_makes_no_sense(
    world: World, client: Client, query: str, says: str
) -> None:
    status, body = call(client, "GET", f"/jobs?{query}")
    assert status == 400 and says in body["message"]


def test_one_job_in_full(world: World, client: Client) -> None:
    world.with_job(
        a_job(
            Status.COMPLETED,
            plan=a_plan(),
            facts=some_facts(),
            measurement=a_measurement(),
            published_key="compress/k.mp4",
            published_size_bytes=3_000_000,
            timeline=(Moment(step="fetch", at="2026-05-04T09:30:00.000Z"),),
            requests=(Request(action="retry", by="anna", at="2026-05-04T09:30:00.000Z", run=2),),
            task_token="secret-token",
        )
    )
    status, body = call(client, "GET", f"/jobs/{JOB_ID}")
    assert (status, body["status"], body["is_open"]) == (200, "Completed", False)
    assert body["published"]["url"].startswith(f"https://slimreel.example/api/v/{JOB_ID}?s=")
    assert body["published"]["savings_ratio"] == 0.99
    assert body["requests"][0]["by"] == "anna"
    assert "secret-token" not in json.dumps(body) and "k.mp4" not in json.dumps(body)


def test_the_fields_are_those_of_the_documentation(world: World, client: Client) -> None:
    described = (ROOT / "docs" / "api.md").read_text()
    world.with_job(a_job(published_key="k", published_size_bytes=1, plan=a_plan()))
    for path in (f"/jobs/{JOB_ID}", "/jobs"):
        body = call(client, "GET", path)[1]
        for name in body if path != "/jobs" else body["jobs"][0]:
            assert f"`{name}`" in described, name


@pytest.mark.parametrize("job_id", ["f" * 20, "nonsense", "..%2f..", "%F0%9F%8E%AC", "x" * 500])
@pytest.mark.parametrize("verb", ["GET ", "POST /cancel", "POST /retry"])
def test_a_job_there_is_not(world: World, client: Client, job_id: str, verb: str) -> None:
    method, _, rest = verb.partition(" ")
    status, body = call(client, method, f"/jobs/{job_id}{rest}")
    assert status == 404 and body["message"].startswith("There is no job ")


# Acting


def test_cancel_and_retry(world: World, client: Client) -> None:
    world.with_job(a_job())
    status, body = call(client, "POST", f"/jobs/{JOB_ID}/cancel")
    assert (status, body["status"]) == (200, "Cancelled")
    assert call(client, "POST", f"/jobs/{JOB_ID}/cancel")[0] == 200  # once more is no error
    status, body = call(client, "POST", f"/jobs/{JOB_ID}/retry", {"preset": "high"})
    assert (status, body["status"], body["run"], body["preset"]) == (202, "Processing", 2, "high")
    status, body = call(client, "POST", f"/jobs/{JOB_ID}/retry")
    assert status == 409 and "still being processed" in body["message"]
    assert call(client, "POST", f"/jobs/{JOB_ID}/retry", {"after_run": 1})[0] == 202
    assert [name for _, name, _ in world.flows.started] == [f"{JOB_ID}-2"]


def test_what_is_completed_needs_force(world: World, client: Client) -> None:
    world.with_job(a_job(Status.COMPLETED))
    status, body = call(client, "POST", f"/jobs/{JOB_ID}/cancel")
    assert status == 409 and "has ended as Completed" in body["message"]
    assert call(client, "POST", f"/jobs/{JOB_ID}/retry")[0] == 409
    assert call(client, "POST", f"/jobs/{JOB_ID}/retry", {"force": True})[0] == 202


def test_submit_starts_one_job_however_often(world: World, client: Client) -> None:
    world.drive.add("Take 3.mov", b"film", file_id=FILE_ID, parents=("some other folder",))
    status, first = call(client, "POST", "/jobs", {"file_id": FILE_ID, "preset": "high"})
    assert (status, first["status"], first["preset"]) == (201, "Processing", "high")
    status, second = call(client, "POST", "/jobs", {"file_id": FILE_ID})
    assert (status, second["job_id"]) == (200, first["job_id"])
    assert [name for _, name, _ in world.flows.started] == [f"{first['job_id']}-1"]
    assert world.job(first["job_id"]).folder_id == "some other folder"


def test_a_submission_whose_start_failed_is_started_later(world: World, client: Client) -> None:
    world.drive.add("Take 3.mov", b"film", file_id=FILE_ID)
    world.flows.fail_next("start", aws_error("InternalFailure", status=500))
    world.queues.fail_next("row_is_dirty", aws_error("InternalFailure", status=500))
    status, body = call(client, "POST", "/jobs", {"file_id": FILE_ID})
    assert status == 201 and world.flows.started == []
    assert [job.job_id for job in world.records.open_jobs()] == [body["job_id"]]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Say which file"),
        ({"file_id": "s3://bucket/key.mov"}, "Nothing can be submitted from the bucket bucket"),
        ({"file_id": "../../etc"}, "not the id of a file"),
        ({"file_id": FILE_ID, "workflow": "nope"}, "no workflow 'nope'; choose compress"),
        ({"file_id": FILE_ID, "preset": "best"}, "no preset 'best'; choose"),
        ({"file_id": "unknown-file"}, "The file is gone."),
        ({"file_id": "a-text-file"}, "is not a video"),
        ({"file_id": "in-the-bin-"}, "is in the bin"),
        ({"file_id": 7}, "file_id is not a text"),
        ({"file": FILE_ID}, "Unknown: file. There is file_id, workflow, preset, callback_url."),
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"\xff", "not JSON"),
        (b"[" * 9000, "not JSON"),
        (b" " * 20_000, "longer than 10000 bytes"),
    ],
)
def test_a_submission_that_makes_no_sense(
    world: World, client: Client, body: Any, says: str
) -> None:
    world.drive.add("Take 3.mov", b"film", file_id=FILE_ID)
    world.drive.add("notes.txt", b"text", file_id="a-text-file", mime_type="text/plain")
    world.drive.add("old.mov", b"film", file_id="in-the-bin-", trashed=True)
    status, answer = call(client, "POST", "/jobs", body or {"preset": None})
    assert (status, world.flows.started) == (400, [])
    assert says in answer["message"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
fields = st.sampled_from(["file_id", "workflow", "preset", "force", "after_run", "x"])
bodies = st.binary(max_size=60) | st.dictionaries(fields, anything).map(json.dumps).map(str.encode)
paths = st.sampled_from(["/jobs", f"/jobs/{JOB_ID}/retry", f"/jobs/{JOB_ID}/cancel", "/jobs/x/y"])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=paths, body=bodies)
def test_no_body_breaks_anything(world: World, client: Client, path: str, body: bytes) -> None:
    world.records.items.clear()
    world.with_job(a_job(Status.COMPLETED))
    status, answer = call(client, "POST", path, body or b" ")
    assert status < 500, answer
    if status < 300:  # only a body that says so may start anything
        assert json.loads(body)["force"] is True


def test_drive_being_away_is_said_so(world: World, client: Client) -> None:
    from chalicelib.adapters.drive_errors import DriveUnavailable

    world.drive.fail_next("get", DriveUnavailable("Google Drive does not answer.", status=503))
    status, answer = call(client, "POST", "/jobs", {"file_id": FILE_ID})
    assert (status, answer) == (503, {"message": "Google Drive does not answer."})


def test_the_documentation_names_every_route() -> None:
    described = (ROOT / "docs" / "api.md").read_text()
    for path, methods in app_module.app.routes.items():
        for method in methods:
            bare = path.removeprefix("/web")
            twin = bare if bare in app_module.app.routes else path
            described_as = rf"`{method} {re.escape(twin)}`"
            assert re.search(described_as, described), (method, path)
