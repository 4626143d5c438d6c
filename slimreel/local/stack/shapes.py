"""Which properties a resource type may have here, checked before anything is created.

A shape mirrors the property tree: a dict names every allowed key, a one-item list describes each
item, `ANY` accepts whatever the service itself will check, and `Ignored` is a property with no
effect on a laptop and the reason why that is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from slimreel.local.stack.values import is_function

Shape = Any
ANY: Final = object()


@dataclass(frozen=True, slots=True)
class Ignored:
    """A known property that is not carried out locally."""

    reason: str


def unknown_properties(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """The paths in `value` that `shape` does not know, such as `Rules[0].Transitions`.

    What an unresolved function (`Ref`, `Fn::If`…) will give is not looked into.
    """
    if shape is ANY or isinstance(shape, Ignored) or is_function(value):
        return
    if isinstance(shape, dict) and isinstance(value, dict):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else key
            if key in shape:
                yield from unknown_properties(shape[key], item, inner)
            else:
                yield inner
    elif isinstance(shape, list) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_properties(shape[0], item, f"{path}[{index}]")
    else:
        yield path
