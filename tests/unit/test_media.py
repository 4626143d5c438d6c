"""Probe's answer read as facts; answers written as boto3 gives them."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from chalicelib.domain.errors import Rejected
from chalicelib.domain.media import UNUSUAL_HDR, Light, VideoTrack, facts_from_probe
from tests.examples import a_video, some_facts


def a_probe_result(**container: Any) -> dict[str, Any]:
    """A phone's MOV: turned HEVC, stereo AAC and a timed metadata track."""
    plain: dict[str, Any] = {
        "Format": "quicktime",
        "Duration": 12.5,
        "Tracks": [
            {
                "Index": 1,
                "TrackType": "video",
                "Codec": "HEVC",
                "Duration": 12.48,
                "VideoProperties": {
                    "Width": 1920,
                    "Height": 1080,
                    "FrameRate": {"Numerator": 30000, "Denominator": 1001},
                    "BitDepth": 8,
                    "BitRate": 15_000_000,
                    "Rotation": 90,
                    "TransferCharacteristics": "ITU_709",
                    "CodecMetadata": {"ChromaSubsampling": "4:2:0", "ScanType": "progressive"},
                },
            },
            {
                "Index": 2,
                "TrackType": "audio",
                "Codec": "AAC",
                "Duration": 12.5,
                "AudioProperties": {
                    "Channels": 2,
                    "SampleRate": 44_100,
                    "BitRate": 128_000,
                    "LanguageCode": "DEU",
                },
            },
            {"Index": 3, "TrackType": "data"},
        ],
    }
    return {"Container": plain | container}


def the_video(properties: dict[str, Any]) -> VideoTrack:
    track = {"TrackType": "video", "Codec": "HEVC", "VideoProperties": properties}
    video = facts_from_probe(a_probe_result(Tracks=[track]), 1).video
    assert video is not None
    return video


def test_the_example_is_what_the_service_may_send() -> None:
    model = botocore.session.get_session().get_service_model("mediaconvert")
    report = ParamValidator().validate(a_probe_result(), model.shape_for("ProbeResult"))
    assert not report.has_errors(), report.generate_report()


def test_a_phones_video_is_read_whole() -> None:
    facts = facts_from_probe(a_probe_result(), 23_000_000)
    assert (facts.container, facts.duration_s, facts.size_bytes) == ("quicktime", 12.5, 23_000_000)
    assert (facts.video_tracks, len(facts.audio), facts.data_tracks) == (1, 1, 1)
    assert facts.video == VideoTrack(
        codec="HEVC",
        width=1920,
        height=1080,
        frame_rate=30000 / 1001,
        duration_s=12.48,
        bitrate_bps=15_000_000,
        bit_depth=8,
        chroma="4:2:0",
        rotation_deg=90,
    )


def test_its_sound_is_read() -> None:
    (sound,) = facts_from_probe(a_probe_result(), 1).audio
    assert (sound.number, sound.codec, sound.channels) == (1, "AAC", 2)
    assert (sound.sample_rate_hz, sound.language, sound.duration_s) == (44_100, "deu", 12.5)


def test_a_turned_picture_is_told_as_it_is_seen() -> None:
    facts = facts_from_probe(a_probe_result(), 1)
    assert facts.resolution == "1080x1920"


@pytest.mark.parametrize(
    ("rotation", "seen"), [(0, "1920x1080"), (90, "1080x1920"), (180, "1920x1080")]
)
def test_half_turns_keep_the_shape(rotation: int, seen: str) -> None:
    assert some_facts(video=a_video(rotation_deg=rotation)).resolution == seen


@pytest.mark.parametrize("result", [{}, {"Container": None}, {"Metadata": {"FileSize": 3}}])
def test_an_answer_without_a_container_is_no_video(result: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="not a video we can read"):
        facts_from_probe(result, 3)


def test_every_field_may_be_missing() -> None:
    bare = a_probe_result(Format=None, Duration=None, Tracks=[{"TrackType": "video"}])
    facts = facts_from_probe(bare, 1)
    assert (facts.container, facts.duration_s) == ("unknown", None)
    assert facts.video == VideoTrack(codec="UNKNOWN", width=0, height=0)


def test_sound_alone_has_no_picture() -> None:
    facts = facts_from_probe(a_probe_result(Tracks=[{"TrackType": "audio", "Codec": "MP3"}]), 1)
    assert facts.video is None and facts.resolution is None
    assert facts.audio[0].codec == "MP3"


def test_audio_tracks_are_numbered_among_themselves() -> None:
    kinds = ["audio", "video", "data", "audio", "audio"]
    tracks = [{"Index": n, "TrackType": kind} for n, kind in enumerate(kinds, 1)]
    facts = facts_from_probe(a_probe_result(Tracks=tracks), 1)
    assert [sound.number for sound in facts.audio] == [1, 2, 3]


def test_two_video_tracks_are_counted_and_the_first_described() -> None:
    tracks = [
        {"TrackType": "video", "Codec": "AVC"},
        {"TrackType": "video", "Codec": "MJPEG"},
    ]
    facts = facts_from_probe(a_probe_result(Tracks=tracks), 1)
    assert facts.video_tracks == 2
    assert facts.video is not None and facts.video.codec == "AVC"


