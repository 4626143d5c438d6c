"""The patched States Language interpreter, driven by boto3; tasks are small Python functions."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.wrappers import Request, Response

from slimreel.local.faults import Faults
from slimreel.local.front import Front
from slimreel.local.http_server import Server
from slimreel.local.moto_app import Moto
from slimreel.local.stepfunctions import patch_interpreter

INVOKE = "arn:aws:states:::lambda:invoke"
WAIT_FOR_TOKEN = "arn:aws:states:::lambda:invoke.waitForTaskToken"
ROLE = "arn:aws:iam::123456789012:role/flow"


class Flows:
    """Step Functions behind a real port, with a Lambda made of plain functions."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[[Any], Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.moto = Moto()
        front = Front(moto=self.moto, faults=Faults())
        front.route_service("lambda", self._invoke)
        self.server = Server(front)
        url = f"http://127.0.0.1:{self.server.port}"
        self.interpreter = patch_interpreter(self.events.append, endpoint_url=url)
        self.server.start()
        self.client = boto3.client(
            "stepfunctions",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            endpoint_url=url,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=30),
        )

    def _invoke(self, request: Request) -> Response:
        name = request.path.split("/")[3].rpartition("%3A")[2].rpartition(":")[2]
        if name not in self.functions:
            return Response(
                json.dumps({"Message": "Rate Exceeded."}),
                status=429,
                headers={"x-amzn-ErrorType": "TooManyRequestsException", "x-amzn-RequestId": "1"},
            )
        try:
            return Response(json.dumps(self.functions[name](json.loads(request.get_data()))))
        except Exception as failure:  # noqa: BLE001 - what the function raises is its error
            error = {"errorType": type(failure).__name__, "errorMessage": str(failure)}
            return Response(json.dumps(error), headers={"X-Amz-Function-Error": "Unhandled"})

    def create(self, states: dict[str, Any], **more: Any) -> str:
        definition = {"StartAt": next(iter(states)), "States": states, **more}
        created = self.client.create_state_machine(
            name=f"flow-{time.monotonic_ns()}", definition=json.dumps(definition), roleArn=ROLE
        )
        return str(created["stateMachineArn"])

    def start(self, states: dict[str, Any], **more: Any) -> str:
        arn = self.create(states, **more)
        return str(self.client.start_execution(stateMachineArn=arn, input="{}")["executionArn"])

    def end(self, execution: str, *, within_s: float = 5.0) -> dict[str, Any]:
        until = time.monotonic() + within_s
        while True:
            found: dict[str, Any] = self.client.describe_execution(executionArn=execution)
            if found["status"] != "RUNNING":
                return found
            assert time.monotonic() < until, "the execution still runs"
            time.sleep(0.01)

    def token(self, number: int = 1) -> str:
        until = time.monotonic() + 3
        while len(self.tokens) < number:
            assert time.monotonic() < until, "the task did not start"
            time.sleep(0.005)
        return self.tokens[number - 1]

    def keep_token(self, event: dict[str, Any]) -> None:
        self.tokens.append(event["token"])

    def close(self) -> None:
        self.interpreter.restore()
        self.client.close()
        self.server.stop()
        self.moto.close()


@pytest.fixture
def flows() -> Iterator[Flows]:
    flows = Flows()
    flows.functions["wait"] = flows.keep_token
    try:
        yield flows
    finally:
        flows.close()


def waiting(**more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": WAIT_FOR_TOKEN,
        "Parameters": {"FunctionName": "wait", "Payload": {"token.$": "$$.Task.Token"}},
        "End": True,
        **more,
    }


