"""Films as cameras, phones and editing suites make them: compressed, with nothing lost silently."""

from __future__ import annotations

from pathlib import Path

import av

from chalicelib.domain.job import Status
from tests.clips import ffmpeg
from tests.e2e.conftest import Studio

NOISY = "noise=c0s=4:c0f=t+u:all_seed=7"
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "9M", "-c:a", "libopus")
WASTEFUL = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-pix_fmt", "yuv420p")


def film(path: Path, *options: str, filters: str = "null", duration_s: float = 2.0) -> Path:
    """A noisy moving picture at 30 frames a second with a tone; `options` come last and win."""
    picture = f"testsrc2=size=640x360:rate=30:duration={duration_s},{NOISY},{filters}"
    tone = f"sine=frequency=440:sample_rate=48000:duration={duration_s}"
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone)
    ffmpeg(*inputs, *WASTEFUL, "-c:a", "aac", *options, f"file:{path}")
    return path


def test_a_screen_recording_keeps_every_picture(studio: Studio, tmp_path: Path) -> None:
    """Half a second of movement, then little: ten frames a second on average, thirty at times."""
    sparse = "settb=1/90000,select='lt(t,0.5)+not(mod(n,10))'"
    clip = film(tmp_path / "screen.mp4", "-fps_mode", "vfr", filters=sparse)
    job = studio.finished(studio.job_id(studio.drop(clip)))
    assert job.status is Status.COMPLETED, job.reason
    assert job.plan is not None
    assert (job.attempt, job.plan.frame_rate) == (1, "30/1")
    with av.open(str(studio.published(job))) as result:
        assert result.streams.video[0].average_rate == 30
    assert "becomes a constant 30" in studio.row(job.job_id)["Reason"]


def test_a_recording_of_a_browser_need_not_tell_its_length(studio: Studio, tmp_path: Path) -> None:
    clip = film(tmp_path / "meeting.webm", *VP8, "-live", "1")
    with av.open(str(clip)) as source:
        assert source.duration is None
    job = studio.finished(studio.job_id(studio.drop(clip)))
    assert job.status is Status.COMPLETED, job.reason
    row = studio.row(job.job_id)
    assert 1.9 < row["Duration (seconds)"] < 2.1
    assert row["Cost (USD)"] > 0


def test_a_film_of_a_camera_comes_out_upright_with_all_its_sound(
    studio: Studio, tmp_path: Path
) -> None:
    tone = ("-f", "lavfi", "-i", "sine=frequency=880:sample_rate=48000:duration=2")
    flat = film(tmp_path / "flat.mp4")
    tracks = ("-map", "0:v", "-map", "0:a", "-map", "1:a", "-c:v", "copy", "-c:a", "pcm_s24le")
    tags = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
    clip = tmp_path / "A001.mov"
    turned = ("-display_rotation", "-90", "-i", str(flat))
    ffmpeg(*turned, *tone, *tracks, *tags, "-timecode", "10:00:00:00", str(clip))
    job = studio.finished(studio.job_id(studio.drop(clip)))
    assert job.status is Status.COMPLETED, job.reason
    with av.open(str(studio.published(job))) as result:
        picture = result.streams.video[0].codec_context
        assert (picture.width, picture.height) == (360, 640)
        assert [track.language for track in result.streams.audio] == ["eng", "fra"]
    [email] = studio.emails(job.job_id)
    assert "- Audio tracks 1, 2: PCM becomes AAC at 128 kbit/s." in email.body
    assert "- Time code track (eng), as the encoder writes none to MP4." in email.body


def test_a_title_with_transparency_stays_as_it_is(studio: Studio, tmp_path: Path) -> None:
    clip = film(tmp_path / "title.mov", "-c:v", "qtrle", "-pix_fmt", "argb", duration_s=0.5)
    job = studio.finished(studio.job_id(studio.drop(clip)))
    assert job.status is Status.KEPT_ORIGINAL
    assert "alpha channel" in str(job.reason)
    assert studio.published(job).read_bytes() == clip.read_bytes()
