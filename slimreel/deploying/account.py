"""The AWS account a command works in: the usual credentials, or the stand-in on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from slimreel.deploying import CannotDeploy
from slimreel.paths import EMPTY_DIR, UP_DIR

#: The stage that lives on this machine, in whichever stand-in cloud runs.
LOCAL_STAGE = "local"
_AWS_HOST = re.compile(r"(.*\.)?amazonaws\.com(\.cn)?|.*\.api\.aws")


@dataclass(frozen=True)
class Account:
    """Credentials that work, in one Region.

    Attributes:
        session: a boto3 session.
        endpoint_url: where AWS's services are asked, if not where they usually are.
        account_id, caller: as STS told them.
        parameters: what a stand-in wants a deployment in it to be told; none in AWS.
    """

    session: Any
    region: str
    endpoint_url: str | None
    account_id: str
    caller: str
    parameters: Mapping[str, str]

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = _client(self.session, service, self.endpoint_url)
        return self._clients[service]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    @property
    def is_stand_in(self) -> bool:
        """Whether somebody else answers in AWS's place."""
        host = urlsplit(self.client("cloudformation").meta.endpoint_url).hostname or ""
        return not _AWS_HOST.fullmatch(host)

    def api_url(self, outputs: dict[str, str]) -> str:
        """Where a stack's API is: behind the same address as everything, where AWS is."""
        told = outputs.get("EndpointURL", "").rstrip("/")
        if not told or not self.is_stand_in:
            return told
        here = str(self.client("cloudformation").meta.endpoint_url)
        return here.rstrip("/") + urlsplit(told).path


def connect(stage: str, *, region: str | None = None, endpoint_url: str | None = None) -> Account:
    """The account for a stage. `local` is the stand-in that runs here, unless an address is given.

    Raises:
        CannotDeploy: no credentials, no Region, nothing answers, or the credentials are refused.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    keys: dict[str, Any] = {}
    if stage == LOCAL_STAGE and not endpoint_url:
        here = running_here()
        endpoint_url, region = here["endpoint_url"], here["region"]
        keys = {
            "aws_access_key_id": here["access_key_id"],
            "aws_secret_access_key": here["secret_access_key"],
        }
    try:
        session = boto3.Session(region_name=region, **keys)
        if not session.region_name:
            raise CannotDeploy(
                "Say which Region: --region eu-west-1, or AWS_REGION, or region in "
                f"stages/{stage}.toml."
            )
        sts = _client(session, "sts", endpoint_url)
        who = sts.get_caller_identity()
        sts.close()
    except (BotoCoreError, ClientError) as problem:
        raise CannotDeploy(_no_identity(problem)) from problem
    parameters = {}
    if not _AWS_HOST.fullmatch(urlsplit(sts.meta.endpoint_url).hostname or ""):
        parameters = told_by(sts.meta.endpoint_url).get("parameters", {})
    name = session.region_name
    return Account(session, name, endpoint_url, who["Account"], who["Arn"], parameters)


def running_here() -> dict[str, Any]:
    """What the stand-in cloud that runs on this machine says of itself.

    Raises:
        CannotDeploy: none runs.
    """
    for folder in (EMPTY_DIR, UP_DIR):
        try:
            port = int((folder / "port").read_text())
        except (OSError, ValueError):
            continue
        told = told_by(f"http://127.0.0.1:{port}")
        if told:
            return told
    raise CannotDeploy(
        "No stand-in cloud runs on this machine. Start an empty one in another terminal: "
        "slimreel up --empty."
    )


def told_by(endpoint_url: str) -> dict[str, Any]:
    """What the stand-in cloud at an address says of itself; nothing where none answers."""
    import requests

    try:
        answer = requests.get(f"{endpoint_url.rstrip('/')}/_control/account", timeout=5)
        told = answer.json()
    except (OSError, ValueError):  # requests' own errors are OSErrors
        return {}
    return dict(told) if answer.ok and isinstance(told, dict) else {}


def _client(session: Any, service: str, endpoint_url: str | None) -> Any:
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 6},
        signature_version="s3v4" if service == "s3" else None,
    )
    return session.client(service, endpoint_url=endpoint_url, config=config)


def _no_identity(problem: Exception) -> str:
    name = type(problem).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError"):
        return (
            "No AWS credentials were found. Sign in (aws sso login), or set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if name in ("EndpointConnectionError", "ConnectTimeoutError", "ConnectionClosedError"):
        return f"AWS cannot be reached: {problem} Check the network and the address."
    if name == "ProfileNotFound":
        return f"{problem}. Set AWS_PROFILE to one that `aws configure list-profiles` shows."
    response = getattr(problem, "response", {}).get("Error", {})
    if response.get("Code") in ("ExpiredToken", "ExpiredTokenException"):
        return "Your AWS sign-in has expired: aws sso login, or new keys."
    if response.get("Code") in ("InvalidClientTokenId", "SignatureDoesNotMatch"):
        return "AWS does not know these credentials: check the access key id and its secret."
    return f"AWS does not say who you are: {problem}"
