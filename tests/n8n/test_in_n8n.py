"""The n8n workflows in a real n8n: imported, started, called back, branched.

The files go in as they are by `n8n import:workflow`; their copies as the editor saves and activates
one. (1.123 refuses to activate what its own command imported: it has no saved version yet.)

Optional: `make n8n N8N=/path/to/n8n`. What needs somebody's account is replaced in the copies that
run: the triggers by what they would hand on, Airtable by a node that does nothing, Slack by a call
to the test, and signatures are left out. Everything else is the workflow as it is in the folder.
"""

from __future__ import annotations

import copy
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug import Request, Response

from slimreel.local.http_server import Server

N8N = os.environ.get("N8N_BIN", "")
pytestmark = [
    pytest.mark.skipif(not N8N, reason="no n8n: make n8n N8N=/path/to/n8n (docs/n8n.md)"),
    pytest.mark.timeout(600),
]
FOLDER = Path(__file__).resolve().parents[2] / "workflows" / "n8n"
STARTS_WITHIN_S = 240.0
PUBLISHED = {"url": "https://slimreel.example/v/1", "savings_ratio": 0.87}
SMALLER = "Take 3.mov is 87 % smaller: https://slimreel.example/v/1"
#: Whether the job is open when it is submitted, how it ends, and what is said then.
ENDS = [
    (True, "Completed", SMALLER),
    (True, "Failed", "Take 3.mov: Failed. It is no film."),
    (False, "Completed", SMALLER),
]


@dataclass
class Slimreel:
    """Its HTTP API, as far as the workflows use it, and what they said in the end."""

    status: str = "Completed"
    submitted: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    is_open: bool = True
    is_done: bool = False

    def answer(self, request: Request) -> Response:
        if request.path == "/told":
            self.told.append(request.get_json()["text"])
            return _json({})
        if request.method == "POST":
            asked = request.get_json()
            self.submitted.append(asked)
            self.is_done = not self.is_open
            if self.is_open:
                call = threading.Thread(target=self._call, args=(asked["callback_url"],))
                call.daemon = True
                call.start()
            return _json({"job_id": "0123456789abcdef0123", "is_open": self.is_open})
        assert request.path == "/jobs/0123456789abcdef0123"
        status = self.status if self.is_done else "Processing"
        job = {"status": status, "reason": "It is no film.", "published": PUBLISHED}
        return _json({"job_id": "0123456789abcdef0123", "file": {"name": "Take 3.mov"}, **job})

    def _call(self, url: str) -> None:
        """At least once, as the real one does, only sooner."""
        time.sleep(2)
        self.is_done = True
        for _ in range(30):
            if requests.post(url, json={"event": "job.ended"}, timeout=10).ok:
                return
            time.sleep(1)


def _json(value: Any) -> Response:
    return Response(json.dumps(value), content_type="application/json")


def runnable(workflow: dict[str, Any], number: int, slimreel_url: str) -> dict[str, Any]:
    """A copy that needs nobody's account; started by a call to its webhook `start-<number>`."""
    made = copy.deepcopy(workflow)
    trigger = made["nodes"][0]
    item = workflow["pinData"].get(
        trigger["name"], [{"json": {"body": {"bucket": "films", "key": "a b.mov"}}}]
    )
    start = {
        "name": "Start",
        "id": "start",
        "type": "n8n-nodes-base.webhook",
        "typeVersion": 2,
        "position": [-200, 0],
        "webhookId": f"start-{number}",
        "parameters": {"httpMethod": "POST", "path": f"start-{number}", "options": {}},
    }
    pinned = {"mode": "raw", "jsonOutput": json.dumps(item[0]["json"]), "options": {}}
    trigger |= {"type": "n8n-nodes-base.set", "typeVersion": 3.4, "parameters": pinned}
    trigger.pop("webhookId", None)
    for node in made["nodes"]:
        parameters = node["parameters"]
        match node["type"].removeprefix("n8n-nodes-base."):
            case "set" if node["name"] == "Settings":
                for one in parameters["assignments"]["assignments"]:
                    if one["name"] == "slimreel_url":
                        one["value"] = slimreel_url
            case "httpRequest":
                parameters["authentication"] = "none"
                parameters.pop("nodeCredentialType")
            case "airtable":
                node |= {"type": "n8n-nodes-base.noOp", "typeVersion": 1, "parameters": {}}
            case "slack":
                text = parameters["text"].removeprefix("=")
                told = {"name": "text", "value": f"={text}"}
                said = {"parameters": [told]}
                call = {"method": "POST", "url": f"{slimreel_url}/told", "sendBody": True}
                options = {"bodyParameters": said, "options": {}}
                node |= {"type": "n8n-nodes-base.httpRequest", "typeVersion": 4.2}
                node["parameters"] = {**call, **options}
    made["nodes"].insert(0, start)
    first = [[{"node": trigger["name"], "type": "main", "index": 0}]]
    made["connections"]["Start"] = {"main": first}
    return {**made, "pinData": {}}


