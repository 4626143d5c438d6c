"""Checks that a task calls one of our functions, ends in time, and that its errors arrive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from slimreel.workflows.machine import Catcher, Finding, Machine, State

LAMBDA_INVOKE = "arn:aws:states:::lambda:invoke"
WAITING = ".waitForTaskToken"
#: The function that tells people why a job failed; it starts the failure path.
FAILURE_FUNCTION = "fail"
_FUNCTION = re.compile(r"\$\{(\w+)\}")


def tasks_findings(machine: Machine) -> Iterator[Finding]:
    """What is wrong with the tasks of one machine, and with the errors of its other states."""
    normal = machine.reachable(machine.start, errors=False)
    for state in machine.states.values():
        if state.type == "Task":
            yield from _call(state)
            yield from _times(state)
        if state.type in ("Task", "Parallel", "Map"):
            is_failure_step = (
                called_function(state) == FAILURE_FUNCTION and state.name not in normal
            )
            if not (is_failure_step or machine.is_guarded):
                yield from _catches_all(machine, state)
            for catcher in state.catchers():
                yield from _keeps_state(catcher)


def called_function(state: State) -> str | None:
    """The function a task calls, written `${name}`."""
    resource = state.body.get("Resource")
    if waits_for_token(state) or resource == LAMBDA_INVOKE:
        parameters = state.body.get("Parameters")
        resource = parameters.get("FunctionName") if isinstance(parameters, dict) else None
    found = _FUNCTION.fullmatch(resource) if isinstance(resource, str) else None
    return found[1] if found else None


def waits_for_token(state: State) -> bool:
    return str(state.body.get("Resource")) == LAMBDA_INVOKE + WAITING


def _call(state: State) -> Iterator[Finding]:
    if called_function(state) is None:
        yield (
            f"{state.where}.Resource",
            "a task calls a function of app.py: Resource is ${name}, or"
            f" {LAMBDA_INVOKE}[{WAITING}] with FunctionName ${{name}} in Parameters",
        )
    elif waits_for_token(state) and "$$.Task.Token" not in json.dumps(state.body["Parameters"]):
        yield state.where, "it waits for a token that it does not pass on ($$.Task.Token)"


def _times(state: State) -> Iterator[Finding]:
    timeout, heartbeat = (_given(state, field) for field in ("TimeoutSeconds", "HeartbeatSeconds"))
    if timeout is None:
        yield state.where, "a Task without TimeoutSeconds can hang for a year; add one"
    if waits_for_token(state) and heartbeat is None:
        yield state.where, "a task that waits for a token needs HeartbeatSeconds, to notice silence"
    if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
        yield state.where, f"HeartbeatSeconds {heartbeat} must be below TimeoutSeconds {timeout}"


def _given(state: State, field: str) -> Any:
    return state.body.get(field, state.body.get(f"{field}Path"))


def _catches_all(machine: Machine, state: State) -> Iterator[Finding]:
    catchers = state.catchers()
    catching = [catcher for catcher in catchers if "States.ALL" in catcher.errors]
    if not catching:
        yield (
            state.where,
            f"a {state.type} needs a Catch for States.ALL that leads to the failure step",
        )
        return
    last = catching[0]
    if last is not catchers[-1] or last.errors != ["States.ALL"]:
        yield last.where, "States.ALL must stand alone and in the last entry of Catch"
    ahead = machine.reachable(last.target, errors=True)
    if last.target in machine.states and not any(_is_failure(machine.states[n]) for n in ahead):
        yield (
            last.where,
            f"from {last.target!r} an error never reaches the failure step (a task that calls"
            f" ${{{FAILURE_FUNCTION}}}, or a Fail state), so the job would end in silence",
        )


def _is_failure(state: State) -> bool:
    return state.type == "Fail" or called_function(state) == FAILURE_FUNCTION


def _keeps_state(catcher: Catcher) -> Iterator[Finding]:
    if catcher.body.get("ResultPath", "$") == "$":
        yield (
            catcher.where,
            "the error replaces the whole state, so the next step no longer knows its job; add"
            ' "ResultPath": "$.error"',
        )
