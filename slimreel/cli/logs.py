"""`slimreel logs JOB`: what every function logged about a job, with its steps, by time.

In AWS from CloudWatch Logs, with your own credentials; of the `slimreel up` on this machine from
its log files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from chalicelib.domain.text import iso, one_line, parse_iso
from slimreel.cli.api import LOCAL_HOSTS, Api, CannotAsk
from slimreel.cli.options import DONE, add_common, add_job, print_json
from slimreel.paths import UP_DIR

COLOURS = {"ERROR": "red", "CRITICAL": "red", "WARNING": "yellow", "STEP": "bold"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a log; `level` is STEP for a step of the job's own timeline."""

    at: str
    function: str
    level: str
    message: str


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "logs",
        help="show what was logged about a job",
        description="Show every log line that names a job, of all functions, together with the "
        "job's steps, by time. In AWS it takes the right logs:FilterLogEvents and "
        "logs:DescribeLogGroups.",
    )
    add_job(parser)
    parser.add_argument(
        "--stage", default="prod", metavar="NAME", help="in AWS: of which stage (default: prod)"
    )
    parser.add_argument(
        "--run", dest="of_run", type=int, metavar="N", help="of this run of the job only"
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=UP_DIR,
        metavar="DIR",
        help="on this machine: of which slimreel up (default: that of this checkout)",
    )
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    job = api.job(options.job)
    if urlsplit(api.url).hostname in LOCAL_HOSTS:
        found = from_files(options.data_dir / "logs", job["job_id"])
    else:
        found = from_cloudwatch(api.client("logs"), options.stage, job)
    lines = sorted([*steps_of(job), *found], key=lambda line: line.at)
    if options.of_run is not None:
        begin, end = _times_of_run(job, options.of_run)
        lines = [line for line in lines if begin <= line.at < end]
    if options.json:
        print_json([asdict(line) for line in lines])
    else:
        for line in lines:
            console.print(_shown(line), soft_wrap=True)
    return DONE


def steps_of(job: Mapping[str, Any]) -> Iterator[Line]:
    """The job's own timeline, which outlives every log."""
    for moment in job["timeline"]:
        run = f"run {moment['run']}: {moment['step']} begins"
        yield Line(at=moment["at"], function=moment["step"], level="STEP", message=run)


def from_files(folder: Path, job_id: str) -> Iterator[Line]:
    """
    Raises:
        CannotAsk: there are no log files.
    """
    files = sorted(folder.glob("*.log"))
    if not files:
        raise CannotAsk(f"There are no log files in {folder}.")
    for file in files:
        function = file.stem.rpartition("-")[2]
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if job_id in line:
                    yield _read(line, function, at=None)


def from_cloudwatch(client: Any, stage: str, job: Mapping[str, Any]) -> Iterator[Line]:
    """
    Raises:
        CannotAsk: no such stage, or not with these credentials.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    prefix = f"/aws/lambda/slimreel-{stage}-"
    # Group by group: one call takes one. Sequences of pages may hold empty ones.
    # Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    since = parse_iso(job["created_at"]) - timedelta(minutes=5)
    try:
        groups = [
            group["logGroupName"]
            for page in client.get_paginator("describe_log_groups").paginate(
                logGroupNamePrefix=prefix
            )
            for group in page["logGroups"]
        ]
        if not groups:
            raise CannotAsk(f"There are no logs of a stage {stage!r} here; say --stage.")
        for group in groups:
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=group,
                startTime=int(since.timestamp() * 1000),
                filterPattern=f'"{job["job_id"]}"',
            )
            for page in pages:
                for event in page["events"]:
                    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield _read(event["message"], group.removeprefix(prefix), at=iso(at))
    except (BotoCoreError, ClientError) as problem:
        raise CannotAsk(f"CloudWatch Logs cannot be read: {problem}") from problem


def _read(line: str, function: str, *, at: str | None) -> Line:
    """A line as Lambda writes it: JSON of ours and of libraries, plain text of the runtime's."""
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return Line(at=at or "", function=function, level="", message=line.strip())
    when = str(told.get("timestamp") or at or "")
    message = str(told.get("message") or told.get("errorMessage") or "")
    if trace := told.get("stackTrace") or told.get("exception"):
        message += "\n" + (trace if isinstance(trace, str) else "".join(map(str, trace)))
    return Line(
        at=at or (iso(parse_iso(when)) if when else ""),
        function=function,
        level=str(told.get("level") or ""),
        message=message,
    )


def _times_of_run(job: Mapping[str, Any], run: int) -> tuple[str, str]:
    """From when to when a run's lines are its own."""
    begins = {moment["run"]: moment["at"] for moment in reversed(job["timeline"])}
    if run not in begins:
        raise CannotAsk(f"The job has no run {run} that began; it has {sorted(begins) or 'none'}.")
    return begins[run], begins.get(run + 1, "9999")


def _shown(line: Line) -> Text:
    at = line.at[:23].replace("T", " ")
    message = "\n    ".join(one_line(part) for part in line.message.splitlines())
    return Text.assemble(
        (f"{at}  ", "dim"), (f"{line.function:<16}", "cyan"), (message, COLOURS.get(line.level, ""))
    )
