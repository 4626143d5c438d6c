"""What a source is made of, as MediaConvert's Probe reports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.errors import Rejected
from chalicelib.domain.mp4 import Beside
from chalicelib.domain.pace import Pace

#: Transfer characteristics of high dynamic range video, in Probe's words.
HDR_TRANSFERS = {"SMPTE_2084": "HDR10", "ARIB_B67": "HLG"}
#: The primaries that both come with; where none are given, these are meant.
HDR_PRIMARIES = "ITU_2020"
#: What is neither: PQ or HLG in a colour space of its own.
UNUSUAL_HDR = "HDR of an unusual kind"
#: Values that say nothing.
_UNSAID = ("UNSPECIFIED", "RESERVED", "LAST")


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """HDR10's static metadata, in the units of SMPTE ST 2086 as MediaConvert counts them.

    Attributes:
        primaries: x and y of red, green, blue and white, each in 0.00002 of CIE 1931.
        max_luminance, min_luminance: of the mastering display, in 0.0001 cd/m².
        max_content, max_frame_average: MaxCLL and MaxFALL in cd/m².
    """

    primaries: tuple[int, ...] = ()
    max_luminance: int | None = None
    min_luminance: int | None = None
    max_content: int | None = None
    max_frame_average: int | None = None

    @property
    def is_whole(self) -> bool:
        luminance = (self.max_luminance, self.min_luminance)
        content = (self.max_content, self.max_frame_average)
        return len(self.primaries) == 8 and None not in (*luminance, *content)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    """The first video track. Width and height are as stored, before `rotation_deg`.

    Attributes:
        hdr: "HDR10", "HLG", "HDR10+", "Dolby Vision" or `UNUSUAL_HDR`; None for standard dynamic
            range.
        light: HDR10's static metadata, where the file has it.
        pixel_aspect: "64:45", width over height of a stored pixel; None for square ones.
    """

    codec: str
    width: int
    height: int
    frame_rate: float | None = None
    duration_s: float | None = None
    bitrate_bps: int | None = None
    bit_depth: int | None = None
    chroma: str | None = None
    rotation_deg: int = 0
    interlaced: bool = False
    hdr: str | None = None
    light: Light | None = None
    pixel_aspect: str | None = None

    @property
    def display_width(self) -> int:
        return self.height if self.rotation_deg in (90, 270) else self.width

    @property
    def display_height(self) -> int:
        return self.width if self.rotation_deg in (90, 270) else self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """One audio track; `number` counts from 1 among the audio tracks, `objects` those of Atmos."""

    number: int
    codec: str
    channels: int | None = None
    sample_rate_hz: int | None = None
    bitrate_bps: int | None = None
    language: str | None = None
    duration_s: float | None = None
    objects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """Everything the plan needs to know about a source.

    Attributes:
        writer: the program that wrote the file, by its own word; MP4 and MOV only.
        activity: bytes of picture in each of equally long stretches, likewise.
        beside: what there is beside picture and sound; MP4, MOV, Matroska and WebM only.
        odd_turn: how the picture is placed, where it is not by quarter turns; MP4 and MOV only.
        pace: how its pictures come, where their rate varies; likewise.
    """

    container: str
    duration_s: float | None
    size_bytes: int
    video: VideoTrack | None
    video_tracks: int
    audio: tuple[AudioTrack, ...]
    data_tracks: int
    writer: str | None = None
    activity: tuple[int, ...] = ()
    beside: tuple[Beside, ...] = ()
    odd_turn: str | None = None
    pace: Pace | None = None

    @property
    def longest_track_s(self) -> float | None:
        """Of picture and sound; a subtitle track may well outlast them."""
        video_s = self.video.duration_s if self.video else None
        lengths = [s for s in (video_s, *(a.duration_s for a in self.audio)) if s is not None]
        return max(lengths, default=None)

    @property
    def picture_s(self) -> float | None:
        """How long the picture lasts; None where nobody knows."""
        return (self.video.duration_s if self.video else None) or self.duration_s

    @property
    def resolution(self) -> str | None:
        return f"{self.video.display_width}x{self.video.display_height}" if self.video else None


def facts_from_probe(result: Mapping[str, Any], size_bytes: int) -> MediaFacts:
    """Read one `ProbeResult`. Every field of it is optional, and is treated so.

    Source: https://docs.aws.amazon.com/mediaconvert/latest/apireference/probe.html

    Raises:
        Rejected: the answer holds no container at all.
    """
    container = result.get("Container")
    if not container:
        raise Rejected("The file is not a video we can read.")
    tracks = container.get("Tracks", [])
    videos = [t for t in tracks if t.get("TrackType") == "video"]
    audios = [t for t in tracks if t.get("TrackType") == "audio"]
    return MediaFacts(
        container=container.get("Format") or "unknown",
        duration_s=_positive(container.get("Duration")),
        size_bytes=size_bytes,
        video=_video(videos[0]) if videos else None,
        video_tracks=len(videos),
        audio=tuple(_audio(n, t) for n, t in enumerate(audios, start=1)),
        data_tracks=sum(t.get("TrackType") == "data" for t in tracks),
    )


def _video(track: Mapping[str, Any]) -> VideoTrack:
    properties = track.get("VideoProperties", {})
    codec = properties.get("CodecMetadata", {})
    rotation = properties.get("Rotation") or codec.get("Rotation") or 0
    return VideoTrack(
        codec=track.get("Codec") or "UNKNOWN",
        width=properties.get("Width") or codec.get("Width") or 0,
        height=properties.get("Height") or codec.get("Height") or 0,
        frame_rate=_rate(properties.get("FrameRate")),
        duration_s=_positive(track.get("Duration")),
        bitrate_bps=properties.get("BitRate"),
        bit_depth=properties.get("BitDepth") or codec.get("BitDepth"),
        chroma=codec.get("ChromaSubsampling"),
        rotation_deg=int(rotation) % 360,
        interlaced=str(codec.get("ScanType", "")).lower() in ("interlaced", "mbaff")
        or bool(codec.get("FieldOrder")),  # which progressive video does not have
        hdr=_hdr(properties, codec),
        light=_light(properties, codec),
        pixel_aspect=_pixel_aspect(properties) or _pixel_aspect(codec),
    )


def _hdr(properties: Mapping[str, Any], codec: Mapping[str, Any]) -> str | None:
    """Dynamic metadata first: a film that has it looks like plain HDR10 or HLG beside."""
    if codec.get("DolbyVision"):
        return "Dolby Vision"
    if codec.get("Hdr10PlusPresence") == "PRESENT":
        return "HDR10+"
    kind = HDR_TRANSFERS.get(_said("TransferCharacteristics", properties, codec) or "")
    primaries = _said("ColorPrimaries", properties, codec)
    return UNUSUAL_HDR if kind and primaries not in (None, HDR_PRIMARIES) else kind


def _said(name: str, properties: Mapping[str, Any], codec: Mapping[str, Any]) -> str | None:
    """Container and codec each say it, and one of them may leave it unspecified."""
    for source in (properties, codec):
        if source.get(name) and source[name] not in _UNSAID:
            return str(source[name])
    return None


_CORNERS = ("RedPrimary", "GreenPrimary", "BluePrimary", "WhitePoint")


def _light(properties: Mapping[str, Any], codec: Mapping[str, Any]) -> Light | None:
    container = properties.get("HdrMetadata") or {}
    volume = container.get("MasteringDisplayColorVolume") or {}
    content = container.get("ContentLightLevel") or codec.get("ContentLightLevel") or {}
    points = [volume.get(f"{corner}{axis}") for corner in _CORNERS for axis in "XY"]
    light = Light(
        primaries=tuple(point for point in points if point is not None),
        max_luminance=volume.get("MaxLuminance"),
        min_luminance=volume.get("MinLuminance"),
        max_content=content.get("MaxContentLightLevel"),
        max_frame_average=content.get("MaxFrameAverageLightLevel"),
    )
    return light if light != Light() else None


def _pixel_aspect(said: Mapping[str, Any]) -> str | None:
    ratio = said.get("SampleAspectRatio") or {}
    wide, high = ratio.get("Numerator"), ratio.get("Denominator")
    return f"{wide}:{high}" if wide and high and wide != high else None


def _audio(number: int, track: Mapping[str, Any]) -> AudioTrack:
    properties = track.get("AudioProperties", {})
    language = properties.get("LanguageCode")
    return AudioTrack(
        number=number,
        codec=track.get("Codec") or "UNKNOWN",
        channels=properties.get("Channels"),
        sample_rate_hz=properties.get("SampleRate"),
        bitrate_bps=properties.get("BitRate"),
        language=language.lower() if language else None,
        duration_s=_positive(track.get("Duration")),
        objects=properties.get("ObjectCount") or 0,
    )


def _rate(rate: Mapping[str, int] | None) -> float | None:
    if not rate or not rate.get("Denominator") or not rate.get("Numerator"):
        return None
    return rate["Numerator"] / rate["Denominator"]


def _positive(seconds: float | None) -> float | None:
    return float(seconds) if seconds and seconds > 0 else None
