"""Which properties of a resource type cannot change in place: AWS's own registry says so.

The registry's schemas come with cfn-lint; `createOnlyProperties` mean a replacement,
`conditionalCreateOnlyProperties` may.
Source: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from slimreel.local import REGION


def recreation(kind: str, name: str, old: Any, new: Any) -> str:
    """Whether a change of a top-level property replaces the resource: Always, Never or
    Conditionally, as DescribeChangeSet words it.
    """
    schema = _schema(kind)
    for word, paths in (
        ("Always", schema.get("createOnlyProperties", [])),
        ("Conditionally", schema.get("conditionalCreateOnlyProperties", [])),
    ):
        for path in paths:
            first, *inner = path.removeprefix("/properties/").split("/")
            if first == name and _at(old, inner) != _at(new, inner):
                return word
    return "Never"


def _at(value: Any, path: list[str]) -> Any:
    """What lies at a path; every item where the path goes through a list."""
    for index, part in enumerate(path):
        if part == "*":
            rest = path[index + 1 :]
            return [_at(item, rest) for item in value] if isinstance(value, list) else None
        value = value.get(part) if isinstance(value, dict) else None
    return value


@cache
def _schema(kind: str) -> dict[str, Any]:
    file = _files().get(kind)
    if file is None:
        return {}
    return json.loads((_folder() / "resources" / f"{file}.json").read_text())  # type: ignore[no-any-return]


@cache
def _files() -> dict[str, str]:
    listing: dict[str, str] = json.loads((_folder() / "providers" / f"{REGION}.json").read_text())
    return listing


@cache
def _folder() -> Path:
    found = find_spec("cfnlint")
    assert found is not None and found.origin is not None, "cfn-lint is in requirements-dev.txt"
    return Path(found.origin).parent / "data" / "schemas"
