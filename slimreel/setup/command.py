"""`slimreel setup`. Exit status: 0 all is well, 1 something is left to do, 2 no answer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from slimreel.deploying.command import account_of, add_account, asked, in_words
from slimreel.paths import PROJECT_DIR

WELL, LEFT_TO_DO, UNANSWERED = 0, 1, 2


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "setup",
        help="be guided from an empty AWS account to a running stage",
        description="Ask for what is missing, check each answer, store secrets and settings, "
        "deploy, connect Drive. Stop any time: it goes on where it was.",
    )
    add_account(parser)
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="a TOML file with the answers: docs/deploy.md"
    )
    parser.add_argument("--yes", action="store_true", help="deploy without asking")
    parser.add_argument(
        "--package", type=Path, metavar="DIR", help="deploy what slimreel package left there"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, console: Console) -> int:
    from botocore.exceptions import BotoCoreError, ClientError

    from slimreel.deploying import CannotDeploy
    from slimreel.deploying.deploy import Stopped
    from slimreel.deploying.package import packaged
    from slimreel.deploying.stage_file import read
    from slimreel.doctor.site import Site
    from slimreel.setup.answers import Answers, Unanswered
    from slimreel.setup.guide import Guide

    try:
        if options.answers is None and not sys.stdin.isatty():
            raise Unanswered("Nobody is here to answer: give --answers FILE.")
        answers = Answers(options.answers, console)
        site = Site(account_of(options), options.stage, PROJECT_DIR)
        guide = Guide(
            site,
            read(options.stage),
            answers,
            console,
            package=lambda: options.package or packaged(PROJECT_DIR, options.stage, console),
            ask=lambda question: asked(question, options.yes, console),
        )
        try:
            return WELL if guide.walk() else LEFT_TO_DO
        finally:
            site.close()
    except (CannotDeploy, ClientError, BotoCoreError) as problem:
        console.print(in_words(problem), style="red", soft_wrap=True, markup=False)
        return LEFT_TO_DO
    except (Unanswered, Stopped) as said:
        console.print(f"{said}", soft_wrap=True, markup=False)
        console.print("What was done until here stays; run it again to go on.")
        return UNANSWERED
