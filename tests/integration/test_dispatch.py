"""Events, schedules and queues start functions: a whole cloud around a small project."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slimreel.local.cloud import Cloud
from slimreel.local.faults import Fault

ROLE = "arn:aws:iam::123456789012:role/any"
APP = '''
import json, time

def note(event, context):
    """Writes every event to a file named after the function."""
    with open(f"{context.function_name}.events", "a") as out:
        out.write(json.dumps(event) + "\\n")

def fails(event, context):
    note(event, context)
    raise RuntimeError("on purpose")

def partly(event, context):
    note(event, context)
    bad = [r["messageId"] for r in event["Records"] if r["body"].startswith("bad")]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in bad]}

def slow(event, context):
    start = time.time()
    time.sleep(0.25)
    for record in event["Records"]:
        note([record["attributes"]["MessageGroupId"], record["body"], start, time.time()], context)
'''


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    project = tmp_path_factory.mktemp("project")
    (project / "app.py").write_text(APP)
    data = tmp_path_factory.mktemp("data")
    with Cloud(data, project, async_retry_delays_s=(0.05, 0.05)) as cloud:
        yield cloud


def function(cloud: Cloud, handler: str, name: str, **more: Any) -> str:
    created = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=ROLE,
        Handler=f"app.{handler}",
        Code={"ZipFile": b"x"},
        **{"Timeout": 1, **more},
    )
    return str(created["FunctionArn"])


def queue(cloud: Cloud, name: str, **attributes: str) -> tuple[str, str]:
    sqs = cloud.client("sqs")
    attributes.setdefault("VisibilityTimeout", "1")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, arn["Attributes"]["QueueArn"]


def rule(cloud: Cloud, name: str, target_arn: str, *, allowed: bool = True, **more: Any) -> str:
    events = cloud.client("events")
    target = more.pop("target", {})
    arn = events.put_rule(Name=name, **more)["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target_arn, **target}])
    if allowed and ":lambda:" in target_arn:
        cloud.client("lambda").add_permission(
            FunctionName=target_arn,
            StatementId=name,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=arn,
        )
    return str(arn)


def heard(cloud: Cloud, name: str) -> list[Any]:
    path = cloud.project_dir / f"{name}.events"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def until(condition: Callable[[], Any], *, seconds: float = 5.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)
    return found


def messages(cloud: Cloud, url: str, wait_s: int = 5) -> list[dict[str, Any]]:
    received = cloud.client("sqs").receive_message(
        QueueUrl=url,
        WaitTimeSeconds=wait_s,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    )
    found: list[dict[str, Any]] = received.get("Messages", [])
    return found


def event(status: str, source: str = "made.up") -> dict[str, Any]:
    return {"source": source, "detail-type": "Job", "detail": {"status": status, "list": ["a"]}}


# Events --------------------------------------------------------------------------------------


def test_event_reaches_the_functions_of_matching_rules_only(cloud: Cloud) -> None:
    arn = function(cloud, "note", "matched")
    pattern = {"source": ["one"], "detail": {"status": ["DONE", {"prefix": "ERR"}]}}
    rule(cloud, "matched", arn, EventPattern=json.dumps(pattern))
    for status, source in (("DONE", "one"), ("RUNNING", "one"), ("ERROR", "one"), ("DONE", "two")):
        cloud.dispatcher.put_event(event(status, source))
    until(lambda: len(heard(cloud, "matched")) == 2)
    got = heard(cloud, "matched")
    assert {one["detail"]["status"] for one in got} == {"DONE", "ERROR"}
    for one in got:
        assert set(one) == {
            "version", "id", "detail-type", "source", "account",
            "time", "region", "resources", "detail",
        }  # fmt: skip
        assert (one["account"], one["region"]) == ("123456789012", "eu-west-1")


def test_put_events_api(cloud: Cloud) -> None:
    arn = function(cloud, "note", "api-events")
    rule(cloud, "api-events", arn, EventPattern=json.dumps({"source": ["api"]}))
    entry = {"Source": "api", "DetailType": "T", "Detail": '{"a": 1}', "Resources": ["r"]}
    answer = cloud.client("events").put_events(
        Entries=[
            entry,
            {**entry, "Detail": "{nope"},
            {**entry, "Source": "aws.states"},
            {"Source": "api", "Detail": "{}"},
        ]
    )
    assert answer["FailedEntryCount"] == 3
    assert [one.get("ErrorCode") for one in answer["Entries"]] == [
        None,
        "MalformedDetail",
        "NotAuthorizedForSourceException",
        "InvalidArgument",
    ]
    got = until(lambda: heard(cloud, "api-events"))[0]
    assert got["id"] == answer["Entries"][0]["EventId"]
    assert (got["detail"], got["resources"], got["detail-type"]) == ({"a": 1}, ["r"], "T")


def test_disabled_and_deleted_rules_are_silent(cloud: Cloud) -> None:
    events = cloud.client("events")
    arn = function(cloud, "note", "silenced")
    rule(cloud, "silenced", arn, EventPattern=json.dumps({"source": ["quiet"]}))
    events.disable_rule(Name="silenced")
    cloud.dispatcher.put_event(event("1", "quiet"))
    time.sleep(0.15)
    events.enable_rule(Name="silenced")
    cloud.dispatcher.put_event(event("2", "quiet"))
    until(lambda: heard(cloud, "silenced"))
    events.remove_targets(Rule="silenced", Ids=["1"])
    cloud.dispatcher.put_event(event("3", "quiet"))
    time.sleep(0.15)
    assert [one["detail"]["status"] for one in heard(cloud, "silenced")] == ["2"]


def test_failing_function_is_tried_three_times_then_its_destination_gets_the_event(
    cloud: Cloud,
) -> None:
    url, queue_arn = queue(cloud, "given-up")
    arn = function(cloud, "fails", "failing")
    cloud.client("lambda").put_function_event_invoke_config(
        FunctionName="failing", DestinationConfig={"OnFailure": {"Destination": queue_arn}}
    )
    rule(cloud, "failing", arn, EventPattern=json.dumps({"source": ["fail"]}))
    cloud.dispatcher.put_event(event("1", "fail"))
    record = json.loads(messages(cloud, url)[0]["Body"])
    assert len(heard(cloud, "failing")) == 3
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestPayload"]["detail"]["status"] == "1"


@pytest.mark.parametrize("case", ["no-permission", "no-function"])
def test_undeliverable_event_goes_to_the_targets_dead_letter_queue(cloud: Cloud, case: str) -> None:
    url, queue_arn = queue(cloud, f"dead-{case}")
    arn = function(cloud, "note", case)
    target = {"DeadLetterConfig": {"Arn": queue_arn}}
    pattern = json.dumps({"source": [case]})
    rule_arn = rule(cloud, case, arn, allowed=False, EventPattern=pattern, target=target)
    if case == "no-function":
        cloud.client("lambda").delete_function(FunctionName=case)
    cloud.dispatcher.put_event(event("1", case))
    letter = messages(cloud, url)[0]
    assert json.loads(letter["Body"])["detail"]["status"] == "1"
    attributes = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
    assert attributes["RULE_ARN"] == rule_arn and attributes["TARGET_ARN"] == arn
    assert attributes["ERROR_CODE"] == (
        "NO_PERMISSIONS" if case == "no-permission" else "ResourceNotFoundException"
    )
    assert heard(cloud, case) == []


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("whole", {}, None),
        ("constant", {"Input": '{"k": 1}'}, {"k": 1}),
        ("path", {"InputPath": "$.detail.list"}, ["a"]),
        (
            "transformed",
            {"InputTransformer": {
                "InputPathsMap": {"s": "$.detail.status"},
                "InputTemplate": '{"was": "<s>"}',
            }},
            {"was": "9"},
        ),
    ],
)  # fmt: skip
def test_queue_target_and_input(
    cloud: Cloud, name: str, target: dict[str, Any], expected: Any
) -> None:
    url, arn = queue(cloud, f"in-{name}")
    pattern = json.dumps({"source": [f"in-{name}"]})
    rule(cloud, f"in-{name}", arn, EventPattern=pattern, target=target)
    cloud.dispatcher.put_event(event("9", f"in-{name}"))
    body = json.loads(messages(cloud, url)[0]["Body"])
    if expected is None:
        assert body["detail"] == {"status": "9", "list": ["a"]}
    else:
        assert body == expected


def test_event_faults_drop_duplicate_and_delay(cloud: Cloud) -> None:
    arn = function(cloud, "note", "faulty")
    rule(cloud, "faulty", arn, EventPattern=json.dumps({"source": ["faulty"]}))
    cloud.faults.add(Fault(service="events", operation="Job/LOST", drop=True))
    cloud.faults.add(Fault(service="events", operation="Job/TWICE", duplicate=True))
    cloud.faults.add(Fault(service="events", operation="Job/LATE", delay_s=0.4))
    for status in ("LATE", "LOST", "TWICE", "PLAIN"):
        cloud.dispatcher.put_event(event(status, "faulty"))
    until(lambda: len(heard(cloud, "faulty")) == 4)
    statuses = [one["detail"]["status"] for one in heard(cloud, "faulty")]
    assert sorted(statuses) == ["LATE", "PLAIN", "TWICE", "TWICE"]
    assert statuses[-1] == "LATE"
    twins = [one["id"] for one in heard(cloud, "faulty") if one["detail"]["status"] == "TWICE"]
    assert twins[0] == twins[1]


def test_executions_tell_the_bus(cloud: Cloud) -> None:
    arn = function(cloud, "note", "ended")
    pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED"]}}
    rule(cloud, "ended", arn, EventPattern=json.dumps(pattern))
    states = cloud.client("stepfunctions")
    machine = states.create_state_machine(
        name="fails",
        roleArn=ROLE,
        definition=json.dumps({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}),
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    got = until(lambda: heard(cloud, "ended"))[0]
    assert got["resources"] == [execution]
    assert got["detail"]["error"] == "E"


def test_machine_runs_functions_by_arn(cloud: Cloud) -> None:
    arn = function(cloud, "note", "step")
    states = cloud.client("stepfunctions")
    definition = {
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": arn, "ResultPath": None, "End": True}},
    }
    machine = states.create_state_machine(
        name="runs", roleArn=ROLE, definition=json.dumps(definition)
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input='{"job": 7}')["executionArn"]
    found = until(
        lambda: (
            (one := states.describe_execution(executionArn=execution))["status"] != "RUNNING"
            and one
        )
    )
    assert (found["status"], found["output"]) == ("SUCCEEDED", '{"job":7}')
    assert heard(cloud, "step") == [{"job": 7}]


# Schedules -----------------------------------------------------------------------------------


def test_schedule_can_be_fired_and_does_not_fire_at_once(cloud: Cloud) -> None:
    arn = function(cloud, "note", "scheduled")
    rule_arn = rule(cloud, "scheduled", arn, ScheduleExpression="rate(1 hour)")
    time.sleep(0.2)
    assert heard(cloud, "scheduled") == []
    cloud.dispatcher.fire("scheduled")
    got = until(lambda: heard(cloud, "scheduled"))[0]
    assert (got["source"], got["detail-type"]) == ("aws.events", "Scheduled Event")
    assert (got["resources"], got["detail"]) == ([rule_arn], {})
    with pytest.raises(KeyError):
        cloud.dispatcher.fire("nothing")


@pytest.mark.parametrize("expression", ["rate(1 minutes)", "rate(0 days)", "cron(0 1 * * * *)"])
def test_bad_schedule_is_refused(cloud: Cloud, expression: str) -> None:
    with pytest.raises(ClientError, match="ScheduleExpression is not valid"):
        cloud.client("events").put_rule(Name="bad", ScheduleExpression=expression)


# Queues --------------------------------------------------------------------------------------


def feed(cloud: Cloud, queue_arn: str, function_arn: str, **more: Any) -> None:
    cloud.client("lambda").create_event_source_mapping(
        EventSourceArn=queue_arn, FunctionName=function_arn, **more
    )


def test_message_reaches_the_function_at_once_and_is_deleted(cloud: Cloud) -> None:
    url, queue_arn = queue(cloud, "plain")
    feed(cloud, queue_arn, function(cloud, "note", "from-plain"))
    time.sleep(0.1)  # the poller waits in its long poll
    started = time.monotonic()
    sent = cloud.client("sqs").send_message(
        QueueUrl=url,
        MessageBody="hello",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "x"}},
    )
    got = until(lambda: heard(cloud, "from-plain"))[0]
    assert time.monotonic() - started < 0.9  # not the poller's next look, a second later
    (record,) = got["Records"]
    assert record.pop("receiptHandle")
    attributes = record.pop("attributes")
    assert attributes["ApproximateReceiveCount"] == "1"
    assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= attributes.keys()
    assert record == {
        "messageId": sent["MessageId"],
        "body": "hello",
        "messageAttributes": {
            "kind": {
                "stringValue": "x",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            }
        },
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": "eu-west-1",
    }
    until(lambda: depth(cloud, url) == (0, 0))


def depth(cloud: Cloud, url: str) -> tuple[int, int]:
    """Messages waiting, messages in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return int(found["Attributes"][names[0]]), int(found["Attributes"][names[1]])


