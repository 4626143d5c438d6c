"""A video description as ffmpeg filters and encoder options. Pure.

Tuning levels are encoder presets, which is all they can be here: the service's passes are its own.
The default perceptual noise reducer of the service is not imitated, nor is its scaler.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from slimreel.local.mediaconvert import framerate, qvbr, sizing
from slimreel.local.mediaconvert.source import Video

SETTINGS_KEY = {"H_264": "h264Settings", "H_265": "h265Settings", "AV1": "av1Settings"}

#: qualityTuningLevel -> encoder preset. Two films scaled to 1080p, H.264, on 2 cores that were not
#: idle: veryfast 38 to 52 frames/s, medium 14 to 22, slow 9 to 16 (one run each, 2026-11-21).
PRESETS: dict[str, dict[str, str]] = {
    "H_264": {"SINGLE_PASS": "veryfast", "SINGLE_PASS_HQ": "medium", "MULTI_PASS_HQ": "slow"},
    "H_265": {"SINGLE_PASS": "superfast", "SINGLE_PASS_HQ": "fast", "MULTI_PASS_HQ": "medium"},
    "AV1": {"SINGLE_PASS_HQ": "9"},
}
_DEFAULT_TUNING = {"H_264": "SINGLE_PASS_HQ", "H_265": "SINGLE_PASS", "AV1": "SINGLE_PASS_HQ"}

#: AUTO GOP sizes are the service's secret; this is a keyframe at least every 5 s, and at cuts.
_AUTO_GOP_S = 5

_ZSCALE_TRANSFERS = {16: "smpte2084", 18: "arib-std-b67"}
_HDR_SIDE_DATA = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS")

_DEGREES = {"DEGREE_0": 0, "DEGREES_90": 90, "DEGREES_180": 180, "DEGREES_270": 270}
_TURNS = {
    0: (),
    90: ("transpose=clock",),
    180: ("hflip", "vflip"),
    270: ("transpose=cclock",),
}

#: codecProfile -> pixel format and encoder profile.
_H264_PROFILES = {
    "BASELINE": ("yuv420p", "baseline"),
    "MAIN": ("yuv420p", "main"),
    "HIGH": ("yuv420p", "high"),
    "HIGH_10BIT": ("yuv420p10le", "high10"),
    "HIGH_422": ("yuv422p", "high422"),
    "HIGH_422_10BIT": ("yuv422p10le", "high422"),
}
_H265_PROFILES = {
    "MAIN_MAIN": ("yuv420p", "main"),
    "MAIN_HIGH": ("yuv420p", "main"),
    "MAIN10_MAIN": ("yuv420p10le", "main10"),
    "MAIN10_HIGH": ("yuv420p10le", "main10"),
    "MAIN_422_8BIT_MAIN": ("yuv422p", "main422-10"),
    "MAIN_422_8BIT_HIGH": ("yuv422p", "main422-10"),
    "MAIN_422_10BIT_MAIN": ("yuv422p10le", "main422-10"),
    "MAIN_422_10BIT_HIGH": ("yuv422p10le", "main422-10"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPlan:
    """One encoded picture track.

    Attributes:
        filters: the chain between decoder and encoder; its output is what metrics refer to.
        encoder: options without bitrate passes; `two_pass` says they must run twice.
        crf, level: set for QVBR with a constant rate factor.
        metrics: FrameMetricType values.
    """

    width: int
    height: int
    rate: Fraction
    filters: tuple[str, ...]
    encoder: tuple[str, ...]
    two_pass: bool
    qvbr_level: float | None
    crf: float | None
    cap_bps: int
    metrics: tuple[str, ...]


def plan(
    description: dict[str, Any],
    source: Video,
    *,
    input_settings: dict[str, Any],
    container: str,
    number: int,
    group_metrics: tuple[str, ...] = (),
) -> VideoPlan:
    """Decide how to make the video track `number` (1-based) of a job.

    Raises:
        JobError: 1040, the settings do not fit the source.
    """
    codec = description["codecSettings"]["codec"]
    settings = description["codecSettings"].get(SETTINGS_KEY[codec], {})
    turn = _turn(input_settings, source, container)
    upright = (source.height, source.width) if turn in (90, 270) else (source.width, source.height)
    geometry = sizing.geometry(
        upright,
        width=description.get("width"),
        height=description.get("height"),
        behaviour=description.get("scalingBehavior", "DEFAULT"),
        codec=codec,
        description=number,
    )
    rate = _rate(settings, source)
    pix_fmt, profile = _pixels(codec, settings)
    level, crf = _quality(codec, settings)
    return VideoPlan(
        width=geometry.final[0],
        height=geometry.final[1],
        rate=rate,
        filters=(
            *_deinterlace(description, source),
            *_TURNS[turn],
            f"fps={_ratio(rate)}",
            *_scale(geometry, upright),
            f"setsar={_ratio(_sar(settings, source, turn), '/')}",
            *_colour(description, source),
            f"format={pix_fmt}",
            # Rotation was applied or refused; the output never carries it.
            "sidedata=mode=delete:type=DISPLAYMATRIX",
        ),
        encoder=_encoder(codec, settings, rate, profile, crf, _light(input_settings, source)),
        two_pass=_two_pass(codec, settings),
        qvbr_level=level,
        crf=crf,
        cap_bps=settings.get("maxBitrate") or settings.get("bitrate") or 0,
        metrics=tuple(dict.fromkeys((*settings.get("perFrameMetrics", ()), *group_metrics))),
    )


def _ratio(value: Fraction, mark: str = "/") -> str:
    return f"{value.numerator}{mark}{value.denominator}"


def _turn(input_settings: dict[str, Any], source: Video, container: str) -> int:
    """Clockwise degrees. AUTO reads the metadata of MOV and MP4 only."""
    rotate = input_settings.get("videoSelector", {}).get("rotate", "DEGREE_0")
    if rotate != "AUTO":
        return _DEGREES[rotate]
    if container not in ("mp4", "quicktime"):
        return 0
    for degrees in (90, 180, 270):
        if abs(source.rotation - degrees) <= 1:
            return degrees
    return 0


def _rate(settings: dict[str, Any], source: Video) -> Fraction:
    if settings.get("framerateControl") == "SPECIFIED":
        return Fraction(settings["framerateNumerator"], settings["framerateDenominator"])
    return framerate.output_rate(framerate.Timing(rate=source.rate, vfr=source.vfr))


def _sar(settings: dict[str, Any], source: Video, turn: int) -> Fraction:
    if settings.get("parControl") == "SPECIFIED":
        return Fraction(settings["parNumerator"], settings["parDenominator"])
    return 1 / source.sar if turn in (90, 270) else source.sar


def _scale(geometry: sizing.Geometry, upright: tuple[int, int]) -> tuple[str, ...]:
    (width, height), (final_width, final_height) = geometry.scaled, geometry.final
    chain = () if geometry.scaled == upright else (f"scale={width}:{height}:flags=bicubic",)
    if final_width > width or final_height > height:
        return (*chain, f"pad={final_width}:{final_height}:-1:-1")
    if final_width < width or final_height < height:
        return (*chain, f"crop={final_width}:{final_height}")
    return chain


def _deinterlace(description: dict[str, Any], source: Video) -> tuple[str, ...]:
    deinterlacer = description.get("videoPreprocessors", {}).get("deinterlacer")
    if deinterlacer is None:
        return ()
    if deinterlacer.get("control") == "FORCE_ALL_FRAMES":
        return ("bwdif=mode=send_frame:deint=all",)
    return (
        ("bwdif=mode=send_frame:deint=interlaced",) if source.field_order != "progressive" else ()
    )


def _colour(description: dict[str, Any], source: Video) -> tuple[str, ...]:
    """Tone mapping and tags. ffmpeg carries the source's tags on unless told otherwise."""
    corrector = description.get("videoPreprocessors", {}).get("colorCorrector", {})
    chain: tuple[str, ...] = ()
    if corrector.get("colorSpaceConversion") == "FORCE_709" and source.transfer in (16, 18):
        # Both tone mappers of the service become one here: Hable keeps detail in highlights.
        # What the tags leave unsaid is said here, or there would be no way to linear light.
        said = f"tin={_ZSCALE_TRANSFERS[source.transfer]}:pin=2020:min=2020_ncl"
        chain = (
            f"zscale={said}:t=linear:npl=203",
            "format=gbrpf32le",
            "zscale=p=709",
            "tonemap=hable:desat=0",
            "zscale=t=709:m=709:p=709:r=limited",
            # These speak of a display that the result is no longer meant for.
            *(f"sidedata=mode=delete:type={kind}" for kind in _HDR_SIDE_DATA),
        )
    if description.get("colorMetadata") == "IGNORE":
        tags = "color_primaries=unknown:color_trc=unknown:colorspace=unknown"
        return (*chain, f"setparams={tags}")
    return chain


