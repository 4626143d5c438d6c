"""`slimreel submit FILE`: hand a file to a workflow, wherever it lies."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rich.console import Console

from slimreel.cli.api import Api, CannotAsk
from slimreel.cli.options import DONE, add_common, print_json
from slimreel.cli.upload import upload

#: As browsers show them: https://drive.google.com/file/d/<id>/view and .../open?id=<id>
_LINK = re.compile(
    r"https://drive\.google\.com/(?:file/d/|(?:open|uc)\?(?:.*&)?id=)([\w-]{10,128})"
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "submit",
        help="hand a file of yours, in Drive or in S3 to a workflow",
        description="Hand a file to a workflow, wherever it lies. Slimreel's account must be able "
        "to see a file in Google Drive, and an S3 bucket must be named in SubmitBuckets; a file on "
        "this machine travels by such a bucket. Content that is known already is not processed "
        "twice: see slimreel retry.",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a file on this machine (with --via), a Drive id, a link to a file in Drive, or "
        "s3://bucket/key",
    )
    parser.add_argument(
        "--via",
        metavar="S3_FOLDER",
        help="s3://bucket/folder to upload a file of this machine to; it stays there",
    )
    parser.add_argument("--workflow", metavar="NAME", help="needed where there are several")
    parser.add_argument("--preset", metavar="NAME", help="in place of the workflow's")
    parser.add_argument(
        "--callback", metavar="URL", help="an https address to tell once the job has ended"
    )
    add_common(parser, run)


def run(api: Api, options: argparse.Namespace, console: Console) -> int:
    job = api.submit(
        _address(api, options.file, options.via),
        workflow=options.workflow,
        preset=options.preset,
        callback_url=options.callback,
    )
    if options.json:
        print_json(job)
    elif job["is_open"]:
        console.print(f"On its way: slimreel status {job['job_id']}", markup=False)
    else:
        console.print(
            f"This very content has been processed already and ended as {job['status']}: "
            f"{job['reason'] or ''} To try it again: slimreel retry {job['job_id']}",
            markup=False,
            soft_wrap=True,
        )
    return DONE


def _address(api: Api, file: str, via: str | None) -> str:
    """Where Slimreel finds the file, which is uploaded first if it lies here."""
    path = Path(file)
    if via is not None:
        if not path.is_file():
            raise CannotAsk(f"{file} is no file on this machine; --via is for those only.")
        return upload(api.client("s3"), path, via)
    if path.is_file():
        raise CannotAsk(
            f"{file} is on this machine. Put it into a Drive folder that is watched, or let it "
            "travel by a bucket that is named in SubmitBuckets: --via s3://BUCKET/FOLDER"
        )
    return file_id(file)


def file_id(text: str) -> str:
    """
    Raises:
        CannotAsk: a link to something else.
    """
    found = _LINK.match(text)
    if found:
        return found[1]
    if "://" in text and not text.startswith("s3://"):
        raise CannotAsk(f"{text} is no link to a file in Google Drive. In Drive: Share, Copy link.")
    return text
