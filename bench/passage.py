"""One video through a running pipeline, with the moments a benchmark needs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from bench.processes import cpu_seconds
from chalicelib.domain import keys
from chalicelib.domain.drive import Candidate, candidate
from chalicelib.domain.job import Job
from chalicelib.domain.text import parse_iso
from slimreel.local.deployment import Deployment
from slimreel.report import StepTime, step_times

T = TypeVar("T")

WORKFLOW = "compress"
#: A dropped file becomes a job within seconds, and an execution ends soon after its email.
START_S = 120.0
CLOSE_S = 60.0
#: How closely the file's arrival in Drive is watched. Nothing else is timed by looking.
ARRIVAL_POLL_S = 0.05
POLL_S = 0.5
#: A job is asked for this seldom, because every call takes time from what is measured.
ASK_S = 15.0


class NoPassage(Exception):
    """The video did not come through; the message says how far it got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What happened when. Moments are seconds since 1970.

    Attributes:
        dropped_at: the file lay complete in the folder on disk.
        arrived_at: Drive shows it. What lies before is the stand-in's wait for a file that is
            still being written, and its hashing of it; Google's servers do that, not Slimreel.
        emailed_at: the email about the job's end was delivered.
        cpu_s: processor time of all processes between these two, and of a few moments after.
    """

    job: Job
    dropped_at: float
    arrived_at: float
    emailed_at: float
    cpu_s: float

    @property
    def wall_s(self) -> float:
        """From the file in Drive to the email."""
        return self.emailed_at - self.arrived_at

    @property
    def settling_s(self) -> float:
        """From the drop until Drive shows the file."""
        return self.arrived_at - self.dropped_at

    def steps(self) -> tuple[StepTime, ...]:
        """Where the wall time went: the steps of the flow, what came before, and the email."""
        begun_at = _epoch(self.job.timeline[0].at)
        # The last step sends the email and then cleans up, which nobody waits for.
        *before_last, last = step_times(self.job)
        last_s = self.emailed_at - _epoch(self.job.timeline[-1].at)
        return (
            StepTime(step="notice", seconds=begun_at - self.arrived_at),
            *before_last,
            StepTime(step=last.step, seconds=last_s),
        )


def send(deployment: Deployment, video: Path) -> Passage:
    """Drop a copy of `video` into the Drive folder and wait for the end of its job.

    Raises:
        NoPassage: no job started, or it ended without an email.
    """
    dropped_at = _drop(deployment, video)
    job_id, arrived_at = _until(
        lambda: _arrival(deployment, video.name),
        "the file to appear in Drive",
        START_S,
        every_s=ARRIVAL_POLL_S,
    )
    before_s = cpu_seconds()
    _until(lambda: deployment.records.get(job_id), "a job to start", START_S)
    emailed_at = _email(deployment, job_id)
    name = keys.execution_name(job_id, _known(deployment, job_id).run)
    _until(
        lambda: deployment.flows.status(WORKFLOW, name) != "RUNNING" or None,
        "the execution to end",
        CLOSE_S,
    )
    return Passage(
        job=_known(deployment, job_id),
        dropped_at=dropped_at,
        arrived_at=arrived_at,
        emailed_at=emailed_at,
        cpu_s=cpu_seconds() - before_s,
    )


def _drop(deployment: Deployment, video: Path) -> float:
    part = deployment.inbox.parent / f".{os.getpid()}.part"
    shutil.copyfile(video, part)
    part.replace(deployment.inbox / video.name)
    return time.time()


def _arrival(deployment: Deployment, name: str) -> tuple[str, float] | None:
    """The file's job id and the moment, once Drive lists it."""
    asked_at = time.time()
    for file in deployment.drive.list_folder(deployment.inbox_folder_id):
        found = candidate(file, deployment.inbox_folder_id)
        if file.name == name and isinstance(found, Candidate):
            return keys.job_id(WORKFLOW, file.file_id, found.version_key), asked_at
    return None


def _email(deployment: Deployment, job_id: str) -> float:
    """When the email about the job's end came, however long that takes."""
    while True:
        was_open = _known(deployment, job_id).status.is_open
        try:
            return _until(lambda: _email_moment(deployment, job_id), "the email", ASK_S)
        except NoPassage:
            if not was_open:
                raise


def _known(deployment: Deployment, job_id: str) -> Job:
    job = deployment.records.get(job_id)
    assert job is not None
    return job


def _email_moment(deployment: Deployment, job_id: str) -> float | None:
    """When the email about a job was delivered; its file is named after that moment."""
    for mail in deployment.cloud.mailbox.mails():
        if job_id in mail.body:
            moment = datetime.strptime(mail.name.rpartition("-")[0], "%Y%m%dT%H%M%S.%fZ")
            return moment.replace(tzinfo=UTC).timestamp()
    return None


def _epoch(iso: str) -> float:
    return parse_iso(iso).timestamp()


def _until(
    look: Callable[[], T | None], what: str, limit_s: float, *, every_s: float = POLL_S
) -> T:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(every_s)
    raise NoPassage(f"Waited {limit_s:.0f} s for {what}.")
