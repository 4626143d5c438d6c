"""The tables of docs/scale.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.scaling.assumptions import Assumptions
from bench.scaling.limits import Limit, peak_factor
from bench.scaling.scenarios import Outcome, at
from bench.scaling.standin import CORES_USED, READER_S, Burst, Measured


def tables(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What became of each scenario, and what its jobs waited for."""
    yield "## What becomes of it\n"
    yield "Minutes are from the drop to the email, of jobs that ended in the time looked at.\n"
    yield (
        "| | dropped | ended well | failed | still open | most open | p50 min | p90 min | p99 min "
        "| row behind, p99 s |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for outcome in outcomes:
        totals = outcome.totals
        times = " | ".join(_minutes(outcome.latency(q)) for q in (0.5, 0.9, 0.99))
        yield (
            f"| {outcome.scenario.name} | {totals.dropped:,} "
            f"| {totals.completed + totals.kept:,} | {sum(totals.failed.values()):,} "
            f"| {outcome.still_open:,} | {outcome.most_open:,} | {times} "
            f"| {outcome.row_lag_s[1]:,.0f} |"
        )
    yield "\n![Jobs that are open, over time](scale.svg)\n"
    for outcome in outcomes:
        yield from _waits(outcome)


def _waits(outcome: Outcome) -> Iterator[str]:
    raised = ", ".join(f"`{name}` {value:,.0f}" for name, value in outcome.scenario.raised.items())
    about = f" (raised: {raised})" if raised else ""
    until_s = outcome.scenario.until_s
    looked = f", looked at for {until_s / 3600:g} h" if until_s is not None else ""
    waits = [wait for wait in outcome.waits if wait.total_s >= 3600]
    words = "; ".join(
        f"**{wait.name}** ({wait.total_s / 3600:,.0f} h together, "
        f"up to {wait.most_waiting:,} at a time)"
        for wait in waits[:3]
    )
    failed = ", ".join(f"{count:,} × {why}" for why, count in outcome.totals.failed.items())
    yield (
        f"- {outcome.scenario.name}{about}{looked}. Waited for: {words or 'nothing'}."
        + (f" Failed: {failed}." if failed else "")
        + f" Emails in the busiest second: {outcome.emails_in_a_second}."
    )


def limit_table(limits: Sequence[Limit], given: Assumptions) -> Iterator[str]:
    """Each limit by itself."""
    yield "\n## What each limit allows by itself\n"
    yield (
        "Videos a day, the narrowest first: when they come evenly, and when they come as people "
        f"drop them, {peak_factor(given):.1f} times as many in a busy hour as in a mean one, and "
        "nobody should wait for long. As deployed, nothing raised.\n"
    )
    yield "| limit | busy hours | evenly | what to raise |"
    yield "|---|---:|---:|---|"
    for limit in limits:
        yield (
            f"| {limit.name} | {_round(limit.busy_per_day)} | {_round(limit.even_per_day)} "
            f"| {limit.remedy} |"
        )


def bill_table(bills: Mapping[str, Mapping[str, float]], as_of: str) -> Iterator[str]:
    """Columns are loads, rows are services."""
    yield "\n## What a month costs\n"
    yield (
        f"US dollars for 30 days at list prices of us-east-1 (MediaConvert's, S3's of {as_of})"
        ", without free tiers and volume discounts, if all of it went through. Results stay, so "
        "their storage grows by this each month. Google and Airtable are not in it.\n"
    )
    yield "| | " + " | ".join(bills) + " |"
    yield "|---|" + "---:|" * len(bills)
    first = next(iter(bills.values()))
    for service in sorted(first, key=lambda name: -first[name]):
        yield f"| {service} | " + " | ".join(_usd(bill[service]) for bill in bills.values()) + " |"
    sums = " | ".join(f"**{_usd(sum(bill.values()))}**" for bill in bills.values())
    yield f"| **together** | {sums} |"


def check_table(checked: Sequence[tuple[Measured, Burst]]) -> Iterator[str]:
    """The simulated stand-in beside the measured one."""
    yield "\n## Checked against the real control plane\n"
    yield (
        "The real handlers, flow and queues have been measured in one place: the stand-in cloud on "
        "one machine ([benchmarks](benchmarks.md), Burst). The same simulator, with a "
        "shared processor in place of quotas, is fitted to the burst of 200 files in two numbers "
        f"(how much of the two cores is used: {CORES_USED}; what one file costs the reader of the "
        f"change log: {READER_S} s) and then foretells that of 1,000. Simulated / measured:\n"
    )
    yield "| | 200 files (fitted) | 1,000 files (foretold) |"
    yield "|---|---:|---:|"
    rows: Mapping[str, Callable[[Measured, Burst], tuple[float, float]]] = {
        "all done, s": lambda m, b: (b.wall_s, m.wall_s),
        "jobs a second": lambda m, b: (m.files / b.wall_s, m.files / m.wall_s),
        "s, drop to record, p50": lambda m, b: (at(b.recorded, 0.5), m.record_p50_s),
        "s, drop to record, p99": lambda m, b: (at(b.recorded, 0.99), m.record_p99_s),
        "s, drop to CreateJob, p99": lambda m, b: (at(b.submitted, 0.99), m.submitted_p99_s),
        "s, drop to row, p50": lambda m, b: (at(b.rows, 0.5), m.row_p50_s),
        "s, drop to row, p99": lambda m, b: (at(b.rows, 0.99), m.row_p99_s),
    }
    for name, figures in rows.items():
        cells = " | ".join(
            f"{simulated:.4g} / {measured:.4g} ({simulated / measured - 1:+.0%})"
            for simulated, measured in (figures(m, b) for m, b in checked)
        )
        yield f"| {name} | {cells} |"
    yield (
        "\nThroughput is foretold within a tenth. The medians are early: the real stand-in needs a "
        "while before its first record (it looks through the folder, and starts its functions "
        "cold), which the simulation leaves out. This checks the simulator, its order of steps and "
        "its queues; it says nothing about AWS's own speed."
    )


def _minutes(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"
    return f"{seconds / 60:,.0f}" if seconds >= 600 else f"{seconds / 60:.1f}"


def _round(value: float) -> str:
    digits = max(0, len(str(int(value))) - 3)
    return f"{round(value, -digits):,.0f}"


def _usd(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
