"""Bitrates: what the source has, what a result may have at most, and what it needs at least."""

from __future__ import annotations

from chalicelib.domain.media import MediaFacts, VideoTrack
from chalicelib.domain.picture import SHORT_SIDE_FLOOR_PX
from chalicelib.domain.plan import Plan
from chalicelib.domain.preset import Preset

#: What `MaxBitrate` takes.
#: Source: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html (H264Settings)
MIN_BITRATE_BPS, MAX_BITRATE_BPS = 1_000, 1_152_000_000
#: Below this many bits per pixel and frame a re-encode cannot save anything worth having: an
#: already starved H.264 stream of 1080p30 at this rate has 0.6 Mbit/s. (QVBR's lowest level takes
#: 0.0116 on ordinary films, docs/mediaconvert-stand-in.md.)
EFFICIENT_BITS_PER_PIXEL = 0.01
#: How many of H.264's bits a codec needs for the same picture, roughly.
#: Source: https://www.itu.int/en/ITU-T/about/groups/Documents/HEVC.pdf is the claim of a half;
#: encoders as sold reach two thirds (docs/quality.md has x265's and SVT-AV1's on our clips).
CODEC_BITS = {"HEVC": 0.65, "H_265": 0.65, "VP9": 0.65, "AV1": 0.5}
#: Below this many bits per pixel and frame not even a still picture keeps its looks.
LEAST_BITS_PER_PIXEL = 0.002


def source_bps(facts: MediaFacts, video: VideoTrack) -> int | None:
    """None where nobody knows."""
    duration_s = facts.picture_s
    known_bps = video.bitrate_bps or (facts.size_bytes * 8 / duration_s if duration_s else None)
    return None if known_bps is None else int(min(known_bps, MAX_BITRATE_BPS))


def bits_per_pixel(facts: MediaFacts, video: VideoTrack) -> float | None:
    """None where nobody knows how long the film is."""
    duration_s = facts.picture_s
    if duration_s is None:
        return None
    pixel_rate = video.width * video.height * (video.frame_rate or 30)
    return facts.size_bytes * 8 / duration_s / pixel_rate


def efficient_bits(codec: str, result_codec: str) -> float:
    """Bits per pixel of a source that a result cannot undercut.

    What a better codec has saved, a result in H.264 would have to spend again.
    """
    source, result = CODEC_BITS.get(codec, 1.0), CODEC_BITS.get(result_codec, 1.0)
    return EFFICIENT_BITS_PER_PIXEL * result / min(source, 1.0)


def preset_cap_bps(video: VideoTrack, preset: Preset, width: int, height: int) -> int:
    """The preset's cap for this picture size and frame rate.

    Source: bitrate grows with about the 0.75th power of the pixel rate at equal quality
    (Ben Waggoner's rule of thumb, "Compression for Great Video and Audio").
    """
    if preset.max_bitrate_fixed:
        return preset.max_bitrate_1080p30_bps
    pixel_rate = width * height * (video.frame_rate or 30)
    cap = preset.max_bitrate_1080p30_bps * (pixel_rate / (1920 * 1080 * 30)) ** 0.75
    return int(max(100_000, cap))


def least_bps(plan: Plan, facts: MediaFacts) -> float:
    """The picture's bitrate below which no encode is tried, at 720 lines or what the source has."""
    assert plan.width and plan.height and facts.video
    shrink = min(1.0, SHORT_SIDE_FLOOR_PX / min(plan.width, plan.height))
    pixels = plan.width * plan.height * shrink**2
    return LEAST_BITS_PER_PIXEL * pixels * (facts.video.frame_rate or 30)
