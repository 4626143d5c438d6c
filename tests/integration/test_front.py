"""The one port: keep-alive, routing, faults, and moto made safe for many callers."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.wrappers import Request, Response

from slimreel.local.faults import Fault, Faults
from slimreel.local.front import Front
from slimreel.local.http_server import Server
from slimreel.local.moto_app import AwsCall, Moto
from slimreel.local.queues import Queues


class Stack:
    def __init__(self) -> None:
        self.faults = Faults()
        self.moto = Moto()
        self.front = Front(moto=self.moto, faults=self.faults)
        self.server = Server(self.front)
        self.server.start()
        self._clients: list[Any] = []

    def client(self, service: str, **more: Any) -> Any:
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=40)
        client = boto3.client(
            service,
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            endpoint_url=f"http://127.0.0.1:{self.server.port}",
            config=config,
            **more,
        )
        self._clients.append(client)
        return client

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=5)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.server.stop()
        self.moto.close()


@pytest.fixture
def stack() -> Iterator[Stack]:
    stack = Stack()
    try:
        yield stack
    finally:
        stack.close()


def table(stack: Stack) -> Any:
    dynamodb = stack.client("dynamodb")
    dynamodb.create_table(
        TableName="jobs",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return dynamodb


def read(connection: http.client.HTTPConnection) -> tuple[int, bytes]:
    response = connection.getresponse()
    return response.status, response.read()


def test_connection_is_kept_whatever_the_application_left_unread(stack: Stack) -> None:
    stack.front.route_path("/deaf", lambda request: Response("unread"))
    stack.front.route_path("/echo", lambda request: Response(request.get_data()))
    stack.front.route_path("/parts", lambda request: Response(iter(["a", "", "bc"])))
    connection = stack.connection()
    connection.connect()
    socket = connection.sock
    connection.request("POST", "/deaf", body=b"x" * 300_000)
    assert read(connection) == (200, b"unread")
    connection.request("POST", "/echo", body=b"hello")
    assert read(connection) == (200, b"hello")
    connection.request("GET", "/parts")
    assert read(connection) == (200, b"abc")
    connection.request("HEAD", "/deaf")
    assert read(connection) == (200, b"")
    connection.request("GET", "/deaf")
    assert read(connection) == (200, b"unread")
    assert connection.sock is socket
    connection.close()


def test_chunked_upload_and_expect_continue(stack: Stack) -> None:
    stack.front.route_path("/echo", lambda request: Response(request.get_data()))
    connection = stack.connection()
    connection.request("POST", "/echo", body=iter([b"ab", b"c"]), encode_chunked=True)
    assert read(connection) == (200, b"abc")
    connection.request("PUT", "/echo", body=b"abc", headers={"Expect": "100-continue"})
    assert read(connection) == (200, b"abc")
    connection.close()


def test_body_cut_short_is_seen_by_the_client(stack: Stack) -> None:
    def cut(request: Request) -> Response:
        response = Response(iter([b"half"]))
        response.headers["Content-Length"] = "8"
        return response

    stack.front.route_path("/cut", cut)
    connection = stack.connection()
    connection.request("GET", "/cut")
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    connection.close()


def test_many_connections_at_once(stack: Stack) -> None:
    stack.front.route_path("/quick", lambda request: Response("ok"))
    connections = [stack.connection() for _ in range(150)]
    for connection in connections:
        connection.request("GET", "/quick")
    assert {read(connection) for connection in connections} == {(200, b"ok")}
    for connection in connections:
        connection.close()


def test_routing_by_signature_and_path(stack: Stack) -> None:
    def named(name: str) -> Any:
        return lambda request: Response(name)

    stack.front.route_service("s3", named("s3"))
    stack.front.route_path("/api", named("api"))
    stack.front.route_path("/drive/v3", named("drive"))
    stack.front.route_path("/drive/v3/files/special", named("special"))
    s3 = stack.client("s3")
    presigned = s3.generate_presigned_url("get_object", Params={"Bucket": "api", "Key": "k"})
    path = presigned.partition(f":{stack.server.port}")[2]
    signed = "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/execute-api/aws4_request, x=y"
    asked: dict[tuple[str, str], str] = {
        (path, ""): "s3",
        ("/api/x", ""): "api",
        ("/api/x", signed): "api",
        ("/api/x", "Bearer token"): "api",
        ("/drive/v3/files", ""): "drive",
        ("/drive/v3/files/special/x", ""): "special",
    }
    connection = stack.connection()
    for (target, authorization), answer in asked.items():
        connection.request("GET", target, headers={"Authorization": authorization})
        assert read(connection) == (200, answer.encode()), target
    connection.request("GET", "/apix")
    assert read(connection)[0] == 404
    connection.close()


def test_service_without_a_stand_in_is_a_logged_501(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClientError) as refused:
        stack.client("secretsmanager").list_secrets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "secretsmanager" in caplog.text
    caplog.clear()
    with pytest.raises(ClientError) as refused:
        stack.client("ec2").describe_instances()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_operation_moto_lacks_is_a_logged_501(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClientError) as refused:
        stack.client("sns").verify_sms_sandbox_phone_number(
            PhoneNumber="+15555550100", OneTimePassword="123456"
        )
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "VerifySMSSandboxPhoneNumber" in caplog.text


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("dynamodb", lambda client: client.list_tables()["TableNames"]),
        ("sqs", lambda client: client.list_queues().get("QueueUrls", [])),
        ("sns", lambda client: client.list_topics()["Topics"]),
        ("events", lambda client: client.list_rules()["Rules"]),
        ("stepfunctions", lambda client: client.list_state_machines()["stateMachines"]),
        ("ssm", lambda client: client.describe_parameters()["Parameters"]),
        ("iam", lambda client: client.list_roles()["Roles"]),
        ("logs", lambda client: client.describe_log_groups()["logGroups"]),
        ("cloudwatch", lambda client: client.describe_alarms()["MetricAlarms"]),
    ],
)
def test_service_answers_and_starts_empty(stack: Stack, service: str, call: Any) -> None:
    assert call(stack.client(service)) == []


def test_account_is_the_local_one(stack: Stack) -> None:
    assert stack.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_conditional_writes_have_one_winner(stack: Stack) -> None:
    dynamodb = table(stack)
    won: list[int] = []

    def write(number: int) -> None:
        try:
            dynamodb.put_item(
                TableName="jobs",
                Item={"pk": {"S": "one"}, "by": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    item = dynamodb.get_item(TableName="jobs", Key={"pk": {"S": "one"}})["Item"]
    assert [str(number) for number in won] == [item["by"]["N"]]


def test_counters_under_contention(stack: Stack) -> None:
    dynamodb = table(stack)

    def add() -> None:
        for _ in range(5):
            dynamodb.update_item(
                TableName="jobs",
                Key={"pk": {"S": "n"}},
                UpdateExpression="ADD hits :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    item = dynamodb.get_item(TableName="jobs", Key={"pk": {"S": "n"}})["Item"]
    assert item["hits"] == {"N": "40"}
    assert stack.front.requests[("dynamodb", "UpdateItem")] == 40


def test_faults_strike_moto_services(stack: Stack) -> None:
    dynamodb = table(stack)
    item = {"pk": {"S": "x"}}
    throttle = "ProvisionedThroughputExceededException"
    stack.faults.add(
        Fault(service="dynamodb", operation="PutItem", nth=2, status=400, code=throttle)
    )
    dynamodb.put_item(TableName="jobs", Item=item)
    with pytest.raises(dynamodb.exceptions.ProvisionedThroughputExceededException):
        dynamodb.put_item(TableName="jobs", Item=item)
    dynamodb.put_item(TableName="jobs", Item=item)


def test_answer_lost_after_the_effect(stack: Stack) -> None:
    dynamodb = table(stack)
    stack.faults.add(Fault(service="dynamodb", operation="PutItem", status=500, after_effect=True))
    with pytest.raises(ClientError):
        dynamodb.put_item(TableName="jobs", Item={"pk": {"S": "kept"}})
    assert "Item" in dynamodb.get_item(TableName="jobs", Key={"pk": {"S": "kept"}})


def test_query_protocol_fault(stack: Stack) -> None:
    sns = stack.client("sns")
    stack.faults.add(Fault(service="sns", operation="Publish", status=400, code="Throttled"))
    with pytest.raises(sns.exceptions.ThrottledException):
        sns.publish(TopicArn="arn:aws:sns:eu-west-1:123456789012:t", Message="m")


def test_observer_sees_successful_calls_before_they_are_answered(stack: Stack) -> None:
    seen: list[tuple[str, Any]] = []

    def observe(call: AwsCall, response: Response) -> None:
        seen.append((call.operation, json.loads(call.body).get("Item")))

    stack.moto.observe("dynamodb", observe)
    dynamodb = table(stack)
    dynamodb.put_item(TableName="jobs", Item={"pk": {"S": "a"}})
    with pytest.raises(ClientError):
        dynamodb.put_item(
            TableName="jobs",
            Item={"pk": {"S": "a"}},
            ConditionExpression="attribute_not_exists(pk)",
        )
    assert seen == [("CreateTable", None), ("PutItem", {"pk": {"S": "a"}})]


def test_failure_inside_a_stand_in_is_logged_and_hangs_up(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(request: Request) -> Response:
        raise RuntimeError("a bug")

    stack.front.route_path("/broken", broken)
    connection = stack.connection()
    connection.request("GET", "/broken")
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    assert "a bug" in caplog.text
    connection.close()


def test_taken_port_is_an_os_error(stack: Stack) -> None:
    with pytest.raises(OSError):
        Server(stack.front, port=stack.server.port)


def test_stop_ends_idle_connections() -> None:
    stack = Stack()
    connection = stack.connection()
    connection.request("GET", "/nothing")
    read(connection)
    stack.close()
    connection.sock.settimeout(2)
    assert connection.sock.recv(1) == b""
    connection.close()
    left = [one for one in threading.enumerate() if "process_request" in one.name]
    for thread in left:
        thread.join(1)
    assert not any(thread.is_alive() for thread in left)


def test_a_server_that_never_served_can_be_stopped(stack: Stack) -> None:
    """What fails before it serves must say so, not hang while it cleans up."""
    Server(stack.front).stop()


ITEM: dict[str, Any] = {
    "pk": {"S": "ü \U0001f3ac"},
    "number": {"N": "-1.5"},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "bytes": {"B": b"\x00\xff"},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "list": {"L": [{"S": "x"}, {"M": {"deep": {"L": [{"N": "7"}]}}}, {"L": []}]},
    "map": {"M": {}},
}


def test_items_come_back_as_they_were_put(stack: Stack) -> None:
    dynamodb = table(stack)
    key = {"pk": ITEM["pk"]}
    dynamodb.put_item(TableName="jobs", Item=ITEM)
    assert dynamodb.get_item(TableName="jobs", Key=key)["Item"] == ITEM
    assert "Item" not in dynamodb.get_item(TableName="jobs", Key={"pk": {"S": "none"}})
    changed = dynamodb.update_item(
        TableName="jobs",
        Key=key,
        UpdateExpression="SET more = :more REMOVE texts",
        ExpressionAttributeValues={":more": {"M": {"n": {"N": "3"}}}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    expected = {name: value for name, value in ITEM.items() if name != "texts"}
    assert changed == {**expected, "more": {"M": {"n": {"N": "3"}}}}
    gone = dynamodb.delete_item(TableName="jobs", Key=key, ReturnValues="ALL_OLD")
    assert gone["Attributes"] == changed


def test_a_deep_queue_keeps_its_order_and_its_duplicates_out(stack: Stack) -> None:
    with closing_queues(stack):
        sqs = stack.client("sqs")
        fifo = {"FifoQueue": "true", "VisibilityTimeout": "600"}
        url = sqs.create_queue(QueueName="deep.fifo", Attributes=fifo)["QueueUrl"]
        for number in (*range(50), *range(50)):
            sqs.send_message(
                QueueUrl=url,
                MessageBody=str(number),
                MessageGroupId="rows",
                MessageDeduplicationId=str(number),
            )
        got: list[str] = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            got += [message["Body"] for message in batch]
            for message in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert got == [str(number) for number in range(50)]
        with pytest.raises(ClientError, match="MessageGroupId"):
            sqs.send_message(QueueUrl=url, MessageBody="x")


@contextmanager
def closing_queues(stack: Stack) -> Iterator[None]:
    queues = Queues(stack.moto, stack.front)
    try:
        yield
    finally:
        queues.close()
