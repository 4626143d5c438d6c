"""`slimreel revoke JOB`: make the links to a result lead nowhere, and get a new one."""

from __future__ import annotations

import argparse

from rich.console import Console

from slimreel.cli.api import Api
from slimreel.cli.options import DONE, add_common, add_job, print_json


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "revoke",
        help="replace the link to a result",
        description="Make every link to a job's result that was given out lead nowhere, and print "
        "a new one, which the row gets too. Downloads already begun go on, for six hours at most.",
    )
    add_job(parser)
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    job = api.revoke(options.job)
    if options.json:
        print_json(job)
    else:
        console.print(job["published"]["url"], markup=False, soft_wrap=True)
    return DONE
