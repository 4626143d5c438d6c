"""Checks that a flow leads somewhere: no dead links, no dead states, no way round for ever."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from slimreel.workflows.machine import ENDS, Finding, Machine, State


def ways_findings(machine: Machine) -> Iterator[Finding]:
    """What is wrong with the transitions of one machine."""
    if machine.start not in machine.states:
        where = f"{machine.where}.StartAt" if machine.where else "StartAt"
        yield where, _no_state(machine, machine.start)
        return
    for state in machine.states.values():
        yield from _targets(machine, state)
        yield from _leaving(state)
    reachable = machine.reachable(machine.start, errors=True)
    for name, state in machine.states.items():
        if name not in reachable:
            yield state.where, "no state leads here"
    yield from _endings(machine, reachable)


def _targets(machine: Machine, state: State) -> Iterator[Finding]:
    catches = [(f"{catcher.where}.Next", catcher.target) for catcher in state.catchers()]
    for where, target in [*state.ways(), *catches]:
        if target not in machine.states:
            yield where, _no_state(machine, target)


def _no_state(machine: Machine, target: str) -> str:
    near = difflib.get_close_matches(target, machine.states, n=1)
    return f"there is no state {target!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _leaving(state: State) -> Iterator[Finding]:
    if state.type == "Choice":
        if not state.body.get("Choices"):
            yield state.where, "a Choice needs Choices"
        if "Default" not in state.body:
            yield state.where, "a Choice without Default fails when no choice matches; add one"
    elif state.type not in ENDS and ("Next" in state.body) == (state.body.get("End") is True):
        yield state.where, "a state needs either Next or End: true"


def _endings(machine: Machine, reachable: set[str]) -> Iterator[Finding]:
    """Every reachable state must come to an end without the help of an error."""
    # A link to a missing state is reported as such and is not a dead end as well.
    ends = {
        name
        for name in reachable
        if machine.states[name].is_end
        or any(target not in machine.states for _, target in machine.states[name].ways())
    }
    if not ends:
        yield machine.where or "flow", "no state ends this: add a Succeed, a Fail or End: true"
        return
    stuck = [
        name
        for name in machine.states
        if name in reachable and not ends & machine.reachable(name, errors=False)
    ]
    if stuck:
        names = ", ".join(stuck)
        yield machine.states[stuck[0]].where, f"from here the flow goes round for ever: {names}"
