"""The fault matrix: for every outside call that is made, what becomes of each fault.

A row is a call of one function, as recorded in `stories`; a column is a fault. A cell is found by
two runs. On the `rig` the real adapter meets the fault at a stand-in, over HTTP: it is absorbed
inside the call, or some exception is left. On the `stage` that exception, or a process that dies,
strikes a whole job, and all promises are checked at its end.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chalicelib.adapters import aws_errors
from tests.reliability import rig as rigs
from tests.reliability.calls import MadeCall
from tests.reliability.rig import CALLS, Operation, Rig, Surface
from tests.reliability.stage import SCHEDULES, Outcome, Stage, Strike
from tests.reliability.stories import STORIES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEFORE, AFTER, THROTTLED, BROKEN, REFUSED, CUT = (
    rigs.BEFORE,
    rigs.AFTER,
    rigs.THROTTLED,
    rigs.BROKEN,
    rigs.REFUSED,
    rigs.CUT,
)
DIES_BEFORE, DIES_AFTER = "crash-before", "crash-after"
COLUMNS = {
    BEFORE: "time-out before the effect",
    AFTER: "time-out after it",
    THROTTLED: "throttle",
    BROKEN: "5xx",
    REFUSED: "refused for good",
    CUT: "cut body",
    DIES_BEFORE: "crash before",
    DIES_AFTER: "crash after",
}
#: Who calls a function, and so what comes of one that fails.
STEPS = frozenset(
    (
        *("register", "fetch", "inspect", "plan", "encode", "choose", "restore"),
        *("measure", "verify", "publish", "write_back", "announce", "fail"),
    )
)
AGAIN = {
    "drive_notification": "Drive tells again",
    "table_changed": "Airtable tells again",
    "drive_changed": "message again",
    "rows_changed": "message again",
    "encode_changed": "event again",
    "execution_ended": "event again",
    "sweep_drive": "invoked again",
    "renew_channel": "invoked again",
    "reconcile_jobs": "invoked again",
    "requeue_rows": "invoked again",
}
ABSORBED = "in the call"


@dataclass(frozen=True, order=True)
class Row:
    """One outside call of one function: `adapter.method` and what it sends."""

    function: str
    call: str
    operation: Operation

    @property
    def id(self) -> str:
        return f"{self.function}-{self.call}-{self.operation[1]}"


@dataclass(frozen=True)
class Seen:
    """A story in which a function makes a call, and how that story ends undisturbed."""

    story: str
    needed: str | None
    ends: tuple[str, ...]


class Matrix:
    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._surfaces: dict[tuple[str, Operation, str], Surface] = {}
        self._runs: dict[tuple[str, ...], str] = {}

    @functools.cached_property
    def rows(self) -> list[Row]:
        """Every call that any story makes, in the order of a job's life."""
        return [
            Row(function, call, operation)
            for function, call in recorded()
            for operation in self._operations(call)
        ]

    def at(self, cell_id: str) -> tuple[Row, str]:
        """The row and column of a cell by its test id.

        Raises: KeyError: there is none.
        """
        return self._cells[cell_id]

    @functools.cached_property
    def _cells(self) -> dict[str, tuple[Row, str]]:
        return {f"{row.id}-{column}": (row, column) for row in self.rows for column in COLUMNS}

    def cell(self, row: Row, column: str) -> str:
        """What happens, in a few words.

        Raises: AssertionError: a promise was not kept.
        """
        if column in (DIES_BEFORE, DIES_AFTER):
            return self._once(row, None, effect=column == DIES_AFTER)
        if column == CUT and not self._has_body(row):
            return "n/a: no body"
        surface = self._surface(row.call, row.operation, column)
        if column == REFUSED:
            return self._refused(row, surface.lasting) if surface.lasting else ABSORBED
        took_effect = column in (AFTER, CUT)
        if surface.once is not None:
            return self._once(row, surface.once, effect=took_effect)
        absorbed = ABSORBED + (self._repeated(row) if column == AFTER else "")
        if surface.lasting is None:
            return absorbed
        return f"{absorbed}; else {self._once(row, surface.lasting, effect=took_effect)}"

    def _operations(self, call: str) -> list[Operation]:
        return _operations_of(self._rig, call)

    def _has_body(self, row: Row) -> bool:
        return row.operation[1] not in NO_BODY

    def _surface(self, call: str, operation: Operation, column: str) -> Surface:
        key = call, operation, column
        if key not in self._surfaces:
            once = self._rig.once(call, operation, column)
            # A client cannot tell whether what it got no answer to had its effect.
            lasts = (
                self._surface(call, operation, BEFORE).lasting
                if column == AFTER
                else self._rig.lasting(call, operation, column)
            )
            self._surfaces[key] = Surface(once, lasts)
        return self._surfaces[key]

    def _once(self, row: Row, error: BaseException | None, *, effect: bool) -> str:
        effect = effect and row.call not in READS
        key = (row.function, row.call, "once", _kind(error), str(effect))
        if key not in self._runs:
            strike = Strike(row.function, row.call, error=error, effect=effect)
            seen, stage = _played(strike)
            self._runs[key] = _told(row.function, seen, stage.outcome) + _second_email(stage)
        return self._runs[key]

    def _repeated(self, row: Row) -> str:
        """The client sent it twice. Nothing comes of that, but where a message reached people."""
        if row.call in READS:
            return ""
        key = (row.function, row.call, "repeated")
        if key not in self._runs:
            strike = Strike(row.function, row.call, repeated=True)
            seen, stage = _played(strike)
            assert _ends(stage.outcome) == seen.ends
            self._runs[key] = _second_email(stage)
        return self._runs[key]

    def _refused(self, row: Row, error: BaseException) -> str:
        key = (row.function, row.call, "refused", _kind(error))
        if key not in self._runs:
            strike = Strike(row.function, row.call, error=error, lasts=True)
            self._runs[key] = _refusal(strike)
        return self._runs[key]


