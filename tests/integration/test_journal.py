"""DynamoDB and SSM keep what was answered, whatever happens to the process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from slimreel.local.faults import Faults
from slimreel.local.front import Front
from slimreel.local.journal import Journal
from slimreel.local.moto_app import Moto

TABLE = {
    "TableName": "jobs",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "open", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "open-jobs",
            "KeySchema": [{"AttributeName": "open", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
#: One of every kind of value, nested and not.
EVERYTHING = {
    "pk": {"S": "job#1"},
    "sk": {"N": "1"},
    "open": {"S": "1"},
    "binary": {"B": "AAE="},
    "sets": {"M": {"n": {"NS": ["1", "2.5"]}, "s": {"SS": ["ä"]}, "b": {"BS": ["eno="]}}},
    "list": {"L": [{"B": "eno="}, {"NULL": True}, {"BOOL": False}, {"L": []}, {"M": {}}]},
}


class Aws:
    """moto behind a journal, called as the front calls it."""

    def __init__(self, path: Path) -> None:
        self._moto = Moto()
        self._front = Front(moto=self._moto, faults=Faults())
        self.journal = Journal(path, moto=self._moto, front=self._front)

    def call(self, operation: str, body: dict[str, Any], *, service: str = "dynamodb") -> Any:
        status, answer = self.attempt(operation, body, service=service)
        assert status == 200, answer
        return answer

    def attempt(
        self, operation: str, body: dict[str, Any], *, service: str = "dynamodb"
    ) -> tuple[int, Any]:
        target = {"dynamodb": "DynamoDB_20120810", "ssm": "AmazonSSM"}[service]
        scope = f"Credential=test/20260101/eu-west-1/{service}/aws4_request"
        headers = Headers(
            {
                "Authorization": f"AWS4-HMAC-SHA256 {scope}",
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": f"{target}.{operation}",
            }
        )
        builder = EnvironBuilder(method="POST", headers=headers, data=json.dumps(body).encode())
        response = self._front.handle(builder.get_request())
        return response.status_code, json.loads(response.get_data())

    def everything(self) -> list[Any]:
        """All that a caller can see of the table."""
        name = {"TableName": "jobs"}
        query = {
            **name,
            "IndexName": "open-jobs",
            "KeyConditionExpression": "#o = :one",
            "ExpressionAttributeNames": {"#o": "open"},
            "ExpressionAttributeValues": {":one": {"S": "1"}},
        }
        return [
            self.call("DescribeTable", name),
            self.call("DescribeTimeToLive", name),
            self.call("DescribeContinuousBackups", name),
            self.call("Scan", name),
            self.call("Query", query),
        ]

    def close(self) -> None:
        self.journal.close()
        self._moto.close()


@contextmanager
def aws_at(path: Path) -> Iterator[Aws]:
    """Nothing but the file goes from one of these to the next, as after a SIGKILL."""
    aws = Aws(path)
    try:
        yield aws
    finally:
        aws.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "moto.sqlite"


def key(number: int, pk: str = "job#1") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"N": str(number)}}


def put(aws: Aws, item: dict[str, Any], **more: Any) -> None:
    aws.call("PutItem", {"TableName": "jobs", "Item": item, **more})


def update(aws: Aws, of: dict[str, Any], expression: str, values: dict[str, Any]) -> None:
    body = {"TableName": "jobs", "Key": of, "UpdateExpression": expression}
    aws.call("UpdateItem", {**body, "ExpressionAttributeValues": values})


def test_what_was_written_in_every_way_is_there_again(path: Path) -> None:
    with aws_at(path) as aws:
        aws.call("CreateTable", TABLE)
        ttl = {"AttributeName": "expires_at", "Enabled": True}
        aws.call("UpdateTimeToLive", {"TableName": "jobs", "TimeToLiveSpecification": ttl})
        put(aws, EVERYTHING)
        put(aws, {**key(2), "expires_at": {"N": "1"}})  # long expired; moto keeps it, so do we
        one = {":one": {"N": "1"}, ":l": {"L": [{"S": "more"}]}}
        update(aws, key(3), "SET steps = :l ADD runs :one", one)
        update(aws, key(3), "SET steps = list_append(steps, :l) ADD runs :one", one)
        put(aws, key(4))
        aws.call("DeleteItem", {"TableName": "jobs", "Key": {**key(4), "sk": {"N": "4.0"}}})
        puts = [{"PutRequest": {"Item": key(n, "batch")}} for n in range(3)]
        aws.call("BatchWriteItem", {"RequestItems": {"jobs": puts}})
        aws.call(
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"Put": {"TableName": "jobs", "Item": key(1, "together")}},
                    {"Delete": {"TableName": "jobs", "Key": key(1, "batch")}},
                    {
                        "Update": {
                            "TableName": "jobs",
                            "Key": key(2, "batch"),
                            "UpdateExpression": "SET #o = :o",
                            "ExpressionAttributeNames": {"#o": "open"},
                            "ExpressionAttributeValues": {":o": {"S": "1"}},
                        }
                    },
                ]
            },
        )
        before = aws.everything()
    assert before[3]["Count"] == 6 and before[4]["Count"] == 2
    for _ in range(2):
        with aws_at(path) as aws:
            assert aws.everything() == before


def test_a_refused_write_leaves_no_trace(path: Path) -> None:
    with aws_at(path) as aws:
        aws.call("CreateTable", TABLE)
        put(aws, {**key(1), "by": {"S": "first"}})
        refused = {
            "TableName": "jobs",
            "Item": {**key(1), "by": {"S": "second"}},
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        status, answer = aws.attempt("PutItem", refused)
        assert (status, answer["__type"].rpartition("#")[2]) == (
            400,
            "ConditionalCheckFailedException",
        )
    with aws_at(path) as aws:
        assert aws.everything()[3]["Items"] == [{**key(1), "by": {"S": "first"}}]


def test_a_write_torn_by_the_end_of_the_process_is_left_out(path: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.sqlite"
    log = path.with_name("moto.sqlite-wal")
    with aws_at(path) as aws:
        aws.call("CreateTable", TABLE)
        put(aws, key(1))
        whole_bytes = log.stat().st_size
        put(aws, {**key(2), "note": {"S": "x" * 10_000}})
        # What a process killed while it wrote the second item would leave behind
        torn.write_bytes(path.read_bytes())
        cut = (whole_bytes + log.stat().st_size) // 2
        torn.with_name("torn.sqlite-wal").write_bytes(log.read_bytes()[:cut])
    with aws_at(torn) as aws:
        assert aws.everything()[3]["Items"] == [key(1)]
        put(aws, key(3))
    with aws_at(torn) as aws:
        assert aws.everything()[3]["Items"] == [key(1), key(3)]


def test_the_file_grows_with_the_items_and_not_with_the_writes(path: Path) -> None:
    with aws_at(path) as aws:
        aws.call("CreateTable", TABLE)
        for number in range(300):
            put(aws, {**key(1), "note": {"S": f"{number:010}" * 100}})
    assert path.stat().st_size < 100_000


def test_a_write_the_disk_does_not_take_is_undone_and_said(path: Path) -> None:
    with aws_at(path) as aws:
        aws.call("CreateTable", TABLE)
        put(aws, {**key(1), "note": {"S": "before"}})
        pages = aws.journal._rows("PRAGMA page_count")[0][0]
        aws.journal._rows(f"PRAGMA max_page_count = {pages}")  # the disk is full now
        for item in ({**key(1), "note": {"S": "x" * 50_000}}, {**key(2), "n": {"S": "x" * 50_000}}):
            status, answer = aws.attempt("PutItem", {"TableName": "jobs", "Item": item})
            assert (status, answer["__type"]) == (500, "InternalServerError")
            assert "full" in answer["message"]
        before = aws.everything()
        assert before[3]["Items"] == [{**key(1), "note": {"S": "before"}}]
    with aws_at(path) as aws:
        assert aws.everything() == before


def test_a_deleted_table_stays_deleted(path: Path) -> None:
    with aws_at(path) as aws:
        aws.call("CreateTable", TABLE)
        put(aws, key(1))
        aws.call("DeleteTable", {"TableName": "jobs"})
        aws.call("CreateTable", TABLE)
    with aws_at(path) as aws:
        assert aws.everything()[3]["Items"] == []


def test_what_cannot_be_kept_is_refused(path: Path) -> None:
    with aws_at(path) as aws:
        statement = {"Statement": "DELETE FROM jobs WHERE pk = 'job#1' AND sk = 1"}
        assert aws.attempt("ExecuteStatement", statement)[0] == 501


def test_parameters_keep_their_last_value(path: Path) -> None:
    def parameter(name: str, value: str) -> dict[str, Any]:
        return {"Name": name, "Value": value, "Type": "SecureString", "Overwrite": True}

    with aws_at(path) as aws:
        for name, value in (("/a", "1"), ("/a", "2"), ("/b", "3")):
            aws.call("PutParameter", parameter(name, value), service="ssm")
        aws.call("DeleteParameter", {"Name": "/b"}, service="ssm")
    with aws_at(path) as aws:
        found = aws.call(
            "GetParameters", {"Names": ["/a", "/b"], "WithDecryption": True}, service="ssm"
        )
        assert [(p["Name"], p["Value"], p["Type"]) for p in found["Parameters"]] == [
            ("/a", "2", "SecureString")
        ]
        assert found["InvalidParameters"] == ["/b"]


def test_whoever_listens_hears_of_every_kept_item(path: Path) -> None:
    heard: list[Any] = []
    with aws_at(path) as aws:
        aws.call("CreateTable", TABLE)
        aws.journal.listen(lambda table, item: heard.append((table, item)))
        put(aws, key(1))
        aws.call("DeleteItem", {"TableName": "jobs", "Key": key(1)})
        assert list(aws.journal.items("jobs")) == []
    assert heard == [("jobs", key(1)), ("jobs", None)]
