"""How hard material is handled, each kind by a decision: HDR, 10 bits, interlaced, odd pixels.

docs/material.md has the whole table, with the reasons and the test that shows each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from chalicelib.domain.media import UNUSUAL_HDR, Light, VideoTrack
from chalicelib.domain.preset import Preset
from chalicelib.domain.search import Target

#: Codecs whose results may have ten bits. H.264's 10-bit profiles need a licence of AWS, and no
#: browser or television plays them.
#: Source: CodecProfile in H264Settings, H265Settings and BitDepth in Av1Settings,
#: https://docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html
TEN_BIT_CODECS = ("H_265", "AV1")
#: HDR that the encoder carries over: a transfer function and, of HDR10, static metadata.
#: Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/hdr-support.html
CARRIED_HDR = ("HDR10", "HLG")
#: What a tone-mapped result must have in common with its source as we tone-map it, on average and
#: in the worst 1 % of frames: enough to know the picture again. ffmpeg's own curves (mobius,
#: reinhard, gamma, clip, linear) and other whites came to SSIM 0.93 to 0.98 beside ours on a test
#: film in HLG; a mirrored picture is 0.26 and more apart.
TONE_MAPPED_FLOOR = (0.80, 0.60)
_WHY_NO_HDR = {
    "H_264": "8-bit H.264 would wash out",
    "AV1": "the encoder is not documented to carry in AV1",
    "H_265": "this preset does not carry",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What is done to the picture beside compressing it.

    Attributes:
        ten_bit: the result has ten bits a colour instead of eight.
        hdr: the kind of HDR that the result keeps.
        light: HDR10's static metadata, for an encoder that does not find it in the picture.
        tone_map: HDR becomes SDR.
        deinterlace: half pictures become whole ones.
        pixel_aspect: the shape of a pixel, where the encoder must be told.
    """

    ten_bit: bool = False
    hdr: str | None = None
    light: Light | None = None
    tone_map: bool = False
    deinterlace: bool = False
    pixel_aspect: str | None = None


def handling(video: VideoTrack, preset: Preset) -> Handling:
    """Of a film that `spoiled` has nothing to say about."""
    carried = video.hdr if preset.hdr == "carry" else None
    deep = carried is not None or (video.bit_depth or 8) > 8
    return Handling(
        ten_bit=deep and preset.codec in TEN_BIT_CODECS,
        hdr=carried,
        light=_whole(video.light) if carried == "HDR10" else None,
        tone_map=video.hdr is not None and carried is None,
        deinterlace=video.interlaced,
        pixel_aspect=_turned_aspect(video),
    )


def check_floor(handled: Handling, preset: Preset) -> Target:
    """What SSIM the independent comparison of the result must reach."""
    wanted = Target(metric="SSIM", mean=preset.ssim_floor, worst=preset.ssim_worst_floor)
    if not handled.tone_map:
        return wanted
    mean, worst = TONE_MAPPED_FLOOR
    return replace(wanted, mean=min(wanted.mean, mean), worst=min(preset.ssim_worst_floor, worst))


def _whole(light: Light | None) -> Light | None:
    """MediaConvert takes all of the metadata or none of it."""
    return light if light is not None and light.is_whole else None


def _turned_aspect(video: VideoTrack) -> str | None:
    """Upright, the sides of a pixel change places; what the encoder makes of it is not documented.
    Otherwise it follows the source by itself."""
    if video.pixel_aspect is None or video.rotation_deg not in (90, 270):
        return None
    wide, high = video.pixel_aspect.split(":")
    return f"{high}:{wide}"


def spoiled(video: VideoTrack, preset: Preset) -> str | None:
    """Why an encode with this preset would spoil the film; None where it would not."""
    if video.hdr and (reason := _hdr_spoiled(video.hdr, preset)):
        return reason
    if video.interlaced and preset.interlaced == "keep":
        return (
            f"The video is interlaced, and the preset “{preset.name}” leaves such films as they "
            "are: making whole pictures of half ones cannot be undone."
        )
    if video.pixel_aspect and preset.codec == "AV1":
        return (
            f"The picture's pixels are not square ({video.pixel_aspect}), which AV1 as the encoder "
            "writes it cannot say; players would show it squeezed."
        )
    return None


def _hdr_spoiled(hdr: str, preset: Preset) -> str | None:
    if hdr in ("Dolby Vision", "HDR10+"):
        return (
            f"The video is {hdr} (high dynamic range), whose scene-by-scene brightness data the "
            "encoder would drop."
        )
    if hdr == UNUSUAL_HDR:
        return f"The video is {hdr} (high dynamic range), which the encoder is not known to keep."
    if preset.hdr == "keep":
        return f"The video is {hdr} (high dynamic range), which {_WHY_NO_HDR[preset.codec]}."
    return None


def handling_words(handled: Handling, video: VideoTrack) -> Iterator[str]:
    """What is done on purpose, in sentences; what it costs is among the plan's losses."""
    if handled.hdr:
        static = ", with its static metadata" if video.light else ""
        yield f"{handled.hdr} (high dynamic range) stays {handled.hdr}, in 10-bit colour{static}."
    elif handled.ten_bit:
        yield "10-bit colour stays 10-bit."
    if handled.tone_map:
        yield (
            "Whether it is the same picture is measured beside the original as Slimreel tone-maps "
            "it; how well it is compressed is the encoder's own report."
        )
    if handled.deinterlace:
        yield (
            "Interlaced: its half pictures are made whole ones, at the same frame rate; it is "
            "measured beside the original as Slimreel deinterlaces it."
        )
    if video.pixel_aspect:
        yield f"Its pixels stay {video.pixel_aspect}, so it is shown in the same shape."
