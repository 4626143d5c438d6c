"""Step Functions in memory: the flows of `workflows/`, one transition at a time, on a given clock.

Only what the flows use of the States Language is understood, and anything else is refused. Where
AWS is exact, so is this: which errors a retrier matches, whose attempts are counted, what becomes
of a token that was answered twice or after its task was tried again.
Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import Failing

WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"
WAIT_FOR_TOKEN = "arn:aws:states:::lambda:invoke.waitForTaskToken"
#: Caught by nobody who asks for States.TaskFailed.
_TIMEOUT = "States.Timeout"
_FOREVER = float("inf")


class FunctionError(Exception):
    """What Step Functions sees of a function that raised, died or was not reached."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(name)
        self.name, self.cause = name, cause


@dataclass
class Execution:
    """One execution. Times are those of the clock it runs on.

    Attributes:
        due_at: when it can go on by itself: now, after a retrier's wait, at a time-out.
        token: of the task that waits for an answer.
        retried: how often each retrier of the current state was used.
        history: the states it entered and the errors it met, for people.
    """

    workflow: str
    name: str
    data: Any
    state: str
    started_at: float
    due_at: float
    status: str = "RUNNING"
    error: str = ""
    cause: str = ""
    token: str | None = None
    retried: dict[int, int] = field(default_factory=dict)
    heartbeat_at: float = _FOREVER
    timeout_at: float = _FOREVER
    history: list[str] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        return self.token is not None


