"""A plan as a MediaConvert job: pure, and the only place that knows MediaConvert's settings.

Source of names and rules: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

from chalicelib.domain import dial
from chalicelib.domain.attempts import at_level
from chalicelib.domain.material import Handling
from chalicelib.domain.media import Light
from chalicelib.domain.plan import AudioPlan, Plan
from chalicelib.domain.samples import Sample
from chalicelib.domain.search import Search

#: What `CustomLanguageCode` takes, less the codes that name no single language.
_LANGUAGE = re.compile(r"(?!und|mul|zxx|mis)[a-z]{3}")
#: Source: "we recommend using 7 or 15", Av1Settings in the API reference.
AV1_B_FRAMES = 7


def job_settings(
    plan: Plan, *, source_url: str, destination_url: str, metrics: tuple[str, ...] = ("SSIM",)
) -> dict[str, Any]:
    """The `Settings` of a CreateJob request in boto3's spelling.

    Args:
        source_url: `s3://bucket/key` of the source.
        destination_url: `s3://bucket/prefix/name` without the extension `.mp4`.
        metrics: per-frame metrics the encoder reports beside the output.
    """
    outputs = [_output(plan, metrics, [_audio(audio) for audio in plan.audio])]
    return _settings(_input(plan, source_url), outputs, destination_url)


def search_settings(
    plan: Plan,
    search: Search,
    *,
    source_url: str,
    destination_url: str,
    frame_rate: float | None,
) -> dict[str, Any]:
    """The `Settings` of the job that encodes a search's samples: strung together, without sound,
    one output per level.

    Args:
        destination_url: as above; each output's name goes on with its `modifier`.
        frame_rate: of the source; timecodes count its frames.
    """
    source = _input(replace(plan, audio=()), source_url)
    source["InputClippings"] = [_clipping(sample, frame_rate) for sample in search.samples]
    outputs = [
        {
            **_output(at_level(plan, level), (search.metric,), []),
            "NameModifier": modifier(level),
        }
        for level in search.levels
    ]
    return _settings(source, outputs, destination_url)


def modifier(level: float) -> str:
    """What a level's output is called by: `-l733` for 7.33."""
    return f"-l{round(100 * level):03d}"


def timecode(seconds: float, frame_rate: float | None) -> str:
    """The timecode of the frame at a time, counted without drops: 29.97 counts 30 a second.

    Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/timecode-input.html; the pattern of
    StartTimecode in the API's model leaves two digits to the frame.
    """
    rate = frame_rate or 30.0
    base = math.ceil(rate - 0.001)
    whole, frame = divmod(round(seconds * rate), base)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}:{min(frame, 99):02d}"


def _clipping(sample: Sample, frame_rate: float | None) -> dict[str, str]:
    """The end is the last frame that is still in."""
    last_s = sample.end_s - 1 / (frame_rate or 30.0)
    return {
        "StartTimecode": timecode(sample.start_s, frame_rate),
        "EndTimecode": timecode(last_s, frame_rate),
    }


def _settings(
    source: dict[str, Any], outputs: list[dict[str, Any]], destination_url: str
) -> dict[str, Any]:
    return {
        "TimecodeConfig": {"Source": "ZEROBASED"},
        "Inputs": [source],
        "OutputGroups": [
            {
                "Name": "File Group",
                "OutputGroupSettings": {
                    "Type": "FILE_GROUP_SETTINGS",
                    "FileGroupSettings": {"Destination": destination_url},
                },
                "Outputs": outputs,
            }
        ],
    }


def _input(plan: Plan, source_url: str) -> dict[str, Any]:
    return {
        "FileInput": source_url,
        "TimecodeSource": "ZEROBASED",
        "VideoSelector": {"Rotate": "AUTO", **_light(plan.handling.light)},
        "AudioSelectors": {
            _selector(audio): {"SelectorType": "TRACK", "Tracks": [audio.track]}
            for audio in plan.audio
        },
    }


def _light(light: Light | None) -> dict[str, Any]:
    """HDR10's static metadata as Probe found it, for where it is in the container only: what the
    picture itself says goes first.

    Source: ColorSpaceUsage and Hdr10Metadata of VideoSelector in the API reference.
    """
    if light is None:
        return {}
    corners = ("RedPrimary", "GreenPrimary", "BluePrimary", "WhitePoint")
    names = [f"{corner}{axis}" for corner in corners for axis in "XY"]
    return {
        "ColorSpace": "HDR10",
        "ColorSpaceUsage": "FALLBACK",
        "Hdr10Metadata": {
            **dict(zip(names, light.primaries, strict=True)),
            "MaxLuminance": light.max_luminance,
            "MinLuminance": light.min_luminance,
            "MaxContentLightLevel": light.max_content,
            "MaxFrameAverageLightLevel": light.max_frame_average,
        },
    }


def _output(plan: Plan, metrics: tuple[str, ...], sound: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "ContainerSettings": {
            "Container": "MP4",
            "Mp4Settings": {"MoovPlacement": "PROGRESSIVE_DOWNLOAD"},
        },
        "VideoDescription": _video(plan, metrics),
        "AudioDescriptions": sound,
    }


