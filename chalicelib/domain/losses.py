"""What a result will lack of its source, said before it is encoded."""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.domain.media import MediaFacts, VideoTrack
from chalicelib.domain.picture import encoder_factor, even
from chalicelib.domain.sound import audio_plan


def losses(facts: MediaFacts, video: VideoTrack) -> Iterator[str]:
    """In sentences: of the picture first, then of the sound, then of all else."""
    yield from _picture_losses(video)
    yield from _sound_losses(facts)
    yield from _other_losses(facts)


def _picture_losses(video: VideoTrack) -> Iterator[str]:
    width, height = video.display_width, video.display_height
    factor = encoder_factor(width, height)
    if factor < 1.0:
        yield (
            f"The picture goes from {width}x{height} to {even(width * factor)}x"
            f"{even(height * factor)}, the largest the encoder makes."
        )
    if video.bit_depth and video.bit_depth > 8:
        yield f"{video.bit_depth}-bit colour becomes 8-bit."
    if video.chroma and video.chroma not in ("4:2:0", "420", "yuv420"):
        yield f"{video.chroma} colour sampling becomes 4:2:0."


def _sound_losses(facts: MediaFacts) -> Iterator[str]:
    """AAC throws something away, and some of these tracks were as recorded."""
    converted: dict[tuple[str, int], list[str]] = {}
    for track in facts.audio:
        planned = audio_plan(track)
        if planned.bitrate_bps:
            codec = "another format" if track.codec == "UNKNOWN" else track.codec
            numbers = converted.setdefault((codec, planned.bitrate_bps), [])
            numbers.append(str(track.number))
        planned_hz = planned.sample_rate_hz
        if planned_hz and track.sample_rate_hz and planned_hz < track.sample_rate_hz:
            yield (
                f"Audio track {track.number} goes from {track.sample_rate_hz / 1000:g} kHz "
                f"to {planned_hz / 1000:g} kHz."
            )
    for (codec, bitrate_bps), numbers in converted.items():
        tracks = "tracks" if len(numbers) > 1 else "track"
        yield (
            f"Audio {tracks} {', '.join(numbers)}: {codec} becomes AAC at "
            f"{bitrate_bps // 1000} kbit/s."
        )


def _other_losses(facts: MediaFacts) -> Iterator[str]:
    if facts.data_tracks:
        plural = "s" if facts.data_tracks > 1 else ""
        yield (
            f"{facts.data_tracks} data or subtitle track{plural} cannot be carried by the encoder."
        )
