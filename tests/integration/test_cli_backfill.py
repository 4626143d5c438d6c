"""`slimreel backfill`, `open` and `logs` against the app behind the gateway."""

from __future__ import annotations

import json
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.adapters.drive_errors import FileGone
from chalicelib.api import folders as folders_api
from chalicelib.domain.job import Moment, Status
from chalicelib.domain.text import iso
from slimreel.cli import logs as logs_verb
from slimreel.cli.api import CannotAsk
from tests.examples import JOB_ID, a_job
from tests.fakes import World
from tests.integration.test_cli import functions, slimreel, url, world

__all__ = ["functions", "slimreel", "url", "world"]
FOLDER = "shelf-folder-id"


@pytest.fixture
def shelf(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A folder of three videos and a text, which Drive gives two at a time."""
    monkeypatch.setattr(folders_api, "services", lambda: world.services)
    world.drive.page_size = 2
    world.drive.add("Shelf", b"", file_id=FOLDER, mime_type="application/vnd.google-apps.folder")
    for number in range(3):
        facts = {"video_duration_s": 600.0, "video_width": 1920, "video_height": 1080}
        facts |= {} if number else {"video_duration_s": None}
        facts |= {"size_bytes": 5_000_000_000, "parents": (FOLDER,)}
        world.drive.add(f"{number}.mov", b"%d" % number, file_id=f"file-in-shelf-{number}", **facts)
    text = {"mime_type": "text/plain", "parents": (FOLDER,)}
    world.drive.add("notes.txt", b"x", file_id="a-file-of-text", **text)
    ours = {"parents": (FOLDER,), "of_job": "0123456789abcdef0123"}
    world.drive.add("1 (compressed).mp4", b"x", file_id="a-result-of-ours", **ours)
    return world


def backfill(slimreel: Any, *arguments: str) -> tuple[int, str]:
    code, said = slimreel("backfill", "--folder", FOLDER, "--per-minute", "600", *arguments)
    return code, said


def test_what_it_would_come_to_is_said_first(shelf: World, slimreel: Any) -> None:
    code, said = backfill(slimreel, "--dry-run")
    assert code == 0 and said.startswith("3 videos, 15.0 GB. With preset balanced some")
    assert "Of 1 nothing can be said" in said and "$" in said
    assert shelf.flows.started == []
    code, said = backfill(slimreel, "--dry-run", "--json")
    told = json.loads(said)
    assert (told["videos"], told["unknown"], told["size_bytes"]) == (3, 1, 15_000_000_000)
    assert told["saved_bytes"] > 0 and told["cost_usd"] > 0


def test_nobody_to_ask_submits_nothing(shelf: World, slimreel: Any) -> None:
    code, said = backfill(slimreel)
    assert code == 2 and "Say --yes" in said
    assert shelf.flows.started == []


def test_it_is_asked_and_a_no_submits_nothing(
    shelf: World, slimreel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter(["n", "y"])
    monkeypatch.setattr("rich.console.Console.input", lambda *_: next(answers))
    assert backfill(slimreel)[0] == 1 and shelf.flows.started == []
    assert backfill(slimreel)[0] == 0 and len(shelf.flows.started) == 3


def test_it_goes_on_where_it_stopped(shelf: World, slimreel: Any) -> None:
    shelf.drive.fail_next("get", None)  # type: ignore[arg-type]
    shelf.drive.failures.clear()
    gone = shelf.drive.files.pop("file-in-shelf-1")
    listing = shelf.drive.list_folder
    shelf.drive.list_folder = lambda folder: iter([*listing(folder), gone])  # type: ignore[method-assign]
    code, said = backfill(slimreel, "--yes")
    assert code == 1 and "2 submitted" in said and "Not submitted: 1.mov" in said
    shelf.drive.files["file-in-shelf-1"] = gone
    shelf.drive.list_folder = listing  # type: ignore[method-assign]
    code, said = backfill(slimreel, "--yes", "--json")
    told = json.loads(said)
    assert (code, len(told["submitted"]), len(told["known"])) == (0, 1, 2)
    assert len({name for _, name, _ in shelf.flows.started}) == 3


def test_a_folder_that_nobody_may_see_is_no_empty_one(shelf: World, slimreel: Any) -> None:
    shelf.drive.fail_next("get", FileGone("The folder is gone.", status=404))
    code, said = backfill(slimreel, "--yes")
    assert code == 2 and "The folder is gone." in said


@pytest.mark.parametrize("bad", [("--workflow", "none"), ("--preset", "none")])
def test_names_are_checked_before_anything(
    shelf: World, slimreel: Any, bad: tuple[str, str]
) -> None:
    code, said = backfill(slimreel, *bad)
    assert code == 2 and f"no {bad[0][2:]} none" in said


# open


def test_links_are_shown_and_opened(
    world: World, slimreel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    job = a_job(
        Status.COMPLETED,
        published_key="k",
        published_size_bytes=1,
        source_url="https://drive.example/" + "1" * 200,
        row_id="rec00000000000001",
    )
    world.with_job(job)
    code, said = slimreel("open", JOB_ID, "--json")
    links = json.loads(said)
    assert code == 0 and opened == []
    assert links["drive"] == job.source_url
    said = slimreel("open", JOB_ID)[1]
    assert all(link in said for link in links.values())  # whole, however narrow the terminal
    assert links["result"].startswith("https://slimreel.example/api/v/")
    assert links["row"] == "https://airtable.com/appTest"
    assert slimreel("open", JOB_ID, "result")[0] == 0
    assert opened == [links["result"]]


def test_a_link_that_is_not_there_says_why(world: World, slimreel: Any) -> None:
    world.with_job(a_job(Status.FAILED))
    assert slimreel("open", JOB_ID)[0] == 0
    code, said = slimreel("open", JOB_ID, "result")
    assert code == 2 and "Nothing is published; the job is Failed." in said


# logs


TIMELINE = (
    Moment(step="fetch", at="2026-05-04T09:30:00.000Z"),
    Moment(step="fetch", at="2026-05-04T10:30:00.000Z", run=2),
)


def line(at: str, message: str, level: str = "INFO") -> str:
    return json.dumps({"timestamp": at, "level": level, "message": message}) + "\n"


def test_lines_of_a_job_come_by_time_with_its_steps(
    world: World, slimreel: Any, tmp_path: Path
) -> None:
    asked = ("logs", JOB_ID, "--data-dir", str(tmp_path))
    world.with_job(a_job(Status.FAILED, timeline=TIMELINE))
    code, said = slimreel(*asked)
    assert code == 2 and "There are no log files" in said
    (tmp_path / "logs").mkdir()
    late = line("2026-05-04T10:30:05Z", f"job {JOB_ID}: broken\x1b[31m", "ERROR")
    (tmp_path / "logs" / "slimreel-local-plan.log").write_text(
        "START RequestId: x\n" + late + line("2026-05-04T10:31:00Z", "job other: fine")
    )
    early = line("2026-05-04T09:30:01Z", f"job {JOB_ID}: copying")
    (tmp_path / "logs" / "slimreel-local-fetch.log").write_text(early)
    code, said = slimreel(*asked, "--json")
    assert code == 0, said
    told = json.loads(said.replace("\x1b", ""))
    assert code == 0
    assert [one["function"] for one in told] == ["fetch", "fetch", "fetch", "plan"]
    assert [one["level"] for one in told] == ["STEP", "INFO", "STEP", "ERROR"]
    assert "\x1b" not in slimreel(*asked)[1]
    only = json.loads(slimreel(*asked, "--json", "--run", "1")[1])
    assert [one["message"] for one in only] == ["run 1: fetch begins", f"job {JOB_ID}: copying"]
    assert slimreel(*asked, "--run", "3")[0] == 2


def test_in_aws_every_log_group_of_the_stage_is_searched() -> None:
    # Of now: CloudWatch takes no lines that are older than two weeks.
    created = datetime.now(UTC).replace(microsecond=0)
    job = {"job_id": JOB_ID, "created_at": iso(created), "timeline": []}
    at_ms = int(created.timestamp() * 1000)
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    with mock_aws():
        client = boto3.client("logs", region_name="eu-west-1", **keys)
        for stage, function, job_id in (
            ("prod", "plan", JOB_ID),
            ("prod", "fetch", JOB_ID),
            ("dev", "plan", JOB_ID),
        ):
            group = f"/aws/lambda/slimreel-{stage}-{function}"
            client.create_log_group(logGroupName=group)
            client.create_log_stream(logGroupName=group, logStreamName="s")
            client.put_log_events(
                logGroupName=group,
                logStreamName="s",
                logEvents=[
                    {"timestamp": at_ms, "message": line("2026-05-04T09:31:00Z", f"job {job_id}")}
                ],
            )
        found = [*logs_verb.from_cloudwatch(client, "prod", job)]
        assert sorted(one.function for one in found) == ["fetch", "plan"]
        assert {one.at for one in found} == {iso(created)}
        with pytest.raises(CannotAsk, match="no logs of a stage 'none'"):
            [*logs_verb.from_cloudwatch(client, "none", job)]
