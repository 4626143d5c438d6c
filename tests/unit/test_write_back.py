"""What a result is called in Drive, what is said when it does not get there, and when it is tried
again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import write_back
from chalicelib.domain.job import Status
from chalicelib.domain.job_view import job_view
from chalicelib.domain.notice import notice
from chalicelib.domain.text import parse_iso
from chalicelib.domain.workflow import BadWorkflow, workflow
from chalicelib.domain.write_back import (
    BESIDE,
    NAME_LIMIT_BYTES,
    WriteBack,
    free_name,
    of_run,
    put_off,
    refusal,
    result_name,
)
from tests.examples import a_job, the_prices

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("Take 3.MOV", "Take 3 (compressed).mp4"),
        ("Über – Szene 4.mov", "Über – Szene 4 (compressed).mp4"),
        ("no extension", "no extension (compressed).mp4"),
        (".mov", "video (compressed).mp4"),
        ("", "video (compressed).mp4"),
        ("a\nWhy: b\u202efdp.mp4", "a Why: b fdp (compressed).mp4"),
        ("../../etc/passwd.mp4", "../../etc/passwd (compressed).mp4"),  # a name, not a path
    ],
)
def test_what_a_result_is_called(file_name: str, name: str) -> None:
    assert result_name(file_name, write_back.SUFFIX) == name


@given(st.text(max_size=400), st.sampled_from(["", " (compressed)", " ü" * 15]))
def test_any_name_becomes_one_that_a_computer_can_hold(file_name: str, suffix: str) -> None:
    name = result_name(file_name, suffix)
    assert len(name.encode()) <= NAME_LIMIT_BYTES
    assert name.endswith(f"{suffix}.mp4") and name.isprintable() is not None
    assert "\n" not in name and "\x00" not in name
    second = free_name(name, {name}.__contains__)
    assert second != name and len(second.encode()) <= NAME_LIMIT_BYTES


def test_a_folder_full_of_that_name_gets_one_more() -> None:
    assert free_name("a.mp4", lambda name: True) == "a.mp4"


def test_it_is_tried_again_less_and_less_often_for_a_week() -> None:
    back, now, waits = WriteBack(run=1), NOW, []
    while not back.given_up:
        back = put_off(back, "No.", now=now, ended=NOW)
        if back.next_at is not None:
            assert not back.is_due(now)
            waits.append(parse_iso(back.next_at) - now)
            now = parse_iso(back.next_at)
            assert back.is_due(now)
    assert waits[:3] == [timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1)]
    assert max(waits) == timedelta(hours=6)
    assert timedelta(days=6) < now - NOW <= timedelta(days=7)
    assert not back.is_due(now + timedelta(days=1))


def test_the_next_run_knows_what_the_last_has_put_there() -> None:
    assert of_run(2, None) == WriteBack(run=2)
    before = WriteBack(
        run=1, file_id="f", folder_id="d", name="n", md5="1", wrote=("1",), url="https://x",
        problem="was", tries=3, given_up=True, session_url="https://u", waits_alone=True,
    )  # fmt: skip
    after = of_run(2, before)
    assert after == WriteBack(run=2, file_id="f", folder_id="d", name="n", wrote=("1",))
    # An upload whose end nobody saw may have ended well.
    assert of_run(2, replace(before, md5="2")).wrote == ("1", "2")


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        ("storageQuotaExceeded", "Service accounts have no storage", "shared drive"),
        ("storageQuotaExceeded", "The user's Drive storage quota", "Make room"),
        ("insufficientParentPermissions", "", "as Editor"),
        ("insufficientFilePermissions", "", "as Editor"),
        ("insufficientPermissions", "", "scope"),
        ("", "Google does not accept our credentials: ('invalid_scope: …", "scope"),
        ("teamDriveFileLimitExceeded", "", "another folder"),
        ("somethingNew", "Google Drive refused: Hm. (somethingNew)", "Hm."),
    ],
)
def test_a_refusal_in_words(code: str, reason: str, said: str) -> None:
    assert said in refusal(code, reason)


def test_what_people_are_told() -> None:
    job = a_job(
        status=Status.COMPLETED,
        published_key="compress/1/a.mp4",
        published_size_bytes=5,
        published_run=1,
        write_back=WriteBack(run=1, name="a\n.mp4", url="https://drive.example/a"),
    )
    mail = notice(job, link="https://link", prices=the_prices())
    assert mail is not None and "In Google Drive: a .mp4 https://drive.example/a" in mail.body
    assert job_view(job, link=None)["drive_copy"]["url"] == "https://drive.example/a"
    under_way = replace(job, write_back=WriteBack(run=1, session_url="https://secret"))
    mail = notice(under_way, link="https://link", prices=the_prices())
    assert mail is not None and "being put into Google Drive" in mail.body
    assert "secret" not in str(job_view(under_way, link=None))
    refused = replace(job, write_back=WriteBack(run=1, problem="Refused (x)", tries=1))
    told = "Not put into Google Drive: Refused (x). It is tried again by itself, for a week."
    assert job_view(refused, link=None)["drive_copy"]["problem"] == told
    earlier = replace(job, published_run=2)
    assert job_view(earlier, link=None)["drive_copy"] is None


def settings(**way_back: str) -> dict[str, dict[str, str]]:
    plain = {"start": {"drive_folder": "1AbC"}, "policy": {"preset": "balanced"}}
    return {**plain, "write_back": way_back}


def test_settings() -> None:
    assert workflow("a", settings(), {}).write_back_to is None
    beside = workflow("a", settings(to=BESIDE), {})
    assert (beside.write_back_to, beside.result_suffix) == (BESIDE, " (compressed)")
    folder = workflow("a", settings(to="${RESULTS}"), {"RESULTS": "1Results"})
    assert (folder.write_back_to, folder.result_suffix) == ("1Results", "")
    assert workflow("a", settings(to="${RESULTS}"), {"RESULTS": ""}).write_back_to is None
    assert workflow("a", settings(to="${RESULTS}"), {"RESULTS": BESIDE}).write_back_to == BESIDE
    assert workflow("a", settings(to=BESIDE, suffix="-small"), {}).result_suffix == "-small"
    with pytest.raises(BadWorkflow, match="unknown settings: where"):
        workflow("a", settings(where="there"), {})