class StepFunctions(Failing):
    """The service behind `World.flows`: start, look at and answer executions, and make them go on.

    Args:
        invoke: call a Lambda function by name; raises `FunctionError` or what the function raised.
        now: the clock, in seconds.
    """

    def __init__(
        self, invoke: Callable[[str, dict[str, Any]], Any], now: Callable[[], float]
    ) -> None:
        super().__init__()
        self._invoke, self._now = invoke, now
        self._machines: dict[str, dict[str, Any]] = {}
        self._tokens = 0
        self.executions: dict[str, Execution] = {}
        #: `detail` of the events of executions that FAILED, TIMED_OUT or were ABORTED.
        self.events: list[dict[str, Any]] = []
        self.beats: list[str] = []

    # What `chalicelib.adapters.flows.Flows` does.

    def start(self, workflow: str, name: str, state: Mapping[str, Any]) -> None:
        self._may_fail("start")
        if name in self.executions:
            return
        now, first = self._now(), self._machine(workflow)["StartAt"]
        data = json.loads(json.dumps(dict(state)))
        self.executions[name] = Execution(workflow, name, data, first, now, now, history=[first])

    def status(self, workflow: str, name: str) -> str | None:
        self._may_fail("status")
        execution = self.executions.get(name)
        return execution.status if execution else None

    def history(self, workflow: str, name: str) -> list[dict[str, Any]] | None:
        """Every execution is forgotten as soon as somebody asks."""
        self._may_fail("history")
        return None

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        self._may_fail("succeed")
        execution = self._waiting_for(token)
        if execution is not None:
            self._settled(execution)
            self._succeeded(execution, json.loads(json.dumps(dict(output))))
        return execution is not None

    def fail(self, token: str, *, error: str, cause: str) -> bool:
        self._may_fail("fail")
        execution = self._waiting_for(token)
        if execution is not None:
            self._settled(execution)
            self._failed(execution, error, cause)
        return execution is not None

    def heartbeat(self, token: str) -> bool:
        self._may_fail("heartbeat")
        execution = self._waiting_for(token)
        if execution is not None:
            self.beats.append(token)
            self._beat(execution)
        return execution is not None

    # What goes on by itself.

    def stop(self, name: str) -> None:
        """Somebody stops the execution behind our back."""
        if self.executions[name].status == "RUNNING":
            self._end(self.executions[name], "ABORTED", "", "")

    def running(self) -> list[Execution]:
        return [e for e in self.executions.values() if e.status == "RUNNING"]

    def due(self) -> list[Execution]:
        """Those that can go on now, longest due first."""
        ready = [e for e in self.running() if e.due_at <= self._now()]
        return sorted(ready, key=lambda execution: execution.due_at)

    def next_due_at(self) -> float:
        """Infinity when nothing is running."""
        return min((e.due_at for e in self.running()), default=_FOREVER)

    def run_due(self, most: int = 1000) -> int:
        """Go on until everybody waits; returns how many transitions that took."""
        for count in range(most):
            ready = self.due()
            if not ready:
                return count
            self.advance(ready[0])
        raise AssertionError(f"no end after {most} transitions: {self.due()}")

    def advance(self, execution: Execution) -> None:
        """One transition: a task is called, a choice made, a time-out noticed."""
        machine, now = self._machine(execution.workflow), self._now()
        if now >= execution.started_at + machine.get("TimeoutSeconds", _FOREVER):
            self._end(execution, "TIMED_OUT", _TIMEOUT, "")
        elif execution.waits:
            self._overdue(execution)
        else:
            state = machine["States"][execution.state]
            getattr(self, f"_{state['Type'].lower()}")(execution, state)

    def _task(self, execution: Execution, state: dict[str, Any]) -> None:
        resource, waits = state["Resource"], state["Resource"] == WAIT_FOR_TOKEN
        context: dict[str, Any] = {}
        if waits:
            self._tokens += 1
            execution.token = f"{execution.name}/token-{self._tokens}"
            context = {"Task": {"Token": execution.token}}
        execution.timeout_at = self._now() + state.get("TimeoutSeconds", _FOREVER)
        self._beat(execution)
        payload = _filled(state.get("Parameters", "$"), execution.data, context)
        function = resource
        if waits:
            function, payload = payload["FunctionName"], payload["Payload"]
        token = execution.token
        try:
            answer = self._invoke(function.removeprefix("${").removesuffix("}"), payload)
        except FunctionError as error:
            name, cause = error.name, error.cause
        except Exception as error:  # noqa: BLE001 - whatever it is, its name is what flows see
            name = type(error).__name__
            cause = json.dumps({"errorMessage": str(error), "errorType": name})
        else:
            if not waits:
                self._succeeded(execution, json.loads(json.dumps(answer)))
            return
        if execution.token == token and execution.status == "RUNNING":
            self._settled(execution)
            self._failed(execution, name, cause)

    def _choice(self, execution: Execution, state: dict[str, Any]) -> None:
        for rule in state["Choices"]:
            wanted = {k: v for k, v in rule.items() if k not in ("Variable", "Next", "Comment")}
            [(how, value)] = wanted.items()
            if how not in ("StringEquals", "BooleanEquals", "NumericEquals"):
                raise NotImplementedError(f"choice by {how}")
            found = _at(rule["Variable"], execution.data)
            if type(found) is type(value) and found == value:
                return self._enter(execution, rule["Next"])
        if "Default" not in state:
            return self._failed(execution, "States.NoChoiceMatched", "")
        return self._enter(execution, state["Default"])

    def _wait(self, execution: Execution, state: dict[str, Any]) -> None:
        self._enter(execution, state["Next"])
        execution.due_at = self._now() + state["Seconds"]

    def _pass(self, execution: Execution, state: dict[str, Any]) -> None:
        result = state.get("Result", execution.data)
        _put(execution, state.get("ResultPath", "$"), result)
        self._enter(execution, state["Next"])

    def _succeed(self, execution: Execution, state: dict[str, Any]) -> None:
        self._end(execution, "SUCCEEDED", "", "")

    def _fail(self, execution: Execution, state: dict[str, Any]) -> None:
        self._end(execution, "FAILED", state.get("Error", ""), state.get("Cause", ""))

    def _succeeded(self, execution: Execution, result: Any) -> None:
        state = self._state(execution)
        if "ResultSelector" in state:
            result = _filled(state["ResultSelector"], result, {})
        _put(execution, state.get("ResultPath", "$"), result)
        self._enter(execution, state["Next"])

    def _failed(self, execution: Execution, name: str, cause: str) -> None:
        state = self._state(execution)
        execution.history.append(f"!{name}")
        for number, retrier in enumerate(state.get("Retry", ())):
            if not _matches(retrier["ErrorEquals"], name):
                continue
            tried = execution.retried.get(number, 0)
            if tried < retrier.get("MaxAttempts", 3):
                execution.retried[number] = tried + 1
                wait_s = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2) ** tried
                wait_s = min(wait_s, retrier.get("MaxDelaySeconds", _FOREVER))
                execution.due_at = self._now() + wait_s  # the longest that full jitter may take
                return
            break  # the first retrier that matches decides
        for catcher in state.get("Catch", ()):
            if _matches(catcher["ErrorEquals"], name):
                told = {"Error": name, "Cause": cause}
                _put(execution, catcher.get("ResultPath", "$"), told)
                self._enter(execution, catcher["Next"])
                return
        self._end(execution, "FAILED", name, cause)

    def _overdue(self, execution: Execution) -> None:
        late = execution.timeout_at <= execution.heartbeat_at
        self._settled(execution)
        self._failed(execution, _TIMEOUT if late else "States.HeartbeatTimeout", "")

    def _enter(self, execution: Execution, state: str) -> None:
        execution.state, execution.retried = state, {}
        execution.due_at = self._now()
        execution.history.append(state)

    def _beat(self, execution: Execution) -> None:
        state = self._state(execution)
        execution.heartbeat_at = self._now() + state.get("HeartbeatSeconds", _FOREVER)
        if execution.waits:
            limit_s = self._machine(execution.workflow).get("TimeoutSeconds", _FOREVER)
            execution.due_at = min(
                execution.heartbeat_at, execution.timeout_at, execution.started_at + limit_s
            )

    def _settled(self, execution: Execution) -> None:
        """Nobody waits for the token any more; who answers it now is too late."""
        execution.token = None
        execution.due_at = self._now()

    def _end(self, execution: Execution, status: str, error: str, cause: str) -> None:
        execution.token = None
        execution.status, execution.error, execution.cause = status, error, cause
        execution.history.append(status)
        if status != "SUCCEEDED":
            detail = {"name": execution.name, "status": status}
            self.events.append(detail | {"error": error or None, "cause": cause or None})

    def _waiting_for(self, token: str) -> Execution | None:
        return next((e for e in self.running() if e.token == token), None)

    def _state(self, execution: Execution) -> dict[str, Any]:
        state: dict[str, Any] = self._machine(execution.workflow)["States"][execution.state]
        return state

    def _machine(self, workflow: str) -> dict[str, Any]:
        if workflow not in self._machines:
            text = (WORKFLOWS / f"{workflow}.asl.json").read_text()
            self._machines[workflow] = json.loads(text)
        return self._machines[workflow]


