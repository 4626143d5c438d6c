"""Hard films from the drop to the email; docs/material.md says what is done with each kind, and
tests/integration/test_material.py shows the kinds one by one."""

from __future__ import annotations

from pathlib import Path

import av

from chalicelib.domain.job import Job, Status
from chalicelib.steps.submit import submit
from slimreel import offline
from tests.clips import ffmpeg
from tests.e2e.conftest import Studio
from tests.e2e.test_search import a_persons_services
from tests.integration.test_material import film, hdr, interlaced, subtitled


def with_preset(studio: Studio, path: Path, preset: str) -> Job:
    """From a folder nobody watches, submitted by a person."""
    drive = studio.deployment.cloud.drive
    file_id = drive.add_file(drive.add_folder(f"for {preset}"), path.name, path)
    asked = {"by": "Anna", "workflow_name": "compress", "preset": preset}
    made = submit(a_persons_services(studio), file_id, **asked)
    return studio.finished(made[0].job_id)


def test_a_tape_becomes_progressive_with_its_microphones_and_its_shape(
    studio: Studio, tmp_path: Path
) -> None:
    picture = interlaced(tmp_path / "picture.mov", "tff", filters="setsar=16/11")
    tape = tmp_path / "Band 7.mov"
    tones = [part for hz in (220, 440) for part in ("-f", "lavfi", "-i", f"sine=f={hz}:d=0.6")]
    tags = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
    ffmpeg("-i", str(picture), *tones, "-map", "0", "-map", "1", "-map", "2", "-c:v", "copy",
           "-c:a", "pcm_s16le", "-ar", "48000", *tags, "-timecode", "10:00:00:00",
           str(tape))  # fmt: skip
    job = studio.finished(studio.job_id(studio.drop(tape)))
    assert job.status is Status.COMPLETED, job.reason
    found = offline.facts_of(studio.published(job))
    assert found.video is not None and not found.video.interlaced
    assert (found.video.frame_rate, found.video.pixel_aspect) == (25.0, "16:11")
    assert [(track.channels, track.language) for track in found.audio] == [(1, "eng"), (1, "fra")]
    [email] = studio.emails(job.job_id)
    assert "- Interlaced film becomes progressive" in email.body
    assert "- Time code track" in email.body
    assert "half pictures are made whole ones" in studio.row(job.job_id)["Reason"]


def test_hdr10_stays_so_in_hevc_and_is_left_alone_by_h264(studio: Studio, tmp_path: Path) -> None:
    source = hdr(tmp_path / "graded.mov", "smpte2084", static=True)
    job = with_preset(studio, source, "balanced-hevc")
    assert job.status is Status.COMPLETED, job.reason
    before, after = (offline.facts_of(path).video for path in (source, studio.published(job)))
    assert before is not None and after is not None
    assert (after.hdr, after.bit_depth, after.light) == ("HDR10", 10, before.light)
    with av.open(str(studio.published(job))) as result:
        assert result.streams.video[0].codec_context.codec_tag == "hvc1"
    alone = studio.finished(studio.job_id(studio.drop(source)))
    assert alone.status is Status.KEPT_ORIGINAL and "8-bit H.264" in str(alone.reason)
    assert studio.published(alone).read_bytes() == source.read_bytes()
    assert alone.cost_usd == 0


def test_hlg_becomes_sdr_for_who_asks(studio: Studio, tmp_path: Path) -> None:
    job = with_preset(studio, hdr(tmp_path / "phone.mov", "arib-std-b67"), "balanced-sdr")
    assert job.status is Status.COMPLETED, job.reason
    result = offline.facts_of(studio.published(job)).video
    assert result is not None and (result.hdr, result.bit_depth) == (None, 8)
    assert "HLG becomes SDR" in studio.row(job.job_id)["Reason"]


def test_what_would_be_lost_can_keep_the_original(studio: Studio, tmp_path: Path) -> None:
    source = subtitled(tmp_path / "film.mkv", "srt")
    job = with_preset(studio, source, "master")
    assert job.status is Status.KEPT_ORIGINAL
    assert "keeps originals rather than this: Subtitle track (spa)" in str(job.reason)
    assert studio.published(job).read_bytes() == source.read_bytes()
    assert job.plan is not None and len(job.plan.losses) == 4 and job.cost_usd == 0


def test_a_film_of_one_picture_without_sound(studio: Studio, tmp_path: Path) -> None:
    source = film(tmp_path / "one.mp4", seconds=0.04, size="321x181", rate="25")
    job = studio.finished(studio.job_id(studio.drop(source)))
    assert job.status is Status.COMPLETED, job.reason
    result = offline.facts_of(studio.published(job)).video
    assert result is not None and (result.width, result.height) == (320, 180)
