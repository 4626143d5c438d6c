"""Encodes of one clip on QVBR's dial by MediaConvert's stand-in, each made and scored once."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from bench.rating.shelf import Shelf, digest
from chalicelib.domain import dial
from chalicelib.domain.encoding import job_settings
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.ordinary import to_db
from chalicelib.domain.plan import Plan
from slimreel import offline

T = TypeVar("T")
#: So high that it never binds: the level alone decides.
NO_CAP_BPS = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One encode of the whole clip. `cpu_s` is processor time of the encode and its metrics."""

    level: float
    size_bytes: int
    score: float
    cpu_s: float


@dataclass(slots=True)
class Dial:
    """All of a clip's encodes so far, by level."""

    shelf: Shelf
    facts: MediaFacts
    plan: Plan
    metric: str
    made: dict[float, Encoded] = field(default_factory=dict)

    def at(self, level: float) -> Encoded:
        """The clip at one level, without its sound."""
        if level not in self.made:
            self.made[level] = self._encode(level)
        return self.made[level]

    def lowest(self, target: float) -> Encoded | None:
        """The lowest level that reaches the target, by binary search with full encodes between
        those there are already; None when the highest does not reach it."""
        low, high = 0, len(dial.LEVELS) - 1
        for place, level in enumerate(dial.LEVELS):
            if level in self.made and self.made[level].score < target:
                low = place + 1
        for place, level in reversed(list(enumerate(dial.LEVELS))):
            if level in self.made and self.made[level].score >= target and place >= low:
                high = place
        while low < high:
            middle = (low + high) // 2 if high - low > 4 else high - 1
            if self.at(dial.LEVELS[middle]).score >= target:
                high = middle
            else:
                low = middle + 1
        if low == len(dial.LEVELS):
            return None
        found = self.at(dial.LEVELS[low])
        return found if found.score >= target else None

    def bytes_at(self, target: float) -> float | None:
        """What a dial without steps would need, between the two encodes around the target."""
        return interpolated(
            [(one.score, one.size_bytes) for one in self.made.values()],
            target,
            self.metric,
        )

    def _encode(self, level: float) -> Encoded:
        plan = replace(self.plan, qvbr_level=level, max_bitrate_bps=NO_CAP_BPS, audio=())
        settings = job_settings(
            plan, source_url="s3://files/source", destination_url="s3://files/full"
        )
        name = f"level{round(100 * level)}-{digest(settings)}"
        clip, folder = self.shelf.clip, self.shelf.folder

        def encode(film: Path) -> float:
            _, cpu_s = timed(lambda: offline.encode(clip, settings, folder))
            (folder / "full.mp4").replace(film)
            return cpu_s

        figures = self.shelf.film(name, encode)
        return Encoded(level=level, score=self.shelf.score(name, self.metric), **figures)


def interpolated(points: list[tuple[float, float]], target: float, metric: str) -> float | None:
    """Bytes at a score, straight in log2 of bytes over decibels; None outside the points."""
    known = sorted((to_db(value, metric), math.log2(size)) for value, size in points)
    wanted = to_db(target, metric)
    for (left, less), (right, more) in pairwise(known):
        if left <= wanted <= right:
            share = (wanted - left) / (right - left) if right > left else 0.0
            return float(2 ** (less + share * (more - less)))
    return None


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The answer, and the processor time of all child processes meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return answer, spent
