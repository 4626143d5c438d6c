"""What each level gives on ordinary films, and the scales on which a film's own curve is straight.

Scores are compared as decibels of what is missing to a perfect one, and bitrates as powers of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chalicelib.domain.score import SCREEN
from chalicelib.domain.text import rounded_down

#: What a perfect score is; VMAF's a little beyond, because it hardly ever reaches 100.
PERFECT = {"SSIM": 1.0, "VMAF": 104.0}
#: The mean score of each level, 1 to 10: SSIM over 11 public films
#: (docs/mediaconvert-stand-in.md), VMAF (v0.6.1) over 3 s of 8 of them (docs/quality.md).
TYPICAL_SCORES = {
    "SSIM": (0.9307, 0.9491, 0.9635, 0.9727, 0.9793, 0.9850, 0.9894, 0.9918, 0.9936, 0.9954),
    "VMAF": (65.63, 75.15, 82.51, 87.29, 90.78, 93.46, 95.37, 96.53, 97.28, 97.82),
}
#: What a picture's VMAF loses in decibels each time it is magnified twofold to fill a screen, for
#: which VMAF's model was made: the encoder reports what the picture scores at its own size. (Nine
#: films magnified 1.5 to 3 times, where they come to 88 to 97: 0.2 to 2.0 dB; predicted with this,
#: VMAF is off by 0.84, root mean square. docs/quality.md)
#: Source: https://github.com/Netflix/vmaf/blob/master/resource/doc/faq.md
SCREEN_DB = 1.5
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
    """How little is missing to a perfect score, in decibels; at most 60."""
    missing = 1 - score / PERFECT[metric]
    return -10 * math.log10(min(max(missing, 1e-6), 2.0))


def shown(score: float, metric: str) -> str:
    """A score in words, never better than it is.

    >>> shown(0.95678, "SSIM"), shown(93.456, "VMAF")
    ('0.956', '93.4')
    """
    return rounded_down(score, 1 if metric == "VMAF" else 3)


def from_db(decibels: float, metric: str) -> float:
    return PERFECT[metric] * (1 - 10 ** (-decibels / 10))
