"""`slimreel open JOB`: the links of a job, and one of them in the browser."""

from __future__ import annotations

import argparse
import webbrowser
from typing import Any

from rich.console import Console
from rich.text import Text

from slimreel.cli.api import Api, CannotAsk
from slimreel.cli.options import DONE, add_common, add_job, print_json

WHAT = ("result", "drive", "row")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "open",
        help="show the links of a job, or open one in the browser",
        description="Print where a job's result, its original in Google Drive and its Airtable row "
        "are. Name one of them to open it in the browser.",
    )
    add_job(parser)
    parser.add_argument("what", nargs="?", choices=WHAT, help="open this in the browser")
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    job = api.job(options.job)
    links = links_of(job)
    if options.what and links[options.what] is None:
        raise CannotAsk(_why_not(options.what, job))
    if options.json:
        print_json(links)
    else:
        # No table: it would cut addresses where the terminal ends.
        for name, url in links.items():
            said = Text.assemble((f"{name:<8}", "dim"), url or f"({_why_not(name, job)})")
            console.print(said, soft_wrap=True)
    if options.what:
        webbrowser.open(str(links[options.what]))
    return DONE


def links_of(job: dict[str, Any]) -> dict[str, str | None]:
    """Where each is; None where it is not."""
    published = job["published"]
    return {
        "result": published["url"] if published else None,
        "drive": job["file"]["url"],
        "row": job.get("row_url"),
    }


def _why_not(what: str, job: dict[str, Any]) -> str:
    if what == "result":
        return job.get("result_deleted") or f"Nothing is published; the job is {job['status']}."
    if what == "drive":
        return "Google Drive gave no address for the original."
    return "The row is not written yet, or this stage keeps none."
