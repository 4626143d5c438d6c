"""`slimreel up`: the stand-in cloud, kept running, with a folder to drop into and one to find in.

Everything it knows is in its data directory. It may be killed at any moment; started again, it has
all that was finished, and goes on with the rest.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chalicelib.domain.job import Job
from chalicelib.domain.text import human_size
from slimreel.board import Board
from slimreel.feed import Feed
from slimreel.local import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.cloud import Cloud
from slimreel.local.deployment import NOTICE_EMAIL, Deployment, deploy
from slimreel.local.stack import StackError
from slimreel.local.stack.errors import NeedsReplacement
from slimreel.results import Results

_LOW_DISK_BYTES = 1_000_000_000
_LOOK_EVERY_S = 10.0
_LONGEST_LOG_BYTES = 20_000_000
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
        as_person: Slimreel has the Google credentials of the person whose Drive it is.
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
    as_person: bool = False


def up(options: Options, *, project_dir: Path, console: Console) -> None:
    """Run until Ctrl-C or SIGTERM.

    Raises:
        CannotStart: see its message.
    """
    begun = time.monotonic()
    stop = stop_on_signals()
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)
    console.print("Starting AWS, Google Drive and Airtable on this machine …")
    with running(options, project_dir) as deployment:
        desk = _Desk(options, deployment, console)
        seconds = time.monotonic() - begun
        desk.greet(seconds)
        with _announced(options, deployment, seconds):
            desk.work(until=stop)
    console.print("Stopped. Nothing is lost: the next start goes on from here.")


@contextmanager
def running(options: Options, project_dir: Path) -> Iterator[Deployment]:
    """The cloud of a data directory, deployed, and at work on what was left unfinished.

    Raises:
        CannotStart: another one runs on the directory, the port is taken, or a folder cannot be
            used.
    """
    _check_folders(options)
    with only_one(options.data_dir):
        port = port_for(options)
        log_to(options.data_dir / "logs")
        cloud = Cloud(
            options.data_dir,
            project_dir,
            port=port,
            drive_root=options.drive,
            encoder=options.encoder,
            encoder_concurrency=options.encoder_jobs,
            schedule_speed=options.schedule_speed,
        )
        with cloud:
            remember_port(options.data_dir, cloud.endpoint_url)
            deployment = _deployed(cloud, options, project_dir)
            try:
                _adopt(deployment)
                deployment.resume()
                yield deployment
            finally:
                deployment.close()


def _deployed(cloud: Cloud, options: Options, project_dir: Path) -> Deployment:
    try:
        # So that the pages can show them beside the results; the bucket expires them after a week.
        parameters = {"KeepOriginals": "yes", **options.parameters}
        return deploy(
            cloud,
            project_dir,
            inbox_name="",
            parameters=parameters,
            as_person=options.as_person,
        )
    except NeedsReplacement as problem:
        raise CannotStart(f"{problem} It is in {options.data_dir}.") from problem
    except StackError as problem:
        raise CannotStart(str(problem)) from problem


def _adopt(deployment: Deployment) -> None:
    """What was in the folders before the first start counts as dropped.

    Drive's change log is followed from its end; so whoever wants an older file to be seen touches
    it. In AWS such files wait for a backfill, which shows the cost first. Here there is none.
    """
    done = deployment.cloud.data_dir / "adopted"
    if done.exists():
        return
    for folder_id in deployment.folder_ids.values():
        for file in deployment.drive.list_folder(folder_id):
            deployment.cloud.drive.touch(file.file_id)
    done.touch()


class _Desk:
    """What goes on while it runs: results into their folder, news onto the screen."""

    def __init__(self, options: Options, deployment: Deployment, console: Console) -> None:
        cloud, stack = deployment.cloud, deployment.stack
        bucket = stack.resources["CompressedBucket"]
        self._options, self._deployment, self._console = options, deployment, console
        self._feed = Feed(cloud.journal, stack.resources["JobsTable"])
        self._results = Results(
            options.compressed,
            cloud.data_dir / "results.jsonl",
            lambda key: cloud.s3.object_path(bucket, key),
        )
        self._board = Board(console, cloud.mediaconvert.percent)
        self._unplaced: dict[str, Job] = {}  # their results could not be put into the folder
        self._disk_is_low = False
        self._looked_at = 0.0

    def greet(self, seconds: float) -> None:
        finished = on_the_way = 0
        for job in self._feed.known():
            self._board.known(job)
            self._place(job)
            finished += not job.status.is_open
            on_the_way += job.status.is_open
        url = self._deployment.cloud.endpoint_url
        lines = Table.grid(padding=(0, 2))
        lines.add_row("Drop videos into", Text(shown(self._options.drive), style="bold"))
        for workflow, folder in self._deployment.folders.items():
            if folder != self._deployment.inbox:
                lines.add_row(f"or, to {workflow}, into", shown(folder))
        lines.add_row("Find results in", Text(shown(self._options.compressed), style="bold"))
        lines.add_row("Watch it at", Text(f"{url}/api/app", style="bold"))
        lines.add_row("Sign in as", f"{NOTICE_EMAIL}, password {self._deployment.password}")
        lines.add_row("Airtable", f"{url}/airtable")
        lines.add_row("Mail", f"{url}/mail")
        self._console.print(lines)
        if finished or on_the_way:
            goes = "1 goes on" if on_the_way == 1 else f"{on_the_way} go on"
            self._console.print(f"From before: {finished} finished, {goes}.")
        self._console.print(f"Ready after {seconds:.1f} s. Ctrl-C stops it; nothing gets lost.")

    def work(self, *, until: threading.Event) -> None:
        with self._board:
            while not until.is_set():
                for job in self._feed.changed(wait_s=0.25):
                    self._board.show(job, self._place(job))
                self._board.draw()
                if time.monotonic() - self._looked_at >= _LOOK_EVERY_S:
                    self._looked_at = time.monotonic()
                    self._look_at_disk()

    def _place(self, job: Job) -> Path | None:
        try:
            placed = self._results.put(job)
        except OSError as problem:
            if job.job_id not in self._unplaced:
                self._board.say(f"{job.file_name} is not in the folder yet: {problem}", "red")
            self._unplaced[job.job_id] = job
            return None
        self._unplaced.pop(job.job_id, None)
        return placed

    def _look_at_disk(self) -> None:
        for job in list(self._unplaced.values()):
            self._place(job)
        free_bytes = shutil.disk_usage(self._options.data_dir).free
        low = free_bytes < _LOW_DISK_BYTES
        if low and not self._disk_is_low:
            self._board.say(
                f"Only {human_size(free_bytes)} left on the disk of {self._options.data_dir}: "
                "make room, or videos fail.",
                "red",
            )
        self._disk_is_low = low


def shown(path: Path) -> str:
    """As one would type it from here."""
    path = path.resolve()
    here = Path.cwd()
    return f"./{path.relative_to(here)}/" if path.is_relative_to(here) else f"{path}/"


def _check_folders(options: Options) -> None:
    drive, compressed = options.drive.resolve(), options.compressed.resolve()
    if compressed.is_relative_to(drive):
        raise CannotStart(
            f"Results cannot go to {compressed}: it is part of {drive}, from where they would be "
            "compressed again. Choose another folder with --compressed."
        )
    if options.data_dir.resolve().is_relative_to(drive):
        raise CannotStart(f"{options.data_dir} is part of {drive}; choose another --data-dir.")
    for folder in (options.data_dir, drive, compressed):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise CannotStart(f"{folder} cannot be used: {problem.strerror}.") from problem


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the directory for as long as we run; the system lets go of it when we are killed."""
    with (data_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(
                f"Slimreel runs already with {data_dir} (process {lock.read().strip() or '?'}). "
                "Stop that one, or choose another --data-dir."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def log_to(folder: Path) -> None:
    """What the stand-ins have to say goes to a file; the screen is for people."""
    folder.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        if log.stat().st_size > _LONGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
    handler = RotatingFileHandler(
        folder / "cloud.log", maxBytes=_LONGEST_LOG_BYTES, backupCount=1, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    logging.getLogger("slimreel").setLevel(logging.INFO)


def port_for(options: Options) -> int:
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


def remember_port(data_dir: Path, endpoint_url: str) -> None:
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
        "pages_url": f"{cloud.endpoint_url}/api/app",
        "sign_in_email": NOTICE_EMAIL,
        "sign_in_password": deployment.password,
        "resources": dict(stack.resources),
        "outputs": dict(stack.outputs),
    }


def stop_on_signals() -> threading.Event:
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
