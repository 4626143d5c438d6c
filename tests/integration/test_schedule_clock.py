"""The thread that fires schedules, with a clock of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from slimreel.local.dispatch.clockwork import Clockwork
from slimreel.local.dispatch.rules import Rule


@dataclass
class FakeRules:
    rules: list[Rule] = field(default_factory=list)

    def scheduled(self) -> list[Rule]:
        return self.rules


def made(name: str, schedule: str) -> Rule:
    return Rule(name=name, arn=f"arn:{name}", schedule=schedule, targets=())


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_rules_fire_when_due_again_and_again_until_they_go() -> None:
    now = [datetime(2026, 1, 1, 9, 59, 30, tzinfo=UTC)]
    rules, fired = FakeRules(), []
    lock = threading.Lock()

    def send(rule: Rule, event: dict[str, Any]) -> None:
        with lock:
            fired.append((rule.name, event["time"]))

    clock = Clockwork(rules, send, now=lambda: now[0])  # type: ignore[arg-type]
    clock.start()
    try:
        rules.rules = [made("hourly", "rate(1 hour)"), made("at ten", "cron(0 10 * * ? *)")]
        clock.rules_changed()
        time.sleep(0.05)
        assert fired == []

        now[0] += timedelta(seconds=31)
        clock.rules_changed()
        until(lambda: fired == [("at ten", "2026-01-01T10:00:00Z")])

        now[0] += timedelta(hours=1)
        clock.rules_changed()
        until(lambda: fired[1:] == [("hourly", "2026-01-01T10:59:30Z")])

        rules.rules = []
        now[0] += timedelta(days=2)
        clock.rules_changed()
        time.sleep(0.05)
        assert len(fired) == 2
    finally:
        clock.close()


def test_clock_wakes_by_itself() -> None:
    offset = datetime(2026, 1, 1, 9, 59, 59, 800000, tzinfo=UTC) - datetime.now(UTC)
    rules, fired = FakeRules([made("ten", "cron(0 10 * * ? *)")]), threading.Event()
    clock = Clockwork(
        rules,  # type: ignore[arg-type]
        lambda rule, event: fired.set(),
        now=lambda: datetime.now(UTC) + offset,
    )
    clock.start()
    try:
        assert not fired.is_set()
        assert fired.wait(2)
    finally:
        clock.close()


def test_event_is_json() -> None:
    seen: list[dict[str, Any]] = []

    class One(FakeRules):
        def named(self, name: str) -> Rule:
            return made(name, "rate(1 day)")

    clock = Clockwork(One(), lambda rule, event: seen.append(event))  # type: ignore[arg-type]
    clock.fire("nightly")
    assert json.loads(json.dumps(seen[0]))["resources"] == ["arn:nightly"]


def test_a_quicker_clock_brings_rates_forward_and_leaves_times_of_day_alone() -> None:
    now = [datetime(2026, 1, 1, 9, 0, 0, tzinfo=UTC)]
    rules, fired = FakeRules(), []
    clock = Clockwork(
        rules,  # type: ignore[arg-type]
        lambda rule, event: fired.append((rule.name, event["time"])),
        now=lambda: now[0],
        speed=60,
    )
    clock.start()
    try:
        rules.rules = [
            made("each minute", "rate(1 minute)"),
            made("each hour", "rate(1 hour)"),
            made("at ten", "cron(0 10 * * ? *)"),
        ]
        clock.rules_changed()
        time.sleep(0.05)
        now[0] += timedelta(seconds=1)
        clock.rules_changed()
        until(lambda: fired == [("each minute", "2026-01-01T09:00:01Z")])
        now[0] += timedelta(seconds=59)
        clock.rules_changed()
        until(lambda: len(fired) == 3)
        assert ("each hour", "2026-01-01T09:01:00Z") in fired
    finally:
        clock.close()
