"""Figures for CloudWatch, which reads them out of the function's log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import datetime

from chalicelib.domain import figures


def _to_log(line: str) -> None:
    """Past `logging`, which would wrap it: in Lambda each line of stdout is a log event."""
    sys.stdout.write(f"{line}\n")


class Metrics:
    """One stage's."""

    def __init__(self, *, stage: str, write: Callable[[str], object] = _to_log) -> None:
        self._stage, self._write = stage, write

    def put(
        self,
        values: Mapping[str, float],
        *,
        at: datetime,
        workflow: str | None = None,
        **about: str | int | None,
    ) -> None:
        """Report figures by the names of `figures.UNITS`, and what they are about."""
        self._write(figures.line(values, at=at, stage=self._stage, workflow=workflow, about=about))
