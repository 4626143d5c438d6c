"""The CreateJob settings a plan becomes, held against botocore's model of the service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.config import all_presets
from chalicelib.domain.attempts import aimed_higher
from chalicelib.domain.encoding import job_settings, search_settings, timecode
from chalicelib.domain.media import AudioTrack, MediaFacts, VideoTrack
from chalicelib.domain.plan import AudioPlan, Plan, Route
from chalicelib.domain.planner import make_plan
from slimreel.local.mediaconvert import rules, supported
from tests.examples import a_plan, a_sound, a_video, a_workflow, some_facts

SOURCE = "s3://temp/jobs/0123456789abcdef0123/source.mov"
DESTINATION = "s3://temp/jobs/0123456789abcdef0123/a1/encoded"

#: AAC LC at constant bitrate: lowest and highest bit/s by coding mode and sample rate.
#: Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/aac-support.html
AAC_LC_BPS = {
    ("CODING_MODE_1_0", 44_100): (56_000, 256_000),
    ("CODING_MODE_1_0", 48_000): (56_000, 288_000),
    ("CODING_MODE_2_0", 44_100): (64_000, 512_000),
    ("CODING_MODE_2_0", 48_000): (64_000, 576_000),
    ("CODING_MODE_5_1", 48_000): (256_000, 768_000),
}
#: Source: the AacSettings$Bitrate text of the service model.
AAC_STEPS_BPS = (
    *(6000, 8000, 10000, 12000, 14000, 16000, 20000, 24000, 28000, 32000, 40000, 48000, 56000),
    *(64000, 80000, 96000, 112000, 128000, 160000, 192000, 224000, 256000, 288000, 320000),
    *(384000, 448000, 512000, 576000, 640000, 768000, 896000, 1024000),
)


def built(plan: Plan) -> dict[str, Any]:
    return job_settings(plan, source_url=SOURCE, destination_url=DESTINATION)


def the_output(plan: Plan) -> dict[str, Any]:
    ((output,),) = [group["Outputs"] for group in built(plan)["OutputGroups"]]
    return dict(output)


def the_video(plan: Plan) -> dict[str, Any]:
    return dict(the_output(plan)["VideoDescription"])


def the_h264(plan: Plan) -> dict[str, Any]:
    return dict(the_video(plan)["CodecSettings"]["H264Settings"])


# the service's own model


@cache
def create_job() -> Any:
    session = botocore.session.get_session()
    return session.get_service_model("mediaconvert").operation_model("CreateJob").input_shape


def request_problems(plan: Plan) -> list[str]:
    """What boto3 and then the service would say to a CreateJob with these settings."""
    request = {"Role": "arn:aws:iam::123456789012:role/encoder", "Settings": built(plan)}
    report = ParamValidator().validate(request, create_job())
    if report.has_errors():
        return [report.generate_report()]
    return list(_problems(create_job(), request, ""))


def _problems(shape: Any, value: Any, at: str) -> Iterator[str]:
    """What boto3 leaves to the service: maximums, enums and patterns."""
    highest = shape.metadata.get("max")
    if shape.type_name == "structure":
        for name, part in value.items():
            yield from _problems(shape.members[name], part, f"{at}/{name}")
    elif shape.type_name == "map":
        for name, part in value.items():
            yield from _problems(shape.key, name, f"{at}/{name}")
            yield from _problems(shape.value, part, f"{at}/{name}")
    elif shape.type_name == "list":
        if highest is not None and len(value) > highest:
            yield f"{at}: more than {highest}"
        for number, part in enumerate(value):
            yield from _problems(shape.member, part, f"{at}/{number}")
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"{at}: {value!r} is none of {shape.enum}"
        # The service's engine takes `$` for the very end, Python's also for before a last newline.
        pattern = shape.metadata.get("pattern", "").replace("$", r"\Z")
        if pattern and not re.search(pattern, value):
            yield f"{at}: {value!r} does not match {pattern}"
        if highest is not None and len(value) > highest:
            yield f"{at}: longer than {highest}"
    elif highest is not None and value > highest:
        yield f"{at}: {value} is above {highest}"


@pytest.mark.parametrize(
    ("change", "piece"),
    [
        ({"qvbr_level": 11}, "above 10"),
        ({"qvbr_level": 0}, "QvbrQualityLevel"),
        ({"max_bitrate_bps": 2_000_000_000}, "above 1152000000"),
        ({"max_bitrate_bps": 999}, "MaxBitrate"),
        ({"tuning": "BEST"}, "'BEST' is none of"),
        ({"scaled": True, "width": 9000}, "above 8192"),
        ({"scaled": True, "width": 30}, "Width"),
        ({"qvbr_level": None}, "QvbrQualityLevel"),
        (
            {
                "audio": (
                    AudioPlan(track=1, coding_mode="7.1", bitrate_bps=6000, sample_rate_hz=8000),
                )
            },
            "'7.1' is none of",
        ),
    ],
)
def test_the_check_itself_finds_bad_settings(change: dict[str, Any], piece: str) -> None:
    assert any(piece in problem for problem in request_problems(a_plan(**change)))


tracks = st.builds(
    AudioTrack,
    number=st.just(1),
    codec=st.sampled_from(["AAC", "PCM", "AC3", "MP3", "UNKNOWN"]),
    channels=st.sampled_from([None, 1, 2, 6]),
    sample_rate_hz=st.sampled_from([None, 8_000, 44_100, 48_000, 96_000, 192_000]),
    language=st.none()
    | st.text(max_size=5)
    | st.sampled_from(["eng", "und", "eng\n", "en", "ENG"]),
)
videos = st.builds(
    VideoTrack,
    codec=st.just("AVC"),
    width=st.integers(32, 9000),
    height=st.integers(32, 9000),
    frame_rate=st.none() | st.floats(0.1, 1000),
    duration_s=st.none() | st.floats(0.01, 1000),
    bitrate_bps=st.none() | st.integers(1000, 4_000_000_000),
    rotation_deg=st.sampled_from([0, 90, 180, 270]),
)


@st.composite
def encode_plans(draw: st.DrawFn) -> Plan:
    sound = draw(st.lists(tracks, max_size=4))
    facts = MediaFacts(
        container="mp4",
        duration_s=draw(st.floats(0.01, 1000)),
        size_bytes=draw(st.integers(2**27, 5 * 2**40)),
        video=draw(videos),
        video_tracks=1,
        audio=tuple(
            AudioTrack(
                number=number,
                codec=track.codec,
                channels=track.channels,
                sample_rate_hz=track.sample_rate_hz,
                language=track.language,
            )
            for number, track in enumerate(sound, start=1)
        ),
        data_tracks=0,
    )
    plan = make_plan(facts, draw(st.sampled_from(list(all_presets().values()))), a_workflow())
    assume(plan.route in (Route.ENCODE, Route.SEARCH))
    plan = replace(plan, route=Route.ENCODE, search=None)
    for _ in range(draw(st.integers(0, 4))):
        plan = aimed_higher(plan, None, "too low") or plan
    return plan


@settings(deadline=None)
@given(encode_plans())
def test_every_plan_to_encode_is_a_request_the_service_takes(plan: Plan) -> None:
    assert request_problems(plan) == []


@settings(deadline=None)
@given(encode_plans())
def test_aac_stays_within_the_services_table(plan: Plan) -> None:
    for track in plan.audio:
        if track.bitrate_bps is None:
            continue
        assert track.bitrate_bps in AAC_STEPS_BPS
        assert track.sample_rate_hz in (44_100, 48_000)
        bounds = AAC_LC_BPS.get((track.coding_mode or "", track.sample_rate_hz))
        assert bounds is None or bounds[0] <= track.bitrate_bps <= bounds[1]


# what was promised


def test_the_picture_is_qvbr_under_a_cap() -> None:
    h264 = the_h264(a_plan())
    assert h264["RateControlMode"] == "QVBR"
    assert h264["QvbrSettings"] == {"QvbrQualityLevel": 8}
    assert h264["MaxBitrate"] == 10_000_000
    assert "Bitrate" not in h264  # QVBR with a bitrate is refused
    assert the_video(a_plan())["CodecSettings"]["Codec"] == "H_264"


@pytest.mark.parametrize("tuning", ["SINGLE_PASS_HQ", "MULTI_PASS_HQ"])
def test_the_tuning_is_the_presets(tuning: str) -> None:
    assert the_h264(a_plan(tuning=tuning))["QualityTuningLevel"] == tuning


def test_frame_rate_and_pixel_shape_follow_the_source() -> None:
    h264 = the_h264(a_plan())
    assert h264["FramerateControl"] == "INITIALIZE_FROM_SOURCE"
    assert h264["ParControl"] == "INITIALIZE_FROM_SOURCE"


def test_a_planned_frame_rate_is_asked_for_exactly() -> None:
    plan = a_plan(frame_rate="60000/1001")
    h264 = the_h264(plan)
    assert h264["FramerateControl"] == "SPECIFIED"
    assert (h264["FramerateNumerator"], h264["FramerateDenominator"]) == (60000, 1001)
    assert list(request_problems(plan)) == []


def test_pictures_are_turned_upright() -> None:
    (source,) = built(a_plan())["Inputs"]
    assert source["VideoSelector"]["Rotate"] == "AUTO"
    assert source["FileInput"] == SOURCE


def test_a_size_that_is_kept_is_never_enlarged() -> None:
    video = the_video(a_plan())
    assert video["ScalingBehavior"] == "FIT_NO_UPSCALE"
    assert "Width" not in video and "Height" not in video


def test_a_size_that_changes_is_exactly_the_planned_one() -> None:
    video = the_video(a_plan(scaled=True, width=1280, height=720))
    assert (video["Width"], video["Height"]) == (1280, 720)
    assert video["ScalingBehavior"] == "STRETCH_TO_OUTPUT"  # DEFAULT would add bars


def test_the_picture_is_not_smoothed_on_the_way() -> None:
    # Left alone, MediaConvert filters noise before it encodes.
    assert the_video(a_plan())["VideoPreprocessors"] == {"NoiseReducer": {"Filter": "NONE"}}


def test_the_result_is_one_mp4_at_the_destination() -> None:
    (group,) = built(a_plan())["OutputGroups"]
    assert group["OutputGroupSettings"]["FileGroupSettings"]["Destination"] == DESTINATION
    assert the_output(a_plan())["ContainerSettings"]["Container"] == "MP4"
    assert "Extension" not in the_output(a_plan())


def test_frames_are_scored_as_asked() -> None:
    assert the_h264(a_plan())["PerFrameMetrics"] == ["SSIM"]
    both = job_settings(
        a_plan(), source_url=SOURCE, destination_url=DESTINATION, metrics=("SSIM", "VMAF")
    )
    video = both["OutputGroups"][0]["Outputs"][0]["VideoDescription"]
    assert video["CodecSettings"]["H264Settings"]["PerFrameMetrics"] == ["SSIM", "VMAF"]


def test_every_track_has_a_selector_and_an_output_in_order() -> None:
    plan = a_plan(audio=tuple(AudioPlan(track=number) for number in (1, 2, 3)))
    names = ["Audio Selector 1", "Audio Selector 2", "Audio Selector 3"]
    (source,) = built(plan)["Inputs"]
    assert source["AudioSelectors"] == {
        name: {"SelectorType": "TRACK", "Tracks": [number]} for number, name in enumerate(names, 1)
    }
    assert [a["AudioSourceName"] for a in the_output(plan)["AudioDescriptions"]] == names


def test_untouched_sound_passes_through() -> None:
    (sound,) = the_output(a_plan())["AudioDescriptions"]
    assert sound["CodecSettings"] == {"Codec": "PASSTHROUGH"}


def test_other_sound_becomes_aac_with_all_the_service_wants() -> None:
    plan = make_plan(
        some_facts(audio=(a_sound(codec="PCM", channels=6),)),
        all_presets()["balanced"],
        a_workflow(),
    )
    (sound,) = the_output(plan)["AudioDescriptions"]
    assert sound["CodecSettings"] == {
        "Codec": "AAC",
        "AacSettings": {
            "RateControlMode": "CBR",
            "CodecProfile": "LC",
            "CodingMode": "CODING_MODE_5_1",
            "SampleRate": 48_000,
            "Bitrate": 512_000,
        },
    }


def test_a_silent_film_asks_for_no_sound() -> None:
    plan = a_plan(audio=())
    assert built(plan)["Inputs"][0]["AudioSelectors"] == {}
    assert the_output(plan)["AudioDescriptions"] == []
    assert request_problems(plan) == []


@pytest.mark.parametrize("language", ["eng", "deu", "ger", "qaa", "zho"])
def test_a_language_is_named_beside_following_the_input(language: str) -> None:
    plan = a_plan(audio=(AudioPlan(track=1, language=language),))
    (sound,) = the_output(plan)["AudioDescriptions"]
    assert sound["CustomLanguageCode"] == language
    assert sound["LanguageCodeControl"] == "FOLLOW_INPUT"


@pytest.mark.parametrize(
    "language",
    [None, "", "und", "mul", "zxx", "mis", "en", "ENG", "english", "eng\n", "en1", "ёнг", "e n"],
)
def test_what_names_no_language_is_left_out(language: str | None) -> None:
    plan = a_plan(audio=(AudioPlan(track=1, language=language),))
    (sound,) = the_output(plan)["AudioDescriptions"]
    assert "CustomLanguageCode" not in sound


def test_an_odd_source_asks_for_even_sizes() -> None:
    plan = make_plan(
        some_facts(video=a_video(width=1919, height=1079)), all_presets()["high"], a_workflow()
    )
    video = the_video(plan)
    assert (video["Width"], video["Height"]) == (1918, 1078)


# searches


def a_search_of(preset: str) -> Plan:
    plan = make_plan(some_facts(), all_presets()[preset], a_workflow())
    assert plan.route is Route.SEARCH and plan.search is not None
    return plan


def searched(plan: Plan, frame_rate: float | None = 25.0) -> dict[str, Any]:
    assert plan.search is not None
    return search_settings(
        plan, plan.search, source_url=SOURCE, destination_url=DESTINATION, frame_rate=frame_rate
    )


@pytest.mark.parametrize(
    ("preset", "codec", "settings"),
    [
        ("balanced", "H_264", "H264Settings"),
        ("balanced-hevc", "H_265", "H265Settings"),
        ("balanced-av1", "AV1", "Av1Settings"),
    ],
)
def test_one_job_encodes_all_samples_at_each_level(preset: str, codec: str, settings: str) -> None:
    plan = a_search_of(preset)
    made = searched(plan)
    assert list(_problems(create_job().members["Settings"], made, "")) == []
    report = ParamValidator().validate({"Role": "r", "Settings": made}, create_job())
    assert not report.has_errors(), report.generate_report()
    ((source,), (group,)) = made["Inputs"], made["OutputGroups"]
    assert source["AudioSelectors"] == {}
    assert len(source["InputClippings"]) == 10
    assert [output["NameModifier"] for output in group["Outputs"]] == ["-l200", "-l500"]
    for output, level in zip(group["Outputs"], (2, 5), strict=True):
        chosen = output["VideoDescription"]["CodecSettings"]
        assert chosen["Codec"] == codec
        assert chosen[settings]["QvbrSettings"] == {"QvbrQualityLevel": level}
        assert chosen[settings]["PerFrameMetrics"] == ["SSIM"]
        assert output["AudioDescriptions"] == []


def test_the_stand_in_takes_every_search() -> None:
    for preset in ("balanced", "balanced-hevc", "balanced-av1"):
        body = {
            "role": "arn:aws:iam::123456789012:role/e",
            "settings": wire(searched(a_search_of(preset))),
        }
        assert [str(found) for found in rules.check(body)] == []
        assert supported.not_done(body) == []


def wire(value: Any) -> Any:
    """boto3's spelling as it goes over the wire."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: wire(item) for name, item in value.items()}
    return [wire(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("seconds", "rate", "expected"),
    [
        (0.0, 25.0, "00:00:00:00"),
        (3661.2, 25.0, "01:01:01:05"),
        (10.0, 30000 / 1001, "00:00:10:00"),  # 29.97 counts 30 frames a second
        (2.0, None, "00:00:02:00"),
        (1.995, 200.0, "00:00:01:99"),  # two digits is all a frame has
    ],
)
def test_timecodes_count_frames(seconds: float, rate: float | None, expected: str) -> None:
    assert timecode(seconds, rate) == expected


def test_a_sample_ends_with_its_last_frame() -> None:
    [source] = searched(a_search_of("balanced"))["Inputs"]
    first = source["InputClippings"][0]
    assert first == {"StartTimecode": "00:00:03:00", "EndTimecode": "00:00:03:24"}


def test_a_level_between_whole_ones_is_fine_tuned() -> None:
    tuned = the_h264(a_plan(qvbr_level=7.67))["QvbrSettings"]
    assert tuned == {"QvbrQualityLevel": 7, "QvbrQualityLevelFineTune": 0.67}


def test_an_average_bitrate_comes_with_two_passes() -> None:
    plan = a_plan(max_average_bps=900_000, tuning="MULTI_PASS_HQ")
    assert request_problems(plan) == []
    assert the_h264(plan)["QvbrSettings"]["MaxAverageBitrate"] == 900_000


def test_hevc_is_written_as_apple_plays_it() -> None:
    plan = a_plan(codec="H_265")
    assert request_problems(plan) == []
    settings = the_video(plan)["CodecSettings"]["H265Settings"]
    assert settings["WriteMp4PackagingType"] == "HVC1"


def test_av1_has_only_the_settings_it_knows() -> None:
    plan = a_plan(codec="AV1", tuning=None)
    assert request_problems(plan) == []
    settings = the_video(plan)["CodecSettings"]["Av1Settings"]
    assert "QualityTuningLevel" not in settings
    assert (settings["GopSize"] - 1) % 8 == 0
