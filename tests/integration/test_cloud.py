"""The whole stand-in cloud: one endpoint, every part, nothing left behind."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from slimreel.local.cloud import Cloud

APP = """
import boto3, json

def api(event, context):
    table = boto3.client("dynamodb").list_tables()["TableNames"]
    return {"statusCode": 200, "body": json.dumps({"tables": table, "path": event["path"]})}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    (project / "app.py").write_text(APP)
    return project


@pytest.fixture
def cloud(tmp_path: Path, project: Path) -> Iterator[Cloud]:
    with Cloud(tmp_path / "data", project) as cloud:
        yield cloud


def test_one_endpoint_for_everything(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="videos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="videos", Key="k", Body=b"bytes")
    assert cloud.s3.object_path("videos", "k").read_bytes() == b"bytes"
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "videos", "Key": "k"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"bytes"
    assert cloud.client("mediaconvert").list_queues()["Queues"][0]["Name"] == "Default"
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
    for page in ("/mail", "/airtable"):
        with urllib.request.urlopen(cloud.endpoint_url + page) as answer:
            assert answer.headers["Content-Type"].startswith("text/html")


def test_http_reaches_a_function_that_reaches_the_cloud(cloud: Cloud) -> None:
    cloud.client("lambda").create_function(
        FunctionName="api_handler",
        Runtime="python3.11",
        Role="arn:aws:iam::123456789012:role/any",
        Handler="app.api",
        Code={"ZipFile": b"x"},
        Timeout=10,
    )
    cloud.gateway.load_routes([("GET", "/tables")], "api")
    with urllib.request.urlopen(cloud.endpoint_url + "/api/tables") as answer:
        assert json.load(answer) == {"tables": [], "path": "/tables"}
    assert cloud.requests[("dynamodb", "ListTables")] == 1


def test_second_cloud_in_one_process_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Another stand-in cloud"):
        Cloud(tmp_path / "other", tmp_path).start()


def test_close_leaves_nothing_and_the_next_starts_empty(tmp_path: Path, project: Path) -> None:
    threads_before = set(threading.enumerate())
    children_before = children()
    for _ in range(2):
        with Cloud(tmp_path / "data", project) as cloud:
            assert cloud.client("sqs").list_queues().get("QueueUrls", []) == []
            cloud.client("sqs").create_queue(QueueName="gone-afterwards")
            states = cloud.client("stepfunctions")
            machine = states.create_state_machine(
                name="waits",
                roleArn="arn:aws:iam::123456789012:role/any",
                definition='{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":99,"End":true}}}',
            )["stateMachineArn"]
            states.start_execution(stateMachineArn=machine)
        end = time.monotonic() + 3
        while set(threading.enumerate()) - threads_before and time.monotonic() < end:
            time.sleep(0.02)
        assert set(threading.enumerate()) - threads_before == set()
        assert children() == children_before


def test_failed_start_frees_the_place(tmp_path: Path, project: Path, cloud: Cloud) -> None:
    port = int(cloud.endpoint_url.rpartition(":")[2])
    cloud.close()
    taken = Cloud(tmp_path / "data", project, port=port)
    with taken:
        assert taken.endpoint_url.endswith(f":{port}")
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    with pytest.raises(OSError):
        Cloud(blocked / "data", project).start()
    with Cloud(tmp_path / "data", project) as again:
        assert again.client("sts").get_caller_identity()["Account"] == "123456789012"


def children() -> set[str]:
    found: set[str] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        found |= set((task / "children").read_text().split())
    return found
