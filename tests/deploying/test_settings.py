"""`slimreel config` and docs/settings.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slimreel.__main__ import main
from slimreel.deploying.stage_file import StageFile, read, write
from slimreel.settings import document
from slimreel.settings.effective import of_stage

PARAMETERS = {
    "Stage": {"Type": "String"},
    "LogLevel": {"Type": "String", "Default": "INFO"},
    "MaxCostPerDay": {"Type": "String", "Default": ""},
}
Shown = tuple[str, str, str | None]


def sources(file: dict[str, str], **where: dict[str, str]) -> dict[str, Shown]:
    told = {"deployed": {}, "stand_in": {}, **where}
    values = of_stage(PARAMETERS, StageFile(Path("prod.toml"), parameters=file), **told)
    return {one.setting.name: (one.value, one.source, one.pending) for one in values}


def test_the_document_is_fresh() -> None:
    written = document.FILE.read_text(encoding="utf-8")
    assert written == document.document(), "run python -m slimreel.settings.document"


def test_every_setting_says_what_it_is() -> None:
    for line in document.document().splitlines():
        if line.startswith("| `"):
            assert len(line.split("|")[-2].strip()) > 10, line


def test_file_before_deployed_before_default() -> None:
    assert sources({})["LogLevel"] == ("INFO", "default", None)
    assert sources({"LogLevel": "WARN"})["LogLevel"] == ("WARN", "stages/prod.toml", None)
    deployed = {"LogLevel": "ERROR", "MaxCostPerDay": ""}
    told = sources({}, deployed=deployed)
    assert told == {
        "LogLevel": ("ERROR", "deployed", None),
        "MaxCostPerDay": ("", "default", None),
    }


def test_what_waits_for_a_deployment_is_shown_as_such() -> None:
    told = sources({"LogLevel": "WARN"}, deployed={"LogLevel": "INFO"})["LogLevel"]
    assert told == ("INFO", "deployed; stages/prod.toml differs", "WARN")


def test_config_shows_what_is_in_force_and_where_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["settings"]
    found = {(one["group"], one["name"]): (one["value"], one["source"]) for one in told}
    preset = found["workflow archive", "policy.preset"]
    assert preset == ("balanced-hevc", "workflows/archive.toml")
    assert found["workflow archive", "policy.max_output_bytes"] == ("", "default")


def test_a_stages_values_and_secrets_are_shown_without_the_secrets(
    capsys: pytest.CaptureFixture[str], stages: Path
) -> None:
    (stages / "shown.toml").write_text("[parameters]\nMaxCostPerDay = 20\n")
    assert main(["config", "--stage", "shown", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["settings"]
    found = {one["name"]: (one["value"], one["source"]) for one in told}
    assert found["MaxCostPerDay"] == ("20", "stages/shown.toml")
    assert found["DriveApiUrl"][1] == "the stand-in cloud"
    assert found["link-key"] == ("missing", "SSM /slimreel/shown/link-key")


def test_a_stage_file_comes_back_as_it_was_written(stages: Path) -> None:
    odd = {"NoticeEmail": 'a"b\\c@example.com', "LogLevel": "INFO"}
    write(StageFile(stages / "odd.toml"), region="eu-west-1", parameters=odd)
    again = read("odd")
    assert (again.region, again.parameters) == ("eu-west-1", odd)
