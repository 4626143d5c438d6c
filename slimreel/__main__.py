"""The `slimreel` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from slimreel import cli, plan_command, redrive_command
from slimreel.deploying import command as deploying
from slimreel.doctor import command as doctor
from slimreel.packaging import command as packaging
from slimreel.paths import EMPTY_DIR, PROJECT_DIR, UP_DIR
from slimreel.settings import command as config
from slimreel.setup import command as setting_up

if TYPE_CHECKING:
    from slimreel.airtable import SetupReport

#: The usual exit status of a program ended by Ctrl-C.
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, and turn expected failures into one clear line. Returns the exit status."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace, Console], int] = options.run
    console = Console(highlight=False)
    try:
        return run(options, console)
    except KeyboardInterrupt:
        console.print("\nStopped; everything started here has been cleaned up.")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slimreel",
        description="Drop a video into a Drive folder, get a smaller one that looks the same.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="send one video through the whole pipeline on this machine",
        description="Start the stand-in cloud, drop a video into its Drive folder, show it "
        "travel, and print a report. Needs no account anywhere.",
    )
    demo.add_argument(
        "--video", type=Path, metavar="FILE", help="your own video (default: a generated clip)"
    )
    demo.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON, too")
    demo.set_defaults(run=_demo)
    _add_up(commands)
    cli.add(commands)
    plan_command.add(commands)
    packaging.add_parser(commands)
    setting_up.add(commands)
    deploying.add(commands)
    doctor.add(commands)
    config.add(commands)
    redrive_command.add(commands)
    airtable = commands.add_parser("airtable", help="prepare the Airtable base")
    actions = airtable.add_subparsers(title="actions", required=True, metavar="ACTION")
    setup = actions.add_parser(
        "setup",
        help="create the table and its fields",
        description="Create the table and every field Slimreel writes, and say what is left to do "
        "by hand. Safe to repeat. The token is read from the environment variable AIRTABLE_TOKEN.",
    )
    setup.add_argument("base", metavar="BASE", help="the base's id (app…), from its web address")
    setup.add_argument("--table", default="Videos", help="the table's name (default: %(default)s)")
    setup.add_argument(
        "--api-url", default="https://api.airtable.com", metavar="URL", help=argparse.SUPPRESS
    )
    setup.set_defaults(run=_airtable_setup)
    return parser


def _add_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = commands.add_parser(
        "up",
        help="keep it running on this machine: drop videos in, find smaller ones",
        description="Run the stand-in cloud until Ctrl-C. Drop videos into the drive folder; "
        "results appear in the compressed folder. Stopped or killed, it goes on where it was.",
    )
    up.add_argument(
        "--drive",
        type=Path,
        default=Path("drive"),
        metavar="DIR",
        help="drop videos here; its folders are other Drive folders (default: ./drive)",
    )
    up.add_argument(
        "--compressed",
        type=Path,
        default=Path("compressed"),
        metavar="DIR",
        help="find results here (default: ./compressed)",
    )
    up.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where everything else is kept (default: .slimreel/up in the checkout)",
    )
    up.add_argument(
        "--empty",
        action="store_true",
        help="with nothing of Slimreel in it: an AWS account, a Drive folder and an Airtable base "
        "to try slimreel setup, deploy and destroy with (kept in .slimreel/empty)",
    )
    up.add_argument(
        "--port", type=int, metavar="N", help="of the address (default: that of last time)"
    )
    up.add_argument(
        "--encoder-jobs", type=int, default=1, metavar="N", help="videos encoded at the same time"
    )
    up.add_argument(
        "--as-person",
        action="store_true",
        help="act for the person whose Drive it is, not as a service account: that takes results "
        "into My Drive, with --parameter DriveResultsFolder=beside (docs/write-back.md)",
    )
    tests = up.add_argument_group("for crash and load tests")
    tests.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="written as JSON once everything answers"
    )
    tests.add_argument(
        "--encoder",
        choices=("ffmpeg", "stub"),
        default="ffmpeg",
        help="stub: hurried encodes, each done once per content",
    )
    tests.add_argument(
        "--schedule-speed",
        type=float,
        default=1.0,
        metavar="N",
        help="run scheduled functions N times as often, once a second at most",
    )
    tests.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="a parameter of the template, such as SyncLeaseS=5 or ReconcileSettleS=5; repeatable",
    )
    up.set_defaults(run=_up)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _up(options: argparse.Namespace, console: Console) -> int:
    from slimreel.empty import empty
    from slimreel.up import CannotStart, Options, up

    wanted = Options(
        data_dir=options.data_dir or (EMPTY_DIR if options.empty else UP_DIR),
        drive=options.drive,
        compressed=options.compressed,
        port=options.port,
        ready_file=options.ready_file,
        encoder=options.encoder,
        encoder_jobs=options.encoder_jobs,
        schedule_speed=options.schedule_speed,
        parameters=dict(options.parameter),
        as_person=options.as_person,
    )
    try:
        run = empty if options.empty else up
        run(wanted, project_dir=PROJECT_DIR, console=console)
    except CannotStart as problem:
        console.print(str(problem), style="red", soft_wrap=True)
        return 2
    return 0


def _demo(options: argparse.Namespace, console: Console) -> int:
    from slimreel.demo import DemoFailed, demo

    try:
        result = demo(
            project_dir=PROJECT_DIR,
            video=options.video,
            report_path=options.report,
            console=console,
        )
    except DemoFailed as problem:
        console.print(str(problem), style="red", soft_wrap=True)
        return 2
    return 0 if result.ended_well else 1


def _airtable_setup(options: argparse.Namespace, console: Console) -> int:
    from slimreel.airtable import SetupFailed, setup

    token = os.environ.get("AIRTABLE_TOKEN", "")
    if not token:
        console.print(
            "Set AIRTABLE_TOKEN to a personal access token first: airtable.com/create/tokens, "
            "scopes schema.bases:read, schema.bases:write, data.records:read, data.records:write "
            "and webhook:manage, access to this base.",
            style="red",
            soft_wrap=True,
        )
        return 2
    try:
        report = setup(
            token=token, api_url=options.api_url, base_id=options.base, table=options.table
        )
    except SetupFailed as problem:
        console.print(str(problem), style="red", soft_wrap=True)
        return 1
    for line in _setup_lines(report):
        console.print(line, soft_wrap=True, markup=False)
    return 0


def _setup_lines(report: SetupReport) -> Iterator[str]:
    if report.made_table:
        yield f"Made the table {report.table_name} with {len(report.made_fields)} fields."
    elif report.made_fields:
        yield f"Added to {report.table_name}: {', '.join(report.made_fields)}."
    else:
        yield f"{report.table_name} has every field already."
    yield f"Setting AIRTABLE_TABLE: {report.table_id}"
    yield f"Look at it: {report.table_url}"
    yield "Left to do by hand:"
    yield from (f"- {task}" for task in report.by_hand)


if __name__ == "__main__":
    sys.exit(main())
