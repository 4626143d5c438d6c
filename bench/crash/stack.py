"""The stack as a process of its own: started, told its faults, killed, started again."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import psutil
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from slimreel.local.faults import Fault

#: A laptop that does eight other things starts the stack in a minute at worst.
START_LIMIT_S = 180.0
#: Of the template: waits that are minutes in an account.
#: Each longer than the functions it outwaits may run; see `bench.crash.project`.
#: And nothing may be left over, not even what people compare with.
PARAMETERS = ("SyncLeaseS=12", "ReconcileSettleS=12", "KeepOriginals=no")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class StackGone(Exception):
    """The stack died while it was being asked something."""


class CannotStart(Exception):
    """The stack did not get ready; the message has its last words."""


@dataclass(frozen=True)
class Ready:
    """A running stack, as its ready file tells of it."""

    told: Mapping[str, Any]

    @property
    def endpoint_url(self) -> str:
        return str(self.told["endpoint_url"])

    @property
    def inbox_folder_id(self) -> str:
        return str(self.told["inbox_folder_id"])

    @property
    def google_credentials(self) -> dict[str, Any]:
        """Stored credentials of the person whose Drive it is (`authorized_user`)."""
        return dict(self.told["drive_user_credentials"])

    def resource(self, name: str) -> str:
        """The physical name of one of the template's resources."""
        return str(self.told["resources"][name])

    def output(self, name: str) -> str:
        return str(self.told["outputs"][name])

    def client(self, service: str) -> Any:
        """A boto3 client with the SDK's own defaults but for patience."""
        return self._session.client(
            service,
            endpoint_url=self.endpoint_url,
            config=Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2}),
        )

    def signed_post(self, path: str) -> int:
        """POST nothing to the API as an AWS identity would; the answer's status."""
        request = AWSRequest(method="POST", url=self.endpoint_url + path, data=b"{}")
        request.headers["Content-Type"] = "application/json"
        credentials = self._session.get_credentials()
        SigV4Auth(credentials, "execute-api", str(self.told["region"])).add_auth(request)
        answer = requests.post(
            str(request.url), data=request.body, headers=dict(request.headers), timeout=60
        )
        return int(answer.status_code)

    @cached_property
    def _session(self) -> Any:
        return boto3.Session(
            aws_access_key_id=self.told["access_key_id"],
            aws_secret_access_key=self.told["secret_access_key"],
            region_name=self.told["region"],
        )


class Stack:
    """`python -m slimreel up` on one data directory, from a copy of the project.

    Args:
        project: the copy.
        data_dir: what outlives each death.
        schedule_speed: how many times as often schedules fire.
    """

    def __init__(self, project: Path, data_dir: Path, *, schedule_speed: float) -> None:
        self.data_dir = data_dir
        self._project = project
        self._schedule_speed = schedule_speed
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_file = data_dir.with_name(f"{data_dir.name}-ready.json")
        self._log = data_dir.with_name(f"{data_dir.name}-stack.log")
        _inherit_orphans()

    def start(self) -> Ready:
        """Start it and wait until everything answers.

        Raises:
            CannotStart.
        """
        self.launch()
        until = time.monotonic() + START_LIMIT_S
        while not self._ready_file.exists():
            if not self.alive or time.monotonic() > until:
                raise CannotStart(f"The stack did not get ready:\n{self._last_words()}")
            time.sleep(0.05)
        return Ready(json.loads(self._ready_file.read_text()))

    def launch(self) -> None:
        """Start it, and do not wait."""
        self._ready_file.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "slimreel", "up", "--data-dir", str(self.data_dir)]
        argv += ["--port", str(self._port), "--ready-file", str(self._ready_file)]
        argv += ["--drive", str(self.data_dir / "drive")]
        argv += ["--compressed", str(self.data_dir / "compressed")]
        argv += ["--encoder", "stub", "--schedule-speed", f"{self._schedule_speed:g}"]
        argv += [part for pair in PARAMETERS for part in ("--parameter", pair)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=self._project,
                env={**os.environ, "PYTHONPATH": str(self._project), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def dies_within(self, seconds: float) -> bool:
        """Wait for its death so long; True when it is dead."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL for everything that belongs to it and is still there."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.bury()

    def bury(self) -> None:
        """End what outlived it in sessions of their own (an ffmpeg, say): a machine that went down
        would have taken these along, too. Nothing else runs under us meanwhile.
        """
        for orphan in psutil.Process().children():
            if self._process is None or orphan.pid != self._process.pid:
                with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
                    orphan.kill()
                    os.waitpid(orphan.pid, 0)

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGTERM)
            self.dies_within(30)
        self.kill()

    def add_faults(self, ready: Ready, faults: Iterable[Fault]) -> None:
        """
        Raises:
            StackGone: it died over one of them.
        """
        for fault in faults:
            with gone():
                answer = requests.post(
                    f"{ready.told['control_url']}/faults", json=fault.told(), timeout=30
                )
                answer.raise_for_status()

    def strikes(self) -> list[dict[str, Any]]:
        """Every fault that struck since the first start, oldest first; see `Faults`."""
        log = self.data_dir / "faults.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])


@contextmanager
def gone() -> Iterator[None]:
    """Turn every way in which a connection ends into StackGone."""
    try:
        yield
    except (OSError, http.client.HTTPException, requests.RequestException) as broken:
        raise StackGone(str(broken)) from broken
    except BotoCoreError as broken:
        raise StackGone(str(broken)) from broken
    except Exception as broken:
        if type(broken).__module__.startswith(("google.auth", "httplib2")):
            raise StackGone(str(broken)) from broken
        raise


def _free_port() -> int:
    """Below what systems hand out for outgoing connections, so that it is free again each time."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise CannotStart("There is no free port.")


def _inherit_orphans() -> None:
    """Have what the stack leaves behind handed to us, so that it can be ended. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
