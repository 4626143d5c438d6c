"""Facts, plans, measurements and jobs to test with: plain ones, each field open to change."""

from __future__ import annotations

from typing import Any

from chalicelib.config import all_presets, price_table
from chalicelib.domain.job import Job, Status
from chalicelib.domain.measurement import Measurement, StreamTimes
from chalicelib.domain.media import AudioTrack, MediaFacts, VideoTrack
from chalicelib.domain.money import Prices
from chalicelib.domain.plan import AudioPlan, Plan, Route
from chalicelib.domain.preset import Preset
from chalicelib.domain.score import QualityScore
from chalicelib.domain.workflow import Workflow

JOB_ID = "0123456789abcdef0123"
LINK = f"https://slimreel.example/v/{JOB_ID}?s=00112233445566778899aabbccddeeff"


def a_video(**changes: Any) -> VideoTrack:
    """1080p at 25 frames a second, 40 Mbit/s, one minute."""
    plain: dict[str, Any] = {
        "codec": "AVC",
        "width": 1920,
        "height": 1080,
        "frame_rate": 25.0,
        "duration_s": 60.0,
        "bitrate_bps": 40_000_000,
        "bit_depth": 8,
        "chroma": "4:2:0",
    }
    return VideoTrack(**plain | changes)


def a_sound(**changes: Any) -> AudioTrack:
    """AAC stereo at 48 kHz."""
    plain: dict[str, Any] = {
        "number": 1,
        "codec": "AAC",
        "channels": 2,
        "sample_rate_hz": 48_000,
        "language": "eng",
    }
    return AudioTrack(**plain | changes)


def some_facts(*, video: VideoTrack | None = None, **changes: Any) -> MediaFacts:
    """An MP4 of one minute and 300 MB with `a_video` and `a_sound`."""
    plain: dict[str, Any] = {
        "container": "mp4",
        "duration_s": 60.0,
        "size_bytes": 300_000_000,
        "video": video or a_video(),
        "video_tracks": 1,
        "audio": (a_sound(),),
        "data_tracks": 0,
    }
    return MediaFacts(**plain | changes)


def a_workflow(**changes: Any) -> Workflow:
    plain: dict[str, Any] = {"name": "compress", "drive_folder": "folder", "preset": "balanced"}
    return Workflow(**plain | changes)


def a_preset(name: str = "balanced") -> Preset:
    return all_presets()[name]


def the_prices() -> Prices:
    return price_table()


def a_plan(**changes: Any) -> Plan:
    """Encode at level 8 with floors 0.95 and 0.85."""
    plain: dict[str, Any] = {
        "route": Route.ENCODE,
        "preset": "balanced",
        "reasons": ("H.264 at QVBR level 8.",),
        "qvbr_level": 8,
        "max_bitrate_bps": 10_000_000,
        "bitrate_ceiling_bps": 40_000_000,
        "tuning": "SINGLE_PASS_HQ",
        "width": 1920,
        "height": 1080,
        "ssim_floor": 0.95,
        "ssim_worst_floor": 0.85,
        "audio": (AudioPlan(track=1, language="eng"),),
    }
    return Plan(**plain | changes)


def a_score(**changes: Any) -> QualityScore:
    plain: dict[str, Any] = {
        "mean": 0.987654,
        "harmonic_mean": 0.9871,
        "percentile_5": 0.95,
        "percentile_1": 0.93,
        "worst_1_percent": 0.912345,
        "lowest": 0.9,
        "worst_second": 0.96,
        "worst_second_at_s": 12.04,
        "frames": 1500,
    }
    return QualityScore(**plain | changes)


def tracks() -> tuple[StreamTimes, ...]:
    """A minute of video and one English stereo track."""
    video = StreamTimes(
        kind="video", number=1, codec="h264", start_s=0.0, end_s=60.0, frame_duration_s=0.04
    )
    sound = StreamTimes(
        kind="audio",
        number=1,
        codec="aac",
        start_s=0.0,
        end_s=60.0,
        frame_duration_s=1024 / 48_000,
        language="eng",
        channels=2,
    )
    return video, sound


def a_measurement(**changes: Any) -> Measurement:
    """Nothing to complain about."""
    plain: dict[str, Any] = {
        "source_tracks": tracks(),
        "result_tracks": tracks(),
        "decode_errors": 0,
        "coverage": 1.0,
        "measured_by": "ffmpeg 7.1",
        "score": a_score(),
    }
    return Measurement(**plain | changes)


def a_job(status: Status = Status.PROCESSING, **changes: Any) -> Job:
    """A job on its way, for a file of 300 MB."""
    plain: dict[str, Any] = {
        "job_id": JOB_ID,
        "workflow": "compress",
        "run": 1,
        "status": status,
        "file_id": "1AbC-dEf_",
        "folder_id": "folder",
        "file_name": "Szene 4.mov",
        "mime_type": "video/quicktime",
        "version_key": "d41d8cd98f00b204e9800998ecf8427e",
        "size_bytes": 300_000_000,
        "created_at": "2026-05-04T09:30:00.000Z",
        "updated_at": "2026-05-04T09:30:00.000Z",
    }
    return Job(**plain | changes)
