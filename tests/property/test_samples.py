"""What a search looks at, and what it makes of what it sees."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import samples, search
from chalicelib.domain.mp4 import Pictures
from chalicelib.domain.ordinary import SCREEN_DB, to_db
from chalicelib.domain.points import BEGINNING_SHARE, point
from chalicelib.domain.samples import Sample
from chalicelib.domain.search import Search, Target

quick = settings(deadline=None)
targets = st.builds(
    Target,
    metric=st.just("SSIM"),
    mean=st.floats(0.5, 0.995),
    worst=st.none() | st.floats(0.3, 0.95),
)
films = st.floats(2.0, 20_000.0)


# Where to look


@quick
@given(films, st.lists(st.integers(0, 10**9), max_size=50), targets)
def test_samples_lie_in_the_film_apart_from_each_other_and_stand_for_all_of_it(
    duration_s: float, activity: list[int], target: Target
) -> None:
    found = search.sampling(target, duration_s, activity)
    assert sum(sample.weight for sample in found.samples) == pytest.approx(1)
    end_s = 0.0
    for sample in found.samples:
        assert sample.start_s >= end_s
        end_s = sample.start_s + sample.length_s
    assert end_s <= duration_s
    low, high = samples.EFFORT_BOUNDS
    assert low <= found.effort_ratio <= high


@quick
@given(st.floats(120.1, 50_000.0), st.lists(st.integers(0, 10**9), max_size=20), targets)
def test_of_films_over_two_minutes_no_more_than_fifteen_percent_is_encoded(
    duration_s: float, activity: list[int], target: Target
) -> None:
    found = search.new_search(target, duration_s, activity)
    assert found is not None
    sampled_s = sum(sample.length_s for sample in found.samples) * len(found.levels)
    assert sampled_s <= 0.15 * duration_s
    assert found.work_share == pytest.approx(sampled_s / duration_s, abs=1e-4)


def test_very_short_films_are_not_searched() -> None:
    assert search.new_search(Target(metric="SSIM", mean=0.95), 19.9) is None
    assert search.new_search(Target(metric="SSIM", mean=0.95), 20.0) is not None


@quick
@given(st.lists(st.integers(100, 1000), min_size=60, max_size=200), st.integers(6, 20))
def test_together_samples_spend_what_the_film_spends(activity: list[int], budget_s: int) -> None:
    """Nearer than evenly spaced ones do, and each still near the middle of its part."""
    duration_s = float(len(activity))
    found = samples.samples(duration_s, activity, budget_s=budget_s)
    even = samples.samples(duration_s, (), budget_s=budget_s)
    goal = sum(activity[:-1]) / (len(activity) - 1)  # the very end may not be there

    def off(picked: tuple[Sample, ...]) -> float:
        return abs(sum(s.weight * activity[int(s.start_s)] for s in picked) - goal)

    assert off(found) <= off(even) + 1e-9
    for sample, middle in zip(found, even, strict=True):
        part_s = middle.weight * duration_s
        assert abs(sample.start_s - middle.start_s) <= samples.MIDDLE_SHARE / 2 * part_s + 1


def test_the_samples_bitrate_is_put_right_by_what_the_source_spends() -> None:
    calm, burst = [100] * 90, [100] * 80 + [400] * 10
    target = Target(metric="SSIM", mean=0.95)
    assert search.sampling(target, 90, calm).effort_ratio == pytest.approx(1, abs=0.01)
    found = search.sampling(target, 90, burst)
    seen = sum(s.weight * burst[int(s.start_s)] for s in found.samples)
    assert found.effort_ratio * seen == pytest.approx(sum(burst) / 90, rel=0.01)


# What came of it


def test_a_point_weighs_its_samples_and_finds_the_worst_frames() -> None:
    plan = Search(
        metric="SSIM",
        samples=(
            Sample(start_s=0.0, length_s=1.0, weight=0.75),
            Sample(start_s=9.0, length_s=1.0, weight=0.25),
        ),
        levels=(2.0,),
        work_share=0.1,
    )
    frames = [0.98] * 50 + [0.90] * 50
    pictures = Pictures(
        sizes_bytes=[1000] * 50 + [3000] * 50,
        times_s=[n / 50 for n in range(101)],
        keys=[0, 50],
    )
    found = point(plan, 2.0, frames, pictures, 200_000)
    sampled_db = to_db(0.75 * 0.98 + 0.25 * 0.90, "SSIM")
    assert to_db(found.mean, "SSIM") == pytest.approx(1.025 * sampled_db, abs=1e-3)
    assert found.worst == pytest.approx(0.90)
    assert found.bitrate_bps == 8 * (0.75 * 50_000 + 0.25 * 150_000)
    without = point(plan, 2.0, frames, None, 200_000)
    assert without.bitrate_bps == 8 * 100_000


def a_string_of(*samples: list[int]) -> tuple[Search, Pictures]:
    """Samples of a second, their pictures' sizes, and keys at the beginning of each."""
    count = len(samples)
    plan = Search(
        metric="SSIM",
        samples=tuple(
            Sample(start_s=9.0 * n, length_s=1.0, weight=1 / count) for n in range(count)
        ),
        levels=(2.0,),
        work_share=0.1,
        duration_s=99.0,  # 20 beginnings
    )
    sizes = [size for sample in samples for size in sample]
    each = len(samples[0])
    pictures = Pictures(
        sizes_bytes=sizes,
        times_s=[n / each for n in range(len(sizes) + 1)],
        keys=list(range(0, len(sizes), each)),
    )
    return plan, pictures


