"""`slimreel airtable setup` against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyairtable import Api

from chalicelib.adapters.airtable import Airtable
from chalicelib.domain.row import FIELDS, TABLE_NAME
from slimreel.airtable import SetupFailed, SetupReport, setup
from slimreel.local import airtable as stand_in_package
from slimreel.local.airtable import ALL_SCOPES
from slimreel.local.faults import Fault, Faults
from tests.contract.airtable_server import TOKEN, Clock, running


class Office:
    """An empty base, and time that passes when setup waits."""

    def __init__(
        self, stand_in: stand_in_package.Airtable, url: str, faults: Faults, clock: Clock
    ) -> None:
        self.stand_in = stand_in
        self.url = url
        self.faults = faults
        self.clock = clock
        self.base_id = stand_in.create_base("Studio")
        self.api = Api(TOKEN, endpoint_url=url, retry_strategy=None, timeout=(3, 5))
        self.waited_s: list[float] = []

    def setup(self, **changed: Any) -> SetupReport:
        where = {"token": TOKEN, "base_id": self.base_id, "api_url": self.url, **changed}
        return setup(sleep=self.sleep, **where)

    def sleep(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        self.clock.now_s += seconds

    def make(self, *fields: dict[str, Any], name: str = TABLE_NAME) -> Any:
        return self.api.base(self.base_id).create_table(name, list(fields))


def _office(folder: Path, **options: Any) -> Iterator[Office]:
    # The clock stands still but for the waits of setup itself: the rate limit is the real one.
    faults, clock = Faults(), Clock(step_s=0)
    with running(folder, faults, clock=clock, **options) as (stand_in, url):
        office = Office(stand_in, url, faults, clock)
        yield office
        office.api.session.close()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    yield from _office(tmp_path)


def test_an_empty_base_gets_the_table_with_every_field(office: Office) -> None:
    report = office.setup()
    office.clock.now_s += 1
    table = office.api.base(office.base_id).schema().table(report.table_id)
    assert [(field.name, field.type) for field in table.fields] == [
        (field.name, field.type) for field in FIELDS
    ]
    assert report.made_table and report.made_fields == tuple(field.name for field in FIELDS)
    assert report.table_url == f"{office.url}/airtable?base={office.base_id}&table={table.id}"


def test_a_second_run_changes_nothing(office: Office) -> None:
    first = office.setup()
    office.clock.now_s += 60
    office.stand_in.calls.clear()
    second = office.setup()
    assert not second.changed_anything
    assert second.kept_fields == first.made_fields
    assert second.table_id == first.table_id
    assert {"tables.create", "fields.create"}.isdisjoint(office.stand_in.calls)


def test_missing_fields_are_added_within_the_rate_limit(office: Office) -> None:
    mine = {"name": "My own", "type": "singleLineText"}
    office.make(mine, {"name": "Job ID", "type": "singleLineText"})
    report = office.setup()
    assert not report.made_table
    assert report.kept_fields == ("Job ID",)
    assert len(report.made_fields) == len(FIELDS) - 1
    names = [field.name for field in office.api.base(office.base_id).schema().tables[0].fields]
    assert names[0] == "My own" and set(names) >= {field.name for field in FIELDS}
    assert max(office.waited_s) < 1


def test_rows_can_be_written_after_setup(office: Office) -> None:
    report = office.setup()
    office.clock.now_s += 60
    rows = Airtable(token=TOKEN, api_url=office.url, base_id=office.base_id, table=report.table_id)
    assert rows.upsert([{"Job ID": "a", "Status": "Failed"}])
    rows.close()


def test_the_work_of_a_person_is_named(office: Office) -> None:
    office.make(
        {"name": "File Name", "type": "singleLineText"},
        {"name": "status", "type": "singleSelect", "options": {"choices": [{"name": "Failed"}]}},
        {"name": "Upload Date", "type": "singleLineText"},
    )
    told = "\n".join(office.setup().by_hand)
    assert "Rename the field “status” to “Status”" in told
    assert "“Upload Date” from singleLineText to dateTime" in told
    assert "Processing, Retrying, Completed, Kept original, Cancelled" in told
    assert "views" in told


def test_nothing_but_views_is_left_in_a_new_table(office: Office) -> None:
    office.setup()
    office.clock.now_s += 60
    assert len(office.setup().by_hand) == 2


def test_checking_the_token_writes_no_row(office: Office) -> None:
    report = office.setup()
    office.clock.now_s += 60
    assert office.api.table(office.base_id, report.table_id).all() == []


@pytest.mark.parametrize("scope", ["data.records:read", "data.records:write"])
def test_a_scope_the_daily_work_lacks_is_named(tmp_path: Path, scope: str) -> None:
    for office in _office(tmp_path, tokens={TOKEN: ALL_SCOPES - {scope}}):
        assert any(f"scope {scope} " in line for line in office.setup().by_hand)


@pytest.mark.parametrize("scope", ["schema.bases:read", "schema.bases:write"])
def test_a_scope_setup_needs_stops_it(tmp_path: Path, scope: str) -> None:
    for office in _office(tmp_path, tokens={TOKEN: ALL_SCOPES - {scope}}):
        with pytest.raises(SetupFailed, match=scope):
            office.setup()


def test_a_wrong_token_stops_it(office: Office) -> None:
    with pytest.raises(SetupFailed, match="wrong, expired or revoked"):
        office.setup(token="patWrong")


@pytest.mark.parametrize("base_id", ["app" + "0" * 14, "Studio"])
def test_a_wrong_base_is_told_with_those_there_are(office: Office, base_id: str) -> None:
    with pytest.raises(SetupFailed, match=rf"{base_id}.*Studio \({office.base_id}\)"):
        office.setup(base_id=base_id)


def test_a_wrong_table_id_is_told_with_those_there_are(office: Office) -> None:
    office.make({"name": "Name", "type": "singleLineText"}, name="Films")
    with pytest.raises(SetupFailed, match=r"Films \(tbl"):
        office.setup(table="tbl" + "0" * 14)


def test_somebody_else_using_up_the_rate_is_waited_out(office: Office) -> None:
    office.faults.add(
        Fault(service="airtable", operation="tables.create", status=429, code="RATE_LIMIT_REACHED")
    )
    assert office.setup().made_table
    assert 30 in office.waited_s


def test_a_used_up_month_does_not_keep_the_table_from_being_made(tmp_path: Path) -> None:
    for office in _office(tmp_path, monthly_calls=0):
        report = office.setup()
        assert report.made_table
        assert any("PUBLIC_API_BILLING_LIMIT_EXCEEDED" in line for line in report.by_hand)
        assert 30 not in office.waited_s


def test_a_broken_service_stops_it_with_its_words(office: Office) -> None:
    office.faults.add(Fault(service="airtable", operation="tables.create", status=500, code="BOOM"))
    with pytest.raises(SetupFailed, match="500 BOOM"):
        office.setup()


def test_no_network_stops_it(office: Office) -> None:
    with pytest.raises(SetupFailed, match="cannot be reached"):
        office.setup(api_url="http://127.0.0.1:9")
