"""The command `slimreel plan`: its options. What it does is loaded when it is asked for, as that
takes longer than everything else a command needs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console

_WORKFLOW = "compress"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `plan`."""
    parser = commands.add_parser(
        "plan",
        help="say what would happen to videos, without touching them",
        description="Look into videos, encode short samples of them here, and print what a run "
        "would do, what would come of it, and what MediaConvert would charge. Nothing is sent "
        "anywhere.",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument(
        "--folder", metavar="ID", help="a Drive folder instead: figures from Drive's listing alone"
    )
    parser.add_argument(
        "--credentials",
        type=Path,
        default=os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"),
        metavar="FILE",
        help="for --folder: a service account's key (default: GOOGLE_APPLICATION_CREDENTIALS)",
    )
    parser.add_argument(
        "--drive-url", default="https://www.googleapis.com/", help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--workflow", default=_WORKFLOW, help="whose preset and limits hold (default: %(default)s)"
    )
    parser.add_argument("--preset", help="(default: the workflow's)")
    parser.add_argument("--quick", action="store_true", help="encode no samples: guess from others")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, console: Console) -> int:
    from slimreel.plan import run

    return run(options, console)
