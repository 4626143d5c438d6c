"""What a run comes to: one screen for people, and JSON for programs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.crash.boundary import STEPS, TRIGGERS, Boundary, When, calls, function
from bench.crash.run import Outcome

_SHOWN_VIOLATIONS = 20


def screen(outcome: Outcome) -> str:
    return "\n".join(_lines(outcome))


def summary(outcome: Outcome) -> str:
    """One line that says it all."""
    found = len(outcome.findings.violations)
    return (
        f"crash: seed {outcome.plan.seed}, plan {outcome.plan.digest}: "
        f"{outcome.versions} versions, "
        f"{sum(outcome.kills.values())} kills at {len(outcome.kills)} boundaries, "
        f"{sum(_injected(outcome).values())} faults, in {outcome.seconds:.0f} s: "
        f"{'the invariant holds' if outcome.passed else f'{found} VIOLATIONS'}"
    )


def as_json(outcome: Outcome) -> dict[str, Any]:
    findings = outcome.findings
    return {
        "seed": outcome.plan.seed,
        "plan": outcome.plan.digest,
        "passed": outcome.passed,
        "versions": outcome.versions,
        "ends": dict(findings.ends),
        "kills": {str(boundary): count for boundary, count in sorted(outcome.kills.items())},
        "not_reached": [str(kill) for kill in outcome.missed],
        "skipped_lives": outcome.skipped,
        "faults": dict(_injected(outcome)),
        "second_emails": findings.second_emails,
        "violations": [
            {"rule": one.rule, "about": one.about, "what": one.what} for one in findings.violations
        ],
        "start_s": {"median": _median(outcome.starts_s), "max": max(outcome.starts_s, default=0)},
        "quiet_after_s": outcome.quiet_after_s,
        "seconds": outcome.seconds,
    }


def _lines(outcome: Outcome) -> Iterator[str]:
    findings = outcome.findings
    yield f"Seed {outcome.plan.seed}, plan {outcome.plan.digest}"
    ends = ", ".join(f"{count} {end}" for end, count in sorted(findings.ends.items()))
    yield f"{outcome.versions} versions: {ends}"
    yield ""
    yield "Kills by boundary, before + after the effect:"
    yield from _columns([*_kills(outcome)])
    if outcome.missed:
        yield f"Not reached, killed from outside instead: {', '.join(map(str, outcome.missed))}"
    if outcome.skipped:
        yield f"No time was left for {outcome.skipped} more lives of the plan."
    yield ""
    yield "Faults that struck:"
    yield from _columns([f"{name} {count}" for name, count in sorted(_injected(outcome).items())])
    yield ""
    yield (
        f"Second emails because the stack died between the email and its mark: "
        f"{len(findings.second_emails)}"
    )
    yield (
        f"Restarts took {_median(outcome.starts_s):.1f} s (median); quiet came "
        f"{outcome.quiet_after_s:.0f} s after the last"
    )
    shown = sorted(findings.violations)[:_SHOWN_VIOLATIONS]
    yield from (f"  VIOLATION {one}" for one in shown)
    if len(findings.violations) > len(shown):
        yield f"  … and {len(findings.violations) - len(shown)} more"


def _kills(outcome: Outcome) -> Iterator[str]:
    """Steps and triggers always, so that a gap is seen; other calls where there were kills."""
    for name in (*STEPS, *TRIGGERS):
        yield f"{name} {_pair(outcome, *(function(name, when) for when in When))}"
    edges = {(one.service, one.operation) for one in calls() if outcome.kills[one]}
    for service, operation in sorted(edges):
        both = [Boundary(service=service, operation=operation, when=when) for when in When]
        yield f"{service} {operation.rpartition('/')[2]} {_pair(outcome, *both)}"


def _pair(outcome: Outcome, *boundaries: Boundary) -> str:
    return "+".join(str(outcome.kills[one]) for one in boundaries)


def _injected(outcome: Outcome) -> Counter[str]:
    """Faults that struck, without the kills."""
    return Counter(_fault(strike) for strike in outcome.strikes if not strike.get("kill"))


def _fault(strike: dict[str, Any]) -> str:
    name = strike["operation"].rpartition("/")[2].removeprefix("slimreel-local-")
    what = [
        str(strike["status"]) if "status" in strike else "",
        "crash" if strike.get("drop") and strike["service"] == "lambda" else "",
        "lost" if strike.get("drop") and strike["service"] != "lambda" else "",
        "twice" if strike.get("duplicate") else "",
        "late" if strike.get("delay_s") else "",
        "again late" if strike.get("repeat_after_s") else "",
        "cut" if "cut_body_at_byte" in strike else "",
        "spoilt" if "flip_byte" in strike else "",
        "after" if strike.get("after_effect") else "",
        "fails" if strike["operation"] == "RunJob" else "",
    ]
    return f"{strike['service']} {name} {' '.join(filter(None, what))}".strip()


def _columns(cells: list[str], count: int = 3, width: int = 36) -> Iterator[str]:
    rows = -(-len(cells) // count)
    for row in range(rows):
        line = "".join(f"{cell:{width}}" for cell in cells[row::rows])
        yield f"  {line}".rstrip()


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0
