"""`slimreel retry JOB`: a new run of a job."""

from __future__ import annotations

import argparse

from rich.console import Console

from slimreel.cli.api import Api
from slimreel.cli.options import DONE, add_common, add_job, print_json


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "retry",
        help="try a job again, with the same or another preset",
        description="Begin a new run of a job that failed, was cancelled or kept the original. "
        "With --force also of one that is completed: its result stays published until the new one "
        "is verified and takes its place.",
    )
    add_job(parser)
    parser.add_argument("--preset", metavar="NAME", help="in place of the last one")
    parser.add_argument("--force", action="store_true", help="even though a result is published")
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    seen = api.job(options.job)
    job = api.retry(
        options.job, after_run=seen["run"], preset=options.preset, force=options.force or None
    )
    if options.json:
        print_json(job)
    else:
        console.print(f"Run {job['run']} is on its way: slimreel status {job['job_id']}")
    return DONE
