"""A Drive stand-in on a real port, clients for it, and Google's contract to hold it against."""

from __future__ import annotations

import json
import queue
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from googleapiclient.discovery_cache import get_static_doc
from werkzeug import Request, Response

from chalicelib.adapters.drive import Drive as Adapter
from chalicelib.adapters.drive_retry import Retry
from chalicelib.adapters.drive_writer import DriveWriter
from slimreel.local.drive import Drive, oauth
from slimreel.local.faults import Fault, Faults
from slimreel.local.http_server import Server

# A key takes longer to make than most tests to run; one for all of them does as well.
oauth._new_key = cache(oauth._new_key)


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(get_static_doc("drive", "v3"))
    return loaded


class Front:
    """One server for many tests: each sets its own `answer`."""

    def __init__(self, server: Server) -> None:
        self.url = f"http://127.0.0.1:{server.port}"
        self.answer: Callable[[Request], Response] = lambda request: Response(status=503)


@contextmanager
def serving() -> Iterator[Front]:
    holder: list[Front] = []

    @Request.application
    def app(request: Request) -> Response:
        return holder[0].answer(request)

    server = Server(app)
    holder.append(Front(server))
    server.start()
    try:
        yield holder[0]
    finally:
        server.stop()


@dataclass
class LocalDrive:
    """The stand-in with one folder, "inbox", and what callers need to reach it."""

    drive: Drive
    faults: Faults
    url: str
    root: Path
    inbox: str
    pauses: list[float] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    clients: list[Any] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.path}")
        response = self.drive.handle(request)
        self.problems += departures(request, response)
        return response

    def adapter(self, credentials: Mapping[str, Any] | None = None, attempts: int = 3) -> Adapter:
        """The product's adapter; its pauses are written down instead of slept."""
        retry = Retry(attempts=attempts, sleep=self.pauses.append)
        text = json.dumps(credentials or self.drive.credentials_json())
        made = Adapter(credentials_json=text, api_url=self.url, timeout_s=5, retry=retry)
        self.clients.append(made)
        return made

    def writer(self, credentials: Mapping[str, Any] | None = None) -> DriveWriter:
        """The product's adapter for changing things."""
        retry = Retry(attempts=3, sleep=self.pauses.append)
        text = json.dumps(credentials or self.drive.credentials_json())
        made = DriveWriter(credentials_json=text, api_url=self.url, timeout_s=5, retry=retry)
        self.clients.append(made)
        return made

    def google(self, *, as_user: bool = False, scope: str = "drive") -> Any:
        """Google's own client, all calls local; as the service account or as the files' owner."""
        from google.oauth2.credentials import Credentials
        from google_auth_httplib2 import AuthorizedHttp
        from googleapiclient.discovery import build_from_document
        from googleapiclient.http import build_http

        scopes = [f"https://www.googleapis.com/auth/{scope}"]
        if as_user:
            info = self.drive.user_credentials_json()
            info.pop("type")
            credentials = Credentials(token=None, scopes=scopes, **info)
        else:
            credentials = self._service_account(scopes)
        http = AuthorizedHttp(credentials, http=build_http())
        self.clients.append(http)
        local = document() | {"rootUrl": f"{self.url}/", "baseUrl": f"{self.url}/drive/v3/"}
        return build_from_document(local, http=http)

    def fail(self, operation: str, status: int, code: str, **more: Any) -> None:
        self.faults.add(
            Fault(service="drive", operation=operation, status=status, code=code, **more)
        )

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.drive.close()

    def _service_account(self, scopes: list[str]) -> Any:
        from google.oauth2.credentials import Credentials
        from google.oauth2.service_account import Credentials as ServiceAccount

        key = self.drive.credentials_json()
        account = ServiceAccount.from_service_account_info(key, scopes=scopes)

        def fetch(request: Any, scopes: Any) -> tuple[str, Any]:
            account.refresh(request)
            return account.token, account.expiry

        return Credentials(token=None, refresh_handler=fetch)