def _video(plan: Plan, metrics: tuple[str, ...]) -> dict[str, Any]:
    description: dict[str, Any] = {
        "ScalingBehavior": "FIT_NO_UPSCALE",
        "VideoPreprocessors": _preprocessors(plan.handling),
        "CodecSettings": {"Codec": plan.codec, **_codec(plan, metrics)},
    }
    if plan.scaled:
        # The plan's size is final: smaller, even, and in shape. How FIT_NO_UPSCALE would round
        # inside that box is not documented, and one pixel less could pass the 720 floor.
        description |= {
            "Width": plan.width,
            "Height": plan.height,
            "ScalingBehavior": "STRETCH_TO_OUTPUT",
        }
    return description


def _preprocessors(handled: Handling) -> dict[str, Any]:
    # Unless told otherwise MediaConvert smooths the picture before it encodes.
    wanted: dict[str, Any] = {"NoiseReducer": {"Filter": "NONE"}}
    if handled.deinterlace:
        # NORMAL leaves pictures alone that are marked as progressive.
        wanted["Deinterlacer"] = {
            "Mode": "DEINTERLACE",
            "Control": "NORMAL",
            "Algorithm": "INTERPOLATE",
        }
    if handled.tone_map:
        wanted["ColorCorrector"] = {
            "ColorSpaceConversion": "FORCE_709",
            "HdrToSdrToneMapper": "PRESERVE_DETAILS",
        }
    return wanted


def _codec(plan: Plan, metrics: tuple[str, ...]) -> dict[str, Any]:
    """Each codec has settings of its own, and AV1 fewer than the others."""
    shared: dict[str, Any] = {
        "RateControlMode": "QVBR",
        "QvbrSettings": _qvbr(plan),
        "MaxBitrate": plan.max_bitrate_bps,
        **_frame_rate(plan),
        "PerFrameMetrics": list(metrics),
    }
    if plan.codec == "AV1":
        # No key frame interval of its own choosing: it counts frames, best 1 + (B + 1) * x.
        rate = float(Fraction(plan.frame_rate)) if plan.frame_rate else 30.0
        gop = 1 + (AV1_B_FRAMES + 1) * max(1, round(5 * rate / (AV1_B_FRAMES + 1)))
        own: dict[str, Any] = {"GopSize": gop, "NumberBFramesBetweenReferenceFrames": AV1_B_FRAMES}
        if plan.handling.ten_bit:
            own["BitDepth"] = "BIT_10"
        return {"Av1Settings": shared | own}
    both = shared | {
        "QualityTuningLevel": plan.tuning,
        "SceneChangeDetect": "TRANSITION_DETECTION",
        **_pixel_aspect(plan.handling.pixel_aspect),
        "GopSizeUnits": "AUTO",
    }
    if plan.codec == "H_265":
        # Apple plays HVC1 only; the service's default is HEV1.
        deep = {"CodecProfile": "MAIN10_MAIN"} if plan.handling.ten_bit else {}
        return {"H265Settings": both | {"WriteMp4PackagingType": "HVC1"} | deep}
    return {"H264Settings": both}


def _qvbr(plan: Plan) -> dict[str, Any]:
    level, fine_tune = dial.parts(plan.qvbr_level) if plan.qvbr_level is not None else (None, 0.0)
    settings: dict[str, Any] = {"QvbrQualityLevel": level}
    if fine_tune:
        settings["QvbrQualityLevelFineTune"] = fine_tune
    if plan.max_average_bps is not None:
        settings["MaxAverageBitrate"] = plan.max_average_bps
    return settings


def _pixel_aspect(told: str | None) -> dict[str, Any]:
    if told is None:
        return {"ParControl": "INITIALIZE_FROM_SOURCE"}
    wide, high = told.split(":")
    return {"ParControl": "SPECIFIED", "ParNumerator": int(wide), "ParDenominator": int(high)}


def _frame_rate(plan: Plan) -> dict[str, Any]:
    if plan.frame_rate is None:
        return {"FramerateControl": "INITIALIZE_FROM_SOURCE"}
    rate = Fraction(plan.frame_rate)
    return {
        "FramerateControl": "SPECIFIED",
        "FramerateNumerator": rate.numerator,
        "FramerateDenominator": rate.denominator,
    }


def _audio(audio: AudioPlan) -> dict[str, Any]:
    description: dict[str, Any] = {
        "AudioSourceName": _selector(audio),
        "LanguageCodeControl": "FOLLOW_INPUT",
        "CodecSettings": _audio_codec(audio),
    }
    if audio.language and _LANGUAGE.fullmatch(audio.language):
        description["CustomLanguageCode"] = audio.language
    return description


def _audio_codec(audio: AudioPlan) -> dict[str, Any]:
    if audio.bitrate_bps is None:
        return {"Codec": "PASSTHROUGH"}
    return {
        "Codec": "AAC",
        "AacSettings": {
            "RateControlMode": "CBR",
            "CodecProfile": "LC",
            "CodingMode": audio.coding_mode,
            "SampleRate": audio.sample_rate_hz,
            "Bitrate": audio.bitrate_bps,
        },
    }


def _selector(audio: AudioPlan) -> str:
    return f"Audio Selector {audio.track}"
