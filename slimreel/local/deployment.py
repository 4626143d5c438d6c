"""Slimreel deployed on the stand-in cloud: what `slimreel deploy` and `setup` do in an account.

The same template, handlers and set-up code as in AWS; only names, addresses and secrets differ.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from chalicelib.adapters.drive import Drive
from chalicelib.adapters.drive_errors import DriveError
from chalicelib.adapters.flows import Flows
from chalicelib.adapters.records import Records
from chalicelib.domain.row import FIELDS, KEY_FIELD, TABLE_NAME
from chalicelib.steps import channel, sync
from slimreel import airtable, template
from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.cloud import Cloud
from slimreel.local.hosted_ui import PREFIX as HOSTED_UI
from slimreel.local.stack import Stack, apply

log = logging.getLogger("slimreel.local.deployment")

STAGE = "local"
INBOX = "Inbox"
_INBOX_VARIABLE = "DRIVE_INBOX_FOLDER"
NOTICE_EMAIL = "you@example.com"
#: People who can sign in at once, by their group.
PEOPLE = {"admin": NOTICE_EMAIL, "operator": "olga@example.com", "viewer": "vic@example.com"}


@dataclass(frozen=True)
class Deployment:
    """A running cloud with Slimreel in it.

    Attributes:
        inbox_folder_id: the Drive folder that starts the compress workflow.
        inbox: the same folder on this machine's disk.
        folders, folder_ids: the same for every workflow whose folder is a parameter.
        base_id: the Airtable base that holds the rows.
        password: of everybody in `PEOPLE`.
    """

    cloud: Cloud
    stack: Stack
    inbox_folder_id: str
    inbox: Path
    folders: Mapping[str, Path]
    folder_ids: Mapping[str, str]
    base_id: str
    password: str

    def resume(self) -> None:
        """Take up what an earlier process of the same data directory left unfinished.

        Executions and queued messages died with it. Their jobs are started again, rows that are
        behind and changes in Drive are looked for, and interrupted encodes begin anew.
        """
        # First, while nothing else runs: no job is waited for that somebody might be closing.
        if any(True for _ in self.records.open_jobs()):
            try:
                self.invoke("reconcile_jobs", {"settle_s": 0})
            except RuntimeError as failure:
                log.warning("jobs wait for the next look of the schedule: %s", failure)
        self.cloud.mediaconvert.resume()
        for rule in ("renew_channel", "sweep_drive", "requeue_rows"):
            self.invoke(rule, wait=False)

    @property
    def logs_dir(self) -> Path:
        """One file per function."""
        return self.cloud.data_dir / "logs"

    @cached_property
    def records(self) -> Records:
        return Records(self._table)

    @cached_property
    def _table(self) -> Any:
        return self.cloud.resource("dynamodb").Table(self.stack.resources["JobsTable"])

    @cached_property
    def drive(self) -> Drive:
        """Drive as Slimreel's own account sees it."""
        return Drive(
            credentials_json=json.dumps(self.cloud.drive.credentials_json()),
            api_url=self.cloud.endpoint_url + "/",
        )

    @cached_property
    def flows(self) -> Flows:
        arn = self.stack.outputs["CompressFlowArn"]
        return Flows(self.cloud.client("stepfunctions"), arn_prefix=arn.removesuffix("compress"))

    def close(self) -> None:
        """Close the connections made here; the cloud goes on."""
        self.drive.close()
        self._table.meta.client.close()

    def rows(self, job_id: str) -> list[dict[str, Any]]:
        """A job's Airtable rows, as a person would see them: there is one, or none yet."""
        rows = self.cloud.airtable.rows(self.base_id, TABLE_NAME)
        return [row for row in rows if row.get(KEY_FIELD) == job_id]

    def invoke(
        self, function: str, detail: Mapping[str, object] | None = None, *, wait: bool = True
    ) -> None:
        """Call a function as its schedule would.

        Args:
            detail: the event's; a schedule's own is empty.
            wait: for the end of it.

        Raises:
            RuntimeError: the function failed; the message holds what it said.
        """
        answer = self.cloud.client("lambda").invoke(
            FunctionName=f"slimreel-{STAGE}-{function}",
            InvocationType="RequestResponse" if wait else "Event",
            Payload=json.dumps({**_scheduled_event(), "detail": dict(detail or {})}),
        )
        if "FunctionError" in answer:
            raise RuntimeError(f"{function} failed: {answer['Payload'].read().decode()}")


