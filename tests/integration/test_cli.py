"""`slimreel status, list, submit, retry, cancel, revoke` against the app behind the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from botocore.credentials import Credentials
from werkzeug.wrappers import Request

import app as app_module
from chalicelib.api import jobs as jobs_api
from chalicelib.domain.job import Status
from chalicelib.domain.link import video_link
from chalicelib.steps import submit as submit_step
from slimreel.__main__ import main
from slimreel.cli import api as cli_api
from slimreel.cli import status as status_verb
from slimreel.cli.api import Api, CannotAsk, find_api
from slimreel.local.awslambda.invocations import Outcome
from slimreel.local.gateway import Authorizer, Gateway, Route
from slimreel.local.http_server import Server
from tests.examples import JOB_ID, a_job, a_plan, a_workflow
from tests.fakes import INBOX, World

FILE_ID = "1AbC-dEf_ghi"


class InProcess:
    """What the gateway takes for Lambda: the app, right here, which stumbles when told to."""

    def __init__(self) -> None:
        self.stumbles = 0
        self.calls: list[str] = []

    def invoke(self, reference: str, payload: bytes) -> Outcome:
        event = json.loads(payload)
        self.calls.append(f"{event['httpMethod']} {event['path']}")
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 29_000)
        answer = app_module.app(event, context)
        if self.stumbles:
            self.stumbles -= 1  # after the work was done, which is worst
            return Outcome(payload=b'{"errorMessage": "x"}', request_id="r", function_error="x")
        return Outcome(payload=json.dumps(answer).encode(), request_id="r")


@pytest.fixture
def functions() -> InProcess:
    return InProcess()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(jobs_api, "services", lambda: world.services)
    flows = {"compress": a_workflow(drive_folder=INBOX)}
    monkeypatch.setattr(submit_step, "all_workflows", lambda: flows)
    return world


@pytest.fixture(autouse=True)
def url(
    world: World, functions: InProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    gateway = Gateway(functions)  # type: ignore[arg-type]
    gateway.stage = "api"
    gateway.routes = tuple(
        Route(
            method=method,
            path=path,
            function="api_handler",
            authorizers=(Authorizer(kind="iam"),) if route.authorizer else (),
        )
        for path, methods in app_module.app.routes.items()
        for method, route in methods.items()
    )
    server = Server(Request.application(gateway.handle))
    server.start()
    monkeypatch.setattr(cli_api, "UP_DIR", tmp_path)
    monkeypatch.setattr(status_verb, "LOOK_EVERY_S", 0.01)
    monkeypatch.delenv("SLIMREEL_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "port").write_text(str(server.port))
    yield f"http://127.0.0.1:{server.port}/api"
    server.stop()


@pytest.fixture
def slimreel(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; returns its exit status, and what it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        code = main([*arguments])
        captured = capsys.readouterr()
        return code, " ".join((captured.out + captured.err).split())

    return run


# What the verbs do


def test_a_list_and_what_is_on_its_way(world: World, slimreel: Any) -> None:
    assert slimreel("status") == (0, status_verb.NOTHING)
    assert "There are no such jobs" in slimreel("list")[1]
    world.with_job(a_job(file_name="[red]Szene 4.mov"))
    world.with_job(a_job(Status.FAILED, job_id="f" * 20, file_name="other.mov"))
    code, said = slimreel("list")
    assert code == 0 and "[red]Szene 4.mov" in said and "other.mov" in said
    assert "Szene" not in slimreel("list", "--status", "failed")[1]
    assert "other.mov" not in slimreel("status")[1]


def test_a_long_list_is_fetched_page_by_page(
    world: World, slimreel: Any, functions: InProcess
) -> None:
    for number in range(130):
        world.with_job(a_job(job_id=f"{number:020x}"))
    code, said = slimreel("list", "--limit", "120", "--json")
    assert (code, len(json.loads(said))) == (0, 120)
    assert functions.calls == ["GET /health"] + ["GET /jobs"] * 2


def test_one_job(world: World, slimreel: Any) -> None:
    world.with_job(a_job(Status.FAILED, reason="It is [bold]damaged[/bold].", plan=a_plan()))
    code, said = slimreel("status", JOB_ID)
    assert code == 1
    assert "It is [bold]damaged[/bold]." in said and "H.264 at QVBR level 8." in said
    assert json.loads(slimreel("status", JOB_ID, "--json")[1])["status"] == "Failed"


def test_waiting_for_the_end(world: World, slimreel: Any, functions: InProcess) -> None:
    world.with_job(a_job(step="encode", encode_percent=40))
    get, looks = world.records.get, []

    def ends_after_a_while(job_id: str) -> Any:
        looks.append(job_id)
        if len(looks) == 4:
            world.records.update(JOB_ID, {"status": Status.COMPLETED})
        return get(job_id)

    world.records.get = ends_after_a_while  # type: ignore[method-assign]
    code, said = slimreel("status", JOB_ID, "--wait")
    assert (code, len(looks)) == (0, 4) and "Completed" in said


def test_a_terminal_follows_a_job_to_its_end(
    world: World, slimreel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which Rich takes for a terminal
    world.with_job(a_job(step="encode", encode_percent=40))
    get, looks = world.records.get, []

    def ends_after_a_while(job_id: str) -> Any:
        looks.append(job_id)
        if len(looks) == 3:
            world.records.update(JOB_ID, {"status": Status.CANCELLED})
        if len(looks) == 6:  # of a person who only looks on
            raise KeyboardInterrupt
        return get(job_id)

    world.records.get = ends_after_a_while  # type: ignore[method-assign]
    code, said = slimreel("status", JOB_ID)
    assert (code, len(looks)) == (1, 3)
    assert "encoding, attempt 0" in said and "Cancelled" in said
    assert slimreel("status", JOB_ID, "--once")[0] == 1


def test_submit_by_id_and_by_link(world: World, slimreel: Any) -> None:
    world.drive.add("Take 3.mov", b"film", file_id=FILE_ID)
    code, said = slimreel("submit", FILE_ID, "--preset", "high")
    assert code == 0 and said.startswith("On its way: slimreel status ")
    job_id = said.rpartition(" ")[2]
    link = f"https://drive.google.com/file/d/{FILE_ID}/view?usp=sharing"
    assert json.loads(slimreel("submit", link, "--json")[1])["job_id"] == job_id
    world.records.update(job_id, {"status": Status.FAILED, "reason": "It is damaged."})
    code, said = slimreel("submit", FILE_ID)
    assert "ended as Failed: It is damaged. To try it again: slimreel retry" in said


def test_cancel_and_retry(world: World, slimreel: Any) -> None:
    world.with_job(a_job())
    code, said = slimreel("cancel", JOB_ID)
    assert code == 0
    assert said.startswith("Cancelled by you on ") and f"slimreel retry {JOB_ID}" in said
    code, said = slimreel("retry", JOB_ID, "--preset", "high")
    assert (code, said) == (0, f"Run 2 is on its way: slimreel status {JOB_ID}")
    assert slimreel("retry", JOB_ID)[0] == 2
    world.records.update(JOB_ID, {"status": Status.COMPLETED})
    code, said = slimreel("retry", JOB_ID)
    assert code == 2 and "Ask with force" in said
    assert slimreel("retry", JOB_ID, "--force")[0] == 0


def test_revoke_prints_the_new_link(world: World, slimreel: Any) -> None:
    key = f"compress/{JOB_ID}/film.mp4"
    world.with_job(a_job(Status.COMPLETED, published_key=key, published_size_bytes=1))
    first, second = slimreel("revoke", JOB_ID), slimreel("revoke", JOB_ID)
    assert (first[0], second[0]) == (0, 0) and first[1] != second[1]
    assert second[1] == video_link("https://slimreel.example/api", JOB_ID, "key", 2)


def test_an_answer_that_got_lost_starts_nothing_twice(
    world: World, url: str, functions: InProcess
) -> None:
    world.with_job(a_job(Status.FAILED))
    api = Api(url, Credentials("test", "test"), "eu-west-1", pause_s=0)
    functions.stumbles = 2
    assert api.retry(JOB_ID, after_run=1)["run"] == 2
    api.close()
    assert len(functions.calls) == 3
    assert [r.action for r in world.job(JOB_ID).requests] == ["retry"]


# What can be wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("status", "nonsense"), "'nonsense' is not the id of a job"),
        (("cancel", "f" * 20), "There is no job ffffffffffffffffffff."),
        (("submit", "https://example.com/x"), "no link to a file in Google Drive"),
        (("submit", "s3://bucket/key.mov"), "Nothing can be submitted from the bucket"),
        (("submit", "unknown-file"), "The file is gone."),
        (("list", "--url", "ftp://x"), "is not an address"),
        (("list", "--workflow", "a b"), "workflow is not the name"),
    ],
)
def test_a_clear_word_and_exit_status_2(
    slimreel: Any, arguments: tuple[str, ...], says: str
) -> None:
    code, said = slimreel(*arguments)
    assert code == 2 and says in said
    code, said = slimreel(*arguments, "--json")
    assert code == 2 and says in json.loads(said)["message"]


def test_nothing_runs_here(slimreel: Any, tmp_path: Path) -> None:
    (tmp_path / "port").unlink()
    code, said = slimreel("list")
    assert code == 2 and "Start one with slimreel up" in said


def test_the_address_may_come_from_the_environment(
    slimreel: Any, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "port").unlink()
    monkeypatch.setenv("SLIMREEL_URL", url + "/")
    assert slimreel("list")[0] == 0
    assert slimreel("list", "--url", url + "x")[0] == 2


def test_who_does_not_answer_is_asked_again_and_then_named(
    monkeypatch: pytest.MonkeyPatch, slimreel: Any, functions: InProcess, url: str
) -> None:
    monkeypatch.setattr(cli_api.time, "sleep", lambda seconds: None)
    functions.stumbles = 99
    code, said = slimreel("list", "--url", url)
    assert code == 2 and "did not answer (HTTP 502, 4 tries)" in said


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (("test", "wrong"), "The secret access key does not belong to the access key id."),
        (("AKIAOTHER", "test"), "Sign in again: these credentials are unknown there"),
    ],
)
def test_credentials_that_do_not_fit(url: str, key: tuple[str, str], says: str) -> None:
    api = Api(url, Credentials(*key), "eu-west-1")
    with pytest.raises(CannotAsk, match="Refused") as refused:
        api.jobs()
    assert says in str(refused.value)
    api.close()


def test_in_aws_the_usual_credentials_sign_for_the_region_in_the_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    address = "https://abc123.execute-api.eu-central-1.amazonaws.com/api"
    with pytest.raises(CannotAsk, match="No AWS credentials were found"):
        find_api(address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    api = find_api(address)
    authorization = api._signed("GET", f"{address}/jobs", b"")["Authorization"]
    assert "Credential=AKIA/" in authorization
    assert "/eu-central-1/execute-api/aws4_request" in authorization
    api.close()
    with pytest.raises(CannotAsk, match="Say which Region"):
        find_api("https://slimreel.example/api")


# Without a signature


def test_every_route_but_the_public_ones_refuses_an_unsigned_call(
    url: str, functions: InProcess, world: World
) -> None:
    world.with_job(a_job())
    refused = set()
    for path, methods in app_module.app.routes.items():
        for method in methods:
            asked = url + path.replace("{job_id}", JOB_ID)
            with requests.request(method, asked, timeout=10) as answer:
                if answer.status_code == 403 and "x-amzn-ErrorType" in answer.headers:
                    assert answer.json() == {"message": "Missing Authentication Token"}
                    refused.add((method, path))
    hooks = {("POST", "/drive/notifications"), ("POST", "/airtable/notifications")}
    pages = {("GET", "/app"), ("GET", "/app/{version}/{name}")}
    public = {*hooks, *pages, ("GET", "/v/{job_id}"), ("GET", "/health")}
    every = {(m, path) for path, methods in app_module.app.routes.items() for m in methods}
    assert refused == every - public and len(refused) >= 5
    assert world.job(JOB_ID).status is Status.PROCESSING


@pytest.mark.parametrize("verb", ["status", "list", "submit", "retry", "cancel", "revoke"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "--json" in said and "--url" in said
