"""What goes wrong in the real world: one job, one row, one email all the same."""

from __future__ import annotations

import errno
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.adapters.callbacks import Callbacks
from chalicelib.adapters.encoder import Encoder
from chalicelib.adapters.messages import Queues, Topic
from chalicelib.adapters.metrics import Metrics
from chalicelib.adapters.secrets import Secrets
from chalicelib.adapters.storage import Storage
from chalicelib.config import settings
from chalicelib.domain import keys
from chalicelib.domain.job import Job, Status
from chalicelib.services import Services
from chalicelib.steps.reconcile import reconcile
from slimreel.local.faults import Fault
from slimreel.local.s3.blobs import Blobs, Draft
from tests.clips import camera_clip, ffmpeg
from tests.e2e.conftest import Studio, until

STEPS = (
    *("register", "fetch", "inspect", "plan", "budget", "encode"),
    *("restore", "measure", "verify", "publish", "announce"),
)
COMPLETE = "MediaConvert Job State Change/COMPLETE"


def add(studio: Studio, *faults: Fault) -> None:
    for fault in faults:
        studio.deployment.cloud.faults.add(fault)


def all_struck(studio: Studio) -> bool:
    return studio.deployment.cloud.faults._waiting == []


def encodes(studio: Studio, job_id: str) -> list[dict[str, Any]]:
    """The MediaConvert jobs that were made for a job."""
    jobs = studio.deployment.cloud.client("mediaconvert").list_jobs(MaxResults=20)["Jobs"]
    return [job for job in jobs if job["UserMetadata"]["job_id"] == job_id]


def check_once(studio: Studio, job: Job, status: Status = Status.COMPLETED) -> None:
    """It ended well or ill, but once."""
    assert job.status is status, job.reason
    assert studio.row(job.job_id)["Status"] == status.value
    assert len(studio.emails(job.job_id)) == 1
    attempts = [encode["UserMetadata"]["attempt"] for encode in encodes(studio, job.job_id)]
    assert sorted(attempts) == [str(number + 1) for number in range(len(attempts))]


def reconcile_later(studio: Studio) -> None:
    """What the schedule does, as if an hour had passed."""
    cloud = studio.deployment.cloud
    function = cloud.client("lambda").get_function_configuration(
        FunctionName="slimreel-local-reconcile_jobs"
    )
    services = Services(settings(function["Environment"]["Variables"]))
    stage = services.settings
    services.records = studio.deployment.records
    services.flows = studio.deployment.flows
    services.encoder = Encoder(
        cloud.client("mediaconvert"),
        queue_arn=stage.encoder_queue_arn,
        role_arn=stage.encoder_role_arn,
    )
    services.queues = Queues(
        cloud.client("sqs"),
        drive_queue_url=stage.drive_queue_url,
        rows_queue_url=stage.rows_queue_url,
    )
    services.storage = Storage(cloud.client("s3"))
    services.metrics = Metrics(stage=stage.stage, write=lambda line: None)  # not into this output
    services.topic = Topic(cloud.client("sns"), arn=stage.notice_topic_arn)
    services.callbacks = Callbacks(allowed_origins=stage.callback_origins)
    services.secrets = Secrets(cloud.client("ssm"), prefix=stage.secrets_prefix)
    reconcile(services, now=datetime.now(UTC) + timedelta(hours=1))


def test_every_service_stumbles_once(studio: Studio, tmp_path: Path) -> None:
    add(
        studio,
        Fault(service="drive", operation="files.get", status=500, code="internalError"),
        Fault(service="drive", operation="files.get", nth=2, status=403, code="rateLimitExceeded"),
        Fault(service="drive", operation="files.get_media", cut_body_at_byte=100_000),
        Fault(service="s3", operation="PutObject", status=503, code="SlowDown"),
        Fault(service="s3", operation="PutObject", nth=2, status=500, after_effect=True),
        Fault(service="dynamodb", operation="UpdateItem", nth=9, status=500),
        Fault(
            service="mediaconvert",
            operation="CreateJob",
            status=429,
            code="TooManyRequestsException",
        ),
        Fault(service="mediaconvert", operation="CreateJob", nth=2, status=500, after_effect=True),
        Fault(service="sns", operation="Publish", status=500, code="InternalFailure"),
        Fault(service="airtable", operation="records.upsert", status=503),
    )
    clip = camera_clip(tmp_path / "stumbling.mp4", seed=30)
    job = studio.finished(studio.job_id(studio.drop(clip)))
    check_once(studio, job)
    assert all_struck(studio)


