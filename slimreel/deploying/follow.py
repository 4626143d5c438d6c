"""What goes on with a stack, shown as it happens, and why it failed if it did."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import sleep
from typing import Any

from slimreel.deploying.words import kind

Event = Mapping[str, Any]
#: Told of each event of a resource, oldest first.
Listener = Callable[[Event], None]

_STACK = "AWS::CloudFormation::Stack"
_IN_PROGRESS = "_IN_PROGRESS"
#: Under review: made by a change set that nobody has executed.
REVIEW = "REVIEW_IN_PROGRESS"
GOOD_ENDS = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")
#: Pauses between two looks: short at first, so that a quick change is told quickly.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 4.0
#: Our own choice: after so long without a sign, nothing was begun.
_BEGINS_WITHIN_S = 30.0

_NEXT_STEPS = {
    r"UnreservedConcurrentExecution": (
        "This account may run too few functions at once to reserve any. Deploy with --parameter "
        "FetchConcurrency=0 --parameter AnswerConcurrency=0, and ask for a higher quota: Service "
        "Quotas, AWS Lambda, Concurrent executions."
    ),
    r"not authorized|AccessDenied|access denied": (
        "Your AWS user lacks that right: ask whoever manages the account, then deploy again."
    ),
    r"CloudWatch Logs role ARN": (
        "API Gateway has no role yet to write logs with in this Region: API Gateway, Settings, "
        "CloudWatch log role ARN. Then deploy again."
    ),
    r"already exists": (
        "Something of that name is left from elsewhere: delete it, or deploy under another "
        "--stage. Then deploy again."
    ),
    r"not empty|BucketNotEmpty": "The bucket filled again meanwhile: run slimreel destroy again.",
    r"Rate exceeded|Throttl|TooManyRequests": "AWS was asked too much at once: deploy again.",
    r"[Ll]imit|quota": "A quota of the account is used up: Service Quotas says which. Raise it.",
}


@dataclass(frozen=True, slots=True)
class End:
    """How it ended.

    Attributes:
        status: the stack's, such as UPDATE_ROLLBACK_COMPLETE.
        cause: the first event that failed, in a sentence; empty where none did.
        next_step: what a person does about it.
    """

    status: str
    cause: str = ""
    next_step: str = ""

    @property
    def is_good(self) -> bool:
        return self.status in GOOD_ENDS


def is_busy(status: str) -> bool:
    return status.endswith(_IN_PROGRESS) and status != REVIEW


def last_event(client: Any, stack_id: str) -> str:
    """The id of the newest event, to follow from there; empty where there is none."""
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    return str(events[0]["EventId"]) if events else ""


def follow(client: Any, stack_id: str, *, since: str, listener: Listener) -> End:
    """Wait until nothing goes on with the stack any more.

    Args:
        stack_id: its ARN: a name would lose a stack that is deleted.
        since: the id of the last event that is known already; empty for the operation that goes
            on now, from its beginning.
    """
    seen: list[Event] = []
    pause_s, waited_s = _FIRST_PAUSE_S, 0.0
    while True:
        new = [*_new_events(client, stack_id, since)]
        for event in new:
            if event["ResourceType"] != _STACK:
                listener(event)
        seen += new
        since = new[-1]["EventId"] if new else since
        status = client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        # The events that tell of the end are there before the status says so; read them, too.
        # And what was asked for just now may not have begun.
        waited_s += pause_s
        if not is_busy(status) and not new and (seen or waited_s > _BEGINS_WITHIN_S):
            return _end(status, seen)
        if new:
            pause_s = _FIRST_PAUSE_S
        sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


def _new_events(client: Any, stack_id: str, since: str) -> Iterator[Event]:
    """Oldest first."""
    found: list[Event] = []
    for page in client.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:
            if event["EventId"] == since:
                return iter(reversed(found))
            found.append(event)
            if not since and _is_beginning(event):
                return iter(reversed(found))
    return iter(reversed(found))


def _is_beginning(event: Event) -> bool:
    return (
        event["ResourceType"] == _STACK
        and event.get("ResourceStatusReason") == "User Initiated"
        and event["ResourceStatus"] != REVIEW
    )


def _end(status: str, events: list[Event]) -> End:
    if status in GOOD_ENDS:
        return End(status)
    for event in events:
        reason = event.get("ResourceStatusReason", "")
        # What was stopped because something else had failed is not the cause.
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
            named = f"{kind(event['ResourceType'])} {event['LogicalResourceId']}"
            return End(status, f"{named}: {reason}", _next_step(reason))
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    reason = next((one for one in reasons if one and one != "User Initiated"), "")
    return End(status, reason, _next_step(reason))


def _next_step(reason: str) -> str:
    return next((step for sign, step in _NEXT_STEPS.items() if re.search(sign, reason)), "")
