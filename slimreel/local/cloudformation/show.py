"""Stacks, change sets and events as the API lists them, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slimreel.local.cloudformation.errors import invalid
from slimreel.local.cloudformation.record import ChangeSet, Record, Resource, as_time

#: Our own choice, small enough that callers meet a second page.
PAGE = 50

Shown = dict[str, Any]


def stack(record: Record) -> Shown:
    return {
        **summary(record),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in sorted(record.parameters.items())
        ],
        "Outputs": [
            {"OutputKey": name, "OutputValue": value} for name, value in record.outputs.items()
        ],
        "Tags": [{"Key": name, "Value": value} for name, value in record.tags.items()],
        "Capabilities": record.capabilities,
        "DisableRollback": False,
        "EnableTerminationProtection": False,
        "NotificationARNs": [],
        "RollbackConfiguration": {},
        "Description": record.template.get("Description", ""),
    }


def summary(record: Record) -> Shown:
    times = {"LastUpdatedTime": record.updated_at, "DeletionTime": record.deleted_at}
    return {
        "StackId": record.id,
        "StackName": record.name,
        "StackStatus": record.status,
        "CreationTime": as_time(record.created_at),
        **{name: as_time(text) for name, text in times.items() if text},
        **({"StackStatusReason": record.reason} if record.reason else {}),
    }


def events(record: Record, token: str | None) -> Shown:
    """Newest first."""
    shown = [{**one, "Timestamp": as_time(one["Timestamp"])} for one in reversed(record.events)]
    return _page("StackEvents", shown, token)


def resources(record: Record, token: str | None) -> Shown:
    shown = [_resource(one) for one in record.resources.values()]
    return _page("StackResourceSummaries", shown, token)


def resource(record: Record, one: Resource) -> Shown:
    shown = _resource(one)
    shown["Timestamp"] = shown.pop("LastUpdatedTimestamp")
    return {**shown, "StackId": record.id, "StackName": record.name}


def _resource(one: Resource) -> Shown:
    return {
        "LogicalResourceId": one.logical_id,
        "PhysicalResourceId": one.physical_id,
        "ResourceType": one.type,
        "ResourceStatus": one.status,
        "LastUpdatedTimestamp": as_time(one.at),
        **({"ResourceStatusReason": one.reason} if one.reason else {}),
    }


def change_set(record: Record, one: ChangeSet, token: str | None) -> Shown:
    return {
        **change_set_summary(record, one),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in sorted(one.parameters.items())
        ],
        "Capabilities": one.capabilities,
        "Tags": [{"Key": name, "Value": value} for name, value in one.tags.items()],
        **_page("Changes", one.changes, token),
    }


def change_set_summary(record: Record, one: ChangeSet) -> Shown:
    return {
        "ChangeSetName": one.name,
        "ChangeSetId": one.id,
        "StackId": record.id,
        "StackName": record.name,
        "Status": one.status,
        "ExecutionStatus": one.execution,
        "CreationTime": as_time(one.created_at),
        **({"StatusReason": one.reason} if one.reason else {}),
    }


def _page(name: str, items: Sequence[Shown], token: str | None) -> Shown:
    if token is not None and not token.isdecimal():
        raise invalid("The specified pagination token is invalid.")
    start = int(token or 0)
    answer: Shown = {name: [*items[start : start + PAGE]]}
    if start + PAGE < len(items):
        answer["NextToken"] = str(start + PAGE)
    return answer
