"""What each level gives on ordinary films, and the scales on which a film's own curve is straight.

Scores are compared in decibels: SSIM by how little is missing to a perfect one, VMAF, which
flattens at both ends, by what is there over what is missing. Bitrates are powers of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chalicelib.domain.score import SCREEN
from chalicelib.domain.text import rounded_down

#: What a perfect score is; VMAF's a little beyond, so that a copy is a number, too.
PERFECT = {"SSIM": 1.0, "VMAF": 100.5}
#: The mean score of each level, 1 to 10, over 11 public films: SSIM
#: (docs/mediaconvert-stand-in.md), VMAF v0.6.1 as they fill a screen (docs/quality.md).
TYPICAL_SCORES = {
    "SSIM": (0.9307, 0.9491, 0.9635, 0.9727, 0.9793, 0.9850, 0.9894, 0.9918, 0.9936, 0.9954),
    "VMAF": (55.4, 65.2, 73.6, 80.0, 85.2, 89.5, 92.9, 95.0, 96.5, 97.6),
}
#: What a picture's VMAF loses in decibels each time it is magnified twofold to fill a screen, for
#: which VMAF's model was made: the encoder reports what the picture scores at its own size. Films
#: differ: eight, magnified 1.5 to 3 times, lose 1.8 to 5.8 dB where they come to 93
#: (docs/quality.md).
#: Source: https://github.com/Netflix/vmaf/blob/master/resource/doc/faq.md
SCREEN_DB = 3.0
#: kbit/s of each level at 1080p30, likewise.
TYPICAL_KBPS = (720, 991, 1386, 1844, 2457, 3335, 4472, 5908, 7945, 11406)


def lost_on_screen_db(metric: str, width: int, height: int) -> float:
    """By how much a picture's score is lower when it fills a screen than at its own size."""
    long, short = max(width, height), min(width, height)
    if metric != "VMAF" or not short:
        return 0.0
    return SCREEN_DB * max(0.0, math.log2(min(SCREEN[0] / long, SCREEN[1] / short)))


def typical_db(level: float, metric: str) -> float:
    """What a level scores on ordinary films."""
    return _between_levels([to_db(score, metric) for score in TYPICAL_SCORES[metric]], level)


def typical_log2(level: float) -> float:
    """The bitrate a level takes on ordinary films of 1080p30, log2 of kbit/s."""
    return _between_levels([math.log2(kbps) for kbps in TYPICAL_KBPS], level)


def _between_levels(values: Sequence[float], level: float) -> float:
    """Straight between whole levels; `values` are those of levels 1 to 10."""
    left = min(max(int(level) - 1, 0), len(values) - 2)
    share = level - 1 - left
    return values[left] * (1 - share) + values[left + 1] * share


def to_db(score: float, metric: str) -> float:
    """A score on the scale on which levels are about evenly far apart; at most 60."""
    missing = min(max(1 - score / PERFECT[metric], 1e-6), 2.0)
    there = max(1 - missing, 1e-6) if metric == "VMAF" else 1.0
    return 10 * math.log10(there / missing)


def shown(score: float, metric: str) -> str:
    """A score in words, never better than it is.

    >>> shown(0.95678, "SSIM"), shown(93.456, "VMAF")
    ('0.956', '93.4')
    """
    return rounded_down(score, 1 if metric == "VMAF" else 3)


def from_db(decibels: float, metric: str) -> float:
    ratio: float = 10 ** (-decibels / 10)
    return PERFECT[metric] * (1 / (1 + ratio) if metric == "VMAF" else 1 - ratio)
