"""The decision of the search: whatever the samples say, it is the lowest level that promises the
target, or none."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.domain import dial, prediction
from chalicelib.domain.curve import rising
from chalicelib.domain.ordinary import SCREEN_DB, from_db, to_db, typical_db, typical_log2
from chalicelib.domain.samples import Sample
from chalicelib.domain.search import Point, Search, Target

quick = settings(deadline=None)
levels = st.sampled_from(dial.LEVELS)
shares = st.floats(0.3, 0.9999)
#: What a whole is in each metric.
WHOLE = {"SSIM": 1.0, "VMAF": 100.0}


def a_search(metric: str, *tried: Point) -> Search:
    """After one sample at each of some levels."""
    sample = Sample(start_s=0.0, length_s=1.0, weight=1.0)
    return Search(
        metric=metric,
        samples=(sample,),
        levels=tuple(point.level for point in tried),
        work_share=0.1,
        points=tried,
    )


@st.composite
def cases(draw: st.DrawFn, *, most: int = 6) -> tuple[Search, Target]:
    """Whatever samples may say, in either metric, and whatever may be wanted of it."""
    metric = draw(st.sampled_from(list(WHOLE)))
    scores = shares.map(lambda share: share * WHOLE[metric])
    points = st.builds(
        Point, level=levels, bitrate_bps=st.integers(1, 10**8), mean=scores, worst=scores
    )
    tried = draw(st.lists(points, min_size=1, max_size=most))
    return a_search(metric, *tried), Target(
        metric=metric, mean=draw(scores), worst=draw(st.none() | scores)
    )


def level_of(search: Search, target: Target) -> float:
    """The choice, past the dial's end where there is none."""
    return curves_of(search).lowest(target) or dial.HIGHEST + 1


def curves_of(search: Search) -> prediction.Curves:
    return prediction.curves(search.metric, search.points)


def raised(search: Search, by_db: float) -> Search:
    """The same film, all of its scores better by so much."""

    def up(score: float) -> float:
        return from_db(to_db(score, search.metric) + by_db, search.metric)

    points = tuple(replace(p, mean=up(p.mean), worst=up(p.worst)) for p in search.points)
    return replace(search, points=points)


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
    found = prediction.chosen(a_search("SSIM", low, high), target, duration_s=100, other_bytes=7)
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
@given(cases())
def test_however_noisy_the_choice_meets_its_own_prediction_and_none_below_does(
    case: tuple[Search, Target],
) -> None:
    search, target = case
    level = level_of(search, target)
    for known in dial.LEVELS:
        meets = curves_of(search).gap_db(target, known) >= prediction.MARGIN_DB
        assert meets == (known >= level)


@quick
@given(cases())
def test_predictions_never_fall_with_the_level(case: tuple[Search, Target]) -> None:
    curves = curves_of(case[0])
    for what in (curves.mean_at, curves.worst_at, curves.bps_at):
        values = [what(level) for level in dial.LEVELS]
        assert all(math.isfinite(value) for value in values)
        assert all(b >= a * (1 - 1e-9) - 1e-9 for a, b in pairwise(values))


@quick
@given(cases(), st.floats(0.0, 1.0))
def test_who_wants_less_never_gets_a_higher_level(case: tuple[Search, Target], of: float) -> None:
    search, target = case
    worst = None if target.worst is None else target.worst * of
    less = replace(target, mean=target.mean * of, worst=worst)
    assert level_of(search, less) <= level_of(search, target)
    assert level_of(search, replace(target, worst=None)) <= level_of(search, target)


@quick
@given(cases(), st.floats(0.0, 6.0))
def test_a_film_that_looks_better_throughout_never_gets_a_higher_level(
    case: tuple[Search, Target], by_db: float
) -> None:
    search, target = case
    assume(max(max(p.mean, p.worst) for p in search.points) < 0.999 * WHOLE[search.metric])
    assert level_of(raised(search, by_db), target) <= level_of(search, target)


@quick
@given(cases(most=1))
def test_one_sample_at_one_level_is_enough_for_a_decision(case: tuple[Search, Target]) -> None:
    search, target = case
    found = prediction.chosen(search, target, duration_s=60, other_bytes=0)
    if found is None:
        assert curves_of(search).gap_db(target, dial.HIGHEST) < 0
    else:
        assert found.level in dial.LEVELS and found.predicted_bytes is not None


@quick
@given(cases(most=3))
def test_what_no_level_reaches_is_given_up(case: tuple[Search, Target]) -> None:
    search, target = case
    best, _ = prediction.best_promise(search)
    assume(best < 0.99 * WHOLE[search.metric])
    too_far_db = prediction.hopeless_db(search) + 0.1
    beyond = from_db(to_db(best, search.metric) + too_far_db, search.metric)
    wanted = replace(target, mean=beyond)
    assert prediction.chosen(search, wanted, duration_s=60, other_bytes=0) is None


@quick
@given(cases(most=4), levels, shares, shares)
def test_a_measured_result_moves_the_curves_through_it(
    case: tuple[Search, Target], level: float, mean: float, worst: float
) -> None:
    search, _ = case
    mean, worst = mean * WHOLE[search.metric], worst * WHOLE[search.metric]
    moved = curves_of(search).shifted(level, mean, worst)
    assert moved.mean_at(level) == pytest.approx(mean, rel=1e-9)
    assert moved.worst_at(level) == pytest.approx(worst, rel=1e-9)


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


#: What the encoder said of whole films at levels 4 and 7, by how much they are magnified on a
#: screen (twofold: 1.0), and the lowest level at which they reach VMAF 93 there (docs/quality.md).
MEASURED = [
    pytest.param(90.2, 96.7, 0.58, 6.33, id="juggle"),
    pytest.param(94.8, 99.7, 0.58, 4.67, id="Tokyo"),
    pytest.param(77.8, 92.9, 0.0, 7.33, id="bbb"),
    pytest.param(90.4, 95.9, 1.32, 7.67, id="car"),
    pytest.param(85.3, 95.1, 1.58, 9.0, id="chaplin"),
    pytest.param(93.4, 96.9, 0.56, 5.0, id="screen recording"),
    pytest.param(84.7, 97.4, 1.26, 8.33, id="tears"),
    pytest.param(87.0, 96.6, 0.58, 6.33, id="trailer"),
    pytest.param(91.8, 96.7, 0.91, 6.33, id="vtest"),
]


@pytest.mark.parametrize(("at_four", "at_seven", "octaves", "needed"), MEASURED)
def test_real_films_are_first_encoded_near_the_level_they_need_for_vmaf(
    at_four: float, at_seven: float, octaves: float, needed: float
) -> None:
    def on_screen(score: float) -> float:
        return from_db(to_db(score, "VMAF") - SCREEN_DB * octaves, "VMAF")

    tried = (
        Point(level=level, bitrate_bps=1, mean=on_screen(score), worst=on_screen(score))
        for level, score in ((4.0, at_four), (7.0, at_seven))
    )
    level = level_of(a_search("VMAF", *tried), Target(metric="VMAF", mean=93.0))
    assert abs(level - needed) <= 4 / 3
