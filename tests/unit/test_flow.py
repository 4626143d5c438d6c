"""The in-memory Step Functions behaves as AWS documents it, on the flows we have."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.errors import JobClosed, Rejected, Temporary
from tests.flow import FunctionError, StepFunctions

ANSWERS: dict[str, Any] = {
    "fetch": {"done": True},
    "plan": {"route": "encode"},
    "measure": {"done": True},
    "verify": {"decision": "accept"},
    "publish": {"writes_back": False},
    "write_back": {"done": True},
}


class Lambda:
    """Functions that answer well, or raise what is listed for them first."""

    def __init__(self) -> None:
        self.time = 0.0
        self.raises: dict[str, list[BaseException]] = {}
        self.calls: list[str] = []
        self.token = ""
        self.flows = StepFunctions(self.invoke, lambda: self.time)
        self.flows.start("compress", "job-1", {"job_id": "job", "run": 1})
        [self.execution] = self.flows.running()

    def invoke(self, name: str, payload: dict[str, Any]) -> Any:
        self.calls.append(name)
        self.token = payload.get("token", self.token)
        assert (payload["job_id"], payload["run"]) == ("job", 1)
        if self.raises.get(name):
            raise self.raises[name].pop(0)
        if name == "budget":
            self.flows.succeed(payload["token"], {})  # before it returns, as the real one does
        return ANSWERS.get(name, {})

    def run(self) -> None:
        """To the end, or to where a token is waited for."""
        while self.flows.run_due() or self.flows.running():
            [execution] = self.flows.running() or [None]
            if execution is None or execution.waits:
                return
            self.time = execution.due_at


@pytest.fixture
def cloud() -> Lambda:
    return Lambda()


def test_a_flow_waits_for_its_token_and_goes_on_with_the_answer(cloud: Lambda) -> None:
    cloud.run()
    assert cloud.calls == ["register", "fetch", "inspect", "plan", "budget", "encode"]
    assert cloud.flows.succeed(cloud.token, {})
    assert not cloud.flows.succeed(cloud.token, {})  # used up
    cloud.run()
    assert cloud.calls[6:] == ["restore", "measure", "verify", "publish", "announce"]
    assert (cloud.execution.status, cloud.flows.events) == ("SUCCEEDED", [])


def test_each_retrier_counts_for_itself_and_waits_longer_each_time(cloud: Lambda) -> None:
    cloud.raises["fetch"] = [Temporary("x"), Temporary("x"), ValueError("y"), ValueError("y")]
    cloud.run()
    assert cloud.calls.count("fetch") == 5
    assert cloud.time == (2 + 4) + (2 + 6)


def test_used_up_retries_lead_to_the_catch(cloud: Lambda) -> None:
    cloud.raises["fetch"] = [ValueError("no")] * 3
    cloud.run()
    assert cloud.calls[-2:] == ["fetch", "fail"]
    assert cloud.execution.data["error"]["Error"] == "ValueError"
    assert '"no"' in cloud.execution.data["error"]["Cause"]
    [event] = cloud.flows.events
    assert (event["status"], event["error"]) == ("FAILED", "JobFailed")


def test_what_is_never_retried(cloud: Lambda) -> None:
    cloud.raises["inspect"] = [Rejected("no")]
    cloud.run()
    assert cloud.calls == ["register", "fetch", "inspect", "fail"]


def test_a_closed_job_ends_its_flow_quietly(cloud: Lambda) -> None:
    cloud.raises["plan"] = [JobClosed("over")]
    cloud.run()
    assert (cloud.execution.status, cloud.execution.state) == ("SUCCEEDED", "Closed")


def test_a_time_out_is_no_failed_task(cloud: Lambda) -> None:
    cloud.raises["plan"] = [FunctionError("States.Timeout")]
    cloud.run()
    assert cloud.calls.count("plan") == 1
    assert cloud.calls[-1] == "fail"


def test_without_a_heartbeat_the_task_is_tried_again_with_a_new_token(cloud: Lambda) -> None:
    cloud.run()
    first = cloud.token
    cloud.time += 3000
    assert cloud.flows.heartbeat(first)
    cloud.time += 3599
    assert cloud.flows.run_due() == 0
    cloud.time += 1
    cloud.run()
    assert not cloud.flows.succeed(first, {})
    cloud.run()
    assert cloud.token != first
    assert cloud.flows.succeed(cloud.token, {})


def test_an_encode_has_a_time_limit_whatever_beats(cloud: Lambda) -> None:
    cloud.run()
    for _ in range(60):
        cloud.flows.heartbeat(cloud.token)
        cloud.time += 3000
        cloud.run()
    assert cloud.execution.data["error"]["Error"] == "States.Timeout"


def test_the_whole_flow_has_a_time_limit(cloud: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "fetch", {"done": False})
    for _ in range(1000):
        cloud.flows.advance(cloud.execution)
        cloud.time += 3 * 3600
        if not cloud.flows.running():
            break
    assert cloud.execution.status == "TIMED_OUT"
    [event] = cloud.flows.events
    assert (event["status"], event["error"]) == ("TIMED_OUT", "States.Timeout")


def test_an_execution_stopped_by_somebody_waits_for_nothing(cloud: Lambda) -> None:
    cloud.run()
    cloud.flows.stop("job-1")
    assert not cloud.flows.succeed(cloud.token, {})
    assert cloud.flows.status("compress", "job-1") == "ABORTED"
    assert cloud.flows.status("compress", "job-2") is None
