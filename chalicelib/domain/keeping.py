"""Why a video is refused, or its original kept, before anything is encoded."""

from __future__ import annotations

from chalicelib.domain.bitrate import (
    MIN_BITRATE_BPS,
    bits_per_pixel,
    efficient_bits,
    source_bps,
)
from chalicelib.domain.material import spoiled
from chalicelib.domain.media import MediaFacts, VideoTrack
from chalicelib.domain.mp4 import MARK
from chalicelib.domain.picture import (
    MAX_LONG_SIDE_PX,
    MIN_SIDE_PX,
    SHORT_SIDE_FLOOR_PX,
)
from chalicelib.domain.preset import Preset
from chalicelib.domain.sound import AAC_MODES, passes
from chalicelib.domain.text import human_size
from chalicelib.domain.workflow import Workflow

#: They may be written as a stream, like those of browsers and broadcasts: without their length.
UNTIMED_CONTAINERS = ("matroska", "webm", "mpegts", "mpegps")
#: Where the encoder reads how to turn the picture, and a colour sampling it cannot turn. Nor does
#: it turn interlaced film.
#: Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/auto-rotate.html
TURNING_CONTAINERS = ("mp4", "quicktime")
UNTURNABLE_CHROMA = "4:4:4"


def refusal(facts: MediaFacts) -> str | None:
    video = facts.video
    if video is None:
        return "There is no picture in this file: it holds sound only, or nothing we can read."
    if facts.container in ("", "unknown") and video.codec == "UNKNOWN":
        return "The file is not a video we can read."
    if video.width <= 0 or video.height <= 0:
        return "The video does not say how large its picture is; it is damaged or incomplete."
    if facts.picture_s is None and facts.container not in UNTIMED_CONTAINERS:
        return "The video has no length: it holds no pictures, or its index is missing."
    return None


def reason_to_keep(
    facts: MediaFacts, video: VideoTrack, preset: Preset, workflow: Workflow
) -> str | None:
    if facts.writer is not None and facts.writer.startswith(MARK):
        return "Slimreel has compressed this file before; doing it twice would only cost quality."
    if facts.size_bytes < workflow.compress_above_bytes:
        return (
            f"Smaller than {human_size(workflow.compress_above_bytes)}, the size above which "
            "this workflow compresses."
        )
    if min(video.width, video.height) < MIN_SIDE_PX:
        return f"The picture is {video.width}x{video.height}; the encoder needs 32x32 or more."
    if _would_be_too_low(video):
        return (
            f"The picture is {video.width}x{video.height}; shrunk to the {MAX_LONG_SIDE_PX} pixels "
            "the encoder allows, it would lose too much detail."
        )
    if reason := spoiled(video, preset):
        return reason
    if facts.odd_turn:
        return (
            f"The picture is {facts.odd_turn} when it plays, which the encoder cannot do; it would "
            "come out the wrong way round."
        )
    if video.rotation_deg and not _can_be_turned(facts, video):
        return (
            f"The video is to be turned by {video.rotation_deg}° when it plays, which the encoder "
            "cannot do with this kind of file; it would come out the wrong way up."
        )
    if facts.video_tracks > 1:
        return f"The file holds {facts.video_tracks} video tracks and only one would survive."
    for track in facts.audio:
        if passes(track) or track.channels in AAC_MODES:
            continue
        if not track.channels:
            return f"Audio track {track.number} is of a kind we cannot read, so it would be lost."
        return (
            f"Audio track {track.number} has {track.channels} channels, which AAC in MP4 cannot "
            "keep as they are."
        )
    bits, rate = bits_per_pixel(facts, video), source_bps(facts, video)
    starved = bits is not None and bits < efficient_bits(video.codec, preset.codec)
    if starved or (rate is not None and rate < MIN_BITRATE_BPS):
        return "The video is already compressed as far as it goes; another pass would not pay."
    return None


def _would_be_too_low(video: VideoTrack) -> bool:
    """Whether fitting its long side would push its short side below the floor."""
    short, long = sorted((video.width, video.height))
    return (
        long > MAX_LONG_SIDE_PX
        and short * MAX_LONG_SIDE_PX < min(short, SHORT_SIDE_FLOOR_PX) * long
    )


def _can_be_turned(facts: MediaFacts, video: VideoTrack) -> bool:
    return (
        video.rotation_deg in (90, 180, 270)
        and facts.container in TURNING_CONTAINERS
        and video.chroma != UNTURNABLE_CHROMA
        and not video.interlaced
    )
