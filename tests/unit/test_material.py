"""What is decided about hard material, before a cent is spent on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.config import all_presets
from chalicelib.domain.encoding import job_settings, search_settings
from chalicelib.domain.material import Handling
from chalicelib.domain.media import UNUSUAL_HDR, Light, MediaFacts
from chalicelib.domain.mp4 import Beside
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.planner import make_plan
from chalicelib.domain.preset import KINDS, Preset, presets
from tests.examples import a_preset, a_sound, a_video, a_workflow, some_facts

#: The display of most HDR10 masters: DCI-P3 with D65, 1000 cd/m².
LIGHT = Light(
    primaries=(34_000, 16_000, 13_250, 34_500, 7_500, 3_000, 15_635, 16_450),
    max_luminance=10_000_000,
    min_luminance=50,
    max_content=1000,
    max_frame_average=400,
)


def planned(facts: MediaFacts, preset: str | Preset = "balanced") -> Plan:
    wanted = a_preset(preset) if isinstance(preset, str) else preset
    return make_plan(facts, wanted, a_workflow())


def of(preset: str | Preset = "balanced", **video: Any) -> Plan:
    return planned(some_facts(video=a_video(**video)), preset)


def encodes(plan: Plan) -> bool:
    return plan.route in (Route.ENCODE, Route.SEARCH)


def sent(plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """The input's video selector and the output's video description."""
    settings = job_settings(plan, source_url="s3://b/in.mov", destination_url="s3://b/out")
    [source], [group] = settings["Inputs"], settings["OutputGroups"]
    [output] = group["Outputs"]
    return source["VideoSelector"], output["VideoDescription"]


# HDR


@pytest.mark.parametrize("hdr", ["HDR10", "HLG"])
def test_hevc_keeps_high_dynamic_range_in_ten_bits(hdr: str) -> None:
    plan = of("balanced-hevc", hdr=hdr, bit_depth=10)
    assert encodes(plan) and plan.losses == ()
    assert plan.handling == Handling(ten_bit=True, hdr=hdr)
    assert any(f"{hdr} (high dynamic range) stays {hdr}" in reason for reason in plan.reasons)
    selector, video = sent(plan)
    assert video["CodecSettings"]["H265Settings"]["CodecProfile"] == "MAIN10_MAIN"
    assert "ColorCorrector" not in video["VideoPreprocessors"]
    assert "ColorMetadata" not in video  # whose default is to insert it
    assert "ColorSpace" not in selector  # which follows the source


def test_static_metadata_goes_along_for_an_encoder_that_does_not_find_it() -> None:
    selector, _ = sent(of("balanced-hevc", hdr="HDR10", light=LIGHT))
    assert (selector["ColorSpace"], selector["ColorSpaceUsage"]) == ("HDR10", "FALLBACK")
    assert selector["Hdr10Metadata"]["GreenPrimaryY"] == 34_500
    assert selector["Hdr10Metadata"]["WhitePointX"] == 15_635
    assert selector["Hdr10Metadata"]["MaxContentLightLevel"] == 1000
    half = replace(LIGHT, max_content=None)
    assert "Hdr10Metadata" not in sent(of("balanced-hevc", hdr="HDR10", light=half))[0]


@pytest.mark.parametrize("hdr", ["HDR10", "HLG"])
def test_what_cannot_carry_high_dynamic_range_leaves_it_alone(hdr: str) -> None:
    for preset in all_presets().values():
        if preset.hdr == "keep":
            plan = of(preset, hdr=hdr, bit_depth=10)
            assert plan.route is Route.KEEP and hdr in plan.reasons[0]


@pytest.mark.parametrize("hdr", ["Dolby Vision", "HDR10+", UNUSUAL_HDR])
def test_dynamic_metadata_is_left_alone_by_every_preset(hdr: str) -> None:
    for preset in all_presets().values():
        plan = of(preset, hdr=hdr, bit_depth=10)
        assert plan.route is Route.KEEP and hdr in plan.reasons[0]


@pytest.mark.parametrize("hdr", ["HDR10", "HLG"])
def test_a_preset_may_ask_for_sdr_and_is_told_what_that_costs(hdr: str) -> None:
    plan = of("balanced-sdr", hdr=hdr, bit_depth=10, light=LIGHT)
    assert encodes(plan) and plan.handling == Handling(tone_map=True)
    assert (plan.ssim_floor, plan.ssim_worst_floor) == (0.80, 0.60)
    assert plan.target == a_preset("balanced-sdr").target  # which the search aims at all the same
    assert any(f"{hdr} becomes SDR" in loss for loss in plan.losses)
    selector, video = sent(plan)
    corrector = video["VideoPreprocessors"]["ColorCorrector"]
    assert corrector["ColorSpaceConversion"] == "FORCE_709"
    assert "Hdr10Metadata" not in selector


def test_sdr_is_never_mapped() -> None:
    plan = of("balanced-sdr")
    assert plan.handling == Handling() and plan.losses == ()


# colour


@pytest.mark.parametrize(
    ("preset", "depth", "lost"),
    [
        ("balanced", 10, "10-bit colour becomes 8-bit."),
        ("balanced-hevc", 10, None),
        ("balanced-av1", 10, None),
        ("balanced-hevc", 12, "12-bit colour becomes 10-bit."),
    ],
)
def test_ten_bits_stay_where_the_codec_has_them(preset: str, depth: int, lost: str | None) -> None:
    plan = of(preset, bit_depth=depth)
    assert plan.losses == ((lost,) if lost else ())
    assert plan.handling.ten_bit is (preset != "balanced")
    codec = sent(plan)[1]["CodecSettings"]
    assert (codec.get("H265Settings", {}).get("CodecProfile") == "MAIN10_MAIN") is (
        preset == "balanced-hevc"
    )
    assert (codec.get("Av1Settings", {}).get("BitDepth") == "BIT_10") is (preset == "balanced-av1")


# interlaced


def test_interlaced_film_is_deinterlaced_and_that_is_said() -> None:
    plan = of(interlaced=True)
    assert encodes(plan) and plan.handling.deinterlace
    assert any("half as many moments" in loss for loss in plan.losses)
    found = sent(plan)[1]["VideoPreprocessors"]["Deinterlacer"]
    assert (found["Mode"], found["Control"]) == ("DEINTERLACE", "NORMAL")


def test_progressive_film_meets_no_deinterlacer() -> None:
    for name in all_presets():
        plan = of(name)
        assert "Deinterlacer" not in sent(plan)[1]["VideoPreprocessors"]


def test_interlaced_film_is_left_alone_where_the_preset_says_so() -> None:
    plan = of(replace(a_preset(), interlaced="keep"), interlaced=True)
    assert plan.route is Route.KEEP and "interlaced" in plan.reasons[0]


def test_interlaced_film_that_is_turned_is_left_alone() -> None:
    assert of(interlaced=True, rotation_deg=90).route is Route.KEEP


def test_samples_are_treated_as_the_film_will_be() -> None:
    plan = of("balanced-hevc", interlaced=True, hdr="HDR10", light=LIGHT)
    assert plan.search is not None
    settings = search_settings(
        plan, plan.search, source_url="s3://b/in", destination_url="s3://b/out", frame_rate=25.0
    )
    assert settings["Inputs"][0]["VideoSelector"]["ColorSpace"] == "HDR10"
    for output in settings["OutputGroups"][0]["Outputs"]:
        video = output["VideoDescription"]
        assert "Deinterlacer" in video["VideoPreprocessors"]
        assert video["CodecSettings"]["H265Settings"]["CodecProfile"] == "MAIN10_MAIN"


# shape


def test_pixels_that_are_not_square_stay_so() -> None:
    plan = of(width=640, height=360, pixel_aspect="2:1", bitrate_bps=4_000_000)
    assert encodes(plan) and (plan.width, plan.height) == (640, 360)
    assert any("2:1" in reason for reason in plan.reasons)
    h264 = sent(plan)[1]["CodecSettings"]["H264Settings"]
    assert h264["ParControl"] == "INITIALIZE_FROM_SOURCE"


def test_turned_pixels_are_turned_too() -> None:
    h264 = sent(of(pixel_aspect="4:3", rotation_deg=90))[1]["CodecSettings"]["H264Settings"]
    assert h264["ParControl"] == "SPECIFIED"
    assert (h264["ParNumerator"], h264["ParDenominator"]) == (3, 4)


def test_av1_cannot_say_the_shape_of_a_pixel() -> None:
    plan = of("balanced-av1", pixel_aspect="2:1")
    assert plan.route is Route.KEEP and "not square (2:1)" in plan.reasons[0]


@pytest.mark.parametrize("turn", ["mirrored", "turned by an odd angle"])
def test_a_turn_that_the_encoder_does_not_know_keeps_the_original(turn: str) -> None:
    plan = planned(some_facts(odd_turn=turn))
    assert plan.route is Route.KEEP and turn in plan.reasons[0]


# sound


@pytest.mark.parametrize("channels", [3, 4, 5, 7, 8])
def test_dolbys_tracks_pass_where_aac_would_cost_channels(channels: int) -> None:
    plan = planned(some_facts(audio=(a_sound(codec="EAC3", channels=channels),)))
    assert encodes(plan) and plan.losses == ()
    assert plan.audio[0].bitrate_bps is None


def test_atmos_passes_and_plain_surround_becomes_aac() -> None:
    plain, atmos = (a_sound(codec="EAC3", channels=6, objects=n) for n in (0, 16))
    [made] = planned(some_facts(audio=(plain,))).audio
    assert made.coding_mode == "CODING_MODE_5_1"
    assert planned(some_facts(audio=(atmos,))).audio[0].coding_mode is None


def test_surround_sound_has_the_one_rate_that_the_encoder_lists() -> None:
    track = a_sound(codec="PCM", channels=6, sample_rate_hz=44_100)
    assert planned(some_facts(audio=(track,))).audio[0].sample_rate_hz == 48_000


# what is lost


def beside(*kinds: str) -> tuple[Beside, ...]:
    nouns = {"subtitles": "subtitle track", "timecode": "time code track"}
    return tuple(Beside(kind=kind, noun=nouns.get(kind, kind)) for kind in kinds)


def test_every_track_that_is_lost_is_named_beforehand() -> None:
    tracks = (
        Beside(kind="subtitles", noun="subtitle track", language="deu"),
        Beside(kind="subtitles", noun="subtitle track", language="eng"),
        Beside(kind="timecode", noun="time code track"),
        Beside(kind="chapters", noun="chapters"),
    )
    assert planned(some_facts(data_tracks=3, beside=tracks)).losses == (
        "Subtitle tracks (deu, eng), 2 of them, as the encoder writes none to MP4.",
        "Time code track, as the encoder writes none to MP4.",
        "Chapters, as the encoder writes none to MP4.",
    )


def test_tags_without_a_place_are_named_up_to_a_dozen() -> None:
    def lost(count: int) -> tuple[str, ...]:
        tags = (Beside(kind="tags", noun=f"T{n}") for n in range(count))
        return planned(some_facts(beside=tuple(tags))).losses

    assert lost(1) == ("Tag: T0.",)
    assert lost(2) == ("Tags: T0, T1.",)
    assert lost(14)[0].endswith("T10, T11 and 2 more.")


def test_tags_that_nobody_can_read_are_said_to_be_lost() -> None:
    [loss] = planned(some_facts(container="mxf")).losses
    assert loss.startswith("Date, title and other tags")


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("subtitles", some_facts(beside=beside("subtitles"))),
        ("subtitles", some_facts(data_tracks=1)),  # nobody knows which kind it is
        ("timecode", some_facts(beside=beside("timecode"))),
        ("chapters", some_facts(beside=beside("chapters"))),
        ("attachments", some_facts(beside=beside("attachments"))),
        ("data", some_facts(beside=beside("data"))),
        ("tags", some_facts(beside=beside("tags"))),
        ("tags", some_facts(container="avi")),
        ("hdr", some_facts(video=a_video(hdr="HLG", bit_depth=8))),
        ("depth", some_facts(video=a_video(bit_depth=10))),
        ("chroma", some_facts(video=a_video(chroma="4:2:2"))),
        ("fields", some_facts(video=a_video(interlaced=True))),
        ("size", some_facts(video=a_video(width=7680, height=4320))),
        ("sound", some_facts(audio=(a_sound(codec="PCM"),))),
    ],
)
def test_a_preset_may_rather_keep_the_original(kind: str, facts: MediaFacts) -> None:
    mild = replace(a_preset(), hdr="tone_map")
    assert encodes(planned(facts, mild)) and planned(facts, mild).losses
    others = tuple(other for other in KINDS if other != kind)
    if len(planned(facts, mild).losses) == 1 and not facts.data_tracks:
        assert encodes(planned(facts, replace(mild, keep_if_lost=others)))
    plan = planned(facts, replace(mild, keep_if_lost=(kind,)))
    assert plan.route is Route.KEEP
    assert plan.losses and plan.losses[0] in plan.reasons[0]


def test_a_plain_film_is_worth_the_strictest_preset() -> None:
    assert encodes(planned(some_facts(), "master"))


# presets


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hdr": "carry"}, "only H_265 carries HDR"),
        ({"hdr": "yes"}, "hdr is one of"),
        ({"interlaced": "no"}, "interlaced is one of"),
        ({"hdr": "tone_map", "metric": "VMAF", "vmaf_floor": 93}, "searched by SSIM only"),
        ({"keep_if_lost": ["subtitels"]}, "not subtitels"),
    ],
)
def test_a_preset_that_cannot_be_meant_is_refused(change: dict[str, Any], said: str) -> None:
    plain = {
        "about": "x",
        "ssim_floor": 0.9,
        "ssim_worst_floor": 0.8,
        "qvbr_level": 8,
        "max_bitrate_1080p30_bps": 5_000_000,
    }
    with pytest.raises(ValueError, match=said):
        presets({"mine": plain | change})


def test_the_basic_tier_does_for_everything_that_h264_handles() -> None:
    """Nothing that is done to hard material makes an encode a professional one by its own."""
    hard = some_facts(video=a_video(interlaced=True, hdr="HLG", pixel_aspect="4:3", frame_rate=120))
    plan = planned(hard, "balanced-sdr")
    assert encodes(plan) and not plan.professional_tier
