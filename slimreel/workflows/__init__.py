"""Checks `workflows/` whole, before anything starts: the flows and the settings beside them.

python -m slimreel.workflows [DIR]
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from slimreel.workflows.flow import flow_problems
from slimreel.workflows.known import functions_of, presets_of
from slimreel.workflows.problem import Problem
from slimreel.workflows.settings import settings_problems

__all__ = ["FLOW_SUFFIX", "Problem", "functions_of", "presets_of", "validate", "validate_all"]

FLOW_SUFFIX = ".asl.json"


def validate(
    path: Path,
    *,
    functions: Collection[str] | None = None,
    presets: Collection[str] | None = None,
) -> list[Problem]:
    """The problems of one flow and the settings file beside it, in reading order.

    Args:
        path: the `*.asl.json` file.
        functions: what its tasks may call; by default the functions of the app.py that the
            `workflows` folder lies beside.
        presets: what its settings may name; by default those of that project.
    """
    project = path.resolve().parent.parent
    settings = path.with_name(path.name.removesuffix(FLOW_SUFFIX) + ".toml")
    return [
        *flow_problems(path, functions_of(project) if functions is None else functions),
        *settings_problems(settings, presets_of(project) if presets is None else presets),
    ]


def validate_all(
    directory: Path,
    *,
    functions: Collection[str] | None = None,
    presets: Collection[str] | None = None,
) -> list[Problem]:
    """The problems of every workflow in a folder, and settings that belong to no flow."""
    flows = sorted(directory.glob(f"*{FLOW_SUFFIX}"))
    names = {flow.name.removesuffix(FLOW_SUFFIX) for flow in flows}
    problems = [
        problem
        for flow in flows
        for problem in validate(flow, functions=functions, presets=presets)
    ]
    for settings in sorted(directory.glob("*.toml")):
        if settings.stem not in names:
            message = f"there is no {settings.stem}{FLOW_SUFFIX} beside these settings"
            problems.append(Problem(file=settings, where="file", message=message))
    return problems
