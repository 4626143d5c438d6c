"""Estimates in dollars, computed by hand from the price table."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, replace
from datetime import date

import pytest

from chalicelib.config import DATA
from chalicelib.domain.money import (
    Prices,
    encode_cost_usd,
    months_to_pay_back,
    prices,
    storage_usd_per_month,
)
from tests.examples import a_plan, a_video, some_facts, the_prices


def cost(
    *,
    width: int = 1920,
    height: int = 1080,
    rate: float | None = 25.0,
    seconds: float = 60.0,
    tuning: str = "SINGLE_PASS_HQ",
) -> float:
    facts = some_facts(video=a_video(frame_rate=rate, duration_s=seconds))
    plan = a_plan(width=width, height=height, tuning=tuning)
    return encode_cost_usd(plan, facts, the_prices())


@pytest.mark.parametrize(
    ("width", "height", "rate", "tuning", "usd_per_minute"),
    [
        (854, 480, 25.0, "SINGLE_PASS_HQ", 0.0075),
        (1278, 718, 25.0, "SINGLE_PASS_HQ", 0.0075),
        (1280, 720, 25.0, "SINGLE_PASS_HQ", 0.015),
        (1920, 1080, 30.0, "SINGLE_PASS_HQ", 0.015),
        (1080, 1920, 29.97, "SINGLE_PASS_HQ", 0.015),
        (1922, 1082, 30.0, "SINGLE_PASS_HQ", 0.030),
        (3840, 2160, 30.0, "SINGLE_PASS_HQ", 0.030),
        (1920, 1080, 50.0, "SINGLE_PASS_HQ", 0.01875),
        (1920, 1080, 60.0, "SINGLE_PASS_HQ", 0.01875),
        (1920, 1080, 120.0, "SINGLE_PASS_HQ", 0.0225),
        (1920, 1080, None, "SINGLE_PASS_HQ", 0.015),
        (854, 480, 25.0, "MULTI_PASS_HQ", 0.024),  # AWS's own example
        (3840, 2160, 60.0, "MULTI_PASS_HQ", 0.12),
    ],
)
def test_a_minute_costs(
    width: int, height: int, rate: float | None, tuning: str, usd_per_minute: float
) -> None:
    found = cost(width=width, height=height, rate=rate, tuning=tuning)
    assert found == pytest.approx(usd_per_minute)


def test_the_rate_that_is_asked_for_is_what_is_billed() -> None:
    slow = some_facts(video=a_video(frame_rate=10.0))
    usd = [encode_cost_usd(a_plan(frame_rate=rate), slow, the_prices()) for rate in (None, "60/1")]
    assert usd[1] == pytest.approx(usd[0] * the_prices().fps_60_multiplier)


def test_an_hour_costs_sixty_minutes() -> None:
    assert cost(seconds=3600.0) == pytest.approx(0.90)


def test_ten_seconds_are_the_least_that_is_billed() -> None:
    assert cost(seconds=1.0) == cost(seconds=10.0) == pytest.approx(0.0025)
    assert cost(seconds=12.0) == pytest.approx(0.003)


def test_the_length_of_the_file_will_do() -> None:
    facts = some_facts(video=a_video(duration_s=None), duration_s=120.0)
    assert encode_cost_usd(a_plan(), facts, the_prices()) == pytest.approx(0.03)


def test_what_is_not_encoded_costs_nothing() -> None:
    kept = a_plan(width=None, height=None)
    assert encode_cost_usd(kept, some_facts(), the_prices()) == 0.0
    silent = replace(some_facts(), video=None)
    assert encode_cost_usd(a_plan(), silent, the_prices()) == 0.0


def test_more_never_costs_less() -> None:
    lengths = [cost(seconds=s) for s in (0.1, 9.9, 10, 11, 60, 86_400)]
    sizes = [cost(width=2 * h, height=h) for h in (32, 718, 720, 1080, 1082, 2160)]
    rates = [cost(rate=r) for r in (1, 30, 30.1, 60, 60.1, 240)]
    for climbing in (lengths, sizes, rates):
        assert climbing == sorted(climbing) and climbing[0] > 0


def test_storage_is_priced_by_the_gibibyte() -> None:
    assert storage_usd_per_month(2**30, the_prices()) == pytest.approx(0.023)
    assert storage_usd_per_month(100 * 2**30, the_prices()) == pytest.approx(2.30)
    assert storage_usd_per_month(0, the_prices()) == 0


def test_an_encode_pays_itself_back() -> None:
    # 1 GiB saves 0.023 a month
    assert months_to_pay_back(0.046, 2**30, the_prices()) == pytest.approx(2.0)
    assert months_to_pay_back(0.0, 2**30, the_prices()) == 0


@pytest.mark.parametrize("saved_bytes", [0, -1, -(2**30)])
def test_what_saves_nothing_never_pays(saved_bytes: int) -> None:
    assert months_to_pay_back(0.05, saved_bytes, the_prices()) is None


# the table


def test_the_table_is_complete_positive_and_dated() -> None:
    table = the_prices()
    assert date.fromisoformat(table.as_of) >= date(2025, 1, 1)
    for field in fields(Prices):
        if field.name != "as_of":
            assert getattr(table, field.name) > 0, field.name


def test_the_multipliers_climb() -> None:
    table = the_prices()
    assert 1 < table.hd_multiplier < table.uhd_multiplier
    assert 1 < table.fps_60_multiplier < table.fps_120_multiplier
    assert table.pro_multiplier > 1


def test_the_table_is_in_dollars_and_names_a_region() -> None:
    said = tomllib.loads((DATA / "prices.toml").read_text())
    assert said["currency"] == "USD"
    assert re.fullmatch(r"[a-z]{2}-[a-z]+-\d", said["region"])


def test_a_price_nobody_knows_is_refused() -> None:
    said = tomllib.loads((DATA / "prices.toml").read_text())
    said["mediaconvert"]["sd_basic_per_hour"] = 1.0
    with pytest.raises(TypeError):
        prices(said)