def task(name: str, **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{name}"
    return {"Type": "Task", "Resource": arn, "End": True, **more}


def code_of(info: pytest.ExceptionInfo[ClientError]) -> str:
    return str(info.value.response["Error"]["Code"])


def test_missed_heartbeat_is_a_heartbeat_timeout(flows: Flows) -> None:
    catch = [{"ErrorEquals": ["States.HeartbeatTimeout"], "ResultPath": "$.e", "Next": "Caught"}]
    caught = flows.start(
        {"W": waiting(HeartbeatSeconds=1, Catch=catch), "Caught": {"Type": "Pass", "End": True}}
    )
    uncaught = flows.start({"W": waiting(HeartbeatSeconds=1)})
    found = flows.end(caught)
    assert found["status"] == "SUCCEEDED"
    assert json.loads(found["output"])["e"]["Error"] == "States.HeartbeatTimeout"
    assert flows.end(uncaught)["error"] == "States.HeartbeatTimeout"
    with pytest.raises(ClientError) as late:
        flows.client.send_task_success(taskToken=flows.token(1), output="{}")
    assert code_of(late) == "TaskTimedOut"


def test_heartbeats_keep_a_task_alive(flows: Flows) -> None:
    execution = flows.start({"W": waiting(HeartbeatSeconds=1)})
    token = flows.token()
    for _ in range(4):
        time.sleep(0.4)
        flows.client.send_task_heartbeat(taskToken=token)
    flows.client.send_task_success(taskToken=token, output='{"done": true}')
    assert json.loads(flows.end(execution)["output"]) == {"done": True}


@pytest.mark.parametrize("heartbeat", [{}, {"HeartbeatSeconds": 2}])
def test_token_answered_before_the_function_returns(
    flows: Flows, heartbeat: dict[str, int]
) -> None:
    def answers_first(event: dict[str, Any]) -> None:
        flows.client.send_task_heartbeat(taskToken=event["token"])
        flows.client.send_task_success(taskToken=event["token"], output='"early"')

    flows.functions["wait"] = answers_first
    found = flows.end(flows.start({"W": waiting(**heartbeat)}), within_s=1.5)
    assert found["output"] == '"early"'


def test_heartbeat_alone_brings_no_other_time_out(flows: Flows) -> None:
    execution = flows.start({"W": waiting(HeartbeatSeconds=600)})
    flows.token()
    history = flows.client.get_execution_history(executionArn=execution)["events"]
    scheduled = next(
        one["taskScheduledEventDetails"] for one in history if one["type"] == "TaskScheduled"
    )
    assert scheduled["heartbeatInSeconds"] == 600
    assert "timeoutInSeconds" not in scheduled


def test_first_answer_counts(flows: Flows) -> None:
    first = {key: value for key, value in waiting(Next="Rest").items() if key != "End"}
    execution = flows.start({"W": first, "Rest": {"Type": "Wait", "Seconds": 1, "End": True}})
    token = flows.token()
    flows.client.send_task_success(taskToken=token, output='"first"')
    for answer in (
        lambda: flows.client.send_task_success(taskToken=token, output='"second"'),
        lambda: flows.client.send_task_failure(taskToken=token, error="E"),
        lambda: flows.client.send_task_heartbeat(taskToken=token),
    ):
        with pytest.raises(ClientError) as refused:
            answer()
        assert code_of(refused) == "TaskTimedOut"
    assert flows.end(execution)["output"] == '"first"'


def test_definition_moto_cannot_parse_is_an_invalid_definition(flows: Flows) -> None:
    with pytest.raises(ClientError) as refused:
        flows.create({"P": {"Type": "Pass", "Next": "P", "End": True}})
    assert code_of(refused) == "InvalidDefinition"


def test_answers_that_are_refused(flows: Flows) -> None:
    flows.start({"W": waiting()})
    token = flows.token()
    with pytest.raises(ClientError) as unknown:
        flows.client.send_task_success(taskToken="nonsense", output="{}")
    assert code_of(unknown) == "InvalidToken"
    with pytest.raises(ClientError) as not_json:
        flows.client.send_task_success(taskToken=token, output="{nope")
    assert code_of(not_json) == "InvalidOutput"
    with pytest.raises(ClientError) as too_large:
        flows.client.send_task_success(taskToken=token, output=json.dumps("x" * 262144))
    assert code_of(too_large) == "ValidationException"


def test_failure_keeps_error_and_cause_and_a_retry_gets_a_new_token(flows: Flows) -> None:
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = flows.start({"W": waiting(Retry=retry)})
    flows.client.send_task_failure(taskToken=flows.token(1), error="Busy", cause="try again")
    second = flows.token(2)
    assert second != flows.token(1)
    flows.client.send_task_failure(taskToken=second, error="Broken", cause="for good")
    found = flows.end(execution)
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "Broken", "for good")


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (task("huge"), "States.DataLimitExceeded"),
        ({"Type": "Task", "Resource": INVOKE, "End": True,
          "Parameters": {"FunctionName": "huge", "Payload.$": "$.absent"}}, "States.Runtime"),
    ],
)  # fmt: skip
def test_catch_all_spares_the_terminal_errors(
    flows: Flows, failing: dict[str, Any], error: str
) -> None:
    flows.functions["huge"] = lambda event: "x" * 300_000
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 3}]
    execution = flows.start(
        {"T": {**failing, "Catch": catch, "Retry": retry}, "Caught": {"Type": "Pass", "End": True}}
    )
    found = flows.end(execution, within_s=0.9)
    assert (found["status"], found["error"]) == ("FAILED", error)


