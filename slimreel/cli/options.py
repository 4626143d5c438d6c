"""What the verbs have in common: arguments, and how they begin and end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from rich.console import Console

from slimreel.cli.api import Api, CannotAsk, find_api

DONE, ENDED_ILL, COULD_NOT = 0, 1, 2
Run = Callable[[Api, argparse.Namespace, Console], int]


def add_common(parser: argparse.ArgumentParser, run: Run) -> None:
    """`--url` and `--json`, and `run` with the API that was found."""
    parser.add_argument(
        "--url",
        metavar="URL",
        help="the API's address (default: SLIMREEL_URL, or the slimreel up on this machine)",
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=lambda options, console: _begun(run, options, console))


def add_job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help="a job's id, as in the row or the email")


def _begun(run: Run, options: argparse.Namespace, console: Console) -> int:
    try:
        api = find_api(options.url)
        try:
            return run(api, options, console)
        finally:
            api.close()
    except CannotAsk as problem:
        if options.json:
            print_json({"message": str(problem)})
        else:
            errors = Console(stderr=True, highlight=False)
            errors.print(str(problem), style="red", soft_wrap=True, markup=False)
        return COULD_NOT


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def ended_well(job: dict[str, Any]) -> int:
    """The exit status that says how a job stands."""
    return ENDED_ILL if job["status"] in ("Failed", "Cancelled") else DONE
