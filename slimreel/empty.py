"""`slimreel up --empty`: accounts with nothing of Slimreel in them, to practise on.

An AWS account, a Google Workspace with one folder and one service account, an Airtable with one
empty base. What `slimreel setup` asks for is printed and lies in files, as it would come from the
vendors' consoles.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from slimreel.local.cloud import Cloud
from slimreel.up import (
    CannotStart,
    Options,
    log_to,
    only_one,
    port_for,
    remember_port,
    shown,
    stop_on_signals,
)

FOLDER = "Inbox"
BASE = "Studio"


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the vendors' consoles would have given.

    Attributes:
        google_key: the service account's key file.
        airtable_token: a file that holds the token.
    """

    cloud: Cloud
    folder: Path
    folder_id: str
    google_key: Path
    airtable_token: Path
    base_id: str


@contextmanager
def accounts(options: Options, project_dir: Path) -> Iterator[Accounts]:
    """The cloud of a data directory, with what was deployed into it before, and nothing else.

    Raises:
        CannotStart: another one runs on the directory, or the port is taken.
    """
    options.data_dir.mkdir(parents=True, exist_ok=True)
    with only_one(options.data_dir):
        log_to(options.data_dir / "logs")
        cloud = Cloud(
            options.data_dir,
            project_dir,
            port=port_for(options),
            encoder=options.encoder,
            encoder_concurrency=options.encoder_jobs,
            schedule_speed=options.schedule_speed,
            mail_asks=True,
        )
        with cloud:
            remember_port(options.data_dir, cloud.endpoint_url)
            yield furnished(cloud)


def furnished(cloud: Cloud) -> Accounts:
    """Make the folder, the key, the base and the token, and bring back what was deployed."""
    folder = cloud.drive_root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    cloud.drive.scan()
    key = _secret(cloud.data_dir / "google-key.json", json.dumps(cloud.drive.credentials_json()))
    token = _secret(cloud.data_dir / "airtable-token", cloud.airtable_token)
    base_id = cloud.airtable.create_base(BASE)
    cloud.cloudformation.resume()
    return Accounts(
        cloud=cloud,
        folder=folder,
        folder_id=cloud.drive.folder_id(FOLDER),
        google_key=key,
        airtable_token=token,
        base_id=base_id,
    )


def empty(options: Options, *, project_dir: Path, console: Console) -> None:
    """Run until Ctrl-C or SIGTERM.

    Raises:
        CannotStart: see `accounts`.
    """
    if options.ready_file is not None or options.parameters:
        raise CannotStart("--ready-file and --parameter are for what --empty leaves out.")
    begun = time.monotonic()
    stop = stop_on_signals()
    console.print("Starting AWS, Google Drive and Airtable on this machine …")
    with accounts(options, project_dir) as made:
        for what, where in _places(made):  # no table: it would break a long path in two
            console.print(f"{what:<10}{where}", soft_wrap=True, markup=False, highlight=False)
        console.print(
            f"Ready after {time.monotonic() - begun:.1f} s. Now, in another terminal: "
            "slimreel setup --stage local",
            soft_wrap=True,
        )
        stop.wait()
    console.print("Stopped. Nothing is lost: the next start goes on from here.")


def _places(made: Accounts) -> Iterator[tuple[str, str]]:
    key, token = (shown(one).rstrip("/") for one in (made.google_key, made.airtable_token))
    yield "AWS", "slimreel … --stage local finds it"
    yield "Google", f"key {key}, folder {made.folder_id}"
    yield "", f"which is {shown(made.folder)}"
    yield "Airtable", f"token in {token}, base {made.base_id}"
    yield "", f"{made.cloud.endpoint_url}/airtable"
    yield "Mail", f"{made.cloud.endpoint_url}/mail"


def _secret(path: Path, text: str) -> Path:
    """For its owner's eyes."""
    draft = path.with_suffix(".part")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
    return path
