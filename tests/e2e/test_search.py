"""The setting is found by samples: a film is as small as its target allows, or left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

from chalicelib.adapters.messages import Queues
from chalicelib.config import settings
from chalicelib.domain.job import Job, Status
from chalicelib.services import Services
from chalicelib.steps.submit import submit
from tests.clips import camera_clip, ffmpeg, ssim_mean
from tests.e2e.conftest import Studio

#: Short of twice what is sampled, and as small as can be: encoding is most of a test's time.
SECONDS = 21


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calm, then busy, then noisy, wastefully encoded."""
    path = tmp_path_factory.mktemp("films") / "Szene 9.mp4"
    third = SECONDS / 3
    parts = (
        f"smptebars=s=256x144:r=6:d={third}",
        f"testsrc2=s=256x144:r=6:d={third}",
        f"testsrc2=s=256x144:r=6:d={third},noise=alls=3:allf=t",
    )
    graph = ";".join(f"{part}[p{n}]" for n, part in enumerate(parts))
    ffmpeg(
        "-filter_complex", f"{graph};[p0][p1][p2]concat=n=3,format=yuv420p[v]", "-map", "[v]",
        "-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", f"file:{path}",
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def compressed(studio: Studio, film: Path) -> Job:
    return studio.finished(studio.job_id(studio.drop(film)))


def encodes(studio: Studio, job: Job) -> list[dict[str, Any]]:
    """The MediaConvert jobs of a job, oldest first."""
    client = studio.deployment.cloud.client("mediaconvert")
    answers = client.get_paginator("list_jobs").paginate(Order="ASCENDING")
    every = [found for answer in answers for found in answer["Jobs"]]
    return [found for found in every if found["UserMetadata"]["job_id"] == job.job_id]


def test_the_found_setting_gives_what_was_predicted(
    studio: Studio, film: Path, compressed: Job
) -> None:
    job = compressed
    assert job.status is Status.COMPLETED, job.reason
    assert job.plan is not None and job.plan.search is not None
    search = job.plan.search
    assert [point.level for point in search.points] == list(search.levels)
    assert job.plan.qvbr_level == search.level
    assert search.predicted_mean is not None and search.predicted_bytes is not None
    measured = ssim_mean(studio.published(job), film)
    assert measured >= 0.95
    assert measured == pytest.approx(search.predicted_mean, abs=0.015)
    assert job.published_size_bytes == pytest.approx(search.predicted_bytes, rel=0.35)


def test_one_job_encoded_all_samples_and_another_the_film(studio: Studio, compressed: Job) -> None:
    search, film = encodes(studio, compressed)
    assert search["UserMetadata"]["attempt"] == "1" and film["UserMetadata"]["attempt"] == "2"
    [source] = search["Settings"]["Inputs"]
    assert len(source["InputClippings"]) == 10
    [group] = search["Settings"]["OutputGroups"]
    assert [output["NameModifier"] for output in group["Outputs"]] == ["-l200", "-l500"]
    assert search["Status"] == film["Status"] == "COMPLETE"
    assert studio.temp_keys(compressed.job_id) == []


def test_row_and_email_say_how_the_setting_was_found(studio: Studio, compressed: Job) -> None:
    said = "Setting found by search: QVBR level"
    assert said in studio.row(compressed.job_id)["Reason"]
    [email] = studio.emails(compressed.job_id)
    assert said in email.body
    assert compressed.cost_usd and compressed.plan and compressed.plan.cost
    assert compressed.cost_usd == pytest.approx(compressed.plan.cost.usd, rel=0.01)


def test_our_own_result_dropped_again_is_left_alone(studio: Studio, compressed: Job) -> None:
    result = studio.published(compressed)
    again = studio.finished(studio.job_id(studio.drop(result, name="again.mp4")))
    assert again.status is Status.KEPT_ORIGINAL
    assert again.reason is not None and "has compressed this file before" in again.reason
    assert encodes(studio, again) == []


def test_what_samples_show_not_to_pay_is_left_alone(
    studio: Studio, film: Path, tmp_path: Path
) -> None:
    lean = tmp_path / "lean.mp4"
    ffmpeg("-i", f"file:{film}", "-c:v", "libx264", "-preset", "medium", "-crf", "46",
           f"file:{lean}")  # fmt: skip
    job = studio.finished(studio.job_id(studio.drop(lean)))
    assert job.status is Status.KEPT_ORIGINAL
    assert job.reason is not None and job.reason.startswith("Samples show that compressing")
    assert len(encodes(studio, job)) == 1
    assert studio.published(job).read_bytes() == lean.read_bytes()


@pytest.mark.parametrize(("preset", "tag"), [("balanced-hevc", "hvc1"), ("balanced-av1", "av01")])
def test_a_preset_may_ask_for_another_codec(
    studio: Studio, tmp_path: Path, preset: str, tag: str
) -> None:
    """A clip too short to be searched, from a folder nobody watches, submitted by a person."""
    tags = ("-metadata", "creation_time=2026-05-04T09:30:00Z")
    clip = camera_clip(tmp_path / f"{tag}.mov", size="320x180", duration_s=1.0, extra=tags)
    drive = studio.deployment.cloud.drive
    file_id = drive.add_file(drive.add_folder(f"for {preset}"), clip.name, clip)
    services = a_persons_services(studio)
    asked = {"by": "Anna", "workflow_name": "compress", "preset": preset}
    job = studio.finished(submit(services, file_id, **asked)[0].job_id)
    assert job.status is Status.COMPLETED, job.reason
    result = studio.published(job)
    with av.open(str(result)) as film:
        assert film.streams.video[0].codec_context.codec_tag == tag
        assert film.metadata["creation_time"].startswith("2026-05-04T09:30:00")
    assert ssim_mean(result, clip) >= 0.95
    assert job.plan is not None and job.plan.cost is not None
    assert job.plan.cost.tier == "professional"


def test_a_target_may_be_vmaf(studio: Studio, tmp_path: Path) -> None:
    """Searched by the encoder's own VMAF, of the picture at its size; measured on a screen."""
    clip = tmp_path / "zoom.mp4"
    picture = f"mandelbrot=s=480x270:r=2:end_scale=0.01,trim=end={SECONDS}"
    wasteful = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "4")
    ffmpeg("-f", "lavfi", "-i", picture, *wasteful, str(clip))
    drive = studio.deployment.cloud.drive
    file_id = drive.add_file(drive.add_folder("for VMAF"), clip.name, clip)
    asked = {"by": "Anna", "workflow_name": "compress", "preset": "balanced-vmaf"}
    job = studio.finished(submit(a_persons_services(studio), file_id, **asked)[0].job_id)
    assert job.status is Status.COMPLETED, job.reason
    assert job.plan is not None and job.plan.search is not None and job.measurement is not None
    search, ours = job.plan.search, job.measurement.vmaf
    assert search.metric == "VMAF" and len(search.points) == 2
    assert all(20 < point.mean <= 100 for point in search.points)  # the encoder's own
    assert ours is not None and ours.frames == 2 * SECONDS
    assert ours.mean >= 93 and ours.worst_1_percent >= 60
    assert search.predicted_mean == pytest.approx(ours.mean, abs=3)
    assert job.encoder_ssim_mean == pytest.approx(job.measurement.score.mean, abs=0.01)
    row = studio.row(job.job_id)
    assert "predicted VMAF" in row["Reason"]
    assert f"VMAF: {ours.mean:.1f}" in str(row)


def a_persons_services(studio: Studio) -> Services:
    """What the API's function reaches to submit a file."""
    deployment = studio.deployment
    services = Services(settings({}))
    services.records, services.flows = deployment.records, deployment.flows
    services.drive = deployment.drive
    services.queues = Queues(
        deployment.cloud.client("sqs"),
        drive_queue_url="",
        rows_queue_url=deployment.stack.resources["RowsQueue"],
        drive_dead_letters_url="",
        rows_dead_letters_url="",
    )
    return services
