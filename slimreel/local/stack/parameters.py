"""The values of a template's parameters.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from slimreel.local.stack.errors import BadReference, Unsupported


def parameter_values(
    declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str]
) -> dict[str, str | list[str]]:
    """Each declared parameter's value: the given one, or its default.

    Raises:
        BadReference: a given parameter is not declared, a declared one has no value, or a value
            is not allowed.
        Unsupported: a parameter type this applier does not know.
    """
    undeclared = sorted(set(given) - set(declared))
    if undeclared:
        raise BadReference(f"The template has no parameter {', '.join(undeclared)}.")
    return {name: _value(name, about, given.get(name)) for name, about in declared.items()}


def _value(name: str, about: Mapping[str, Any], given: str | None) -> str | list[str]:
    value = about.get("Default") if given is None else given
    if value is None:
        raise BadReference(f"Parameter {name} has no value and no default.")
    text = str(value)
    pattern, allowed = about.get("AllowedPattern"), about.get("AllowedValues")
    if pattern is not None and not re.fullmatch(pattern, text):
        raise BadReference(f"Parameter {name}: {text!r} does not match {pattern}.")
    if allowed is not None and text not in [str(item) for item in allowed]:
        raise BadReference(f"Parameter {name}: {text!r} is not one of {allowed}.")
    match about.get("Type"):
        case "String" | "Number":
            return text
        case "CommaDelimitedList":
            return [item.strip() for item in text.split(",")]
        case other:
            raise Unsupported(f"Parameter {name} has the type {other}, unknown here.")