def test_catch_all_catches_the_rest(flows: Flows) -> None:
    def fails(event: Any) -> None:
        raise KeyError("x")

    flows.functions["fails"] = fails
    for error_equals in ("States.ALL", "States.TaskFailed", "KeyError"):
        catch = [{"ErrorEquals": [error_equals], "Next": "Caught"}]
        execution = flows.start(
            {"T": task("fails", Catch=catch), "Caught": {"Type": "Pass", "End": True}}
        )
        found = flows.end(execution)
        assert json.loads(found["output"])["Error"] == "KeyError"


def test_task_failed_does_not_catch_a_time_out(flows: Flows) -> None:
    catch = [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]
    execution = flows.start(
        {"W": waiting(TimeoutSeconds=1, Catch=catch), "Caught": {"Type": "Pass", "End": True}}
    )
    assert flows.end(execution)["error"] == "States.Timeout"


def test_refused_invocation_is_named_as_aws_names_it(flows: Flows) -> None:
    for resource in (task("throttled"), {
        "Type": "Task", "Resource": INVOKE, "End": True,
        "Parameters": {"FunctionName": "throttled"},
    }):  # fmt: skip
        found = flows.end(flows.start({"T": resource}))
        assert found["error"] == "Lambda.TooManyRequestsException"


@pytest.mark.parametrize(
    "state",
    [
        waiting(),
        waiting(HeartbeatSeconds=500),
        {"Type": "Wait", "Seconds": 600, "End": True},
        {"Type": "Parallel", "End": True, "Branches": [
            {"StartAt": "W", "States": {"W": waiting()}},
            {"StartAt": "P", "States": {"P": {"Type": "Wait", "Seconds": 99, "End": True}}},
        ]},
        task("throttled", Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 300}]),
    ],
    ids=["token", "heartbeat", "wait", "parallel", "retry pause"],
)  # fmt: skip
def test_stop_ends_an_execution_at_once(flows: Flows, state: dict[str, Any]) -> None:
    execution = flows.start({"S": state})
    time.sleep(0.15)
    started = time.monotonic()
    flows.client.stop_execution(executionArn=execution, error="Cancelled", cause="by a person")
    found = flows.client.describe_execution(executionArn=execution)
    assert time.monotonic() - started < 1
    assert (found["status"], found["error"], found["cause"]) == (
        "ABORTED",
        "Cancelled",
        "by a person",
    )
    assert found["stopDate"] >= found["startDate"]
    assert _last_event(flows, execution, wanted="ExecutionAborted") == "ExecutionAborted"
    for token in flows.tokens:
        with pytest.raises(ClientError) as late:
            flows.client.send_task_success(taskToken=token, output="{}")
        assert code_of(late) == "TaskTimedOut"


