"""Where the stack can be killed: calls that a stand-in sees, before their effect and after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from slimreel.local.faults import Fault

#: How the stand-ins name the run of a function.
INVOKE = "Invoke/slimreel-local-"
#: The steps of the flow, in order; each is a Lambda function.
STEPS = (
    *("register", "fetch", "inspect", "plan", "budget", "encode", "choose"),
    *("restore", "measure", "verify", "publish", "announce", "fail"),
)
#: The other functions: what queues, events, schedules and the webhook start.
TRIGGERS = (
    *("api_handler", "drive_changed", "rows_changed", "encode_changed", "execution_ended"),
    *("sweep_drive", "renew_channel", "reconcile_jobs", "requeue_rows"),
)
ENCODED = "MediaConvert Job State Change/COMPLETE"
FLOW_FAILED = "Step Functions Execution Status Change/FAILED"
#: (service, operation) -> up to the how manieth call of a life a kill may wait.
CALLS = {
    ("dynamodb", "PutItem"): 3,
    ("dynamodb", "UpdateItem"): 60,
    ("sqs", "SendMessage"): 12,
    ("sqs", "DeleteMessageBatch"): 3,
    ("states", "StartExecution"): 3,
    ("states", "SendTaskSuccess"): 2,
    ("sns", "Publish"): 2,
    ("s3", "CreateMultipartUpload"): 2,
    ("s3", "UploadPart"): 2,
    ("s3", "CompleteMultipartUpload"): 2,
    ("s3", "PutObject"): 2,
    ("s3", "CopyObject"): 2,
    ("s3", "DeleteObjects"): 1,
    ("mediaconvert", "Probe"): 2,
    ("mediaconvert", "SearchJobs"): 2,
    ("mediaconvert", "CreateJob"): 2,
    ("mediaconvert", "RunJob"): 2,
    ("drive", "files.get"): 4,
    ("drive", "files.get_media"): 2,
    ("drive", "changes.list"): 3,
    ("drive", "changes.watch"): 1,
    ("airtable", "records.upsert"): 3,
    ("events", ENCODED): 2,
    ("events", FLOW_FAILED): 1,
}


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Boundary:
    """One side of one kind of call."""

    service: str
    operation: str
    when: When

    def __str__(self) -> str:
        name = self.operation.removeprefix(INVOKE)
        return f"{self.when} {self.service} {name}"

    def kill(self, nth: int) -> Fault:
        """The fault that kills the stack at the nth such call."""
        return Fault(
            service=self.service,
            operation=self.operation,
            nth=nth,
            kill=True,
            after_effect=self.when is When.AFTER,
        )


def function(name: str, when: When) -> Boundary:
    """Entering or leaving a Lambda function."""
    return Boundary(service="lambda", operation=INVOKE + name, when=when)


def functions() -> tuple[Boundary, ...]:
    """Entering and leaving every step and every other function."""
    return tuple(function(name, when) for name in (*STEPS, *TRIGGERS) for when in When)


def calls() -> tuple[Boundary, ...]:
    return tuple(
        Boundary(service=service, operation=operation, when=when)
        for service, operation in CALLS
        for when in When
    )


def latest(boundary: Boundary) -> int:
    """Up to the how manieth such call of a life a kill may wait."""
    return CALLS.get((boundary.service, boundary.operation), 1)


def everything() -> Iterator[Boundary]:
    yield from functions()
    yield from calls()
