"""`slimreel status [JOB]`: one job, or all that are on their way; live in a terminal."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live

from slimreel.cli.api import Api
from slimreel.cli.list_jobs import fetch
from slimreel.cli.options import DONE, add_common, ended_well, print_json
from slimreel.cli.show import job_details, jobs_table

LOOK_EVERY_S = 2.0
MOST_OPEN = 100
NOTHING = "Nothing is being processed. Drop a video into the Drive folder, or: slimreel list"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "status",
        help="show one job, or all that are on their way",
        description="Show a job, or all jobs on their way. In a terminal it follows them until "
        "they have ended; Ctrl-C only stops looking. Exit status 1: the job failed or was "
        "cancelled.",
    )
    parser.add_argument("job", nargs="?", metavar="JOB", help="a job's id")
    parser.add_argument("--once", action="store_true", help="look once, do not follow")
    parser.add_argument(
        "--wait", action="store_true", help="wait for the end also where there is no terminal"
    )
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    def look() -> list[dict[str, Any]]:
        return [api.job(options.job)] if options.job else _open_jobs(api)

    live = console.is_terminal and not options.json and not options.once
    if live:
        jobs = _followed(look, options.job, console)
    else:
        jobs = look()
        while options.wait and _on_their_way(jobs):
            time.sleep(LOOK_EVERY_S)
            jobs = look()
        if options.json:
            print_json(jobs[0] if options.job else jobs)
        else:
            console.print(_shown(jobs, options.job))
    return ended_well(jobs[0]) if options.job else DONE


def _followed(
    look: Callable[[], list[dict[str, Any]]], job_id: str | None, console: Console
) -> list[dict[str, Any]]:
    jobs = look()
    with Live(_shown(jobs, job_id), console=console, refresh_per_second=4) as view:
        try:
            while _on_their_way(jobs):
                time.sleep(LOOK_EVERY_S)
                jobs = look()
                view.update(_shown(jobs, job_id))
        except KeyboardInterrupt:
            pass  # the job goes on; only looking at it has ended
    return jobs


def _open_jobs(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for status in ("processing", "retrying"):
        found += fetch(api, MOST_OPEN, status=status)
    return sorted(found, key=lambda job: str(job["created_at"]), reverse=True)


def _on_their_way(jobs: list[dict[str, Any]]) -> bool:
    return any(job["is_open"] for job in jobs)


def _shown(jobs: list[dict[str, Any]], job_id: str | None) -> RenderableType:
    if job_id:
        return job_details(jobs[0])
    return jobs_table(jobs) if jobs else NOTHING