def _pixels(codec: str, settings: dict[str, Any]) -> tuple[str, str | None]:
    if codec == "AV1":
        return ("yuv420p10le" if settings.get("bitDepth") == "BIT_10" else "yuv420p"), None
    profiles = _H264_PROFILES if codec == "H_264" else _H265_PROFILES
    default = "HIGH" if codec == "H_264" else "MAIN_MAIN"
    return profiles[settings.get("codecProfile", default)]


def _quality(codec: str, settings: dict[str, Any]) -> tuple[float | None, float | None]:
    """QVBR level and the rate factor standing for it; no factor for two-pass averages."""
    if settings.get("rateControlMode") != "QVBR":
        return None, None
    asked = settings.get("qvbrSettings", {})
    level = qvbr.level_of(asked.get("qvbrQualityLevel"), asked.get("qvbrQualityLevelFineTune"))
    if asked.get("maxAverageBitrate"):
        return level, None
    if codec == "AV1":
        return level, float(qvbr.svtav1_crf(level))
    return level, qvbr.x264_crf(level) if codec == "H_264" else qvbr.x265_crf(level)


def _tuning(codec: str, settings: dict[str, Any]) -> str:
    return str(settings.get("qualityTuningLevel", _DEFAULT_TUNING[codec]))


def _two_pass(codec: str, settings: dict[str, Any]) -> bool:
    if codec == "AV1" or _tuning(codec, settings) != "MULTI_PASS_HQ":
        return False
    average = settings.get("qvbrSettings", {}).get("maxAverageBitrate")
    return settings.get("rateControlMode") == "VBR" or bool(average)


