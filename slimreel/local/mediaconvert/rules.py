"""What CreateJob refuses beyond the model: rules between settings, with the texts it was seen to
send where any were seen.

Sources: https://docs.aws.amazon.com/mediaconvert/latest/ug/aac-support.html,
https://docs.aws.amazon.com/mediaconvert/latest/ug/cbr-vbr-qvbr.html and the API reference. What
depends on the input file is not checked here; it ends the job instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slimreel.local.mediaconvert import levels
from slimreel.local.mediaconvert.validate import Violation

_SETTINGS_OF = {
    "AV1": "av1Settings",
    "FRAME_CAPTURE": "frameCaptureSettings",
    "GIF": "gifSettings",
    "H_264": "h264Settings",
    "H_265": "h265Settings",
    "MPEG2": "mpeg2Settings",
    "PRORES": "proresSettings",
    "VP8": "vp8Settings",
    "VP9": "vp9Settings",
}
_AUDIO_SETTINGS_OF = {"AAC": "aacSettings", "AC3": "ac3Settings", "EAC3": "eac3Settings"}
_GROUP_SETTINGS_OF = {
    "FILE_GROUP_SETTINGS": "fileGroupSettings",
    "HLS_GROUP_SETTINGS": "hlsGroupSettings",
    "DASH_ISO_GROUP_SETTINGS": "dashIsoGroupSettings",
    "MS_SMOOTH_GROUP_SETTINGS": "msSmoothGroupSettings",
    "CMAF_GROUP_SETTINGS": "cmafGroupSettings",
}

#: AAC LC bitrates by coding mode and sample rate, CBR, lowest and highest in bit/s.
_AAC_LC_RANGES = {
    ("CODING_MODE_1_0", 48000): (56_000, 288_000),
    ("CODING_MODE_2_0", 44100): (64_000, 512_000),
    ("CODING_MODE_2_0", 48000): (64_000, 576_000),
    ("CODING_MODE_5_1", 48000): (256_000, 768_000),
}

_METADATA_TEXT = re.compile(r"[\w .:/=+\-@]*\Z")
_MODE_CLASH = (
    "Your job contains values for the following settings that are incompatible: Rate control mode, "
    "Bitrate, and Max bitrate. Adjust your settings and resubmit your job. Some valid combinations "
    "of settings are these: Set Rate control mode to QVBR, specify a value for Max bitrate, and "
    "don't specify a value for Bitrate. Or, set Rate control mode to CBR, specify a value for "
    "Bitrate, and don't specify a value for Max bitrate."
)
_CBR_CLASH = (
    "You set Rate control mode to CBR but the settings values for Bitrate and Max bitrate aren't "
    "compatible with CBR. When you use CBR, you must specify a value for Bitrate and you must not "
    "specify a value for Max bitrate. Adjust your job settings and then resubmit your job."
)
_SEE_OTHERS = "Should match all dependencies: See other errors for more details"


def check(body: dict[str, Any]) -> Iterator[Violation]:
    """Every documented rule a CreateJob body breaks. The body already fits the model."""
    yield from _user_metadata(body.get("userMetadata") or {})
    token = body.get("clientRequestToken") or ""
    if len(token) > 64 or not token.isascii():
        yield _violation("/clientRequestToken", "Should be at most 64 characters long")
    settings = body["settings"]
    yield from _inputs(settings.get("inputs") or [])
    groups = settings.get("outputGroups") or []
    if not groups:
        yield _violation("/settings", "outputGroups is a required property")
    for number, group in enumerate(groups):
        yield from _group(group, f"/settings/outputGroups/{number}")


def _violation(pointer: str, rule: str) -> Violation:
    return Violation(pointer=pointer, rule=rule)


def _required(pointer: str, name: str) -> Violation:
    return _violation(pointer, f"{name} is a required property")


def _user_metadata(metadata: dict[str, str]) -> Iterator[Violation]:
    if len(metadata) > 10:
        yield _violation("/userMetadata", "Should have at most 10 properties")
    for key, value in metadata.items():
        pointer = f"/userMetadata/{key}"
        if len(key) > 128 or len(value) > 256:
            yield _violation(pointer, f"Should be at most {128 if len(key) > 128 else 256} "
                             "characters long")  # fmt: skip
        if key.lower().startswith("aws:"):
            yield _violation(pointer, "Should match the pattern: /^(?!aws:)/")
        if not (_METADATA_TEXT.match(key) and _METADATA_TEXT.match(value)):
            yield _violation(pointer, r"Should match the pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/")


def _inputs(inputs: list[dict[str, Any]]) -> Iterator[Violation]:
    if not inputs:
        yield _required("/settings", "inputs")
    if len(inputs) > 150:
        yield _violation("/settings/inputs", "Should have at most 150 items")
    for number, item in enumerate(inputs):
        if not item.get("fileInput"):
            yield _required(f"/settings/inputs/{number}", "fileInput")


def _group(group: dict[str, Any], pointer: str) -> Iterator[Violation]:
    settings = group.get("outputGroupSettings") or {}
    kind = settings.get("type")
    if kind is None:
        yield _required(f"{pointer}/outputGroupSettings", "type")
    else:
        name = _GROUP_SETTINGS_OF[kind]
        if not (settings.get(name) or {}).get("destination"):
            yield _required(f"{pointer}/outputGroupSettings/{name}", "destination")
    outputs = group.get("outputs") or []
    if not outputs:
        yield _required(pointer, "outputs")
    shared_metrics = settings.get("perFrameMetrics") or []
    for number, output in enumerate(outputs):
        where = f"{pointer}/outputs/{number}"
        if len(outputs) > 1 and not output.get("nameModifier"):
            yield _required(where, "nameModifier")
        yield from _output(output, where, shared_metrics)


def _output(output: dict[str, Any], pointer: str, shared_metrics: list[str]) -> Iterator[Violation]:
    if not (output.get("containerSettings") or {}).get("container") and not output.get("preset"):
        yield _required(f"{pointer}/containerSettings", "container")
    description = output.get("videoDescription")
    if description is not None:
        yield from _video(description, f"{pointer}/videoDescription", shared_metrics)
    for number, audio in enumerate(output.get("audioDescriptions") or []):
        yield from _audio(audio, f"{pointer}/audioDescriptions/{number}/codecSettings")


def _video(
    description: dict[str, Any], pointer: str, shared_metrics: list[str]
) -> Iterator[Violation]:
    codec_settings = description.get("codecSettings") or {}
    where = f"{pointer}/codecSettings"
    codec = codec_settings.get("codec")
    if codec is None:
        yield _required(where, "codec")
        return
    yield from _other_codecs(codec_settings, codec, _SETTINGS_OF, where)
    name = _SETTINGS_OF.get(codec)
    if codec in ("H_264", "H_265", "AV1") and name is not None:
        settings = codec_settings.get(name) or {}
        yield from _rate_control(settings, codec, f"{where}/{name}")
        yield from _rates_and_gop(settings, codec, f"{where}/{name}")
        metrics = [*(settings.get("perFrameMetrics") or []), *shared_metrics]
        if "QVBR" in metrics and settings.get("rateControlMode") != "QVBR":
            yield _violation(f"{where}/{name}/perFrameMetrics", _SEE_OTHERS)
            yield _violation(f"{where}/{name}/rateControlMode", "Must be QVBR")
    if codec == "H_264":
        yield from _baseline(codec_settings.get("h264Settings") or {}, f"{where}/h264Settings")
        yield from levels.check(description, pointer)


def _other_codecs(
    codec_settings: dict[str, Any], codec: str, names: dict[str, str], pointer: str
) -> Iterator[Violation]:
    """Settings of a codec other than the one chosen."""
    for other, name in names.items():
        if other != codec and codec_settings.get(name) is not None:
            yield _violation(f"{pointer}/{name}", _SEE_OTHERS)
            yield _violation(f"{pointer}/codec", f"Must be {other}")


def _rate_control(settings: dict[str, Any], codec: str, pointer: str) -> Iterator[Violation]:
    mode = settings.get("rateControlMode")
    bitrate, cap = settings.get("bitrate"), settings.get("maxBitrate")
    if mode is None:
        yield _required(pointer, "rateControlMode")
    elif mode == "QVBR":
        if bitrate is not None:
            yield _violation(pointer, _MODE_CLASH)
        elif cap is None:
            yield _required(pointer, "maxBitrate")
        yield from _qvbr(settings, codec, pointer)
    elif mode == "CBR" and cap is not None:
        yield _violation(pointer, _CBR_CLASH)
    elif bitrate is None:
        yield _required(pointer, "bitrate")
    if mode in ("CBR", "VBR") and settings.get("qvbrSettings"):
        yield _violation(f"{pointer}/qvbrSettings", _SEE_OTHERS)
        yield _violation(f"{pointer}/rateControlMode", "Must be QVBR")
    if mode == "VBR" and cap is not None and bitrate is not None and cap < bitrate:
        yield _violation(f"{pointer}/bitrate", f"Should be less than or equal to {cap}")


def _qvbr(settings: dict[str, Any], codec: str, pointer: str) -> Iterator[Violation]:
    asked = settings.get("qvbrSettings") or {}
    where = f"{pointer}/qvbrSettings"
    if not 0 <= asked.get("qvbrQualityLevelFineTune", 0) <= 1:
        bound = "greater than or equal to 0" if asked["qvbrQualityLevelFineTune"] < 0 else (
            "less than or equal to 1"
        )  # fmt: skip
        yield _violation(f"{where}/qvbrQualityLevelFineTune", f"Should be {bound}")
    if asked.get("maxAverageBitrate") is not None and codec != "AV1":
        # Documented as usable only so; the service's own text was not seen.
        if settings.get("qualityTuningLevel") != "MULTI_PASS_HQ":
            yield _violation(f"{where}/maxAverageBitrate", _SEE_OTHERS)
            yield _violation(f"{pointer}/qualityTuningLevel", "Must be MULTI_PASS_HQ")
        cap = settings.get("maxBitrate")
        if cap is not None and asked["maxAverageBitrate"] > cap:
            yield _violation(f"{where}/maxAverageBitrate", f"Should be less than or equal to {cap}")


def _rates_and_gop(settings: dict[str, Any], codec: str, pointer: str) -> Iterator[Violation]:
    for control, parts in (
        ("framerateControl", ("framerateNumerator", "framerateDenominator")),
        ("parControl", ("parNumerator", "parDenominator")),
    ):
        if settings.get(control) == "SPECIFIED":
            yield from (_required(pointer, p) for p in parts if settings.get(p) is None)
    size = settings.get("gopSize")
    if size is not None and size < 0:
        yield _violation(f"{pointer}/gopSize", "Should be greater than or equal to 0")
    if size is not None and settings.get("gopSizeUnits") == "AUTO":
        yield _violation(f"{pointer}/gopSize", _SEE_OTHERS)
        yield _violation(f"{pointer}/gopSizeUnits", "Must be FRAMES")
    in_frames = codec == "AV1" or settings.get("gopSizeUnits") == "FRAMES"
    if size is not None and in_frames and size != int(size):
        yield _violation(f"{pointer}/gopSize", "Should be integer")


def _baseline(settings: dict[str, Any], pointer: str) -> Iterator[Violation]:
    if settings.get("codecProfile") != "BASELINE":
        return
    b_frames = settings.get("numberBFramesBetweenReferenceFrames")
    if settings.get("entropyEncoding") == "CAVLC" and b_frames == 0:
        return
    yield _violation(f"{pointer}/codecProfile", _SEE_OTHERS)
    yield _violation(pointer, 'Should match exactly one schema defined in "oneOf"')
    if b_frames is None:
        yield _required(pointer, "numberBFramesBetweenReferenceFrames")
    elif b_frames > 0:
        yield _violation(
            f"{pointer}/numberBFramesBetweenReferenceFrames", "Should be less than or equal to 0"
        )
    allowed = '["HIGH","HIGH_10BIT","HIGH_422","HIGH_422_10BIT","MAIN"]'
    yield _violation(
        f"{pointer}/codecProfile", f"Should be equal to one of the allowed values in {allowed}"
    )


def _audio(description: dict[str, Any], pointer: str) -> Iterator[Violation]:
    codec_settings = description.get("codecSettings") or {}
    codec = codec_settings.get("codec")
    if codec is None:
        yield _required(pointer, "codec")
        return
    yield from _other_codecs(codec_settings, codec, _AUDIO_SETTINGS_OF, pointer)
    if codec == "AAC":
        yield from _aac(codec_settings.get("aacSettings") or {}, f"{pointer}/aacSettings")


def _aac(settings: dict[str, Any], pointer: str) -> Iterator[Violation]:
    names = ["codingMode", "sampleRate"]
    if settings.get("rateControlMode", "CBR") == "CBR":
        names.append("bitrate")
    missing = [name for name in names if settings.get(name) is None]
    yield from (_required(pointer, name) for name in missing)
    profile = settings.get("codecProfile", "LC")
    if missing or "bitrate" not in names or profile != "LC":
        return
    found = _AAC_LC_RANGES.get((settings["codingMode"], settings["sampleRate"]))
    if found is not None and not found[0] <= settings["bitrate"] <= found[1]:
        yield _violation(
            f"{pointer}/bitrate",
            "You specified a value for Bitrate that is not valid with the combination of Profile "
            f"LC, Coding mode {settings['codingMode']}, and Sample rate {settings['sampleRate']} "
            f"you selected. Specify a bitrate in the range of {found[0]}-{found[1]}, and resubmit "
            "your job For a list of supported bitrates, see: "
            "https://docs.aws.amazon.com/mediaconvert/latest/ug/aac-support.html",
        )
