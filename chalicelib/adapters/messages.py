"""Messages out: the two queues, and the SNS topic that people's email hangs on."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any

from chalicelib.domain.notice import Notice

#: SQS counts twelve hours from when the message was received; one of them is for the work on it.
#: Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
MAX_VISIBILITY_S = 11 * 3600

#: Of what is told about a message that was given up; SQS takes 256 KB or more.
REASON_LIMIT = 2000


class Queues:
    """Thin over a boto3 SQS client."""

    def __init__(
        self,
        client: Any,
        *,
        drive_queue_url: str,
        rows_queue_url: str,
        drive_dead_letters_url: str = "",
        rows_dead_letters_url: str = "",
    ) -> None:
        self._client = client
        self._drive_queue_url = drive_queue_url
        self._rows_queue_url = rows_queue_url
        self._drive_dead_letters_url = drive_dead_letters_url
        self._rows_dead_letters_url = rows_dead_letters_url

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

    def look_at_desk(self, hint: str) -> None:
        """Have the rows' writer look for what people chose in the table.

        Args:
            hint: names what the request comes from; the same one twice in a row counts once.
        """
        self._client.send_message(
            QueueUrl=self._rows_queue_url,
            MessageBody=json.dumps({"desk": "look"}),
            MessageGroupId="rows",
            MessageDeduplicationId=hashlib.sha256(hint.encode()).hexdigest(),
        )

    def show_row_again(self, receipt_handle: str, after_s: float) -> None:
        """Hand a message that could not be worked on back to the queue for so long."""
        self._client.change_message_visibility(
            QueueUrl=self._rows_queue_url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=min(math.ceil(after_s), MAX_VISIBILITY_S),
        )

    def set_file_aside(self, file_id: str, file_name: str, reason: str) -> None:
        """Give a Drive file up until a person sends the message back, which has it looked at."""
        told = {"file_id": file_id, "file_name": file_name, "reason": reason[:REASON_LIMIT]}
        self._client.send_message(
            QueueUrl=self._drive_dead_letters_url, MessageBody=json.dumps(told)
        )

    def set_row_aside(self, job_id: str, reason: str) -> None:
        """Give a job's row up until a person sends the message back."""
        self._set_row_message_aside({"job_id": job_id, "reason": reason[:REASON_LIMIT]})

    def set_unreadable_aside(self, body: str, reason: str) -> None:
        """Give up a message of the rows' queue that is none of ours."""
        told = {"unreadable": body[:REASON_LIMIT], "reason": reason[:REASON_LIMIT]}
        self._set_row_message_aside(told)

    def _set_row_message_aside(self, told: Mapping[str, str]) -> None:
        self._client.send_message(
            QueueUrl=self._rows_dead_letters_url,
            MessageBody=json.dumps(told),
            MessageGroupId="rows",
            MessageDeduplicationId=uuid.uuid4().hex,
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
