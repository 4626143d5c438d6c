"""A flow as states and the ways between them.

Source: https://states-language.net/spec.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: What a check yields: where, and what is wrong there.
Finding = tuple[str, str]

TYPES = ("Task", "Choice", "Parallel", "Map", "Pass", "Wait", "Succeed", "Fail")
ENDS = ("Succeed", "Fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catcher:
    """One entry of a state's `Catch`."""

    where: str
    body: Mapping[str, Any]

    @property
    def errors(self) -> list[str]:
        errors = self.body.get("ErrorEquals")
        return errors if isinstance(errors, list) else []

    @property
    def target(self) -> str:
        return str(self.body.get("Next", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state, and `where` it stands: `Encode`, or `Tracks.Branches[0].Encode`."""

    name: str
    where: str
    body: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.body.get("Type"))

    @property
    def is_end(self) -> bool:
        return self.type in ENDS or self.body.get("End") is True

    def ways(self) -> Iterator[tuple[str, str]]:
        """`(where, target)` of every transition that is not an error."""
        for field in ("Next", "Default"):
            if field in self.body:
                yield f"{self.where}.{field}", str(self.body[field])
        for index, choice in enumerate(_list(self.body, "Choices")):
            yield f"{self.where}.Choices[{index}].Next", str(choice.get("Next", ""))

    def catchers(self) -> list[Catcher]:
        return [
            Catcher(where=f"{self.where}.Catch[{index}]", body=body)
            for index, body in enumerate(_list(self.body, "Catch"))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """States that can lead to each other: a whole flow, or one branch or item loop inside it.

    Attributes:
        where: empty for the flow, else `Tracks.Branches[0]`.
        is_guarded: a state around it catches States.ALL for it.
    """

    where: str
    start: str
    states: Mapping[str, State]
    is_guarded: bool

    def targets(self, name: str, *, errors: bool) -> list[str]:
        """Where a state leads; `errors` adds where its errors lead. States that exist only."""
        state = self.states[name]
        found = [target for _, target in state.ways()]
        if errors:
            found += [catcher.target for catcher in state.catchers()]
        return [target for target in found if target in self.states]

    def reachable(self, name: str, *, errors: bool) -> set[str]:
        """The states one may come to from a state, itself included."""
        seen: set[str] = set()
        waiting = [name] if name in self.states else []
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += self.targets(current, errors=errors)
        return seen


def read(flow: Any) -> tuple[list[Machine], list[Finding]]:
    """The machines in a parsed flow, and what does not even have the shape of one."""
    machines: list[Machine] = []
    findings: list[Finding] = []
    _read(flow, "", False, machines, findings)
    return machines, findings


def _read(
    body: Any, where: str, guarded: bool, machines: list[Machine], findings: list[Finding]
) -> None:
    states = body.get("States") if isinstance(body, dict) else None
    if not isinstance(states, dict) or not states:
        findings.append((where or "flow", "there are no States here"))
        return
    readable: dict[str, State] = {}
    for name, state in states.items():
        at = f"{where}.{name}" if where else name
        if isinstance(state, dict) and state.get("Type") in TYPES:
            readable[name] = State(name=name, where=at, body=state)
        else:
            findings.append((at, f"a state needs a Type, one of {', '.join(TYPES)}"))
    machines.append(
        Machine(where=where, start=str(body.get("StartAt")), states=readable, is_guarded=guarded)
    )
    for state in readable.values():
        inner_guarded = guarded or any("States.ALL" in c.errors for c in state.catchers())
        for inner_where, inner in _inner_machines(state):
            _read(inner, inner_where, inner_guarded, machines, findings)


def _inner_machines(state: State) -> Iterator[tuple[str, Any]]:
    if state.type == "Parallel":
        branches = state.body.get("Branches")
        for index, branch in enumerate(branches if isinstance(branches, list) else [None]):
            yield f"{state.where}.Branches[{index}]", branch
    if state.type == "Map":
        field = "Iterator" if "Iterator" in state.body else "ItemProcessor"
        yield f"{state.where}.{field}", state.body.get(field)


def _list(body: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    value = body.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
