"""Checks that the state a flow carries stays small.

Step Functions ends an execution whose state passes 256 KiB, and nothing catches that
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html). The rule, on the file
alone: whatever a Task, Map or Parallel returns is either thrown away (`"ResultPath": null`) or cut
down by a ResultSelector that picks single fields; and a Pass never copies a part of the state
into that same part. A picked field is taken to be an id, a number or a word; that it is, is up to
the function.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slimreel.workflows.machine import Finding, Machine, State
from slimreel.workflows.tasks import LAMBDA_INVOKE

_RULE = "the state may hold 256 KiB, so keep ids only"
#: Wildcards, descents, slices, unions and filters: paths that give lists of unknown length.
_MANY = re.compile(r"\*|\.\.|\?\(|\[[^\]'\"]*[:,]")
#: Functions whose result is no larger than a line.
_SMALL = ("Format", "Hash", "MathAdd", "MathRandom", "UUID", "ArrayLength", "ArrayContains")
_CALL = re.compile(r"States\.(\w+)\s*\(")
_PATH = re.compile(r"(?<!\$)\$(?!\$)[^\s,()]*(?:\([^)]*\)[^\s,()]*)?")


def payload_findings(machine: Machine) -> Iterator[Finding]:
    """Where the state of one machine could grow without bound."""
    for state in machine.states.values():
        if state.type in ("Task", "Map", "Parallel"):
            yield from _result(state)
        elif state.type == "Pass":
            yield from _copies(state)


def _result(state: State) -> Iterator[Finding]:
    if "ResultPath" in state.body and state.body["ResultPath"] is None:
        return
    selector = state.body.get("ResultSelector")
    if not isinstance(selector, dict):
        yield (
            state.where,
            f"the whole result goes into the state; {_RULE}: add"
            ' "ResultPath": null, or a ResultSelector that picks single fields',
        )
        return
    raw = ("$", "$.Payload") if state.body.get("Resource") == LAMBDA_INVOKE else ("$",)
    for key, expression in _expressions(selector, ""):
        where = f"{state.where}.ResultSelector{key}"
        if any(path in raw for path in _paths(expression)):
            yield where, f"{expression} is the whole result; {_RULE} and pick single fields"
        yield from _unbounded(where, expression)


def _copies(state: State) -> Iterator[Finding]:
    result_path = state.body.get("ResultPath", "$")
    if result_path is None or "Result" in state.body:
        return
    if "Parameters" in state.body:
        copied = [*_expressions(state.body["Parameters"], "")]
    else:
        copied = [("", str(state.body.get("InputPath") or "$"))]
    for key, expression in copied:
        target = f"{result_path}{key}"
        for path in _paths(expression):
            if _is_inside(target, path):
                yield (
                    state.where,
                    f"copies {path} into itself ({target}), larger with every pass; {_RULE}",
                )
        yield from _unbounded(state.where, expression)


def _unbounded(where: str, expression: str) -> Iterator[Finding]:
    for path in _paths(expression):
        if _MANY.search(path):
            yield where, f"{path} gives a list of any length; {_RULE}"
    for function in _CALL.findall(expression):
        if function not in _SMALL:
            yield where, f"States.{function} gives a value of any size; {_RULE}"


def _expressions(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """`(.key, expression)` for every key that ends in `.$`, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key.endswith(".$"):
                yield f"{path}.{key.removesuffix('.$')}", str(item)
            else:
                yield from _expressions(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _expressions(item, f"{path}[{index}]")


def _paths(expression: str) -> list[str]:
    """The state paths in an expression. `$$`, the execution's own context, is none of them."""
    return [] if expression.startswith("$$") else _PATH.findall(expression)


def _is_inside(target: str, path: str) -> bool:
    """Whether `target` lies below `path`: `$.a.b` below `$.a`, everything below `$`."""
    return target != path and (
        path == "$" or re.match(re.escape(path) + r"[.\[]", target) is not None
    )
