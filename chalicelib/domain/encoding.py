"""A plan as a MediaConvert job: pure, and the only place that knows MediaConvert's settings.

Source of names and rules: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from chalicelib.domain.plan import AudioPlan, Plan

#: What `CustomLanguageCode` takes, less the codes that name no single language.
_LANGUAGE = re.compile(r"(?!und|mul|zxx|mis)[a-z]{3}")


def job_settings(
    plan: Plan, *, source_url: str, destination_url: str, metrics: tuple[str, ...] = ("SSIM",)
) -> dict[str, Any]:
    """The `Settings` of a CreateJob request in boto3's spelling.

    Args:
        source_url: `s3://bucket/key` of the source.
        destination_url: `s3://bucket/prefix/name` without the extension `.mp4`.
        metrics: per-frame metrics the encoder reports beside the output.
    """
    return {
        "TimecodeConfig": {"Source": "ZEROBASED"},
        "Inputs": [
            {
                "FileInput": source_url,
                "TimecodeSource": "ZEROBASED",
                "VideoSelector": {"Rotate": "AUTO"},
                "AudioSelectors": {
                    _selector(audio): {"SelectorType": "TRACK", "Tracks": [audio.track]}
                    for audio in plan.audio
                },
            }
        ],
        "OutputGroups": [
            {
                "Name": "File Group",
                "OutputGroupSettings": {
                    "Type": "FILE_GROUP_SETTINGS",
                    "FileGroupSettings": {"Destination": destination_url},
                },
                "Outputs": [
                    {
                        "ContainerSettings": {
                            "Container": "MP4",
                            "Mp4Settings": {"MoovPlacement": "PROGRESSIVE_DOWNLOAD"},
                        },
                        "VideoDescription": _video(plan, metrics),
                        "AudioDescriptions": [_audio(audio) for audio in plan.audio],
                    }
                ],
            }
        ],
    }


def _video(plan: Plan, metrics: tuple[str, ...]) -> dict[str, Any]:
    description: dict[str, Any] = {
        "ScalingBehavior": "FIT_NO_UPSCALE",
        # Unless told otherwise MediaConvert smooths the picture before it encodes.
        "VideoPreprocessors": {"NoiseReducer": {"Filter": "NONE"}},
        "CodecSettings": {
            "Codec": "H_264",
            "H264Settings": {
                "RateControlMode": "QVBR",
                "QvbrSettings": {"QvbrQualityLevel": plan.qvbr_level},
                "MaxBitrate": plan.max_bitrate_bps,
                "QualityTuningLevel": plan.tuning,
                "SceneChangeDetect": "TRANSITION_DETECTION",
                **_frame_rate(plan),
                "ParControl": "INITIALIZE_FROM_SOURCE",
                "GopSizeUnits": "AUTO",
                "PerFrameMetrics": list(metrics),
            },
        },
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
