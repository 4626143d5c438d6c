"""Figures and times as people read them; the examples in the domain's docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from datetime import UTC, datetime, timedelta, timezone

import pytest

import chalicelib.domain
from chalicelib.domain.text import (
    human_size,
    iso,
    minutes_and_seconds,
    one_line,
    parse_iso,
    percent,
    rounded_down,
    seconds_between,
)

MODULES = [
    module.name
    for module in pkgutil.walk_packages(chalicelib.domain.__path__, "chalicelib.domain.")
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_are_true(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),  # never "1000.0 kB"
        (1_234_567, "1.2 MB"),
        (999_999_999, "1.0 GB"),
        (5_000_000_000, "5.0 GB"),
        (1_500_000_000_000, "1.5 TB"),
        (5_000_000_000_000_000, "5000.0 TB"),
        (-1_500_000, "-1.5 MB"),
    ],
)
def test_sizes_are_decimal(size_bytes: int, shown: str) -> None:
    assert human_size(size_bytes) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0 %"),
        (0.0001, "0.1 %"),
        (0.004, "0.4 %"),
        (0.1, "10 %"),
        (0.617, "62 %"),
        (0.994, "99 %"),
        (0.996, "99.6 %"),
        (0.99999, "99.9 %"),  # nothing is ever 100 % smaller
        (1.0, "100 %"),
        (2.5, "250 %"),
    ],
)
def test_a_percentage_is_whole_but_never_falsely_none_or_all(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (0.9499999, 3, "0.949"),
        (0.95, 3, "0.950"),
        (0.931, 3, "0.931"),
        (9.999, 1, "9.9"),
        (0.0, 1, "0.0"),
        (1e-7, 3, "0.000"),
    ],
)
def test_what_missed_a_limit_never_reads_as_if_it_had_reached_it(
    value: float, decimals: int, shown: str
) -> None:
    assert rounded_down(value, decimals) == shown


@pytest.mark.parametrize(
    "breaker", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x00"]
)
def test_no_text_breaks_out_of_its_line(breaker: str) -> None:
    shown = one_line(f"a{breaker}b")
    assert shown.splitlines() == [shown]
    assert shown.replace(" ", "") == "ab"


def test_text_cannot_turn_what_follows_it() -> None:
    assert one_line("\u202egpj.4pm\u2066") == " gpj.4pm "


def test_half_a_character_does_not_get_out() -> None:
    assert one_line("a\ud83cb").encode() == b"a b"


@pytest.mark.parametrize(
    "name", ["Über  4.mov", "סרט.mp4", "影片.mp4", "👩‍👩‍👧 a.mp4", "می‌خواهم.mp4"]
)
def test_names_in_any_script_stay_as_they_are(name: str) -> None:
    assert one_line(name) == name


def test_a_time_stamp_is_utc_with_milliseconds() -> None:
    moment = datetime(2026, 5, 4, 11, 30, 0, 250_999, tzinfo=timezone(timedelta(hours=2)))
    assert iso(moment) == "2026-05-04T09:30:00.250Z"
    assert parse_iso("2026-05-04T09:30:00.250Z") == datetime(
        2026, 5, 4, 9, 30, 0, 250_000, tzinfo=UTC
    )


def test_time_stamps_sort_as_text() -> None:
    early = datetime(2026, 9, 30, 23, 59, 59, 999_000, tzinfo=UTC)
    moments = [early + timedelta(milliseconds=step) for step in (0, 1, 500, 86_400_000)]
    stamps = [iso(moment) for moment in moments]
    assert stamps == sorted(stamps)
    assert len({len(stamp) for stamp in stamps}) == 1


def test_a_clock_that_was_set_back_makes_no_time_negative() -> None:
    assert seconds_between("2026-05-04T09:30:00.250Z", "2026-05-04T08:00:00.000Z") == 0


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        ("2026-05-04T09:30:00.400Z", "0 s"),
        ("2026-05-04T09:30:12.000Z", "12 s"),
        ("2026-05-04T09:30:59.600Z", "1 min 0 s"),
        ("2026-05-04T09:33:05.000Z", "3 min 5 s"),
        ("2026-05-04T11:35:00.000Z", "125 min 0 s"),
    ],
)
def test_how_long_it_took(end: str, shown: str) -> None:
    assert minutes_and_seconds("2026-05-04T09:30:00.000Z", end) == shown


def test_seconds_between_crosses_midnight() -> None:
    assert seconds_between("2026-05-04T23:59:59.500Z", "2026-05-05T00:00:01Z") == 1.5
