"""The figures of the savings page."""

from __future__ import annotations

from typing import Any

from chalicelib.config import price_table
from chalicelib.domain.job import Status
from chalicelib.domain.savings import MOST_ROWS, savings
from chalicelib.domain.tally import Amounts, Kind, Tally

GIB = 2**30


def a_tally(day: str = "2026-05-04", status: Status = Status.COMPLETED, **more: Any) -> Tally:
    kind = {"workflow": "compress", "preset": "balanced", "uploader": "Anna", "cause": ""}
    amounts = {"jobs": 1, "source_bytes": 4 * GIB, "published_bytes": GIB, "cost_micro_usd": 50_000}
    given = {name: more.pop(name) for name in [*more] if name in kind}
    return Tally(
        kind=Kind(day=day, status=status, **{**kind, **given}),
        amounts=Amounts(**{**amounts, **more}),
    )


def test_sums_and_money() -> None:
    told = savings([a_tally(), a_tally()], price_table(), since="2026-05-04", until="2026-05-05")
    total = told["total"]
    assert (total["jobs"], total["saved_bytes"], total["cost_usd"]) == (2, 6 * GIB, 0.1)
    per_gib = told["prices"]["storage_usd_per_gib_month"]
    assert total["originals_usd_per_month"] == round(8 * per_gib, 6)
    first, second = told["days"]
    assert (first["day"], second["jobs"]) == ("2026-05-04", 0)
    # A day's storage of what was saved up to then, less what encoding cost on it.
    daily = 6 * per_gib / (365.25 / 12)
    assert abs(first["money_so_far_usd"] - (daily - 0.1)) < 1e-6
    assert abs(second["money_so_far_usd"] - (2 * daily - 0.1)) < 1e-6
    assert second["saved_bytes_so_far"] == 6 * GIB
    # Two originals of 4 GiB, two results of 1 GiB; encoding is paid once, storage every day.
    assert abs(second["originals_usd_so_far"] - 2 * daily * 8 / 6) < 1e-6
    assert abs(second["spent_usd_so_far"] - (2 * daily * 2 / 6 + 0.1)) < 1e-6


def test_nothing_at_all_has_days_but_no_rows() -> None:
    told = savings([], price_table(), since="2026-02-27", until="2026-03-02")
    assert [one["day"][-2:] for one in told["days"]] == ["27", "28", "01", "02"]
    assert told["total"]["jobs"] == 0 and told["by_workflow"] == []


def test_parts_are_sorted_by_what_they_saved_and_the_rest_is_one() -> None:
    people = [
        a_tally(uploader=f"person {n}", published_bytes=GIB * n // 10) for n in range(MOST_ROWS + 3)
    ]
    rows = savings(people, price_table(), since="2026-05-04", until="2026-05-04")["by_uploader"]
    assert len(rows) == MOST_ROWS
    assert rows[0]["name"] == "person 0" and rows[-1]["name"] is None
    assert sum(row["jobs"] for row in rows) == len(people)


def test_causes_are_counted_by_how_it_ended() -> None:
    ended = [
        a_tally(status=Status.FAILED, cause="The file is empty.", jobs=3),
        a_tally(status=Status.FAILED, cause="It is encrypted."),
        a_tally(status=Status.KEPT_ORIGINAL, cause="It saves too little."),
    ]
    told = savings(ended, price_table(), since="2026-05-04", until="2026-05-04")
    assert told["failed_because"][0] == {"cause": "The file is empty.", "jobs": 3}
    assert len(told["failed_because"]) == 2
    assert told["kept_because"] == [{"cause": "It saves too little.", "jobs": 1}]
    assert told["total"]["statuses"] == {"Failed": 4, "Kept original": 1}
