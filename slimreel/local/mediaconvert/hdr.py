"""What a decoded picture says of its dynamic range beyond colour tags.

Source: AVMasteringDisplayMetadata and AVContentLightMetadata of ffmpeg's libavutil, whose bytes
PyAV hands on; https://ffmpeg.org/doxygen/trunk/structAVMasteringDisplayMetadata.html
"""

from __future__ import annotations

import struct
from typing import Any

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

#: Ten fractions of two 32-bit numbers (red, green, blue, white; lowest, highest luminance), then
#: whether the primaries and the luminances are there.
_MASTERING = struct.Struct("=22i")
_CONTENT_LIGHT = struct.Struct("=2I")
_POINT, _LUMINANCE = 50_000, 10_000


def mastering(frame: VideoFrame | None) -> tuple[int, ...] | None:
    """As `source.Video.mastering` has it; None unless it is whole."""
    raw = _side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    if raw is None or len(raw) < _MASTERING.size:
        return None
    *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(raw)
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if not has_primaries or not has_luminance or any(below == 0 for _, below in pairs):
        return None
    points = [round(_POINT * above / below) for above, below in pairs[:8]]
    lowest, highest = (round(_LUMINANCE * above / below) for above, below in pairs[8:])
    return (*points, highest, lowest)


def content_light(frame: VideoFrame | None) -> tuple[int, ...] | None:
    """As `source.Video.content_light` has it."""
    raw = _side_data(frame, Type.CONTENT_LIGHT_LEVEL)
    if raw is None or len(raw) < _CONTENT_LIGHT.size:
        return None
    return _CONTENT_LIGHT.unpack_from(raw)


def is_dolby_vision(frame: VideoFrame | None) -> bool:
    kinds = (Type.DOVI_RPU_BUFFER, Type.DOVI_METADATA)
    return any(_side_data(frame, kind) is not None for kind in kinds)


def is_hdr10_plus(frame: VideoFrame | None) -> bool:
    return _side_data(frame, Type.DYNAMIC_HDR_PLUS) is not None


def _side_data(frame: VideoFrame | None, kind: Type) -> bytes | None:
    if frame is None:
        return None
    try:
        held: Any = frame.side_data  # which its stub takes for something else
        return bytes(held[kind])
    except (KeyError, ValueError):  # none, or beside it is something that PyAV has no name for
        return None
