"""moto's SQS with thousands of messages in a queue.

moto looks at every message of a queue several times for each message that is sent, received or
deleted, and asks the clock for each look. The replacements below do the same with one look or none.
"""

from __future__ import annotations

import time
from typing import Any

from moto.sqs import models
from moto.sqs.exceptions import InvalidParameterValue, MissingParameter, ReceiptHandleIsInvalid
from moto.sqs.models import Queue, SQSBackend


class DeepQueues:
    """The replacements, from the start until `restore`."""

    def __init__(self) -> None:
        self._originals: list[tuple[Any, str, Any]] = []
        self._replace(models, "unix_time", time.time)
        self._replace(models, "unix_time_millis", lambda: time.time() * 1000)
        self._replace(Queue, "messages", property(_visible_messages))
        self._replace(Queue, "add_message", _add_message)
        self._replace(Queue, "delete_message", _delete_message)
        self._replace(SQSBackend, "_validate_message", _validate_message)
        self._replace(SQSBackend, "is_message_valid_based_on_retention_period", _is_retained)

    def restore(self) -> None:
        for owner, name, original in reversed(self._originals):
            setattr(owner, name, original)
        self._originals.clear()

    def _replace(self, owner: Any, name: str, replacement: Any) -> None:
        self._originals.append((owner, name, vars(owner)[name]))
        setattr(owner, name, replacement)


def _visible_messages(queue: Any) -> list[Any]:
    now_ms = time.time() * 1000
    return [one for one in queue._messages if one.visible_at < now_ms >= one.delayed_until]


def _add_message(queue: Any, message: Any) -> None:
    """Without moto's search for duplicates, which `queues` makes, and its own event sources."""
    with queue._messages_lock:
        queue._messages.append(message)
        queue._messages_lock.notify_all()


def _delete_message(queue: Any, receipt_handle: str) -> None:
    if receipt_handle in queue.deleted_messages:
        return
    for place, message in enumerate(queue._messages):
        # Those that were handed out stand in front.
        if message.receipt_handle and message.had_receipt_handle(receipt_handle):
            queue.pending_messages.discard(message)
            queue.deleted_messages.update(message.all_receipt_handles)
            # A list of its own: somebody may be walking through the old one.
            queue._messages = [*queue._messages[:place], *queue._messages[place + 1 :]]
            return
    raise ReceiptHandleIsInvalid


def _validate_message(
    _: Any,
    queue: Any,
    message_body: str,
    delay_seconds: int,
    deduplication_id: str | None = None,
    group_id: str | None = None,
    validate_group_id: bool = True,
) -> None:
    if len(message_body) > queue.maximum_message_size:
        raise InvalidParameterValue(
            "One or more parameters are invalid. Reason: Message must be shorter than "
            f"{queue.maximum_message_size} bytes."
        )
    if not queue.fifo_queue:
        return
    if not group_id:
        raise MissingParameter("MessageGroupId")
    if not deduplication_id and not queue.content_based_deduplication:
        raise InvalidParameterValue(
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly"
        )
    if delay_seconds > 0:
        raise InvalidParameterValue(
            f"Value {delay_seconds} for parameter DelaySeconds is invalid. Reason: "
            "The request include parameter that is not valid for this queue type."
        )


def _is_retained(backend: Any, queue_name: str, message: Any) -> bool:
    kept_s = float(backend.get_queue(queue_name).message_retention_period)
    return bool(message.sent_timestamp / 1000 + kept_s > time.time())
