"""Bad input ends clearly: Failed or ignored with a sentence, in row and email, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.domain.job import Job, Status
from slimreel.local.faults import Fault
from tests.clips import camera_clip, ffmpeg
from tests.e2e.conftest import Studio, until


def text(path: Path) -> None:
    path.write_text("This is a text file, whatever its name says.\n" * 50)


def empty(path: Path) -> None:
    path.touch()


def moov_missing(path: Path) -> None:
    whole = camera_clip(path.with_suffix(".whole.mp4"))
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])


def audio_only(path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac", "-f", "mp4", str(path))


def still_image(path: Path) -> None:
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=320x180", "-frames:v", "1", "-f", "image2", str(path)
    )


BROKEN = {
    "text": (text, "not a video"),
    "empty": (empty, "empty"),
    "moov missing": (moov_missing, "damaged or incomplete"),
    "audio only": (audio_only, "no picture"),
    "still image": (still_image, "not a video"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_whole_video_fails_with_a_sentence(
    studio: Studio, tmp_path: Path, kind: str
) -> None:
    make, sentence = BROKEN[kind]
    path = tmp_path / f"{kind}.mp4"
    make(path)
    job = studio.finished(studio.job_id(studio.drop(path)))
    assert job.status is Status.FAILED
    assert sentence in str(job.reason)
    check_told(studio, job)


def test_cut_in_the_middle_is_never_published_as_if_whole(studio: Studio, tmp_path: Path) -> None:
    whole = camera_clip(tmp_path / "whole.mp4", duration_s=3.0, extra=("-movflags", "+faststart"))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    job = studio.finished(studio.job_id(studio.drop(cut)))
    assert job.status is Status.FAILED
    assert "ends too early" in str(job.reason)
    check_told(studio, job)


def test_replaced_while_it_is_copied(studio: Studio, tmp_path: Path) -> None:
    studio.deployment.cloud.faults.add(
        Fault(service="drive", operation="files.get_media", delay_s=3.0)
    )
    file_id = studio.drop(camera_clip(tmp_path / "old.mp4", seed=21), name="replaced.mp4")
    old_job = studio.job_id(file_id)
    until(
        lambda: ((job := studio.job(old_job)) and job.step == "fetch") or None, "the copy to start"
    )
    new = camera_clip(tmp_path / "new.mp4", seed=22)
    studio.deployment.cloud.drive.replace_content(file_id, new)
    assert studio.job_id(file_id) != old_job
    # The version that is gone fails, and says what happened; the new one is a job of its own.
    job = studio.finished(old_job)
    assert job.status is Status.FAILED
    assert "replaced" in str(job.reason)
    assert studio.finished(studio.job_id(file_id)).status is Status.COMPLETED


def test_trashed_while_it_is_copied(studio: Studio, tmp_path: Path) -> None:
    studio.deployment.cloud.faults.add(
        Fault(service="drive", operation="files.get_media", delay_s=3.0)
    )
    file_id = studio.drop(camera_clip(tmp_path / "trashed.mp4", seed=23))
    job_id = studio.job_id(file_id)
    until(
        lambda: ((job := studio.job(job_id)) and job.step == "fetch") or None, "the copy to start"
    )
    studio.deployment.cloud.drive.trash(file_id)
    job = studio.finished(job_id)
    assert job.status is Status.FAILED
    assert "bin" in str(job.reason)


def test_a_file_that_may_not_be_downloaded(studio: Studio, tmp_path: Path) -> None:
    drive = studio.deployment.cloud.drive
    studio.deployment.cloud.faults.add(Fault(service="drive", operation="changes.list", delay_s=1))
    file_id = studio.drop(camera_clip(tmp_path / "forbidden.mp4", seed=24))
    drive.set_download_forbidden(file_id)
    job = studio.finished(studio.job_id(file_id))
    assert job.status is Status.FAILED
    assert "download" in str(job.reason)
    check_told(studio, job)


def test_folders_documents_and_shortcuts_are_left_alone(studio: Studio, tmp_path: Path) -> None:
    drive, inbox = studio.deployment.cloud.drive, studio.deployment.inbox_folder_id
    video = studio.drop(camera_clip(tmp_path / "after.mp4", seed=25))
    before = {job.job_id for job in studio.deployment.records.open_jobs()}
    drive.add_folder("A folder.mp4", inbox)
    drive.add_google_doc(inbox, "A document.mp4")
    drive.add_shortcut(inbox, "A shortcut.mp4", video)
    studio.deployment.invoke("sweep_drive")
    # The pipeline goes on: the one video becomes a job, the others none.
    assert studio.finished(studio.job_id(video)).status is Status.COMPLETED
    left = {job.job_id for job in studio.deployment.records.open_jobs()} - before
    assert left <= {studio.job_id(video)}
    log = (studio.deployment.logs_dir / "slimreel-local-sweep_drive.log").read_text()
    log += (studio.deployment.logs_dir / "slimreel-local-drive_changed.log").read_text()
    for reason in ("is a folder", "is a Google document", "is a shortcut"):
        assert reason in log


def check_told(studio: Studio, job: Job) -> None:
    """Row and email hold the sentence; the email says what to do."""
    row = studio.row(job.job_id)
    assert row["Status"] == job.status.value
    assert row["Reason"] == job.reason
    [email] = studio.emails(job.job_id)
    assert str(job.reason) in email.body
    assert "What to do next" in email.body
