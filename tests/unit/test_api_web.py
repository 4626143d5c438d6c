"""What the pages ask for beside jobs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice.test import Client

import app as app_module
from chalicelib.api import jobs, web
from chalicelib.domain.job import Moment, Status
from chalicelib.domain.tally import tally
from tests.examples import JOB_ID, a_job, a_measurement, a_plan, some_facts
from tests.fakes import COMPRESSED, ENVIRONMENT, TEMP, World

# chalice.test verifies no tokens, and says so; `tests/e2e/test_people.py` sends real ones.
pytestmark = pytest.mark.filterwarnings("ignore:CognitoUserPoolAuthorizer is not:UserWarning")

ROOT = Path(app_module.__file__).parent
CLIENT = "pages"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(environment={**ENVIRONMENT, "SIGN_IN_CLIENT_ID": CLIENT})
    for module in (jobs, web):
        monkeypatch.setattr(module, "services", lambda: world.services)
    return world


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(app_module.app, project_dir=str(ROOT)) as client:
        yield client


def token(group: str = "viewer") -> str:
    claims = {
        "aud": CLIENT,
        "token_use": "id",
        "email": "anna@example.com",
        "cognito:username": "u",
        "cognito:groups": group,
    }
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.x"


def get(client: Client, path: str, **headers: str) -> Any:
    return client.http.get(path, headers={"authorization": token(), **headers})


def test_who_is_signed_in_and_what_they_can_choose(world: World, client: Client) -> None:
    me = get(client, "/web/me").json_body
    assert (me["name"], me["role"]) == ("anna@example.com", "viewer")
    assert "balanced" in me["presets"] and me["workflows"] == ["archive", "compress"]


def test_what_is_under_way_is_told_once_and_then_only_when_it_changes(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "REMEMBERED_S", -1.0)  # look each time
    world.with_job(a_job(job_id="1" * 20, step="encode", searching=True, task_token="secret"))
    world.with_job(a_job(job_id="2" * 20, step="encode", encode_percent=40))
    world.with_job(a_job(Status.FAILED, job_id="3" * 20, step="fetch"))
    first = get(client, "/web/now")
    assert first.json_body["open"] == 2
    assert first.json_body["counts"] == {"compress": {"encode": 1, "sample": 1}}
    assert "secret" not in first.body.decode()
    tag = first.headers["ETag"]
    again = get(client, "/web/now", **{"If-None-Match": tag})
    assert (again.status_code, again.body) == (304, b"")
    world.records.update("2" * 20, {"encode_percent": 60})
    assert get(client, "/web/now", **{"If-None-Match": tag}).status_code == 200


def test_a_film_that_came_and_went_between_two_looks_is_news(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "REMEMBERED_S", -1.0)  # look each time
    before = get(client, "/web/now")
    world.with_job(a_job(Status.COMPLETED, job_id="1" * 20))
    after = get(client, "/web/now", **{"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.json_body["open"]) == (200, 0)
    assert after.json_body["newest"] == f"{'1' * 20} Completed"


def test_many_who_look_cost_one_look(world: World, client: Client) -> None:
    for _ in range(5):
        assert get(client, "/web/now").status_code == 200
    assert world.peril.calls.count("catalogue.under_way") == 1


def test_workflows_are_drawn_from_their_files(world: World, client: Client) -> None:
    compress = get(client, "/web/workflows").json_body["workflows"][1]
    assert (compress["name"], compress["graph"]["start"]) == ("compress", "Register")
    assert len(compress["graph"]["nodes"]) > 15


def test_figures(world: World, client: Client) -> None:
    now = world.now()
    ended = {"completed_at": now.strftime("%Y-%m-%dT00:00:00.000Z"), "published_run": 1}
    job = a_job(Status.COMPLETED, **ended, size_bytes=1000, published_size_bytes=100)
    world.catalogue.count(tally(job), "x-1")
    told = get(client, "/web/savings?days=7").json_body
    assert (len(told["days"]), told["total"]["saved_bytes"]) == (7, 900)
    for query in ("days=0", "days=367", "days=x", "day=7"):
        assert get(client, f"/web/savings?{query}").status_code == 400


def a_finished_job(world: World, **more: Any) -> None:
    facts = {
        "plan": a_plan(),
        "facts": some_facts(),
        "measurement": a_measurement(seconds=((0.0, 0.97, 0.96), (1.0, 0.98, 0.97))),
        "source_key": f"jobs/{JOB_ID}/source.mov",
        "published_key": "compress/k.mp4",
        "published_size_bytes": 3_000_000,
        "row_id": "rec1",
    }
    world.with_job(a_job(Status.COMPLETED, **{**facts, **more}))


def test_the_films_of_a_job_while_they_are_there(world: World, client: Client) -> None:
    a_finished_job(world)
    details = get(client, f"/web/jobs/{JOB_ID}/details").json_body
    assert details["films"]["original"] is None  # it is in Drive only
    assert COMPRESSED in details["films"]["result"]["url"]
    assert details["quality_by_second"]["points"] == [[0.0, 0.97, 0.96], [1.0, 0.98, 0.97]]
    assert details["row_url"] == "https://airtable.com/appTest"
    world.storage.put(TEMP, f"jobs/{JOB_ID}/source.mov", b"film", content_type="video/quicktime")
    details = get(client, f"/web/jobs/{JOB_ID}/details").json_body
    assert TEMP in details["films"]["original"]["url"]


def test_the_way_a_run_took_is_told_by_its_record_once_its_execution_is_forgotten(
    world: World, client: Client
) -> None:
    steps = ("register", "fetch", "inspect")
    timeline = tuple(Moment(step=s, at=f"2026-05-04T09:30:0{n}Z") for n, s in enumerate(steps))
    a_finished_job(world, timeline=timeline, completed_at="2026-05-04T09:31:00Z")
    path = get(client, f"/web/jobs/{JOB_ID}/path").json_body
    assert path["told_by"] == "record"
    assert [visit["state"] for visit in path["visits"]] == ["Register", "Fetch", "Inspect"]
    assert path["visits"][-1]["left_at"] == "2026-05-04T09:31:00Z"
    assert get(client, f"/web/jobs/{JOB_ID}/path?run=x").status_code == 400
    assert get(client, f"/web/jobs/{'f' * 20}/path").status_code == 404


def test_a_viewer_looks_and_an_operator_acts(world: World, client: Client) -> None:
    world.with_job(a_job())
    assert get(client, f"/web/jobs/{JOB_ID}").status_code == 200
    for group, status in (("viewer", 403), ("operator", 200)):
        headers = {"authorization": token(group), "Content-Type": "application/json"}
        answer = client.http.post(f"/web/jobs/{JOB_ID}/cancel", headers=headers)
        assert answer.status_code == status
    assert world.job(JOB_ID).requests[-1].by == "anna@example.com"
    assert get(client, "/web/me", authorization=token("stranger")).status_code == 403


def test_a_form_of_another_site_is_no_call(world: World, client: Client) -> None:
    """A browser adds no token by itself, and what it can send without asking is not JSON."""
    world.with_job(a_job())
    form = {"authorization": token("admin"), "Content-Type": "application/x-www-form-urlencoded"}
    answer = client.http.post(f"/web/jobs/{JOB_ID}/cancel", headers=form, body=b"a=b")
    assert answer.status_code == 415
    assert world.job(JOB_ID).status.is_open
