"""What holds for a plan whatever the source.

Hardly any source drawn at random is worth an encode, so the properties of encodes draw from sources
that nearly all are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.config import all_presets
from chalicelib.domain.attempts import aimed_higher
from chalicelib.domain.media import AudioTrack, MediaFacts, VideoTrack
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.planner import make_plan
from chalicelib.domain.preset import Preset
from tests.examples import a_preset, a_sound, a_workflow

quick = settings(deadline=None)

sides = st.integers(0, 10_000) | st.sampled_from([31, 32, 719, 720, 721, 1080, 2160, 4096, 4097])
presets = st.sampled_from(list(all_presets().values())) | st.builds(
    replace,
    st.just(a_preset("fixed")),
    max_short_side_px=st.integers(1, 5000),
    max_bitrate_fixed=st.booleans(),
)
seconds = st.none() | st.floats(0.001, 1e6)
videos = st.builds(
    VideoTrack,
    codec=st.sampled_from(["AVC", "HEVC", "UNKNOWN"]),
    width=sides,
    height=sides,
    frame_rate=st.none() | st.floats(0.01, 1000),
    duration_s=seconds,
    bitrate_bps=st.none() | st.integers(0, 10**10),
    bit_depth=st.sampled_from([None, 8, 10]),
    chroma=st.sampled_from([None, "4:2:0", "4:2:2", "4:4:4"]),
    rotation_deg=st.sampled_from([0, 0, 90, 180, 270, 45]),
    interlaced=st.sampled_from([False, False, False, True]),
    hdr=st.sampled_from([None, None, None, "HLG"]),
)
sounds = st.builds(
    AudioTrack,
    number=st.just(1),
    codec=st.sampled_from(["AAC", "AAC", "PCM", "UNKNOWN"]),
    channels=st.sampled_from([None, 1, 2, 2, 6, 8]),
    sample_rate_hz=st.sampled_from([None, 8_000, 44_100, 48_000, 96_000]),
    language=st.none() | st.text(max_size=4),
)

carried_sounds = sounds.filter(lambda track: track.codec == "AAC" or track.channels in (1, 2, 6))


@st.composite
def all_facts(draw: st.DrawFn) -> MediaFacts:
    drawn = draw(st.lists(sounds, max_size=4))
    return MediaFacts(
        container=draw(st.sampled_from(["mp4", "quicktime", "matroska", "webm", "", "unknown"])),
        duration_s=draw(seconds),
        size_bytes=draw(st.integers(1, 10**13)),
        video=draw(st.none() | videos | videos | videos),
        video_tracks=draw(st.sampled_from([1, 1, 1, 2])),
        audio=tuple(replace(track, number=n) for n, track in enumerate(drawn, start=1)),
        data_tracks=draw(st.integers(0, 3)),
    )


@dataclass(frozen=True)
class Encode:
    """A plan to encode, and what it was made from."""

    facts: MediaFacts
    video: VideoTrack
    preset: Preset
    plan: Plan

    def attempts(self) -> list[Plan]:
        """The plan and all that may follow it."""
        return chain(self.plan)


@st.composite
def encodes(draw: st.DrawFn) -> Encode:
    side = st.integers(32, 10_000) | st.sampled_from([32, 719, 720, 721, 1080, 2160, 4096, 4097])
    video = VideoTrack(
        codec="AVC",
        width=draw(side),
        height=draw(side),
        frame_rate=draw(st.none() | st.floats(0.5, 1000)),
        duration_s=draw(st.none() | st.floats(0.01, 1e5)),
        bitrate_bps=draw(st.none() | st.integers(1000, 10**10)),
        rotation_deg=draw(st.sampled_from([0, 90, 180, 270])),
    )
    duration_s = draw(st.floats(0.01, 1e5))
    pixels_per_s = video.width * video.height * (video.frame_rate or 30)
    bits = draw(st.floats(0.01, 8)) * pixels_per_s * (video.duration_s or duration_s)
    drawn = draw(st.lists(carried_sounds, max_size=4))
    facts = MediaFacts(
        container=draw(st.sampled_from(["mp4", "quicktime"])),
        duration_s=duration_s,
        size_bytes=math.ceil(bits / 8),
        video=video,
        video_tracks=1,
        audio=tuple(replace(track, number=n) for n, track in enumerate(drawn, start=1)),
        data_tracks=draw(st.integers(0, 3)),
    )
    preset = draw(presets)
    plan = make_plan(facts, preset, a_workflow())
    assume(plan.route in (Route.ENCODE, Route.SEARCH))
    return Encode(facts=facts, video=video, preset=preset, plan=plan)


def chain(plan: Plan) -> list[Plan]:
    plans = [plan]
    while (higher := aimed_higher(plans[-1], None, "too low")) is not None:
        plans.append(higher)
        assert len(plans) <= 10
    return plans


@quick
@given(all_facts(), presets)
def test_planning_is_repeatable_and_never_fails(facts: MediaFacts, preset: Preset) -> None:
    plan = make_plan(facts, preset, a_workflow())
    assert plan == make_plan(facts, preset, a_workflow())
    assert_readable(plan)


@quick
@given(encodes())
def test_an_encode_explains_itself(encode: Encode) -> None:
    assert_readable(encode.plan)
    assert len(encode.plan.reasons) >= 3


def assert_readable(plan: Plan) -> None:
    assert plan.reasons
    for sentence in (*plan.reasons, *plan.losses):
        assert sentence.endswith(".") and "None" not in sentence and " 0.0 " not in sentence


@quick
@given(all_facts(), presets)
def test_only_a_readable_video_is_encoded_or_kept(facts: MediaFacts, preset: Preset) -> None:
    if make_plan(facts, preset, a_workflow()).route is not Route.REJECT:
        assert facts.video is not None and facts.video.width > 0 and facts.video.height > 0
        is_timed = facts.video.duration_s or facts.duration_s
        assert is_timed or facts.container in ("matroska", "webm")


@quick
@given(encodes(), st.sampled_from(["hdr", "interlaced", "second video", "channels", "turn"]))
def test_one_thing_the_encoder_would_spoil_is_enough_to_keep(encode: Encode, what: str) -> None:
    facts, video = encode.facts, encode.video
    spoilt = {
        "hdr": replace(facts, video=replace(video, hdr="Dolby Vision")),
        "interlaced": replace(facts, video=replace(video, interlaced=True, rotation_deg=180)),
        "second video": replace(facts, video_tracks=2),
        "channels": replace(facts, audio=(*facts.audio, a_sound(codec="PCM", channels=4))),
        "turn": replace(facts, video=replace(video, rotation_deg=90), container="matroska"),
    }[what]
    assert make_plan(spoilt, encode.preset, a_workflow()).route is Route.KEEP


@quick
@given(encodes())
def test_the_size_is_even_no_larger_and_within_the_encoders_bounds(encode: Encode) -> None:
    plan, video = encode.plan, encode.video
    assert plan.width and plan.height
    assert plan.width % 2 == 0 and plan.height % 2 == 0
    assert plan.width <= video.display_width and plan.height <= video.display_height
    assert max(plan.width, plan.height) <= 4096 and min(plan.width, plan.height) <= 2160


@quick
@given(encodes())
def test_the_picture_keeps_its_shape(encode: Encode) -> None:
    plan, video = encode.plan, encode.video
    assert plan.width and plan.height
    # One factor explains both sides: what is rounded to whole and then down to even pixels lies
    # between half a pixel below and one and a half above.
    sides = ((plan.width, video.display_width), (plan.height, video.display_height))
    least = max((after - 0.5) / before for after, before in sides)
    most = min((after + 1.5) / before for after, before in sides)
    assert least <= most


@quick
@given(encodes())
def test_the_short_side_stays_at_720_unless_the_source_is_smaller(encode: Encode) -> None:
    assert encode.plan.width and encode.plan.height
    smallest = min(720, min(encode.video.width, encode.video.height) // 2 * 2)
    assert min(encode.plan.width, encode.plan.height) >= smallest >= 32


@quick
@given(encodes())
def test_no_attempt_may_use_more_bits_than_the_source_has(encode: Encode) -> None:
    seconds = encode.video.duration_s or encode.facts.duration_s
    assert seconds
    source_bps = encode.video.bitrate_bps or encode.facts.size_bytes * 8 / seconds
    for attempt in encode.attempts():
        assert attempt.max_bitrate_bps
        assert 1_000 <= attempt.max_bitrate_bps <= min(source_bps, 1_152_000_000)


@quick
@given(encodes())
def test_no_attempt_widens_a_cap_the_preset_fixes(encode: Encode) -> None:
    if encode.preset.max_bitrate_fixed:
        for attempt in encode.attempts():
            assert attempt.max_bitrate_bps
            assert attempt.max_bitrate_bps <= encode.preset.max_bitrate_1080p30_bps


@quick
@given(encodes())
def test_attempts_climb_level_by_level_and_end_at_ten(encode: Encode) -> None:
    levels = [attempt.qvbr_level for attempt in encode.attempts()]
    caps = [attempt.max_bitrate_bps or 0 for attempt in encode.attempts()]
    assert levels == list(range(int(encode.preset.qvbr_level), 11))
    assert caps == sorted(caps)


@quick
@given(encodes())
def test_every_audio_track_is_carried_in_order(encode: Encode) -> None:
    given_tracks = [(track.number, track.language) for track in encode.facts.audio]
    for attempt in encode.attempts():
        assert [(track.track, track.language) for track in attempt.audio] == given_tracks


@quick
@given(encodes(), st.integers(0, 10**13))
def test_the_size_rule_spends_no_encode_on_smaller_files(encode: Encode, above: int) -> None:
    plan = make_plan(encode.facts, encode.preset, a_workflow(compress_above_bytes=above))
    assert (plan.route is Route.KEEP) == (encode.facts.size_bytes < above)
