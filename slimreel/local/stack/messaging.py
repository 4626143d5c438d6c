"""Queues and topics."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from slimreel.local.stack.kinds import Kind, Made, Order, arn, has_code
from slimreel.local.stack.shapes import ANY

# CloudFormation and the SQS API give these the same names.
_QUEUE_ATTRIBUTES = (
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoThroughputLimit",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
)


def _queue(order: Order) -> Made:
    sqs = order.client("sqs")
    fifo = bool(order.properties.get("FifoQueue"))
    name = order.name("QueueName")
    name = f"{name}.fifo" if fifo and not name.endswith(".fifo") else name
    attributes = {key: _text(item) for key, item in order.picked(*_QUEUE_ATTRIBUTES).items()}
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError as error:
        if not has_code(error, "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"):
            raise
        created = attributes | ({"FifoQueue": "true"} if fifo else {})
        url = sqs.create_queue(QueueName=name, Attributes=created)["QueueUrl"]
    else:
        if attributes:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return Made(ref=url, attributes={"Arn": arn("sqs", name), "QueueName": name, "QueueUrl": url})


def _text(value: Any) -> str:
    """SQS attributes are strings: `true`, `720`, or JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _queue_policy(order: Order) -> Made:
    policy = json.dumps(order.properties["PolicyDocument"])
    for url in order.properties["Queues"]:
        order.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return Made(ref=order.name())


def _topic(order: Order) -> Made:
    name = order.name("TopicName")
    topic = order.client("sns").create_topic(Name=name)["TopicArn"]  # gives the existing one back
    for name, value in order.picked("DisplayName", "KmsMasterKeyId").items():
        order.client("sns").set_topic_attributes(
            TopicArn=topic, AttributeName=name, AttributeValue=value
        )
    return Made(ref=topic, attributes={"TopicArn": topic, "TopicName": name})


def _topic_policy(order: Order) -> Made:
    policy = json.dumps(order.properties["PolicyDocument"])
    for topic in order.properties["Topics"]:
        order.client("sns").set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=policy
        )
    return Made(ref=order.name())


def _subscription(order: Order) -> Made:
    sns = order.client("sns")
    subscription = sns.subscribe(
        **order.picked("TopicArn", "Protocol", "Endpoint"), ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    for name, value in order.picked("FilterPolicy", "FilterPolicyScope").items():
        sns.set_subscription_attributes(
            SubscriptionArn=subscription, AttributeName=name, AttributeValue=_text(value)
        )
    return Made(ref=subscription)


KINDS = {
    "AWS::SQS::Queue": Kind(
        shape=dict.fromkeys(("QueueName", "FifoQueue", *_QUEUE_ATTRIBUTES), ANY), create=_queue
    ),
    "AWS::SQS::QueuePolicy": Kind(
        shape={"Queues": [ANY], "PolicyDocument": ANY},
        create=_queue_policy,
        required=("Queues", "PolicyDocument"),
    ),
    "AWS::SNS::Topic": Kind(
        shape={"TopicName": ANY, "DisplayName": ANY, "KmsMasterKeyId": ANY}, create=_topic
    ),
    "AWS::SNS::TopicPolicy": Kind(
        shape={"Topics": [ANY], "PolicyDocument": ANY},
        create=_topic_policy,
        required=("Topics", "PolicyDocument"),
    ),
    "AWS::SNS::Subscription": Kind(
        shape={
            "TopicArn": ANY,
            "Protocol": ANY,
            "Endpoint": ANY,
            "FilterPolicy": ANY,
            "FilterPolicyScope": ANY,
        },
        create=_subscription,
        required=("TopicArn", "Protocol"),
    ),
}
