"""Sending a message to a queue or topic known by its ARN."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any


class Deliver:
    """Callable with (arn, body, string attributes). Sends through the SQS and SNS APIs.

    Args:
        client: a boto3 client of the local cloud for a service name.
    """

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._client = client

    def __call__(
        self, arn: str, body: str, attributes: dict[str, str], *, group: str | None = None
    ) -> None:
        """Send one message.

        Raises:
            botocore.exceptions.ClientError: there is no such queue or topic.
            ValueError: an ARN of another service.
        """
        service, name = arn.split(":")[2], arn.rpartition(":")[2]
        sent = {
            key: {"DataType": "String", "StringValue": text} for key, text in attributes.items()
        }
        if service == "sqs":
            sqs = self._client("sqs")
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            fifo = _fifo_members(name, body, group)
            sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=sent, **fifo)
        elif service == "sns":
            self._client("sns").publish(TopicArn=arn, Message=body, MessageAttributes=sent)
        else:
            raise ValueError(f"Nothing can be delivered to {arn}.")


def _fifo_members(queue_name: str, body: str, group: str | None) -> dict[str, str]:
    if not queue_name.endswith(".fifo"):
        return {}
    digest = hashlib.sha256(body.encode()).hexdigest()
    return {"MessageGroupId": group or "default", "MessageDeduplicationId": digest}
