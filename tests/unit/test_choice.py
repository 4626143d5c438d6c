"""What samples lead to: a level, a smaller picture, or the original, before money is spent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.config import all_presets
from chalicelib.domain import ordinary
from chalicelib.domain.choice import decide
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.money import encode_cost_usd, estimated, search_cost_usd
from chalicelib.domain.plan import Plan, Route
from chalicelib.domain.planner import make_plan
from chalicelib.domain.search import Point
from tests.examples import a_video, a_workflow, some_facts, the_prices

HOUR_S = 3600.0


def a_film(*, length_s: float = HOUR_S, mbps: float = 20.0, **picture: object) -> MediaFacts:
    size_bytes = round(mbps * 1e6 * length_s / 8)
    video = a_video(duration_s=length_s, bitrate_bps=round(mbps * 1e6), **picture)
    return some_facts(duration_s=length_s, size_bytes=size_bytes, video=video)


def points(*, at_two_db: float = 12.93, mbps_at_two: float = 1.0) -> list[Point]:
    """An ordinary film's, moved to a score and a bitrate at level 2."""
    off_db = at_two_db - ordinary.typical_db(2, "SSIM")
    rate = mbps_at_two * 1e6 / 2 ** ordinary.typical_log2(2)
    return [
        Point(
            level=level,
            bitrate_bps=round(rate * 2 ** ordinary.typical_log2(level)),
            mean=ordinary.from_db(ordinary.typical_db(level, "SSIM") + off_db, "SSIM"),
            worst=ordinary.from_db(ordinary.typical_db(level, "SSIM") + off_db - 3, "SSIM"),
        )
        for level in (2.0, 5.0)
    ]


def decided(
    facts: MediaFacts, found: list[Point], preset: str = "balanced", **policy: object
) -> Plan:
    workflow = a_workflow(**policy)
    plan = make_plan(facts, all_presets()[preset], workflow)
    assert plan.route is Route.SEARCH, plan.reasons
    return decide(plan, found, facts, workflow)


def test_the_lowest_level_that_promises_the_target_is_taken() -> None:
    plan = decided(a_film(), points())
    assert plan.route is Route.ENCODE and plan.search is not None
    assert plan.qvbr_level == plan.search.level == 2.33
    assert plan.search.predicted_mean == pytest.approx(0.9539, abs=0.002)
    # 1.1 Mbit/s of picture and 192 kbit/s of sound for an hour
    assert plan.search.predicted_bytes == pytest.approx(1.31e6 / 8 * 3600, rel=0.02)
    assert plan.reasons[0].startswith("Setting found by search: QVBR level 2.33, predicted SSIM")
    assert "balanced" in plan.reasons[1] and "samples" not in " ".join(plan.reasons[1:])


def test_a_higher_level_than_the_presets_gets_a_wider_cap() -> None:
    plan = decided(a_film(mbps=60), points(at_two_db=4.5, mbps_at_two=3))
    assert plan.qvbr_level is not None and plan.qvbr_level > 8
    before = make_plan(a_film(mbps=60), all_presets()["balanced"], a_workflow())
    assert plan.max_bitrate_bps and before.max_bitrate_bps
    assert before.max_bitrate_bps < plan.max_bitrate_bps <= 60_000_000


@pytest.mark.parametrize(
    ("mbps", "said"), [(1.4, "would have saved only"), (1.2, "would have made it")]
)
def test_what_would_not_pay_is_not_encoded(mbps: float, said: str) -> None:
    plan = decided(a_film(mbps=mbps), points())
    assert plan.route is Route.KEEP
    assert said in plan.reasons[0] and "10 % make it worth while" in plan.reasons[0]
    assert plan.search is not None and plan.search.points  # for whoever wants to see the curve


def test_what_no_setting_reaches_is_not_encoded() -> None:
    plan = decided(a_film(), points(at_two_db=-1.0))
    assert plan.route is Route.KEEP
    assert "no setting would look good enough: at best SSIM 0.88" in plan.reasons[0]


def test_what_cannot_look_good_and_is_above_the_limit_says_both() -> None:
    hopeless = points(at_two_db=-1.0)
    plan = decided(a_film(), hopeless, max_output_bytes=8_000_000_000)
    assert plan.route is Route.KEEP
    assert plan.reasons[0].endswith("At 9.0 GB it stays above the 8.0 GB this workflow allows.")


def test_without_points_the_presets_own_level_is_taken() -> None:
    plan = decided(a_film(), [])
    assert (plan.route, plan.qvbr_level) == (Route.ENCODE, 8)
    assert "The samples could not be used" in plan.reasons[1]


def test_one_point_will_do() -> None:
    plan = decided(a_film(), points()[:1])
    assert (plan.route, plan.qvbr_level) == (Route.ENCODE, 2.33)


