"""`stages/<stage>.toml`: the settings of a stage that a person wrote, or `slimreel setup` for them.

    region = "eu-west-1"

    [parameters]
    NoticeEmail = "team@example.com"
    DriveInboxFolder = "1AbC…"

No secret belongs into it, so it can be kept with the code. What is not in it keeps the value that
the stack has, or the template's default.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slimreel.deploying import CannotDeploy
from slimreel.paths import STAGES_DIR


@dataclass(frozen=True, slots=True)
class StageFile:
    """What a stage's file says; empty where there is none."""

    path: Path
    region: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


def read(stage: str) -> StageFile:
    """
    Raises:
        CannotDeploy: the file is not as described above.
    """
    path = STAGES_DIR / f"{stage}.toml"
    if not path.exists():
        return StageFile(path)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise CannotDeploy(f"{path} cannot be read: {problem}") from problem
    unknown = sorted(told.keys() - {"region", "parameters"})
    parameters = told.get("parameters", {})
    if unknown or not isinstance(parameters, dict):
        raise CannotDeploy(
            f"{path} has {', '.join(unknown) or 'a parameters that is no table'}; it may have "
            "region and a table [parameters]."
        )
    return StageFile(
        path,
        region=told.get("region"),
        parameters={name: _text(path, name, value) for name, value in parameters.items()},
    )


def write(file: StageFile, *, region: str, parameters: Mapping[str, str]) -> None:
    """Write the file anew, whole or not at all. Comments a person put there do not survive."""
    lines = [f"region = {_quoted(region)}", "", "[parameters]"]
    lines += [f"{name} = {_quoted(value)}" for name, value in sorted(parameters.items())]
    file.path.parent.mkdir(parents=True, exist_ok=True)
    draft = file.path.with_suffix(".part")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draft.replace(file.path)


def _text(path: Path, name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float | list):
        raise CannotDeploy(f"{path}: {name} must be a text, a number or a list of texts.")
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value)


def _quoted(text: str) -> str:
    """As a basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'
