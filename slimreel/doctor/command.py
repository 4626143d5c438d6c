"""`slimreel doctor`: the checks as a list. Exit status: 0 all well, 1 something is wrong, 2 it
could not be looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from slimreel.cli.options import print_json
from slimreel.deploying.command import account_of, add_account
from slimreel.paths import PROJECT_DIR

if TYPE_CHECKING:
    from slimreel.doctor import Finding
    from slimreel.doctor.site import Site

WELL, ILL, COULD_NOT = 0, 1, 2
_MARKS = {
    "ok": ("✓", "green"),
    "note": ("·", "yellow"),
    "wrong": ("✗", "red"),
    "unknown": ("?", ""),
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="look whether everything is as it must be, and say what to do",
        description="Look at account, quotas, key, folders, base, stack, subscriptions, push "
        "channel and what was given up. Nothing is changed.",
    )
    add_account(parser)
    parser.add_argument(
        "--video",
        action="store_true",
        help="make a test video of two seconds, wait until it was dropped, and follow it",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=_run)


def show(finding: Finding, console: Console) -> None:
    mark, style = _MARKS[finding.verdict.value]
    line = Text()
    line.append(f"{mark} ", style=style)
    line.append(f"{finding.check:<22}", style="bold" if style == "red" else "")
    line.append(finding.said)
    console.print(line, soft_wrap=True)
    if finding.next_step:
        console.print(Text(f"    → {finding.next_step}"), soft_wrap=True)


def _run(options: argparse.Namespace, console: Console) -> int:
    from slimreel.deploying import CannotDeploy
    from slimreel.doctor import Verdict
    from slimreel.doctor.site import Site

    try:
        site = Site(account_of(options), options.stage, PROJECT_DIR)
    except CannotDeploy as problem:
        if options.json:
            print_json({"message": str(problem)})
        else:
            console.print(str(problem), style="red", soft_wrap=True, markup=False)
        return COULD_NOT
    findings = []
    for finding in _findings(site, options, console):
        findings.append(finding)
        if not options.json:
            show(finding, console)
    site.close()
    if options.json:
        print_json({"findings": [finding.as_json() for finding in findings]})
    return ILL if any(finding.verdict is Verdict.WRONG for finding in findings) else WELL


def _findings(site: Site, options: argparse.Namespace, console: Console) -> Iterator[Finding]:
    from slimreel.doctor.examine import examine
    from slimreel.doctor.video import make_clip, watch

    yield from examine(site)
    if options.video and site.stack is not None:
        clip = make_clip(Path.cwd())
        folder = site.setting("DriveInboxFolder")

        told = Console(stderr=True) if options.json else console

        def say(text: str) -> None:
            told.print(f"  {text}", soft_wrap=True, markup=False)

        say(f"Drop {clip} into https://drive.google.com/drive/folders/{folder} now.")
        yield from watch(site, clip.name, say)
