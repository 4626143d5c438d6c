"""The Airtable stand-in, spoken to by pyairtable and, for what pyairtable hides, by requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pyairtable import Api
from pyairtable.api.table import Table
from pyairtable.formulas import match

from slimreel.local.airtable import Airtable
from slimreel.local.faults import Fault, Faults
from tests.contract.airtable_server import TOKEN, Clock, running

FIELDS: list[dict[str, Any]] = [
    {"name": "Name", "type": "singleLineText"},
    {"name": "Key", "type": "singleLineText"},
    {"name": "Notes", "type": "multilineText"},
    {"name": "Size", "type": "number", "options": {"precision": 2}},
    {"name": "Share", "type": "percent", "options": {"precision": 1}},
    {"name": "Cost", "type": "currency", "options": {"precision": 4, "symbol": "$"}},
    {"name": "Length", "type": "duration", "options": {"durationFormat": "h:mm:ss"}},
    {"name": "Done", "type": "checkbox", "options": {"icon": "check", "color": "greenBright"}},
    {"name": "Day", "type": "date", "options": {"dateFormat": {"name": "iso"}}},
    {
        "name": "When",
        "type": "dateTime",
        "options": {
            "timeZone": "utc",
            "dateFormat": {"name": "iso"},
            "timeFormat": {"name": "24hour"},
        },
    },
    {"name": "Link", "type": "url"},
    {
        "name": "Status",
        "type": "singleSelect",
        "options": {"choices": [{"name": "Waiting"}, {"name": "Done", "color": "greenLight2"}]},
    },
    {
        "name": "Tags",
        "type": "multipleSelects",
        "options": {"choices": [{"name": "hdr"}, {"name": "4k"}]},
    },
]


class Cloud:
    """What a test needs of one running stand-in."""

    def __init__(self, stand_in: Airtable, url: str, faults: Faults, clock: Clock) -> None:
        self.stand_in = stand_in
        self.url = url
        self.faults = faults
        self.clock = clock
        self.base_id = stand_in.create_base("Studio")
        self.api = Api(TOKEN, endpoint_url=url, retry_strategy=None, timeout=(3, 5))

    def table(self, name: str = "Videos") -> Table:
        return self.api.base(self.base_id).create_table(name, FIELDS, "Films")

    def ask(self, method: str, path: str, token: str = TOKEN, **how: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(method, f"{self.url}/v0/{path}", headers=headers, timeout=5, **how)

    def close(self) -> None:
        self.api.session.close()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    yield from _cloud(tmp_path)


def _cloud(folder: Path, clock: Clock | None = None, **options: Any) -> Iterator[Cloud]:
    faults, clock = Faults(), clock or Clock()
    with running(folder, faults, clock=clock, **options) as (stand_in, url):
        cloud = Cloud(stand_in, url, faults, clock)
        yield cloud
        cloud.close()


def refused(error: pytest.ExceptionInfo[requests.HTTPError]) -> tuple[int, str]:
    """Status and error type."""
    response = error.value.response
    body = response.json()["error"]
    return response.status_code, body if isinstance(body, str) else body["type"]


# schema


def test_a_table_is_made_with_its_fields_and_a_grid_view(cloud: Cloud) -> None:
    made = cloud.table().schema()
    assert [(field.name, field.type) for field in made.fields] == [
        (field["name"], field["type"]) for field in FIELDS
    ]
    assert made.primary_field_id == made.fields[0].id
    assert made.description == "Films"
    assert [view.type for view in made.views] == ["grid"]


def test_ids_have_a_prefix_and_fourteen_characters(cloud: Cloud) -> None:
    table = cloud.table()
    record = table.create({"Name": "a"})
    status = table.schema().field("Status")
    ids = [cloud.base_id, table.schema().id, status.id, record["id"], status.options.choices[0].id]
    assert [i[:3] for i in ids] == ["app", "tbl", "fld", "rec", "sel"]
    assert {len(i) for i in ids} == {17}


def test_a_field_is_added_and_renamed(cloud: Cloud) -> None:
    table = cloud.table()
    field = table.create_field("Extra", "number", "why", {"precision": 0})
    field.name = "More"
    field.save()
    again = table.schema(force=True).field("More")
    assert (again.id, again.description, again.options.precision) == (field.id, "why", 0)


def test_a_table_is_renamed(cloud: Cloud) -> None:
    schema = cloud.table().schema()
    schema.name = "Films"
    schema.save()
    assert [table.name for table in cloud.api.base(cloud.base_id).tables(force=True)] == ["Films"]


def test_bases_are_listed(cloud: Cloud) -> None:
    assert [(base.id, base.name) for base in cloud.api.bases()] == [(cloud.base_id, "Studio")]
    assert cloud.stand_in.create_base("Studio") == cloud.base_id


def test_whoami_names_a_user(cloud: Cloud) -> None:
    assert cloud.api.whoami()["id"].startswith("usr")


@pytest.mark.parametrize(
    ("field", "error"),
    [
        ({"name": "name", "type": "url"}, "DUPLICATE_OR_EMPTY_FIELD_NAME"),
        ({"name": " ", "type": "url"}, "DUPLICATE_OR_EMPTY_FIELD_NAME"),
        ({"name": "x", "type": "formula"}, "UNSUPPORTED_FIELD_TYPE_FOR_CREATE"),
        ({"name": "x", "type": "longText"}, "INVALID_REQUEST_UNKNOWN"),
        ({"name": "x", "type": "checkbox"}, "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE"),
        (
            {"name": "x", "type": "number", "options": {"precision": 9}},
            "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        ),
        (
            {
                "name": "x",
                "type": "dateTime",
                "options": {"timeZone": "utc", "dateFormat": {"name": "iso"}},
            },
            "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        ),
        (
            {
                "name": "x",
                "type": "dateTime",
                "options": {
                    "timeZone": "UTC",
                    "dateFormat": {"name": "iso"},
                    "timeFormat": {"name": "24hour"},
                },
            },
            "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        ),
        (
            {"name": "x", "type": "singleSelect", "options": {"choices": [{"name": ""}]}},
            "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        ),
        (
            {"name": "x", "type": "url", "options": {"a": 1}},
            "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        ),
    ],
)
def test_a_field_that_cannot_be_made_is_refused(
    cloud: Cloud, field: dict[str, Any], error: str
) -> None:
    table_id = cloud.table().schema().id
    answer = cloud.ask("POST", f"meta/bases/{cloud.base_id}/tables/{table_id}/fields", json=field)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, error)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"name": "videos", "fields": FIELDS[:1]}, "DUPLICATE_TABLE_NAME"),
        ({"name": "New", "fields": []}, "INVALID_REQUEST_UNKNOWN"),
        ({"name": "New", "fields": FIELDS[7:8]}, "INVALID_REQUEST_UNKNOWN"),  # a checkbox first
        ({"name": "New", "fields": FIELDS[:1] * 2}, "DUPLICATE_OR_EMPTY_FIELD_NAME"),
    ],
)
def test_a_table_that_cannot_be_made_is_refused(
    cloud: Cloud, body: dict[str, Any], error: str
) -> None:
    cloud.table()
    answer = cloud.ask("POST", f"meta/bases/{cloud.base_id}/tables", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, error)
    assert len(cloud.api.base(cloud.base_id).tables(force=True)) == 1


# cells


def test_every_kind_of_cell_comes_back_as_documented(cloud: Cloud) -> None:
    table = cloud.table()
    fields = {
        "Name": "Ünïcode 🎬 \u202eright to left\nsecond line",
        "Notes": "a\nb",
        "Size": 12.5,
        "Share": 0.123,
        "Cost": 0.0421,
        "Length": 61,
        "Done": True,
        "Day": "2026-09-01",
        "When": "2026-09-01T07:00:00.250Z",
        "Link": "example.org/v/1",
        "Status": "Done",
        "Tags": ["4k", "hdr"],
    }
    made = table.create(fields)
    assert made["fields"] == fields
    assert table.get(made["id"]) == made
    assert made["createdTime"].endswith("Z") and len(made["createdTime"]) == 24


def test_empty_cells_are_left_out(cloud: Cloud) -> None:
    empty = {"Notes": "", "Done": False, "Tags": [], "Size": None, "Status": None}
    assert cloud.table().create({"Name": "a", **empty})["fields"] == {"Name": "a"}


def test_zero_is_not_empty(cloud: Cloud) -> None:
    assert cloud.table().create({"Size": 0})["fields"] == {"Size": 0}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"Nope": 1}, "UNKNOWN_FIELD_NAME"),
        ({"name": "case matters"}, "UNKNOWN_FIELD_NAME"),
        ({"Name": 5}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Name": ["a"]}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Size": "5"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Size": True}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Done": "true"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"When": "yesterday"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Day": "2026-02-30"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Tags": "hdr"}, "INVALID_VALUE_FOR_COLUMN"),
        ({"Status": "Lost"}, "INVALID_MULTIPLE_CHOICE_OPTIONS"),
        ({"Status": ""}, "INVALID_MULTIPLE_CHOICE_OPTIONS"),
        ({"Tags": ["hdr", "8k"]}, "INVALID_MULTIPLE_CHOICE_OPTIONS"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(
    cloud: Cloud, fields: dict[str, Any], error: str
) -> None:
    table = cloud.table()
    with pytest.raises(requests.HTTPError) as refusal:
        table.create(fields)
    assert refused(refusal) == (422, error)
    assert table.all() == []


def test_typecast_makes_values_of_strings_and_options_that_are_missing(cloud: Cloud) -> None:
    table = cloud.table()
    given = {"Name": 5, "Size": "1,234.5", "Share": "12.5%", "Done": "true", "Tags": "hdr, 8k"}
    made = table.create({**given, "Status": "Lost", "When": "2026-09-01T09:00"}, typecast=True)
    assert made["fields"] == {
        "Name": "5",
        "Size": 1234.5,
        "Share": 0.125,
        "Done": True,
        "When": "2026-09-01T09:00:00.000Z",
        "Status": "Lost",
        "Tags": ["hdr", "8k"],
    }
    status = table.schema(force=True).field("Status")
    assert [choice.name for choice in status.options.choices] == ["Waiting", "Done", "Lost"]


def test_typecast_still_refuses_what_cannot_be_read(cloud: Cloud) -> None:
    with pytest.raises(requests.HTTPError) as refusal:
        cloud.table().create({"Size": "a lot"}, typecast=True)
    assert refused(refusal) == (422, "INVALID_VALUE_FOR_COLUMN")


def test_a_time_with_a_zone_is_kept_in_utc(cloud: Cloud) -> None:
    made = cloud.table().create({"When": "2026-09-01T09:00:00+02:00"})
    assert made["fields"]["When"] == "2026-09-01T07:00:00.000Z"


# writing


def test_patch_merges_and_put_clears_the_rest(cloud: Cloud) -> None:
    table = cloud.table()
    made = table.create({"Name": "a", "Size": 1})
    assert table.update(made["id"], {"Size": 2})["fields"] == {"Name": "a", "Size": 2}
    assert table.update(made["id"], {"Size": None})["fields"] == {"Name": "a"}
    assert table.update(made["id"], {"Size": 3}, replace=True)["fields"] == {"Size": 3}


def test_many_records_go_ten_at_a_time(cloud: Cloud) -> None:
    table = cloud.table()
    made = table.batch_create([{"Name": str(number)} for number in range(12)])
    changed = table.batch_update([{"id": made[11]["id"], "fields": {"Name": "last"}}])
    assert [record["fields"]["Name"] for record in changed] == ["last"]
    assert cloud.stand_in.calls["records.create"] == 2
    deleted = table.batch_delete([record["id"] for record in made])
    assert [row["deleted"] for row in deleted] == [True] * 12
    assert table.all() == []


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_eleven_records_are_refused(cloud: Cloud, method: str) -> None:
    cloud.table()
    ids = [f"rec{number:014}" for number in range(11)]
    how: dict[str, Any] = {"json": {"records": [{"id": i, "fields": {}} for i in ids]}}
    if method == "DELETE":
        how = {"params": {"records[]": ids}}
    answer = cloud.ask(method, f"{cloud.base_id}/Videos", **how)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "INVALID_RECORDS")


def test_one_bad_record_leaves_nothing_of_its_batch(cloud: Cloud) -> None:
    table = cloud.table()
    with pytest.raises(requests.HTTPError):
        table.batch_create([{"Name": "good"}, {"Name": "bad", "Size": "x"}])
    assert table.all() == []


def test_upsert_updates_the_record_with_the_key_and_creates_the_others(cloud: Cloud) -> None:
    table = cloud.table()
    old = table.create({"Key": "a", "Name": "kept", "Size": 1})
    rows = [{"fields": {"Key": "b", "Size": 2}}, {"fields": {"Key": "a", "Size": 3}}]
    result = table.batch_upsert(rows, ["Key"])
    assert result["updatedRecords"] == [old["id"]]
    assert result["createdRecords"] == [result["records"][0]["id"]]
    assert result["records"][1]["fields"] == {"Key": "a", "Name": "kept", "Size": 3}
    assert len(table.all()) == 2


def test_upsert_by_several_fields_of_every_mergeable_type(cloud: Cloud) -> None:
    table = cloud.table()
    for key in ({"Size": 1.0, "Status": "Done"}, {"Day": "2026-09-01"}, {"Tags": ["4k", "hdr"]}):
        row = [{"fields": {**key, "Name": "x"}}]
        first, second = (table.batch_upsert(row, list(key)) for _ in range(2))
        assert first["createdRecords"] == second["updatedRecords"] != []


def test_upsert_with_an_id_ignores_the_key(cloud: Cloud) -> None:
    table = cloud.table()
    one, other = table.batch_create([{"Key": "a"}, {"Key": "a"}])
    result = table.batch_upsert([{"id": other["id"], "fields": {"Key": "a", "Size": 1}}], ["Key"])
    assert result["updatedRecords"] == [other["id"]]
    assert "Size" not in table.get(one["id"])["fields"]


def test_upsert_fails_when_two_records_have_the_key(cloud: Cloud) -> None:
    table = cloud.table()
    table.batch_create([{"Key": "a"}, {"Key": "a"}])
    with pytest.raises(requests.HTTPError) as refusal:
        table.batch_upsert([{"fields": {"Key": "new"}}, {"fields": {"Key": "a"}}], ["Key"])
    assert refused(refusal)[0] == 422
    assert len(table.all()) == 2


def test_upsert_with_an_empty_key_creates_each_time(cloud: Cloud) -> None:
    table = cloud.table()
    for _ in range(2):
        table.batch_upsert([{"fields": {"Key": None, "Name": "x"}}], ["Key"])
    assert len(table.all()) == 2


@pytest.mark.parametrize(
    ("merge_on", "fields"),
    [
        ([], {"Key": "a"}),
        (["Key", "Name", "Notes", "Size"], {"Key": "a", "Name": "b", "Notes": "c", "Size": 1}),
        (["Link"], {"Link": "example.org"}),
        (["When"], {"When": "2026-09-01T07:00:00.000Z"}),
        (["Key"], {"Name": "no key"}),
    ],
)
def test_upsert_refuses_keys_it_cannot_match(
    cloud: Cloud, merge_on: list[str], fields: dict[str, Any]
) -> None:
    cloud.table()
    body = {"records": [{"fields": fields}], "performUpsert": {"fieldsToMergeOn": merge_on}}
    assert cloud.ask("PATCH", f"{cloud.base_id}/Videos", json=body).status_code == 422


def test_upsert_of_an_unknown_id_creates_nothing(cloud: Cloud) -> None:
    table = cloud.table()
    with pytest.raises(requests.HTTPError) as refusal:
        table.batch_upsert([{"id": "rec" + "0" * 14, "fields": {"Key": "a"}}], ["Key"])
    assert refused(refusal) == (422, "ROW_DOES_NOT_EXIST")
    assert table.all() == []


def test_fields_can_be_named_by_id(cloud: Cloud) -> None:
    table = cloud.table()
    key = table.schema().field("Key").id
    result = table.batch_upsert([{"fields": {key: "a"}}], [key], use_field_ids=True)
    assert result["records"][0]["fields"] == {key: "a"}
    assert table.all(fields=[key], formula=f"{{{key}}}='a'")[0]["fields"] == {"Key": "a"}


# reading


def test_pages_are_walked_to_the_end(cloud: Cloud) -> None:
    table = cloud.table()
    table.batch_create([{"Size": number} for number in range(25)])
    assert [record["fields"]["Size"] for record in table.all(sort=["Size"], page_size=10)] == [
        *range(25)
    ]
    assert cloud.stand_in.calls["records.list"] == 3
    assert len(table.all(max_records=7, page_size=3)) == 7


def test_a_record_written_between_two_pages_does_not_shift_them(cloud: Cloud) -> None:
    table = cloud.table()
    rows = table.batch_create([{"Size": number} for number in range(4)])
    pages = table.iterate(sort=["Size"], page_size=2)
    first = next(pages)
    table.create({"Size": -1})
    table.delete(rows[3]["id"])
    assert [r["fields"]["Size"] for r in [*first, *next(pages)]] == [0, 1, 2]


def test_an_offset_expires(cloud: Cloud) -> None:
    table = cloud.table()
    table.batch_create([{"Size": number} for number in range(4)])
    path = f"{cloud.base_id}/Videos"
    offset = cloud.ask("GET", path, params={"pageSize": 2}).json()["offset"]
    cloud.clock.now_s += 3600
    late = cloud.ask("GET", path, params={"pageSize": 2, "offset": offset})
    assert (late.status_code, late.json()["error"]["type"]) == (
        422,
        "LIST_RECORDS_ITERATOR_NOT_AVAILABLE",
    )
    assert cloud.ask("GET", path, params={"offset": "3"}).status_code == 422


def test_sort_puts_empty_first_text_without_case_and_options_in_their_order(cloud: Cloud) -> None:
    table = cloud.table()
    table.batch_create(
        [
            {"Name": "b", "Status": "Done"},
            {"Name": "C", "Status": "Waiting"},
            {"Name": "a", "Status": "Done"},
            {},
        ]
    )

    def names(*sort: str) -> list[str | None]:
        return [record["fields"].get("Name") for record in table.all(sort=list(sort))]

    assert names("Name") == [None, "a", "b", "C"]
    assert names("-Name") == ["C", "b", "a", None]
    assert names("Status", "-Name") == [None, "C", "b", "a"]


def test_a_long_request_goes_by_post(cloud: Cloud) -> None:
    table = cloud.table()
    table.batch_create([{"Key": "a", "Size": 2}, {"Key": "b", "Size": 1}])
    formula = "OR(" + ",".join(["{Key}='a'", "{Key}='b'"] * 1000) + ")"
    found = table.all(formula=formula, fields=["Size"], sort=["Size"])
    assert [record["fields"] for record in found] == [{"Size": 1}, {"Size": 2}]
    too_long = cloud.ask("GET", f"{cloud.base_id}/Videos", params={"filterByFormula": formula})
    assert too_long.status_code == 414


def test_a_table_name_may_hold_a_slash(cloud: Cloud) -> None:
    cloud.table("Films / 2026, 100 %")
    table = cloud.api.table(cloud.base_id, "Films / 2026, 100 %")
    made = table.create({"Name": "a"})
    assert table.get(made["id"]) == made


def test_first_and_view(cloud: Cloud) -> None:
    table = cloud.table()
    table.batch_create([{"Name": "a"}, {"Name": "b"}])
    first = table.first(view="Grid view")
    assert first is not None and first["fields"] == {"Name": "a"}
    with pytest.raises(requests.HTTPError) as refusal:
        table.all(view="Mine")
    assert refused(refusal) == (422, "VIEW_NAME_NOT_FOUND")


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"pageSize": 101}, "INVALID_REQUEST_UNKNOWN"),
        ({"pageSize": "many"}, "INVALID_REQUEST_UNKNOWN"),
        ({"maxRecords": 0}, "INVALID_REQUEST_UNKNOWN"),
        ({"colour": "red"}, "INVALID_REQUEST_UNKNOWN"),
        ({"fields[]": "Nope"}, "UNKNOWN_FIELD_NAME"),
        ({"sort[0][field]": "Nope"}, "UNKNOWN_FIELD_NAME"),
        ({"filterByFormula": "{Nope}='a'"}, "INVALID_FILTER_BY_FORMULA"),
        ({"filterByFormula": "{Key}='a"}, "INVALID_FILTER_BY_FORMULA"),
        ({"filterByFormula": "UPPER({Key})='A'"}, "INVALID_FILTER_BY_FORMULA"),
    ],
)
def test_a_list_request_that_makes_no_sense_is_refused(
    cloud: Cloud, params: dict[str, Any], error: str
) -> None:
    cloud.table()
    answer = cloud.ask("GET", f"{cloud.base_id}/Videos", params=params)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, error)


def test_match_finds_a_value_with_quotes(cloud: Cloud) -> None:
    table = cloud.table()
    name = 'It\'s "done" \\o/ {really}'
    table.batch_create([{"Name": name}, {"Name": "other"}])
    assert [r["fields"]["Name"] for r in table.all(formula=match({"Name": name}))] == [name]


def test_a_deleted_record_is_gone_and_an_unknown_one_is_forbidden(cloud: Cloud) -> None:
    table = cloud.table()
    made = table.create({"Name": "a"})
    table.delete(made["id"])
    with pytest.raises(requests.HTTPError) as gone:
        table.get(made["id"])
    with pytest.raises(requests.HTTPError) as never:
        table.get("rec" + "0" * 14)
    assert refused(gone) == (404, "NOT_FOUND")
    assert refused(never) == (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")


# who may call, and how often


@pytest.mark.parametrize("token", ["", "patWrong"])
def test_an_unknown_token_is_401(cloud: Cloud, token: str) -> None:
    answer = cloud.ask("GET", "meta/bases", token=token)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "AUTHENTICATION_REQUIRED")


def test_a_token_without_the_scope_sees_the_same_as_for_an_unknown_base(tmp_path: Path) -> None:
    for cloud in _cloud(tmp_path, tokens={TOKEN: {"schema.bases:read"}}):
        for base_id in (cloud.base_id, "app" + "0" * 14):
            answer = cloud.ask("GET", f"{base_id}/Videos")
            assert answer.status_code == 403
            assert answer.json()["error"]["type"] == "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"
        assert cloud.ask("GET", "meta/bases").status_code == 200


def test_a_malformed_id_answers_the_bare_string(cloud: Cloud) -> None:
    answer = cloud.ask("GET", "apple/Videos")
    assert (answer.status_code, answer.json()) == (404, {"error": "NOT_FOUND"})


def test_the_sixth_call_in_a_second_costs_thirty(tmp_path: Path) -> None:
    clock = Clock(step_s=0)
    for cloud in _cloud(tmp_path, clock=clock):
        other = cloud.stand_in.create_base("Other")

        def status(base_id: str, cloud: Cloud = cloud) -> int:
            return cloud.ask("GET", f"meta/bases/{base_id}/tables").status_code

        assert [status(cloud.base_id) for _ in range(6)] == [200] * 5 + [429]
        assert status(other) == 200
        clock.now_s += 29
        assert status(cloud.base_id) == 429
        clock.now_s += 1
        assert status(cloud.base_id) == 200


def test_five_calls_a_second_go_on_for_ever(tmp_path: Path) -> None:
    for cloud in _cloud(tmp_path, clock=Clock(step_s=0)):
        for _ in range(12):
            cloud.clock.now_s += 0.2
            assert cloud.ask("GET", f"meta/bases/{cloud.base_id}/tables").status_code == 200


def test_the_calls_of_a_month_run_out_for_records_only(tmp_path: Path) -> None:
    for cloud in _cloud(tmp_path, monthly_calls=4):
        table = cloud.table()  # makes two calls: create, and look
        table.create({"Name": "a"})
        table.create({"Name": "b"})
        with pytest.raises(requests.HTTPError) as refusal:
            table.create({"Name": "c"})
        assert refused(refusal) == (429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED")
        assert cloud.api.bases()
        cloud.clock.now_s += 31 * 24 * 3600
        assert len(table.all()) == 2


def test_a_full_base_takes_no_more_records(tmp_path: Path) -> None:
    for cloud in _cloud(tmp_path, records_per_base=2):
        table = cloud.table()
        made = table.batch_create([{"Name": "a"}, {"Name": "b"}])
        with pytest.raises(requests.HTTPError) as refusal:
            table.create({"Name": "c"})
        assert refused(refusal)[0] == 422
        table.delete(made[0]["id"])
        assert table.create({"Name": "c"})["fields"] == {"Name": "c"}


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    for cloud in _cloud(tmp_path):
        made = cloud.table().create({"Name": "a", "Status": "Done"})
        base_id = cloud.base_id
    for cloud in _cloud(tmp_path):
        assert cloud.base_id == base_id
        assert cloud.api.table(base_id, "Videos").all() == [made]


# what it cannot do, and faults


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "bases/{base}/interfaces"),
        ("POST", "meta/bases"),
        ("DELETE", "meta/bases/{base}"),
        ("GET", "{base}/Videos/rec00000000000000/comments"),
        ("POST", "{base}/rec00000000000000/fld00000000000000/uploadAttachment"),
        ("GET", "{base}/Videos?cellFormat=string&timeZone=utc&userLocale=en"),
    ],
)
def test_what_the_stand_in_cannot_do_is_a_501_in_the_log(
    cloud: Cloud, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    cloud.table()
    assert cloud.ask(method, path.format(base=cloud.base_id)).status_code == 501
    assert "501" in caplog.text


def test_attachments_are_a_501(cloud: Cloud) -> None:
    fields = [*FIELDS[:1], {"name": "File", "type": "multipleAttachments"}]
    body = {"name": "New", "fields": fields}
    answer = cloud.ask("POST", f"meta/bases/{cloud.base_id}/tables", json=body)
    assert answer.status_code == 501


@pytest.mark.parametrize("body", ["{", '{"fields": {"Size": NaN}}'])
def test_a_body_that_is_not_json_is_400(cloud: Cloud, body: str) -> None:
    cloud.table()
    assert cloud.ask("POST", f"{cloud.base_id}/Videos", data=body).status_code == 400


def test_a_fault_strikes_the_operation_it_names(cloud: Cloud) -> None:
    table = cloud.table()
    cloud.faults.add(Fault(service="airtable", operation="records.upsert", status=502, code="X"))
    table.create({"Key": "a"})
    with pytest.raises(requests.HTTPError) as refusal:
        table.batch_upsert([{"fields": {"Key": "b"}}], ["Key"])
    assert refused(refusal) == (502, "X")
    assert len(table.all()) == 1


def test_a_lost_answer_has_done_its_work(cloud: Cloud) -> None:
    table = cloud.table()
    cloud.faults.add(
        Fault(service="airtable", operation="records.create", status=503, after_effect=True)
    )
    with pytest.raises(requests.HTTPError):
        table.create({"Key": "a"})
    assert len(table.all()) == 1


def test_a_cut_answer_breaks_off(cloud: Cloud) -> None:
    table = cloud.table()
    cloud.faults.add(Fault(service="airtable", operation="records.create", cut_body_at_byte=10))
    with pytest.raises(requests.exceptions.RequestException) as broken:
        table.create({"Key": "a"})
    assert not isinstance(broken.value, requests.HTTPError)
    assert len(table.all()) == 1