def _last_event(flows: Flows, execution: str, *, wanted: str) -> str:
    """The thread that runs an execution notes its end."""
    for _ in range(200):
        if history_of(flows, execution)[-1]["type"] == wanted:
            break
        time.sleep(0.05)
    return str(history_of(flows, execution)[-1]["type"])


def history_of(flows: Flows, execution: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = flows.client.get_execution_history(executionArn=execution)[
        "events"
    ]
    return found


def test_stop_does_not_wait_for_a_running_function(flows: Flows) -> None:
    release = threading.Event()
    flows.functions["slow"] = lambda event: release.wait(5)
    execution = flows.start({"T": task("slow")})
    time.sleep(0.1)
    flows.client.stop_execution(executionArn=execution)
    assert flows.end(execution, within_s=0.5)["status"] == "ABORTED"
    release.set()


def test_stop_right_after_start_is_not_lost(flows: Flows) -> None:
    machine = flows.create({"W": {"Type": "Wait", "Seconds": 60, "End": True}})
    for _ in range(10):
        arn = flows.client.start_execution(stateMachineArn=machine)["executionArn"]
        flows.client.stop_execution(executionArn=arn)
        assert flows.end(arn, within_s=1)["status"] == "ABORTED"


def test_machine_time_out(flows: Flows) -> None:
    execution = flows.start({"W": waiting(HeartbeatSeconds=500)}, TimeoutSeconds=1)
    found = flows.end(execution, within_s=2)
    assert (found["status"], found["error"]) == ("TIMED_OUT", "States.Timeout")
    assert "stopDate" in found
    assert history_of(flows, execution)[-1]["type"] == "ExecutionTimedOut"


def test_long_waits_do_not_spin(flows: Flows) -> None:
    flows.start({"W": waiting(HeartbeatSeconds=500)}, TimeoutSeconds=1000)
    flows.start({"W": {"Type": "Wait", "Seconds": 600, "End": True}})
    flows.token()
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_wait_until_a_timestamp_is_in_utc(
    flows: Flows, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """By the local clock, an hour ahead would be over in Tokyo, and a second ago not in LA."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()

    def until(seconds: int) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        return flows.start({"W": {"Type": "Wait", "Timestamp": moment, "End": True}})

    try:
        waits = until(3600)
        assert flows.end(until(-1), within_s=30)["status"] == "SUCCEEDED"
        assert flows.client.describe_execution(executionArn=waits)["status"] == "RUNNING"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_missing_name_is_made_up(flows: Flows) -> None:
    machine = flows.create({"P": {"Type": "Pass", "End": True}})
    arns = {flows.client.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(3)}
    assert len(arns) == 3
    for arn in arns:
        found = flows.end(arn)
        assert found["name"] == arn.rpartition(":")[2]
        assert len(found["name"]) == 36


def test_same_name_and_input_is_one_execution_also_when_started_at_once(flows: Flows) -> None:
    machine = flows.create({"W": {"Type": "Wait", "Seconds": 2, "End": True}})
    arns: list[str] = []

    def start() -> None:
        started = flows.client.start_execution(stateMachineArn=machine, name="one", input='{"a":1}')
        arns.append(started["executionArn"])

    threads = [threading.Thread(target=start) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(arns) == 10 and len(set(arns)) == 1
    listed = flows.client.list_executions(stateMachineArn=machine)["executions"]
    assert len(listed) == 1
    with pytest.raises(ClientError) as other:
        flows.client.start_execution(stateMachineArn=machine, name="one", input='{"a":2}')
    assert code_of(other) == "ExecutionAlreadyExists"
    flows.client.stop_execution(executionArn=arns[0])
    with pytest.raises(ClientError) as closed:
        flows.client.start_execution(stateMachineArn=machine, name="one", input='{"a":1}')
    assert code_of(closed) == "ExecutionAlreadyExists"


@pytest.mark.parametrize("name", ["with space", "a/b", "x" * 81, "a:b", "ü?"])
def test_names_aws_refuses(flows: Flows, name: str) -> None:
    machine = flows.create({"P": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError) as refused:
        flows.client.start_execution(stateMachineArn=machine, name=name)
    assert code_of(refused) == "InvalidName"


def test_input_over_the_limit_is_refused(flows: Flows) -> None:
    machine = flows.create({"P": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError) as refused:
        flows.client.start_execution(stateMachineArn=machine, input=json.dumps("x" * 262144))
    assert code_of(refused) == "ValidationException"


def test_status_events(flows: Flows) -> None:
    machine = flows.create({"P": {"Type": "Pass", "Result": {"a": 1}, "End": True}})
    arn = flows.client.start_execution(stateMachineArn=machine, input='{"in":1}')["executionArn"]
    flows.end(arn)
    running, succeeded = wait_for_events(flows, 2)
    assert running["detail-type"] == "Step Functions Execution Status Change"
    assert running["source"] == "aws.states"
    assert running["resources"] == [arn]
    assert (running["account"], running["region"]) == ("123456789012", "eu-west-1")
    started = running["detail"]
    assert started["status"] == "RUNNING"
    assert started["stopDate"] is None and started["output"] is None
    assert started["input"] == '{"in":1}'
    detail = succeeded["detail"]
    assert detail["executionArn"] == arn and detail["stateMachineArn"] == machine
    assert detail["name"] == arn.rpartition(":")[2]
    assert (detail["status"], detail["output"]) == ("SUCCEEDED", '{"a":1}')
    assert detail["error"] is None and detail["cause"] is None
    assert detail["startDate"] <= detail["stopDate"] <= time.time() * 1000


def test_status_events_of_the_other_ends(flows: Flows) -> None:
    flows.end(flows.start({"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}))
    flows.end(flows.start({"W": {"Type": "Wait", "Seconds": 9, "End": True}}, TimeoutSeconds=1))
    arn = flows.start({"W": waiting()})
    flows.client.stop_execution(executionArn=arn, error="X", cause="Y")
    ends = [one["detail"] for one in wait_for_events(flows, 6) if one["detail"]["stopDate"]]
    assert [(d["status"], d["error"], d["cause"], d["output"]) for d in ends] == [
        ("FAILED", "E", "C", None),
        ("TIMED_OUT", "States.Timeout", None, None),
        ("ABORTED", "X", "Y", None),
    ]


def test_status_event_leaves_out_data_over_the_event_limit(flows: Flows) -> None:
    machine = flows.create({"P": {"Type": "Pass", "End": True}})
    big = json.dumps("x" * 255_000)
    arn = flows.client.start_execution(stateMachineArn=machine, input=big)["executionArn"]
    flows.end(arn)
    running, ended = (one["detail"] for one in wait_for_events(flows, 2))
    assert running["input"] is None and running["inputDetails"] == {"included": False}
    assert ended["output"] is None and ended["outputDetails"] == {"included": False}


def wait_for_events(flows: Flows, number: int) -> list[dict[str, Any]]:
    until = time.monotonic() + 2
    while len(flows.events) < number:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert len(flows.events) == number
    return flows.events


def test_restore_ends_executions_silently_and_takes_the_patches_back() -> None:
    from moto.stepfunctions.parser.asl.eval.environment import Environment

    untouched = Environment.set_stop
    flows = Flows()
    flows.functions["wait"] = flows.keep_token
    flows.start({"W": waiting(HeartbeatSeconds=500)})
    flows.token()
    assert Environment.set_stop is not untouched
    flows.close()
    assert Environment.set_stop is untouched
    assert [one["detail"]["status"] for one in flows.events] == ["RUNNING"]
    leftovers = [one.name for one in threading.enumerate() if one.name.startswith("execution")]
    assert leftovers == []
