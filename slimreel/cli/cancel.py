"""`slimreel cancel JOB`: stop a job."""

from __future__ import annotations

import argparse

from rich.console import Console

from slimreel.cli.api import Api
from slimreel.cli.options import DONE, add_common, add_job, print_json


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "cancel",
        help="stop a job",
        description="Stop a job at any moment until its result is published. Row and email say "
        "who did and when; the original in Drive is untouched.",
    )
    add_job(parser)
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    job = api.cancel(options.job)
    if options.json:
        print_json(job)
    else:
        console.print(
            f"{job['reason']} To have it processed after all: slimreel retry {job['job_id']}",
            markup=False,
            soft_wrap=True,
        )
    return DONE
