"""`slimreel config`: every setting in force, and where its value came from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slimreel.cli.options import print_json
from slimreel.deploying.command import account_of, add_account, in_words
from slimreel.paths import PROJECT_DIR

if TYPE_CHECKING:
    from slimreel.doctor.site import Site
    from slimreel.settings import Value

DONE, COULD_NOT = 0, 2


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "config",
        help="show every setting in force, and where its value came from",
        description="Settings of the workflows, and of a stage where --stage names one. What each "
        "means: docs/settings.md.",
    )
    add_account(parser, needs_stage=False)
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, console: Console) -> int:
    from botocore.exceptions import BotoCoreError, ClientError

    from slimreel.deploying import CannotDeploy
    from slimreel.settings.effective import of_workflows

    try:
        values = [*_of_stage(options)] if options.stage else []
    except (CannotDeploy, ClientError, BotoCoreError) as problem:
        if options.json:
            print_json({"message": in_words(problem)})
        else:
            console.print(in_words(problem), style="red", soft_wrap=True, markup=False)
        return COULD_NOT
    values += of_workflows(PROJECT_DIR)
    if options.json:
        print_json({"settings": [value.as_json() for value in values]})
        return DONE
    for group in dict.fromkeys(value.setting.group for value in values):
        title = f"stage {options.stage}" if group == "stage" else group
        console.print(f"\n{title}", style="bold", markup=False)
        lines = Table.grid(padding=(0, 2))
        for value in values:
            if value.setting.group == group:
                shown = Text(value.value or "none")
                if value.pending is not None:
                    shown.append(f", {value.pending or 'none'} when deployed", style="yellow")
                lines.add_row(f"  {value.setting.name}", shown, Text(value.source, style="dim"))
        console.print(lines)
    return DONE


def _of_stage(options: argparse.Namespace) -> Iterator[Value]:
    from slimreel.deploying.parameters import values_of
    from slimreel.deploying.stage_file import read
    from slimreel.doctor.site import Site
    from slimreel.settings.effective import of_secrets, of_stage
    from slimreel.template import parameters

    file = read(options.stage)
    site = Site(account_of(options), options.stage, PROJECT_DIR)
    try:
        yield from of_stage(
            parameters(PROJECT_DIR),
            file,
            deployed=values_of(site.stack or {}),
            stand_in=site.account.parameters,
        )
        yield from of_secrets(_stored(site), site.secret_path(""))
    finally:
        site.close()


def _stored(site: Site) -> dict[str, bool | None]:
    from botocore.exceptions import ClientError

    from slimreel.settings import SECRETS

    found: dict[str, bool | None] = {}
    for setting in SECRETS:
        try:
            found[setting.name] = site.secret(setting.name) is not None
        except ClientError:
            found[setting.name] = None
    return found
