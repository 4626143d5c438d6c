"""Secrets that a stand-in cloud knows, and where its logs hold them: of any function, at DEBUG."""

from __future__ import annotations

import json
import re
from pathlib import Path

from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.deployment import STAGE, Deployment

PATTERNS = {
    "signature of a presigned URL": re.compile(r"X-Amz-Signature=[0-9a-f]{16}"),
    "signature of a signed call": re.compile(r"Signature=[0-9a-f]{64}"),
    "signature of a link": re.compile(r"/v/[0-9a-f]{20}\?s=[0-9a-f]{8}"),
    "bearer token": re.compile(r"Bearer [\w.-]{8}|ya29\.[\w-]{8}"),
    "private key": re.compile(r"PRIVATE KEY"),
}
#: Beside the functions' own: what the stand-ins say.
STAND_IN_LOG = "stand-in.log"


def found(deployment: Deployment) -> list[tuple[str, str]]:
    """What stands in a log and must not: its name, and the text around it."""
    leaks = []
    secrets = secrets_of(deployment)
    for path in logs(deployment):
        text = path.read_text(errors="replace")
        places = [(name, text.find(secret)) for name, secret in secrets.items()]
        matches = [(name, pattern.search(text)) for name, pattern in PATTERNS.items()]
        places += [(name, match.start() if match else -1) for name, match in matches]
        leaks += [(name, text[max(0, at - 200) : at + 100]) for name, at in places if at >= 0]
    return leaks


def logs(deployment: Deployment) -> list[Path]:
    return [*deployment.logs_dir.glob("*.log"), deployment.cloud.data_dir / STAND_IN_LOG]


def secrets_of(deployment: Deployment) -> dict[str, str]:
    """Every secret there is, by what it is; of long ones a part that would give them away."""
    cloud = deployment.cloud
    asked = {"Path": f"/slimreel/{STAGE}/", "WithDecryption": True}
    secrets: dict[str, str] = {}
    for parameter in cloud.client("ssm").get_parameters_by_path(**asked)["Parameters"]:
        assert parameter["Type"] == "SecureString"
        secrets[parameter["Name"].rpartition("/")[2]] = parameter["Value"]
    key_file = json.loads(secrets.pop("google-credentials"))
    for number, line in enumerate(key_file["private_key"].splitlines()[1:-1]):
        secrets[f"google private key, line {number}"] = line
    for number, token in enumerate(cloud.drive.oauth._tokens):
        secrets[f"google access token {number}"] = token
    table = cloud.resource("dynamodb").Table(deployment.stack.resources["JobsTable"])
    for item in table.scan()["Items"]:
        if str(item["pk"]).startswith("channel#"):
            secrets[f"channel token {item['pk']}"] = str(item["token"])
    table.meta.client.close()
    for number, token in enumerate(sorted(_task_tokens(deployment))):
        secrets[f"task token {number}"] = token
    return {name: secret for name, secret in secrets.items() if len(secret) >= 8}


def _task_tokens(deployment: Deployment) -> set[str]:
    """As the flows handed them to Encode."""
    moto = deployment.cloud.moto
    with moto.locks["states"]:
        backend = stepfunctions_parser_backends[ACCOUNT_ID][REGION]
        histories = [
            json.dumps(execution.to_history_output(), default=str).replace('\\"', '"')
            for machine in backend.state_machines
            for execution in machine.executions
        ]
    token = re.compile(r'"token":\s*"([^"]{8,})"')
    return {found for history in histories for found in token.findall(history)}