def test_failed_messages_come_back_and_end_in_the_dead_letter_queue(cloud: Cloud) -> None:
    dead_url, dead_arn = queue(cloud, "retried-dead")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, queue_arn = queue(cloud, "retried", RedrivePolicy=policy)
    feed(cloud, queue_arn, function(cloud, "fails", "from-retried"))
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody="poison")
    (letter,) = messages(cloud, dead_url, wait_s=10)
    assert letter["Body"] == "poison"
    counts = [
        one["Records"][0]["attributes"]["ApproximateReceiveCount"]
        for one in heard(cloud, "from-retried")
    ]
    assert counts == ["1", "2"]
    assert depth(cloud, url) == (0, 0)


def test_only_reported_failures_stay(cloud: Cloud) -> None:
    url, queue_arn = queue(cloud, "partial")
    entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(["ok", "bad", "fine"])]
    cloud.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    feed(
        cloud,
        queue_arn,
        function(cloud, "partly", "from-partial"),
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    until(lambda: len(heard(cloud, "from-partial")) >= 2)
    first, second = heard(cloud, "from-partial")[:2]
    assert [one["body"] for one in first["Records"]] == ["ok", "bad", "fine"]
    assert [one["body"] for one in second["Records"]] == ["bad"]


def test_fifo_keeps_each_groups_order_and_runs_groups_side_by_side(cloud: Cloud) -> None:
    url, queue_arn = queue(
        cloud, "ordered.fifo", FifoQueue="true", ContentBasedDeduplication="true"
    )
    feed(cloud, queue_arn, function(cloud, "slow", "from-ordered"), BatchSize=1)
    for body in ("a1", "b1", "a2", "b2"):
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody=body, MessageGroupId=body[0])
    until(lambda: len(heard(cloud, "from-ordered")) == 4)
    spans = {body: (start, end) for _, body, start, end in heard(cloud, "from-ordered")}
    assert spans["a1"][1] <= spans["a2"][0]
    assert spans["b1"][1] <= spans["b2"][0]
    assert spans["a1"][0] < spans["b1"][1] and spans["b1"][0] < spans["a1"][1]


