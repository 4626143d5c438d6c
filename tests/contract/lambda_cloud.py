"""A Lambda stand-in behind a real port, with a small project to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from slimreel.local.awslambda import AwsLambda
from slimreel.local.faults import Faults
from slimreel.local.front import Front
from slimreel.local.http_server import Server
from slimreel.local.moto_app import Moto

APP = """
import json, logging, os, sys, time

STARTED = time.time()
logging.getLogger().setLevel("INFO")

def echo(event, context):
    print("heard", event)
    logging.getLogger("app").info("logged line")
    return {
        "event": event,
        "pid": os.getpid(),
        "function": context.function_name,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "request_id": context.aws_request_id,
        "cwd": os.getcwd(),
        "env": dict(os.environ),
        "modules": sorted({"slimreel", "moto"} & sys.modules.keys()),
    }

def fails(event, context):
    raise ValueError("no such thing")

def slow(event, context):
    time.sleep(event)
    return os.getpid()

def starts_another(event, context):
    import subprocess
    child = subprocess.Popen(["sleep", "60"])
    with open(event, "w") as out:
        out.write(str(child.pid))
    time.sleep(60)

def dies(event, context):
    os._exit(event)

def leaves(event, context):
    sys.exit(3)

def set_result(event, context):
    return {1, 2}

def big(event, context):
    return "x" * (7 * 1024 * 1024)

def append(event, context):
    with open(event["path"], "a") as out:
        out.write("x")
    if event.get("fail"):
        raise RuntimeError("on purpose")
"""


class Recorder:
    """Takes what would go to a queue or topic."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, arn: str, body: str, attributes: dict[str, str]) -> None:
        self.sent.append((arn, body, attributes))


class LambdaCloud:
    def __init__(self, root: Path, **settings: Any) -> None:
        self.project = root / "project"
        self.project.mkdir()
        (self.project / "app.py").write_text(APP)
        self.data = root / "data"
        self.faults = Faults()
        self.deliver = Recorder()
        self.moto = Moto()
        front = Front(moto=self.moto, faults=self.faults)
        self.server = Server(front)
        self.endpoint_url = f"http://127.0.0.1:{self.server.port}"
        self.awslambda = AwsLambda(
            project_dir=self.project,
            data_dir=self.data,
            endpoint_url=self.endpoint_url,
            faults=self.faults,
            deliver=self.deliver,
            **settings,
        )
        front.route_service("lambda", self.awslambda.handle)
        self.server.start()
        self.client = boto3.client(
            "lambda",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            endpoint_url=self.endpoint_url,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20),
        )

    def create(self, handler: str, *, name: str | None = None, **more: Any) -> str:
        name = name or handler
        self.client.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role="arn:aws:iam::123456789012:role/some-role",
            Handler=f"app.{handler}",
            Code={"ZipFile": b"zip"},
            **more,
        )
        return name

    def close(self) -> None:
        self.client.close()
        self.awslambda.close()
        self.server.stop()
        self.moto.close()


@contextmanager
def lambda_cloud(root: Path, **settings: Any) -> Iterator[LambdaCloud]:
    cloud = LambdaCloud(root, **settings)
    try:
        yield cloud
    finally:
        cloud.close()
