"""A change set in words, and which of its changes must not happen by accident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Change = Mapping[str, Any]

#: Types that hold what cannot be had again: films, the record of every job, people's sign-ins.
PRECIOUS = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool")

#: From how many on resources are counted and no more named: new ones, and those changed alike.
_MANY, _ALIKE = 12, 3

_KINDS = {
    "AWS::ApiGateway::Account": "API log setting",
    "AWS::ApiGateway::Deployment": "API deployment",
    "AWS::ApiGateway::RestApi": "API",
    "AWS::ApiGateway::Stage": "API stage",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::Cognito::UserPool": "user pool",
    "AWS::Cognito::UserPoolClient": "sign-in client",
    "AWS::Cognito::UserPoolDomain": "sign-in domain",
    "AWS::Cognito::UserPoolGroup": "user group",
    "AWS::DynamoDB::Table": "table",
    "AWS::Events::Rule": "event rule",
    "AWS::IAM::Role": "role",
    "AWS::Lambda::EventInvokeConfig": "retry setting",
    "AWS::Lambda::EventSourceMapping": "queue reader",
    "AWS::Lambda::Function": "function",
    "AWS::Lambda::LayerVersion": "layer version",
    "AWS::Lambda::Permission": "permission",
    "AWS::Logs::LogGroup": "log group",
    "AWS::MediaConvert::Queue": "encoder queue",
    "AWS::S3::Bucket": "bucket",
    "AWS::S3::BucketPolicy": "bucket policy",
    "AWS::SNS::Subscription": "subscription",
    "AWS::SNS::Topic": "topic",
    "AWS::SNS::TopicPolicy": "topic policy",
    "AWS::SQS::Queue": "queue",
    "AWS::SQS::QueuePolicy": "queue policy",
    "AWS::StepFunctions::StateMachine": "flow",
}


def kind(type_name: str) -> str:
    """A resource type as people call it."""
    return _KINDS.get(type_name, type_name)


def counted(types: Sequence[str]) -> str:
    """`22 functions, 5 queues, 1 table`: most first."""
    counts = Counter(kind(one) for one in types)
    return ", ".join(
        f"{count} {name if count == 1 else _plural(name)}"
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def in_words(changes: Sequence[Change]) -> Iterator[str]:
    """One line for each change; many new resources, and many changed alike, on one line."""
    told = [change["ResourceChange"] for change in changes]
    added = [one for one in told if one["Action"] == "Add"]
    if len(added) > _MANY:
        yield f"+ {len(added)} new: {counted([one['ResourceType'] for one in added])}"
    else:
        yield from (f"+ new {_named(one)}" for one in added)
    modified = [one for one in told if one["Action"] == "Modify" and not _is_replaced(one)]
    alike: dict[tuple[str, str], list[Change]] = {}
    for one in modified:
        what = ", ".join(_properties(one)) or "attributes"
        alike.setdefault((one["ResourceType"], what), []).append(one)
    for (type_name, what), group in alike.items():
        if len(group) > _ALIKE:
            yield f"~ changed {counted([type_name] * len(group))}: {what}"
        else:
            yield from (f"~ changed {_named(one)}: {what}" for one in group)
    for one in told:
        if one["Action"] == "Remove":
            kept = one.get("PolicyAction") == "Retain"
            yield f"- removed {_named(one)}" + (" (what it holds is kept)" if kept else "")
    for one in told:
        if _is_replaced(one):
            sure = "REPLACED" if one.get("Replacement") == "True" else "PERHAPS REPLACED"
            yield f"! {sure} {_named(one)}: {', '.join(_properties(one))} cannot change in place"


def dangers(changes: Sequence[Change]) -> dict[str, str]:
    """Changes that would take films or records away, as a sentence by logical id."""
    found = {}
    for change in changes:
        one = change["ResourceChange"]
        if one["ResourceType"] not in PRECIOUS:
            continue
        name, what = one["LogicalResourceId"], kind(one["ResourceType"])
        physical = one.get("PhysicalResourceId", "")
        if one["Action"] == "Remove":
            found[name] = f"The {what} {name} ({physical}) would leave the stack."
        elif _is_replaced(one):
            found[name] = (
                f"The {what} {name} ({physical}) would be replaced by an empty one: "
                f"{', '.join(_properties(one))} cannot change in place."
            )
    return found


def _is_replaced(one: Change) -> bool:
    return one["Action"] == "Modify" and one.get("Replacement") in ("True", "Conditional")


def _properties(one: Change) -> list[str]:
    targets = [detail.get("Target", {}) for detail in one.get("Details", [])]
    return sorted({str(target["Name"]) for target in targets if target.get("Name")})


def _named(one: Change) -> str:
    return f"{kind(one['ResourceType'])} {one['LogicalResourceId']}"


def _plural(name: str) -> str:
    return name[:-1] + "ies" if name.endswith("icy") else f"{name}s"
