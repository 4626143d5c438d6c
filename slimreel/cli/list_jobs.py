"""`slimreel list`: jobs, newest first."""

from __future__ import annotations

import argparse

from rich.console import Console

from slimreel.cli.api import Api
from slimreel.cli.options import DONE, add_common, print_json
from slimreel.cli.show import jobs_table

STATUSES = ("processing", "retrying", "completed", "kept original", "failed", "cancelled")
MOST_AT_ONCE = 100
NEXT = "Drop a video into the Drive folder, or: slimreel submit --help"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "list",
        help="list jobs, newest first",
        description="List jobs, newest first. For example: slimreel list --status failed",
    )
    parser.add_argument("--status", choices=STATUSES, metavar="STATUS", help=", ".join(STATUSES))
    parser.add_argument("--workflow", metavar="NAME", help="of this workflow only")
    parser.add_argument("-n", "--limit", type=_count, default=25, metavar="N", help="(default: 25)")
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    jobs = fetch(api, options.limit, status=options.status, workflow=options.workflow)
    if options.json:
        print_json(jobs)
    elif jobs:
        console.print(jobs_table(jobs))
    else:
        console.print(f"There are no such jobs. {NEXT}")
    return DONE


def fetch(api: Api, limit: int, **wanted: str | None) -> list[dict[str, object]]:
    """As many of the newest jobs, page by page."""
    jobs: list[dict[str, object]] = []
    page: str | None = None
    while len(jobs) < limit:
        answer = api.jobs(limit=min(limit - len(jobs), MOST_AT_ONCE), page=page, **wanted)
        jobs += answer["jobs"]
        page = answer["next_page"]
        if page is None:
            break
    return jobs


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError("a number from 1 to 10000")
    return int(text)