# a limit of size


def test_what_fits_with_room_to_spare_is_left_to_its_quality() -> None:
    plan = decided(a_film(), points(), max_output_bytes=5 * 10**9)
    assert plan == decided(a_film(), points())


def test_what_nearly_fills_the_limit_is_held_below_it_by_an_average() -> None:
    limit = 620_000_000  # 589 MB are predicted
    plan = decided(a_film(), points(), max_output_bytes=limit)
    assert plan.qvbr_level == 2.33 and plan.tuning == "MULTI_PASS_HQ"
    assert plan.max_average_bps == int(0.98 * limit * 8 / HOUR_S - 192_000)
    assert plan.max_bitrate_bps is not None and plan.max_bitrate_bps >= plan.max_average_bps
    assert "so that it fits in 620.0 MB" in plan.reasons[-1]


def test_the_best_that_fits_is_taken_and_said() -> None:
    limit = 2_000_000_000
    plan = decided(a_film(), points(), preset="high", max_output_bytes=limit)
    asked = decided(a_film(), points(), preset="high")
    assert plan == asked  # 0.98 fits as well
    tight = decided(a_film(), points(), preset="high", max_output_bytes=900_000_000)
    assert asked.qvbr_level and tight.qvbr_level and tight.qvbr_level < asked.qvbr_level
    assert (tight.width, tight.height) == (1920, 1080)
    assert tight.ssim_floor == 0.85
    assert tight.search is not None and tight.search.predicted_bytes is not None
    assert tight.search.predicted_bytes <= 900_000_000
    assert "this is the best that does" in tight.reasons[1]


@pytest.mark.parametrize(("limit", "size"), [(9 * 10**8, (1920, 1080)), (5 * 10**8, (1280, 720))])
def test_a_picture_that_does_not_fit_gets_smaller(limit: int, size: tuple[int, int]) -> None:
    facts = a_film(width=3840, height=2160, mbps=50)
    plan = decided(facts, points(mbps_at_two=4.0), max_output_bytes=limit)
    assert plan.route is Route.ENCODE and plan.scaled
    assert (plan.width, plan.height) == size
    said = f"The picture goes from 3840x2160 to {size[0]}x{size[1]}, to fit."
    assert said in plan.losses


@pytest.mark.parametrize(("mbps", "route"), [(20, Route.REJECT), (0.9, Route.KEEP)])
def test_what_cannot_fit_is_said_before_the_film_is_encoded(mbps: float, route: Route) -> None:
    limit = 410_000_000
    plan = decided(a_film(mbps=mbps), points(at_two_db=6, mbps_at_two=1.6), max_output_bytes=limit)
    assert plan.route is route
    assert "cannot be brought under 410.0 MB, not even at 720 lines" in plan.reasons[0]
    assert "It needs about" in plan.reasons[0]


# money


def test_the_plan_says_what_search_and_encode_cost_and_when_that_pays() -> None:
    facts, prices = a_film(), the_prices()
    first = estimated(make_plan(facts, all_presets()["balanced"], a_workflow()), facts, prices)
    assert first.cost is not None
    assert first.cost.tier == "basic" and first.cost.months is None
    # an hour of HD, and two outputs of 60 s of samples
    assert first.cost.encode_usd == pytest.approx(60 * 0.015)
    assert first.cost.search_usd == pytest.approx(2 * 60 / 60 * 0.015)
    plan = estimated(decided(facts, points()), facts, prices)
    assert plan.cost is not None and plan.search is not None
    saved_gib = (facts.size_bytes - (plan.search.predicted_bytes or 0)) / 2**30
    months = (first.cost.search_usd + first.cost.encode_usd) / (saved_gib * 0.023)
    assert plan.cost.months == pytest.approx(months, abs=0.06)


def test_short_samples_are_billed_for_ten_seconds_each() -> None:
    facts = a_film(length_s=60.0)
    plan = make_plan(facts, all_presets()["balanced"], a_workflow())
    assert search_cost_usd(plan, facts, the_prices()) == pytest.approx(2 * 10 / 60 * 0.015)


@pytest.mark.parametrize(("preset", "factor"), [("balanced-hevc", 2.0), ("balanced-av1", 4.0)])
def test_better_codecs_are_professional_and_dearer(preset: str, factor: float) -> None:
    facts, prices = a_film(), the_prices()
    plan = make_plan(facts, all_presets()[preset], a_workflow())
    assert plan.professional_tier
    assert encode_cost_usd(plan, facts, prices) == pytest.approx(60 * 0.015 * 3.2 * factor)
    same = replace(plan, codec="H_264")
    assert encode_cost_usd(same, facts, prices) == pytest.approx(60 * 0.015)
