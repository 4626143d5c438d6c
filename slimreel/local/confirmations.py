"""Email subscriptions that wait until their owner follows the link in a mail, as SNS has it.

Until then the subscription's ARN reads `PendingConfirmation`, and nothing is delivered.
Source: https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from moto.sns.models import SNSBackend
from werkzeug.wrappers import Request, Response

PATH = "/confirm-subscription"
PENDING = "PendingConfirmation"

#: Sends one mail: recipient, subject, body.
Send = Callable[[str, str, str], object]


class Confirmations:
    """Open until `close()`: while it is, new email subscriptions of moto's wait here.

    Args:
        file: remembers who has confirmed, over restarts.
    """

    def __init__(self, file: Path, *, endpoint_url: str, send: Send) -> None:
        self._file, self._endpoint_url, self._send = file, endpoint_url, send
        self._lock = threading.Lock()
        self._pending: dict[str, Any] = {}  # subscriptions by ARN
        self._subscribe = SNSBackend.subscribe
        self._list = SNSBackend.list_subscriptions_by_topic
        SNSBackend.subscribe = self._asking(self._subscribe)
        SNSBackend.list_subscriptions_by_topic = self._telling(self._list)

    def close(self) -> None:
        SNSBackend.subscribe = self._subscribe
        SNSBackend.list_subscriptions_by_topic = self._list

    def is_pending(self, subscription: Any) -> bool:
        return subscription.arn in self._pending

    def handle(self, request: Request) -> Response:
        """Answer the link in the mail."""
        with self._lock:
            found = self._pending.pop(request.args.get("Token", ""), None)
            if found is not None:
                confirmed = [*self._confirmed(), [found.topic.arn, found.endpoint]]
                self._file.write_text(json.dumps(confirmed))
        if found is None:
            return Response("This link is not good (any more).\n", status=403)
        return Response(f"Subscription confirmed: {found.endpoint} gets what is sent to "
                        f"{found.topic.arn}.\n")  # fmt: skip

    def _confirmed(self) -> list[list[str]]:
        known: list[list[str]] = json.loads(self._file.read_text()) if self._file.exists() else []
        return known

    def _asking(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def subscribe(backend: Any, topic_arn: str, endpoint: str, protocol: str) -> Any:
            made = original(backend, topic_arn, endpoint, protocol)
            with self._lock:
                waits = protocol == "email" and [topic_arn, endpoint] not in self._confirmed()
                if waits:
                    self._pending[made.arn] = made
            if waits:
                link = f"{self._endpoint_url}{PATH}?Token={quote(made.arn, safe='')}"
                self._send(
                    endpoint,
                    "AWS Notification - Subscription Confirmation",
                    f"You have chosen to subscribe to the topic:\n{topic_arn}\n\nTo confirm this "
                    f"subscription, visit the link below:\n{link}\n",
                )
            return made

        return subscribe

    def _telling(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def list_subscriptions_by_topic(*arguments: Any, **named: Any) -> Any:
            subscriptions, token = original(*arguments, **named)
            shown = []
            for one in subscriptions:
                if self.is_pending(one):
                    one = copy.copy(one)
                    one.arn = PENDING
                shown.append(one)
            return shown, token

        return list_subscriptions_by_topic
