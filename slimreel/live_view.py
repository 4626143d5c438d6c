"""A live drawing while something goes on. Where output is no terminal nothing is drawn."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live


class LiveView:
    """Use as a context manager; `_live` is updated inside it, in a terminal only."""

    def __init__(self, console: Console, *, refresh_per_second: int, transient: bool) -> None:
        self._console = console
        self._live = Live(
            console=console, refresh_per_second=refresh_per_second, transient=transient
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
