"""Which video codecs the service reads from which container.

Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/supported-containers-codecs-details.html
(as of 2026-04). ffmpeg would read far more; a job that works here must work there.
"""

from __future__ import annotations

_MPEG4 = {"mpeg4", "msmpeg4v2", "msmpeg4v3"}  # "DivX/Xvid" and MPEG-4 part 2
# VC-3, which ffmpeg calls dnxhd, is among MXF's in
# https://docs.aws.amazon.com/mediaconvert/latest/ug/job-requirements.html
_UNCOMPRESSED = {"rawvideo", "v210", "r210", "v410", "v308", "v408"}
_VC1 = {"vc1", "wmv3"}
_MPEG2 = {"mpeg1video", "mpeg2video"}

_VIDEO: dict[str, frozenset[str]] = {
    name: frozenset(codecs)
    for name, codecs in {
        "mp4": {"av1", "h264", "hevc", "h261", "h263", "jpeg2000", "vp9", *_MPEG2, *_MPEG4,
                *_VC1, *_UNCOMPRESSED},
        "quicktime": {"prores", "h264", "hevc", "dvvideo", "h261", "h263", "jpeg2000", "mjpeg",
                      "qtrle", *_MPEG2, *_MPEG4, *_UNCOMPRESSED},
        "three_gp": {"h264", "h263", "mpeg4"},
        "three_g2": {"h264", "h263", "mpeg4"},
        "asf": _VC1,
        "avi": {"dvvideo", "mjpeg", "hq_hqa", "hqx", *_MPEG4, *_UNCOMPRESSED},
        "matroska": {"h264", "mpeg2video", "mpeg4", *_VC1},
        "webm": {"vp8", "vp9"},
        "mpegps": _MPEG2,
        "mpegts": {"h264", "hevc", "mpeg2video", "vc1"},
        "mxf": {"prores", "h264", "dvvideo", "dnxhd", "jpeg2000", "mpeg2video", *_UNCOMPRESSED},
    }.items()
}  # fmt: skip
_NO_CONTAINER = frozenset({"h264", "h263", "flv1", "gif", "dvvideo", "hevc", *_MPEG2})


def reads_video(container: str, codec: str) -> bool:
    """Whether the guide lists `codec` (ffmpeg's name) for `container` (a Format value, or "")."""
    return codec in _VIDEO.get(container, _NO_CONTAINER)