def test_a_full_disk_is_waited_for(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3's disk takes nothing for more calls than an SDK repeats; then somebody makes room."""
    draft, refused = Blobs.draft, []

    def full(blobs: Blobs) -> Draft:
        if len(refused) < 10:
            refused.append(blobs)
            raise OSError(errno.ENOSPC, "No space left on device")
        return draft(blobs)

    clip = camera_clip(tmp_path / "no room.mp4", seed=33)
    monkeypatch.setattr(Blobs, "draft", full)
    check_once(studio, studio.finished(studio.job_id(studio.drop(clip))))
    assert len(refused) == 10


def test_every_step_dies_once_with_its_work_done(studio: Studio, tmp_path: Path) -> None:
    """The function ends its work and is gone before its answer arrives; the flow calls again."""
    for step in (*STEPS, "fail"):
        name = f"Invoke/slimreel-local-{step}"
        add(studio, Fault(service="lambda", operation=name, drop=True, after_effect=True))
    text = tmp_path / "no film.mp4"
    text.write_text("This is no film.")
    clip = camera_clip(tmp_path / "dying.mp4", seed=31)
    good, bad = (studio.job_id(studio.drop(path)) for path in (clip, text))
    check_once(studio, studio.finished(bad), Status.FAILED)
    check_once(studio, studio.finished(good))
    assert all_struck(studio)


def test_messages_get_lost_and_come_twice(studio: Studio, tmp_path: Path) -> None:
    # Given that Drive's push is lost, and of three encodes' ends one comes twice and two never
    add(
        studio,
        Fault(service="drive", operation="notification", drop=True, times=20),
        Fault(service="events", operation=COMPLETE, drop=True),
        Fault(service="events", operation=COMPLETE, nth=2, duplicate=True),
        Fault(service="events", operation=COMPLETE, nth=3, drop=True),
    )
    clips = [camera_clip(tmp_path / f"lost {n}.mp4", seed=40 + n) for n in range(3)]
    ids = [studio.job_id(studio.drop(clip)) for clip in clips]
    time.sleep(1)  # longer than the push would take
    assert [studio.job(job_id) for job_id in ids] == [None] * 3
    # When the sweep comes, it finds them
    studio.deployment.invoke("sweep_drive")

    def encoded() -> list[Job] | None:
        jobs = [studio.job(job_id) for job_id in ids]
        made = [encode for job_id in ids for encode in encodes(studio, job_id)]
        ended = len(made) == 3 and all(encode["Status"] == "COMPLETE" for encode in made)
        open_jobs = [job for job in jobs if job and job.status.is_open]
        return open_jobs if ended and len(open_jobs) == 2 else None

    lost, stopped = until(encoded, "one of three encodes to be heard of")
    assert (lost.outcome, stopped.outcome) == (None, None)
    # and somebody stops one of those that wait, and reconcile asks after the other
    flows = studio.deployment.cloud.client("stepfunctions")
    machine = studio.deployment.stack.outputs["CompressFlowArn"]
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:"
    flows.stop_execution(executionArn=execution + keys.execution_name(stopped.job_id, 1))
    closed = studio.finished(stopped.job_id)
    check_once(studio, closed, Status.FAILED)
    assert closed.reason
    reconcile_later(studio)
    for job_id in ids:
        if job_id != stopped.job_id:
            check_once(studio, studio.finished(job_id))


def test_an_execution_that_did_not_start_is_started_by_reconcile(
    studio: Studio, tmp_path: Path
) -> None:
    refusal = {"status": 400, "code": "StateMachineDoesNotExist"}
    add(studio, Fault(service="states", operation="StartExecution", **refusal))
    job_id = studio.job_id(studio.drop(camera_clip(tmp_path / "not started.mp4", seed=50)))
    until(lambda: studio.job(job_id), "the job's record")
    until(lambda: all_struck(studio) or None, "the refusal")
    assert not studio.job(job_id).execution_started
    reconcile_later(studio)
    check_once(studio, studio.finished(job_id))


@pytest.fixture
def grainy(tmp_path: Path) -> Path:
    """Noise that the first level smooths away."""
    path = tmp_path / "grainy.mp4"
    noise = "noise=c0s=11:c0f=t+u:all_seed=7"
    picture = f"testsrc2=size=320x180:rate=25:duration=2,{noise},format=yuv420p"
    how = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4")
    ffmpeg("-f", "lavfi", "-i", picture, *how, "file:" + str(path))
    return path


def test_what_does_not_look_good_enough_is_encoded_again(studio: Studio, grainy: Path) -> None:
    job_id = studio.job_id(studio.drop(grainy))
    seen = set()

    def ended() -> bool | None:
        job = studio.job(job_id)
        seen.add(job.status if job else None)
        return True if job and not job.status.is_open else None

    until(ended, "the end")
    job = studio.finished(job_id)
    check_once(studio, job)
    assert Status.RETRYING in seen
    assert job.attempt >= 2
    assert len(encodes(studio, job_id)) == job.attempt
    assert job.plan is not None and job.plan.qvbr_level and job.plan.qvbr_level > 8
    assert job.measurement is not None and job.measurement.score is not None
    assert job.measurement.score.mean >= 0.95
    assert studio.temp_keys(job_id) == []