def _encoder(
    codec: str,
    settings: dict[str, Any],
    rate: Fraction,
    profile: str | None,
    crf: float | None,
    light: list[str],
) -> tuple[str, ...]:
    name = {"H_264": "libx264", "H_265": "libx265", "AV1": "libsvtav1"}[codec]
    options = ["-c:v", name, "-preset", PRESETS[codec][_tuning(codec, settings)]]
    if profile:
        options += ["-profile:v", profile]
    options += _bits(settings, crf)
    options += _gop(codec, settings, rate)
    if codec == "H_265":
        options += _h265(settings, light)
    else:
        options += _h264(settings) if codec == "H_264" else _av1(settings)
    return tuple(options)


def _bits(settings: dict[str, Any], crf: float | None) -> list[str]:
    mode = settings.get("rateControlMode")
    cap = settings.get("maxBitrate")
    if mode == "CBR":
        rate = str(settings["bitrate"])
        buffer = str(settings.get("hrdBufferSize") or settings["bitrate"])
        return ["-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", buffer]
    if crf is not None:
        options = ["-crf", f"{crf:g}"]
    else:
        asked = settings.get("qvbrSettings", {}).get("maxAverageBitrate")
        options = ["-b:v", str(asked or settings["bitrate"])]
    if cap:
        options += ["-maxrate", str(cap), "-bufsize", str(settings.get("hrdBufferSize") or 2 * cap)]
    return options


