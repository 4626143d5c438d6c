"""What the simulation goes by: `assumptions.toml`, typed, and ways to raise parts of it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Assumptions:
    """Numbers by section and name: `given("quotas", "probe_per_s")`."""

    def __init__(self, numbers: Mapping[str, Mapping[str, float]]) -> None:
        self._numbers = {section: dict(values) for section, values in numbers.items()}

    def __call__(self, section: str, name: str) -> float:
        return self._numbers[section][name]

    def section(self, name: str) -> Mapping[str, float]:
        return self._numbers[name]

    def with_(self, **changed: float) -> Assumptions:
        """The same with other numbers, by name alone.

        Raises:
            KeyError: no section, or several, have such a name.
        """
        numbers = {section: dict(values) for section, values in self._numbers.items()}
        for name, value in changed.items():
            holders = [values for values in numbers.values() if name in values]
            if len(holders) != 1:
                raise KeyError(f"{len(holders)} sections have a number {name!r}.")
            holders[0][name] = value
        return Assumptions(numbers)


def documented() -> Assumptions:
    """What `assumptions.toml` says."""
    text = (Path(__file__).parent / "assumptions.toml").read_text()
    numbers: dict[str, Any] = tomllib.loads(text)
    return Assumptions(numbers)
