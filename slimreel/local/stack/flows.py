"""State machines, the rules that carry their events, and the encoder's queue."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from slimreel.local.stack.errors import BadReference
from slimreel.local.stack.kinds import Kind, Made, Order, arn, has_code, tags_by_key
from slimreel.local.stack.shapes import ANY


def _state_machine(order: Order) -> Made:
    states = order.client("stepfunctions")
    properties = order.properties
    name = order.name("StateMachineName")
    machine = arn("states", f"stateMachine:{name}")
    definition = _substituted(
        order.logical_id,
        properties["DefinitionString"],
        properties.get("DefinitionSubstitutions", {}),
    )
    reports = _reports(properties)
    try:
        states.create_state_machine(
            name=name,
            definition=definition,
            roleArn=properties["RoleArn"],
            **reports,
            type=properties.get("StateMachineType", "STANDARD"),
            tags=[{"key": tag["Key"], "value": tag["Value"]} for tag in properties.get("Tags", [])],
        )
    except ClientError as error:
        if not has_code(error, "StateMachineAlreadyExists"):
            raise
    # AWS refuses a second creation with another definition; a stand-in may answer with the old.
    states.update_state_machine(
        stateMachineArn=machine, definition=definition, roleArn=properties["RoleArn"], **reports
    )
    return Made(ref=machine, attributes={"Arn": machine, "Name": name})


def _reports(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Logging and tracing in the API's spelling, which differs in the first letters."""
    reports: dict[str, Any] = {}
    if logging := properties.get("LoggingConfiguration"):
        groups = [one["CloudWatchLogsLogGroup"]["LogGroupArn"] for one in logging["Destinations"]]
        reports["loggingConfiguration"] = {
            "level": logging["Level"],
            "includeExecutionData": logging.get("IncludeExecutionData", False),
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}} for arn in groups],
        }
    if tracing := properties.get("TracingConfiguration"):
        reports["tracingConfiguration"] = {"enabled": tracing["Enabled"]}
    return reports


def _substituted(logical_id: str, definition: str, values: Mapping[str, str]) -> str:
    """The definition with each `${name}` replaced, none left over."""

    def replacement(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise BadReference(
                f"{logical_id}: the definition uses ${{{found[1]}}}, not substituted."
            )
        return values[found[1]]

    return re.sub(r"\$\{(\w+)\}", replacement, definition)


def _rule(order: Order) -> Made:
    events = order.client("events")
    name = order.name("Name")
    settings = order.picked("Description", "RoleArn", "ScheduleExpression", "State")
    if pattern := order.properties.get("EventPattern"):
        settings["EventPattern"] = json.dumps(pattern)
    events.put_rule(Name=name, **settings)
    if targets := order.properties.get("Targets"):
        answer = events.put_targets(Rule=name, Targets=targets)
        if answer.get("FailedEntryCount"):
            raise BadReference(f"{order.logical_id}: targets refused: {answer['FailedEntries']}")
    return Made(ref=name, attributes={"Arn": arn("events", f"rule/{name}")})


def _encoder_queue(order: Order) -> Made:
    mediaconvert = order.client("mediaconvert")
    name = order.name("Name")
    try:
        mediaconvert.create_queue(
            Name=name,
            **order.picked("Description", "PricingPlan", "Status"),
            Tags=tags_by_key(order.properties.get("Tags", [])),
        )
    except ClientError as error:
        if not has_code(error, "ConflictException"):
            raise
    queue = mediaconvert.get_queue(Name=name)["Queue"]
    changes = order.picked("Description", "Status")
    if any(queue.get(key) != value for key, value in changes.items()):
        queue = mediaconvert.update_queue(Name=name, **changes)["Queue"]
    return Made(ref=name, attributes={"Arn": queue["Arn"], "Name": name})


KINDS = {
    "AWS::StepFunctions::StateMachine": Kind(
        shape={
            "DefinitionString": ANY,
            "DefinitionSubstitutions": ANY,
            "LoggingConfiguration": {
                "Level": ANY,
                "IncludeExecutionData": ANY,
                "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": ANY}}],
            },
            "TracingConfiguration": {"Enabled": ANY},
            "RoleArn": ANY,
            "StateMachineName": ANY,
            "StateMachineType": ANY,
            "Tags": ANY,
        },
        create=_state_machine,
        required=("DefinitionString", "RoleArn"),
    ),
    "AWS::Events::Rule": Kind(
        shape={
            "Description": ANY,
            "EventPattern": ANY,
            "Name": ANY,
            "RoleArn": ANY,
            "ScheduleExpression": ANY,
            "State": ANY,
            "Targets": [ANY],
        },
        create=_rule,
    ),
    "AWS::MediaConvert::Queue": Kind(
        shape={"Name": ANY, "Description": ANY, "PricingPlan": ANY, "Status": ANY, "Tags": ANY},
        create=_encoder_queue,
    ),
}
