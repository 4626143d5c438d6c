"""`slimreel deploy` and `slimreel destroy`: arguments, questions, and what is said at the end.

Exit status: 0 done, 1 it failed in AWS or was refused, 2 it was not begun, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from slimreel.paths import PROJECT_DIR

if TYPE_CHECKING:
    from slimreel.deploying.account import Account

DONE, FAILED, NOT_BEGUN, INTERRUPTED = 0, 1, 2, 130


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    deploy = commands.add_parser(
        "deploy",
        help="bring a stage in an AWS account to what this checkout says",
        description="Package, send, show what changes, ask, apply, follow. Run it again whenever "
        "anything has changed, or to follow an update that goes on. The stage “local” is the "
        "stand-in cloud on this machine: start one with slimreel up --empty.",
    )
    add_account(deploy)
    deploy.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="a setting of the stage, before stages/<stage>.toml and what was deployed last; "
        "repeatable",
    )
    deploy.add_argument("--yes", action="store_true", help="do not ask")
    deploy.add_argument(
        "--package",
        type=Path,
        metavar="DIR",
        help="deploy what slimreel package left there, in place of a package of this checkout",
    )
    deploy.add_argument(
        "--may-replace",
        action="append",
        default=[],
        metavar="NAME",
        help="a bucket or table, by its name in the template, that may be replaced or removed",
    )
    deploy.set_defaults(run=_deploy)

    destroy = commands.add_parser(
        "destroy",
        help="take a stage out of an AWS account; videos and records stay",
        description="Delete what deploy made. Published videos and the record of jobs are kept "
        "unless told otherwise; Google Drive and Airtable are never touched.",
    )
    add_account(destroy)
    destroy.add_argument("--yes", action="store_true", help="do not ask")
    destroy.add_argument(
        "--delete-videos", action="store_true", help="delete every published video, too"
    )
    destroy.add_argument(
        "--delete-jobs", action="store_true", help="delete the record of every job, too"
    )
    destroy.add_argument(
        "--confirm", metavar="STAGE", help="the stage's name, where nobody can type it"
    )
    destroy.set_defaults(run=_destroy)


def add_account(parser: argparse.ArgumentParser, *, needs_stage: bool = True) -> None:
    """`--stage`, `--region` and `--endpoint-url`."""
    parser.add_argument(
        "--stage", required=needs_stage, help="of .chalice/config.json: prod, dev, local"
    )
    parser.add_argument(
        "--region", help="(default: stages/<stage>.toml, AWS_REGION, or your AWS profile)"
    )
    parser.add_argument(
        "--endpoint-url",
        metavar="URL",
        help="where AWS's services answer (default: AWS_ENDPOINT_URL, or AWS itself)",
    )


def account_of(options: argparse.Namespace) -> Account:
    """
    Raises:
        CannotDeploy: see `account.connect` and `stage_file.read`.
    """
    import os

    from slimreel.deploying.account import connect
    from slimreel.deploying.stage_file import read

    file = read(options.stage)
    endpoint_url = options.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    # boto3 knows AWS_DEFAULT_REGION alone; AWS's own tools and SDKs go by AWS_REGION first.
    region = options.region or file.region or os.environ.get("AWS_REGION")
    return connect(options.stage, region=region, endpoint_url=endpoint_url or None)


def _deploy(options: argparse.Namespace, console: Console) -> int:
    from slimreel.deploying.deploy import Wanted, deploy
    from slimreel.deploying.package import packaged
    from slimreel.deploying.stage_file import read

    def work() -> None:
        account = account_of(options)
        file = read(options.stage)
        package = options.package or packaged(PROJECT_DIR, options.stage, console)
        wanted = Wanted(
            stage=options.stage,
            package=package,
            from_file=file.parameters,
            from_flags=dict(options.parameter),
            may_replace=options.may_replace,
        )
        outputs = deploy(
            account,
            wanted,
            ask=lambda question: asked(question, options.yes, console),
            console=console,
        )
        _at_the_end(account, options.stage, outputs, console)
        account.close()

    return _ended(work, console)


def _destroy(options: argparse.Namespace, console: Console) -> int:
    from slimreel.deploying.destroy import Farewell, destroy

    def typed(prompt: str) -> str | None:
        if options.confirm is not None:
            return str(options.confirm)
        return console.input(prompt) if sys.stdin.isatty() else None

    def work() -> None:
        account = account_of(options)
        destroy(
            account,
            Farewell(
                stage=options.stage,
                delete_videos=options.delete_videos,
                delete_jobs=options.delete_jobs,
            ),
            ask=lambda question: asked(question, options.yes, console),
            typed=typed,
            console=console,
        )
        account.close()

    return _ended(work, console)


def _ended(work: Callable[[], None], console: Console) -> int:
    """How the work ended, as an exit status; what stopped it is printed."""
    from botocore.exceptions import BotoCoreError, ClientError

    from slimreel.deploying import CannotDeploy
    from slimreel.deploying.deploy import Stopped

    try:
        work()
    except (CannotDeploy, ClientError, BotoCoreError) as problem:
        console.print(in_words(problem), style="red", soft_wrap=True, markup=False)
        return FAILED
    except Stopped as said:
        console.print(f"\n{said}", soft_wrap=True, markup=False)
        return INTERRUPTED if said.goes_on else NOT_BEGUN
    return DONE


def in_words(problem: Exception) -> str:
    """What went wrong; of a refusal of AWS's, what was asked for and what to do."""
    response = getattr(problem, "response", None)
    if response is None:
        return str(problem)
    error, operation = response["Error"], getattr(problem, "operation_name", "a call")
    said = f"AWS refused {operation}: {error.get('Code')}: {error.get('Message', '')}"
    denied = "AccessDenied" in error.get("Code", "") or "not authorized" in said
    return said + (" Ask for that right, then run it again." if denied else "")


def asked(question: str, yes: bool, console: Console) -> bool:
    """A person's yes; nobody's is a no, and `yes` was said beforehand."""
    if yes:
        return True
    if not sys.stdin.isatty():
        console.print(f"{question} Nobody is here to answer; --yes answers beforehand.")
        return False
    return console.input(f"{question} [y/N] ", markup=False).strip().lower() in ("y", "yes")


def _at_the_end(account: Account, stage: str, outputs: dict[str, str], console: Console) -> None:
    rows = {
        "Web page": outputs.get("PagesUrl", ""),
        "API": account.api_url(outputs),
        "Videos": f"s3://{outputs.get('CompressedBucketName', '')}",
    }
    for name, value in rows.items():
        if value:
            console.print(f"{name:<10}{value}", soft_wrap=True, markup=False)
    console.print(f"Next: slimreel doctor --stage {stage} says what is missing.")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
