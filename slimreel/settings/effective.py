"""What is in force, and where it came from."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slimreel.deploying.stage_file import StageFile
from slimreel.settings import (
    SECRETS,
    Value,
    as_text,
    stage_settings,
    workflow_settings,
)


def of_stage(
    parameters: Mapping[str, Mapping[str, Any]],
    file: StageFile,
    *,
    deployed: Mapping[str, str],
    stand_in: Mapping[str, str],
) -> Iterator[Value]:
    """
    Args:
        parameters: the template's.
        deployed: the stack's own values; empty where there is none.
        stand_in: what a stand-in cloud wants to be told; before the default, after all else.
    """
    for setting in stage_settings(parameters):
        name = setting.name
        chosen = [
            (file.parameters.get(name), f"stages/{file.path.name}"),
            (deployed.get(name), "deployed"),
            (stand_in.get(name), "the stand-in cloud"),
            (setting.default, "default"),
        ]
        value, source = next((v, s) for v, s in chosen if v is not None)
        pending = None
        if deployed and name in deployed and value != deployed[name]:
            value, pending = deployed[name], value
            source = f"deployed; stages/{file.path.name} differs"
        elif source == "deployed" and value == setting.default:
            source = "default"
        yield Value(setting, value, source, pending)


def of_workflows(project_dir: Path) -> Iterator[Value]:
    for path in sorted((project_dir / "workflows").glob("*.toml")):
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        for setting in workflow_settings(path.stem):
            section, _, key = setting.name.partition(".")
            if key in told.get(section, {}):
                value, source = as_text(told[section][key]), f"workflows/{path.name}"
            else:
                value, source = setting.default, "default"
            yield Value(setting, value, source)


def of_secrets(stored: Mapping[str, bool | None], prefix: str) -> Iterator[Value]:
    """
    Args:
        stored: by name; None where it may not be looked.
    """
    words = {True: "stored", False: "missing", None: "not readable"}
    for setting in SECRETS:
        place = f"SSM {prefix}{setting.name}"
        yield Value(setting, words[stored.get(setting.name)], place)
