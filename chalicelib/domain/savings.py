"""The figures by day, put together for the charts of the savings page. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from chalicelib.domain.job import Status
from chalicelib.domain.money import Prices, storage_usd_per_month
from chalicelib.domain.tally import Tally

#: Rows of a breakdown; the rest is one row.
MOST_ROWS = 12
DAYS_IN_MONTH = 365.25 / 12


def savings(tallies: Sequence[Tally], prices: Prices, *, since: str, until: str) -> dict[str, Any]:
    """
    Args:
        since, until: days of UTC, both included.
    """
    return {
        "since": since,
        "until": until,
        "total": _sums(tallies, prices),
        "days": _days(tallies, prices, since, until),
        "by_workflow": _parts(tallies, prices, lambda one: one.kind.workflow),
        "by_preset": _parts(tallies, prices, lambda one: one.kind.preset),
        "by_uploader": _parts(tallies, prices, lambda one: one.kind.uploader),
        "failed_because": _causes(tallies, Status.FAILED),
        "kept_because": _causes(tallies, Status.KEPT_ORIGINAL),
        "prices": {
            "as_of": prices.as_of,
            "storage_usd_per_gib_month": prices.standard_per_gib_month,
        },
    }


def _sums(tallies: Iterable[Tally], prices: Prices) -> dict[str, Any]:
    statuses: Counter[str] = Counter()
    source = published = cost = 0
    for one in tallies:
        statuses[one.kind.status.value] += one.amounts.jobs
        source += one.amounts.source_bytes
        published += one.amounts.published_bytes
        cost += one.amounts.cost_micro_usd
    return {
        "jobs": sum(statuses.values()),
        "statuses": dict(statuses),
        "source_bytes": source,
        "published_bytes": published,
        "saved_bytes": source - published,
        "cost_usd": cost / 1_000_000,
        "originals_usd_per_month": round(storage_usd_per_month(source, prices), 6),
        "published_usd_per_month": round(storage_usd_per_month(published, prices), 6),
    }


def _days(tallies: Sequence[Tally], prices: Prices, since: str, until: str) -> list[dict[str, Any]]:
    """Each day, those without a job too. Money is added up to that day: what storing the originals
    would have cost, what storing the results and encoding them did cost, and what is between.
    """
    by_day: dict[str, list[Tally]] = defaultdict(list)
    for one in tallies:
        by_day[one.kind.day].append(one)
    source = published = 0
    unspent, spent, made = 0.0, 0.0, []
    for day in _each(since, until):
        sums = _sums(by_day.get(day, ()), prices)
        source += sums["source_bytes"]
        published += sums["published_bytes"]
        unspent += storage_usd_per_month(source, prices) / DAYS_IN_MONTH
        spent += storage_usd_per_month(published, prices) / DAYS_IN_MONTH + sums["cost_usd"]
        made.append(
            {
                "day": day,
                "jobs": sums["jobs"],
                "source_bytes": sums["source_bytes"],
                "published_bytes": sums["published_bytes"],
                "saved_bytes_so_far": source - published,
                "originals_usd_so_far": round(unspent, 6),
                "spent_usd_so_far": round(spent, 6),
                "money_so_far_usd": round(unspent - spent, 6),
            }
        )
    return made


def _each(since: str, until: str) -> Iterable[str]:
    day, last = date.fromisoformat(since), date.fromisoformat(until)
    while day <= last:
        yield day.isoformat()
        day += timedelta(days=1)


def _parts(
    tallies: Iterable[Tally], prices: Prices, name: Callable[[Tally], str]
) -> list[dict[str, Any]]:
    """The same sums for each part, what saved most first."""
    parts: dict[str, list[Tally]] = defaultdict(list)
    for one in tallies:
        parts[name(one)].append(one)
    rows = [{"name": part, **_sums(those, prices)} for part, those in parts.items()]
    rows.sort(key=lambda row: (-row["saved_bytes"], row["name"]))
    if len(rows) <= MOST_ROWS:
        return rows
    shown = {row["name"] for row in rows[: MOST_ROWS - 1]}
    rest = [one for part, those in parts.items() if part not in shown for one in those]
    return [*rows[: MOST_ROWS - 1], {"name": None, **_sums(rest, prices)}]


def _causes(tallies: Iterable[Tally], status: Status) -> list[Mapping[str, Any]]:
    causes: Counter[str] = Counter()
    for one in tallies:
        if one.kind.status is status:
            causes[one.kind.cause] += one.amounts.jobs
    return [{"cause": cause, "jobs": jobs} for cause, jobs in causes.most_common(MOST_ROWS)]
