"""Step Functions' adapter: executions that start once, and tokens that may be dead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.adapters.flows import Flows
from tests.integration.test_stepfunctions import Flows as LocalFlows
from tests.integration.test_stepfunctions import waiting


@pytest.fixture(scope="module")
def local() -> Iterator[LocalFlows]:
    with closing(LocalFlows()) as local:
        local.functions["wait"] = local.keep_token
        yield local


@pytest.fixture(scope="module")
def machine(local: LocalFlows) -> str:
    return local.create({"Wait": waiting(HeartbeatSeconds=60)})


@pytest.fixture
def flows(local: LocalFlows, machine: str) -> Iterator[Flows]:
    """A new token each time."""
    local.tokens.clear()
    yield Flows(local.client, arn_prefix=machine[:-1])


@pytest.fixture
def workflow(machine: str) -> str:
    return machine[-1]


def started(flows: Flows, local: LocalFlows, workflow: str, name: str) -> str:
    flows.start(workflow, name, {"job_id": name, "run": 1})
    return local.token()


def ended(local: LocalFlows, machine: str, name: str) -> dict[str, Any]:
    return local.end(f"{machine.replace(':stateMachine:', ':execution:')}:{name}")


def test_an_execution_starts_once(flows: Flows, local, machine: str, workflow: str) -> None:
    assert flows.status(workflow, "once-1") is None
    token = started(flows, local, workflow, "once-1")
    flows.start(workflow, "once-1", {"job_id": "once-1", "run": 1})
    assert flows.status(workflow, "once-1") == "RUNNING"
    assert flows.succeed(token, {})
    ended(local, machine, "once-1")
    flows.start(workflow, "once-1", {"job_id": "once-1", "run": 1})  # nor after its end
    assert flows.status(workflow, "once-1") == "SUCCEEDED"
    assert len(local.tokens) == 1


def test_a_token_is_answered_once(flows: Flows, local, machine: str, workflow: str) -> None:
    token = started(flows, local, workflow, "answered")
    assert flows.heartbeat(token)
    assert flows.succeed(token, {"outcome": "COMPLETE"})
    found = ended(local, machine, "answered")
    assert json.loads(found["output"]) == {"outcome": "COMPLETE"}
    late = (flows.succeed(token, {}), flows.fail(token, error="E", cause="C"))
    assert (*late, flows.heartbeat(token)) == (False, False, False)


def test_a_failure_has_its_name_and_cause(flows: Flows, local, machine, workflow) -> None:
    token = started(flows, local, workflow, "failed")
    assert flows.fail(token, error="EncoderFault", cause='{"errorMessage": "It gave up."}')
    found = ended(local, machine, "failed")
    assert (found["status"], found["error"]) == ("FAILED", "EncoderFault")
    assert found["cause"] == '{"errorMessage": "It gave up."}'


def test_a_token_of_a_stopped_execution_is_dead(flows: Flows, local, machine, workflow) -> None:
    token = started(flows, local, workflow, "stopped")
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:stopped"
    local.client.stop_execution(executionArn=arn)
    assert flows.status(workflow, "stopped") == "ABORTED"
    assert not flows.heartbeat(token)
    assert not flows.succeed(token, {})


def test_a_token_that_never_was_is_no_error(flows: Flows) -> None:
    assert not flows.succeed("A" * 100, {})
    assert not flows.heartbeat("A" * 100)


def test_a_flow_that_is_not_there_is_an_error(flows: Flows) -> None:
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        flows.start("no-such-flow", "x", {})
