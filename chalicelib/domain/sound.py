"""What happens to the audio tracks: every one is kept as a track of its own."""

from __future__ import annotations

from chalicelib.domain.media import AudioTrack, MediaFacts
from chalicelib.domain.plan import AudioPlan, Plan

#: What a passed-through track of unknown bitrate is taken to have.
USUAL_SOUND_BPS = 192_000
#: Tracks that MP4 can carry over untouched.
#: Source: AudioCodec PASSTHROUGH in
#: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html
PASSTHROUGH_CODECS = ("AAC",)
#: channels: (coding mode, bitrate). Source: the AAC table of
#: https://docs.aws.amazon.com/mediaconvert/latest/ug/aac-support.html; the rates are generous ones.
AAC_MODES = {
    1: ("CODING_MODE_1_0", 128_000),
    2: ("CODING_MODE_2_0", 256_000),
    6: ("CODING_MODE_5_1", 512_000),
}
AAC_RATES_HZ = (44_100, 48_000)


def audio_plan(track: AudioTrack) -> AudioPlan:
    if track.codec in PASSTHROUGH_CODECS:
        return AudioPlan(track=track.number, language=track.language)
    mode, bitrate_bps = AAC_MODES[track.channels or 2]
    rate_hz = track.sample_rate_hz if track.sample_rate_hz in AAC_RATES_HZ else 48_000
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
