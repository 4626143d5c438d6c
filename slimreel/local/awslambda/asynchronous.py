"""Asynchronous invocation: accepted at once, tried up to three times, then sent to a queue."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from slimreel.local.awslambda.environments import Closing
from slimreel.local.awslambda.errors import LambdaError
from slimreel.local.awslambda.functions import Function
from slimreel.local.awslambda.invocations import Outcome
from slimreel.local.background import Background
from slimreel.local.faults import Faults

log = logging.getLogger("slimreel.local.lambda")

#: Lambda waits one minute, then two.
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
RETRY_DELAYS_S = (60.0, 120.0)
_MAX_EVENT_AGE_S = 6 * 3600.0
_THROTTLE_DELAY_S = 1.0
_THROTTLE_DELAY_CAP_S = 300.0

#: Sends a body with string attributes to a queue or topic: (arn, body, attributes).
Deliver = Callable[[str, str, dict[str, str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    request_id: str
    function: Function
    payload: bytes
    accepted_at: float  # monotonic seconds
    attempts: int = 0  # invocations that ended in an error of the function
    throttles: int = 0


class AsyncInvoker:
    """Lambda's internal queue for `InvocationType=Event`."""

    def __init__(
        self,
        *,
        invoke: Callable[[Function, bytes], Outcome],
        deliver: Deliver,
        background: Background,
        faults: Faults,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    ) -> None:
        self._invoke = invoke
        self._deliver = deliver
        self._background = background
        self._faults = faults
        self.retry_delays_s = tuple(retry_delays_s)

    def accept(self, function: Function, payload: bytes) -> str:
        """Queue one event; the request id. Faults: operation "InvokeAsync/<function>"."""
        call = _Call(
            request_id=str(uuid.uuid4()),
            function=function,
            payload=payload,
            accepted_at=time.monotonic(),
        )
        self._background.start(lambda: self._arrive(call), name=f"async-{function.name}")
        return call.request_id

    def _arrive(self, call: _Call) -> None:
        fault = self._faults.take("lambda", f"InvokeAsync/{call.function.name}")
        if fault is not None and fault.drop:
            return
        if fault is not None and fault.duplicate:
            self._background.start(lambda: self._attempt(call), name=f"twin-{call.function.name}")
        self._attempt(call)

    def _attempt(self, call: _Call) -> None:
        try:
            outcome = self._invoke(call.function, call.payload)
        except Closing:
            return
        except LambdaError as refusal:
            self._refused(call, refusal)
            return
        call = replace(call, attempts=call.attempts + 1)
        if outcome.function_error is None:
            self._succeeded(call, outcome)
        elif call.attempts <= self._max_retries(call.function):
            delays_s = self.retry_delays_s
            self._again(call, delays_s[min(call.attempts, len(delays_s)) - 1], outcome)
        else:
            self._failed(call, "RetriesExhausted", outcome)

    def _refused(self, call: _Call, refusal: LambdaError) -> None:
        if not refusal.retryable:
            log.warning("event for %s given up: %s", call.function.name, refusal.message)
            self._failed(call, "EventAgeExceeded", None)
            return
        delay_s = min(_THROTTLE_DELAY_S * 2**call.throttles, _THROTTLE_DELAY_CAP_S)
        self._again(replace(call, throttles=call.throttles + 1), delay_s, None)

    def _again(self, call: _Call, delay_s: float, outcome: Outcome | None) -> None:
        config = call.function.event_invoke or {}
        max_age_s = config.get("MaximumEventAgeInSeconds", _MAX_EVENT_AGE_S)
        if time.monotonic() + delay_s - call.accepted_at > max_age_s:
            self._failed(call, "EventAgeExceeded", outcome)
            return
        self._background.later(
            delay_s, lambda: self._attempt(call), name=f"retry-{call.function.name}"
        )

    def _max_retries(self, function: Function) -> int:
        return int((function.event_invoke or {}).get("MaximumRetryAttempts", 2))

    def _succeeded(self, call: _Call, outcome: Outcome) -> None:
        arn = _destination(call.function, "OnSuccess")
        if arn:
            self._send(arn, _record(call, "Success", outcome), {})

    def _failed(self, call: _Call, condition: str, outcome: Outcome | None) -> None:
        function = call.function
        arn = _destination(function, "OnFailure")
        dead_letters = (function.configuration.get("DeadLetterConfig") or {}).get("TargetArn")
        if arn:
            self._send(arn, _record(call, condition, outcome), {})
        if dead_letters:
            error = json.loads(outcome.payload) if outcome else {}
            attributes = {
                "RequestID": call.request_id,
                "ErrorCode": "200",
                "ErrorMessage": str(error.get("errorMessage", condition))[:1024] or condition,
            }
            self._send(dead_letters, call.payload.decode(), attributes)
        if not arn and not dead_letters:
            name, tries = function.name, call.attempts
            log.warning("event for %s lost after %d tries: no failure destination", name, tries)

    def _send(self, arn: str, body: str, attributes: dict[str, str]) -> None:
        if not self._background.closed:
            self._deliver(arn, body, attributes)


def _destination(function: Function, side: str) -> str | None:
    destinations = (function.event_invoke or {}).get("DestinationConfig") or {}
    arn = (destinations.get(side) or {}).get("Destination")
    return str(arn) if arn else None


def _record(call: _Call, condition: str, outcome: Outcome | None) -> str:
    """The invocation record a destination gets.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": call.request_id,
            "functionArn": f"{call.function.arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": call.attempts,
        },
        "requestPayload": json.loads(call.payload or b"null"),
    }
    if outcome is not None:
        record["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST"}
        if outcome.function_error:
            record["responseContext"]["functionError"] = outcome.function_error
        record["responsePayload"] = json.loads(outcome.payload)
    return json.dumps(record)
