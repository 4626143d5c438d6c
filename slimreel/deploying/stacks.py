"""A stack as it stands, and change sets for it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from slimreel.deploying import CannotDeploy
from slimreel.deploying.follow import REVIEW
from slimreel.deploying.parameters import values_of

_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that can be executed.

    Attributes:
        creates: it makes the stack; nothing is there yet.
        changes: as DescribeChangeSet lists them, all pages.
        settings: parameters that get another value, one line each.
    """

    id: str
    stack_id: str
    creates: bool
    changes: list[dict[str, Any]]
    settings: list[str]


def described(client: Any, name: str) -> dict[str, Any] | None:
    """The stack, or None where none of that name lives."""
    try:
        stack: dict[str, Any] = client.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return stack


def change_set(
    client: Any,
    name: str,
    *,
    template_url: str | None,
    parameters: list[dict[str, Any]],
    stage: str,
) -> ChangeSet | None:
    """Work out what would change; None where nothing would.

    Args:
        template_url: None for the template that the stack has.

    Raises:
        CannotDeploy: CloudFormation does not take the template or a parameter.
    """
    stack = described(client, name)
    creates = stack is None or stack["StackStatus"] == REVIEW
    source: dict[str, Any] = {"TemplateURL": template_url}
    if template_url is None:
        source = {"UsePreviousTemplate": True}
    label = f"slimreel-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    try:
        made = client.create_change_set(
            StackName=name,
            ChangeSetName=label,
            ChangeSetType="CREATE" if creates else "UPDATE",
            Capabilities=_CAPABILITIES,
            Parameters=parameters,
            Tags=[{"Key": "slimreel:stage", "Value": stage}],
            **source,
        )
    except ClientError as error:
        said = error.response["Error"]["Message"]
        raise CannotDeploy(f"CloudFormation does not take it: {said}") from error
    told = _settled(client, made["Id"])
    if told["Status"] == "FAILED":
        client.delete_change_set(ChangeSetName=made["Id"])
        reason = told.get("StatusReason", "")
        if any(sign in reason for sign in _NO_CHANGES):
            return None
        raise CannotDeploy(f"CloudFormation could not work the changes out: {reason}")
    before, after = values_of({} if stack is None or creates else stack), values_of(told)
    settings = [
        f"~ setting {name}: {before[name] or 'empty'} becomes {after[name] or 'empty'}"
        for name in after
        if name in before and before[name] != after[name]
    ]
    changes = _changes(client, made["Id"])
    return ChangeSet(made["Id"], made["StackId"], creates, changes, settings)


def discard(client: Any, unwanted: ChangeSet) -> None:
    """Nothing of it happens. A stack that was only under review for it goes, too."""
    client.delete_change_set(ChangeSetName=unwanted.id)
    if unwanted.creates:
        client.delete_stack(StackName=unwanted.stack_id)


def _settled(client: Any, change_set_id: str) -> dict[str, Any]:
    while True:
        told: dict[str, Any] = client.describe_change_set(ChangeSetName=change_set_id)
        if told["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return told
        time.sleep(_LOOK_EVERY_S)


def _changes(client: Any, change_set_id: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set_id)
    return [change for page in pages for change in page.get("Changes", [])]
