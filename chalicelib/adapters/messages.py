"""Messages out: the two queues, and the SNS topic that people's email hangs on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from chalicelib.domain.notice import Notice

#: SQS counts twelve hours from when the message was received; one of them is for the work on it.
#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
MAX_VISIBILITY_S = 11 * 3600


class Queues:
    """Thin over a boto3 SQS client."""

    def __init__(self, client: Any, *, drive_queue_url: str, rows_queue_url: str) -> None:
        self._client = client
        self._drive_queue_url = drive_queue_url
        self._rows_queue_url = rows_queue_url

    def drive_may_have_changed(self, hint: Mapping[str, str]) -> None:
        self._client.send_message(QueueUrl=self._drive_queue_url, MessageBody=json.dumps(hint))

    def row_is_dirty(self, job_id: str, row_version: int) -> None:
        """One group: rows have a single writer, so it can batch and keep Airtable's limits."""
        self._client.send_message(
            QueueUrl=self._rows_queue_url,
            MessageBody=json.dumps({"job_id": job_id}),
            MessageGroupId="rows",
            MessageDeduplicationId=f"{job_id}-{row_version}",
        )

    def show_row_again(self, receipt_handle: str, after_s: float) -> None:
        """Hand a message that could not be worked on back to the queue for so long."""
        self._client.change_message_visibility(
            QueueUrl=self._rows_queue_url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=min(math.ceil(after_s), MAX_VISIBILITY_S),
        )


class Topic:
    """Thin over a boto3 SNS client."""

    def __init__(self, client: Any, *, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, notice: Notice) -> None:
        """Send; subscribers can filter on the attribute `kind`."""
        self._client.publish(
            TopicArn=self._arn,
            Subject=notice.subject,
            Message=notice.body,
            MessageAttributes={
                "kind": {"DataType": "String", "StringValue": notice.kind},
                "workflow": {"DataType": "String", "StringValue": notice.workflow},
            },
        )
