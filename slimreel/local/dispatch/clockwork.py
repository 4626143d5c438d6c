"""Scheduled rules: a thread that sleeps until the next one is due."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from werkzeug.wrappers import Response

from slimreel.local.aws_errors import json_error
from slimreel.local.dispatch.events import complete, iso
from slimreel.local.dispatch.rules import Envelope, Rule, Rules
from slimreel.local.dispatch.schedule import BadSchedule, Rate, parse
from slimreel.local.moto_app import AwsCall

log = logging.getLogger("slimreel.local.events")

_SHORTEST = timedelta(seconds=1)


class Clockwork:
    """Fires scheduled rules. A new rule is first due one period after it was made, not at once.

    Args:
        send: hands an event to all targets of a rule.
        now: the current time, UTC.
        speed: how many times as often a rate() is due as it says, but once a second at most.
    """

    def __init__(
        self,
        rules: Rules,
        send: Callable[[Rule, Envelope], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        speed: float = 1.0,
    ) -> None:
        self._rules = rules
        self._send = send
        self._now = now
        self._speed = speed
        self._changed = threading.Condition()
        self._generation = 0
        self._closed = False
        self._due: dict[tuple[str, str], datetime | None] = {}
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def rules_changed(self) -> None:
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    def fire(self, rule_name: str) -> None:
        """Send a scheduled rule's event now, whatever its schedule says.

        Raises:
            KeyError: there is no such rule.
        """
        self._fire(self._rules.named(rule_name), self._now())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                generation = self._generation
            wait_s = self._turn()
            with self._changed:
                self._changed.wait_for(
                    lambda seen=generation: self._closed or self._generation != seen,  # type: ignore[misc]
                    timeout=wait_s,
                )

    def _turn(self) -> float | None:
        """Fire what is due; the seconds until something is due again."""
        now = self._now()
        known = {(rule.name, str(rule.schedule)): rule for rule in self._rules.scheduled()}
        self._due = {key: due for key, due in self._due.items() if key in known}
        for key, rule in known.items():
            if key not in self._due:
                self._due[key] = self._after(key[1], now)
            due = self._due[key]
            if due is not None and due <= now:
                self._due[key] = self._after(key[1], now)
                self._fire(rule, due)
        waiting = [due for due in self._due.values() if due is not None]
        return max(0.0, (min(waiting) - self._now()).total_seconds()) if waiting else None

    def _after(self, expression: str, moment: datetime) -> datetime | None:
        schedule = parse(expression)
        if isinstance(schedule, Rate) and self._speed != 1:
            return moment + max(schedule.every / self._speed, _SHORTEST)
        return schedule.after(moment)

    def _fire(self, rule: Rule, due: datetime) -> None:
        event = complete(
            {
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "time": iso(due.timestamp()),
                "resources": [rule.arn],
            }
        )
        log.info("schedule %s is due", rule.name)
        self._send(rule, event)


def refusal_of_schedule(call: AwsCall) -> Response | None:
    """What PutRule answers for a schedule that AWS refuses; moto lets many of them through."""
    expression = json.loads(call.body or b"{}").get("ScheduleExpression")
    if not expression:
        return None
    try:
        parse(expression)
    except BadSchedule as bad:
        log.info("PutRule refused: %s", bad)
        message = "Parameter ScheduleExpression is not valid."
        return json_error(400, "ValidationException", message)
    return None
