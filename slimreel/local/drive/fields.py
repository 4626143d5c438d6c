"""The `fields` parameter: which parts of an answer the caller wants.

Source: https://developers.google.com/workspace/drive/api/guides/fields-parameter
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from slimreel.local.drive import contract
from slimreel.local.drive.errors import Refusal, not_modelled

#: Name to sub-selection; None selects everything below the name.
Mask: TypeAlias = "dict[str, Mask | None]"

_TOKEN = re.compile(r"\s*([A-Za-z0-9_$-]+|[*/(),])\s*")


def parse(text: str) -> Mask:
    """Return the mask for `files(id,name),nextPageToken` and the like.

    Raises:
        Refusal: 400, the text is not a field selection.
    """
    tokens = _tokens(text)
    mask, rest = _items(tokens, text)
    if rest:
        raise _unreadable(text)
    return mask


def check(mask: Mask, schema_name: str, modelled: frozenset[str]) -> None:
    """Refuse fields that Drive does not have, and `File` fields this stand-in does not fill.

    Raises:
        Refusal: 400 for an unknown field, 501 for one of `File` outside `modelled`.
    """
    _check(mask, contract.schema(schema_name), modelled)


def apply(mask: Mask, value: Any) -> Any:
    """Return a copy of `value` with only what the mask selects."""
    if isinstance(value, list):
        return [apply(mask, item) for item in value]
    if not isinstance(value, dict):
        return value
    chosen = {}
    for key, inner in value.items():
        if key in mask or "*" in mask:
            below = mask[key] if key in mask else mask["*"]
            chosen[key] = inner if below is None else apply(below, inner)
    return chosen


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text)
        tokens.append(match[1])
        position = match.end()
    return tokens


def _items(tokens: list[str], text: str) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while True:
        tokens = _item(tokens, mask, text)
        if not tokens or tokens[0] != ",":
            return mask, tokens
        tokens = tokens[1:]


def _item(tokens: list[str], mask: Mask, text: str) -> list[str]:
    if not tokens or tokens[0] in "/(),":
        raise _unreadable(text)
    name, rest = tokens[0], tokens[1:]
    below: Mask | None = None
    if rest[:1] == ["/"]:
        below = {}
        rest = _item(rest[1:], below, text)
    elif rest[:1] == ["("]:
        below, rest = _items(rest[1:], text)
        if rest[:1] != [")"]:
            raise _unreadable(text)
        rest = rest[1:]
    _merge(mask, name, below)
    return rest


def _merge(mask: Mask, name: str, below: Mask | None) -> None:
    if name not in mask:
        mask[name] = below
        return
    there = mask[name]
    if there is None or below is None:
        mask[name] = None
        return
    for key, inner in below.items():
        _merge(there, key, inner)


def _check(mask: Mask, schema: contract.Schema, modelled: frozenset[str]) -> None:
    schema = contract.resolve(schema)
    for name, below in mask.items():
        if name == "*":
            continue
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if inner is None:
            message = f"Invalid field selection {name}"
            raise Refusal(400, "invalidParameter", message, parameter="fields")
        if schema.get("id") == "File" and name not in modelled:
            raise not_modelled(f"the file field {name!r}")
        if below is not None:
            _check(below, inner, modelled)


def _unreadable(text: str) -> Refusal:
    message = f"Invalid field selection {text}"
    return Refusal(400, "invalidParameter", message, parameter="fields")
