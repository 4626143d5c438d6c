"""The Lambda stand-in, read back by boto3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slimreel.local.faults import Fault
from tests.contract.lambda_cloud import LambdaCloud, lambda_cloud


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaCloud]:
    with lambda_cloud(tmp_path_factory.mktemp("lambda"), retry_delays_s=(0.05, 0.05)) as cloud:
        for handler in ("echo", "fails", "dies", "leaves", "set_result", "big"):
            cloud.create(handler, Timeout=10)
        cloud.create("slow", Timeout=1)
        yield cloud


def call(cloud: LambdaCloud, name: str, event: Any = None) -> dict[str, Any]:
    return cloud.client.invoke(FunctionName=name, Payload=json.dumps(event))


def result(response: dict[str, Any]) -> Any:
    return json.load(response["Payload"])


def until(condition: Callable[[], Any], *, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


def refusal(info: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    answer = info.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_handler_runs_with_its_own_environment_and_context(shared: LambdaCloud) -> None:
    variables = {"STAGE": "local", "LANG": "C"}
    shared.create(
        "echo", name="own-env", Timeout=7, MemorySize=256, Environment={"Variables": variables}
    )

    answer = result(call(shared, "own-env", {"a": "ü"}))

    assert answer["event"] == {"a": "ü"}
    assert answer["function"] == "own-env"
    assert answer["arn"] == "arn:aws:lambda:eu-west-1:123456789012:function:own-env"
    assert answer["memory"] == "256"
    assert 5000 < answer["remaining_ms"] <= 7000
    assert answer["cwd"] == str(shared.project)
    env = answer["env"]
    assert env["STAGE"] == "local" and env["LANG"] == "C"
    assert env["_HANDLER"] == "app.echo"
    assert env["AWS_REGION"] == "eu-west-1"
    assert env["AWS_ENDPOINT_URL"] == shared.endpoint_url
    assert "PYTEST_CURRENT_TEST" not in env and "HOME" not in env
    assert answer["modules"] == []  # nothing of the stand-ins leaks into a function


def test_environment_is_reused_and_named_by_arn_too(shared: LambdaCloud) -> None:
    first = result(call(shared, "echo"))
    second = result(call(shared, first["arn"] + ":$LATEST"))
    assert first["pid"] == second["pid"]
    assert first["request_id"] != second["request_id"]


def test_concurrent_calls_get_a_process_each(shared: LambdaCloud) -> None:
    pids: list[int] = []
    threads = [
        threading.Thread(target=lambda: pids.append(result(call(shared, "slow", 0.3))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pids)) == 3


def test_handler_error_is_answered_as_unhandled(shared: LambdaCloud) -> None:
    response = call(shared, "fails")
    assert response["StatusCode"] == 200
    assert response["FunctionError"] == "Unhandled"
    error = result(response)
    assert error["errorType"] == "ValueError"
    assert error["errorMessage"] == "no such thing"
    assert "in fails" in error["stackTrace"][0]
    assert "sandbox.py" not in "".join(error["stackTrace"])


@pytest.mark.parametrize(
    ("name", "event", "kind", "message"),
    [
        ("slow", 30, "Sandbox.Timedout", "Error: Task timed out after 1.00 seconds"),
        ("dies", 4, "Runtime.ExitError", "Error: Runtime exited with error: exit status 4"),
        ("dies", 0, "Runtime.ExitError", "Error: Runtime exited without providing a reason"),
        ("leaves", None, "Runtime.ExitError", "Error: Runtime exited with error: exit status 3"),
        ("set_result", None, "Runtime.MarshalError", "Unable to marshal response"),
        ("big", None, "Function.ResponseSizeTooLarge", "Response payload size exceeded"),
    ],
)
def test_ends_that_are_not_an_answer(
    shared: LambdaCloud, name: str, event: Any, kind: str, message: str
) -> None:
    response = call(shared, name, event)
    assert response["FunctionError"] == "Unhandled"
    error = result(response)
    assert error["errorType"] == kind
    assert message in error["errorMessage"]


def test_function_works_again_after_a_crash(shared: LambdaCloud) -> None:
    before = result(call(shared, "echo"))["pid"]
    os.kill(before, signal.SIGKILL)
    assert result(call(shared, "echo"))["errorMessage"].endswith("signal: killed")
    assert result(call(shared, "echo"))["pid"] != before


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("nowhere.echo", "Runtime.ImportModuleError"),
        ("app.nothing", "Runtime.HandlerNotFound"),
    ],
)
def test_handler_string_that_resolves_to_nothing(
    shared: LambdaCloud, handler: str, kind: str
) -> None:
    name = shared.create("echo", name=kind.replace(".", "-"))
    shared.client.update_function_configuration(FunctionName=name, Handler=handler)
    response = call(shared, name)
    assert response["FunctionError"] == "Unhandled"
    assert result(response)["errorType"] == kind


def test_update_reaches_the_next_call(shared: LambdaCloud) -> None:
    name = shared.create("echo", name="updated")
    first = result(call(shared, name))
    shared.client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"NEW": "1"}}, Timeout=9
    )
    second = result(call(shared, name))
    assert second["env"]["NEW"] == "1" and second["pid"] != first["pid"]
    shared.client.update_function_code(FunctionName=name, ZipFile=b"other")
    assert result(call(shared, name))["pid"] != second["pid"]


def test_unknown_function_and_version(shared: LambdaCloud) -> None:
    with pytest.raises(shared.client.exceptions.ResourceNotFoundException, match=":function:nope"):
        call(shared, "nope")
    with pytest.raises(shared.client.exceptions.ResourceNotFoundException):
        call(shared, "echo:1")


def test_payload_limits(shared: LambdaCloud) -> None:
    with pytest.raises(ClientError) as too_large:
        call(shared, "echo", "x" * (6 * 1024 * 1024))
    assert refusal(too_large) == (413, "RequestTooLargeException")
    with pytest.raises(ClientError) as too_large:
        shared.client.invoke(
            FunctionName="echo", InvocationType="Event", Payload=b'"' + b"x" * 262144 + b'"'
        )
    assert refusal(too_large) == (413, "RequestTooLargeException")
    with pytest.raises(ClientError) as not_json:
        shared.client.invoke(FunctionName="echo", Payload=b"{nope")
    assert refusal(not_json) == (400, "InvalidRequestContentException")


def test_log_has_output_and_report(shared: LambdaCloud) -> None:
    name = shared.create("echo", name="logged")
    request_id = result(call(shared, name, "hello"))["request_id"]
    lines = (shared.data / "logs" / "logged.log").read_text().splitlines()
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert "heard hello" in lines
    assert any(line.startswith("[INFO]") and "logged line" in line for line in lines)
    assert f"END RequestId: {request_id}" in lines
    report = lines[-1]
    assert report.startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert "Max Memory Used: " in report and "Init Duration: " in report
    assert "Max Memory Used: 0 MB" not in report


def test_json_log_format(shared: LambdaCloud) -> None:
    name = shared.create("echo", name="json-log", LoggingConfig={"LogFormat": "JSON"})
    request_id = result(call(shared, name))["request_id"]
    lines = (shared.data / "logs" / "json-log.log").read_text().splitlines()
    logged = next(json.loads(line) for line in lines if "logged line" in line)
    assert (logged["level"], logged["requestId"]) == ("INFO", request_id)


def test_async_call_is_tried_three_times_then_goes_to_its_destination(
    shared: LambdaCloud, tmp_path: Path
) -> None:
    name = shared.create("append", name="to-destination")
    queue = "arn:aws:sqs:eu-west-1:123456789012:failures"
    shared.client.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnFailure": {"Destination": queue}}
    )
    event = {"path": str(tmp_path / "tries"), "fail": True}
    response = shared.client.invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps(event)
    )
    assert response["StatusCode"] == 202
    until(lambda: shared.deliver.sent)
    arn, body, _ = shared.deliver.sent.pop()
    record = json.loads(body)
    assert arn == queue
    assert (tmp_path / "tries").read_text() == "xxx"
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestPayload"] == event
    assert record["responsePayload"]["errorType"] == "RuntimeError"


def test_async_call_without_retries_goes_to_the_dead_letter_queue(
    shared: LambdaCloud, tmp_path: Path
) -> None:
    queue = "arn:aws:sqs:eu-west-1:123456789012:dead"
    name = shared.create("append", name="dead", DeadLetterConfig={"TargetArn": queue})
    shared.client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    event = {"path": str(tmp_path / "tries"), "fail": True}
    shared.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    until(lambda: shared.deliver.sent)
    arn, body, attributes = shared.deliver.sent.pop()
    assert (arn, json.loads(body)) == (queue, event)
    assert attributes["ErrorMessage"] == "on purpose"
    assert (tmp_path / "tries").read_text() == "x"


def test_async_event_may_arrive_twice(shared: LambdaCloud, tmp_path: Path) -> None:
    name = shared.create("append", name="twice")
    shared.faults.add(Fault(service="lambda", operation="InvokeAsync/twice", duplicate=True))
    event = {"path": str(tmp_path / "tries")}
    shared.client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    until(lambda: (tmp_path / "tries").exists() and (tmp_path / "tries").read_text() == "xx")


def test_process_killed_before_or_after_the_work(shared: LambdaCloud, tmp_path: Path) -> None:
    name = shared.create("append", name="killed")
    event = {"path": str(tmp_path / "tries")}
    shared.faults.add(Fault(service="lambda", operation="Invoke/killed", drop=True))
    assert result(call(shared, name, event))["errorType"] == "Runtime.ExitError"
    assert not (tmp_path / "tries").exists()
    shared.faults.add(
        Fault(service="lambda", operation="Invoke/killed", drop=True, after_effect=True)
    )
    assert result(call(shared, name, event))["errorType"] == "Runtime.ExitError"
    assert (tmp_path / "tries").read_text() == "x"


def test_reserved_concurrency_throttles(shared: LambdaCloud) -> None:
    name = shared.create("slow", name="one-at-a-time", Timeout=5)
    shared.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    busy = threading.Thread(target=call, args=(shared, name, 0.6))
    busy.start()
    time.sleep(0.3)
    with pytest.raises(shared.client.exceptions.TooManyRequestsException):
        call(shared, name, 0)
    busy.join()
    shared.client.delete_function_concurrency(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in shared.client.get_function_concurrency(
        FunctionName=name
    )


def test_api_fault_is_answered(shared: LambdaCloud) -> None:
    shared.faults.add(
        Fault(service="lambda", operation="Invoke/echo", status=500, code="ServiceException")
    )
    with pytest.raises(shared.client.exceptions.ServiceException):
        call(shared, "echo")


def test_create_refuses_what_aws_refuses(shared: LambdaCloud) -> None:
    with pytest.raises(shared.client.exceptions.ResourceConflictException):
        shared.create("echo")
    with pytest.raises(ClientError) as bad_timeout:
        shared.create("echo", name="x", Timeout=901)
    assert refusal(bad_timeout) == (400, "ValidationException")
    with pytest.raises(shared.client.exceptions.InvalidParameterValueException, match="reserved"):
        shared.create("echo", name="x", Environment={"Variables": {"AWS_REGION": "x"}})
    with pytest.raises(shared.client.exceptions.InvalidParameterValueException, match="4KB"):
        shared.create("echo", name="x", Environment={"Variables": {"A": "x" * 4096}})
    with pytest.raises(ClientError) as bad_runtime:
        shared.client.create_function(
            FunctionName="x",
            Runtime="python2",
            Role="arn:aws:iam::123456789012:role/r",
            Handler="app.echo",
            Code={"ZipFile": b""},
        )
    assert refusal(bad_runtime) == (400, "ValidationException")


def test_functions_are_read_back(shared: LambdaCloud) -> None:
    content = {"S3Bucket": "code", "S3Key": "ffmpeg-layer.zip"}
    published = shared.client.publish_layer_version(LayerName="ffmpeg", Content=content)
    layer = published["LayerVersionArn"]
    assert layer == "arn:aws:lambda:eu-west-1:123456789012:layer:ffmpeg:1"
    assert shared.client.get_layer_version(LayerName="ffmpeg", VersionNumber=1)["Version"] == 1
    name = shared.create("echo", name="read-back", Tags={"a": "b"}, Layers=[layer], MemorySize=512)
    shared.client.get_waiter("function_active_v2").wait(FunctionName=name)
    found = shared.client.get_function(FunctionName=name)
    assert found["Configuration"]["MemorySize"] == 512
    assert found["Configuration"]["Layers"] == [{"Arn": layer}]
    assert found["Tags"] == {"a": "b"}
    assert name in {one["FunctionName"] for one in shared.client.list_functions()["Functions"]}
    shared.client.delete_function(FunctionName=name)
    with pytest.raises(shared.client.exceptions.ResourceNotFoundException):
        shared.client.get_function(FunctionName=name)


def test_permissions_are_kept(shared: LambdaCloud) -> None:
    grant = {
        "FunctionName": "echo",
        "StatementId": "s",
        "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com",
        "SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/r",
    }
    shared.client.add_permission(**grant)
    with pytest.raises(shared.client.exceptions.ResourceConflictException):
        shared.client.add_permission(**grant)
    policy = json.loads(shared.client.get_policy(FunctionName="echo")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}
    shared.client.remove_permission(FunctionName="echo", StatementId="s")
    with pytest.raises(shared.client.exceptions.ResourceNotFoundException):
        shared.client.get_policy(FunctionName="echo")


def test_event_source_mapping_rules(shared: LambdaCloud) -> None:
    queue = "arn:aws:sqs:eu-west-1:123456789012:q"
    created = shared.client.create_event_source_mapping(
        EventSourceArn=queue, FunctionName="echo", FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    assert created["BatchSize"] == 10 and created["LastModified"].year >= 2026
    with pytest.raises(shared.client.exceptions.ResourceConflictException):
        shared.client.create_event_source_mapping(EventSourceArn=queue, FunctionName="echo")
    updated = shared.client.update_event_source_mapping(
        UUID=created["UUID"], BatchSize=1, Enabled=False
    )
    assert (updated["BatchSize"], updated["State"]) == (1, "Disabled")
    listed = shared.client.list_event_source_mappings(FunctionName="echo")
    assert [one["UUID"] for one in listed["EventSourceMappings"]] == [created["UUID"]]
    shared.client.delete_event_source_mapping(UUID=created["UUID"])
    with pytest.raises(shared.client.exceptions.ResourceNotFoundException):
        shared.client.get_event_source_mapping(UUID=created["UUID"])
    for arn, more in ((queue + ".fifo", {"BatchSize": 11}), (queue, {"BatchSize": 11})):
        with pytest.raises(shared.client.exceptions.InvalidParameterValueException):
            shared.client.create_event_source_mapping(
                EventSourceArn=arn, FunctionName="echo", **more
            )


def test_what_the_stand_in_cannot_do_is_a_501(
    shared: LambdaCloud, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClientError) as unknown:
        shared.client.publish_version(FunctionName="echo")
    assert refusal(unknown)[0] == 501
    assert "PublishVersion" in caplog.text
    with pytest.raises(ClientError) as image:
        shared.client.create_function(
            FunctionName="x", Role="arn:aws:iam::123456789012:role/r", PackageType="Image",
            Code={"ImageUri": "x"},
        )  # fmt: skip
    assert refusal(image)[0] == 501


def test_idle_environments_end_and_their_number_is_bounded(tmp_path: Path) -> None:
    with lambda_cloud(tmp_path, max_alive=2, idle_s=0.4) as cloud:
        pids = [result(call(cloud, cloud.create("echo", name=name)))["pid"] for name in "abc"]
        until(lambda: not alive(pids[0]), seconds=0.3)  # made room for the third
        until(lambda: not any(alive(pid) for pid in pids))


def test_a_function_with_nothing_at_work_is_never_starved(tmp_path: Path) -> None:
    with lambda_cloud(tmp_path, max_alive=1) as cloud:
        cloud.create("slow", Timeout=10)
        cloud.create("echo")
        busy = threading.Thread(target=call, args=(cloud, "slow", 3))
        busy.start()
        time.sleep(0.3)
        assert result(call(cloud, "echo", 1))["event"] == 1
        assert busy.is_alive()
        busy.join()


def test_close_leaves_no_process_behind(tmp_path: Path) -> None:
    before = children_of(os.getpid())
    with lambda_cloud(tmp_path) as cloud:
        cloud.create("slow", Timeout=60)
        idle = result(call(cloud, "slow", 0))
        errors: list[Exception] = []

        def interrupted() -> None:
            try:
                call(cloud, "slow", 50)
            except Exception as error:  # noqa: BLE001 - any kind of end will do
                errors.append(error)

        busy = threading.Thread(target=interrupted)
        busy.start()
        time.sleep(0.2)
    busy.join(5)
    assert not busy.is_alive()
    assert not alive(idle)
    assert children_of(os.getpid()) == before


def test_time_out_ends_what_the_function_started(shared: LambdaCloud, tmp_path: Path) -> None:
    name = shared.create("starts_another", Timeout=1)
    assert result(call(shared, name, str(tmp_path / "pid")))["errorType"] == "Sandbox.Timedout"
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not alive(pid) or is_zombie(pid))


def is_zombie(pid: int) -> bool:
    """Ended, and not yet collected by whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_children_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time, threading, json
        sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from tests.contract.lambda_cloud import LambdaCloud
        cloud = LambdaCloud(Path({str(tmp_path)!r}))
        cloud.create("slow", Timeout=60)
        print(json.load(cloud.client.invoke(FunctionName="slow", Payload="0")["Payload"]))
        sys.stdout.flush()
        cloud.client.invoke(FunctionName="slow", Payload="50")
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        pid = int(process.stdout.readline())
        time.sleep(0.1)
        process.kill()
    process.wait()
    until(lambda: not alive(pid), seconds=3)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(c) for task in tasks.iterdir() for c in (task / "children").read_text().split()]