def test_failure_in_a_fifo_group_holds_back_what_is_behind_it(cloud: Cloud) -> None:
    url, queue_arn = queue(cloud, "held.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    for body in ("bad1", "good2"):
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    feed(
        cloud,
        queue_arn,
        function(cloud, "partly", "from-held"),
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    until(lambda: len(heard(cloud, "from-held")) >= 2)
    for seen in heard(cloud, "from-held")[:2]:
        assert [one["body"] for one in seen["Records"]] == ["bad1", "good2"]


def test_fifo_drops_a_repeated_message_even_after_the_first_is_gone(cloud: Cloud) -> None:
    url, _ = queue(cloud, "once.fifo", FifoQueue="true", VisibilityTimeout="30")
    sqs = cloud.client("sqs")
    once = {"QueueUrl": url, "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    sqs.send_message(MessageBody="first", **once)
    (first,) = messages(cloud, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    sqs.send_message(MessageBody="second", **once)
    assert messages(cloud, url, wait_s=0) == []


def test_batching_window_gathers_messages(cloud: Cloud) -> None:
    url, queue_arn = queue(cloud, "gathered")
    feed(
        cloud,
        queue_arn,
        function(cloud, "note", "from-gathered"),
        BatchSize=20,
        MaximumBatchingWindowInSeconds=1,
    )
    for number in range(4):
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody=str(number))
        time.sleep(0.05)
    got = until(lambda: heard(cloud, "from-gathered"))
    assert len(got) == 1
    assert sorted(one["body"] for one in got[0]["Records"]) == ["0", "1", "2", "3"]


def test_disabled_mapping_leaves_messages_alone(cloud: Cloud) -> None:
    url, queue_arn = queue(cloud, "left")
    feed(cloud, queue_arn, function(cloud, "note", "from-left"), Enabled=False)
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    time.sleep(0.2)
    assert heard(cloud, "from-left") == []
    (mapping,) = cloud.client("lambda").list_event_source_mappings(EventSourceArn=queue_arn)[
        "EventSourceMappings"
    ]
    cloud.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    until(lambda: heard(cloud, "from-left"))


def test_queue_shorter_than_its_function_is_refused(cloud: Cloud) -> None:
    _, queue_arn = queue(cloud, "short")
    arn = function(cloud, "note", "long", Timeout=60)
    with pytest.raises(ClientError, match="less than Function timeout: 60 seconds"):
        feed(cloud, queue_arn, arn)


def test_long_poll_holds_up_nobody_and_wakes_at_once(cloud: Cloud) -> None:
    url, _ = queue(cloud, "polled")
    other, _ = queue(cloud, "other")
    got: list[float] = []

    def poll() -> None:
        assert messages(cloud, url, wait_s=10)
        got.append(time.monotonic())

    thread = threading.Thread(target=poll)
    thread.start()
    time.sleep(0.1)
    started = time.monotonic()
    cloud.client("sqs").send_message(QueueUrl=other, MessageBody="x")
    assert time.monotonic() - started < 0.5
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody="y")
    sent = time.monotonic()
    thread.join()
    assert got[0] - sent < 0.5


def test_dead_letters_are_moved_back_where_they_came_from(cloud: Cloud) -> None:
    sqs = cloud.client("sqs")
    dead_url, dead_arn = queue(cloud, "shared-dead", VisibilityTimeout="0")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    urls = {}
    for name in ("home-a", "home-b"):
        urls[name], arn = queue(cloud, name, RedrivePolicy=policy, VisibilityTimeout="0")
        sqs.send_message(QueueUrl=urls[name], MessageBody=name)
        assert messages(cloud, urls[name])
        assert messages(cloud, urls[name], wait_s=0) == []
    assert depth(cloud, dead_url) == (2, 0)
    sqs.start_message_move_task(SourceArn=dead_arn)
    for name, url in urls.items():
        (back,) = messages(cloud, url)
        assert back["Body"] == name
        assert back["Attributes"]["ApproximateReceiveCount"] == "1"
    (task,) = sqs.list_message_move_tasks(SourceArn=dead_arn)["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 2)
    with pytest.raises(ClientError, match="Dead Letter Queue"):
        sqs.start_message_move_task(SourceArn=arn)


def test_idle_pollers_do_not_spin(cloud: Cloud) -> None:
    before, started = cloud.requests.get(("sqs", "ReceiveMessage"), 0), time.process_time()
    time.sleep(0.6)
    assert cloud.requests[("sqs", "ReceiveMessage")] - before <= 8
    assert time.process_time() - started < 0.3
