"""How many videos a day each limit allows by itself: the order in which they are met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.scaling.assumptions import Assumptions
from bench.scaling.films import DAY_S, films
from bench.scaling.system import System

#: What is asked for in a system where nothing waits.
_ENDLESS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit.

    Attributes:
        even_per_day: videos a day that it allows when they come evenly over the day.
        busy_per_day: when they come as people drop them, and none should have to wait long. The
            same as `even_per_day` where the limit is one of a day or a month.
        remedy: what to raise, and how.
    """

    name: str
    even_per_day: float
    busy_per_day: float
    remedy: str


def limits(given: Assumptions, *, seed: int, jobs: float = 4000) -> list[Limit]:
    """Every limit, the narrowest first, from what films ask for where nothing waits."""
    system = unlimited(given, seed=seed, jobs=jobs)
    return sorted(_limits(given, system), key=lambda limit: limit.busy_per_day)


def peak_factor(given: Assumptions) -> float:
    """How much more comes in a busy hour than in a mean one."""
    busy_h = given("day", "busy_to_h") - given("day", "busy_from_h")
    return max(1.0, given("day", "busy_share") * 24 / busy_h)


def unlimited(given: Assumptions, *, seed: int, jobs: float) -> System:
    """A system in which nothing waits, after a day of so many films."""
    names = [name for name in given.section("quotas") if name.endswith(("_per_s", "_at_a_time"))]
    free = given.with_(
        **dict.fromkeys(names, _ENDLESS),
        fetch_at_a_time=_ENDLESS / 2,
        drive_bytes_per_day=_ENDLESS**2,
        drive_units_per_minute=_ENDLESS**2,
    )
    system = System(free, seed=seed)
    system.run(films(given, per_day=jobs, days=1.0, seed=seed))
    return system


def _limits(given: Assumptions, system: System) -> Iterator[Limit]:
    quota, totals = given.section("quotas"), system.totals
    jobs, peak = totals.ended, peak_factor(given)

    def steady(name: str, capacity_per_s: float, used: float, remedy: str) -> Limit:
        even = capacity_per_s * DAY_S / (used / jobs)
        return Limit(name=name, even_per_day=even, busy_per_day=even / peak, remedy=remedy)

    def daily(name: str, capacity_per_day: float, used: float, remedy: str) -> Limit:
        even = capacity_per_day / (used / jobs)
        return Limit(name=name, even_per_day=even, busy_per_day=even, remedy=remedy)

    yield daily(
        "Drive, bytes a day and account",
        quota["drive_bytes_per_day"] * system.users,
        totals.copied_bytes,
        "more service accounts, or films from S3; nobody at Google raises it",
    )
    yield daily(
        "Drive, bytes a day before Google charges",
        quota["drive_free_bytes_per_day"],
        totals.copied_bytes,
        "pay, or films from S3",
    )
    units = totals.parts * quota["drive_units_per_download"]
    yield daily(
        "Drive, quota units a day",
        quota["drive_units_per_day"],
        units,
        "larger parts: a download of any length is 200 units",
    )
    yield steady(
        "Drive, quota units a minute and account",
        quota["drive_units_per_minute"] / 60 * system.users,
        units,
        "larger parts, or more service accounts",
    )
    yield steady(
        "copies from Drive at a time",
        given("template", "fetch_at_a_time"),
        system.fetches.load.busy_s,
        "FetchConcurrency, a parameter of the template",
    )
    yield steady(
        "MediaConvert, encodes at a time",
        quota["encodes_at_a_time"],
        system.encodes.load.busy_s,
        "the queue's quota, to 500; then more queues, to 2,000 an account",
    )
    if again := given("template", "encode_again_share"):
        yield steady(
            "MediaConvert, SearchJobs",
            quota["search_jobs_per_s"],
            system.creates.load.served * again,
            "not adjustable; asked only where CreateJob gave no clear answer",
        )
    yield steady(
        "MediaConvert, CreateJob",
        quota["create_job_per_s"],
        system.creates.load.served,
        "the quota",
    )
    yield steady(
        "MediaConvert, Probe", quota["probe_per_s"], system.probes.load.served, "the quota"
    )
    yield steady(
        "Lambda, at a time",
        quota["lambda_at_a_time"]
        - given("template", "fetch_at_a_time")
        - given("template", "answers_reserved"),
        system.functions.load.busy_s,
        "the account's quota; a new account has 10",
    )
    yield steady(
        "Step Functions, transitions",
        quota["state_transitions_per_s"],
        totals.transitions,
        "the quota",
    )
    yield steady(
        "the one reader of the change log",
        1.0,
        system.reader.load.busy_s,
        "a reader per folder; starting several at a time",
    )
    yield steady(
        "DynamoDB, one partition of the index of open jobs",
        quota["index_write_units_per_s"],
        totals.writes * given("job", "write_units"),
        "several values for the index's key; a leaner projection",
    )
    yield steady(
        "SNS, emails to one address",
        quota["emails_per_s"],
        totals.emails,
        "`notify.digest_after`, one email for many",
    )
    yield steady(
        "the one writer of rows",
        system.rows.most / given("durations_s", "row_call"),
        totals.row_messages,
        "a writer per table",
    )
    yield daily(
        "Airtable, calls a month",
        quota["airtable_calls_per_month"] / 30,
        system.rows.calls,
        "the Business plan has no such limit",
    )
    yield daily(
        "Airtable, rows of a base filled in a year",
        quota["airtable_rows"] / 365,
        totals.ended,
        "archive rows, or a larger plan",
    )
    open_at_once = min(
        given("template", "reconcile_timeout_s") / given("durations_s", "reconcile_per_job"),
        quota["describe_execution_burst"]
        + quota["describe_execution_per_s"] * given("template", "reconcile_timeout_s"),
    )
    yield steady(
        "open jobs that one reconcile can look through",
        open_at_once,
        sum(system.latency_s),
        "several at a time, only those nobody heard of for long",
    )
