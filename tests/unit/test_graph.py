"""Workflows as graphs, and the way an execution took through one."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.config import all_workflows, flow
from chalicelib.domain.graph import Edge, graph, tasks_after, visits, visits_of_steps


@pytest.mark.parametrize("workflow", ["compress", "archive"])
def test_every_state_and_every_way_of_a_flow_is_drawn(workflow: str) -> None:
    states = flow(workflow)["States"]
    drawn = graph(flow(workflow))
    assert {node.name for node in drawn.nodes} == set(states)
    assert {edge.end for edge in drawn.edges} | {drawn.start} == set(states)
    steps = {node.name: node.step for node in drawn.nodes if node.kind == "task"}
    assert steps["Fetch"] == "fetch" and steps["Sample"] == steps["Encode"] == "encode"
    assert None not in steps.values()
    assert {node.name for node in drawn.nodes if node.waits} == {"Budget", "Sample", "Encode"}


def test_a_way_says_what_decides_for_it() -> None:
    edges = graph(flow("compress")).edges
    assert Edge(start="Fetched?", end="Inspect", kind="choice", label="yes") in edges
    assert Edge(start="Fetched?", end="Fetch", kind="else", label="otherwise") in edges
    assert Edge(start="Verdict", end="Budget", kind="choice", label="retry higher") in edges
    caught = [edge.label for edge in edges if edge.start == "Encode" and edge.kind == "catch"]
    assert "JobClosed" in caught and "States.ALL" in caught


def test_every_workflow_has_a_flow_to_draw() -> None:
    for name in all_workflows():
        assert graph(flow(name)).nodes


def entered(name: str, second: int) -> dict[str, Any]:
    return {**event("TaskStateEntered", second), "stateEnteredEventDetails": {"name": name}}


def event(kind: str, second: int, **details: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": f"2026-05-04T09:30:{second:02d}.000Z", **details}


def test_a_history_becomes_the_way_that_was_taken() -> None:
    failed = {"lambdaFunctionFailedEventDetails": {"error": "Temporary", "cause": "{}"}}
    events = [
        event("ExecutionStarted", 0),
        entered("Fetch", 1),
        event("LambdaFunctionScheduled", 1),
        event("LambdaFunctionFailed", 3, **failed),
        event("LambdaFunctionScheduled", 5),
        event("LambdaFunctionSucceeded", 7),
        event("TaskStateExited", 8),
        entered("Plan", 8),
        event("LambdaFunctionScheduled", 8),
    ]
    fetch, plan = visits(events)
    assert (fetch.state, fetch.tries, fetch.error) == ("Fetch", 2, "Temporary")
    assert (fetch.entered_at[-7:], (fetch.left_at or "")[-7:]) == ("01.000Z", "08.000Z")
    assert (plan.state, plan.tries, plan.error, plan.left_at) == ("Plan", 1, None, None)


def test_an_execution_that_was_stopped_left_where_it_was() -> None:
    events = [entered("Fetch", 1), event("ExecutionAborted", 4)]
    assert [visit.left_at for visit in visits(events)] == ["2026-05-04T09:30:04.000Z"]
    assert visits([]) == visits([event("ExecutionAborted", 4)]) == ()


def names(*steps: str) -> list[str]:
    moments = [(step, f"2026-05-04T09:30:{second:02d}Z") for second, step in enumerate(steps)]
    return [visit.state for visit in visits_of_steps(flow("compress"), moments, None)]


def test_steps_of_a_record_become_states_of_the_flow() -> None:
    start = ("register", "fetch", "inspect", "plan", "budget")
    searched = names(*start, "encode", "choose", "budget", "encode", "restore", "measure")
    assert searched[5:] == ["Sample", "Choose", "Budget", "Encode", "Restore metadata", "Measure"]
    plain = names(*start, "encode", "restore", "measure", "verify", "publish", "announce")
    assert plain[5] == "Encode" and plain[-1] == "Announce"
    assert names("register", "fetch", "fail") == ["Register", "Fetch", "Fail"]


def test_a_step_no_flow_has_any_more_is_left_out() -> None:
    assert names("register", "gone", "fetch") == ["Register", "Fetch"]


def test_what_can_come_next() -> None:
    drawn = graph(flow("compress"))
    assert {"Budget", "Publish"} <= tasks_after(drawn, "Plan")
    assert "Encode" not in tasks_after(drawn, "Plan")
