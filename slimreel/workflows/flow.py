"""Checks one flow file."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from slimreel.workflows.machine import Finding, read
from slimreel.workflows.payload import payload_findings
from slimreel.workflows.problem import Problem
from slimreel.workflows.tasks import tasks_findings
from slimreel.workflows.ways import ways_findings


class _Twice(ValueError):
    """A JSON object holds a key twice, of which readers would keep the last."""


def flow_problems(path: Path, functions: Collection[str]) -> list[Problem]:
    """The problems of one `*.asl.json`, whose tasks may call `functions`."""
    return [Problem(file=path, where=w, message=m) for w, m in _findings(path, functions)]


def _findings(path: Path, functions: Collection[str]) -> Iterator[Finding]:
    try:
        flow = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        yield f"line {error.lineno}", f"this is not JSON: {error.msg} (column {error.colno})"
        return
    except (UnicodeDecodeError, _Twice) as error:
        yield "file", str(error)
        return
    machines, misshapen = read(flow)
    yield from misshapen
    yield from _query_language("flow", flow)
    for machine in machines:
        for state in machine.states.values():
            yield from _query_language(state.where, state.body)
            # An inner machine's states are visited by themselves.
            own = {k: v for k, v in state.body.items() if k not in _INNER}
            yield from _unknown_functions(state.where, own, functions)
        yield from ways_findings(machine)
        yield from tasks_findings(machine)
        yield from payload_findings(machine)


_INNER = ("Branches", "Iterator", "ItemProcessor")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(f"the key {key!r} appears twice in one object")
        found[key] = value
    return found


def _query_language(where: str, body: Any) -> Iterator[Finding]:
    if isinstance(body, Mapping) and body.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield where, f"{body['QueryLanguage']} cannot run on a laptop; write paths in JSONPath"


def _unknown_functions(where: str, body: Any, functions: Collection[str]) -> Iterator[Finding]:
    for name in sorted(set(re.findall(r"\$\{([^}]*)\}", json.dumps(body)))):
        if name not in functions:
            near = difflib.get_close_matches(name, functions, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield where, f"app.py has no @app.lambda_function {name!r}{hint}"