@contextmanager
def deployed(
    data_dir: Path,
    project_dir: Path,
    *,
    encoder_concurrency: int = 1,
    environments: int = 8,
    parameters: Mapping[str, str] | None = None,
) -> Iterator[Deployment]:
    """Start the stand-in cloud with Slimreel deployed and listening; stop it at the end.

    Args:
        data_dir: where everything the cloud holds is kept, Drive's files included.
        project_dir: the checkout whose `app.py` and template are used.
        environments: as in `Cloud`.
        parameters: as in `deploy`.
    """
    cloud_of_ours = Cloud(
        data_dir, project_dir, encoder_concurrency=encoder_concurrency, environments=environments
    )
    with cloud_of_ours as cloud:
        deployment = deploy(cloud, project_dir, parameters=parameters)
        with closing(deployment):
            yield deployment


def deploy(
    cloud: Cloud,
    project_dir: Path,
    *,
    inbox_name: str = INBOX,
    parameters: Mapping[str, str] | None = None,
    as_person: bool = False,
) -> Deployment:
    """Make the folder, the base, the secrets and every resource of the template.

    Safe to repeat: what a data directory has already is found again and stays.

    Args:
        inbox_name: the folder of My Drive that starts the compress workflow; empty for My Drive
            itself.
        parameters: more of the template's parameters.
        as_person: store the Google credentials of the person whose Drive it is, in place of those
            of a service account.

    Raises:
        StackError: the template cannot be applied, or has no such parameter.
    """
    names = _folder_names(project_dir, inbox_name)
    for name in names.values():
        (cloud.drive_root / name).mkdir(parents=True, exist_ok=True)
    cloud.drive.scan()
    folder_ids = {variable: _folder_id(cloud, name) for (_, variable), name in names.items()}
    base_id = cloud.airtable.create_base("Slimreel")
    _set_up_airtable(cloud, base_id)
    _store_secrets(cloud, as_person=as_person)
    stack = apply(
        _template(cloud.data_dir, project_dir),
        parameters={
            "Stage": STAGE,
            "NoticeEmail": NOTICE_EMAIL,
            **{_parameter(variable): folder for variable, folder in folder_ids.items()},
            "AirtableBaseId": base_id,
            "AirtableTable": TABLE_NAME,
            "DriveApiUrl": cloud.endpoint_url + "/",
            "AirtableApiUrl": cloud.endpoint_url,
            "PublicUrl": cloud.endpoint_url + "/api",
            "SignInUrl": cloud.endpoint_url + HOSTED_UI,
            "FfmpegPath": imageio_ffmpeg.get_ffmpeg_exe(),
            **(parameters or {}),
        },
        client=cloud.client,
        gateway=cloud.gateway,
    )
    deployment = Deployment(
        cloud=cloud,
        stack=stack,
        inbox_folder_id=folder_ids[_INBOX_VARIABLE],
        inbox=cloud.drive_root / inbox_name,
        folders={workflow: cloud.drive_root / name for (workflow, _), name in names.items()},
        folder_ids={workflow: folder_ids[variable] for workflow, variable in names},
        base_id=base_id,
        password=_let_people_in(cloud, stack.resources["People"]),
    )
    _free_lease(deployment)
    _close_misled_channel(deployment)
    if not deployment.records.state(*channel.CURRENT):
        deployment.invoke("renew_channel")
    return deployment


def _folder_names(project_dir: Path, inbox_name: str) -> dict[tuple[str, str], str]:
    """The folder of My Drive for each workflow whose folder is a parameter of the stage; by
    workflow and the variable its settings name. All but the inbox are called like their workflow.
    """
    names: dict[tuple[str, str], str] = {}
    for file in sorted((project_dir / "workflows").glob("*.toml")):
        start = tomllib.loads(file.read_text(encoding="utf-8"))["start"]
        found = re.fullmatch(r"\$\{([A-Z][A-Z0-9_]*)\}", str(start["drive_folder"]))
        if found:
            is_inbox = found[1] == _INBOX_VARIABLE
            names[file.stem, found[1]] = inbox_name if is_inbox else file.stem.capitalize()
    return names


def _folder_id(cloud: Cloud, name: str) -> str:
    return cloud.drive.folder_id(name) if name else cloud.drive.root_id


