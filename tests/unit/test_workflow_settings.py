"""The settings file beside a flow."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from chalicelib.config import WORKFLOWS, all_presets
from chalicelib.domain.workflow import DEFAULT_KINDS, NOTICE_KINDS, BadWorkflow, workflow

FILES = sorted(WORKFLOWS.glob("*.toml"))


def some_settings(**sections: Any) -> dict[str, Any]:
    return {"start": {"drive_folder": "1AbC"}, "policy": {"preset": "balanced"}} | sections


def test_settings_are_read() -> None:
    found = workflow(
        "studio",
        some_settings(
            policy={
                "preset": "fixed",
                "compress_above_bytes": 5_000_000_000,
                "min_savings_percent": 12.5,
                "max_attempts": 2,
            },
            notify={"kinds": ["failed"]},
        ),
        {},
    )
    assert (found.name, found.drive_folder, found.preset) == ("studio", "1AbC", "fixed")
    assert found.compress_above_bytes == 5_000_000_000
    assert (found.min_savings_percent, found.max_attempts) == (12.5, 2)
    assert found.notify_kinds == ("failed",)


def test_what_is_not_said_has_a_default() -> None:
    found = workflow("studio", some_settings(), {})
    assert (found.compress_above_bytes, found.min_savings_percent, found.max_attempts) == (0, 10, 3)
    assert found.notify_kinds == DEFAULT_KINDS
    assert DEFAULT_KINDS == ("completed", "kept", "failed", "cancelled")


def test_a_folder_may_be_a_parameter_of_the_stage() -> None:
    said = some_settings(start={"drive_folder": "${STUDIO_FOLDER}"})
    assert workflow("w", said, {"STUDIO_FOLDER": "1XyZ"}).drive_folder == "1XyZ"
    assert workflow("w", said, {}).drive_folder is None
    assert workflow("w", said, {"STUDIO_FOLDER": ""}).drive_folder is None


@pytest.mark.parametrize("folder", ["1AbC", "$STUDIO", "${lower}", "x${STUDIO}", "${STUDIO}x"])
def test_any_other_folder_is_an_id(folder: str) -> None:
    said = some_settings(start={"drive_folder": folder})
    assert workflow("w", said, {"STUDIO": "no", "lower": "no"}).drive_folder == folder


def test_no_emails_may_be_wanted() -> None:
    assert workflow("w", some_settings(notify={"kinds": []}), {}).notify_kinds == ()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"start": {"drive_folder": "x"}},
        {"policy": {"preset": "balanced"}},
        some_settings(start={}),
        some_settings(start="x"),
        some_settings(start=[]),
        some_settings(policy={}),
        some_settings(policy="balanced"),
        some_settings(policy={"preset": "balanced", "max_attempt": 3}),
        some_settings(policy={"preset": "balanced", "name": "x"}),
        some_settings(policy={"preset": "balanced", "drive_folder": "x"}),
        some_settings(notify=[]),
        some_settings(notify={"kinds": "failed"}),
        some_settings(notify={"kinds": ["failed", "everything"]}),
        some_settings(notify={"kinds": 3}),
        some_settings(notify={"kinds": [["failed"]]}),
    ],
)
def test_unusable_settings_name_their_file(said: dict[str, Any]) -> None:
    with pytest.raises(BadWorkflow, match=r"workflows/studio\.toml cannot be used"):
        workflow("studio", said, {})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_workflows_we_ship_can_be_used(file: Any) -> None:
    data = tomllib.loads(file.read_text())
    found = workflow(file.stem, data, {data["start"]["drive_folder"].strip("${}"): "1AbC"})
    assert found.drive_folder == "1AbC"
    assert found.preset in all_presets()
    assert set(found.notify_kinds) <= set(NOTICE_KINDS)
    assert 0 < found.min_savings_percent < 100
    assert 1 <= found.max_attempts <= 5


def test_the_compress_workflow_is_among_them() -> None:
    assert "compress" in [file.stem for file in FILES]


def test_an_email_at_the_start_must_be_asked_for() -> None:
    assert "started" in NOTICE_KINDS and "started" not in DEFAULT_KINDS


def test_every_flow_has_settings_and_the_other_way_round() -> None:
    flows = {file.name.removesuffix(".asl.json") for file in WORKFLOWS.glob("*.asl.json")}
    assert flows == {file.stem for file in FILES}