#: Calls that change nothing outside: whether one was made before it failed is all the same.
READS = frozenset(
    (
        *("records.get", "records.state", "records.open_jobs", "records.unsynced_jobs"),
        "records.item_count",
        *("catalogue.list_jobs", "catalogue.search", "catalogue.under_way", "catalogue.tallies"),
        *("storage.exists", "storage.found", "storage.size_or_none"),
        *("storage.version", "storage.size_bytes", "storage.read"),
        *("storage.read_range", "storage.chunks"),
        *("storage.parts", "encoder.probe", "encoder.find_job", "encoder.get_job"),
        *("encoder.unfinished_jobs", "flows.history", "flows.status", "secrets.get", "drive.get"),
        *("drive.folder_page", "desk.wishes", "desk.changes"),
        *("drive.list_folder", "drive.start_page_token", "drive.changes", "drive.open_range"),
    )
)
#: Answers without a body: nothing of them can be cut.
NO_BODY = frozenset(
    ("HeadObject", "PutObject", "UploadPart", "AbortMultipartUpload", "channels.stop", "POST")
)


def _operations_of(rig: Rig, call: str, _known: dict[str, list[Operation]] = {}) -> list[Operation]:  # noqa: B006 - a memo
    if call not in _known:
        _known[call] = rig.operations(call)
    return _known[call]


@functools.cache
def recorded() -> dict[tuple[str, str], Seen]:
    """Every call of every function, with the story in which it is made: a short one, and one that
    ends well by itself where there is one, because there most can go wrong.
    """
    found: dict[tuple[str, str], tuple[tuple[bool, bool, int], Seen]] = {}
    for name, stage in _undisturbed():
        seen = Seen(name, stage.outcome.needed, _ends(stage.outcome))
        rank = "Completed" not in seen.ends, seen.needed is not None, len(stage.seen)
        for made in stage.seen:
            if made not in found or rank < found[made][0]:
                found[made] = rank, seen
    return {made: seen for made, (_, seen) in found.items()}


#: What functions were seen to call in every run so far.
MADE: set[MadeCall] = set()


def _undisturbed() -> Iterator[tuple[str, Stage]]:
    for name, story in STORIES.items():
        with pytest.MonkeyPatch.context() as patch, _quiet():
            stage = Stage(patch)
            story(stage)
            stage.end()
            stage.check()
        MADE.update(stage.made)
        yield name, stage


def _played(strike: Strike) -> tuple[Seen, Stage]:
    """The story with one thing gone wrong. All that was promised holds at its end."""
    seen = recorded()[strike.function, strike.call]
    with pytest.MonkeyPatch.context() as patch, _quiet():
        stage = Stage(patch, strike)
        STORIES[seen.story](stage)
        stage.end()
        assert strike.times, f"{strike.function} never made the call {strike.call}"
        stage.check()
    MADE.update(stage.made)
    return seen, stage


def _told(function: str, seen: Seen, outcome: Outcome) -> str:
    assert _ends(outcome) == seen.ends, f"{seen.ends} became {_ends(outcome)}"
    later = outcome.needed if outcome.needed != seen.needed else None
    if outcome.raised is None:
        return f"later: {later}" if later else "no harm"
    again = "step again" if function in STEPS else AGAIN.get(function, "caller asks again")
    return f"{again}, then {later}" if later else again


def _second_email(stage: Stage) -> str:
    about_none = ("alert", "summary")
    mails = [notice for notice in stage.world.topic.sent if notice.kind not in about_none]
    runs = sum(job.run for job in stage.outcome.jobs)
    return ", a second email" if len(mails) > runs else ""


def _refusal(strike: Strike) -> str:
    """What a refusal does while it lasts; and once it is repaired, everything comes back."""
    seen = recorded()[strike.function, strike.call]
    with pytest.MonkeyPatch.context() as patch, _quiet():
        stage = Stage(patch, strike)
        with contextlib.suppress(AssertionError, ValueError):  # it may not come to its end
            STORIES[seen.story](stage)
        outcome = stage.end()
        told = _while_refused(seen, stage, outcome)
        strike.is_over = True
        stage.redrive()
        stage.settle()
        for name, every_s in SCHEDULES:
            stage.time_s += every_s
            stage.run_schedule(name)
        stage.settle()
        stage.end()
        stage.check()
    MADE.update(stage.made)
    return told


def _while_refused(seen: Seen, stage: Stage, outcome: Outcome) -> str:
    told = []
    failed = [job for job in outcome.jobs if job.status.value == "Failed"]
    if failed and "Failed" not in seen.ends:
        assert failed[0].reason and "Traceback" not in failed[0].reason
        told.append("job fails, with a sentence")
    if outcome.given_up:
        told.append("dead letter")
    if outcome.alerts:
        told.append("people are told once")
    if told:
        return ", ".join(told)
    if not stage.is_quiet():
        return "waits for repair"
    return f"later: {outcome.needed}" if outcome.needed != seen.needed else "no harm"


def _ends(outcome: Outcome) -> tuple[str, ...]:
    return tuple(sorted(job.status.value for job in outcome.jobs))


def _kind(error: BaseException | None) -> str:
    """What our code can tell of an error: runs with the same are the same."""
    if error is None:
        return "dies"
    return "passes" if aws_errors.passes(error) else type(error).__name__


class _quiet:
    """Faults by the thousand need no log."""

    def __enter__(self) -> None:
        logging.disable(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        logging.disable(logging.NOTSET)


__all__ = ["CALLS", "COLUMNS", "DOCUMENT", "Matrix", "Row", "recorded"]