def test_the_picture_a_sample_begins_with_counts_as_often_as_films_begin_anew() -> None:
    plan, pictures = a_string_of([11_000] + [1000] * 24, [11_000] + [1000] * 24)
    found = point(plan, 2.0, [0.9] * 50, pictures, 70_000)
    assert found.bitrate_bps == round(8 * (25_000 + 10_000 * 20 / 99))


def test_cuts_count_where_they_are_and_make_new_beginnings_rarer() -> None:
    cut = [11_000] + [1000] * 11 + [11_000] + [1000] * 12
    plan, pictures = a_string_of(cut, cut)
    pictures = replace(pictures, keys=[0, 12, 25, 37])
    found = point(plan, 2.0, [0.9] * 50, pictures, 90_000)
    # one cut a second: hardly ever 5 s without one
    assert found.bitrate_bps == pytest.approx(8 * (35_000 + 10_000 * 20 / 99 * math.exp(-5)), abs=1)


def test_samples_that_go_on_where_the_last_ended_have_no_beginnings_to_spare() -> None:
    plan, pictures = a_string_of([11_000] + [1000] * 24, [1000] * 25)
    pictures = replace(pictures, keys=[0])
    found = point(plan, 2.0, [0.9] * 50, pictures, 60_000)
    assert found.bitrate_bps == round(8 * (25_000 + 10_000 * 20 / 99))


@pytest.mark.parametrize(
    ("starts_s", "begun"), [((0.0, 9.0), 1.0), ((0.0, 1.0), 0.5), ((0.0, 1.0, 2.0, 5.0), 0.5)]
)
def test_only_samples_that_begin_anew_are_taken_to_score_lower_than_the_film(
    starts_s: tuple[float, ...], begun: float
) -> None:
    share = 1 / len(starts_s)
    plan = Search(
        metric="VMAF",
        samples=tuple(Sample(start_s=s, length_s=1.0, weight=share) for s in starts_s),
        levels=(5.0,),
        work_share=0.1,
    )
    found = point(plan, 5.0, [90.0] * 100, None, 1000)
    expected_db = to_db(90.0, "VMAF") * (1 + BEGINNING_SHARE * begun)
    assert to_db(found.mean, "VMAF") == pytest.approx(expected_db, abs=1e-5)
    assert found.worst == pytest.approx(90.0)


def test_samples_without_scores_say_nothing() -> None:
    plan, _ = a_string_of([1000] * 25)
    with pytest.raises(ValueError, match="no frame"):
        point(plan, 2.0, [], None, 1000)


@pytest.mark.parametrize(
    ("size", "lost_db"),
    [
        ((1920, 1080), 0.0),
        ((3840, 2160), 0.0),
        ((960, 540), SCREEN_DB),
        ((540, 960), SCREEN_DB),
        ((960, 300), SCREEN_DB),
    ],
)
def test_vmaf_is_predicted_as_the_picture_looks_on_a_screen(
    size: tuple[int, int], lost_db: float
) -> None:
    target = Target(metric="VMAF", mean=93.0)
    plan = search.sampling(target, 60.0, size=size)
    assert plan.lost_on_screen_db == pytest.approx(lost_db)
    found = point(plan, plan.levels[0], [95.0] * 500, None, 1000)
    own = point(search.sampling(target, 60.0), 5.0, [95.0] * 500, None, 1000)
    assert to_db(own.mean, "VMAF") - to_db(found.mean, "VMAF") == pytest.approx(lost_db, abs=1e-4)
    assert (found.worst < 95.0) == (lost_db > 0)
    assert search.sampling(replace(target, metric="SSIM", mean=0.9), 60.0, size=size) == (
        search.sampling(replace(target, metric="SSIM", mean=0.9), 60.0)
    )
