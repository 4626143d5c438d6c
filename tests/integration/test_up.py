"""`slimreel up` is killed at bad moments and started again: all ends once, nothing is lost."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import requests

from chalicelib.adapters.records import Records
from chalicelib.domain.job import Job, Status
from slimreel.__main__ import main
from slimreel.deploying import account
from slimreel.deploying.stacks import described
from tests.clips import camera_clip

PROJECT_DIR = Path(__file__).resolve().parents[2]
#: Generous: the machine may be busy. A test that waits this long has failed.
WAIT_S = 90.0


@dataclass
class Up:
    """One person's machine, with `slimreel up` started on it again and again."""

    home: Path
    runs: list[subprocess.Popen[bytes]] = field(default_factory=list)
    aws: dict[str, Any] = field(default_factory=dict)

    @property
    def drive(self) -> Path:
        return self.home / "drive"

    @property
    def compressed(self) -> Path:
        return self.home / "compressed"

    @property
    def ready(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.home / "ready.json").read_text())
        return told

    @property
    def screen(self) -> str:
        return (self.home / "screen").read_text()

    def start(self) -> None:
        """Start it and wait until everything answers."""
        (self.home / "ready.json").unlink(missing_ok=True)
        folders = {"data-dir": "data", "drive": "drive", "compressed": "compressed"}
        options = {**folders, "ready-file": "ready.json"}
        self.run(*(f"--{name}={self.home / folder}" for name, folder in options.items()))
        self.until((self.home / "ready.json").exists, "it to be ready")

    def start_empty(self) -> None:
        self.run("--empty", f"--data-dir={self.home / 'data'}")
        self.until(lambda: "slimreel setup --stage local" in self.screen, "it to be ready")

    def run(self, *options: str) -> None:
        argv = [sys.executable, "-m", "slimreel", "up", "--encoder", "stub", *options]
        with (self.home / "screen").open("wb") as screen:
            run = subprocess.Popen(
                argv, cwd=PROJECT_DIR, stdout=screen, stderr=screen, start_new_session=True
            )
        self.runs.append(run)

    def until(self, is_so: Any, what: str) -> None:
        end = time.monotonic() + WAIT_S
        while not is_so():
            assert self.runs[-1].poll() is None, f"it ended: {self.screen}"
            assert time.monotonic() < end, f"waited in vain for {what}: {self.screen}"
            time.sleep(0.25)

    def dies_at(self, service: str, operation: str, nth: int = 1) -> None:
        """Have it killed, with everything it started, at the nth such call, and wait for that."""
        fault = {"service": service, "operation": operation, "nth": nth, "kill": True}
        answer = requests.post(f"{self.ready['control_url']}/faults", json=fault, timeout=10)
        assert answer.status_code == 201, answer.text
        assert self.runs[-1].wait(WAIT_S) == -signal.SIGKILL

    def jobs(self) -> dict[str, Job]:
        """By file name; a second job of one file would show as a missing other one."""
        dynamodb = self._aws(boto3.resource, "dynamodb")
        table = dynamodb.Table(self.ready["resources"]["JobsTable"])
        items = table.scan()["Items"]
        records = Records(table)
        found = [records.get(i["pk"].removeprefix("job#")) for i in items if i["sk"] == "job"]
        jobs = {job.file_name: job for job in found if job is not None}
        assert len(jobs) == len(found)
        return jobs

    def published(self) -> dict[str, bytes]:
        s3 = self._aws(boto3.client, "s3")
        bucket = self.ready["resources"]["CompressedBucket"]
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def rows(self) -> list[dict[str, Any]]:
        url = f"{self.ready['endpoint_url']}/v0/{self.ready['airtable_base_id']}/Videos"
        token = {"Authorization": f"Bearer {self.ready['airtable_token']}"}
        records = requests.get(url, headers=token, timeout=10).json()["records"]
        return [record["fields"] for record in records]

    def mails(self) -> list[str]:
        return [path.read_text() for path in Path(self.ready["mail_dir"]).glob("*.eml")]

    def _aws(self, make: Any, service: str) -> Any:
        """Made once: that takes longer than many calls, and the address stays the same."""
        told = self.ready
        if service not in self.aws:
            self.aws[service] = make(
                service,
                region_name=told["region"],
                endpoint_url=told["endpoint_url"],
                aws_access_key_id=told["access_key_id"],
                aws_secret_access_key=told["secret_access_key"],
            )
        return self.aws[service]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    for run in up.runs:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.timeout(400)  # four starts of a whole cloud, on a machine that may be busy
