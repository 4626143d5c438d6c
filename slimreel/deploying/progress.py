"""A stack's events on the screen: a count that moves in a terminal, lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from slimreel.deploying.follow import Event
from slimreel.deploying.words import kind


class Progress:
    """A context manager around an operation.

    Args:
        expected: resources that will change; 0 where that is not known.
    """

    def __init__(self, console: Console, expected: int = 0) -> None:
        self._console, self._expected = console, expected
        self._done = 0
        self._status: Status | None = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._status = self._console.status("CloudFormation begins …")
            self._status.start()
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()
        if self._done:
            self._console.print(f"{self._done} {'resource' if self._done == 1 else 'resources'}.")

    def event(self, event: Event) -> None:
        status = event["ResourceStatus"]
        named = f"{kind(event['ResourceType'])} {event['LogicalResourceId']}"
        if status.endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "")
            self._console.print(f"✗ {named}: {reason}", style="red", soft_wrap=True, markup=False)
        elif status.endswith(("_COMPLETE", "_SKIPPED")):
            self._done += 1
            if self._status is None and self._done % 25 == 0:
                self._console.print(f"  {self._counted()} …")
        if self._status is not None:
            verb = status.partition("_")[0].lower()
            self._status.update(f"{self._counted()}  {verb} {escape(named)}")

    def _counted(self) -> str:
        return f"{self._done} of {self._expected}" if self._expected else str(self._done)
