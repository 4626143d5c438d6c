"""A dropped video comes out smaller, checked, published, logged and announced."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import requests

from chalicelib.domain.job import Status
from chalicelib.domain.link import signature, video_link
from tests.clips import camera_clip, ffmpeg, ssim_mean
from tests.e2e.conftest import Studio

PHONE = {
    "com.apple.quicktime.location.ISO6709": "+50.9413+006.9583+055/",
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 15 Pro",
}


def test_a_dropped_video_comes_out_smaller(studio: Studio, tmp_path: Path) -> None:
    # Given a wasteful clip with two audio tracks, as a phone makes them
    said = PHONE | {"creation_time": "2026-05-04T09:30:00Z", "title": "Probe in Köln"}
    tags = [part for key, value in said.items() for part in ("-metadata", f"{key}={value}")]
    names = ("-metadata:s:a:0", "language=ita", "-metadata:s:a:1", "handler_name=M&E")
    extra = (*tags, *names, "-movflags", "use_metadata_tags")
    clip = camera_clip(tmp_path / "Scene 4.mov", audio_tracks=2, extra=extra)
    before = hashlib.sha256(clip.read_bytes()).hexdigest()
    # When somebody drops it into the folder
    file_id = studio.drop(clip)
    job = studio.finished(studio.job_id(file_id))
    # Then a smaller file is published that a stranger's ffmpeg finds whole and as good as we say
    assert job.status is Status.COMPLETED, job.reason
    result = studio.published(job)
    assert result.stat().st_size == job.published_size_bytes
    assert job.published_size_bytes < 0.9 * clip.stat().st_size
    errors = ffmpeg("-v", "error", "-i", f"file:{result}", "-f", "null", "-")
    assert errors == ""
    assert job.measurement is not None and job.measurement.score is not None
    assert abs(ssim_mean(result, clip) - job.measurement.score.mean) < 0.01
    with av.open(str(result)) as film:
        assert len(film.streams.audio) == 2
        assert film.streams.audio[0].language == "ita"
        assert film.streams.audio[1].metadata["handler_name"] == "M&E"
        assert film.metadata["creation_time"].startswith("2026-05-04T09:30:00")
        assert film.metadata["title"] == "Probe in Köln"
        assert PHONE.items() <= film.metadata.items()
    assert job.restored is not None and job.restored.lost == ()
    # and the original is untouched, and nothing temporary is left
    assert hashlib.sha256(clip.read_bytes()).hexdigest() == before
    assert studio.temp_keys(job.job_id) == []
    # and the row and the one email say so
    row = studio.row(job.job_id)
    assert row["Status"] == "Completed"
    assert row["File Name"] == "Scene 4.mov"
    assert row["Savings (%)"] > 0.1
    assert row["Preset"] == "balanced"
    assert row["Processing Date"] <= row["Completion Date"]
    [email] = studio.emails(job.job_id)
    assert "smaller" in email.subject
    assert row["Compressed URL"] in email.body
    # and the link in both leads to the file
    download = requests.get(row["Compressed URL"], timeout=10)
    assert hashlib.sha256(download.content).digest() == hashlib.sha256(result.read_bytes()).digest()
    assert "Scene%204.mp4" in download.headers["Content-Disposition"]


def test_the_row_says_processing_from_the_first_second(studio: Studio, tmp_path: Path) -> None:
    from slimreel.local.faults import Fault
    from tests.e2e.conftest import until

    studio.deployment.cloud.faults.add(
        Fault(service="drive", operation="files.get_media", delay_s=3.0)
    )
    file_id = studio.drop(camera_clip(tmp_path / "slow.mp4", seed=2))
    job_id = studio.job_id(file_id)

    def processing() -> bool | None:
        job = studio.job(job_id)
        if job is None or job.synced_version == 0:
            return None
        return studio.row(job_id)["Status"] == "Processing"

    assert until(processing, "the row")
    assert studio.finished(job_id).status is Status.COMPLETED


def test_what_does_not_save_enough_stays_as_it_is(studio: Studio, tmp_path: Path) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2")
    clip = tmp_path / "efficient.mp4"
    ffmpeg(*source, "-c:v", "libx264", "-preset", "slow", "-crf", "38", str(clip))

    job = studio.finished(studio.job_id(studio.drop(clip)))

    assert job.status is Status.KEPT_ORIGINAL
    assert studio.published(job).read_bytes() == clip.read_bytes()
    assert studio.row(job.job_id)["Status"] == "Kept original"
    [email] = studio.emails(job.job_id)
    assert email.subject.startswith("Original kept")
    assert job.reason and job.reason in email.body


def test_the_same_content_dropped_once_is_one_job(studio: Studio, tmp_path: Path) -> None:
    file_id = studio.drop(camera_clip(tmp_path / "once.mp4", seed=3))
    job = studio.finished(studio.job_id(file_id))
    # When Drive tells us of it again: renamed, and its notification repeated
    studio.deployment.cloud.drive.rename(file_id, "twice.mp4")
    studio.deployment.invoke("sweep_drive")
    again = studio.job(job.job_id)
    # Then nothing has run twice
    assert again is not None and again.run == 1
    assert len(studio.emails(job.job_id)) == 1


def test_two_files_of_one_name_are_two_jobs(studio: Studio, tmp_path: Path) -> None:
    first = studio.drop(camera_clip(tmp_path / "a.mp4", seed=4), name="Take.mp4")
    second = studio.drop(camera_clip(tmp_path / "b.mp4", seed=5), name="Take.mp4")
    jobs = [studio.finished(studio.job_id(file_id)) for file_id in (first, second)]
    assert jobs[0].job_id != jobs[1].job_id
    assert [job.status for job in jobs] == [Status.COMPLETED, Status.COMPLETED]
    assert jobs[0].published_key != jobs[1].published_key


def test_a_forged_link_leads_nowhere(studio: Studio) -> None:
    url = studio.deployment.cloud.endpoint_url + "/api"
    assert requests.get(video_link(url, "0" * 20, "guessed"), timeout=10).status_code == 404
    forged = f"{url}/v/{'0' * 20}?s={signature('1' * 20, 'guessed')}"
    assert requests.get(forged, timeout=10).status_code == 404
