"""Triggers and the public routes: what comes in raw, and what strangers may do with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from chalice.test import Client

import app as app_module
from chalicelib import triggers
from chalicelib.adapters.drive_errors import DriveUnavailable, FileGone, QuotaExceeded
from chalicelib.api import notifications, videos
from chalicelib.config import settings
from chalicelib.domain.errors import (
    EncoderFault,
    Exhausted,
    JobClosed,
    Rejected,
    SlimreelError,
    Temporary,
)
from chalicelib.domain.job import Job, Status
from chalicelib.domain.link import signature
from chalicelib.domain.text import iso
from chalicelib.services import Services
from chalicelib.steps import fetch as fetch_module
from chalicelib.steps.call import StepCall
from tests.examples import JOB_ID, a_job
from tests.fakes import World, aws_error

SECOND_MS = 1000


@pytest.fixture
def world(monkeypatch) -> World:
    world = World()
    for module in (triggers, notifications, videos):
        monkeypatch.setattr(module, "services", lambda: world.services)
    return world


def context(seconds: float = 60) -> Any:
    return SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * SECOND_MS)


def step_that(monkeypatch, does: Any) -> None:
    monkeypatch.setattr(fetch_module, "fetch", does)


def run(event: dict[str, Any] | None = None, seconds: float = 60) -> dict[str, Any]:
    return triggers.step("fetch", event or {"job_id": JOB_ID, "run": 1}, context(seconds))


# Steps


def test_a_step_gets_its_job_its_state_and_its_time(world: World, monkeypatch) -> None:
    seen: list[tuple[Job, StepCall]] = []

    def does(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
        seen.append((job, call))
        return {"done": True}

    step_that(monkeypatch, does)
    world.with_job(a_job())
    assert run({"job_id": JOB_ID, "run": 1, "token": "t"}, seconds=900) == {"done": True}
    [(job, call)] = seen
    assert job.job_id == JOB_ID and call.state["token"] == "t"
    assert 865 < call.seconds_left() <= 870  # the rest is for writing down how far it came


def test_a_step_with_little_time_has_half_of_it(world: World, monkeypatch) -> None:
    step_that(monkeypatch, lambda services, job, call: {"left_s": call.seconds_left()})
    world.with_job(a_job())
    assert 9 < run(seconds=20)["left_s"] <= 10


def test_the_timeline_has_each_step_once_however_often_it_loops(world: World, monkeypatch) -> None:
    step_that(monkeypatch, lambda services, job, call: {})
    world.with_job(a_job())
    for _ in range(3):
        run()
    job = world.job(JOB_ID)
    assert [moment.step for moment in job.timeline] == ["fetch"]
    assert job.step == "fetch"


@pytest.mark.parametrize(
    "event",
    [{"job_id": "unknown", "run": 1}, {"job_id": JOB_ID, "run": 2}, {"job_id": JOB_ID, "run": 0}],
)
def test_only_the_current_run_may_work(world: World, monkeypatch, event) -> None:
    step_that(monkeypatch, lambda *_: pytest.fail("it worked"))
    world.with_job(a_job())
    with pytest.raises(JobClosed):
        run(event)


@pytest.mark.parametrize("status", [status for status in Status if not status.is_open])
def test_a_closed_job_only_finishes_closing(world: World, monkeypatch, status: Status) -> None:
    step_that(monkeypatch, lambda *_: pytest.fail("it worked"))
    world.with_job(a_job(status))
    with pytest.raises(JobClosed):
        run()
    assert triggers.step("fail", {"job_id": JOB_ID, "run": 1}, context()) == {}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (DriveUnavailable("Drive is away."), "Temporary"),
        (QuotaExceeded("There is more tomorrow."), "Exhausted"),
        (FileGone("It is gone."), "Rejected"),
        (EncoderFault("It failed."), "EncoderFault"),
        (JobClosed("It is over."), "JobClosed"),
        (SlimreelError("Of no kind."), "Rejected"),
    ],
)
def test_the_flow_sees_one_of_few_names(world: World, monkeypatch, caplog, error, name) -> None:
    """Step Functions takes the class name of what a Lambda function raises."""

    def does(*_: object) -> dict[str, Any]:
        raise error

    step_that(monkeypatch, does)
    world.with_job(a_job())
    with pytest.raises(SlimreelError) as caught:
        run()
    assert (type(caught.value).__name__, str(caught.value)) == (name, str(error))
    assert f"job {JOB_ID}: fetch: " in caplog.text
    assert {Temporary, Exhausted, Rejected, EncoderFault, JobClosed} >= {type(caught.value)}


def test_a_row_says_what_a_video_waits_for(world: World, monkeypatch) -> None:
    """For up to a day and a half, while nobody should take it for stuck."""
    refusals: list[Exception] = [QuotaExceeded("There is more tomorrow.") for _ in range(2)]

    def does(*_: object) -> dict[str, Any]:
        if refusals:
            raise refusals.pop()
        return {"done": True}

    step_that(monkeypatch, does)
    world.with_job(a_job())
    for _ in range(2):
        with pytest.raises(Exhausted):
            run()
        assert str(world.job(JOB_ID).waiting).endswith("every hour: There is more tomorrow.")
    assert len(world.queues.dirty) == 1
    assert run() == {"done": True}
    assert world.job(JOB_ID).waiting is None
    assert len(world.queues.dirty) == 2


def test_what_nobody_foresaw_is_logged_with_its_job_and_raised(
    world: World, monkeypatch, caplog
) -> None:
    step_that(monkeypatch, lambda *_: {}["plan"])
    world.with_job(a_job())
    with pytest.raises(KeyError):
        run()
    assert f"job {JOB_ID}: fetch failed" in caplog.text and "Traceback" in caplog.text


# The webhook


def channel(world: World, *, token: str = "secret", minutes: float = 60) -> dict[str, str]:
    ends = datetime.now(UTC) + timedelta(minutes=minutes)
    state = {"token": token, "valid_until": iso(ends)}
    world.records.save_state("channel#ours", "channel", state)
    return {
        "X-Goog-Channel-ID": "ours",
        "X-Goog-Channel-Token": token,
        "X-Goog-Resource-State": "change",
        "X-Goog-Message-Number": "12",
    }


def test_a_change_becomes_a_hint(world: World) -> None:
    assert notifications.receive(channel(world)).status_code == 200
    assert world.queues.hints == [{"channel_id": "ours", "message": "12"}]


def test_headers_are_known_in_any_case(world: World) -> None:
    headers = {name.lower(): value for name, value in channel(world).items()}
    assert notifications.receive(headers).status_code == 200
    assert len(world.queues.hints) == 1


def test_the_first_message_of_a_channel_may_come_before_drives_answer(world: World) -> None:
    """All there is by then is what `channel` stores before it opens one."""
    headers = {**channel(world), "X-Goog-Resource-State": "sync"}
    assert notifications.receive(headers).status_code == 200
    assert [hint["channel_id"] for hint in world.queues.hints] == ["ours"]


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Goog-Channel-Token": ""},
        {"X-Goog-Channel-Token": "Secret"},
        {"X-Goog-Channel-Token": "secret "},
        {"X-Goog-Channel-Token": "s"},
        {"X-Goog-Channel-Token": "secret" * 10_000},
        {"X-Goog-Channel-Token": "sécret"},
        {"X-Goog-Channel-Token": "\ud800"},
        {"X-Goog-Channel-Token": "secret\x00"},
        {"X-Goog-Channel-ID": ""},
        {"X-Goog-Channel-ID": "theirs"},
        {"X-Goog-Channel-ID": "x" * 65},
        {"X-Goog-Channel-ID": "\ud800"},
        {"X-Goog-Channel-ID": "🎬"},
        {"X-Goog-Channel-ID": "ours\n"},
    ],
)
def test_a_forged_call_starts_nothing(world: World, forged: dict[str, str]) -> None:
    assert notifications.receive({**channel(world), **forged}).status_code == 403
    assert world.queues.hints == []


def test_a_call_without_headers_starts_nothing(world: World) -> None:
    channel(world)
    assert notifications.receive({}).status_code == 403


def test_a_channel_without_a_token_has_no_right_one(world: World) -> None:
    headers = channel(world, token="")
    assert notifications.receive(headers).status_code == 403


def test_an_expired_channel_starts_nothing(world: World) -> None:
    assert notifications.receive(channel(world, minutes=-1)).status_code == 403
    assert world.queues.hints == []


def test_tokens_are_compared_in_constant_time(world: World, monkeypatch) -> None:
    compared = []
    monkeypatch.setattr(
        notifications.hmac, "compare_digest", lambda *pair: compared.append(pair) or False
    )
    assert notifications.receive(channel(world)).status_code == 403
    assert compared == [(b"secret", b"secret")]


def test_a_hint_that_could_not_be_queued_is_an_error_so_that_drive_comes_again(
    world: World,
) -> None:
    """Drive repeats what was answered with 500.

    Source: https://developers.google.com/workspace/drive/api/guides/push
    """
    world.queues.fail_next("drive_may_have_changed", aws_error("InternalError", status=500))
    with Client(app_module.app) as client:
        post = partial(client.http.post, "/drive/notifications", headers=channel(world))
        assert [post().status_code for _ in range(2)] == [500, 200]
    assert len(world.queues.hints) == 1


def test_it_asks_nobody_but_dynamodb_and_the_queue(world: World) -> None:
    """It must answer fast."""
    headers = channel(world)
    notifications.receive(headers)
    assert world.peril.calls == ["records.state", "queues.drive_may_have_changed"]


# Links


def published(world: World) -> None:
    key = f"compress/{JOB_ID}/Szene-4.mp4"
    world.with_job(a_job(Status.COMPLETED, published_key=key))


def test_a_signed_link_leads_to_the_file(world: World) -> None:
    published(world)
    answer = videos.open_link(JOB_ID, signature(JOB_ID, "key"))
    assert answer.status_code == 302
    url = urlparse(answer.headers["Location"])
    assert (url.netloc, url.path) == ("compressed.s3.example", f"/compress/{JOB_ID}/Szene-4.mp4")
    assert parse_qs(url.query)["name"] == ["Szene 4.mp4"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("given", ["", "0" * 32, "\ud800", "é" * 32, signature("f" * 20, "key")])
def test_every_wrong_link_gets_the_same_answer(world: World, given: str) -> None:
    published(world)
    wrong = videos.open_link(JOB_ID, given)
    unknown = videos.open_link("f" * 20, signature("f" * 20, "key"))
    assert (wrong.status_code, wrong.body) == (unknown.status_code, unknown.body)
    assert wrong.status_code == 404


def test_a_link_leads_nowhere_before_anything_is_published(world: World) -> None:
    world.with_job(a_job())
    assert videos.open_link(JOB_ID, signature(JOB_ID, "key")).status_code == 404


# Queues and settings


def test_any_number_of_hints_is_one_reading(world: World, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(
        "chalicelib.steps.sync.sync", lambda services, **heard: calls.append((services, heard))
    )
    hints = {"Records": [{"messageId": str(n), "body": "{}"} for n in range(10)]}
    assert triggers.drive_changed(hints) == {"batchItemFailures": []}
    assert calls == [(world.services, {"heard_channel": None})]


def test_it_is_noted_through_which_channel_drive_rang_last(world: World) -> None:
    body = json.dumps({"channel_id": "ours", "message": "1"})
    before = iso(world.services.now())
    triggers.drive_changed({"Records": [{"messageId": "1", "body": body}]})
    state = world.records.state("drive#changes", "sync")
    assert state["heard_channel"] == "ours"
    assert before <= state["heard_at"] <= iso(world.services.now())
    triggers.sweep_drive()
    assert world.records.state("drive#changes", "sync")["heard_channel"] == "ours"


def test_a_reading_that_failed_leaves_its_hints_in_the_queue(world: World, monkeypatch) -> None:
    world.drive.fail_next("changes", DriveUnavailable("Drive is away."))
    with pytest.raises(DriveUnavailable):
        triggers.drive_changed({"Records": [{"messageId": "1", "body": "not even JSON"}]})


def test_settings_come_from_the_environment_alone() -> None:
    empty = settings({})
    assert (empty.jobs_table, empty.airtable_base_id) == ("", "")
    assert empty.drive_api_url == "https://www.googleapis.com/"
    assert settings({"DRIVE_API_URL": ""}).drive_api_url == "https://www.googleapis.com/"
    assert settings({"JOBS_TABLE": "jobs"}).jobs_table == "jobs"


def test_adapters_are_made_when_first_used_and_once(monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    services = Services(settings({"TEMP_BUCKET": "temp"}))
    assert "storage" not in vars(services)
    assert services.storage is services.storage
    retries = services.flows._client.meta.config.retries
    assert retries["mode"] == "standard" and retries["total_max_attempts"] > 8
