"""How much a result looks like its source: figures over all frames that were compared.

Two metrics, by the same rules: SSIM from 0 to 1 (identical), VMAF from 0 to 100.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

#: The worst frames kept while counting: 1 % of 68 minutes at 60 frames a second, 5 % of the longest
#: film that is compared whole (two minutes) at 416. Of more frames, the percentiles come out lower
#: than they are, never higher.
WORST_KEPT = 2_500
#: The worst of a short film are so many at least: one odd frame, as in a flash, is no scene.
LEAST_FRAMES = 3
#: A scene that viewers notice and remember; a flash or a frame of a fade is shorter.
SCENE_S = 1.0
#: Sums of equal scores differ by less.
_TIE = 1e-9
#: Times are sums of frame lengths, each rounded to a microsecond.
_ROUNDING_S = 1e-4
#: What VMAF's model was made for: https://github.com/Netflix/vmaf/blob/master/resource/doc/faq.md
SCREEN = 1920, 1080
#: Points of a hundred in one of the metric's own.
_POINTS = {"SSIM": 100.0, "VMAF": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityScore:
    """Likeness of the result's frames to the source's.

    SSIM is ffmpeg's "All": luma and chroma planes weighted by their number of samples. VMAF is the
    model v0.6.1, of pictures as they fill a screen of 1920x1080 at least.

    Attributes:
        metric: "SSIM" or "VMAF".
        harmonic_mean: of points of a hundred plus one, as libvmaf pools its scores, so that low
            ones count more.
            Source: https://github.com/Netflix/vmaf/blob/master/libvmaf/src/libvmaf.c
        percentile_5, percentile_1: this share of all frames scores so low or lower.
        worst_1_percent: mean over the lowest-scoring 1 % of the scored frames, rounded up to
            whole frames and at least `LEAST_FRAMES` (of at most `WORST_KEPT`).
        worst_second: lowest mean over frames that follow each other for `SCENE_S`, or over a
            whole stretch that is shorter; and where it begins.
        frames: how many frames were scored.
    """

    metric: str = "SSIM"
    mean: float
    harmonic_mean: float
    percentile_5: float
    percentile_1: float
    worst_1_percent: float
    lowest: float
    worst_second: float
    worst_second_at_s: float
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSum:
    """A score in the making: small enough to be stored between invocations."""

    metric: str = "SSIM"
    frames: int = 0
    total: float = 0.0
    reciprocals: float = 0.0
    worst: tuple[float, ...] = ()
    worst_second: float | None = None
    worst_second_at_s: float = 0.0

    def add(self, scores: Sequence[float], times_s: Sequence[float]) -> ScoreSum:
        """With frames that follow each other, and when each of them is shown."""
        if not scores:
            return self
        at_s, scene = worst_scene(scores, times_s)
        if self.worst_second is not None and self.worst_second <= scene:
            at_s, scene = self.worst_second_at_s, self.worst_second
        points = _POINTS[self.metric]
        return ScoreSum(
            metric=self.metric,
            frames=self.frames + len(scores),
            total=self.total + math.fsum(scores),
            reciprocals=self.reciprocals
            + math.fsum(1 / (points * max(score, 0.0) + 1) for score in scores),
            worst=tuple(heapq.nsmallest(WORST_KEPT, (*self.worst, *scores))),
            worst_second=scene,
            worst_second_at_s=at_s,
        )

    def score(self) -> QualityScore | None:
        """None while no frame was compared."""
        if not self.frames or self.worst_second is None:
            return None
        points = _POINTS[self.metric]
        worst = self.worst[: max(math.ceil(self.frames / 100), LEAST_FRAMES)]
        return QualityScore(
            metric=self.metric,
            mean=round(self.total / self.frames, 6),
            harmonic_mean=round((self.frames / self.reciprocals - 1) / points, 6),
            percentile_5=self._percentile(5),
            percentile_1=self._percentile(1),
            worst_1_percent=round(math.fsum(worst) / len(worst), 6),
            lowest=self.worst[0],
            worst_second=round(self.worst_second, 6),
            worst_second_at_s=round(self.worst_second_at_s, 3),
            frames=self.frames,
        )

    def _percentile(self, share: int) -> float:
        rank = math.ceil(self.frames * share / 100)
        return self.worst[min(rank, len(self.worst)) - 1]


def worst_scene(scores: Sequence[float], times_s: Sequence[float]) -> tuple[float, float]:
    """Where the worst `SCENE_S` of frames that follow each other begin, and their mean score.

    Args:
        times_s: when each frame is shown, rising. The last one is taken to last as long as the one
            before.
    """
    sums = [0.0, *accumulate(scores)]
    count = len(scores)
    last_s = times_s[-1] - times_s[-2] if count > 1 else 0.0
    ends_s = [*times_s[1:], times_s[-1] + last_s]
    found: tuple[float, float] | None = None
    end = 0
    for start in range(count):
        while end < count and ends_s[end] - times_s[start] < SCENE_S - _ROUNDING_S:
            end += 1
        if end == count:
            break
        mean = (sums[end + 1] - sums[start]) / (end + 1 - start)
        if found is None or mean < found[1] - _TIE:
            found = times_s[start], mean
    return found if found is not None else (times_s[0], sums[-1] / count)


def on_screen(width: float, height: float) -> tuple[int, int]:
    """A picture's size, even, when it fills a screen, which may stand upright; its own where that
    is larger."""
    long, short = SCREEN
    screen = (long, short) if width >= height else (short, long)
    factor = max(1.0, min(screen[0] / width, screen[1] / height))
    return round(width * factor) // 2 * 2, round(height * factor) // 2 * 2
