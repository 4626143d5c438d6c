"""What the stand-in cloud adds to moto's SQS: long polls that hold up nobody, and redrives.

moto waits inside a receive, with everything else locked out, and does not know the message
move tasks that put dead letters back.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

from moto.sqs.models import Queue
from werkzeug.wrappers import Response

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.aws_errors import json_error
from slimreel.local.deep_queues import DeepQueues
from slimreel.local.front import Front
from slimreel.local.moto_app import AwsCall, Moto

#: How often a waiting receive looks again for messages that became visible by themselves.
_LOOK_AGAIN_S = 1.0
_DEDUPLICATION_S = 300.0
#: Operations after which a waiting receive may find something.
_WAKERS = frozenset(
    {
        "SendMessage",
        "SendMessageBatch",
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "DeleteMessage",  # a FIFO group may go on
        "DeleteMessageBatch",
        "StartMessageMoveTask",
        "SetQueueAttributes",
    }
)


class Queues:
    """Answers the SQS operations that moto cannot answer well; the rest stays moto's."""

    def __init__(self, moto: Moto, front: Front) -> None:
        self._moto = moto
        self._changed = threading.Condition()
        self._changes = 0
        self._closed = False
        self._moves: list[dict[str, Any]] = []
        self._deep = DeepQueues()
        Queue.add_message = _remembering(Queue.add_message)
        moto.observe("sqs", self._notice)
        moto.observe("sns", self._notice_topic)
        front.intercept("sqs", "ReceiveMessage", self._receive)
        front.intercept("sqs", "StartMessageMoveTask", self._start_move)
        front.intercept("sqs", "ListMessageMoveTasks", self._list_moves)
        front.intercept("sqs", "CancelMessageMoveTask", self._cancel_move)

    def wake(self) -> None:
        """Let every waiting receive look again."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def visibility_s(self, queue_arn: str) -> float:
        """A queue's visibility time-out; 30 s when there is no such queue."""
        with self._moto.locks["sqs"]:
            queue = self._find(queue_arn)
            return 30.0 if queue is None else float(queue.visibility_timeout)

    def close(self) -> None:
        """Answer waiting receives with what they have, which is nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._deep.restore()

    def _notice(self, call: AwsCall, _: Response) -> None:
        if call.operation in _WAKERS:
            self.wake()

    def _notice_topic(self, call: AwsCall, _: Response) -> None:
        if call.operation in ("Publish", "PublishBatch"):
            self.wake()

    def _receive(self, call: AwsCall) -> Response:
        params = _params(call)
        if params is None:
            return _only_json()
        wait_s = params.get("WaitTimeSeconds")
        if wait_s is None:
            wait_s = self._default_wait_s(str(params.get("QueueUrl", "")))
        if not 0 <= wait_s <= 20:
            return self._moto.call(call)  # moto words the refusal
        at_once = _with_body(call, {**params, "WaitTimeSeconds": 0})
        until = time.monotonic() + wait_s
        while True:
            with self._changed:
                seen = self._changes
            response = self._look(at_once, str(params.get("QueueUrl", "")))
            if response.status_code != 200 or json.loads(response.get_data()).get("Messages"):
                return response
            if not self._wait_for_change(seen, until):
                return response

    def _look(self, call: AwsCall, queue_url: str) -> Response:
        """One receive, after what came back by itself has left the in-flight list.

        moto takes returning messages off that list one by one while it hands out, and so gives
        out the second of a FIFO group before the first.
        """
        with self._moto.locks["sqs"]:
            queue = self._find(queue_url)
            if queue is not None:
                back = {message for message in queue.pending_messages if message.visible}
                queue.pending_messages.difference_update(back)
            return self._moto.call(call)

    def _wait_for_change(self, seen: int, until: float) -> bool:
        """Sleep until it may pay to look again; False when the time is up."""
        left_s = until - time.monotonic()
        if left_s <= 0:
            return False
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._changes != seen, timeout=min(left_s, _LOOK_AGAIN_S)
            )
            return not self._closed

    def _default_wait_s(self, queue_url: str) -> int:
        with self._moto.locks["sqs"]:
            queue = self._find(queue_url)
            return 0 if queue is None else int(queue.receive_message_wait_time_seconds)

    def _find(self, url_or_arn: str) -> Any:
        name = url_or_arn.rpartition("/")[2].rpartition(":")[2]
        return self._moto.backend("sqs", ACCOUNT_ID, REGION).queues.get(name)

    # Message move tasks -------------------------------------------------------------------

    def _start_move(self, call: AwsCall) -> Response:
        """Put a dead-letter queue's messages back where they came from, or elsewhere.

        Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
        """
        params = _params(call)
        if params is None:
            return _only_json()
        with self._moto.locks["sqs"]:
            source = self._find(params["SourceArn"])
            if source is None:
                return _no_queue()
            queues = self._moto.backend("sqs", ACCOUNT_ID, REGION).queues.values()
            if not any(queue.dead_letter_queue is source for queue in queues):
                message = "Source queue must be configured as a Dead Letter Queue."
                return json_error(400, "InvalidParameterValue", message)
            destination = None
            if "DestinationArn" in params:
                destination = self._find(params["DestinationArn"])
                if destination is None:
                    return _no_queue()
            waiting = len(source._messages)
            moved = self._move(source, destination)
            lost = any(message.home_arn == source.queue_arn for message in source._messages)
        self.wake()
        # What was sent straight to a dead-letter queue came from no queue it could go back to.
        failed = {"Status": "FAILED", "FailureReason": "CouldNotDetermineMessageSource"}
        task: dict[str, Any] = {
            "TaskHandle": str(uuid.uuid4()),
            "Status": "COMPLETED",
            **(failed if lost and destination is None else {}),
            "ApproximateNumberOfMessagesMoved": moved,
            "ApproximateNumberOfMessagesToMove": waiting,
            "StartedTimestamp": round(time.time() * 1000),
            **{key: params[key] for key in ("SourceArn", "DestinationArn") if key in params},
        }
        self._moves.insert(0, task)
        return _answer({"TaskHandle": task["TaskHandle"]})

    def _move(self, source: Any, destination: Any) -> int:
        moved = 0
        for message in list(source._messages):
            target = destination or self._find(getattr(message, "home_arn", ""))
            if (
                target in (None, source)
                or not message.visible
                or message in source.pending_messages
            ):
                continue
            source._messages.remove(message)
            message.approximate_receive_count = 0
            message.approximate_first_receive_timestamp = None
            message.mark_sent()
            target.add_message(message)
            moved += 1
        return moved

    def _list_moves(self, call: AwsCall) -> Response:
        params = _params(call)
        if params is None:
            return _only_json()
        of_source = [one for one in self._moves if one["SourceArn"] == params["SourceArn"]]
        shown = of_source[: params.get("MaxResults", 1)]
        hidden = ("TaskHandle",)  # AWS shows it for running tasks only; ours end at once
        return _answer(
            {"Results": [{k: v for k, v in one.items() if k not in hidden} for one in shown]}
        )

    def _cancel_move(self, _: AwsCall) -> Response:
        return json_error(404, "ResourceNotFoundException", "The task is not running.")


def _remembering(original: Any) -> Any:
    """Messages remember their first queue, and FIFO queues what they were sent lately.

    A redrive takes a message back to its first queue. moto forgets a deduplication id as soon as
    its message is deleted; SQS drops a second message with the same id for five minutes.
    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html
    """

    def add_message(queue: Any, message: Any) -> None:
        if not hasattr(message, "home_arn"):
            message.home_arn = queue.queue_arn
            if queue.fifo_queue and _sent_lately(queue, message.deduplication_id):
                return
        original(queue, message)

    return add_message


def _sent_lately(queue: Any, deduplication_id: str | None) -> bool:
    if deduplication_id is None:
        return False
    now = time.monotonic()
    if not hasattr(queue, "sent_lately"):
        queue.sent_lately = {}
    lately: dict[str, float] = queue.sent_lately  # the oldest first
    while lately and now - next(iter(lately.values())) >= _DEDUPLICATION_S:
        del lately[next(iter(lately))]
    known = deduplication_id in lately
    lately.setdefault(deduplication_id, now)
    return known


def _params(call: AwsCall) -> dict[str, Any] | None:
    """The request, which AWS SDKs have sent as JSON since 2023; None for the older form."""
    if not str(call.environ.get("CONTENT_TYPE", "")).startswith("application/x-amz-json"):
        return None
    params: dict[str, Any] = json.loads(call.body or b"{}")
    return params


def _with_body(call: AwsCall, params: dict[str, Any]) -> AwsCall:
    return AwsCall(
        service=call.service,
        operation=call.operation,
        body=json.dumps(params).encode(),
        environ=call.environ,
    )


def _answer(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), mimetype="application/x-amz-json-1.0")


def _only_json() -> Response:
    return json_error(501, "NotImplemented", "The stand-in's SQS speaks the JSON protocol only.")


def _no_queue() -> Response:
    return json_error(
        404, "ResourceNotFoundException", "The resource that you specified does not exist."
    )
