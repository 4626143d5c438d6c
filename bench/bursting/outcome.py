"""What a burst came to: when each job reached what, and whether everything is there once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chalicelib.domain.keys import job_and_run
from chalicelib.domain.row import KEY_FIELD, TABLE_NAME
from slimreel.local.deployment import Deployment

#: Without a job ending for so long, nothing more is coming.
PATIENCE_S = 180.0
_QUEUES = ("DriveDeadLetters", "RowsDeadLetters", "EventDeadLetters")


@dataclass(slots=True)
class Moments:
    """Hears of every write of a job's record; seconds of `time.time()` by job id."""

    created: dict[str, float] = field(default_factory=dict)
    submitted: dict[str, float] = field(default_factory=dict)
    encoded: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    synced: dict[str, float] = field(default_factory=dict)

    def hear(self, _: str, item: dict[str, Any] | None) -> None:
        if item is None or item["sk"].get("S") != "job":
            return
        now, job_id = time.time(), item["pk"]["S"].removeprefix("job#")
        self.created.setdefault(job_id, now)
        if "encoder_job_id" in item:
            self.submitted.setdefault(job_id, now)
        if "outcome" in item:
            self.encoded.setdefault(job_id, now)
        if "completed_at" in item:
            self.ended.setdefault(job_id, now)
            if item.get("synced_version") == item.get("row_version"):
                self.synced.setdefault(job_id, now)


def wait_for_end(deployment: Deployment, moments: Moments, files: int) -> float:
    """Until every job has ended, row and execution too; that moment, or when we gave up."""
    moved_at, seen = time.time(), 0
    while time.time() - moved_at < PATIENCE_S:
        if len(moments.synced) > seen:
            moved_at, seen = time.time(), len(moments.synced)
        if seen >= files and not any(one == "RUNNING" for one in executions(deployment).values()):
            return max(moments.synced.values())
        time.sleep(1.0)
    return time.time()


def executions(deployment: Deployment) -> dict[str, str]:
    """Status of every execution by name."""
    arn = deployment.stack.outputs["CompressFlowArn"]
    pages = deployment.cloud.client("stepfunctions").get_paginator("list_executions")
    return {
        one["name"]: one["status"]
        for page in pages.paginate(stateMachineArn=arn)
        for one in page["executions"]
    }


def problems(deployment: Deployment, files: int) -> list[str]:
    """What is not there exactly once, in words; empty when all is well."""
    return list(_problems(deployment, files))


def _problems(deployment: Deployment, files: int) -> Iterator[str]:
    ran = executions(deployment)
    jobs = {found[0] for name in ran if (found := job_and_run(name))}
    if len(ran) != files or len(jobs) != files or set(ran.values()) != {"SUCCEEDED"}:
        yield f"executions: {dict(Counter(ran.values()))} of {len(jobs)} jobs"
    encodes = deployment.cloud.requests.get(("mediaconvert", "CreateJob"), 0)
    submitted = _encoder_jobs(deployment)
    if submitted != files:
        yield f"{submitted} MediaConvert jobs ({encodes} calls)"
    rows = deployment.cloud.airtable.rows(deployment.base_id, TABLE_NAME)
    shown = Counter(row.get("Status") for row in rows)
    if len({row.get(KEY_FIELD) for row in rows}) != files or shown != {"Completed": files}:
        yield f"rows: {dict(shown)}"
    outputs = _keys(deployment, "CompressedBucket")
    if len(outputs) != files:
        yield f"{len(outputs)} outputs"
    if left := _keys(deployment, "TempBucket"):
        yield f"{len(left)} temporary objects are left"
    mails = sum(any(job in mail.body for job in jobs) for mail in deployment.cloud.mailbox.mails())
    if mails != files:
        yield f"{mails} emails"
    for name in _QUEUES:
        if count := _waiting(deployment, name):
            yield f"{count} messages in {name}"


def _encoder_jobs(deployment: Deployment) -> int:
    pages = deployment.cloud.client("mediaconvert").get_paginator("list_jobs").paginate()
    return sum(len(page["Jobs"]) for page in pages)


def _keys(deployment: Deployment, bucket: str) -> list[str]:
    pages = deployment.cloud.client("s3").get_paginator("list_objects_v2")
    name = deployment.stack.resources[bucket]
    return [one["Key"] for page in pages.paginate(Bucket=name) for one in page.get("Contents", [])]


def _waiting(deployment: Deployment, queue: str) -> int:
    url = deployment.stack.outputs[f"{queue}Url"]
    wanted = "ApproximateNumberOfMessages"
    answer = deployment.cloud.client("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=[wanted]
    )
    return int(answer["Attributes"][wanted])
