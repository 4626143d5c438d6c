"""When a schedule expression is due: `rate(5 minutes)`, `cron(0 18 ? * MON-FRI *)`.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

_RATE = re.compile(r"^rate\((\d+) (minutes?|hours?|days?)\)$")
_CRON = re.compile(r"^cron\(([^()]+)\)$")
_UNIT_S = {"minute": 60, "hour": 3600, "day": 86400}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_LAST_YEAR = 2199


class BadSchedule(ValueError):
    """Not an expression EventBridge accepts."""


class Schedule(Protocol):
    def after(self, moment: datetime) -> datetime | None:
        """The first time due after `moment` (UTC); None when there is none any more."""


@dataclass(frozen=True, slots=True)
class Rate:
    every: timedelta

    def after(self, moment: datetime) -> datetime:
        return moment + self.every


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Six fields. `day_of_month` and `day_of_week` stay text; one of them is `?`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
    years: frozenset[int]

    def after(self, moment: datetime) -> datetime | None:
        start = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = start.date()
        while day.year <= min(max(self.years), _LAST_YEAR):
            if self._is_due(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        due = datetime(
                            day.year, day.month, day.day, hour, minute, tzinfo=start.tzinfo
                        )
                        if due >= start:
                            return due
            day = self._next_day(day)
        return None

    def _next_day(self, day: date) -> date:
        if day.year in self.years and day.month in self.months:
            return day + timedelta(days=1)
        in_month = calendar.monthrange(day.year, day.month)[1]
        return day.replace(day=in_month) + timedelta(days=1)

    def _is_due(self, day: date) -> bool:
        if day.year not in self.years or day.month not in self.months:
            return False
        if self.day_of_week == "?":
            return any(_matches_day(one, day) for one in self.day_of_month.split(","))
        return any(_matches_weekday(one, day) for one in self.day_of_week.split(","))


def parse(expression: str) -> Schedule:
    """
    Raises:
        BadSchedule: EventBridge would refuse it.
    """
    rate = _RATE.match(expression)
    if rate:
        count, unit = int(rate.group(1)), rate.group(2)
        if count < 1 or (count == 1) == unit.endswith("s"):
            raise BadSchedule(f"{expression}: one minute is `rate(1 minute)`, more are `minutes`.")
        return Rate(timedelta(seconds=count * _UNIT_S[unit.removesuffix("s")]))
    cron = _CRON.match(expression)
    fields = cron.group(1).split() if cron else []
    if len(fields) != 6:
        raise BadSchedule(f"{expression}: neither rate(…) nor a cron(…) of six fields.")
    return _cron(*fields)


def _cron(minutes: str, hours: str, days: str, months: str, weekdays: str, years: str) -> Cron:
    if (days == "?") == (weekdays == "?"):
        raise BadSchedule("Exactly one of day-of-month and day-of-week must be `?`.")
    cron = Cron(
        minutes=_numbers(minutes, 0, 59),
        hours=_numbers(hours, 0, 23),
        day_of_month=days.upper(),
        months=_numbers(_named(months, _MONTHS, 1), 1, 12),
        day_of_week=_named(weekdays, _DAYS, 1),
        years=_numbers(years, 1970, _LAST_YEAR),
    )
    for one in cron.day_of_month.split(","):
        if one not in ("?", "L", "LW"):
            _numbers(one.removesuffix("W"), 1, 31)
    for one in cron.day_of_week.split(","):
        if one not in ("?", "L"):
            _numbers(one.partition("#")[0].removesuffix("L"), 1, 7)
    return cron


def _named(field: str, names: list[str], first: int) -> str:
    field = field.upper()
    for number, name in enumerate(names, first):
        field = field.replace(name, str(number))
    return field


def _numbers(field: str, low: int, high: int) -> frozenset[int]:
    """The numbers a field of `*`, `a`, `a-b`, `x/step` and commas stands for."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        try:
            start = low if first == "*" else int(first)
            end = int(last) if last else (high if first == "*" or step else start)
            found.update(range(start, end + 1, int(step or 1)))
        except ValueError:
            raise BadSchedule(f"{part!r} is not a value of a cron field.") from None
    if not found or min(found) < low or max(found) > high:
        raise BadSchedule(f"{field!r} is not within {low} to {high}.")
    return frozenset(found)


def _matches_day(field: str, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if field == "L":
        return day.day == last
    if field == "LW":
        return day == _nearest_weekday(day.replace(day=last))
    if field.endswith("W"):
        wanted = int(field.removesuffix("W"))
        return wanted <= last and day == _nearest_weekday(day.replace(day=wanted))
    return day.day in _numbers(field, 1, 31)


def _nearest_weekday(day: date) -> date:
    """Monday to Friday nearest to `day`, in the same month."""
    shift = {5: -1, 6: 1}.get(day.weekday(), 0)
    near = day + timedelta(days=shift)
    if near.month != day.month:
        near = day + timedelta(days=-2 if shift > 0 else 2)
    return near


def _matches_weekday(field: str, day: date) -> bool:
    number = day.isoweekday() % 7 + 1  # EventBridge counts from Sunday = 1
    if field == "L":
        return number == 7
    if "#" in field:
        wanted, _, nth = field.partition("#")
        return number == int(wanted) and (day.day - 1) // 7 + 1 == int(nth)
    if field.endswith("L"):
        in_month = calendar.monthrange(day.year, day.month)[1]
        return number == int(field.removesuffix("L")) and day.day > in_month - 7
    return number in _numbers(field, 1, 7)
