"""What a film will probably come to, before a single sample of it was encoded.

Films differ by several times at one quality, so this is no more than a first guess: it tells a
folder's large savings from its small ones. Samples tell the rest.
"""

from __future__ import annotations

from chalicelib.domain.bitrate import CODEC_BITS
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.ordinary import typical_log2
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.search import ordinary_level
from chalicelib.domain.sound import sound_bps

#: The pixel rate of `TYPICAL_KBPS`, and how bitrate grows with it at equal quality.
#: Source: Ben Waggoner's rule of thumb, "Compression for Great Video and Audio".
_REFERENCE, _POWER = 1920 * 1080 * 30, 0.75
#: A copy is hardly ever of fewer bits than the source has.
MOST_SHARE = 0.95


def likely_bytes(plan: Plan, facts: MediaFacts) -> int | None:
    """The size of the whole result on an ordinary film; None where nothing is encoded, or nobody
    knows how long it is."""
    duration_s = facts.picture_s
    if plan.route not in (Route.SEARCH, Route.ENCODE) or duration_s is None or facts.video is None:
        return None
    assert plan.width and plan.height and plan.qvbr_level
    searched = plan.route is Route.SEARCH
    level = ordinary_level(plan.target) if searched else plan.qvbr_level
    pixel_rate = plan.width * plan.height * (facts.video.frame_rate or 30)
    kbps: float = 2 ** typical_log2(level) * (pixel_rate / _REFERENCE) ** _POWER
    kbps *= CODEC_BITS.get(plan.codec, 1.0)
    caps = [plan.max_bitrate_bps, plan.max_average_bps]
    bps = min([1000 * kbps, *(cap for cap in caps if cap is not None)])
    likely = round((bps + sound_bps(plan, facts)) * duration_s / 8)
    return min(likely, round(MOST_SHARE * facts.size_bytes))
