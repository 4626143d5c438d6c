"""QVBR quality levels as constant-quality settings of x264, x265 and SVT-AV1.

MediaConvert's QVBR decides bits per scene by an unpublished measure of quality. The nearest thing
ffmpeg offers is a constant rate factor under a bitrate cap, so each level is a rate factor here:
a higher level is always a lower factor. The mapping is ours; what it gives in SSIM and bitrate on
real clips is measured by `bench/qvbr_table.py` and printed in `docs/mediaconvert-stand-in.md`.
"""

from __future__ import annotations

from bisect import bisect_left

#: level -> x264 rate factor; index 0 is level 1. Level 11 exists for fine tuning above 10.
_X264_CRF = (40.0, 37.0, 34.0, 31.5, 29.0, 26.5, 24.0, 21.5, 19.0, 16.0, 13.0)

#: What the service picks itself when the level is left out is not documented. AWS advises 7 for
#: PCs and tablets: https://docs.aws.amazon.com/mediaconvert/latest/ug/qvbr-guidelines.html
AUTO_LEVEL = 7.0

_SVTAV1_MAX = 63


def level_of(quality_level: int | None, fine_tune: float | None) -> float:
    """The level asked for, with fine tuning rounded to the nearest third as documented."""
    if quality_level is None:
        return AUTO_LEVEL
    return quality_level + round((fine_tune or 0.0) * 3) / 3


def x264_crf(level: float) -> float:
    """Rate factor for a level of 1 to 11, linear between whole levels."""
    low = min(int(level), len(_X264_CRF) - 1)
    step = _X264_CRF[low - 1] - _X264_CRF[low]
    return round(_X264_CRF[low - 1] - step * (level - low), 2)


def x265_crf(level: float) -> float:
    """x265 needs a factor about 1 lower than x264 for the same SSIM (measured, see the doc)."""
    return round(x264_crf(level) - 1.0, 2)


def svtav1_crf(level: float) -> int:
    """SVT-AV1 counts 0 to 63, in other steps; a straight line meets x264's SSIM (measured)."""
    return min(_SVTAV1_MAX, round(2.5 * x264_crf(level) - 28))


def score_of(quantizer: float, *, crf: float, level: float) -> float:
    """An approximate per-frame QVBR score, 1 to 10.

    A frame coded at the quantizer its rate factor aims at gets the level asked for. A coarser one
    (the bitrate cap bound, or the scene was hard) gets less, by the slope of the level table.
    """
    aimed = x264_crf(level)
    crfs = tuple(reversed(_X264_CRF))
    wanted = aimed + max(0.0, quantizer - crf)
    at = bisect_left(crfs, wanted)
    if at == 0:
        return 10.0
    if at == len(crfs):
        return 1.0
    share = (wanted - crfs[at - 1]) / (crfs[at] - crfs[at - 1])
    return min(10.0, max(1.0, len(crfs) - at + 1 - share))
