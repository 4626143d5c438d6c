"""What `slimreel up` shows: jobs on their way, and a line for each that has ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import human_size
from slimreel.live_view import LiveView
from slimreel.watch import progress, seconds_since, title

#: More would scroll a small terminal.
MOST_ROWS = 12
_MARKS = {
    Status.COMPLETED: ("✓", "green"),
    Status.KEPT_ORIGINAL: ("=", "cyan"),
    Status.FAILED: ("✗", "red"),
    Status.CANCELLED: ("–", "yellow"),
}


class Board(LiveView):
    """Use as a context manager. In a terminal open jobs are drawn live; elsewhere each job is a
    line when it begins and a line when it ends.

    Args:
        percent: how far an encode is, by MediaConvert job id; None when that is not known.
    """

    def __init__(self, console: Console, percent: Callable[[str], int | None]) -> None:
        super().__init__(console, refresh_per_second=4, transient=True)
        self._percent = percent
        self._open: dict[str, Job] = {}
        self._told: dict[str, int] = {}  # by job: the run whose beginning was told

    def known(self, job: Job) -> None:
        """A job from before: one that has ended is not news."""
        if job.status.is_open:
            self._open[job.job_id] = job
        self._told[job.job_id] = job.run

    def show(self, job: Job, result: Path | None) -> None:
        """A job changed. `result` is its published file, when that is new."""
        if job.status.is_open:
            if self._told.get(job.job_id) != job.run and not self._console.is_terminal:
                self._line("▸", "default", job.file_name, human_size(job.size_bytes))
            self._open[job.job_id] = job
            self._told[job.job_id] = job.run
        elif self._open.pop(job.job_id, None) is not None:
            self._told[job.job_id] = job.run
            self._ended(job, result)

    def say(self, text: str, style: str = "") -> None:
        """A line of text above the jobs."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def draw(self) -> None:
        if self._console.is_terminal:
            self._live.update(self._view())

    def _ended(self, job: Job, result: Path | None) -> None:
        mark, colour = _MARKS[job.status]
        told = job.reason or job.status.value
        if job.status is Status.COMPLETED and job.published_size_bytes is not None:
            sizes = f"{human_size(job.size_bytes)} → {human_size(job.published_size_bytes)}"
            told = f"{sizes}  {told}"
        elif job.status is Status.KEPT_ORIGINAL:
            told = f"original kept: {told}"
        if result is not None:
            told += f"  → {_short(result)}"
        self._line(mark, colour, job.file_name, told)

    def _line(self, mark: str, colour: str, name: str, told: str) -> None:
        line = Text.assemble((mark, colour), " ", (_printable(name), "bold"), "  ", told)
        self._console.print(line, soft_wrap=True)

    def _view(self) -> RenderableType:
        if not self._open:
            return Text("Nothing to do. Drop a video.", style="dim")
        table = Table.grid(padding=(0, 2))
        table.add_column(max_width=40, no_wrap=True, overflow="ellipsis")
        jobs = list(self._open.values())
        for job in jobs[:MOST_ROWS]:
            running_s = seconds_since(job.timeline[-1].at) if job.timeline else 0.0
            percent = self._percent(job.encoder_job_id) if job.encoder_job_id else None
            table.add_row(
                Text(_printable(job.file_name)),
                Text(title(job.step, job) if job.step else "Waiting", style="dim"),
                Text(f"{running_s:.0f} s", style="dim", justify="right"),
                progress(job, percent),
            )
        more = len(jobs) - MOST_ROWS
        rest = [Text(f"and {more} more", style="dim")] if more > 0 else []
        head = Spinner("dots", text=f"{len(jobs)} on the way")
        return Group(head, table, *rest)


def _short(path: Path) -> str:
    """Below the current folder without it, as people type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _printable(name: str) -> str:
    """A file name is a stranger's text: no control character of it reaches the terminal."""
    return "".join(char if char.isprintable() else "�" for char in name)
