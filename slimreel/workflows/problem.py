"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One reason why a workflow cannot be used.

    Attributes:
        where: a state such as `Encode`, a part of one such as `Encode.Catch[0]`, a settings key
            such as `policy.preset`, or `line 12`.
    """

    file: Path
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.where}: {self.message}"
