"""Calling back at a job's end: whom, what, signed how, how often, and when it is given up."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters.callbacks import CallbackFailed, CallbackRefused
from chalicelib.domain.callback import (
    GIVE_UP_AFTER,
    MOST,
    BadAddress,
    Callback,
    checked_url,
    due_again,
    origin_of,
    signature,
)
from chalicelib.domain.control import BadRequest, NotNow
from chalicelib.domain.job import Job, Status
from chalicelib.domain.job_view import job_view
from chalicelib.steps import submit as submit_step
from chalicelib.steps.cancel import cancel
from chalicelib.steps.reconcile import reconcile
from chalicelib.steps.retry import retry
from chalicelib.steps.settle import settle
from chalicelib.steps.submit import submit
from tests.examples import a_job, a_workflow
from tests.fakes import INBOX, World
from tests.unit.control_room import ControlRoom, control_room

__all__ = ["control_room"]

URL = "https://n8n.example/webhook-waiting/42?signature=secret"
ENDED = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = ENDED

    def __call__(self) -> datetime:
        return self.now


def ended(world: World, *callbacks: Callback, **changes: Any) -> Job:
    fields = {
        "status": Status.FAILED,
        "reason": "It is no film.",
        "completed_at": "2026-05-04T10:00:00.000Z",
    }
    job = world.with_job(a_job(callbacks=callbacks, **{**fields, **changes}))
    world.records.items[f"job#{job.job_id}", "job"]["open"] = "1"
    return job


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> World:
    flows = {"compress": a_workflow(drive_folder=INBOX)}
    monkeypatch.setattr(submit_step, "all_workflows", lambda: flows)
    return World(now=clock)


def open_jobs(world: World) -> int:
    return len(list(world.records.open_jobs()))


# What is sent


def test_the_end_is_told_with_a_signature_that_checks_out(world: World) -> None:
    job = ended(world, Callback(url=URL))
    assert settle(world.services, job, nothing_runs=True)
    [(url, body, headers)] = world.callbacks.sent
    assert url == URL
    # As docs/api.md tells people to check it.
    at, given = (part.split("=")[1] for part in headers["Slimreel-Signature"].split(","))
    good = hmac.new(b"signing", at.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(good, given)
    said = json.loads(body)
    assert (said["id"], said["event"]) == (f"{job.job_id}-1", "job.failed")
    assert said["job"]["reason"] == "It is no film."
    assert open_jobs(world) == 0


@pytest.mark.parametrize("change", [("body", b"{}x"), ("time", 1), ("key", "other")])
def test_another_body_time_or_key_has_another_signature(change: tuple[str, Any]) -> None:
    good = signature("key", b"{}", at=ENDED)
    other = {
        "body": lambda: signature("key", b"{}x", at=ENDED),
        "time": lambda: signature("key", b"{}", at=ENDED + timedelta(seconds=1)),
        "key": lambda: signature("other", b"{}", at=ENDED),
    }[change[0]]()
    assert good.partition("v1=")[2] != other.partition("v1=")[2]


def test_the_address_itself_is_never_shown(world: World) -> None:
    shown = job_view(ended(world, Callback(url=URL)), link=None)
    assert shown["callbacks"][0]["origin"] == "https://n8n.example"
    assert "secret" not in json.dumps(shown)


# How often


def test_one_that_does_not_answer_is_called_until_it_does(world: World, clock: Clock) -> None:
    ended(world, Callback(url=URL))
    world.callbacks.fail_next("post", *[CallbackFailed("It answered 503.")] * 3)
    for _ in range(40):
        clock.now += timedelta(minutes=5)
        reconcile(world.services, settle_s=0)
    assert len(world.callbacks.sent) == 1
    [job] = [world.job(pk[4:]) for pk, sk in world.records.items if sk == "job"]
    assert (job.callbacks[0].tries, job.callbacks[0].problem) == (3, None)
    assert open_jobs(world) == 0


def test_it_is_given_up_after_some_hours_and_the_record_says_why(
    world: World, clock: Clock
) -> None:
    job = ended(world, Callback(url=URL))
    world.callbacks.fail_next("post", *[CallbackFailed("It answered 503.")] * 500)
    for _ in range(12 * 7):
        clock.now += timedelta(minutes=5)
        reconcile(world.services, settle_s=0)
    callback = world.job(job.job_id).callbacks[0]
    assert callback.given_up and callback.problem == "It answered 503."
    assert 8 <= callback.tries <= 20
    assert open_jobs(world) == 0 and not world.callbacks.sent
    # People were told at once all the same, and once.
    assert [notice.kind for notice in world.topic.sent] == ["failed"]


def test_one_that_wants_none_is_left_alone_at_once(world: World) -> None:
    job = ended(world, Callback(url=URL))
    world.callbacks.fail_next("post", CallbackRefused("It answered 410."))
    assert settle(world.services, job, nothing_runs=True)
    assert world.job(job.job_id).callbacks[0].given_up and open_jobs(world) == 0


def test_one_that_is_away_holds_up_nobody(world: World, clock: Clock) -> None:
    """Neither the emails of other jobs, nor calls to others, nor is it called job for job."""
    away = [f"https://away.example/{n}" for n in range(6)]
    for n, url in enumerate(away):
        ended(world, Callback(url=url), job_id=f"{n:020x}")
    ended(world, Callback(url=URL), job_id="f" * 20)
    world.callbacks.fail_next("post", CallbackFailed("It did not answer."))
    clock.now += timedelta(minutes=10)
    reconcile(world.services, settle_s=0)
    assert [url for url, _, _ in world.callbacks.sent] == [URL]
    assert not world.callbacks.failures["post"]
    assert len(world.topic.sent) == 7


def test_times_of_the_calls() -> None:
    now, made = ENDED, []
    for tries in range(1, 50):
        again = due_again(tries, now=now, ended=ENDED)
        if again is None:
            break
        made.append(round((again - ENDED).total_seconds() / 60))
        now = again
    assert made[:5] == [5, 15, 35, 75, 135]
    assert made[-1] <= GIVE_UP_AFTER.total_seconds() / 60


def test_a_missing_key_is_tried_again_and_said(world: World, clock: Clock) -> None:
    world.services.secrets.values.pop("callback-key")  # type: ignore[attr-defined]
    job = ended(world, Callback(url=URL))
    settle(world.services, job, nothing_runs=True)
    assert "callback-key" in str(world.job(job.job_id).callbacks[0].problem)
    assert open_jobs(world) == 1


def test_a_cancelled_job_is_told_by_reconcile_and_a_new_run_tells_anew(
    control_room: Callable[[], ControlRoom],
) -> None:
    room = control_room()
    room.drop()
    fields = {"callbacks": (Callback(url=URL),)}
    room.world.records.update(room.job_id, fields, only_if={}, row=False)
    cancel(room.person(), room.job_id, by="Anna")
    assert not room.world.callbacks.sent  # Anna does not wait for somebody else's server
    room.hours_later()
    assert [json.loads(b)["event"] for _, b, _ in room.world.callbacks.sent] == ["job.cancelled"]
    retry(room.person(), room.job_id, by="Anna")
    room.play()
    room.hours_later()
    told = [json.loads(body) for _, body, _ in room.world.callbacks.sent]
    assert [one["event"] for one in told] == ["job.cancelled", "job.completed"]
    assert told[1]["id"] == f"{room.job_id}-2" and told[1]["job"]["published"]["url"]


# Who asks


def submitted(world: World, url: str) -> Job:
    return submit(world.services, "film-id-1234", by="n8n", callback_url=url)[0]


def test_everybody_who_submits_the_same_is_told_once(world: World) -> None:
    world.drive.add("Take 3.mov", b"film", file_id="film-id-1234")
    for url in (URL, URL, "https://other.example/x"):
        job = submitted(world, url)
    assert [callback.url for callback in job.callbacks] == [URL, "https://other.example/x"]
    for n in range(MOST - 2):
        submitted(world, f"https://{n}.example/")
    with pytest.raises(NotNow, match="to call 5 addresses"):
        submitted(world, "https://one-too-many.example/")


def test_a_job_that_has_ended_calls_nobody_and_the_answer_says_so(world: World) -> None:
    world.drive.add("Take 3.mov", b"film", file_id="film-id-1234")
    first = submitted(world, URL)
    world.records.update(first.job_id, {"status": Status.COMPLETED}, only_if={})
    again = submitted(world, "https://late.example/")
    assert not again.status.is_open and len(again.callbacks) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://n8n.example/x", "begins with https://"),
        ("ftp://n8n.example/x", "begins with https://"),
        ("n8n.example/x", "begins with https://"),
        ("https://user:pass@n8n.example/x", "no user, password"),
        ("https://n8n.example@evil.example/x", "no user, password"),
        ("https://n8n.example\\@evil.example/", "no user, password"),
        ("https://n8n.example/x#part", "no user, password"),
        ("https://127.0.0.1/x", "not an IP address"),
        ("https://[::1]/x", "not an IP address"),
        ("https://2130706433/x", "not an IP address"),
        ("https://127.1/x", "not an IP address"),
        ("https://localhost/x", "not an IP address"),
        ("https:///x", "not an IP address"),
        ("https://n8n.example:22/x", "port 443"),
        ("https://n8n.example:99999/x", "no address"),
        ("https://n8n.example/a b", "plain ASCII"),
        ("https://n8n.example/\r\nX: y", "plain ASCII"),
        ("https://nön.example/", "plain ASCII"),
        ("https://n8n.example/" + "x" * 1000, "at most 1000"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused(world: World, url: str, says: str) -> None:
    with pytest.raises(BadRequest) as refused:
        submitted(world, url)
    assert says in str(refused.value) and not world.records.items


def test_origins_named_in_the_settings_may_be_called_as_they_are() -> None:
    url = "http://127.0.0.1:5678/webhook/x"
    assert checked_url(url, allowed_origins=("http://127.0.0.1:5678",)) == url
    for other in ("http://127.0.0.1:5679/x", "https://127.0.0.1:5678/x"):
        with pytest.raises(BadAddress):
            checked_url(other, allowed_origins=("http://127.0.0.1:5678",))
    assert origin_of("HTTPS://N8N.example:8443/x") == "https://n8n.example:8443"
