"""MediaConvert's EventBridge events. Pure.

Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/mediaconvert_cwe_events.html. There is
no event for SUBMITTED, and neither order nor single delivery is promised to consumers.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DETAIL_TYPE = "MediaConvert Job State Change"
_CODECS = {
    "h264": "H_264", "hevc": "H_265", "mpeg2video": "MPEG_2", "mpeg4": "MPEG_4", "aac": "AAC",
    "ac3": "AC3", "eac3": "EAC3", "vp8": "VP8", "vp9": "VP9", "av1": "AV1", "prores": "PRORES",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What every event of one job says."""

    region: str
    account_id: str
    job_arn: str
    job_id: str
    queue_arn: str
    user_metadata: Mapping[str, str]


def envelope(about: About, status: str, now_s: float, extra: Mapping[str, Any]) -> dict[str, Any]:
    """One complete event. `now_s` is epoch seconds; `detail.timestamp` is in milliseconds."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": DETAIL_TYPE,
        "source": "aws.mediaconvert",
        "account": about.account_id,
        "time": datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": about.region,
        "resources": [about.job_arn],
        "detail": {
            "timestamp": round(now_s * 1000),
            "accountId": about.account_id,
            "queue": about.queue_arn,
            "jobId": about.job_id,
            "status": status,
            "userMetadata": dict(about.user_metadata),
            **extra,
        },
    }


def status_update(
    *, frames: int, percent: int, phase_percent: int, phase: str, retry_count: int
) -> dict[str, Any]:
    """The extra members of STATUS_UPDATE."""
    phases = ("PROBING", "TRANSCODING", "UPLOADING")
    at = phases.index(phase)
    progress = {
        name: {
            "status": "COMPLETE" if n < at else "PROGRESSING" if n == at else "PENDING",
            "percentComplete": 100 if n < at else phase_percent if n == at else 0,
        }
        for n, name in enumerate(phases)
    }
    return {
        "framesDecoded": frames,
        "jobProgress": {
            "phaseProgress": progress,
            "jobPercentComplete": percent,
            "currentPhase": phase,
            "retryCount": retry_count,
        },
    }


def input_information(url: str, source: Any) -> dict[str, Any]:
    """The extra members of INPUT_INFORMATION for a `Source`."""
    detail: dict[str, Any] = {"id": 1, "uri": url, "audio": [], "video": []}
    for track in source.audio:
        detail["audio"].append(
            {
                "channels": track.channels,
                "codec": _codec(track.codec),
                "language": (track.language or "und").upper(),
                "sampleRate": track.sample_rate_hz,
                "streamId": track.index + 1,
            }
        )
    if source.video is not None:
        detail["video"].append(_video(source.video))
    return {"inputDetails": [detail]}


def _video(video: Any) -> dict[str, Any]:
    rate = float(video.rate)
    return {
        "bitDepth": video.bit_depth,
        "codec": _codec(video.codec),
        "colorFormat": "YUV_" + (video.chroma or "4:2:0").replace(":", ""),
        "fourCC": video.fourcc,
        "frameRate": int(rate) if rate.is_integer() else round(rate, 3),
        "height": video.height,
        "interlaceMode": "PROGRESSIVE" if video.field_order == "progressive" else "INTERLACED",
        "sar": f"{video.sar.numerator}:{video.sar.denominator}",
        "standard": "UNSPECIFIED",
        "streamId": video.index + 1,
        "width": video.width,
    }


def _codec(name: str) -> str:
    return _CODECS.get(name, name.upper())
