"""A workflow as a graph to look at, and the way one execution took through it. Pure.

The graph is read from the States Language file that runs, so what is drawn is what happens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Flow = Mapping[str, Any]
_STEP = re.compile(r"\$\{(\w+)\}")
#: Events of a history that begin a try of a task; each further one is a retry.
#: Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
_TRIES = ("LambdaFunctionScheduled", "TaskScheduled")
_FAILURES = (
    *("LambdaFunctionFailed", "LambdaFunctionTimedOut", "LambdaFunctionScheduleFailed"),
    *("TaskFailed", "TaskTimedOut", "TaskSubmitFailed", "TaskStartFailed"),
)
_ENDINGS = ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    Attributes:
        kind: "task", "choice", "wait", "pass", "succeed" or "fail".
        step: the function that runs; None for what is not a task.
    """

    name: str
    kind: str
    step: str | None = None
    about: str | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """
    Attributes:
        kind: "next", "choice", "else" or "catch".
        label: the value a choice is about, or the errors that are caught.
    """

    start: str
    end: str
    kind: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    start: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One stay of an execution in a state. Times are ISO 8601.

    Attributes:
        left_at: None while it is there.
        tries: how often the task was begun in this stay.
        error: of the last try that failed.
    """

    state: str
    entered_at: str
    left_at: str | None = None
    tries: int = 1
    error: str | None = None


def graph(flow: Flow) -> Graph:
    """
    Raises:
        KeyError: it is no flow.
    """
    states: Mapping[str, Any] = flow["States"]
    edges = tuple(edge for name, state in states.items() for edge in _edges(name, state))
    nodes = tuple(_node(name, state) for name, state in states.items())
    return Graph(start=flow["StartAt"], nodes=nodes, edges=edges)


def _node(name: str, state: Mapping[str, Any]) -> Node:
    function = str(state.get("Parameters", {}).get("FunctionName", state.get("Resource", "")))
    found = _STEP.search(function)
    return Node(
        name=name,
        kind=str(state["Type"]).lower(),
        step=found[1] if found else None,
        about=state.get("Comment"),
        waits=str(state.get("Resource", "")).endswith(".waitForTaskToken"),
    )


def _edges(name: str, state: Mapping[str, Any]) -> Iterator[Edge]:
    if "Next" in state:
        yield Edge(start=name, end=state["Next"], kind="next")
    for rule in state.get("Choices", ()):
        yield Edge(start=name, end=rule["Next"], kind="choice", label=_label(rule))
    if "Default" in state:
        yield Edge(start=name, end=state["Default"], kind="else", label="otherwise")
    for catch in state.get("Catch", ()):
        label = ", ".join(catch["ErrorEquals"])
        yield Edge(start=name, end=catch["Next"], kind="catch", label=label)


def _label(rule: Mapping[str, Any]) -> str:
    for operator, value in rule.items():
        if operator.endswith("Equals"):
            words = {True: "yes", False: "no"}
            return words[value] if isinstance(value, bool) else str(value).replace("_", " ")
    return ""


def visits(events: Sequence[Mapping[str, Any]]) -> tuple[Visit, ...]:
    """The way an execution took, from its history.

    Args:
        events: oldest first: `type`, `timestamp` (ISO 8601) and the details of each type.
    """
    made: list[Visit] = []
    tries, error = 0, None
    for event in events:
        kind, at = str(event["type"]), str(event["timestamp"])
        if kind.endswith("StateEntered"):
            made.append(Visit(state=event["stateEnteredEventDetails"]["name"], entered_at=at))
            tries, error = 0, None
        elif made and kind in _TRIES:
            tries += 1
        elif made and kind in _FAILURES:
            error = _error(event)
        elif not (made and (kind.endswith("StateExited") or kind in _ENDINGS)):
            continue
        left = at if kind.endswith("StateExited") or kind in _ENDINGS else made[-1].left_at
        made[-1] = Visit(
            state=made[-1].state,
            entered_at=made[-1].entered_at,
            left_at=left,
            tries=max(tries, 1),
            error=error,
        )
    return tuple(made)


def _error(event: Mapping[str, Any]) -> str:
    for name, details in event.items():
        if name.endswith("EventDetails") and isinstance(details, Mapping):
            return str(details.get("error") or event["type"])
    return str(event["type"])


def visits_of_steps(
    flow: Flow, steps: Sequence[tuple[str, str]], ended_at: str | None
) -> tuple[Visit, ...]:
    """The same from the steps a record names, where the execution itself is forgotten.

    Two states may run one function. Of those the one is taken from which what came next can be
    reached.

    Args:
        steps: name and time of each, oldest first.
    """
    drawn = graph(flow)
    running: dict[str, list[str]] = {}
    for node in drawn.nodes:
        if node.step:
            running.setdefault(node.step, []).append(node.name)
    made: list[Visit] = []
    here = drawn.start
    for number, (step, at) in enumerate(steps):
        until = steps[number + 1][1] if number + 1 < len(steps) else ended_at
        following = steps[number + 1][0] if number + 1 < len(steps) else None
        candidates = running.get(step, [])
        near = [name for name in candidates if name == here or name in tasks_after(drawn, here)]
        onward = [
            name
            for name in near or candidates
            if following is None
            or any(after in running.get(following, []) for after in tasks_after(drawn, name))
        ]
        for name in (onward or near or candidates)[:1]:
            made.append(Visit(state=name, entered_at=at, left_at=until))
            here = name
    return tuple(made)


def tasks_after(drawn: Graph, name: str) -> set[str]:
    """The tasks that can come next after a state, with nothing but choices between."""
    kinds = {node.name: node.kind for node in drawn.nodes}
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [edge.end for edge in drawn.edges if edge.start == name and edge.kind != "catch"]
    waiting += [edge.end for edge in drawn.edges if edge.start == name and edge.kind == "catch"]
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        if kinds.get(at) == "task":
            found.add(at)
        else:
            waiting += [edge.end for edge in drawn.edges if edge.start == at]
    return found
