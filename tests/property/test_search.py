"""The decision of the search: whatever the samples say, it is the lowest level that promises the
target, or none."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.domain import dial, prediction, samples, search
from chalicelib.domain.curve import rising
from chalicelib.domain.mp4 import Pictures
from chalicelib.domain.ordinary import from_db, to_db, typical_db, typical_log2
from chalicelib.domain.points import point
from chalicelib.domain.samples import Sample
from chalicelib.domain.search import Point, Search, Target

quick = settings(max_examples=60, deadline=None)
scores = st.floats(0.3, 0.9999)
levels = st.sampled_from(dial.LEVELS)
targets = st.builds(
    Target,
    metric=st.just("SSIM"),
    mean=st.floats(0.5, 0.995),
    worst=st.none() | st.floats(0.3, 0.95),
)
points = st.builds(
    Point, level=levels, bitrate_bps=st.integers(1, 10**8), mean=scores, worst=scores
)
films = st.floats(2.0, 20_000.0)


def a_search(*tried: Point) -> Search:
    sample = Sample(start_s=0.0, length_s=1.0, weight=1.0)
    return Search(
        metric="SSIM",
        samples=(sample,),
        levels=tuple(point.level for point in tried),
        work_share=0.1,
        points=tried,
    )


def straight(slope_db: float, at_one_db: float) -> list[Point]:
    """What a film gives that rises evenly against ordinary ones."""
    return [
        Point(
            level=level,
            bitrate_bps=round(1e6 * 2 ** typical_log2(level)),
            mean=from_db(at_one_db + slope_db * typical_db(level, "SSIM"), "SSIM"),
            worst=0.5,
        )
        for level in dial.LEVELS
    ]


# The decision


@quick
@given(st.floats(0.5, 1.6), st.floats(-5.0, 2.0), st.floats(0.7, 0.99), st.data())
def test_on_an_even_film_two_levels_find_the_lowest_that_is_good_enough(
    slope: float, offset: float, wanted: float, data: st.DataObject
) -> None:
    film = straight(slope, offset)
    target = Target(metric="SSIM", mean=wanted)
    low, high = sorted(data.draw(st.sets(st.sampled_from(film), min_size=2, max_size=2)), key=str)
    assume(abs(low.level - high.level) >= 1)
    found = prediction.chosen(a_search(low, high), target, duration_s=100, other_bytes=7)
    margin = to_db(wanted, "SSIM") + prediction.MARGIN_DB
    good = [p for p in film if to_db(p.mean, "SSIM") >= margin - 1e-6]
    if found is None:
        assert to_db(film[-1].mean, "SSIM") < margin
    elif good:
        assert found.level == pytest.approx(good[0].level, abs=0.34)
        exact = next(p for p in film if p.level == found.level)
        assert found.predicted_mean == pytest.approx(exact.mean, abs=0.001)
        expected = exact.bitrate_bps * 100 / 8 + 7
        assert found.predicted_bytes == pytest.approx(expected, rel=0.01)


@quick
@given(st.lists(points, min_size=1, max_size=6), targets)
def test_however_noisy_the_choice_meets_its_own_prediction_and_none_below_does(
    tried: list[Point], target: Target
) -> None:
    curves = prediction.curves("SSIM", tried)
    level = curves.lowest(target)
    for known in dial.LEVELS:
        meets = curves.gap_db(target, known) >= prediction.MARGIN_DB
        assert meets == (level is not None and known >= level)


@quick
@given(st.lists(points, min_size=1, max_size=6))
def test_predictions_never_fall_with_the_level(tried: list[Point]) -> None:
    curves = prediction.curves("SSIM", tried)
    for what in (curves.mean_at, curves.worst_at, curves.bps_at):
        values = [what(level) for level in dial.LEVELS]
        assert all(math.isfinite(value) for value in values)
        assert all(b >= a * (1 - 1e-9) - 1e-9 for a, b in pairwise(values))


@quick
@given(points, targets)
def test_one_sample_level_is_enough_for_a_decision(tried: Point, target: Target) -> None:
    found = prediction.chosen(a_search(tried), target, duration_s=60, other_bytes=0)
    assert found is None or found.level in dial.LEVELS


@quick
@given(st.lists(points, min_size=1, max_size=3))
def test_what_no_level_reaches_is_given_up(tried: list[Point]) -> None:
    best, _ = prediction.best_promise(a_search(*tried))
    assume(best < 0.99)
    too_far_db = prediction.hopeless_db(a_search(*tried)) + 0.1
    beyond = from_db(to_db(best, "SSIM") + too_far_db, "SSIM")
    target = Target(metric="SSIM", mean=beyond)
    assert prediction.chosen(a_search(*tried), target, duration_s=60, other_bytes=0) is None


@quick
@given(st.lists(points, min_size=1, max_size=4), levels, scores, scores)
def test_a_measured_result_moves_the_curves_through_it(
    tried: list[Point], level: float, mean: float, worst: float
) -> None:
    moved = prediction.curves("SSIM", tried).shifted(level, mean, worst)
    assert moved.mean_at(level) == pytest.approx(mean, abs=1e-9)
    assert moved.worst_at(level) == pytest.approx(worst, abs=1e-9)


# The curve


@quick
@given(st.lists(st.tuples(st.floats(0, 30), st.floats(-50, 50)), min_size=1, max_size=8))
def test_a_curve_never_falls_and_stays_between_its_points(
    raw: list[tuple[float, float]],
) -> None:
    curve = rising(raw, typical_slope=1.0)
    places = [-5 + number / 2 for number in range(80)]
    values = [curve.at(place) for place in places]
    assert all(b >= a - 1e-6 for a, b in pairwise(values))
    inside = [curve.at(p) for p in places if curve.places[0] <= p <= curve.places[-1]]
    assert all(curve.values[0] - 1e-6 <= v <= curve.values[-1] + 1e-6 for v in inside)


def test_points_that_rise_are_met_exactly() -> None:
    curve = rising([(1, 10.0), (4, 14.0), (7, 15.0)], typical_slope=1.0)
    assert [curve.at(place) for place in (1, 4, 7)] == pytest.approx([10.0, 14.0, 15.0])


def test_a_curve_without_a_point_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a point"):
        rising([], typical_slope=1.0)


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


def test_samples_are_typical_easy_and_hard_by_turns() -> None:
    activity = [100, 100, 900, 500, 100, 500, 900, 500, 900] * 10
    found = samples.samples(90.4, activity, budget_s=10)
    spent = [activity[int(sample.start_s)] for sample in found]
    assert {100, 500, 900} == set(spent)


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
    assert found.mean == pytest.approx(0.75 * 0.98 + 0.25 * 0.90)
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


def test_samples_without_scores_say_nothing() -> None:
    plan = a_search(Point(level=2.0, bitrate_bps=1, mean=0.9, worst=0.9))
    with pytest.raises(ValueError, match="no frame"):
        point(plan, 2.0, [], None, 1000)


# The dial


@quick
@given(levels)
def test_a_level_survives_its_two_parts(level: float) -> None:
    whole, fine = dial.parts(level)
    assert 1 <= whole <= 10 and fine in (0.0, 0.33, 0.67)
    assert whole + round(fine * 3) / 3 == pytest.approx(level, abs=0.01)


def test_the_dial_has_ends() -> None:
    assert (dial.LEVELS[0], dial.LEVELS[-1], len(dial.LEVELS)) == (1.0, 10.0, 28)
    assert dial.above(10.0) is None
    assert dial.above(7.33) == 7.67
    assert dial.above(7.0, by=1.0) == 8.0
    assert dial.nearest(7.4) == 7.33
    assert (dial.label(8.0), dial.label(7.33)) == ("8", "7.33")
