"""A live view of one job: its steps, how long each took, and progress bars for the long ones."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import zip_longest

from botocore.exceptions import ClientError
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from chalicelib.domain.job import Job
from chalicelib.domain.plan import Route
from chalicelib.domain.text import human_size, parse_iso
from slimreel.live_view import LiveView
from slimreel.local.deployment import Deployment
from slimreel.report import step_times

#: Every step with what it does, in the order of the flow.
STEPS = {
    "register": "Take the job on",
    "fetch": "Copy from Drive to S3, compare checksums",
    "inspect": "Look inside",
    "plan": "Decide on settings",
    "budget": "Ask the day's budget",
    "encode": "Encode with MediaConvert",
    "choose": "Choose the setting its samples promise most for",
    "restore": "Put date, place and camera back",
    "measure": "Decode and compare with the original",
    "verify": "Judge",
    "publish": "Publish to S3",
    "write_back": "Put into Drive",
    "announce": "Email and Airtable",
    "fail": "Close with a reason",
}
#: GetJob is asked no more often than its quota of 2 a second allows.
#: Source: https://docs.aws.amazon.com/general/latest/gr/mediaconvert.html
ASK_ENCODER_EVERY_S = 0.5


class Watch(LiveView):
    """Use as a context manager; call `show` as often as you like.

    In a terminal the view redraws itself; where output is no terminal each step is one line.
    """

    def __init__(self, console: Console, deployment: Deployment) -> None:
        super().__init__(console, refresh_per_second=8, transient=False)
        self._encoder = deployment.cloud.client("mediaconvert")
        self._encode_percent = 0
        self._asked_at = 0.0
        self._printed = 0

    def show(self, job: Job) -> None:
        if job.step == "encode" and job.encoder_job_id:
            self._ask_encoder(job.encoder_job_id)
        if self._console.is_terminal:
            self._live.update(self._view(job))
        else:
            self._print_new_steps(job)

    def _view(self, job: Job) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        times, words = list(step_times(job)), titles(job)
        for number, (moment, took) in enumerate(zip(job.timeline, times, strict=True)):
            running = job.status.is_open and number == len(times) - 1
            seconds = seconds_since(moment.at) if running else took.seconds
            mark: RenderableType = Spinner("dots") if running else Text("✓", style="green")
            if moment.step == "fail":
                mark = Text("✗", style="red")
            table.add_row(
                mark,
                words[number],
                Text(f"{seconds:.1f} s", style="dim", justify="right"),
                progress(job, self._encode_percent) if running else "",
            )
        return Group("", table, "")

    def _ask_encoder(self, encoder_job_id: str) -> None:
        if time.monotonic() - self._asked_at < ASK_ENCODER_EVERY_S:
            return
        self._asked_at = time.monotonic()
        try:
            answer = self._encoder.get_job(Id=encoder_job_id)["Job"]
        except ClientError:
            return  # only the bar stands still; the job goes on without us
        self._encode_percent = int(answer.get("JobPercentComplete") or 0)
        if answer["Status"] == "COMPLETE":
            self._encode_percent = 100

    def _print_new_steps(self, job: Job) -> None:
        finished = len(job.timeline) - job.status.is_open
        times, words = list(step_times(job)), titles(job)
        for number in range(self._printed, finished):
            step = job.timeline[number].step
            mark = "✗" if step == "fail" else "✓"
            self._console.print(f"{mark} {words[number]} {times[number].seconds:.1f} s")
        self._printed = max(self._printed, finished)


def title(step: str, job: Job, then: str | None = None) -> str:
    """What a step of a job does.

    Args:
        then: the step that followed; None of the one that runs.
    """
    searches = job.plan is not None and job.plan.route is Route.SEARCH
    if step == "encode" and (then == "choose" or (then is None and searches)):
        return "Encode samples with MediaConvert"
    return STEPS.get(step, step)


def titles(job: Job) -> list[str]:
    """What each step of the timeline does."""
    steps = [moment.step for moment in job.timeline]
    return [title(step, job, then) for step, then in zip_longest(steps, steps[1:])]


def progress(job: Job, encode_percent: int | None) -> RenderableType:
    """A bar for the steps that take long; nothing for the others."""
    bar = Table.grid(padding=(0, 1))
    if job.step == "fetch" and job.fetched and job.size_bytes:
        done = job.fetched.done_bytes
        text = f"{human_size(done)} of {human_size(job.size_bytes)}"
        bar.add_row(ProgressBar(job.size_bytes, done, width=30), text)
    elif job.step == "encode":
        text = f"{encode_percent or 0} %" if job.encoder_job_id else "submitting"
        bar.add_row(ProgressBar(100, encode_percent or 0, width=30), text)
    return bar


def seconds_since(at: str) -> float:
    """Since a time stamp of a record."""
    return max(0.0, (datetime.now(UTC) - parse_iso(at)).total_seconds())
