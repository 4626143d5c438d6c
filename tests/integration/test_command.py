"""The `slimreel` command: what it prints and how it exits."""

from __future__ import annotations

from pathlib import Path

import pytest

from slimreel.__main__ import main
from tests.contract.airtable_server import TOKEN, running


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "demo" in said and "airtable" in said


def test_a_video_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--video", str(tmp_path / "none.mp4")]) == 2
    assert "There is no file" in capsys.readouterr().out


def test_airtable_setup_without_token_says_where_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIRTABLE_TOKEN", raising=False)
    assert main(["airtable", "setup", "appX"]) == 2
    assert "airtable.com/create/tokens" in capsys.readouterr().out


def test_airtable_setup_makes_the_table_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRTABLE_TOKEN", TOKEN)
    with running(tmp_path) as (airtable, url):
        command = ["airtable", "setup", airtable.create_base("Studio"), "--api-url", url]
        assert main(command) == 0
        first = capsys.readouterr().out
        assert main(command) == 0
        second = capsys.readouterr().out
    assert "Made the table Videos" in first
    assert "has every field already" in second
    assert "Left to do by hand" in first
