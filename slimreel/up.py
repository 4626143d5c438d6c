"""`slimreel up`: the stand-in cloud, kept running, with a folder to drop into and one to find in.

Everything it knows is in its data directory. It may be killed at any moment; started again, it has
all that was finished, and goes on with the rest.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from rich.console import Console

from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.cloud import Cloud
from slimreel.local.deployment import Deployment, deploy

#: Below the range from which systems take ports for outgoing connections, one of which could sit
#: on ours just when we come back.
_PORTS = range(4680, 4780)


class CannotStart(Exception):
    """Slimreel could not be started; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person, or a test harness, wants.

    Attributes:
        data_dir: everything that lasts.
        drive: the folder that is Google Drive; what lies straight in it is compressed.
        compressed: where results appear as plain files.
        port: None takes the one of last time, or a free one.
        ready_file: written as JSON once everything answers; removed at the start and the end.
        encoder, encoder_jobs: how MediaConvert encodes, and how many jobs at a time.
        schedule_speed: how many times as often scheduled functions run.
        parameters: more of the template's parameters, such as time-outs.
    """

    data_dir: Path
    drive: Path
    compressed: Path
    port: int | None = None
    ready_file: Path | None = None
    encoder: Literal["ffmpeg", "stub"] = "ffmpeg"
    encoder_jobs: int = 1
    schedule_speed: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)


def up(options: Options, *, project_dir: Path, console: Console) -> None:
    """Run until Ctrl-C or SIGTERM.

    Raises:
        CannotStart: see its message.
    """
    begun = time.monotonic()
    stop = _stop_on_signals()
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)
    with running(options, project_dir) as deployment:
        seconds = time.monotonic() - begun
        with _announced(options, deployment, seconds):
            console.print(f"Ready after {seconds:.1f} s at {deployment.cloud.endpoint_url}")
            stop.wait()
    console.print("Stopped. Everything is kept; `make up` goes on from here.")


@contextmanager
def running(options: Options, project_dir: Path) -> Iterator[Deployment]:
    """The cloud of a data directory, deployed, and at work on what was left unfinished.

    Raises:
        CannotStart: another one runs on the directory, or the port is taken.
    """
    options.data_dir.mkdir(parents=True, exist_ok=True)
    cloud = Cloud(
        options.data_dir,
        project_dir,
        port=_port(options),
        drive_root=options.drive,
        encoder=options.encoder,
        encoder_concurrency=options.encoder_jobs,
        schedule_speed=options.schedule_speed,
    )
    with cloud:
        _remember_port(options.data_dir, cloud.endpoint_url)
        deployment = deploy(cloud, project_dir, inbox_name="", parameters=options.parameters)
        try:
            deployment.resume()
            yield deployment
        finally:
            deployment.close()


def _port(options: Options) -> int:
    """The port to listen on: every link sent so far names the one of last time."""
    remembered = options.data_dir / "port"
    if options.port is not None:
        port = options.port
    elif remembered.exists():
        port = int(remembered.read_text())
    else:
        return next((port for port in _PORTS if _is_free(port)), 0)
    if port and not _is_free(port):
        raise CannotStart(
            f"Port {port} is taken by another program. Stop that one, or choose another port with "
            "--port (links in emails and rows sent so far name this one)."
        )
    return port


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def _remember_port(data_dir: Path, endpoint_url: str) -> None:
    draft = data_dir / ".port"
    draft.write_text(endpoint_url.rpartition(":")[2])
    draft.replace(data_dir / "port")


@contextmanager
def _announced(options: Options, deployment: Deployment, seconds: float) -> Iterator[None]:
    """The ready file, for as long as we are ready."""
    if options.ready_file is None:
        yield
        return
    draft = options.ready_file.with_name(f".{options.ready_file.name}.{os.getpid()}")
    draft.write_text(json.dumps(ready_message(options, deployment, seconds), indent=2))
    draft.replace(options.ready_file)
    try:
        yield
    finally:
        options.ready_file.unlink(missing_ok=True)


def ready_message(options: Options, deployment: Deployment, seconds: float) -> dict[str, Any]:
    """What a program needs to use this cloud. `pid` leads the process group of everything."""
    cloud, stack = deployment.cloud, deployment.stack
    return {
        "endpoint_url": cloud.endpoint_url,
        "pid": os.getpid(),
        "ready_after_s": round(seconds, 3),
        "region": REGION,
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
        "data_dir": str(cloud.data_dir),
        "drive": str(cloud.drive_root),
        "compressed": str(options.compressed.resolve()),
        "logs_dir": str(deployment.logs_dir),
        "mail_dir": str(cloud.data_dir / "mail"),
        "inbox": str(deployment.inbox),
        "inbox_folder_id": deployment.inbox_folder_id,
        "drive_credentials": cloud.drive.credentials_json(),
        "drive_user_credentials": cloud.drive.user_credentials_json(),
        "airtable_base_id": deployment.base_id,
        "airtable_token": cloud.airtable_token,
        "fault_log": str(cloud.data_dir / "faults.jsonl"),
        "control_url": f"{cloud.endpoint_url}/_control",
        "resources": dict(stack.resources),
        "outputs": dict(stack.outputs),
    }


def _stop_on_signals() -> threading.Event:
    """Set by Ctrl-C or SIGTERM. A second one ends the process at once: nothing is lost by that."""
    stop = threading.Event()

    def asked(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    handler: Callable[[int, FrameType | None], None] = asked
    signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)
    return stop
