"""A result that is better than it has to be: another encode only where it is worth it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import dial
from chalicelib.domain.leaner import LEAST_SHARE, Reached, leaner
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.ordinary import from_db, to_db, typical_db, typical_log2
from chalicelib.domain.plan import Plan
from chalicelib.domain.search import Point, Sample, Search, Target
from tests.examples import a_plan, a_video, some_facts, the_prices

TARGET = Target(metric="SSIM", mean=0.95, worst=0.85)


def a_film(length_s: float, mbps: float = 50.0) -> MediaFacts:
    video = a_video(duration_s=length_s)
    return some_facts(duration_s=length_s, video=video, size_bytes=round(mbps * 1e6 * length_s / 8))


def searched(level: float, *, metric: str = "SSIM", **changes: object) -> Plan:
    """A plan for the level, after samples of an ordinary film."""
    points = tuple(
        Point(
            level=tried,
            bitrate_bps=round(1000 * 2 ** typical_log2(tried)),
            mean=from_db(typical_db(tried, metric), metric),
            worst=from_db(typical_db(tried, metric) - 1, metric),
        )
        for tried in (2.0, 5.0)
    )
    search = Search(
        metric=metric,
        samples=(Sample(start_s=0.0, length_s=1.0, weight=1.0),),
        levels=(2.0, 5.0),
        work_share=0.1,
        points=points,
        level=level,
    )
    return a_plan(qvbr_level=level, search=search, **changes)


def again(
    plan: Plan, mean: float, *, length_s: float = 60.0, worst: float = 0.94, mbps: float = 3.0
) -> Plan | None:
    """What is decided about a result of so many Mbit/s."""
    return leaner(
        plan,
        [Reached(target=TARGET, mean=mean, worst=worst)],
        a_film(length_s),
        the_prices(),
        result_size_bytes=round(mbps * 1e6 * length_s / 8),
    )


def test_a_short_film_that_came_out_too_good_is_encoded_once_more() -> None:
    leanest = again(searched(4.0), 0.966)
    assert leanest is not None and leanest.qvbr_level is not None
    assert 2.33 <= leanest.qvbr_level <= 3.33
    assert "with SSIM 0.966 the first result is better than it has to be" in leanest.reasons[0]
    assert replace(leanest, reasons=(), qvbr_level=4.0) == replace(searched(4.0), reasons=())


def test_a_result_that_is_just_good_enough_is_left_alone() -> None:
    assert again(searched(4.0), 0.9505) is None
    assert again(searched(dial.LOWEST), 0.99) is None


def test_the_worst_frames_must_be_promised_as_well() -> None:
    assert again(searched(4.0), 0.966, worst=0.851) is None


@pytest.mark.parametrize(("mbps", "is_worth"), [(3.0, False), (60.0, True)])
def test_a_long_film_is_only_encoded_again_where_storage_pays_for_it(
    mbps: float, is_worth: bool
) -> None:
    """An hour of HD costs 90 cents; a quarter of 60 Mbit/s is 6.7 GB, 15 cents a month."""
    assert (again(searched(4.0), 0.966, length_s=3600.0, mbps=mbps) is not None) == is_worth


def test_what_the_search_did_not_set_is_left_alone() -> None:
    assert again(a_plan(), 0.99) is None
    assert again(searched(4.0, max_average_bps=2_000_000), 0.99) is None


def test_floors_in_another_metric_bind_too() -> None:
    """VMAF is aimed at, and SSIM is a floor of its own."""
    plan = searched(6.0, metric="VMAF")
    vmaf = Reached(target=Target(metric="VMAF", mean=93.0, worst=60.0), mean=97.0, worst=90.0)
    ssim = Reached(target=Target(metric="SSIM", mean=0.85, worst=0.7), mean=0.86, worst=0.8)
    facts, prices = a_film(60.0), the_prices()
    free = leaner(plan, [vmaf], facts, prices, result_size_bytes=20_000_000)
    bound = leaner(plan, [vmaf, ssim], facts, prices, result_size_bytes=20_000_000)
    assert free is not None and free.qvbr_level is not None and "VMAF 97.0" in free.reasons[0]
    assert bound is None or (bound.qvbr_level or 0) > free.qvbr_level


@settings(deadline=None)
@given(
    st.sampled_from(dial.LEVELS),
    st.floats(0.5, 0.999),
    st.floats(0.3, 0.999),
    st.floats(1.0, 20_000.0),
    st.floats(0.1, 100.0),
)
def test_a_leaner_plan_is_lower_saves_enough_and_promises_everything(
    level: float, mean: float, worst: float, length_s: float, mbps: float
) -> None:
    plan = searched(level)
    found = again(plan, mean, worst=worst, length_s=length_s, mbps=mbps)
    if found is None:
        return
    assert found.qvbr_level is not None and found.qvbr_level < level
    assert mean > TARGET.mean and worst > (TARGET.worst or 0)
    lost_db = typical_db(level, "SSIM") - typical_db(found.qvbr_level, "SSIM")
    assert to_db(mean, "SSIM") - lost_db >= to_db(TARGET.mean, "SSIM")
    saved = 1 - 2 ** (typical_log2(found.qvbr_level) - typical_log2(level))
    assert saved >= LEAST_SHARE - 1e-3
