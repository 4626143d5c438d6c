"""No secret in any log line: of any function or stand-in, at DEBUG, faults included.

Named to come last here, so that it reads what all the other end-to-end tests left behind.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from slimreel.local.deployment import STAGE
from slimreel.local.faults import Fault
from tests.clips import camera_clip
from tests.e2e.conftest import Studio

PATTERNS = {
    "signature of a presigned URL": re.compile(r"X-Amz-Signature=[0-9a-f]{16}"),
    "signature of a signed call": re.compile(r"Signature=[0-9a-f]{64}"),
    "signature of a link": re.compile(r"/v/[0-9a-f]{20}\?s=[0-9a-f]{8}"),
    "bearer token": re.compile(r"Bearer [\w.-]{8}|ya29\.[\w-]{8}"),
    "private key": re.compile(r"PRIVATE KEY"),
}


def test_no_secret_is_in_any_log_line(studio: Studio, tmp_path: Path) -> None:
    cloud = studio.deployment.cloud
    # What is refused is told most about.
    for service, operation in (
        ("drive", "files.get_media"),
        ("ssm", "GetParameter"),
        ("s3", "PutObject"),
        ("sns", "Publish"),
        ("airtable", "records.upsert"),
    ):
        cloud.faults.add(Fault(service=service, operation=operation, status=500))
    step = "Invoke/slimreel-local-inspect"
    cloud.faults.add(Fault(service="lambda", operation=step, status=500))
    job = studio.finished(studio.job_id(studio.drop(camera_clip(tmp_path / "traced.mp4", seed=77))))
    secrets = secrets_of(studio)
    assert {"google", "airtable-token", "link-key", "channel", "task"} <= {
        name.partition(" ")[0] for name in secrets
    }
    log = log_lines(studio)
    assert any(job.job_id in line for line in log)
    assert any('"level": "DEBUG"' in line or '"level": "INFO"' in line for line in log)
    found = [
        (name, line[:300]) for line in log for name, secret in secrets.items() if secret in line
    ]
    found += [
        (name, line[:300])
        for line in log
        for name, pattern in PATTERNS.items()
        if pattern.search(line)
    ]
    assert found == []


def secrets_of(studio: Studio) -> dict[str, str]:
    """Every secret there is, by what it is; of long ones a part that would give them away."""
    cloud = studio.deployment.cloud
    ssm = cloud.client("ssm")
    found: dict[str, str] = {}
    for parameter in ssm.get_parameters_by_path(Path=f"/slimreel/{STAGE}/", WithDecryption=True)[
        "Parameters"
    ]:
        assert parameter["Type"] == "SecureString"
        found[parameter["Name"].rpartition("/")[2]] = parameter["Value"]
    key_file = json.loads(found.pop("google-credentials"))
    for number, line in enumerate(key_file["private_key"].splitlines()[1:-1]):
        found[f"google private key, line {number}"] = line
    for number, token in enumerate(cloud.drive.oauth._tokens):
        found[f"google access token {number}"] = token
    table = cloud.resource("dynamodb").Table(studio.deployment.stack.resources["JobsTable"])
    for item in table.scan()["Items"]:
        if str(item["pk"]).startswith("channel#"):
            found[f"channel token {item['pk']}"] = str(item["token"])
    table.meta.client.close()
    for number, token in enumerate(task_tokens(studio)):
        found[f"task token {number}"] = token
    return {name: secret for name, secret in found.items() if len(secret) >= 8}


def task_tokens(studio: Studio) -> set[str]:
    """As the flows handed them to Encode."""
    flows = studio.deployment.cloud.client("stepfunctions")
    arn = studio.deployment.stack.outputs["CompressFlowArn"]
    tokens: set[str] = set()
    for execution in flows.list_executions(stateMachineArn=arn)["executions"]:
        history = flows.get_execution_history(executionArn=execution["executionArn"])
        tokens |= set(
            re.findall(
                r'"token":\s*"([^"]{8,})"', json.dumps(history, default=str).replace('\\"', '"')
            )
        )
    return tokens


def log_lines(studio: Studio) -> list[str]:
    logs = [*studio.deployment.logs_dir.glob("*.log")]
    logs.append(studio.deployment.cloud.data_dir / "stand-in.log")
    return [line for path in logs for line in path.read_text(errors="replace").splitlines()]