def test_killed_in_a_fetch_in_an_encode_and_at_rest(up: Up) -> None:
    # Given two films, one of which lay there before the very first start
    up.drive.mkdir()
    camera_clip(up.drive / "Lake.mp4", seed=31)
    originals = digests(up.drive)
    up.start()
    port = up.ready["endpoint_url"]
    # When it dies while one is copied, and again while one is encoded
    up.dies_at("drive", "files.get_media")
    clip = camera_clip(up.home / "Hills.mp4", seed=32)
    clip.rename(up.drive / clip.name)  # it comes while nobody looks
    originals = digests(up.drive)
    up.start()
    up.dies_at("mediaconvert", "RunJob")
    up.start()

    def all_told() -> bool:
        jobs = up.jobs().values()
        return len(jobs) == 2 and all(
            not job.status.is_open and job.synced_version == job.row_version and job.notices_sent
            for job in jobs
        )

    up.until(all_told, "both to end")
    up.until(lambda: len([*up.compressed.iterdir()]) == 2, "results")
    # Then each ended well, once: one result, one row, one email
    jobs, published, rows, mails = up.jobs(), up.published(), up.rows(), up.mails()
    assert {job.status for job in jobs.values()} == {Status.COMPLETED}
    assert sorted(published) == sorted(str(job.published_key) for job in jobs.values())
    assert Counter(row["File Name"] for row in rows) == {"Lake.mp4": 1, "Hills.mp4": 1}
    assert {row["Status"] for row in rows} == {"Completed"}
    assert len(mails) == 2
    assert digests(up.compressed) == {
        name: hashlib.sha256(published[str(job.published_key)]).hexdigest()
        for name, job in jobs.items()
    }
    # And killed at rest, alone, it leaves no process behind
    family = psutil.Process(up.runs[-1].pid).children(recursive=True)
    assert family
    up.runs[-1].kill()
    up.runs[-1].wait()
    end = time.monotonic() + WAIT_S
    while any(is_alive(process) for process in family):
        assert time.monotonic() < end, family
        time.sleep(0.1)
    # And what was finished is all there, at the same place, and nothing is done again
    up.start()
    assert up.ready["endpoint_url"] == port
    assert "2 finished, 0 go on" in up.screen
    assert (up.jobs(), up.published(), up.rows(), up.mails()) == (jobs, published, rows, mails)
    for row in rows:
        film = requests.get(row["Compressed URL"], timeout=10).content
        assert film in published.values()
    assert digests(up.drive) == originals
    # And Ctrl-C ends it well
    up.runs[-1].send_signal(signal.SIGINT)
    assert up.runs[-1].wait(WAIT_S) == 0
    assert up.screen.splitlines()[-1].startswith("Stopped.")
    assert not (up.home / "ready.json").exists()


def test_a_second_one_on_the_same_data_is_refused(up: Up) -> None:
    import fcntl

    from slimreel.up import CannotStart, Options, running

    data_dir = up.home / "data"
    data_dir.mkdir()
    options = Options(data_dir=data_dir, drive=up.drive, compressed=up.compressed)
    with (data_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CannotStart, match="runs already"), running(options, PROJECT_DIR):
            pass


def test_a_taken_port_is_said(up: Up) -> None:
    import socket

    from slimreel.up import CannotStart, Options, running

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (up.home / "data").mkdir()
        (up.home / "data" / "port").write_text(str(port))
        options = Options(data_dir=up.home / "data", drive=up.drive, compressed=up.compressed)
        said = pytest.raises(CannotStart, match=f"Port {port} is taken")
        with said, running(options, PROJECT_DIR):
            pass


def test_results_cannot_go_where_videos_are_dropped(up: Up) -> None:
    from slimreel.up import CannotStart, Options, running

    options = Options(data_dir=up.home / "data", drive=up.drive, compressed=up.drive / "compressed")
    with pytest.raises(CannotStart, match="compressed again"), running(options, PROJECT_DIR):
        pass


def test_an_empty_one_names_what_setup_asks_for_and_is_the_same_again(
    up: Up, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    up.start_empty()
    # What it names is there, for its owner's eyes where it is secret.
    [key] = re.findall(r"Google +key (\S+), folder (\S+)", up.screen)
    [(token, base)] = re.findall(r"Airtable +token in (\S+), base (\S+)", up.screen)
    [folder] = re.findall(r"which is (\S+)", up.screen)
    assert json.loads(Path(key[0]).read_text())["type"] == "service_account"
    assert {Path(one).stat().st_mode & 0o777 for one in (key[0], token)} == {0o600}
    assert [*Path(folder).iterdir()] == []
    # The command finds it, and nothing in it.
    monkeypatch.setattr(account, "EMPTY_DIR", up.home / "data")
    found = account.connect(account.LOCAL_STAGE)
    assert found.is_stand_in and described(found.client("cloudformation"), "slimreel-local") is None
    bearer = {"Authorization": f"Bearer {Path(token).read_text()}"}
    tables = f"{found.endpoint_url}/v0/meta/bases/{base}/tables"
    assert requests.get(tables, headers=bearer, timeout=10).json() == {"tables": []}
    found.close()
    # A second one does not get into its way.
    again = ("up", "--empty", f"--data-dir={up.home / 'data'}")
    assert main([*again]) == 2 and "runs already with" in capsys.readouterr().out
    assert main([*again, "--ready-file=x"]) == 2 and "--ready-file" in capsys.readouterr().out
    # Stopped and started, it is the same place.
    named = up.screen.splitlines()[1:-1]
    up.runs[-1].send_signal(signal.SIGTERM)
    assert up.runs[-1].wait(WAIT_S) == 0
    assert up.screen.splitlines()[-1].startswith("Stopped.")
    up.start_empty()
    assert up.screen.splitlines()[1:-1] == named
