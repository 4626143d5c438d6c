"""Takes resources away again, by type and physical id."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slimreel.local.stack.errors import StackError, Unsupported
from slimreel.local.stack.kinds import Gateway, has_code

Clients = Callable[[str], Any]


class NotRemoved(StackError):
    """A stand-in service refused to delete a resource, as the real one would."""


#: What says that a resource is gone already, which is all that was wanted.
_GONE = (
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "NotFound",
    "NotFoundException",
    "NoSuchEntity",
    "StateMachineDoesNotExist",
    "ResourceNotFound",
    "DashboardNotFoundError",
)


def remove(kind: str, physical_id: str, *, client: Clients, gateway: Gateway | None) -> None:
    """Delete one resource. One that is gone already is fine.

    Raises:
        NotRemoved: the service said no; a bucket that holds objects, for one.
        Unsupported: nobody has said yet how this type is deleted.
    """
    if kind not in _REMOVALS:
        raise Unsupported(f"How a {kind} is deleted is not known here.")
    try:
        _REMOVALS[kind](client, physical_id)
    except (ClientError, BotoCoreError) as error:
        if not (isinstance(error, ClientError) and has_code(error, *_GONE)):
            raise NotRemoved(str(error)) from error
    if kind == "AWS::ApiGateway::Stage" and gateway is not None:
        gateway.load({"paths": {}}, physical_id)


def _function(client: Clients, name: str) -> None:
    functions = client("lambda")
    for mapping in functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]:
        functions.delete_event_source_mapping(UUID=mapping["UUID"])
    functions.delete_function(FunctionName=name)


def _layer(client: Clients, version_arn: str) -> None:
    *_, name, version = version_arn.split(":")
    client("lambda").delete_layer_version(LayerName=name, VersionNumber=int(version))


def _role(client: Clients, name: str) -> None:
    iam = client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for managed in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=managed["PolicyArn"])
    iam.delete_role(RoleName=name)


def _rule(client: Clients, name: str) -> None:
    events = client("events")
    targets = events.list_targets_by_rule(Rule=name)["Targets"]
    if targets:
        events.remove_targets(Rule=name, Ids=[target["Id"] for target in targets])
    events.delete_rule(Name=name)


def _subscription(client: Clients, subscription: str) -> None:
    client("sns").unsubscribe(SubscriptionArn=subscription)


def _topic(client: Clients, topic: str) -> None:
    sns = client("sns")
    for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    sns.delete_topic(TopicArn=topic)


def _machine(client: Clients, machine: str) -> None:
    client("stepfunctions").delete_state_machine(stateMachineArn=machine)


def _pool(client: Clients, pool: str) -> None:
    """Raises: NotRemoved: it is protected, as Cognito says and moto does not."""
    cognito = client("cognito-idp")
    if (
        cognito.describe_user_pool(UserPoolId=pool)["UserPool"].get("DeletionProtection")
        == "ACTIVE"
    ):
        raise NotRemoved(
            "The user pool cannot be deleted because deletion protection is activated. "
            "Deletion protection must be inactivated first."
        )
    cognito.delete_user_pool(UserPoolId=pool)


def _of_a_pool(client: Clients, delete: Callable[[Any, str], object]) -> None:
    """Delete something by the pool it is in, which its physical id does not tell."""
    cognito = client("cognito-idp")
    pools = cognito.get_paginator("list_user_pools").paginate(PaginationConfig={"PageSize": 60})
    for pool in [pool["Id"] for page in pools for pool in page["UserPools"]]:
        with contextlib.suppress(cognito.exceptions.ResourceNotFoundException):
            delete(cognito, pool)


def _pool_client(client: Clients, client_id: str) -> None:
    _of_a_pool(
        client,
        lambda cognito, pool: cognito.delete_user_pool_client(UserPoolId=pool, ClientId=client_id),
    )


def _pool_group(client: Clients, name: str) -> None:
    _of_a_pool(client, lambda cognito, pool: cognito.delete_group(UserPoolId=pool, GroupName=name))


def _pool_domain(client: Clients, domain: str) -> None:
    cognito = client("cognito-idp")
    found = cognito.describe_user_pool_domain(Domain=domain)["DomainDescription"]
    if found:
        cognito.delete_user_pool_domain(Domain=domain, UserPoolId=found["UserPoolId"])


def _with_its_owner(_: Clients, __: str) -> None:
    """What goes when the resource it belongs to goes: a policy, a permission, a setting."""


_REMOVALS: Mapping[str, Callable[[Clients, str], None]] = {
    "AWS::S3::Bucket": lambda client, name: client("s3").delete_bucket(Bucket=name),
    "AWS::S3::BucketPolicy": lambda client, name: client("s3").delete_bucket_policy(Bucket=name),
    "AWS::DynamoDB::Table": lambda client, name: client("dynamodb").delete_table(TableName=name),
    "AWS::SQS::Queue": lambda client, url: client("sqs").delete_queue(QueueUrl=url),
    "AWS::SQS::QueuePolicy": _with_its_owner,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::TopicPolicy": _with_its_owner,
    "AWS::SNS::Subscription": _subscription,
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::LayerVersion": _layer,
    "AWS::Lambda::Permission": _with_its_owner,
    "AWS::Lambda::EventInvokeConfig": _with_its_owner,
    "AWS::Lambda::EventSourceMapping": lambda client, uuid: client(
        "lambda"
    ).delete_event_source_mapping(UUID=uuid),
    "AWS::IAM::Role": _role,
    "AWS::IAM::Policy": _with_its_owner,
    "AWS::Logs::LogGroup": lambda client, name: client("logs").delete_log_group(logGroupName=name),
    "AWS::CloudWatch::Alarm": lambda client, name: client("cloudwatch").delete_alarms(
        AlarmNames=[name]
    ),
    "AWS::CloudWatch::Dashboard": lambda client, name: client("cloudwatch").delete_dashboards(
        DashboardNames=[name]
    ),
    "AWS::StepFunctions::StateMachine": _machine,
    "AWS::Events::Rule": _rule,
    "AWS::MediaConvert::Queue": lambda client, name: client("mediaconvert").delete_queue(Name=name),
    "AWS::Cognito::UserPool": _pool,
    "AWS::Cognito::UserPoolClient": _pool_client,
    "AWS::Cognito::UserPoolGroup": _pool_group,
    "AWS::Cognito::UserPoolDomain": _pool_domain,
    "AWS::ApiGateway::Account": _with_its_owner,
    "AWS::ApiGateway::RestApi": _with_its_owner,
    "AWS::ApiGateway::Deployment": _with_its_owner,
    "AWS::ApiGateway::Stage": _with_its_owner,
}
