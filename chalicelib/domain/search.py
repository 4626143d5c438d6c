"""The search for a setting: a few short samples of the film, encoded at a few levels, say which
level meets the target and how large the result will be.

Pure: `samples.py` chooses the stretches, `points.py` reads what came of them at one level,
`prediction.py` decides. The scores are the encoder's own per-frame report of the samples. The whole
result is measured independently afterwards, so here the report only has to be close; what is off
between the two is put right by `Curves.shifted` when another attempt is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain import dial
from chalicelib.domain.ordinary import TYPICAL_SCORES, lost_on_screen_db
from chalicelib.domain.samples import Sample, effort_ratio, samples
from chalicelib.domain.score import SCREEN

#: Shorter films are encoded at the preset's own level: sampling them costs more than it saves.
SHORTEST_S = 20.0
#: All samples at all levels together take at most this share of the full encode's work ...
WORK_SHARE = 0.15
#: ... and of films up to two minutes this many seconds: MediaConvert bills 10 s of each output
#: anyway (chalicelib/data/prices.toml).
SHORT_FILM_S, SHORT_FILM_WORK_S = 120.0, 20.0
#: Levels to try start this far below the one that gives the target on ordinary films, and lie this
#: far apart. VMAF hardly moves above its targets, so what it does there tells little.
BELOW = {"SSIM": 1.0, "VMAF": 4.0}
APART = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a result must score, on average and in its worst 1 % of frames."""

    metric: str
    mean: float
    worst: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What the samples came to at one level, projected to the whole film.

    Attributes:
        bitrate_bps: of the picture.
        mean, worst: score on average, and of the worst 1 % of frames.
    """

    level: float
    bitrate_bps: int
    mean: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search: what to try, what came of it, and what was chosen.

    Attributes:
        duration_s: of the film.
        work_share: encoding time of all samples over that of the film once.
        lost_on_screen_db: by how much the picture scores lower than the encoder reports when it
            fills a screen.
        effort_ratio: what the samples' bitrate is multiplied by, because the source spends more
            or less on the film than on them.
        points: empty until the samples are encoded.
        level: the choice; None until then. The predictions are for it.
        predicted_bytes: of the whole file, sound included.
    """

    metric: str
    samples: tuple[Sample, ...]
    levels: tuple[float, ...]
    work_share: float
    duration_s: float = 0.0
    lost_on_screen_db: float = 0.0
    effort_ratio: float = 1.0
    points: tuple[Point, ...] = ()
    level: float | None = None
    predicted_mean: float | None = None
    predicted_worst: float | None = None
    predicted_bytes: int | None = None

    @property
    def is_over(self) -> bool:
        return bool(self.points)

    @property
    def sampled_s(self) -> float:
        """Of the film, at each level."""
        return sum(sample.length_s for sample in self.samples)


def new_search(
    target: Target,
    duration_s: float,
    activity: Sequence[int] = (),
    *,
    size: tuple[int, int] = SCREEN,
) -> Search | None:
    """What to sample for a target; None for a film too short for it.

    Args:
        activity: bytes of picture in equally long stretches of the source, where known.
        size: width and height of the result's picture.
    """
    if duration_s < SHORTEST_S:
        return None
    return sampling(target, duration_s, activity, size=size)


def sampling(
    target: Target,
    duration_s: float,
    activity: Sequence[int] = (),
    *,
    size: tuple[int, int] = SCREEN,
) -> Search:
    """The search for a film of any length."""
    lost_db = lost_on_screen_db(target.metric, *size)
    levels = levels_to_try(target)
    work_s = SHORT_FILM_WORK_S if duration_s <= SHORT_FILM_S else WORK_SHARE * duration_s
    chosen = samples(duration_s, activity, budget_s=work_s / len(levels))
    sampled_s = sum(sample.length_s for sample in chosen)
    return Search(
        metric=target.metric,
        samples=chosen,
        levels=levels,
        duration_s=duration_s,
        lost_on_screen_db=round(lost_db, 4),
        effort_ratio=round(effort_ratio(chosen, duration_s, activity), 4),
        work_share=round(sampled_s * len(levels) / duration_s, 4),
    )


def ordinary_level(target: Target) -> int:
    """The level that gives the target on ordinary films; the highest where none does."""
    scores = TYPICAL_SCORES[target.metric]
    return next((n for n, score in enumerate(scores, start=1) if score >= target.mean), 10)


def levels_to_try(target: Target) -> tuple[float, float]:
    """Two levels about the one that ordinary films need."""
    low = ordinary_level(target) - BELOW[target.metric]
    low = min(max(low, dial.LOWEST), dial.HIGHEST - APART)
    return dial.nearest(low), dial.nearest(low + APART)
