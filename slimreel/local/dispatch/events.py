"""EventBridge: events in, matching rules' targets out."""

from __future__ import annotations

import json
import logging
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from werkzeug.wrappers import Response

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.aws_errors import json_error
from slimreel.local.awslambda import AwsLambda
from slimreel.local.awslambda.errors import LambdaError
from slimreel.local.background import Background
from slimreel.local.dispatch.deliver import Deliver
from slimreel.local.dispatch.rules import Envelope, Rule, Rules, input_for, may_invoke
from slimreel.local.faults import Faults
from slimreel.local.moto_app import AwsCall

log = logging.getLogger("slimreel.local.events")

#: Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
_EVENT_LIMIT_BYTES = 256 * 1024
_TARGETS = ("lambda", "sqs", "sns")


class Bus:
    """The default event bus.

    Faults, service "events", operation "<detail-type>/<status of the detail>": `drop`,
    `duplicate`, `delay_s` and `repeat_after_s` strike the event on its way to all its rules.
    """

    def __init__(
        self,
        *,
        rules: Rules,
        awslambda: AwsLambda,
        deliver: Deliver,
        background: Background,
        faults: Faults,
    ) -> None:
        self._rules = rules
        self._lambda = awslambda
        self._deliver = deliver
        self._background = background
        self._faults = faults

    def put_event(self, envelope: Envelope) -> None:
        """Send one event, as AWS services do. Returns at once; missing envelope keys are added."""
        event = complete(envelope)
        self._background.start(lambda: self._route(event), name=f"event-{event['detail-type']}")

    def handle_put_events(self, call: AwsCall) -> Response:
        """Answer the PutEvents API."""
        entries = json.loads(call.body or b"{}").get("Entries") or []
        if not 1 <= len(entries) <= 10:
            message = "Entries must have between 1 and 10 members."
            return json_error(400, "ValidationException", message)
        if len(call.body) > _EVENT_LIMIT_BYTES:
            message = "Total size of the entries in the request is over the limit."
            return json_error(400, "ValidationException", message)
        results = [self._accept(entry) for entry in entries]
        failed = sum("ErrorCode" in result for result in results)
        body = {"FailedEntryCount": failed, "Entries": results}
        return Response(json.dumps(body), mimetype="application/x-amz-json-1.1")

    def send(self, rule: Rule, event: Envelope) -> None:
        """Send an event to all targets of one rule."""
        for target in rule.targets:
            self._send(rule, target, event)

    def _accept(self, entry: dict[str, Any]) -> dict[str, Any]:
        for member in ("Source", "DetailType", "Detail"):
            if not entry.get(member):
                reason = (
                    f"Parameter {member} is not valid. Reason: {member} is a required argument."
                )
                return {"ErrorCode": "InvalidArgument", "ErrorMessage": reason}
        if entry["Source"].startswith("aws."):
            reason = "Not authorized for the source."
            return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": reason}
        if entry.get("EventBusName", "default").rpartition("/")[2] != "default":
            reason = "The stand-in has the default bus only."
            log.warning("501 PutEvents: %s", reason)
            return {"ErrorCode": "NotImplemented", "ErrorMessage": reason}
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        event = complete(
            {
                "detail-type": entry["DetailType"],
                "source": entry["Source"],
                "time": iso(float(entry.get("Time", time.time()))),
                "resources": entry.get("Resources", []),
                "detail": detail,
            }
        )
        self.put_event(event)
        return {"EventId": event["id"]}

    def _route(self, event: Envelope) -> None:
        status = event["detail"].get("status", "") if isinstance(event["detail"], dict) else ""
        fault = self._faults.take("events", f"{event['detail-type']}/{status}")
        if fault is not None and fault.drop:
            return
        if fault is not None and fault.repeat_after_s is not None:
            self._background.later(
                fault.repeat_after_s, lambda: self._send_all(event), name="late-event"
            )
        for _ in range(2 if fault is not None and fault.duplicate else 1):
            self._send_all(event)
        self._faults.done()

    def _send_all(self, event: Envelope) -> None:
        for rule in self._rules.matching(event):
            self.send(rule, event)

    def _send(self, rule: Rule, target: dict[str, Any], event: Envelope) -> None:
        arn = target["Arn"]
        body = json.dumps(input_for(target, event))
        try:
            if arn.split(":")[2] == "lambda":
                self._check_permission(rule, arn)
                self._lambda.invoke_async(arn, body.encode())
            elif arn.split(":")[2] in _TARGETS:
                group = target.get("SqsParameters", {}).get("MessageGroupId")
                self._deliver(arn, body, {}, group=group)
            else:
                log.warning("501 rule %s: the target %s has no stand-in", rule.name, arn)
        except (LambdaError, ClientError) as failure:
            self._undelivered(rule, target, event, failure)

    def _check_permission(self, rule: Rule, function_arn: str) -> None:
        function = self._lambda.functions.get(function_arn)
        if not may_invoke(function, rule.arn):
            raise LambdaError(
                403,
                "NO_PERMISSIONS",
                f"{function.name} has no permission for events.amazonaws.com and {rule.arn}",
            )

    def _undelivered(
        self, rule: Rule, target: dict[str, Any], event: Envelope, failure: Exception
    ) -> None:
        """What could not be handed to its target goes to the target's dead-letter queue.

        Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        """
        log.warning("rule %s could not reach %s: %s", rule.name, target["Arn"], failure)
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue or self._background.closed:
            return
        code = failure.code if isinstance(failure, LambdaError) else "SDK_CLIENT_ERROR"
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": code,
            "ERROR_MESSAGE": str(failure)[:1024],
        }
        self._deliver(queue, json.dumps(event), attributes)


def complete(envelope: Envelope) -> Envelope:
    """The event with all nine keys of the envelope."""
    defaults: Envelope = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "",
        "source": "",
        "account": ACCOUNT_ID,
        "time": iso(time.time()),
        "region": REGION,
        "resources": [],
        "detail": {},
    }
    return {**defaults, **envelope}


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
