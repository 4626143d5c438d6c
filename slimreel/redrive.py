"""`slimreel redrive`: what was given up, in a sentence each, and its way back.

Dead letters of a queue go back to that queue, by SQS's own message move task. Those of events and
schedules come from Lambda and EventBridge, for which there is no such task: here the function gets
its event once more.
Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

#: While they are looked at; whoever looks makes them visible again.
_HIDDEN_S = 60
#: For one event of many to be sent and deleted.
_SENDING_S = 120
_MOVE_LOOK_AGAIN_S = 0.5
_MOVE_PATIENCE_S = 300.0
#: More than this are counted, not described.
DESCRIBED = 200


class CannotRedrive(Exception):
    """The message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message that was given up.

    Attributes:
        age_s: since it was sent, for the first time where the queue is not FIFO.
        about: a sentence.
    """

    message_id: str
    age_s: float
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """One dead-letter queue.

    Attributes:
        name: as people call it: "drive-events", "rows", "events".
        home_arn: the queue its messages came from; None where they came from functions.
        count: how many there are; `letters` describes the first of them.
    """

    name: str
    url: str
    arn: str
    home_arn: str | None
    count: int
    letters: tuple[Letter, ...]

    @property
    def oldest_s(self) -> float | None:
        return max((letter.age_s for letter in self.letters), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of a queue's dead letters: how many went back, and what could not, in words."""

    name: str
    moved: int
    problems: tuple[str, ...] = ()


