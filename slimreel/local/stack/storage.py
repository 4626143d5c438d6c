"""Buckets and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from slimreel.local import REGION
from slimreel.local.stack.errors import NeedsReplacement
from slimreel.local.stack.kinds import Kind, Made, Order, arn, has_code
from slimreel.local.stack.shapes import ANY

_RULE = {
    "Id": ANY,
    "Status": ANY,
    "Prefix": ANY,
    "ExpirationInDays": ANY,
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ANY},
    "Transitions": [{"StorageClass": ANY, "TransitionInDays": ANY}],
}


def _bucket(order: Order) -> Made:
    s3 = order.client("s3")
    name = order.name("BucketName").lower()
    try:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    except ClientError as error:
        if not has_code(error, "BucketAlreadyOwnedByYou"):
            raise
    properties = order.properties
    if encryption := properties.get("BucketEncryption"):
        rules = [_encryption_rule(r) for r in encryption["ServerSideEncryptionConfiguration"]]
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    if access := properties.get("PublicAccessBlockConfiguration"):
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=access)
    if ownership := properties.get("OwnershipControls"):
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=ownership)
    if lifecycle := properties.get("LifecycleConfiguration"):
        rules = [_lifecycle_rule(rule) for rule in lifecycle["Rules"]]
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    return Made(ref=name, attributes={"Arn": f"arn:aws:s3:::{name}"})


def _encryption_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    converted = {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
    if "BucketKeyEnabled" in rule:
        converted["BucketKeyEnabled"] = rule["BucketKeyEnabled"]
    return converted


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """CloudFormation's spelling of a rule in S3's."""
    converted: dict[str, Any] = {
        "Status": rule["Status"],
        "Filter": {"Prefix": rule.get("Prefix", "")},
    }
    if "Id" in rule:
        converted["ID"] = rule["Id"]
    if "ExpirationInDays" in rule:
        converted["Expiration"] = {"Days": rule["ExpirationInDays"]}
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        converted["AbortIncompleteMultipartUpload"] = abort
    if transitions := rule.get("Transitions"):
        converted["Transitions"] = [
            {"StorageClass": one["StorageClass"], "Days": one["TransitionInDays"]}
            for one in transitions
        ]
    return converted


def _bucket_policy(order: Order) -> Made:
    bucket = order.properties["Bucket"]
    policy = json.dumps(order.properties["PolicyDocument"])
    order.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
    return Made(ref=bucket)


def _table(order: Order) -> Made:
    dynamodb = order.client("dynamodb")
    name = order.name("TableName")
    wanted = order.picked(
        "AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes"
    )
    try:
        dynamodb.create_table(TableName=name, **wanted)
    except ClientError as error:
        if not has_code(error, "ResourceInUseException"):
            raise
        _update_table(order, name, wanted)
    if recovery := order.properties.get("PointInTimeRecoverySpecification"):
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification=recovery
        )
    if (ttl := order.properties.get("TimeToLiveSpecification")) and not _has_ttl(dynamodb, name):
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    return Made(ref=name, attributes={"Arn": arn("dynamodb", f"table/{name}")})


def _update_table(order: Order, name: str, wanted: Mapping[str, Any]) -> None:
    """Add and remove indexes, one a call as the service wants it; keys cannot change."""
    dynamodb = order.client("dynamodb")
    existing = dynamodb.describe_table(TableName=name)["Table"]
    if wanted["KeySchema"] != existing["KeySchema"]:
        raise NeedsReplacement(
            f"{order.logical_id}: the table that is kept here has other keys than the template."
            " Remove the local state to start with an empty one."
        )
    has, wants = _indexes(existing), _indexes(wanted)
    changed = [index for index in has if index not in wants or _differs(has[index], wants[index])]
    missing = [index for index in wants if index not in has or index in changed]
    updates = [{"Delete": {"IndexName": index}} for index in changed]
    updates += [{"Create": wants[index]} for index in missing]
    for update in updates:
        dynamodb.update_table(
            TableName=name,
            AttributeDefinitions=wanted["AttributeDefinitions"],
            GlobalSecondaryIndexUpdates=[update],
        )


def _indexes(table: Mapping[str, Any]) -> dict[str, Any]:
    return {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes") or []}


def _differs(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(one[part] != other[part] for part in ("KeySchema", "Projection"))


def _has_ttl(dynamodb: Any, table: str) -> bool:
    # Switching on what is on already is a ValidationException.
    about = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return bool(about["TimeToLiveStatus"] in ("ENABLED", "ENABLING"))


KINDS = {
    "AWS::S3::Bucket": Kind(
        shape={
            "BucketName": ANY,
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": ANY,
                            "KMSMasterKeyID": ANY,
                        },
                        "BucketKeyEnabled": ANY,
                    }
                ]
            },
            "PublicAccessBlockConfiguration": ANY,
            "OwnershipControls": ANY,
            "LifecycleConfiguration": {"Rules": [_RULE]},
        },
        create=_bucket,
    ),
    "AWS::S3::BucketPolicy": Kind(
        shape={"Bucket": ANY, "PolicyDocument": ANY},
        create=_bucket_policy,
        required=("Bucket", "PolicyDocument"),
    ),
    "AWS::DynamoDB::Table": Kind(
        shape={
            "TableName": ANY,
            "AttributeDefinitions": ANY,
            "KeySchema": ANY,
            "BillingMode": ANY,
            "GlobalSecondaryIndexes": [{"IndexName": ANY, "KeySchema": ANY, "Projection": ANY}],
            "PointInTimeRecoverySpecification": ANY,
            "TimeToLiveSpecification": ANY,
        },
        create=_table,
        required=("AttributeDefinitions", "KeySchema"),
    ),
}