def _matches(wanted: list[str], error: str) -> bool:
    if "States.ALL" in wanted or error in wanted:
        return True
    return "States.TaskFailed" in wanted and error != _TIMEOUT


def _filled(template: Any, data: Any, context: Mapping[str, Any]) -> Any:
    """A payload template with its paths looked up."""
    if template == "$":
        return data
    if isinstance(template, list):
        return [_filled(item, data, context) for item in template]
    if not isinstance(template, dict):
        return template
    filled = {}
    for name, value in template.items():
        if not name.endswith(".$"):
            filled[name] = _filled(value, data, context)
        elif value.startswith("$$."):
            filled[name.removesuffix(".$")] = _at(value[1:], context)
        else:
            filled[name.removesuffix(".$")] = _at(value, data)
    return filled


def _at(path: str, data: Any) -> Any:
    """Raises: KeyError: there is nothing at this path, which ends a real execution too."""
    if path == "$":
        return data
    if not path.startswith("$.") or "[" in path:
        raise NotImplementedError(f"path {path}")
    for name in path[2:].split("."):
        data = data[name]
    return data


def _put(execution: Execution, path: str | None, result: Any) -> None:
    if path is None:
        return
    if path == "$":
        execution.data = result
        return
    if not path.startswith("$.") or path.count(".") > 1:
        raise NotImplementedError(f"result path {path}")
    execution.data = {**execution.data, path[2:]: result}
