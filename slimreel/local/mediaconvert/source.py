"""What is known about one input file: tracks, timing, colour, rotation, damage.

PyAV reads it. Only real media demuxers may open a file: a playlist or an image sequence that
calls itself .mp4 must not make ffmpeg open other files. Films of strangers are read through
`reading`, which does the same in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.video.frame import VideoFrame

from slimreel.local.mediaconvert import boxes, framerate, hdr
from slimreel.local.mediaconvert.errors import Flaw, Unreadable

#: ffmpeg's names of the demuxers whose formats MediaConvert reads.
DEMUXERS = "mov,matroska,avi,mxf,mpegts,mpeg,mpegvideo,flv,asf,dv,gif,wav,mp3,aac,ac3,eac3,flac,ogg"
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}

#: Packets to feed before a track counts as undecodable: more than one long group of pictures.
_PACKETS_TO_FIRST_FRAME = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """The video track of a file. `index` is ffmpeg's stream index.

    Attributes:
        rotation: clockwise degrees a player turns the picture by.
        rate: frames per second; the average when `vfr`.
        frames_found: None when the packets were not counted.
        decodable: False when no frame came out of the decoder.
        field_order: "progressive", "tff" or "bff".
        primaries, transfer, matrix: ISO/IEC 23091-2 code points, 2 = unspecified.
        full_range: None when the file does not say.
        mastering: SMPTE ST 2086: x and y of red, green, blue and white in 0.00002, then the highest
            and the lowest luminance in 0.0001 cd/m²; None where there is none.
        content_light: MaxCLL and MaxFALL in cd/m²; None likewise.
        dolby_vision, hdr10_plus: it has such dynamic metadata.
    """

    index: int
    codec: str
    fourcc: str
    profile: str
    level: int
    width: int
    height: int
    pix_fmt: str
    bit_depth: int
    chroma: str
    sar: Fraction
    rotation: int
    field_order: str
    rate: Fraction
    vfr: bool
    primaries: int
    transfer: int
    matrix: int
    full_range: bool | None
    mastering: tuple[int, ...] | None = None
    content_light: tuple[int, ...] | None = None
    dolby_vision: bool = False
    hdr10_plus: bool = False
    duration_s: float
    bitrate_bps: int | None
    frames_found: int | None
    decodable: bool
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """One audio track. `index` is ffmpeg's stream index; `language` is ISO 639-2 or ""."""

    index: int
    codec: str
    profile: str
    channels: int
    layout: str
    sample_rate_hz: int
    bit_depth: int
    bitrate_bps: int | None
    language: str
    duration_s: float
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One opened file. `container` is MediaConvert's Format value, "" when it has none."""

    path: Path
    container: str
    size_bytes: int
    duration_s: float
    bitrate_bps: int | None
    start_timecode: str | None
    video: Video | None
    other_videos: tuple[int, ...]
    audio: tuple[Audio, ...]
    data: tuple[int, ...]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """What a finished output holds. `shown_at`: time stamps of its video packets, as stored."""

    duration_s: float
    video_bytes: int
    shown_at: tuple[int, ...]


def packets(path: Path) -> Packets:
    """Count what was written.

    Raises:
        Unreadable: it is no film.
    """
    try:
        with av.open(f"file:{path}", options=dict(_OPEN_OPTIONS)) as container:
            duration_s = (container.duration or 0) / av.time_base
            shown_at: list[int] = []
            video_bytes = 0
            for packet in container.demux(*container.streams.video[:1]):
                video_bytes += packet.size
                if packet.pts is not None:
                    shown_at.append(packet.pts)
    except (av.error.FFmpegError, EOFError) as error:
        raise Unreadable(Flaw.CORRUPT, str(error)) from error
    return Packets(duration_s=duration_s, video_bytes=video_bytes, shown_at=tuple(shown_at))


def read(path: Path, *, count_frames: bool = True) -> Source:
    """Open a file and describe it.

    Args:
        count_frames: read every video packet to learn the true frame timing. Without it the
            container's word is taken and `vfr` is always False.

    Raises:
        Unreadable: no demuxer took the file, or it has no tracks.
    """
    layout = boxes.scan(path)
    try:
        with av.open(f"file:{path}", options=dict(_OPEN_OPTIONS)) as container:
            return _describe(container, path, layout, count_frames)
    except (av.error.FFmpegError, EOFError) as error:
        raise Unreadable(_flaw(path, layout), str(error)) from error


def _flaw(path: Path, layout: boxes.Layout) -> Flaw:
    if layout.is_mp4:
        return Flaw.CORRUPT if layout.has_moov else Flaw.NO_MOOV
    with path.open("rb") as file:
        head = file.read(12)
    known = head[:4] in (b"\x1aE\xdf\xa3", b"FLV\x01") or (
        head[:4] == b"RIFF" and head[8:] in (b"AVI ", b"WAVE")
    )
    return Flaw.CORRUPT if known else Flaw.NOT_MEDIA


def _describe(container: Any, path: Path, layout: boxes.Layout, count_frames: bool) -> Source:
    if not container.streams:
        raise Unreadable(Flaw.CORRUPT, "no tracks")
    videos = [s for s in container.streams.video if not _is_cover(s)]
    first = videos[0] if videos else None
    total_s = max(0, container.duration or 0) / av.time_base
    timecode = (first.metadata.get("timecode") if first else None) or container.metadata.get(
        "timecode"
    )
    audio = tuple(_audio(s, total_s, layout) for s in container.streams.audio)
    video = _video(container, path, first, total_s, layout, count_frames) if first else None
    listed = first.frames if first and container.format.name.startswith("mov") else 0
    short = video is not None and video.frames_found is not None and video.frames_found < listed
    return Source(
        path=path,
        container=_format(container, path),
        size_bytes=path.stat().st_size,
        duration_s=total_s or (video.duration_s if video else 0.0),
        bitrate_bps=container.bit_rate or None,
        start_timecode=timecode,
        video=video,
        other_videos=tuple(s.index for s in videos[1:]),
        audio=audio,
        data=tuple(s.index for s in container.streams if s.type in ("data", "subtitle")),
        truncated=layout.cut_short or short,
    )


def _is_cover(stream: Any) -> bool:
    """Cover art is a still picture in a video stream's clothes."""
    return "attached_pic" in stream.disposition.name if stream.disposition.name else False


def _format(container: Any, path: Path) -> str:
    name = container.format.name.split(",")[0]
    if name == "mov":
        brand = container.metadata.get("major_brand", "").strip()
        if brand == "qt":
            return "quicktime"
        return {"3gp": "three_gp", "3g2": "three_g2"}.get(brand[:3], "mp4")
    if name == "matroska":
        with path.open("rb") as file:
            return "webm" if b"webm" in file.read(64) else "matroska"
    return {
        "mpeg": "mpegps", "wav": "wave", "avi": "avi", "mxf": "mxf", "mpegts": "mpegts",
        "mp3": "mp3", "flac": "flac", "asf": "asf", "ogg": "ogg", "aac": "aac", "ac3": "ac3",
        "eac3": "eac3",
    }.get(name, "")  # fmt: skip


def _duration_s(stream: Any, total_s: float) -> float:
    if stream.duration is None:
        return total_s
    return float(stream.duration * stream.time_base)


def _audio(stream: Any, total_s: float, layout: boxes.Layout) -> Audio:
    codec = stream.codec_context
    return Audio(
        index=stream.index,
        codec=codec.codec.canonical_name if codec else "unknown",
        profile=str(codec.profile or "") if codec else "",
        channels=codec.channels if codec else 0,
        layout=codec.layout.name if codec else "",
        sample_rate_hz=codec.sample_rate if codec else 0,
        bit_depth=codec.format.bits if codec and codec.format else 0,
        bitrate_bps=(codec.bit_rate or None) if codec else None,
        language=(stream.language or "").lower().replace("und", ""),
        duration_s=_duration_s(stream, total_s),
        encrypted="enca" in layout.sample_entries,
    )


def _video(
    container: Any,
    path: Path,
    stream: Any,
    total_s: float,
    layout: boxes.Layout,
    count_frames: bool,
) -> Video:
    frame = _first_frame(container, stream)
    codec = stream.codec_context
    rate, vfr, found, span_s = _timing(path, stream, count_frames)
    components = frame.format.components if frame else ()
    return Video(
        index=stream.index,
        codec=codec.codec.canonical_name,
        fourcc=codec.codec_tag,
        profile=str(codec.profile or ""),
        level=codec.level or 0,
        width=codec.width,
        height=codec.height,
        pix_fmt=frame.format.name if frame else (codec.pix_fmt or ""),
        bit_depth=components[0].bits if components else 8,
        chroma=_chroma(frame.format.name if frame else codec.pix_fmt or ""),
        sar=stream.sample_aspect_ratio or Fraction(1),
        rotation=_clockwise(frame),
        field_order=_field_order(frame, codec),
        rate=rate,
        vfr=vfr,
        primaries=int(codec.color_primaries),
        transfer=int(codec.color_trc),
        matrix=int(codec.colorspace),
        full_range={1: False, 2: True}.get(int(codec.color_range)),
        mastering=hdr.mastering(frame),
        content_light=hdr.content_light(frame),
        dolby_vision=bool(layout.dolby_vision) or hdr.is_dolby_vision(frame),
        hdr10_plus=hdr.is_hdr10_plus(frame),
        duration_s=_duration_s(stream, total_s) or span_s,
        bitrate_bps=codec.bit_rate or None,
        frames_found=found,
        decodable=frame is not None,
        encrypted="encv" in layout.sample_entries,
    )


def _first_frame(container: Any, stream: Any) -> VideoFrame | None:
    # One thread: frame threading would hold back as many frames as there are threads.
    stream.codec_context.thread_count = 1
    packets = 0
    for packet in container.demux(stream):
        packets += 1
        try:
            for frame in packet.decode():
                return frame  # type: ignore[no-any-return]
        except av.error.FFmpegError:
            continue  # damaged packets are skipped, as ffmpeg does
        if packets > _PACKETS_TO_FIRST_FRAME:
            return None
    return None


def _timing(
    path: Path, stream: Any, count_frames: bool
) -> tuple[Fraction, bool, int | None, float]:
    """Frame rate, whether it varies, frames counted, and seconds they span.

    The file is opened anew: seeking back fails on files that hold a header and nothing else.
    """
    nominal = stream.guessed_rate or stream.average_rate or Fraction(25)
    if not count_frames:
        return stream.average_rate or nominal, False, None, 0.0
    with av.open(f"file:{path}", options=dict(_OPEN_OPTIONS)) as container:
        packets = container.demux(container.streams[stream.index])
        times = sorted({packet.pts for packet in packets if packet.pts is not None})
    timing = framerate.timing(times, time_base=stream.time_base, nominal=nominal)
    span = (times[-1] - times[0]) * stream.time_base + 1 / timing.rate if times else 0
    return timing.rate, timing.vfr, len(times), float(span)


def _clockwise(frame: VideoFrame | None) -> int:
    """PyAV reports the counter-clockwise turn of the display matrix."""
    return round(-frame.rotation) % 360 if frame else 0


def _field_order(frame: VideoFrame | None, codec: Any) -> str:
    # AVFieldOrder: 2 TT, 3 BB, 4 TB (top coded first), 5 BT
    order = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}.get(int(codec.field_order or 0))
    if frame is not None and frame.interlaced_frame:
        return order or "tff"
    return "progressive"


def _chroma(pix_fmt: str) -> str:
    for digits in ("444", "422", "420", "411", "410"):
        if digits in pix_fmt:
            return ":".join(digits)
    if pix_fmt.startswith(("gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr")):
        return "4:4:4"
    return "4:2:0" if pix_fmt.startswith(("nv12", "p010")) else ""
