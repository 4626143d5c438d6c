"""One stand-in cloud with Slimreel deployed on it, for every end-to-end test of a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chalicelib.adapters.records import Records
from chalicelib.domain import keys
from chalicelib.domain.drive import Candidate, candidate
from chalicelib.domain.job import Job
from slimreel.local.deployment import Deployment, deployed
from slimreel.local.mail import Mail
from tests.e2e import leaks
from tests.e2e.glance import Glance

T = TypeVar("T")
#: Where people may submit from, and who may be called back there: a test listens on that port.
SUBMITTED, CALLBACK_PORT = "films-of-others", 18_977
PARAMETERS = {
    "LogLevel": "DEBUG",
    "SubmitBuckets": SUBMITTED,
    "CallbackOrigins": f"http://127.0.0.1:{CALLBACK_PORT}",
    "DriveArchiveResultsFolder": "beside",
}
#: Enough for every function to stay warm: with fewer, half of all calls start a process.
ENVIRONMENTS = 24
PROJECT_DIR = Path(__file__).resolve().parents[2]
#: Generous: the machine may be busy. A test that waits this long has failed.
WAIT_S = 40.0


@dataclass
class Studio:
    """What a person at the studio does and sees."""

    deployment: Deployment

    @cached_property
    def _records(self) -> Records:
        table_name = self.deployment.stack.resources["JobsTable"]
        return Records(Glance(self.deployment.cloud, table_name))

    def cold(self) -> None:
        """Have every function start a new process, as after a deployment."""
        client = self.deployment.cloud.client("lambda")
        for page in client.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                client.update_function_configuration(FunctionName=function["FunctionName"])

    def drop(self, path: Path, *, name: str | None = None, **options: Any) -> str:
        """Upload a file to the inbox through Drive's own bookkeeping; returns its Drive id."""
        drive = self.deployment.cloud.drive
        folder_id = self.deployment.inbox_folder_id
        return str(drive.add_file(folder_id, name or path.name, path, **options))

    def job_id(self, file_id: str) -> str:
        found = candidate(self.deployment.drive.get(file_id), self.deployment.inbox_folder_id)
        assert isinstance(found, Candidate), found
        return keys.job_id("compress", file_id, found.version_key)

    def job(self, job_id: str) -> Job | None:
        return self._records.get(job_id)

    def is_in(self, job_id: str, step: str) -> bool | None:
        job = self.job(job_id)
        return True if job and job.step == step else None

    def finished(self, job_id: str, *, mailed: bool = True, wait_s: float = WAIT_S) -> Job:
        """The job once it is closed, its row written, its execution over and its email out."""

        def closed() -> Job | None:
            job = self.job(job_id)
            if job is None or job.status.is_open or job.synced_version < job.row_version:
                return None
            name = keys.execution_name(job.job_id, job.run)
            over = self.deployment.flows.status(job.workflow, name) != "RUNNING"
            return job if over and (job.notices_sent or not mailed) else None

        return until(closed, f"job {job_id} to end; it is {self.job(job_id)}", wait_s)

    def row(self, job_id: str) -> dict[str, Any]:
        [row] = self.deployment.rows(job_id)
        return row

    def emails(self, job_id: str) -> list[Mail]:
        return [mail for mail in self.deployment.cloud.mailbox.mails() if job_id in mail.body]

    def published(self, job: Job) -> Path:
        assert job.published_key is not None
        bucket = self.deployment.stack.resources["CompressedBucket"]
        return Path(self.deployment.cloud.s3.object_path(bucket, job.published_key))

    def temp_keys(self, job_id: str) -> list[str]:
        answer = self.deployment.cloud.client("s3").list_objects_v2(
            Bucket=self.deployment.stack.resources["TempBucket"], Prefix=f"jobs/{job_id}/"
        )
        return [item["Key"] for item in answer.get("Contents", [])]


def until(look: Callable[[], T | None], what: str, wait_s: float = WAIT_S) -> T:
    """Wait for something to become true."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {wait_s:.0f} s for {what}")


@pytest.fixture(scope="package")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    data_dir = tmp_path_factory.mktemp("cloud")
    with (
        _everything_logged(data_dir / leaks.STAND_IN_LOG),
        deployed(
            data_dir, PROJECT_DIR, environments=ENVIRONMENTS, parameters=PARAMETERS
        ) as deployment,
    ):
        yield Studio(deployment)
        assert leaks.found(deployment) == []  # after all tests that this process ran


@contextmanager
def _everything_logged(path: Path) -> Iterator[None]:
    """What the stand-in cloud says, from DEBUG on; `test_what_the_logs_hold` reads it."""
    logger, handler = logging.getLogger("slimreel"), logging.FileHandler(path)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture(autouse=True)
def _no_faults_left(studio: Studio) -> Iterator[None]:
    yield
    studio.deployment.cloud.faults.clear()
