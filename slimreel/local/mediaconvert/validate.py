"""A request against the model: types, required members, enums, bounds and patterns.

boto3 checks required members, types and minimums before it sends; maximums, enums and patterns
reach the service, which answers 400 with `<JSON pointer>: <rule>`, several joined with " | ".
The rule texts are those the service was seen to send; "Should be <type>" and "Should not have
additional properties" were not seen and follow the same style.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule; `pointer` is a JSON pointer into the request body."""

    pointer: str
    rule: str

    def __str__(self) -> str:
        # The service counts pointers from the job settings.
        return f"{self.pointer.removeprefix('/settings')}: {self.rule}"


def check(shape: Any, value: object, pointer: str = "") -> Iterator[Violation]:
    """Everything in `value` (decoded JSON, wire names) that `shape` does not allow."""
    if not _has_type(shape.type_name, value):
        yield Violation(pointer=pointer, rule=f"Should be {shape.type_name}")
    elif shape.type_name == "structure":
        yield from _structure(shape, value, pointer)
    elif shape.type_name == "map":
        yield from _map(shape, value, pointer)
    elif shape.type_name == "list":
        yield from _list(shape, value, pointer)
    elif shape.type_name == "string":
        yield from _string(shape, value, pointer)
    elif shape.type_name in ("integer", "long", "double"):
        yield from _number(shape, value, pointer)


def wire_name(name: str, member: Any) -> str:
    return str(member.serialization.get("name", name))


def _has_type(type_name: str, value: object) -> bool:
    if isinstance(value, bool):
        return type_name == "boolean"
    return isinstance(value, _PYTHON_TYPES.get(type_name, (object,)))


def _structure(shape: Any, value: Any, pointer: str) -> Iterator[Violation]:
    members = {wire_name(name, member): member for name, member in shape.members.items()}
    required = {wire_name(name, shape.members[name]) for name in shape.required_members}
    for name in sorted(required):
        if value.get(name) is None:
            yield Violation(pointer=pointer, rule=f"{name} is a required property")
    for name, item in value.items():
        if name not in members:
            yield Violation(
                pointer=f"{pointer}/{name}", rule="Should not have additional properties"
            )
        elif item is not None:
            yield from check(members[name], item, f"{pointer}/{name}")


def _map(shape: Any, value: Any, pointer: str) -> Iterator[Violation]:
    for key, item in value.items():
        yield from check(shape.key, key, f"{pointer}/{key}")
        yield from check(shape.value, item, f"{pointer}/{key}")


def _list(shape: Any, value: Any, pointer: str) -> Iterator[Violation]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield Violation(pointer=pointer, rule=f"Should have at least {low} items")
    if high is not None and len(value) > high:
        yield Violation(pointer=pointer, rule=f"Should have at most {high} items")
    for index, item in enumerate(value):
        yield from check(shape.member, item, f"{pointer}/{index}")


def _string(shape: Any, value: Any, pointer: str) -> Iterator[Violation]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    pattern = shape.metadata.get("pattern")
    if shape.enum and value not in shape.enum:
        allowed = json.dumps(list(shape.enum), separators=(",", ":"))
        yield Violation(
            pointer=pointer, rule=f"Should be equal to one of the allowed values in {allowed}"
        )
    if low is not None and len(value) < low:
        yield Violation(pointer=pointer, rule=f"Should be at least {low} characters long")
    if high is not None and len(value) > high:
        yield Violation(pointer=pointer, rule=f"Should be at most {high} characters long")
    if pattern and not _compiled(pattern).search(value):
        yield Violation(pointer=pointer, rule=f"Should match the pattern: /{pattern}/")


def _number(shape: Any, value: Any, pointer: str) -> Iterator[Violation]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        yield Violation(pointer=pointer, rule=f"Should be greater than or equal to {low}")
    if high is not None and value > high:
        yield Violation(pointer=pointer, rule=f"Should be less than or equal to {high}")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
