"""The values a stack's parameters get: given ones, else those it has, else the template's."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from slimreel.deploying import CannotDeploy


def merged(
    declared: Mapping[str, Any],
    *,
    stage: str,
    from_file: Mapping[str, str],
    from_flags: Mapping[str, str],
    present: Mapping[str, str],
) -> list[dict[str, Any]]:
    """What CreateChangeSet takes. A flag beats the file, the file beats what the stack has.

    Args:
        declared: the template's parameters.
        present: the stack's own values; empty where it does not exist yet.

    Raises:
        CannotDeploy: a name that the template does not have.
    """
    given = {**from_file, **from_flags}
    for name in given:
        if name not in declared:
            close = difflib.get_close_matches(name, declared, n=1, cutoff=0.5)
            raise CannotDeploy(
                f"There is no parameter {name}."
                + (f" Do you mean {close[0]}?" if close else "")
                + " slimreel config lists them all."
            )
    if given.get("Stage", stage) != stage:
        raise CannotDeploy("The stage is given by --stage alone.")
    given["Stage"] = stage
    chosen: list[dict[str, Any]] = []
    for name in declared:
        if name in given:
            chosen.append({"ParameterKey": name, "ParameterValue": given[name]})
        elif name in present:
            chosen.append({"ParameterKey": name, "UsePreviousValue": True})
    return chosen


def values_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """A described stack's parameters."""
    return {
        one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", [])
    }


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
