"""The quality bench: what was made is not made again, and its table says what was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import quality
from bench.quality import MEDLEY, Row
from bench.rating.encodes import Dial, Encoded, interpolated
from bench.rating.handbrake import Picked
from bench.rating.shelf import Shelf
from chalicelib.domain.search import Point, Search, Target

TARGET = Target(metric="SSIM", mean=0.95)


def test_what_was_found_out_is_not_found_out_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, tmp_path / "clip.mp4")
    found = [shelf.figures("a", lambda: {"cpu_s": 1.5}), shelf.figures("a", lambda: {"cpu_s": 9.0})]
    assert found == [{"cpu_s": 1.5}] * 2


def test_what_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, tmp_path / "clip.mp4")

    def dies() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.figures("a", dies)
    assert shelf.figures("a", lambda: {"cpu_s": 2.0}) == {"cpu_s": 2.0}


def an_encode(level: float, size_bytes: int, score: float) -> Encoded:
    return Encoded(level=level, size_bytes=size_bytes, score=score, cpu_s=10.0)


def a_row(name: str, first: Encoded, final: Encoded, best: Encoded) -> Row:
    search = Search(
        metric="SSIM",
        samples=(),
        levels=(2.0, 5.0),
        work_share=0.15,
        points=(Point(level=2.0, bitrate_bps=1, mean=0.9, worst=0.9),),
        level=first.level,
        predicted_mean=0.951,
        predicted_bytes=90_000,
    )
    picked = Picked(size_bytes=300_000, score=0.97, cpu_s=5.0, equal_bytes=150_000.0)
    return Row(
        name=name,
        duration_s=30.0,
        search=search,
        first=first,
        final=final,
        again_cpu_s=() if final is first else (final.cpu_s,),
        best=best,
        exact_bytes=95_000.0,
        search_cpu_s=2.0,
        picked={"Fast 1080p30": picked} if name != MEDLEY else {},
    )


class _Dial:
    """A dial of which every level is known."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes

    def at(self, level: float) -> Encoded:
        return an_encode(level, self._size_bytes, 0.99)


def test_the_page_adds_up_the_clips_and_leaves_the_medley_out() -> None:
    good, low = an_encode(2.0, 100_000, 0.952), an_encode(2.0, 80_000, 0.944)
    better = an_encode(3.0, 110_000, 0.9505)
    rows = [
        (a_row("a.mp4", good, good, good), _Dial(200_000)),
        (a_row("b.mp4", low, better, better), _Dial(200_000)),
        (a_row(MEDLEY, good, good, good), _Dial(999_000)),
    ]
    page = quality.report(rows, TARGET, 30.0)  # type: ignore[arg-type]
    assert "first 30 s of 2 clips" in page and MEDLEY in page
    assert (
        "search alone: within ±0.005 of the target, or above it at the dial's lowest level: 1 of 2"
        in page
    )
    assert (
        "in the end: within ±0.005 of the target, or above it at the dial's lowest level: 2 of 2"
        in page
    )
    assert "210 kB, +0 % against the lowest level" in page
    assert "-48 % against level 3 for all" in page
    assert "against HandBrake's Fast 1080p30: -65 % as it is, -30 % at an equal score" in page
    assert "one encode of each 20 s, samples 4 s, 1 further encodes 10 s" in page
    assert "would take 5 of each, 100 s" in page


def test_bytes_at_an_equal_score_lie_between_two_encodes() -> None:
    encodes = [(0.94, 100.0), (0.96, 200.0)]
    assert interpolated(encodes, 0.94, "SSIM") == pytest.approx(100)
    between = interpolated(encodes, 0.95, "SSIM")
    assert between is not None and 130 < between < 160
    assert interpolated(encodes, 0.97, "SSIM") is None


@pytest.mark.parametrize("known", [(), (3.0,), (2.33, 3.0), (10.0,), (1.0, 5.0)])
def test_the_lowest_level_is_found_whatever_was_tried_before(known: tuple[float, ...]) -> None:
    class Film(Dial):
        def _encode(self, level: float) -> Encoded:
            return an_encode(level, 1000, 0.9 + level / 50)

    film = Film(shelf=None, facts=None, plan=None, metric="SSIM")  # type: ignore[arg-type]
    for level in known:
        film.at(level)
    best = film.lowest(0.95)
    assert best is not None and best.level == 2.67
    assert film.lowest(0.9001).level == 1.0  # type: ignore[union-attr]
    assert film.lowest(1.2) is None
