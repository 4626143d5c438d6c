"""The grid page: what it shows, and what it must not let through."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from chalicelib.domain.row import FIELDS
from slimreel.local.airtable import Airtable
from slimreel.local.airtable.grid import SCRIPT, cell
from slimreel.local.airtable.store import Column
from slimreel.local.faults import Faults


@pytest.fixture
def stand_in(tmp_path: Path) -> Any:
    airtable = Airtable(tmp_path / "a.db", faults=Faults(), tokens="t", requests_per_s=100)
    yield airtable
    airtable.close()


def call(airtable: Airtable, method: str, path: str, json: Any) -> Any:
    headers = {"Authorization": "Bearer t"}
    builder = EnvironBuilder(path=path, method=method, json=json, headers=headers)
    answer = airtable.handle(builder.get_request(Request))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def page(airtable: Airtable, query: str = "") -> str:
    request = EnvironBuilder(path="/airtable", query_string=query).get_request(Request)
    return airtable.grid(request).get_data(as_text=True)


def filled(airtable: Airtable, *rows: dict[str, Any]) -> str:
    base_id = airtable.create_base("Studio")
    fields = [field.as_airtable() for field in FIELDS]
    body = {"name": "Videos", "fields": fields}
    call(airtable, "POST", f"/v0/meta/bases/{base_id}/tables", body)
    for row in rows:
        call(airtable, "POST", f"/v0/{base_id}/Videos", {"fields": row})
    return page(airtable)


def test_without_a_table_it_says_how_to_make_one(stand_in: Airtable) -> None:
    assert "slimreel airtable setup" in page(stand_in)
    stand_in.create_base("Studio")
    assert "slimreel airtable setup" in page(stand_in)


def test_without_rows_it_says_how_to_get_one(stand_in: Airtable) -> None:
    assert "make demo" in filled(stand_in)


def test_file_names_cannot_run_as_code(stand_in: Airtable) -> None:
    html = filled(stand_in, {"File Name": "<script>alert(1)</script>\" onload='x'"})
    assert re.findall("<script.*?</script>", html, re.S) == [f"<script>{SCRIPT}</script>"]
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "example.org", "http://[::1", " "]
)
def test_only_web_addresses_become_links(url: str) -> None:
    assert cell(Column(id="f", name="Link", type="url"), url).href is None


def test_links_open_without_an_opener(stand_in: Airtable) -> None:
    html = filled(stand_in, {"Compressed URL": "https://example.org/v?a=1&b=2"})
    assert 'href="https://example.org/v?a=1&amp;b=2" target="_blank" rel="noopener' in html


def test_nothing_is_loaded_from_elsewhere(stand_in: Airtable) -> None:
    html = filled(stand_in, {"File Name": "a"})
    assert not re.search(r"<(script |img|link|iframe)|url\(|@import", html)
    request = EnvironBuilder(path="/airtable").get_request(Request)
    policy = stand_in.grid(request).headers["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'; connect-src 'self'" in policy


@pytest.mark.parametrize(
    ("kind", "options", "value", "text"),
    [
        ("number", {"precision": 2}, 1234.5, "1,234.50"),
        ("percent", {"precision": 1}, 0.635, "63.5 %"),
        ("currency", {"precision": 4, "symbol": "$"}, 0.0421, "$0.0421"),
        ("duration", {"durationFormat": "h:mm:ss"}, 3661, "1:01:01"),
        ("dateTime", None, "2026-09-01T07:00:00.000Z", "2026-09-01 07:00:00"),
        ("checkbox", None, True, "✓"),
    ],
)
def test_values_look_as_people_read_them(
    kind: str, options: dict[str, Any] | None, value: Any, text: str
) -> None:
    assert cell(Column(id="f", name="F", type=kind, options=options), value).text == text


def test_the_newest_row_comes_first_and_rows_are_counted(stand_in: Airtable) -> None:
    html = filled(
        stand_in,
        {"File Name": "old", "Status": "Completed"},
        {"File Name": "new", "Status": "Completed"},
    )
    assert html.index(">new</div>") < html.index(">old</div>")
    assert "2 rows" in html
    assert '<span class="pill green">Completed 2</span>' in html


def test_a_table_is_chosen_by_id_or_name(stand_in: Airtable) -> None:
    filled(stand_in, {"File Name": "in videos"})
    base_id = stand_in.create_base("Studio")
    body = {"name": "Other", "fields": [{"name": "Name", "type": "singleLineText"}]}
    made = call(stand_in, "POST", f"/v0/meta/bases/{base_id}/tables", body)
    for name in (made["id"], "Other"):
        assert "No rows yet" in page(stand_in, f"base={base_id}&table={name}")
    assert "in videos" in page(stand_in, "base=nonsense&table=nonsense")


@pytest.mark.parametrize(
    ("site", "status", "chosen"), [("same-origin", 303, 1), ("cross-site", 403, 0)]
)
def test_only_this_page_may_choose_in_a_row(
    stand_in: Airtable, site: str, status: int, chosen: int
) -> None:
    html = filled(stand_in, {"File Name": "a"})
    names = ("base", "table", "record", "field")
    form = {name: re.findall(rf'name="{name}" value="([^"]+)"', html)[-1] for name in names}
    sent = EnvironBuilder(
        path="/airtable",
        method="POST",
        data={**form, "value": "Approve"},
        headers={"Sec-Fetch-Site": site},
    )
    assert stand_in.grid(sent.get_request(Request)).status_code == status
    assert page(stand_in).count('aria-label="Review: Approve"') == chosen
