"""What a run adds to the figures."""

from __future__ import annotations

import pytest

from chalicelib.domain.job import Status
from chalicelib.domain.tally import cause, tally
from tests.examples import a_job, a_plan

ENDED = {"completed_at": "2026-05-04T23:59:00.000Z", "size_bytes": 1000, "plan": a_plan()}
PUBLISHED = {"published_run": 1, "published_size_bytes": 300, "cost_usd": 0.25}


def test_a_first_run_adds_all_of_it() -> None:
    added = tally(a_job(Status.COMPLETED, **ENDED, **PUBLISHED))
    assert (added.kind.day, added.kind.preset, added.kind.cause) == ("2026-05-04", "balanced", "")
    assert (added.amounts.source_bytes, added.amounts.published_bytes) == (1000, 300)
    assert added.amounts.cost_micro_usd == 250_000


def test_a_second_run_adds_what_it_changed() -> None:
    before = {"earlier_cost_usd": 0.25, "earlier_size_bytes": 300, "run": 2}
    again = {"published_run": 2, "published_size_bytes": 250, "cost_usd": 0.4}
    amounts = tally(a_job(Status.COMPLETED, **ENDED, **before, **again)).amounts
    assert (amounts.source_bytes, amounts.published_bytes) == (0, -50)
    assert amounts.cost_micro_usd == 150_000


def test_a_second_run_that_came_to_nothing_changes_no_bytes() -> None:
    before = {"earlier_cost_usd": 0.25, "earlier_size_bytes": 300, "run": 2}
    job = a_job(Status.CANCELLED, **ENDED, **PUBLISHED, **before)
    assert (tally(job).amounts.source_bytes, tally(job).amounts.published_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("reason", "counted_as"),
    [
        ("The file is empty.", "The file is empty."),
        ("“Scene 4.mov” is gone. Ask Anna.", "… is gone."),
        ("It would save 3.2 %, of 10 % wanted.", "It would save … %, of … % wanted."),
        (None, ""),
        ("x" * 500, "x" * 120),
    ],
)
def test_what_is_particular_to_a_file_is_no_cause(reason: str | None, counted_as: str) -> None:
    assert cause(reason) == counted_as
    kind = tally(a_job(Status.FAILED, **ENDED, reason=reason)).kind
    assert kind.cause == counted_as


def test_kinds_sort_by_day_and_differ_otherwise() -> None:
    jobs = [a_job(Status.COMPLETED, **ENDED), a_job(Status.FAILED, **ENDED)]
    keys = [tally(job).kind.key for job in jobs]
    assert len(set(keys)) == 2 and all(key.startswith("2026-05-04#") for key in keys)