@pytest.mark.parametrize(
    ("properties", "hdr"),
    [
        ({"TransferCharacteristics": "SMPTE_2084"}, "HDR10"),
        ({"TransferCharacteristics": "ARIB_B67"}, "HLG"),
        ({"TransferCharacteristics": "ITU_709"}, None),
        ({"CodecMetadata": {"TransferCharacteristics": "SMPTE_2084"}}, "HDR10"),
        # The container may say nothing while the picture itself does.
        (
            {
                "TransferCharacteristics": "UNSPECIFIED",
                "CodecMetadata": {"TransferCharacteristics": "ARIB_B67"},
            },
            "HLG",
        ),
        ({"CodecMetadata": {"DolbyVision": {"Profile": 5}}}, "Dolby Vision"),
        # Dynamic metadata tells more than what the picture is built upon.
        (
            {
                "TransferCharacteristics": "ARIB_B67",
                "CodecMetadata": {"DolbyVision": {"Profile": 8}},
            },
            "Dolby Vision",
        ),
        (
            {
                "TransferCharacteristics": "SMPTE_2084",
                "CodecMetadata": {"Hdr10PlusPresence": "PRESENT"},
            },
            "HDR10+",
        ),
        (
            {"TransferCharacteristics": "SMPTE_2084", "ColorPrimaries": "ITU_2020"},
            "HDR10",
        ),
        (
            {"TransferCharacteristics": "SMPTE_2084", "ColorPrimaries": "SMPTE_EG_432_1"},
            UNUSUAL_HDR,
        ),
        ({}, None),
    ],
)
def test_high_dynamic_range_is_seen_wherever_it_is_said(
    properties: dict[str, Any], hdr: str | None
) -> None:
    assert the_video(properties).hdr == hdr


@pytest.mark.parametrize(
    ("codec", "interlaced"),
    [
        ({"ScanType": "interlaced"}, True),
        ({"ScanType": "Interlaced"}, True),
        ({"ScanType": "MBAFF"}, True),
        ({"FieldOrder": "TopFieldFirst"}, True),
        ({"ScanType": "progressive"}, False),
        ({}, False),
    ],
)
def test_interlaced_video_is_recognised(codec: dict[str, Any], interlaced: bool) -> None:
    assert the_video({"CodecMetadata": codec}).interlaced is interlaced


def test_the_codec_fills_in_what_the_container_leaves_out() -> None:
    codec = {"Width": 1280, "Height": 720, "BitDepth": 10, "Rotation": -90}
    video = the_video({"CodecMetadata": codec})
    assert (video.width, video.height, video.bit_depth) == (1280, 720, 10)
    assert video.rotation_deg == 270


@pytest.mark.parametrize(
    "rate", [None, {}, {"Numerator": 30}, {"Numerator": 30, "Denominator": 0}, {"Numerator": 0}]
)
def test_a_broken_frame_rate_is_unknown(rate: dict[str, int] | None) -> None:
    assert the_video({"FrameRate": rate}).frame_rate is None


@pytest.mark.parametrize("duration", [None, 0, 0.0, -1.0, float("nan")])
def test_a_length_that_is_none_is_unknown(duration: float | None) -> None:
    assert facts_from_probe(a_probe_result(Duration=duration), 1).duration_s is None


def test_static_metadata_is_read_from_container_and_picture() -> None:
    volume = {
        f"{corner}{axis}": number
        for number, (corner, axis) in enumerate(
            (corner, axis)
            for corner in ("RedPrimary", "GreenPrimary", "BluePrimary", "WhitePoint")
            for axis in "XY"
        )
    }
    volume |= {"MaxLuminance": 10_000_000, "MinLuminance": 1}
    level = {"MaxContentLightLevel": 1000, "MaxFrameAverageLightLevel": 400}
    whole = the_video(
        {"HdrMetadata": {"MasteringDisplayColorVolume": volume, "ContentLightLevel": level}}
    ).light
    assert whole == Light(
        primaries=(0, 1, 2, 3, 4, 5, 6, 7),
        max_luminance=10_000_000,
        min_luminance=1,
        max_content=1000,
        max_frame_average=400,
    )
    assert whole.is_whole
    half = the_video({"CodecMetadata": {"ContentLightLevel": level}}).light
    assert half is not None and not half.is_whole
    assert the_video({}).light is None


@pytest.mark.parametrize(
    ("properties", "aspect"),
    [
        ({"SampleAspectRatio": {"Numerator": 64, "Denominator": 45}}, "64:45"),
        ({"CodecMetadata": {"SampleAspectRatio": {"Numerator": 2, "Denominator": 1}}}, "2:1"),
        ({"SampleAspectRatio": {"Numerator": 1, "Denominator": 1}}, None),
        ({"SampleAspectRatio": {"Numerator": 0, "Denominator": 1}}, None),
        ({}, None),
    ],
)
def test_pixels_are_square_unless_it_is_said(
    properties: dict[str, Any], aspect: str | None
) -> None:
    assert the_video(properties).pixel_aspect == aspect