class Redrive:
    """One stage's dead letters.

    Args:
        client: a boto3 client for a service name.
        stage: whose queues; they are called slimreel-<stage>-….
    """

    def __init__(self, client: Callable[[str], Any], stage: str) -> None:
        self._sqs, self._lambda = client("sqs"), client("lambda")
        self._prefix = f"slimreel-{stage}-"

    def look(self) -> list[DeadLetters]:
        """Every dead-letter queue of the stage.

        Raises:
            CannotRedrive: AWS cannot be asked, or there is no such stage.
        """
        with _explained():
            found = [self._described(url) for url in self._queues()]
        if not found:
            raise CannotRedrive(
                f"There is no queue called {self._prefix}…-dead here. Check --stage, the AWS "
                "region and whose credentials these are."
            )
        return found

    def send_back(self, dead: DeadLetters) -> Moved:
        """Have everything in this queue tried again.

        Raises:
            CannotRedrive: AWS refused.
        """
        with _explained():
            if dead.home_arn is not None:
                return self._move(dead, dead.home_arn)
            return self._invoke_again(dead)

    def _queues(self) -> Iterator[str]:
        pages = self._sqs.get_paginator("list_queues").paginate(QueueNamePrefix=self._prefix)
        for page in pages:
            yield from (
                url for url in page.get("QueueUrls", []) if _short(url, "").endswith("-dead")
            )

    def _described(self, url: str) -> DeadLetters:
        wanted = ["QueueArn", "ApproximateNumberOfMessages"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
        letters = tuple(self._letters(url))
        return DeadLetters(
            name=_short(url, self._prefix).removesuffix("-dead"),
            url=url,
            arn=found["QueueArn"],
            home_arn=self._home_arn(url),
            count=max(int(found["ApproximateNumberOfMessages"]), len(letters)),
            letters=letters,
        )

    def _home_arn(self, url: str) -> str | None:
        homes = self._sqs.list_dead_letter_source_queues(QueueUrl=url).get("queueUrls", [])
        if not homes:
            return None
        answer = self._sqs.get_queue_attributes(QueueUrl=homes[0], AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def _letters(self, url: str) -> Iterator[Letter]:
        """Describe what lies there, and leave it as it was."""
        held: dict[str, str] = {}
        try:
            while len(held) < DESCRIBED:
                messages = self._receive(url, _HIDDEN_S)
                new = [message for message in messages if message["MessageId"] not in held]
                held |= {m["MessageId"]: m["ReceiptHandle"] for m in messages}
                if not new:
                    return
                yield from (_letter(message) for message in new)
        finally:
            for handle in held.values():
                self._sqs.change_message_visibility(
                    QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0
                )

    def _receive(self, url: str, hidden_s: int) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=hidden_s,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def _move(self, dead: DeadLetters, home_arn: str) -> Moved:
        # Without a destination SQS would leave what we have put there ourselves.
        self._sqs.start_message_move_task(SourceArn=dead.arn, DestinationArn=home_arn)
        until = time.monotonic() + _MOVE_PATIENCE_S
        while True:
            [task] = self._sqs.list_message_move_tasks(SourceArn=dead.arn)["Results"][:1]
            if task["Status"] != "RUNNING" or time.monotonic() > until:
                break
            time.sleep(_MOVE_LOOK_AGAIN_S)
        moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
        problems = (f"The move is {task['Status'].lower()}: {task.get('FailureReason', '')}",)
        return Moved(
            name=dead.name,
            moved=moved,
            problems=() if task["Status"] == "COMPLETED" else problems,
        )

    def _invoke_again(self, dead: DeadLetters) -> Moved:
        """Hand each event to its function once more, and only then delete the letter."""
        moved, problems, seen = 0, [], set[str]()
        while messages := [
            m for m in self._receive(dead.url, _SENDING_S) if m["MessageId"] not in seen
        ]:
            for message in messages:
                seen.add(message["MessageId"])
                problem = self._sent_again(message)
                if problem:
                    problems.append(problem)
                    continue
                self._sqs.delete_message(QueueUrl=dead.url, ReceiptHandle=message["ReceiptHandle"])
                moved += 1
        return Moved(name=dead.name, moved=moved, problems=tuple(problems))

    def _sent_again(self, message: dict[str, Any]) -> str | None:
        """None when the function has its event; else why not."""
        event = _event_in(message)
        if event is None or not event.function.startswith(self._prefix):
            return f"Message {message['MessageId']} names no function of ours; it stays."
        payload = json.dumps(event.payload).encode()
        try:
            self._lambda.invoke(
                FunctionName=event.function, InvocationType="Event", Payload=payload
            )
        except ClientError as error:
            return f"{event.function} did not take its event: {error.response['Error']['Code']}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """An event that a function did not handle."""

    function: str
    payload: Any
    why: str


def _event_in(message: dict[str, Any]) -> _Event | None:
    """Read what Lambda puts into a failure destination, or EventBridge into a rule's queue.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html and
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    try:
        body = json.loads(message["Body"])
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    if "requestContext" in body and "requestPayload" in body:
        context = body["requestContext"]
        answer = body.get("responsePayload") or {}
        said = f"{answer.get('errorType', '')}: {answer.get('errorMessage', '')}".strip(": ")
        tries = context.get("approximateInvokeCount", "?")
        return _Event(
            function=_function_name(str(context.get("functionArn", ""))),
            payload=body["requestPayload"],
            why=f"failed {tries} times ({said or context.get('condition', 'no reason given')})",
        )
    told = {
        name: value.get("StringValue", "")
        for name, value in message.get("MessageAttributes", {}).items()
    }
    if "TARGET_ARN" not in told:
        return None
    return _Event(
        function=_function_name(told["TARGET_ARN"]),
        payload=body,
        why=f"was never reached ({told.get('ERROR_CODE', '')}: {told.get('ERROR_MESSAGE', '')})",
    )


def _function_name(arn: str) -> str:
    """Of `arn:aws:lambda:region:account:function:name:version`."""
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 else ""


def _letter(message: dict[str, Any]) -> Letter:
    sent_ms = float(message.get("Attributes", {}).get("SentTimestamp", 0))
    return Letter(
        message_id=message["MessageId"],
        age_s=max(0.0, time.time() - sent_ms / 1000),
        about=about(message),
    )


def about(message: dict[str, Any]) -> str:
    """What a dead letter is about, in a sentence."""
    event = _event_in(message)
    if event is not None:
        return f"{event.function} {event.why} on {_what(event.payload)}."
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = None
    match body:
        case {"file_id": file_id, "reason": reason, **more}:
            name = more.get("file_name") or "of unknown name"
            return f"The Drive file “{name}” ({file_id}) could not be started: {reason}"
        case {"channel_id": _}:
            return "A hint of Drive's that the change log had grown; the log was not read for it."
        case {"job_id": job_id, "reason": reason}:
            return f"The row of job {job_id} could not be made: {reason}"
        case {"job_id": job_id}:
            return f"The row of job {job_id} was not written."
        case {"unreadable": text, "reason": reason}:
            return f"A message that is none of ours: {reason} It reads {str(text)[:100]!r}."
    return f"A message that is none of ours; it reads {str(message['Body'])[:100]!r}."


def _what(payload: Any) -> str:
    """The event that a function did not handle."""
    if not isinstance(payload, dict):
        return "an event of unknown kind"
    detail = payload.get("detail")
    detail = detail if isinstance(detail, dict) else {}
    if payload.get("detail-type") == "Scheduled Event":
        return f"its schedule of {payload.get('time', 'unknown time')}"
    about = f"“{payload.get('detail-type', 'event')}” {detail.get('status', '')}".strip()
    metadata = detail.get("userMetadata")
    job_id = metadata.get("job_id") if isinstance(metadata, dict) else None
    name = f"job {job_id}" if job_id else detail.get("name")
    return f"{about} of {name}" if name else about


def _short(url: str, prefix: str) -> str:
    return url.rpartition("/")[2].removesuffix(".fifo").removeprefix(prefix)


class _explained:
    """Turns what boto3 raises into words for the engineer."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ClientError):
            told = error.response["Error"]
            raise CannotRedrive(
                f"AWS refused {error.operation_name}: {told.get('Code')}: {told.get('Message')}"
            ) from error
        if isinstance(error, BotoCoreError):
            raise CannotRedrive(f"AWS could not be asked: {error}") from error
