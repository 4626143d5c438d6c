"""In which order resources are created."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from slimreel.local.stack.errors import BadReference, Circular
from slimreel.local.stack.values import references


def creation_order(
    resources: Mapping[str, Mapping[str, Any]], *, elsewhere: Collection[str]
) -> list[str]:
    """Logical ids, each after everything it refers to.

    Args:
        resources: the template's resources that will be created.
        elsewhere: other names that may be referred to (parameters, resources left out by their
            condition).

    Raises:
        BadReference: a resource refers to a name that is neither here nor elsewhere.
        Circular: resources wait for each other.
    """
    needs = {name: _needs(resource) for name, resource in resources.items()}
    for name, needed in needs.items():
        missing = {
            other
            for other in needed
            if other not in resources and other not in elsewhere and not other.startswith("AWS::")
        }
        if missing:
            raise BadReference(
                f"{name} refers to {', '.join(sorted(missing))}, which is not there."
            )
    graph = {
        name: [other for other in needed if other in resources] for name, needed in needs.items()
    }
    try:
        return [*TopologicalSorter(graph).static_order()]
    except CycleError as cycle:
        raise Circular(f"These resources need each other: {' -> '.join(cycle.args[1])}.") from cycle


def _needs(resource: Mapping[str, Any]) -> list[str]:
    explicit = resource.get("DependsOn", [])
    explicit = [explicit] if isinstance(explicit, str) else explicit
    return sorted({*explicit, *references(resource.get("Properties", {}))})