def _gop(codec: str, settings: dict[str, Any], rate: Fraction) -> list[str]:
    units = settings.get("gopSizeUnits", "FRAMES" if codec == "AV1" else "AUTO")
    size = settings.get("gopSize")
    if size is None or units == "AUTO":
        frames = round(rate * _AUTO_GOP_S)
    elif units == "SECONDS":
        frames = round(rate * Fraction(size))
    else:
        frames = int(size)
    options = ["-g", str(max(1, frames))]
    if settings.get("minIInterval"):
        options += ["-keyint_min", str(settings["minIInterval"])]
    if settings.get("numberBFramesBetweenReferenceFrames") is not None and codec != "AV1":
        options += ["-bf", str(settings["numberBFramesBetweenReferenceFrames"])]
    if settings.get("numberReferenceFrames") and codec != "AV1":
        options += ["-refs", str(settings["numberReferenceFrames"])]
    return options


def _h264(settings: dict[str, Any]) -> list[str]:
    options: list[str] = []
    level = settings.get("codecLevel", "AUTO")
    if level != "AUTO":
        options += ["-level:v", level.removeprefix("LEVEL_").replace("_", ".")]
    if settings.get("sceneChangeDetect") == "DISABLED":
        options += ["-sc_threshold", "0"]
    if settings.get("gopBReference") == "DISABLED":
        options += ["-b-pyramid", "none"]
    if settings.get("entropyEncoding") == "CAVLC":
        options += ["-coder", "0"]
    if settings.get("adaptiveQuantization") == "OFF":
        options += ["-aq-mode", "0"]
    if settings.get("slices"):
        options += ["-slices", str(settings["slices"])]
    return [*options, "-tag:v", settings.get("writeMp4PackagingType", "AVC1").lower()]


def _h265(settings: dict[str, Any], light: list[str]) -> list[str]:
    params = ["log-level=error", *light]
    level = settings.get("codecLevel", "AUTO")
    if level != "AUTO":
        params.append(f"level-idc={level.removeprefix('LEVEL_').replace('_', '.')}")
    if settings.get("sceneChangeDetect") == "DISABLED":
        params.append("scenecut=0")
    if settings.get("sampleAdaptiveOffsetFilterMode") == "OFF":
        params.append("sao=0")
    tag = settings.get("writeMp4PackagingType", "HEV1").lower()
    return ["-tag:v", tag, "-x265-params", ":".join(params)]


def _av1(settings: dict[str, Any]) -> list[str]:
    grain = 8 if settings.get("filmGrainSynthesis") == "ENABLED" else 0
    return ["-svtav1-params", f"film-grain={grain}"] if grain else []


def _light(input_settings: dict[str, Any], source: Video) -> list[str]:
    """x265's parameters for HDR10 metadata of the job, where the picture has none (FALLBACK)."""
    told = input_settings.get("videoSelector", {}).get("hdr10Metadata")
    if not told or source.mastering is not None or source.transfer != 16:
        return []
    point = {
        f"{corner}{axis}": told[f"{name}{axis}"]
        for corner, name in (
            ("R", "redPrimary"), ("G", "greenPrimary"), ("B", "bluePrimary"), ("WP", "whitePoint"),
        )
        for axis in "XY"
    }  # fmt: skip
    corners = "".join(f"{c}({point[f'{c}X']},{point[f'{c}Y']})" for c in ("G", "B", "R", "WP"))
    display = f"{corners}L({told['maxLuminance']},{told['minLuminance']})"
    content = f"{told['maxContentLightLevel']},{told['maxFrameAverageLightLevel']}"
    return [f"master-display={display}", f"max-cll={content}"]
