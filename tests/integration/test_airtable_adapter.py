"""The rows adapter against the stand-in over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyairtable import Api

from chalicelib.adapters.airtable import (
    Airtable,
    AirtableOutOfCalls,
    AirtableRefused,
    AirtableUnavailable,
)
from chalicelib.domain.row import FIELDS, TABLE_NAME
from slimreel.local import airtable as stand_in_package
from slimreel.local.faults import Fault, Faults
from tests.contract.airtable_server import TOKEN, Clock, running


class Studio:
    """A base with Slimreel's table in it, seen by the adapter and by a person."""

    def __init__(
        self, stand_in: stand_in_package.Airtable, url: str, faults: Faults, clock: Clock
    ) -> None:
        self.url = url
        self.faults = faults
        self.clock = clock
        self.calls = stand_in.calls
        self.base_id = stand_in.create_base("Studio")
        self._api = Api(TOKEN, endpoint_url=url, retry_strategy=None, timeout=(3, 5))
        base = self._api.base(self.base_id)
        self.person = base.create_table(TABLE_NAME, [field.as_airtable() for field in FIELDS])
        self.calls.clear()
        self._open: list[Airtable] = []

    def rows(self, token: str = TOKEN, **changed: str) -> Airtable:
        where = {"api_url": self.url, "base_id": self.base_id, "table": TABLE_NAME, **changed}
        adapter = Airtable(token=token, **where)
        self._open.append(adapter)
        return adapter

    def close(self) -> None:
        self._api.session.close()
        for adapter in self._open:
            adapter.close()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    yield from _studio(tmp_path)


def _studio(folder: Path, **options: Any) -> Iterator[Studio]:
    faults, clock = Faults(), options.pop("clock", None) or Clock()
    with running(folder, faults, clock=clock, **options) as (stand_in, url):
        studio = Studio(stand_in, url, faults, clock)
        yield studio
        studio.close()


def row(job_id: str, **fields: Any) -> dict[str, Any]:
    return {"Job ID": job_id, "File Name": f"{job_id}.mov", "Status": "Processing", **fields}


def test_ten_rows_are_one_call(studio: Studio) -> None:
    ids = studio.rows().upsert([row(f"job{number}") for number in range(10)])
    assert studio.calls == {"records.upsert": 1}
    assert {r["id"]: r["fields"]["Job ID"] for r in studio.person.all()} == {
        record_id: job_id for job_id, record_id in ids.items()
    }


def test_a_second_write_changes_the_row_and_keeps_what_people_added(studio: Studio) -> None:
    first = studio.rows().upsert([row("a", Reason="on its way")])
    studio.person.create_field("Remarks", "singleLineText")
    studio.person.update(first["a"], {"Remarks": "looks good"})
    second = studio.rows().upsert([row("a", Status="Completed", Reason=None)])
    assert second == first
    assert studio.person.all()[0]["fields"] == {
        "Job ID": "a",
        "File Name": "a.mov",
        "Status": "Completed",
        "Remarks": "looks good",
    }


def test_every_field_of_the_table_can_be_written_and_cleared(studio: Studio) -> None:
    values = {
        "singleLineText": "x",
        "multilineText": "a\nb",
        "singleSelect": "Kept original",
        "number": 1.25,
        "percent": 0.5,
        "url": "https://example.org/v",
        "dateTime": "2026-09-01T07:00:00.000Z",
        "currency": 0.0421,
    }
    full = {field.name: values[field.type] for field in FIELDS}
    ids = studio.rows().upsert([full])
    assert studio.person.get(ids["x"])["fields"] == full
    studio.rows().upsert([dict.fromkeys(full) | {"Job ID": "x"}])
    assert studio.person.get(ids["x"])["fields"] == {"Job ID": "x"}


def test_a_missing_status_option_is_made(studio: Studio) -> None:
    studio.rows().upsert([row("a", Status="Paused")])
    assert studio.person.all()[0]["fields"]["Status"] == "Paused"


def test_no_rows_are_no_call(studio: Studio) -> None:
    assert studio.rows().upsert([]) == {}
    assert not studio.calls


@pytest.mark.parametrize(
    "rows",
    [
        [row(f"job{number}") for number in range(11)],
        [row("a"), row("a")],
        [{"File Name": "no id"}],
        [row("")],
    ],
)
def test_rows_that_cannot_be_told_apart_are_not_sent(
    studio: Studio, rows: list[dict[str, Any]]
) -> None:
    with pytest.raises(ValueError, match=r"rows|row without"):
        studio.rows().upsert(rows)
    assert not studio.calls