@contextmanager
def local_drive(tmp_path: Path, front: Front) -> Iterator[LocalDrive]:
    """A Drive over `tmp_path/drive` with an empty folder "inbox".

    Raises:
        AssertionError: at the end, if an answer was not as Google's contract says.
    """
    root = tmp_path / "drive"
    (root / "inbox").mkdir(parents=True)
    faults = Faults()
    drive = open_drive(tmp_path, faults, front.url)
    local = LocalDrive(drive, faults, front.url, root, drive.folder_id("inbox"))
    front.answer = local.handle
    try:
        yield local
        assert local.problems == []
    finally:
        local.close()


def open_drive(
    tmp_path: Path, faults: Faults, url: str, *, settle_s: float = 0.05, coalesce_s: float = 0.05
) -> Drive:
    return Drive(
        tmp_path / "drive",
        tmp_path / "drive.sqlite",
        faults=faults,
        base_url=url,
        settle_s=settle_s,
        coalesce_s=coalesce_s,
        retry_base_s=0.02,
    )


@dataclass
class Receiver:
    """Where notifications arrive; answers with `statuses` in turn, then 200."""

    url: str
    statuses: list[int] = field(default_factory=list)
    arrived: queue.Queue[dict[str, str]] = field(default_factory=queue.Queue)

    def answer(self, request: Request) -> Response:
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.arrived.put(headers | {"body": request.get_data(as_text=True)})
        return Response(status=self.statuses.pop(0) if self.statuses else 200)

    def take(self, timeout_s: float = 3.0) -> dict[str, str]:
        """The next notification's headers, and its "body"."""
        return self.arrived.get(timeout=timeout_s)

    def is_quiet(self, for_s: float = 0.15) -> bool:
        try:
            self.arrived.get(timeout=for_s)
        except queue.Empty:
            return True
        return False


# Google's contract


def departures(request: Request, response: Response) -> list[str]:
    """What in an answer is not as the discovery document says; [] when all is."""
    is_json = (response.content_type or "").startswith("application/json")
    is_cut = response.headers.get("Connection") == "close"
    if request.path == "/token" or response.status_code != 200 or not is_json or is_cut:
        return []
    method = _method(request)
    if method is None:
        return [f"{request.method} {request.path} is no call of Drive's"]
    answer = json.loads(response.get_data())
    return list(_departures(answer, method["response"], request.path))


def _method(request: Request) -> dict[str, Any] | None:
    path = re.sub(r"^/(resumable/)?(upload/)?drive/v3/", "", request.path)
    for resource in document()["resources"].values():
        for method in resource.get("methods", {}).values():
            pattern = re.sub(r"\{\w+\}", "[^/]+", method["path"])
            verbs = {method["httpMethod"], *(["PUT"] if "mediaUpload" in method else [])}
            if request.headers.get("X-HTTP-Method-Override"):
                verbs = {"POST"} if method["httpMethod"] == "GET" else set()
            # files/generateIds also reads as files/{fileId}
            exact = "{" not in method["path"] or not _is_fixed(path)
            if re.fullmatch(pattern, path) and request.method in verbs and exact:
                return dict(method)
    return None


def _is_fixed(path: str) -> bool:
    return any(
        method["path"] == path
        for resource in document()["resources"].values()
        for method in resource.get("methods", {}).values()
    )


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def _departures(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = document()["schemas"][schema["$ref"]]
    kind = schema["type"]
    if kind == "array":
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
            return
        for item in value:
            yield from _departures(item, schema["items"], where + "[]")
    elif kind == "object":
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if known is None:
                yield f"{where}: no field {name!r} in the contract"
            else:
                yield from _departures(inner, known, f"{where}.{name}")
    elif not isinstance(value, _TYPES[kind]):
        yield f"{where}: {value!r} is no {kind}"
    elif schema.get("format") == "int64" and not re.fullmatch(r"-?\d+", str(value)):
        yield f"{where}: {value!r} is no number in a string"


# Fixtures, for the conftest of whoever needs them


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with serving() as found:
        yield found


@pytest.fixture
def local(tmp_path: Path, front: Front) -> Iterator[LocalDrive]:
    with local_drive(tmp_path, front) as found:
        yield found


@pytest.fixture
def team(local: LocalDrive) -> str:
    """A shared drive."""
    return local.drive.add_folder("Team", local.drive.add_folder("Shared drives"))
