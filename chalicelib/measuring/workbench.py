"""Two films within reach of ffmpeg, and the time there is to look at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from chalicelib.adapters.ffmpeg import DataSink, Ffmpeg, LineSink, ToolFailed, ToolTimedOut
from chalicelib.domain.errors import Temporary
from chalicelib.domain.ffmpeg_output import Complaints

#: Left over at the end of an invocation for storing what was done.
RESERVE_S = 3.0

QUIET = ("-hide_banner", "-nostdin", "-nostats", "-v", "repeat+level+warning")


class Film(Enum):
    """Which of the two films; the value stands for its address in recorded commands."""

    SOURCE = "{source}"
    RESULT = "{result}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A film behind a presigned URL, or at a path."""

    url: str
    size_bytes: int


@dataclass(slots=True)
class Workbench:
    """Runs ffmpeg over the films, and records with what arguments.

    Attributes:
        remaining_s: seconds this invocation has left.
        commands: arguments of every run, the films' addresses left out.
    """

    ffmpeg: Ffmpeg
    source: Clip
    result: Clip
    remaining_s: Callable[[], float]
    commands: list[tuple[str, ...]] = field(default_factory=list)

    def clip(self, film: Film) -> Clip:
        return self.source if film is Film.SOURCE else self.result

    def reading(self, film: Film, *options: str) -> list[str]:
        """Arguments that open a film as an input; `options` come before its `-i`."""
        return self.ffmpeg.reading(self.clip(film).url, *options)

    def run(
        self,
        arguments: Sequence[str],
        *,
        on_stdout: LineSink | None = None,
        on_stderr: LineSink | None = None,
        on_data: DataSink | None = None,
    ) -> bool:
        """Run ffmpeg within the time that is left. False when it ended with an error.

        Raises:
            ToolTimedOut: it needs more time than there is.
        """
        timeout_s = self.remaining_s() - RESERVE_S
        if timeout_s <= 0:
            raise ToolTimedOut(tuple(arguments), 0.0)
        self.commands.append(self._anonymous(arguments))
        try:
            self.ffmpeg.run(
                arguments,
                timeout_s=timeout_s,
                on_stdout=on_stdout,
                on_stderr=on_stderr,
                on_data=on_data,
            )
        except ToolFailed as failure:
            if failure.completed.exit_code == -1:  # not the film's fault
                raise
            return False
        return True

    def run_counting(
        self,
        arguments: Sequence[str],
        complaints: Complaints,
        on_stdout: LineSink | None = None,
        *,
        on_data: DataSink | None = None,
        on_stderr: LineSink | None = None,
    ) -> bool:
        """Like `run`, with what ffmpeg complained about added to `complaints`.

        Raises:
            Temporary: a film could not be reached, so the complaints mean nothing.
            ToolTimedOut: it needs more time than there is.
        """
        before = complaints.errors

        def heard(line: str) -> None:
            complaints.feed(line)
            if on_stderr is not None:
                on_stderr(line)

        whole = self.run(
            [*QUIET, *arguments],
            on_stdout=on_stdout,
            on_stderr=heard,
            on_data=on_data,
        )
        if not whole and complaints.errors == before:
            complaints.feed("[error] ffmpeg gave up without saying why")
        if complaints.network and complaints.errors > before:
            raise Temporary(f"A film could not be read: {complaints.network[0]}")
        return whole

    def _anonymous(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Presigned URLs are keys to the films, so they are never recorded."""
        names = {self.reading(film)[-1]: film.value for film in (Film.SOURCE, Film.RESULT)}
        return tuple(names.get(argument, argument) for argument in arguments)
