"""The size of the picture in the result."""

from __future__ import annotations

from chalicelib.domain.media import VideoTrack
from chalicelib.domain.preset import Preset

#: Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/supported-output-resolution-maximums-by-codec.html
MAX_LONG_SIDE_PX, MAX_SHORT_SIDE_PX = 4096, 2160
MIN_SIDE_PX = 32
#: The short side is never made smaller than this.
SHORT_SIDE_FLOOR_PX = 720


def output_size(video: VideoTrack, preset: Preset) -> tuple[int, int]:
    """The picture's size in the result: never larger than the source, always even.

    The short side stays at 720 or more, unless the source is smaller.
    """
    width, height = video.display_width, video.display_height
    factor = encoder_factor(width, height)
    if preset.max_short_side_px:
        floor_px = max(preset.max_short_side_px, SHORT_SIDE_FLOOR_PX)
        factor = min(factor, floor_px / min(width, height))
    return even(width * factor), even(height * factor)


def encoder_factor(width: int, height: int) -> float:
    """By how much the picture must shrink for the encoder."""
    long, short = max(width, height), min(width, height)
    return min(1.0, MAX_LONG_SIDE_PX / long, MAX_SHORT_SIDE_PX / short)


def even(pixels: float) -> int:
    return max(2, round(pixels) // 2 * 2)
