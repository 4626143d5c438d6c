"""Event source mappings at work: a queue's messages become invocations of a function."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slimreel.local import REGION
from slimreel.local.awslambda import AwsLambda
from slimreel.local.awslambda.environments import Closing
from slimreel.local.awslambda.errors import LambdaError
from slimreel.local.awslambda.invocations import SYNC_LIMIT_BYTES, Outcome
from slimreel.local.awslambda.mappings import Mapping, is_fifo
from slimreel.local.background import Background

log = logging.getLogger("slimreel.local.lambda")

_LONG_POLL_S = 20
#: Batches one mapping works on at the same time, where ScalingConfig sets no other number.
#: AWS starts with five pollers and scales far beyond; a laptop does not.
_CONCURRENCY = 5
_THROTTLE_PAUSE_S = 0.5
_FAILURE_PAUSE_S = 5.0
Message = dict[str, Any]


class Poller:
    """Feeds one mapping until it is stopped.

    Standard queues: up to `_CONCURRENCY` batches at once. FIFO queues: SQS holds back a message
    group while one of its messages is in flight, so groups run beside each other and a group's
    messages in order. What a function does not finish stays in flight and comes back when its
    visibility time-out ends, as in AWS; redrive to a dead-letter queue is the queue's business.
    """

    def __init__(
        self,
        mapping: Mapping,
        *,
        awslambda: AwsLambda,
        client: Callable[[str], Any],
        background: Background,
    ) -> None:
        self.mapping = mapping
        self._lambda = awslambda
        self._client = client
        self._background = background
        self._url: str | None = None
        self._stopped = threading.Event()
        most = (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency", _CONCURRENCY)
        self._slots = threading.Semaphore(most)

    def start(self) -> None:
        self._background.start(self._run, name=f"poll-{self._queue_name}")

    def stop(self) -> None:
        self._stopped.set()

    @property
    def _queue_name(self) -> str:
        return str(self.mapping["EventSourceArn"]).rpartition(":")[2]

    @property
    def _over(self) -> bool:
        return self._stopped.is_set() or self._background.closed

    def _run(self) -> None:
        sqs = self._client("sqs")
        while not self._over:
            if not self._slots.acquire(timeout=1):
                continue
            handed_over = False
            try:
                if self._url is None:
                    self._url = sqs.get_queue_url(QueueName=self._queue_name)["QueueUrl"]
                url = self._url
                batch = self._gather(sqs, url)
                if batch:
                    handed_over = True
                    work = self._worker(url, batch)
                    self._background.start(work, name=f"batch-{self._queue_name}")
            except (ClientError, BotoCoreError) as failure:
                if not self._over:
                    log.warning("cannot poll %s: %s", self._queue_name, failure)
                    self._background.wait(_FAILURE_PAUSE_S)
            finally:
                if not handed_over:
                    self._slots.release()

    def _gather(self, sqs: Any, url: str) -> list[Message]:
        """Receive up to the batch size, waiting for more as long as the batching window is open."""
        batch: list[Message] = []
        size, window_s = self.mapping["BatchSize"], self.mapping["MaximumBatchingWindowInSeconds"]
        closes_at: float | None = None
        while not self._over and len(batch) < size:
            left_s = _LONG_POLL_S if closes_at is None else closes_at - time.monotonic()
            if left_s < 0:
                break
            received = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(10, size - len(batch)),
                WaitTimeSeconds=min(_LONG_POLL_S, int(left_s)),
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            batch += received
            if not window_s and (batch or not received):
                break
            if batch and closes_at is None:
                closes_at = time.monotonic() + window_s
            if not received and closes_at is not None:
                self._stopped.wait(min(0.2, max(0.0, closes_at - time.monotonic())))
        return batch

    def _worker(self, url: str, batch: list[Message]) -> Callable[[], None]:
        def work() -> None:
            try:
                for part in _within_payload_limit(batch):
                    self._handle(url, part)
            finally:
                self._slots.release()

        return work

    def _handle(self, url: str, batch: list[Message]) -> None:
        records = [record_of(message, self.mapping["EventSourceArn"]) for message in batch]
        outcome = self._invoke(json.dumps({"Records": records}).encode())
        if outcome is None or outcome.function_error is not None:
            return
        kept = self._failures(outcome, batch)
        done = [message for message in batch if message["MessageId"] not in kept]
        for start in range(0, len(done), 10):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(done[start : start + 10])
            ]
            self._client("sqs").delete_message_batch(QueueUrl=url, Entries=entries)

    def _invoke(self, payload: bytes) -> Outcome | None:
        """Invoke, again and again while throttled; None when the function was not run."""
        while not self._over:
            try:
                return self._lambda.invoke(self.mapping["FunctionArn"], payload)
            except Closing:
                return None
            except LambdaError as refusal:
                if refusal.status != 429:
                    log.warning("%s was not run: %s", self.mapping["FunctionArn"], refusal.message)
                    return None
                self._stopped.wait(_THROTTLE_PAUSE_S)
        return None

    def _failures(self, outcome: Outcome, batch: list[Message]) -> set[str]:
        """The ids of the messages to leave in the queue.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
        """
        if "ReportBatchItemFailures" not in self.mapping["FunctionResponseTypes"]:
            return set()
        everything = {message["MessageId"] for message in batch}
        reply = json.loads(outcome.payload)
        failures = reply.get("batchItemFailures") if isinstance(reply, dict) else None
        if not failures:
            return set()
        ids = {str(one.get("itemIdentifier")) for one in failures if isinstance(one, dict)}
        if not ids or not ids <= everything:
            log.warning("a batch of %s failed whole: unknown item in %s", self._queue_name, reply)
            return everything
        return _with_followers(batch, ids) if is_fifo(self.mapping) else ids


def _with_followers(batch: list[Message], failed: set[str]) -> set[str]:
    """The failed messages and those of their groups behind them: a group keeps its order."""
    stuck_groups: set[str] = set()
    kept: set[str] = set()
    for message in batch:
        group = message["Attributes"]["MessageGroupId"]
        if message["MessageId"] in failed:
            stuck_groups.add(group)
        if group in stuck_groups:
            kept.add(message["MessageId"])
    return kept


def _within_payload_limit(batch: list[Message]) -> list[list[Message]]:
    """The batch in parts that fit into an invocation."""
    parts: list[list[Message]] = [[]]
    size_bytes = 0
    for message in batch:
        message_bytes = len(json.dumps(message)) + 512
        if parts[-1] and size_bytes + message_bytes > SYNC_LIMIT_BYTES:
            parts.append([])
            size_bytes = 0
        parts[-1].append(message)
        size_bytes += message_bytes
    return parts


def record_of(message: Message, queue_arn: str) -> dict[str, Any]:
    """A received message as a function sees it.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    attributes = {
        name: {
            "stringValue": value.get("StringValue"),
            "binaryValue": value.get("BinaryValue"),
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": value["DataType"],
        }
        for name, value in message.get("MessageAttributes", {}).items()
    }
    for value in attributes.values():
        for key in ("stringValue", "binaryValue"):
            if value[key] is None:
                del value[key]
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }
