"""A `Source` as the answer of the Probe operation.

Source: https://docs.aws.amazon.com/mediaconvert/latest/apireference/probe.html
"""

from __future__ import annotations

import mimetypes
from fractions import Fraction
from typing import Any

from slimreel.local.mediaconvert.source import Audio, Source, Video

#: ISO/IEC 23091-2 code points as the service names them.
_PRIMARIES = {
    1: "ITU_709", 2: "UNSPECIFIED", 4: "ITU_470M", 5: "ITU_470BG", 6: "SMPTE_170M",
    7: "SMPTE_240M", 8: "GENERIC_FILM", 9: "ITU_2020", 10: "SMPTE_428_1", 11: "SMPTE_431_2",
    12: "SMPTE_EG_432_1", 22: "EBU_3213_E",
}  # fmt: skip
_TRANSFERS = {
    1: "ITU_709", 2: "UNSPECIFIED", 4: "ITU_470M", 5: "ITU_470BG", 6: "SMPTE_170M",
    7: "SMPTE_240M", 8: "LINEAR", 9: "LOG10_2", 10: "LOC10_2_5", 11: "IEC_61966_2_4",
    12: "ITU_1361", 13: "IEC_61966_2_1", 14: "ITU_2020_10bit", 15: "ITU_2020_12bit",
    16: "SMPTE_2084", 17: "SMPTE_428_1", 18: "ARIB_B67",
}  # fmt: skip
_MATRICES = {
    0: "RGB", 1: "ITU_709", 2: "UNSPECIFIED", 4: "FCC", 5: "ITU_470BG", 6: "SMPTE_170M",
    7: "SMPTE_240M", 8: "YCgCo", 9: "ITU_2020_NCL", 10: "ITU_2020_CL", 11: "SMPTE_2085",
    12: "CD_NCL", 13: "CD_CL", 14: "ITU_2100ICtCp",
}  # fmt: skip
_CODECS = {
    "h264": "AVC", "hevc": "HEVC", "av1": "AV1", "vp8": "VP8", "vp9": "VP9", "prores": "PRORES",
    "mpeg1video": "MPEG1", "mpeg2video": "MPEG2", "mpeg4": "MP4V", "mjpeg": "MJPEG",
    "dvvideo": "DV", "h263": "H263", "jpeg2000": "JPEG2000", "qtrle": "QTRLE",
    "theora": "THEORA", "vc1": "VC1", "wmv3": "VC1", "dnxhd": "VC3", "rawvideo": "UNCOMPRESSED",
    "v210": "UNCOMPRESSED", "aac": "AAC", "ac3": "AC3", "eac3": "EAC3", "flac": "FLAC",
    "mp2": "MP2", "mp3": "MP3", "opus": "OPUS", "vorbis": "VORBIS", "amrnb": "AMR",
    "amrwb": "AMR", "amr_nb": "AMR", "amr_wb": "AMR", "wmav1": "WMA", "wmav2": "WMA2",
    "wmapro": "WMAPRO",
}  # fmt: skip


def result(source: Source, *, etag: str, last_modified_s: float, name: str) -> dict[str, Any]:
    """One item of `probeResults`, in wire names; absent facts are absent members."""
    tracks = _tracks(source)
    return {
        "container": _without_none(
            {
                "format": source.container or None,
                "duration": source.duration_s,
                "bitRate": source.bitrate_bps,
                "startTimecode": source.start_timecode,
                "tracks": tracks,
            }
        ),
        "metadata": {
            "eTag": etag,
            "fileSize": source.size_bytes,
            "lastModified": int(last_modified_s),
            "mimeType": mimetypes.guess_type(name)[0] or "application/octet-stream",
        },
        "trackMappings": [
            {
                f"{kind}TrackIndexes": [t["index"] for t in tracks if t["trackType"] == kind]
                for kind in ("video", "audio", "data")
            }
        ],
    }


def codec_name(ffmpeg_name: str) -> str:
    """MediaConvert's Codec value for an ffmpeg codec."""
    if ffmpeg_name.startswith("pcm_"):
        return "PCM"
    return _CODECS.get(ffmpeg_name, "UNKNOWN")


