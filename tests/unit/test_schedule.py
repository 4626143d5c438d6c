"""When EventBridge schedule expressions are due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from slimreel.local.dispatch.schedule import BadSchedule, parse


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("rate(5 minutes)", "2026-01-01T00:00:30", "2026-01-01T00:05:30"),
        ("rate(1 day)", "2026-02-28T12:00:00", "2026-03-01T12:00:00"),
        ("cron(0 10 * * ? *)", "2026-01-01T10:00:00", "2026-01-02T10:00:00"),
        ("cron(0 10 * * ? *)", "2026-01-01T09:59:59", "2026-01-01T10:00:00"),
        ("cron(0/15 * * * ? *)", "2026-01-01T09:46:00", "2026-01-01T10:00:00"),
        ("cron(5,35 8-10/2 * * ? *)", "2026-01-01T08:40:00", "2026-01-01T10:05:00"),
        ("cron(0 18 ? * MON-FRI *)", "2026-01-02T18:00:00", "2026-01-05T18:00:00"),
        ("cron(0 0 ? * 1 *)", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("cron(0 8 1 * ? *)", "2026-01-15T00:00:00", "2026-02-01T08:00:00"),
        ("cron(0 8 L * ? *)", "2028-02-01T00:00:00", "2028-02-29T08:00:00"),
        ("cron(0 8 LW * ? *)", "2026-01-01T00:00:00", "2026-01-30T08:00:00"),
        ("cron(0 8 15W * ? *)", "2026-02-01T00:00:00", "2026-02-16T08:00:00"),
        ("cron(0 8 1W * ? *)", "2026-07-31T09:00:00", "2026-08-03T08:00:00"),
        ("cron(0 9 ? * 2#1 *)", "2026-01-06T00:00:00", "2026-02-02T09:00:00"),
        ("cron(0 9 ? * 6L *)", "2026-01-01T00:00:00", "2026-01-30T09:00:00"),
        ("cron(0 0 31 * ? *)", "2026-01-31T00:00:00", "2026-03-31T00:00:00"),
        ("cron(0 0 29 FEB ? 2028)", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_next_time(expression: str, after: str, due: str) -> None:
    assert parse(expression).after(at(after)) == at(due)


def test_schedule_that_is_over() -> None:
    assert parse("cron(0 0 1 1 ? 2020)").after(at("2026-01-01T00:00:00")) is None


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "cron(0 10 * * *)",
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 10 32 * ? *)",
        "cron(0 10 ? * 8 *)",
        "cron(x 10 * * ? *)",
        "every day",
    ],
)
def test_what_eventbridge_refuses(expression: str) -> None:
    with pytest.raises(BadSchedule):
        parse(expression)
