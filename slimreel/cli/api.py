"""The HTTP API of a running Slimreel, with every call signed.

Where it is: `--url`, the environment variable `SLIMREEL_URL`, or else a `slimreel up` that runs on
this machine. What signs: in AWS the usual credentials (environment, profile, single sign-on), on
this machine the stand-in account's.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import requests

from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from slimreel.paths import UP_DIR

TIMEOUT_S = 35  # longer than API Gateway waits for the function behind it
TRIES = 4
_HOST = re.compile(r"[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_JOB_ID = re.compile(r"[0-9a-f]{20}")


class CannotAsk(Exception):
    """It cannot be asked or done; the message says why and what to do next."""


class Api:
    """One Slimreel. Every call may be repeated, so one that is not answered is."""

    def __init__(self, url: str, credentials: Any, region: str, *, pause_s: float = 1.0) -> None:
        self.url = url.rstrip("/")
        self._credentials, self._region, self._pause_s = credentials, region, pause_s
        self._session = requests.Session()

    def close(self) -> None:
        self._session.close()

    def client(self, service: str) -> Any:
        """A client of another service, in the same Region and with the same credentials; of the
        stand-in cloud where that is what is asked.
        """
        import boto3

        frozen = self._credentials.get_frozen_credentials()
        parts = urlsplit(self.url)
        is_local = parts.hostname in LOCAL_HOSTS
        return boto3.client(
            service,
            region_name=self._region,
            endpoint_url=f"{parts.scheme}://{parts.netloc}" if is_local else None,
            aws_access_key_id=frozen.access_key,
            aws_secret_access_key=frozen.secret_key,
            aws_session_token=frozen.token,
        )

    def jobs(self, **wanted: Any) -> dict[str, Any]:
        """A page of the list: `{jobs, next_page}`; see docs/api.md."""
        query = urlencode({k: v for k, v in wanted.items() if v is not None}, quote_via=quote)
        return self._call("GET", "/jobs" + (f"?{query}" if query else ""))

    def job(self, job_id: str) -> dict[str, Any]:
        return self._call("GET", f"/jobs/{_checked(job_id)}")

    def submit(self, file_id: str, **asked: Any) -> dict[str, Any]:
        return self._call("POST", "/jobs", {"file_id": file_id, **asked})

    def submit_once(self, file_id: str, **asked: Any) -> tuple[dict[str, Any], bool]:
        """The job, and whether this call made it."""
        answer = self._answered("POST", "/jobs", {"file_id": file_id, **asked})
        return answer.json(), answer.status_code == 201

    def folder(self, folder_id: str, page: str | None = None) -> dict[str, Any]:
        """A page of the videos in a Drive folder: `{videos, next_page}`."""
        query = "" if page is None else f"?page={quote(page, safe='')}"
        return self._call("GET", f"/folders/{quote(folder_id, safe='')}{query}")

    def cancel(self, job_id: str) -> dict[str, Any]:
        return self._call("POST", f"/jobs/{_checked(job_id)}/cancel")

    def revoke(self, job_id: str) -> dict[str, Any]:
        return self._call("POST", f"/jobs/{_checked(job_id)}/revoke")

    def retry(self, job_id: str, *, after_run: int, **asked: Any) -> dict[str, Any]:
        """Begin one run after `after_run`, however often this is called."""
        return self._call(
            "POST", f"/jobs/{_checked(job_id)}/retry", {"after_run": after_run, **asked}
        )

    def _call(
        self, method: str, path: str, asked: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        said: dict[str, Any] = self._answered(method, path, asked).json()
        return said

    def _answered(
        self, method: str, path: str, asked: Mapping[str, Any] | None = None
    ) -> requests.Response:
        """An answer that is a JSON object and no refusal."""
        body = b""
        if asked is not None:
            body = json.dumps({k: v for k, v in asked.items() if v is not None}).encode()
        answer = self._answer(method, self.url + path, body)
        try:
            said = answer.json()
        except ValueError:
            said = {}
        if not isinstance(said, dict):
            said = {}
        if answer.status_code < 300:
            return answer
        message = said.get("message") or said.get("Message") or f"HTTP {answer.status_code}"
        if answer.status_code == 403:
            raise CannotAsk(_forbidden(message.splitlines()[0], self.url))
        raise CannotAsk(message)

    def _answer(self, method: str, url: str, body: bytes) -> requests.Response:
        problem = ""
        for number in range(TRIES):
            if number:
                time.sleep(self._pause_s * 2 ** (number - 1))
            try:
                answer = self._session.request(
                    method,
                    url,
                    data=body,
                    headers=self._signed(method, url, body),
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                problem = type(error).__name__
                continue
            if answer.status_code < 500 and answer.status_code != 429:
                return answer
            problem = f"HTTP {answer.status_code}"
            if answer.status_code == 503 and number == TRIES - 1:
                return answer
        raise CannotAsk(
            f"{self.url} did not answer ({problem}, {TRIES} tries). Is it running, and is the "
            "address right? On this machine: slimreel up."
        )

    def _signed(self, method: str, url: str, body: bytes) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method, url, data=body, headers={"Content-Type": "application/json"})
        frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, "execute-api", self._region).add_auth(request)
        return dict(request.headers)


def find_api(url: str | None) -> Api:
    """
    Raises:
        CannotAsk: no Slimreel runs here and no address is given, or there are no credentials.
    """
    url = url or os.environ.get("SLIMREEL_URL") or _running_here()
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotAsk(f"{url!r} is not an address. It begins with https:// and ends with /api.")
    if parts.hostname in LOCAL_HOSTS:
        from botocore.credentials import Credentials

        return Api(url, Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), REGION)
    return _in_aws(url, parts.hostname)


def _running_here() -> str:
    """The API of the `slimreel up` of this checkout."""
    try:
        url = f"http://127.0.0.1:{int((UP_DIR / 'port').read_text())}/api"
        if requests.get(f"{url}/health", timeout=5).json() == {"status": "ok"}:
            return url
    except (OSError, ValueError):  # not a file, a number, an answer or JSON
        pass
    raise CannotAsk(
        "No Slimreel runs on this machine. Start one with slimreel up; or, to ask one in AWS, give "
        "its address with --url or SLIMREEL_URL: the stack's output EndpointURL."
    )


def _in_aws(url: str, host: str) -> Api:
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        session = Session()
        found = _HOST.fullmatch(host)
        region = found[1] if found else session.get_config_variable("region")
        credentials = session.get_credentials()
    except BotoCoreError as problem:
        raise CannotAsk(f"Your AWS settings cannot be used: {problem}") from problem
    if credentials is None:
        raise CannotAsk(
            "No AWS credentials were found to sign the call with. Sign in (aws sso login), or set "
            "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if not region:
        raise CannotAsk("Say which Region the API is in: set AWS_REGION.")
    return Api(url, credentials, region)


def _forbidden(message: str, url: str) -> str:
    hints = {
        "Missing Authentication Token": f"Is {url} the right address? It ends with /api.",
        "is not authorized to perform": "Ask for the right execute-api:Invoke on this API.",
        "security token": "Sign in again: these credentials are unknown there, or have expired.",
        "Signature expired": "Set this machine's clock right.",
        "Signature not yet current": "Set this machine's clock right.",
        "does not match": "The secret access key does not belong to the access key id.",
    }
    hint = next((hint for sign, hint in hints.items() if sign in message), "")
    return f"Refused: {message.rstrip('. ')}. {hint}".strip()


def _checked(job_id: str) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise CannotAsk(
            f"{job_id!r} is not the id of a job: 20 digits and letters from a to f, as in the row, "
            "the email or slimreel list."
        )
    return job_id
