"""What many frames' scores come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.floors import floors, missed, scene_floor
from chalicelib.domain.score import QualityScore, ScoreSum, on_screen, worst_scene
from chalicelib.domain.search import Target
from tests.examples import a_plan, a_score

BALANCED = Target(metric="SSIM", mean=0.95, worst=0.85)


def at_rate(scores: list[float], fps: float = 25.0, start_s: float = 0.0) -> list[float]:
    return [start_s + number / fps for number in range(len(scores))]


def scored(scores: list[float], metric: str = "SSIM") -> QualityScore:
    score = ScoreSum(metric=metric).add(scores, at_rate(scores)).score()
    assert score is not None
    return score


def test_worst_percent_is_the_mean_of_the_lowest_frames() -> None:
    scores = [0.99] * 298 + [0.5, 0.6]
    score = scored(scores)
    assert score.frames == 300
    assert score.lowest == 0.5
    assert score.worst_1_percent == pytest.approx((0.5 + 0.6 + 0.99) / 3, abs=1e-6)
    assert score.mean == pytest.approx(sum(scores) / 300, abs=1e-6)


def test_worst_percent_of_few_frames_is_that_of_the_worst_three() -> None:
    assert scored([0.9, 0.8]).worst_1_percent == pytest.approx(0.85)
    assert scored([0.99] * 48 + [0.6, 0.9]).worst_1_percent == pytest.approx(0.83)


def test_percentiles_say_what_share_is_no_better() -> None:
    score = scored([number / 1000 for number in range(1000)])
    assert (score.percentile_1, score.percentile_5) == (0.009, 0.049)


def test_a_bad_part_weighs_more_in_the_harmonic_mean() -> None:
    even, uneven = scored([0.9] * 100), scored([1.0] * 90 + [0.0] * 10)
    assert even.mean == pytest.approx(uneven.mean)
    assert even.harmonic_mean == pytest.approx(0.9, abs=1e-6)
    assert uneven.harmonic_mean < 0.1
    vmaf = scored([90.0] * 50 + [10.0] * 50, "VMAF")
    assert vmaf.harmonic_mean == pytest.approx(2 / (1 / 91 + 1 / 11) - 1, abs=1e-6)


def test_nothing_compared_gives_no_score() -> None:
    assert ScoreSum().add([], []).score() is None


def test_the_worst_second_is_found_with_its_place() -> None:
    score = scored([0.98] * 100 + [0.80] * 25 + [0.98] * 100)
    assert (score.worst_second, score.worst_second_at_s) == (0.8, 4.0)


def test_one_odd_frame_hardly_moves_the_worst_second() -> None:
    score = scored([0.97] * 60 + [0.55] + [0.97] * 60)
    assert score.worst_second == pytest.approx((24 * 0.97 + 0.55) / 25)
    assert score.worst_second > scene_floor(BALANCED)


def test_what_is_shorter_than_a_second_is_taken_whole() -> None:
    assert worst_scene([0.9, 0.7], [0.0, 0.04]) == (0.0, pytest.approx(0.8))
    assert worst_scene([0.9], [3.0]) == (3.0, 0.9)


def test_frames_that_last_long_are_scenes_by_themselves() -> None:
    assert worst_scene([0.9, 0.6, 0.9], [0.0, 5.0, 10.0]) == (5.0, 0.6)


def test_the_worst_second_of_two_stretches_is_the_worse_one() -> None:
    first, second = [0.9] * 50, [0.8] * 50
    total = ScoreSum().add(first, at_rate(first)).add(second, at_rate(second, start_s=100.0))
    for score in (total.score(), total.add(first, at_rate(first, start_s=200.0)).score()):
        assert score is not None
        assert (score.worst_second, score.worst_second_at_s) == (pytest.approx(0.8), 100.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=400), st.integers(0, 400))
def test_score_does_not_depend_on_how_the_work_was_cut(ssims: list[float], cut: int) -> None:
    whole = scored(ssims)
    halves = ScoreSum().add(ssims[:cut], at_rate(ssims[:cut]))
    halves = halves.add(ssims[cut:], at_rate(ssims[cut:], start_s=cut / 25))
    score = halves.score()
    assert score is not None
    assert score.worst_1_percent == whole.worst_1_percent
    assert (score.percentile_1, score.percentile_5) == (whole.percentile_1, whole.percentile_5)
    assert score.mean == pytest.approx(whole.mean, abs=2e-6)
    assert score.harmonic_mean == pytest.approx(whole.harmonic_mean, abs=2e-6)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=200))
def test_figures_are_in_order(ssims: list[float]) -> None:
    score = scored(ssims)
    assert score.lowest <= score.percentile_1 <= score.percentile_5
    assert score.lowest - 1e-6 <= score.worst_1_percent <= score.mean + 1e-6
    assert score.lowest - 1e-6 <= score.worst_second
    assert score.harmonic_mean <= score.mean + 1e-6 or min(ssims) < 0


# floors


def test_floors_of_both_metrics_hold_where_the_plan_aims_at_vmaf() -> None:
    plan = a_plan(metric="VMAF", vmaf_floor=93.0, vmaf_worst_floor=60.0, ssim_floor=0.85)
    assert [target.metric for target in floors(plan)] == ["VMAF", "SSIM"]
    assert floors(a_plan(ssim_floor=None, ssim_worst_floor=None)) == ()


def test_the_worst_scene_must_pass_too() -> None:
    score = a_score(mean=0.97, worst_1_percent=0.86, worst_second=0.8749, worst_second_at_s=75.5)
    assert missed(BALANCED, score) == (
        "likeness in the worst second, at 1:15.5 (SSIM), is 0.874, below 0.875",
    )
    assert missed(BALANCED, a_score(mean=0.97, worst_1_percent=0.86, worst_second=0.876)) == ()


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1280, 720), (1920, 1080)),
        ((720, 1280), (1080, 1920)),
        ((640, 480), (1440, 1080)),
        ((3840, 2160), (3840, 2160)),
        ((1920, 800), (1920, 800)),
        ((320, 180), (1920, 1080)),
    ],
)
def test_small_pictures_fill_a_screen(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert on_screen(*size) == shown
