"""The deployed system under 150, 10,000 and 1,000,000 videos a day, by simulation.

    python -m bench.scale [--seed 1] [--set NAME=NUMBER ...] [--only WORD] [--out docs/scale.md]

Fails when the simulator loses a job, or foretells the measured burst of 1,000 files by more than a
quarter off.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.machine import machine, today
from bench.scaling.assumptions import Assumptions, documented
from bench.scaling.bill import monthly_bill
from bench.scaling.limits import limits, unlimited
from bench.scaling.plot import svg
from bench.scaling.report import bill_table, check_table, limit_table, tables
from bench.scaling.scenarios import SCENARIOS, Outcome, play
from bench.scaling.standin import BURST_200, BURST_1000, Burst, Measured, burst
from chalicelib.config import price_table

INTRODUCTION = Path(__file__).parent / "scaling" / "introduction.md"
LOADS = {"150 a day": 150, "10,000 a day": 10_000, "1,000,000 a day": 1_000_000}
TOLERANCE = 0.25
SAMPLE_PER_DAY = 4000.0


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _asked(arguments)
    given = documented().with_(**dict(asked.set))
    began = time.perf_counter()
    outcomes = []
    for scenario in SCENARIOS:
        if asked.only in scenario.name:
            outcomes.append(play(scenario, given, seed=asked.seed))
            print(f"{scenario.name}: {outcomes[-1].events:,} events", file=sys.stderr, flush=True)
    checked = [(real, foretold(real)) for real in (BURST_200, BURST_1000)]
    lines = list(_document(given, outcomes, checked, asked.seed))
    took_s = time.perf_counter() - began
    lines.append(f"\n{today()}, {machine()}, seed {asked.seed}.")
    print("\n".join(lines))
    if asked.out is not None:
        asked.out.write_text(INTRODUCTION.read_text() + "\n".join(lines) + "\n")
        asked.out.with_suffix(".svg").write_text(svg(outcomes))
    problems = list(_problems(outcomes, checked))
    for problem in problems:
        print(f"scale: {problem}", file=sys.stderr)
    narrowest = limits(given, seed=asked.seed)[:3]
    print(
        f"\nscale: {len(outcomes)} scenarios in {took_s:.0f} s; narrowest: "
        + "; ".join(f"{limit.name} ({limit.busy_per_day:,.0f} a day)" for limit in narrowest)
    )
    return 1 if problems else 0


def foretold(real: Measured) -> Burst:
    return burst(real.files, cpu_s_per_job=real.cpu_s_per_job)


def _document(
    given: Assumptions,
    outcomes: Sequence[Outcome],
    checked: Sequence[tuple[Measured, Burst]],
    seed: int,
) -> Iterator[str]:
    yield from tables(outcomes)
    yield from limit_table(limits(given, seed=seed), given)
    sample = unlimited(given, seed=seed, jobs=SAMPLE_PER_DAY)
    prices = price_table()
    bills = {
        name: monthly_bill(sample.totals, given, prices, days=sample.totals.ended / per_day)
        for name, per_day in LOADS.items()
    }
    yield from bill_table(bills, prices.as_of)
    yield from check_table(checked)


def _problems(
    outcomes: Sequence[Outcome], checked: Sequence[tuple[Measured, Burst]]
) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.scenario.until_s is None and outcome.still_open:
            yield f"{outcome.scenario.name}: {outcome.still_open} jobs were lost"
    for real, simulated in checked:
        if abs(simulated.wall_s / real.wall_s - 1) > TOLERANCE:
            yield f"{real.files} files: {simulated.wall_s:.0f} s in place of {real.wall_s:.0f}"


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.scale", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_number,
        metavar="NAME=NUMBER",
        help="another number than bench/scaling/assumptions.toml has",
    )
    parser.add_argument("--only", default="", help="only scenarios with this in their name")
    parser.add_argument("--out", type=Path, help="write docs/scale.md anew, and its picture")
    return parser.parse_args(arguments)


def _number(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    return name, float(number)


if __name__ == "__main__":
    sys.exit(main())