def test_of_two_rows_of_one_job_the_oldest_is_kept(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    old = studio.person.create({"Job ID": "a"})["id"]
    studio.clock.now_s += 60
    younger = studio.person.batch_create([{"Job ID": "a"}, {"Job ID": "a"}])
    ids = studio.rows().upsert([row("a", Reason="done"), row("b")])
    assert ids["a"] == old
    assert studio.person.get(old)["fields"]["Reason"] == "done"
    assert all("Reason" not in studio.person.get(r["id"])["fields"] for r in younger)
    assert all(r["id"] in caplog.text for r in younger)
    assert len(studio.person.all()) == 4
    assert studio.calls["records.upsert"] == 2


@pytest.mark.parametrize("kind", ["INVALID_REQUEST_UNKNOWN", "SOMETHING_NEW"])
def test_twins_are_found_whatever_airtable_calls_the_failure(studio: Studio, kind: str) -> None:
    studio.person.batch_create([{"Job ID": "a"}, {"Job ID": "a"}])
    studio.faults.add(Fault(service="airtable", operation="records.upsert", status=422, code=kind))
    assert "a" in studio.rows().upsert([row("a")])


def test_a_row_deleted_while_twins_are_sorted_out_is_tried_again(studio: Studio) -> None:
    studio.person.batch_create([{"Job ID": "a"}, {"Job ID": "a"}])
    studio.faults.add(
        Fault(
            service="airtable",
            operation="records.upsert",
            nth=2,
            status=422,
            code="ROW_DOES_NOT_EXIST",
        )
    )
    with pytest.raises(AirtableUnavailable) as error:
        studio.rows().upsert([row("a")])
    assert error.value.retry_after_s == 1


def test_too_many_calls_wait_out_the_penalty(tmp_path: Path) -> None:
    for studio in _studio(tmp_path):
        studio.clock.step_s = 0
        studio.clock.now_s += 10
        rows = studio.rows()
        for number in range(5):
            rows.upsert([row(f"job{number}")])
        with pytest.raises(AirtableUnavailable) as error:
            rows.upsert([row("late")])
        assert studio.calls["records.upsert"] == 6  # no retries of its own
        studio.clock.now_s += error.value.retry_after_s
        assert "late" in rows.upsert([row("late")])


def test_a_used_up_month_is_not_a_rate_limit(tmp_path: Path) -> None:
    for studio in _studio(tmp_path, monthly_calls=2):
        with pytest.raises(AirtableOutOfCalls, match="next month"):
            studio.rows().upsert([row("a")])
        assert studio.calls["records.upsert"] == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_broken_service_is_tried_again_later(studio: Studio, status: int) -> None:
    studio.faults.add(Fault(service="airtable", status=status))
    with pytest.raises(AirtableUnavailable) as error:
        studio.rows().upsert([row("a")])
    assert error.value.status == status
    assert error.value.retry_after_s == 10


def test_a_lost_answer_makes_no_second_row(studio: Studio) -> None:
    studio.faults.add(
        Fault(service="airtable", operation="records.upsert", status=502, after_effect=True)
    )
    rows = studio.rows()
    with pytest.raises(AirtableUnavailable):
        rows.upsert([row("a")])
    rows.upsert([row("a", Status="Completed")])
    assert [r["fields"]["Status"] for r in studio.person.all()] == ["Completed"]


def test_half_an_answer_is_tried_again_later(studio: Studio) -> None:
    studio.faults.add(Fault(service="airtable", operation="records.upsert", cut_body_at_byte=20))
    with pytest.raises(AirtableUnavailable, match="half"):
        studio.rows().upsert([row("a")])


def test_nobody_listening_is_tried_again_later(studio: Studio) -> None:
    with pytest.raises(AirtableUnavailable):
        studio.rows(api_url="http://127.0.0.1:9").upsert([row("a")])


def test_a_slow_answer_is_given_up(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.adapters.airtable.TIMEOUTS_S", (1, 0.05))
    studio.faults.add(Fault(service="airtable", operation="records.upsert", delay_s=0.3))
    with pytest.raises(AirtableUnavailable):
        studio.rows().upsert([row("a")])


def test_a_wrong_token_says_where_to_make_one(studio: Studio) -> None:
    with pytest.raises(AirtableRefused, match="make a new one"):
        studio.rows(token="patWrong").upsert([row("a")])


@pytest.mark.parametrize(
    "where", [{"base_id": "app" + "0" * 14}, {"table": "Nope"}, {"base_id": "apple"}]
)
def test_a_wrong_base_or_table_is_named(studio: Studio, where: dict[str, str]) -> None:
    with pytest.raises(AirtableRefused, match=next(iter(where.values()))):
        studio.rows(**where).upsert([row("a")])


def test_an_unknown_field_sends_people_to_setup(studio: Studio) -> None:
    with pytest.raises(AirtableRefused, match=r"Bitrate.*slimreel airtable setup") as error:
        studio.rows().upsert([row("a", Bitrate=1)])
    assert (error.value.status, error.value.kind) == (422, "UNKNOWN_FIELD_NAME")
    assert studio.calls == {"records.upsert": 1}  # nothing is looked up for what is clear


def test_a_bad_value_names_its_field(studio: Studio) -> None:
    with pytest.raises(AirtableRefused, match="Quality"):
        studio.rows().upsert([row("a", Quality="good")])


def test_a_full_base_is_told_as_it_is(tmp_path: Path) -> None:
    for studio in _studio(tmp_path, records_per_base=1):
        rows = studio.rows()
        rows.upsert([row("a")])
        with pytest.raises(AirtableRefused, match="limit of 1 records"):
            rows.upsert([row("b")])
        assert rows.upsert([row("a", Status="Failed")])


def test_the_token_is_in_no_message(studio: Studio) -> None:
    with pytest.raises(AirtableRefused) as error:
        studio.rows(token="patSecret").upsert([row("a")])
    assert "patSecret" not in str(error.value)
