"""What the adapter makes of answers, without a server."""

from __future__ import annotations

import subprocess
import sys

import pytest
from requests import Response

from chalicelib.adapters.airtable import Airtable, error_of
from chalicelib.domain.errors import SlimreelError, Temporary


def answer(body: str, status: int = 429, reason: str = "Too Many Requests") -> Response:
    response = Response()
    response.status_code, response.reason, response._content = status, reason, body.encode()
    return response


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"error": {"type": "T", "message": "m"}}', ("T", "m")),
        ('{"error": {"type": "T"}}', ("T", "")),
        ('{"error": "NOT_FOUND"}', ("NOT_FOUND", "")),
        ('{"errors": [{"error": "T", "message": "m"}]}', ("T", "m")),
        ("<html>bad gateway</html>", ("", "Too Many Requests")),
        ('{"errors": []}', ("", "")),
        ("[]", ("", "Too Many Requests")),
        ("{}", ("", "")),
    ],
)
def test_every_shape_of_error_is_read(body: str, told: tuple[str, str]) -> None:
    assert error_of(answer(body)) == told


def rows(api_url: str, table: str) -> Airtable:
    return Airtable(token="t", api_url=api_url, base_id="app1", table=table)


def test_a_row_has_a_link_in_airtable() -> None:
    by_id = rows("https://api.airtable.com", "tbl1")
    assert by_id.row_url("rec1") == "https://airtable.com/app1/tbl1/rec1"
    assert by_id.table_url == "https://airtable.com/app1/tbl1"


def test_a_table_known_by_name_only_links_to_its_base() -> None:
    assert (
        rows("https://api.airtable.com/", "Videos").row_url("rec1") == "https://airtable.com/app1"
    )


def test_a_row_has_a_link_on_the_stand_in() -> None:
    local = rows("http://127.0.0.1:8123", "My Videos")
    assert (
        local.row_url("rec1") == "http://127.0.0.1:8123/airtable?base=app1&table=My%20Videos#rec1"
    )


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_by_itself_is_temporary(status: int) -> None:
    error = rows("https://api.airtable.com", "tbl1")._error(answer("{}", status))
    assert isinstance(error, Temporary)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 501])
def test_what_a_person_must_mend_is_not(status: int) -> None:
    error = rows("https://api.airtable.com", "tbl1")._error(answer("{}", status))
    assert isinstance(error, SlimreelError) and not isinstance(error, Temporary)


def test_a_longer_wait_is_heeded() -> None:
    slow = answer("{}")
    slow.headers["Retry-After"] = "90"
    error = rows("https://api.airtable.com", "tbl1")._error(slow)
    assert error.retry_after_s == 90  # type: ignore[attr-defined]


def test_importing_the_adapter_loads_no_airtable_library() -> None:
    code = (
        "import sys, chalicelib.adapters.airtable;"
        "print([m for m in ('pyairtable', 'requests', 'pydantic') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
