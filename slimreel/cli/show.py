"""Jobs in the terminal, from the API's JSON. Names and reasons are others' words: never markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chalicelib.domain.text import human_size, one_line, percent

Job = Mapping[str, Any]
COLOURS = {
    "Processing": "blue",
    "Retrying": "yellow",
    "Completed": "green",
    "Kept original": "cyan",
    "Failed": "red",
    "Cancelled": "magenta",
}
STEPS = {
    "register": "taken on",
    "fetch": "copying from Drive",
    "inspect": "looking inside",
    "plan": "deciding on settings",
    "budget": "waiting for the day's budget",
    "encode": "encoding",
    "choose": "choosing the setting",
    "restore": "putting metadata back",
    "measure": "comparing with the original",
    "verify": "judging",
    "publish": "publishing",
    "write_back": "putting it into Drive",
    "announce": "telling people",
}


def jobs_table(jobs: Iterable[Job]) -> Table:
    """One line a job."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("Job", "Status", "File", "Size", "Saved", "When"):
        table.add_column(heading, no_wrap=heading != "File", overflow="fold")
    for job in jobs:
        table.add_row(
            job["job_id"],
            status_text(job),
            Text(one_line(job["file_name"])),
            human_size(job["size_bytes"]),
            _saved(job["size_bytes"], job["published_size_bytes"]),
            when(job["completed_at"] or job["created_at"])[5:],
        )
    return table


def job_details(job: Job) -> RenderableType:
    """Everything a person wants to know about one job."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(job):
        table.add_row(name, value)
    bar = _bar(job)
    return Group(table, bar) if bar else table


def status_text(job: Job) -> Text:
    return Text(job["status"], style=COLOURS.get(job["status"], ""))


def when(at: str | None) -> str:
    """`2026-05-04 09:30` of a time stamp, in UTC like all of them."""
    return at[:16].replace("T", " ") if at else ""


def _lines(job: Job) -> Iterator[tuple[str, Text | str]]:
    file, published = job["file"], job["published"]
    yield "Job", f"{job['job_id']}, run {job['run']}, workflow {job['workflow']}"
    yield "File", Text(f"{one_line(file['name'])} ({human_size(file['size_bytes'])})")
    yield "Status", status_text(job)
    if job["waiting"]:
        yield "Waiting", Text(one_line(job["waiting"]))
    elif job["is_open"]:
        yield "Doing", _doing(job)
    if job["reason"]:
        yield "Why", Text(one_line(job["reason"]))
    if job["preset"]:
        yield "Preset", Text(job["preset"])
    if job["plan"] and job["plan"]["reasons"]:
        yield "Plan", Text("\n".join(one_line(reason) for reason in job["plan"]["reasons"]))
    if published:
        saved = _saved(file["size_bytes"], published["size_bytes"])
        yield "Published", f"{human_size(published['size_bytes'])} {saved and f'({saved} saved)'}"
        yield "Watch", Text(published["url"] or "")
    if copy := job.get("drive_copy"):
        yield "In Drive", Text(one_line(copy["url"] or copy["problem"] or "not yet"))
    if job["quality"]:
        quality = job["quality"]
        yield "Quality", Text(f"SSIM {quality['ssim_mean']:.4f}, by {quality['measured_by']}")
    if job["cost_usd"] is not None:
        yield "Cost", f"${job['cost_usd']:.4f}, estimated"
    yield "Times", _times(job)
    for request in job["requests"]:
        preset = f", preset {request['preset']}" if request["preset"] else ""
        asked = f"{request['action']} by {request['by']}, {when(request['at'])}{preset}"
        yield "Asked", Text(one_line(asked))
    if job["error"]:
        yield "Details", Text(one_line(job["error"]), style="dim")


def _doing(job: Job) -> str:
    progress = job["progress"]
    step = STEPS.get(progress["step"] or "", progress["step"] or "about to start")
    return f"{step}, attempt {progress['attempt']}" if progress["step"] == "encode" else step


def _bar(job: Job) -> RenderableType | None:
    """How far the long steps are."""
    progress, size_bytes = job["progress"], job["file"]["size_bytes"]
    if not job["is_open"] or job["waiting"]:
        return None
    done: float | None = None
    if progress["step"] == "fetch" and progress["copied_bytes"] is not None and size_bytes:
        done = 100 * progress["copied_bytes"] / size_bytes
    elif progress["step"] == "encode":
        done = progress["encode_percent"]
    return None if done is None else ProgressBar(total=100, completed=done, width=40)


def _times(job: Job) -> str:
    parts = [("created", "created_at"), ("started", "started_at"), ("ended", "completed_at")]
    told = [f"{word} {when(job[name])}" for word, name in parts if job[name]]
    return ", ".join(told) + " UTC"


def _saved(size_bytes: int, published_size_bytes: int | None) -> str:
    if published_size_bytes is None or size_bytes <= 0:
        return ""
    return percent(1 - published_size_bytes / size_bytes)
