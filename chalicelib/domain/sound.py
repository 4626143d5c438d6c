"""What happens to the audio tracks: every one is kept as a track of its own."""

from __future__ import annotations

from chalicelib.domain.media import AudioTrack, MediaFacts
from chalicelib.domain.plan import AudioPlan, Plan

#: What a passed-through track of unknown bitrate is taken to have.
USUAL_SOUND_BPS = 192_000
#: Tracks that MP4 can carry over untouched. Dolby's are made AAC all the same, which everything
#: plays, unless AAC would cost channels or the objects of Atmos.
#: Source: AudioCodec PASSTHROUGH in
#: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html
PASSTHROUGH_CODECS, DOLBY_CODECS = ("AAC",), ("AC3", "EAC3")
#: channels: (coding mode, bitrate). Source: the AAC table of
#: https://docs.aws.amazon.com/mediaconvert/latest/ug/aac-support.html; the rates are generous ones.
AAC_MODES = {
    1: ("CODING_MODE_1_0", 128_000),
    2: ("CODING_MODE_2_0", 256_000),
    6: ("CODING_MODE_5_1", 512_000),
}
#: The table lists 5.1 at 48 kHz only.
AAC_RATES_HZ = {1: (44_100, 48_000), 2: (44_100, 48_000), 6: (48_000,)}


def passes(track: AudioTrack) -> bool:
    """Whether a track is carried over untouched."""
    if track.codec in DOLBY_CODECS:
        return track.channels not in AAC_MODES or track.objects > 0
    return track.codec in PASSTHROUGH_CODECS


def audio_plan(track: AudioTrack) -> AudioPlan:
    if passes(track):
        return AudioPlan(track=track.number, language=track.language)
    channels = track.channels or 2
    mode, bitrate_bps = AAC_MODES[channels]
    has_hz = track.sample_rate_hz
    rate_hz = has_hz if has_hz in AAC_RATES_HZ[channels] else 48_000
    return AudioPlan(
        track=track.number,
        language=track.language,
        coding_mode=mode,
        bitrate_bps=bitrate_bps,
        sample_rate_hz=rate_hz,
    )


def sound_bps(plan: Plan, facts: MediaFacts) -> float:
    """Of all audio tracks of the result."""
    known = {track.number: track.bitrate_bps for track in facts.audio}
    return float(sum(a.bitrate_bps or known.get(a.track) or USUAL_SOUND_BPS for a in plan.audio))
