"""`slimreel demo`: one video through the whole pipeline on the stand-in cloud, watched live."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from rich.console import Console
from rich.markup import escape

from chalicelib.domain import keys
from chalicelib.domain.drive import DriveFile, Ignored, candidate
from chalicelib.domain.job import Job
from slimreel.clip import generate
from slimreel.local.deployment import Deployment, deployed
from slimreel.report import Email, Report, render, report
from slimreel.watch import Watch

WORKFLOW = "compress"
#: After a job is closed, its row and email follow within moments.
SETTLE_S = 15.0
POLL_S = 0.25
#: A dropped file becomes a job within seconds; later means that something is broken.
START_S = 60.0


class DemoFailed(Exception):
    """The demo could not run; the message says why and what to do."""


def demo(
    *, project_dir: Path, video: Path | None, report_path: Path | None, console: Console
) -> Report:
    """Send a video through the pipeline and show it travel.

    Args:
        video: a file of the user's; None generates a clip.
        report_path: where the report is written as JSON as well.

    Raises:
        DemoFailed: there is no such file, or the job never started.
    """
    if video is not None and not video.is_file():
        raise DemoFailed(
            f"There is no file {video}. Give the path of a video: VIDEO=path/to/it.mp4"
        )
    with _fresh_folder(project_dir / ".slimreel") as data_dir:
        console.print("Starting the stand-in cloud: AWS, Google Drive, Airtable, on this machine …")
        with deployed(data_dir / "cloud", project_dir) as deployment:
            source = video or _own_clip(data_dir, console)
            job = _sent_through(deployment, source, console)
            result = _report(deployment, job, project_dir)
    console.print(render(result))
    if report_path is not None:
        report_path.write_text(result.as_json(), encoding="utf-8")
        console.print(f"The report is in {report_path}", soft_wrap=True)
    return result


@contextmanager
def _fresh_folder(root: Path) -> Iterator[Path]:
    """A folder for one demo, gone afterwards. One left by a killed demo is removed at the start."""
    root.mkdir(exist_ok=True)
    for left_over in root.glob("demo-*"):
        if not _is_running(left_over):
            shutil.rmtree(left_over, ignore_errors=True)
    folder = root / f"demo-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_running(folder: Path) -> bool:
    pid = folder.name.removeprefix("demo-")
    return pid.isdigit() and psutil.pid_exists(int(pid))


def _own_clip(data_dir: Path, console: Console) -> Path:
    console.print("Filming a clip: 10 s of 1080p, dialogue on one track, music on the other …")
    clip = data_dir / "Scene 4 – take 2.mov"
    generate(clip)
    return clip


def _sent_through(deployment: Deployment, source: Path, console: Console) -> Job:
    file = _drop(deployment, source)
    console.print(f"Dropped into the Drive folder “{deployment.inbox.name}”: {escape(file.name)}")
    found = candidate(file, deployment.inbox_folder_id)
    if isinstance(found, Ignored):
        raise DemoFailed(f"Slimreel leaves this file alone: {found.reason}")
    with Watch(console, deployment) as watch:
        job = _started(deployment, keys.job_id(WORKFLOW, file.file_id, found.version_key))
        while job.status.is_open:
            watch.show(job)
            time.sleep(POLL_S)
            job = _known(deployment, job.job_id)
        watch.show(job)
        return _settled(deployment, job)


def _drop(deployment: Deployment, source: Path) -> DriveFile:
    """Put a copy into the folder, as a person would; the file given is only ever read."""
    part = deployment.inbox.parent / f".{os.getpid()}.part"
    shutil.copyfile(source, part)
    part.replace(deployment.inbox / source.name)
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        for file in deployment.drive.list_folder(deployment.inbox_folder_id):
            if file.name == source.name:
                return file
        time.sleep(POLL_S)
    raise DemoFailed("The file did not appear in the stand-in Drive.")


def _started(deployment: Deployment, job_id: str) -> Job:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if job := deployment.records.get(job_id):
            return job
        time.sleep(POLL_S)
    raise DemoFailed(f"No job started. The functions' logs are in {deployment.logs_dir}.")


def _known(deployment: Deployment, job_id: str) -> Job:
    job = deployment.records.get(job_id)
    assert job is not None
    return job


def _settled(deployment: Deployment, job: Job) -> Job:
    """Wait until the row shows the end, the email is out and the execution is over."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        job = _known(deployment, job.job_id)
        status = deployment.flows.status(job.workflow, f"{job.job_id}-{job.run}")
        if job.synced_version >= job.row_version and job.notices_sent and status != "RUNNING":
            break
        time.sleep(POLL_S)
    return job


def _report(deployment: Deployment, job: Job, project_dir: Path) -> Report:
    output = _exported(deployment, job, project_dir)
    return report(
        job,
        output_path=str(output) if output else None,
        airtable_row=next(iter(deployment.rows(job.job_id)), None),
        email=_email(deployment, job),
    )


def _exported(deployment: Deployment, job: Job, project_dir: Path) -> Path | None:
    """The published file as an ordinary one under compressed/, which outlives the demo."""
    if job.published_key is None:
        return None
    bucket = deployment.stack.resources["CompressedBucket"]
    folder = project_dir / "compressed"
    folder.mkdir(exist_ok=True)
    suffix = Path(job.published_key).suffix
    target = folder / f"{keys.slug(job.file_name)}-{job.job_id[:8]}{suffix}"
    target.unlink(missing_ok=True)
    stored = deployment.cloud.s3.object_path(bucket, job.published_key)
    try:
        os.link(stored, target)
    except OSError:  # another file system
        shutil.copyfile(stored, target)
    return target


def _email(deployment: Deployment, job: Job) -> Email | None:
    for mail in deployment.cloud.mailbox.mails():
        if job.job_id in mail.body:
            return Email(subject=mail.subject, to=mail.recipient, body=mail.body)
    return None