def _tracks(source: Source) -> list[dict[str, Any]]:
    tracks: list[dict[str, Any]] = []
    if source.video is not None:
        tracks.append(_video_track(source.video))
    tracks += [{"index": index + 1, "trackType": "video"} for index in source.other_videos]
    tracks += [_audio_track(track) for track in source.audio]
    tracks += [{"index": index + 1, "trackType": "data"} for index in source.data]
    return sorted(tracks, key=lambda track: int(track["index"]))


def _video_track(video: Video) -> dict[str, Any]:
    shared = {
        "width": video.width,
        "height": video.height,
        "bitDepth": video.bit_depth,
        "colorPrimaries": _PRIMARIES.get(video.primaries, "RESERVED"),
        "transferCharacteristics": _TRANSFERS.get(video.transfer, "RESERVED"),
        "matrixCoefficients": _MATRICES.get(video.matrix, "RESERVED"),
        "rotation": video.rotation or None,
        "sampleAspectRatio": _ratio(video.sar),
        "displayAspectRatio": _display_aspect_ratio(video),
    }
    content_light = _content_light(video)
    interlaced = video.field_order != "progressive"
    codec_metadata = shared | {
        "profile": video.profile or None,
        "level": str(video.level) if video.level > 0 else None,
        "chromaSubsampling": video.chroma or None,
        "scanType": "interlaced" if interlaced else "progressive",
        "fieldOrder": video.field_order if interlaced else None,
        "codedFrameRate": _ratio(video.rate),
        "contentLightLevel": content_light,
        "dolbyVision": {"rpu": "PRESENT"} if video.dolby_vision else None,
        "hdr10PlusPresence": "PRESENT" if video.hdr10_plus else None,
    }
    return {
        "index": video.index + 1,
        "trackType": "video",
        "codec": codec_name(video.codec),
        "duration": video.duration_s,
        "videoProperties": _without_none(
            shared
            | {
                "frameRate": _ratio(video.rate),
                "bitRate": video.bitrate_bps,
                "hdrMetadata": _hdr_metadata(video, content_light),
                "codecMetadata": _without_none(codec_metadata),
            }
        ),
    }


def _content_light(video: Video) -> dict[str, int] | None:
    if video.content_light is None:
        return None
    highest, average = video.content_light
    return {"maxContentLightLevel": highest, "maxFrameAverageLightLevel": average}


_CORNERS = ("redPrimary", "greenPrimary", "bluePrimary", "whitePoint")


def _hdr_metadata(video: Video, content_light: dict[str, int] | None) -> dict[str, Any] | None:
    """The service reads it from the container, here it may come from the picture as well."""
    if video.mastering is None and content_light is None:
        return None
    volume = None
    if video.mastering is not None:
        names = [f"{corner}{axis}" for corner in _CORNERS for axis in "XY"]
        volume = dict(zip((*names, "maxLuminance", "minLuminance"), video.mastering, strict=True))
    return _without_none(
        {"masteringDisplayColorVolume": volume, "contentLightLevel": content_light}
    )


def _display_aspect_ratio(video: Video) -> dict[str, int] | None:
    """None for a picture of unknown size."""
    return _ratio(video.sar * video.width / video.height) if video.height else None


def _audio_track(audio: Audio) -> dict[str, Any]:
    return {
        "index": audio.index + 1,
        "trackType": "audio",
        "codec": codec_name(audio.codec),
        "duration": audio.duration_s,
        "audioProperties": _without_none(
            {
                "channels": audio.channels,
                "channelLayout": audio.layout or None,
                "sampleRate": audio.sample_rate_hz,
                "bitDepth": audio.bit_depth or None,
                "bitRate": audio.bitrate_bps,
                "languageCode": audio.language or None,
            }
        ),
    }


def _ratio(value: Fraction) -> dict[str, int]:
    return {"numerator": value.numerator, "denominator": value.denominator}


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
