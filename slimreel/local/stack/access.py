"""Roles and log groups."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError

from slimreel.local.stack.kinds import Kind, Made, Order, arn, has_code
from slimreel.local.stack.shapes import ANY

_LOGS_OF_GATEWAY = "::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"


def _role(order: Order) -> Made:
    iam = order.client("iam")
    name = order.name("RoleName")
    trust = json.dumps(order.properties["AssumeRolePolicyDocument"])
    try:
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=trust,
            **order.picked("Description", "MaxSessionDuration", "Path", "Tags"),
        )["Role"]
    except ClientError as error:
        if not has_code(error, "EntityAlreadyExists"):
            raise
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        role = iam.get_role(RoleName=name)["Role"]
    for policy in order.properties.get("Policies", []):
        document = json.dumps(policy["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
    for managed in order.properties.get("ManagedPolicyArns", []):
        # Loading Amazon's own policies would take moto a second, and nothing here needs this one.
        if not managed.endswith(_LOGS_OF_GATEWAY):
            iam.attach_role_policy(RoleName=name, PolicyArn=managed)
    return Made(ref=name, attributes={"Arn": role["Arn"], "RoleId": role["RoleId"]})


def _policy(order: Order) -> Made:
    name, document = order.name("PolicyName"), json.dumps(order.properties["PolicyDocument"])
    for role in order.properties["Roles"]:
        order.client("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
    return Made(ref=name)


def _log_group(order: Order) -> Made:
    logs = order.client("logs")
    name = order.name("LogGroupName")
    try:
        logs.create_log_group(logGroupName=name)
    except ClientError as error:
        if not has_code(error, "ResourceAlreadyExistsException"):
            raise
    if days := order.properties.get("RetentionInDays"):
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)
    return Made(ref=name, attributes={"Arn": arn("logs", f"log-group:{name}:*")})


KINDS = {
    "AWS::IAM::Role": Kind(
        shape={
            "AssumeRolePolicyDocument": ANY,
            "Description": ANY,
            "ManagedPolicyArns": [ANY],
            "MaxSessionDuration": ANY,
            "Path": ANY,
            "Policies": [{"PolicyName": ANY, "PolicyDocument": ANY}],
            "RoleName": ANY,
            "Tags": ANY,
        },
        create=_role,
        required=("AssumeRolePolicyDocument",),
    ),
    "AWS::IAM::Policy": Kind(
        shape={"PolicyName": ANY, "PolicyDocument": ANY, "Roles": [ANY]},
        create=_policy,
        required=("PolicyDocument", "Roles"),
    ),
    "AWS::Logs::LogGroup": Kind(
        shape={"LogGroupName": ANY, "RetentionInDays": ANY}, create=_log_group
    ),
}