def _parameter(variable: str) -> str:
    """`DRIVE_INBOX_FOLDER` is `DriveInboxFolder` in the template."""
    return "".join(word.capitalize() for word in variable.split("_"))


def _template(data_dir: Path, project_dir: Path) -> dict[str, Any]:
    """The translated template; the one of last time while nothing it is made from has changed."""
    kept = data_dir / "template.json"
    files = [project_dir / "app.py", Path(template.__file__)]
    for folder, pattern in ((".chalice", "*"), ("workflows", "*"), ("chalicelib", "**/*.py")):
        files += sorted(path for path in (project_dir / folder).glob(pattern) if path.is_file())
    key = hashlib.sha256()
    for name in ("chalice", "aws-sam-translator"):
        key.update(importlib.metadata.version(name).encode())
    for file in files:
        key.update(f"\0{file}\0".encode() + file.read_bytes())
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(kept.read_text())
        if known["key"] == key.hexdigest():
            return dict(known["template"])
    made = template.cloudformation(project_dir, STAGE)
    _replace(kept, json.dumps({"key": key.hexdigest(), "template": made}))
    return made


def _set_up_airtable(cloud: Cloud, base_id: str) -> None:
    """The table and its fields; not looked at again while they are what was made last time."""
    done = cloud.data_dir / "airtable-fields"
    wanted = hashlib.sha256(repr(FIELDS).encode()).hexdigest()
    if done.exists() and done.read_text() == wanted:
        return
    airtable.setup(
        token=cloud.airtable_token,
        api_url=cloud.endpoint_url,
        base_id=base_id,
        table=TABLE_NAME,
    )
    _replace(done, wanted)


def _replace(path: Path, text: str) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    draft.replace(path)


def _store_secrets(cloud: Cloud, *, as_person: bool = False) -> None:
    drive = cloud.drive
    google = drive.user_credentials_json() if as_person else drive.credentials_json()
    ssm = cloud.client("ssm")
    prefix = f"/slimreel/{STAGE}/"
    values = {
        "google-credentials": json.dumps(google),
        "airtable-token": cloud.airtable_token,
    }
    for key in ("link-key", "callback-key"):  # made once: links and signatures stay good
        if not ssm.get_parameters(Names=[prefix + key])["Parameters"]:
            values[key] = secrets.token_urlsafe(32)
    for name, value in values.items():
        ssm.put_parameter(Name=prefix + name, Value=value, Type="SecureString", Overwrite=True)


def _let_people_in(cloud: Cloud, pool_id: str) -> str:
    """Make those who can sign in, and their password: always the same in one data directory."""
    kept = cloud.data_dir / "password"
    if not kept.exists():
        _replace(kept, "Reel-" + secrets.token_hex(6))
        kept.chmod(0o600)
    password = kept.read_text()
    cognito = cloud.client("cognito-idp")
    for group, email in PEOPLE.items():
        verified = [
            {"Name": "email", "Value": email},
            {"Name": "email_verified", "Value": "true"},
        ]
        who = {"UserPoolId": pool_id, "Username": email}
        with contextlib.suppress(cognito.exceptions.UsernameExistsException):
            cognito.admin_create_user(**who, UserAttributes=verified, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(**who, Password=password, Permanent=True)
        cognito.admin_add_user_to_group(**who, GroupName=group)
    return password


def _free_lease(deployment: Deployment) -> None:
    """Nobody reads the change log yet: a lease that is held was held by a process now gone."""
    deployment.records.save_state(*sync.STATE, {"lease_until": 0})


def _close_misled_channel(deployment: Deployment) -> None:
    """After a move to another port: let a new channel be opened, for the old one rings there."""
    address = deployment.cloud.data_dir / "address"
    here = deployment.cloud.endpoint_url
    if address.exists() and address.read_text() != here:
        current = deployment.records.state(*channel.CURRENT)
        if current:
            with contextlib.suppress(DriveError):  # it ended by itself
                deployment.drive.stop_channel(
                    channel_id=current["channel_id"], resource_id=current["resource_id"]
                )
            deployment.records.delete_state(*channel.CURRENT)
    _replace(address, here)


def _scheduled_event() -> dict[str, object]:
    """What EventBridge sends for a schedule.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
    """
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": "2026-01-01T00:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": {},
    }