@contextmanager
def n8n(folder: Path, files: list[Path]) -> Iterator[str]:
    """A running n8n into which these files were imported; its address."""
    with (
        socket.create_server(("127.0.0.1", 0)) as free,
        socket.create_server(("127.0.0.1", 0)) as b,
    ):
        port, broker = free.getsockname()[1], b.getsockname()[1]
    environment = {
        **os.environ,
        "N8N_USER_FOLDER": str(folder),
        "N8N_PORT": str(port),
        "N8N_RUNNERS_BROKER_PORT": str(broker),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "WEBHOOK_URL": f"http://127.0.0.1:{port}/",
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
        "N8N_TEMPLATES_ENABLED": "false",
        "N8N_SECURE_COOKIE": "false",
    }
    for file in files:
        done = subprocess.run(
            [N8N, "import:workflow", f"--input={file}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0 and "Successfully imported 1 workflow." in said, said
    log = (folder / "n8n.log").open("wb")
    running = subprocess.Popen([N8N, "start"], env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _is_up(url), STARTS_WITHIN_S, folder / "n8n.log")
        yield url
    finally:
        running.terminate()
        running.wait(30)
        log.close()


class Editor:
    """What the editor asks of n8n, as the owner it has us set up first."""

    def __init__(self, url: str) -> None:
        self._url, self._session = f"{url}/rest", requests.Session()
        name = {"firstName": "Ada", "lastName": "Example", "email": "ada@slimreel.example"}
        self._ask("POST", "/owner/setup", {**name, "password": "Only-for-this-test-1"})

    def workflow(self, its_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/workflows/{its_id}")

    def save_active(self, workflow: dict[str, Any]) -> None:
        saved = self._ask("POST", "/workflows", workflow)
        active = {"active": True, "versionId": saved["versionId"]}
        assert self._ask("PATCH", f"/workflows/{saved['id']}", active)["active"] is True

    def executions(self) -> list[str]:
        """How those that there are stand, the newest first."""
        return [one["status"] for one in self._ask("GET", "/executions")["results"]]

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, f"{self._url}{path}", json=body, timeout=60)
        assert answer.ok, answer.text
        return answer.json()["data"]


def _is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/rest/settings", timeout=5).ok
    except requests.ConnectionError:
        return False


def until(look: Any, within_s: float, log: Path) -> None:
    end = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.5)


def test_they_are_imported_and_run_to_either_end(tmp_path: Path) -> None:
    slimreel = Slimreel()
    server = Server(Request.application(slimreel.answer))
    server.start()
    address = f"http://127.0.0.1:{server.port}"
    files = sorted(FOLDER.glob("*.json"))
    originals = [json.loads(file.read_text()) for file in files]
    copies = [runnable(one, number, address) for number, one in enumerate(originals)]
    try:
        with n8n(tmp_path, files) as url:
            editor = Editor(url)
            for original in originals:
                imported = editor.workflow(original["id"])
                assert {key: imported[key] for key in original} == original
            for made in copies:
                editor.save_active(made)
            for number in range(len(copies)):
                for is_open, status, says in ENDS:
                    slimreel.is_open, slimreel.status = is_open, status
                    before = len(slimreel.told)
                    start = f"{url}/webhook/start-{number}"
                    until(
                        lambda start=start: requests.post(start, json={}, timeout=10).ok,
                        60,
                        tmp_path / "n8n.log",
                    )
                    until(
                        lambda before=before: len(slimreel.told) > before,
                        90,
                        tmp_path / "n8n.log",
                    )
                    assert slimreel.told[-1] == says
            until(
                lambda: editor.executions() == ["success"] * len(ENDS) * len(copies),
                30,
                tmp_path / "n8n.log",
            )
    finally:
        server.stop()
    asked = [one["file_id"] for one in slimreel.submitted]
    pinned = originals[0]["pinData"]["A file is dropped"][0]["json"]["id"]
    assert asked == [pinned] * len(ENDS) + ["s3://films/a b.mov"] * len(ENDS)
    assert all(one["workflow"] == "compress" for one in slimreel.submitted)
