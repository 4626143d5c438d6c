"""Which systems are looked at, under which load."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.scaling.assumptions import Assumptions
from bench.scaling.films import DAY_S, films
from bench.scaling.kernel import AskedAgain, Places, Rate
from bench.scaling.system import System, Totals

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Some films a day, for so long.

    Attributes:
        raised: what is not as the template and a new queue have it, by its name in
            `assumptions.toml`.
        until_s: when we stop looking; None for when all have ended.
    """

    name: str
    per_day: float
    days: float
    until_s: float | None = None
    raised: Mapping[str, float] = field(default_factory=dict)


SCENARIOS: Sequence[Scenario] = (
    Scenario(name="150 a day, a month", per_day=150, days=30),
    Scenario(name="10,000 a day, as deployed", per_day=10_000, days=1, until_s=3 * DAY_S),
    Scenario(
        name="10,000 a day, raised",
        per_day=10_000,
        days=1,
        raised={"drive_users": 6, "fetch_at_a_time": 60, "encodes_at_a_time": 500},
    ),
    Scenario(
        name="1,000,000 a day, as deployed",
        per_day=1_000_000,
        days=1,
        until_s=12 * HOUR_S,
    ),
    Scenario(
        name="1,000,000 a day, raised",
        per_day=1_000_000,
        days=1,
        # From midnight into the first busy hour: what gives way first shows by then.
        until_s=8.5 * HOUR_S,
        raised={
            "drive_users": 1000,
            "fetch_at_a_time": 6000,
            "lambda_at_a_time": 20_000,
            "encodes_at_a_time": 2000,
            "create_job_per_s": 100,
            "probe_per_s": 100,
        },
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long jobs waited for one thing: those that had to."""

    name: str
    total_s: float
    longest_s: float
    most_waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a scenario.

    Attributes:
        latency_s: of every job that ended, in order: from the drop to the email.
        opened: jobs open at a moment, every five minutes.
        row_lag_s: 0.5 and 0.99 quantile: from a change to its row.
        emails_in_a_second: at most.
    """

    scenario: Scenario
    given: Assumptions
    totals: Totals
    latency_s: array[float]
    opened: Sequence[tuple[float, int]]
    most_open: int
    waits: Sequence[Wait]
    row_calls: int
    row_lag_s: tuple[float, float]
    emails_in_a_second: int
    events: int

    @property
    def still_open(self) -> int:
        return self.totals.dropped - self.totals.ended

    @property
    def days(self) -> float:
        """How long films came."""
        until = self.scenario.until_s
        length_s = self.scenario.days * DAY_S
        return (min(until, length_s) if until is not None else length_s) / DAY_S

    def latency(self, quantile: float) -> float:
        """NaN where none has ended."""
        return at(self.latency_s, quantile)


def play(scenario: Scenario, given: Assumptions, *, seed: int) -> Outcome:
    """Run a scenario to its end."""
    given = given.with_(**scenario.raised)
    system = System(given, seed=seed)
    coming = films(given, per_day=scenario.per_day, days=scenario.days, seed=seed)
    until_s = float("inf") if scenario.until_s is None else scenario.until_s
    system.run(coming, until_s=until_s)
    lags = sorted(system.rows.waits_s)
    return Outcome(
        scenario=scenario,
        given=given,
        totals=system.totals,
        latency_s=array("d", sorted(system.latency_s)),
        opened=system.opened,
        most_open=system.most_open,
        waits=_waits(system),
        row_calls=system.rows.calls,
        row_lag_s=(at(lags, 0.5), at(lags, 0.99)),
        emails_in_a_second=max(system.email_seconds.values(), default=0),
        events=system.clock.events,
    )


def at(ordered: Sequence[float], quantile: float) -> float:
    """The value that so large a share does not exceed."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))]


def _waits(system: System) -> Sequence[Wait]:
    """Longest waiting together first; who waits still is counted, too."""
    named: Mapping[str, AskedAgain | Places | Rate] = {
        "a place to copy from Drive": system.fetches,
        "Drive's quota units": system.downloads,
        "the reader of the change log": system.reader,
        "Probe": system.probes,
        "SearchJobs": system.searches,
        "CreateJob": system.creates,
        "a place in MediaConvert": system.encodes,
        "Lambda": system.functions,
    }
    waits = [
        Wait(
            name=name,
            total_s=thing.load.waited_s,
            longest_s=thing.load.longest_wait_s,
            most_waiting=thing.load.most_waiting,
        )
        for name, thing in named.items()
    ]
    waits.append(
        Wait(
            name="Drive's next day",
            total_s=system.exhausted * 3600.0,
            longest_s=system.longest_exhausted_s,
            most_waiting=system.most_exhausted,
        )
    )
    return sorted(waits, key=lambda wait: -wait.total_s)
