"""On-demand queues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from slimreel.local.mediaconvert.errors import BadRequest, Conflict, NotDoneHere, NotFound
from slimreel.local.mediaconvert.job import Job

#: Source: https://docs.aws.amazon.com/general/latest/gr/mediaconvert.html (queues per Region)
_MOST_QUEUES = 10


@dataclass(slots=True, kw_only=True)
class Queue:
    name: str
    arn: str
    description: str
    status: str
    created_s: float
    updated_s: float

    @property
    def kind(self) -> str:
        return "SYSTEM" if self.name == "Default" else "CUSTOM"


class Queues:
    """The queues of one account and Region. Not thread-safe: callers hold the service's lock."""

    def __init__(self, *, arn_prefix: str, now_s: float) -> None:
        self._arn_prefix = arn_prefix
        self._queues: dict[str, Queue] = {}
        self.create({"name": "Default"}, now_s)

    def create(self, body: dict[str, Any], now_s: float) -> Queue:
        if body.get("pricingPlan", "ON_DEMAND") != "ON_DEMAND" or body.get("concurrentJobs"):
            raise NotDoneHere("Reserved queues and per-queue concurrency are not done here.")
        name = body["name"]
        if name in self._queues:
            raise Conflict(f"Queue already exists: {name}")
        if len(self._queues) >= _MOST_QUEUES:
            raise BadRequest(f"You can have at most {_MOST_QUEUES} queues.")
        queue = Queue(
            name=name,
            arn=f"{self._arn_prefix}{name}",
            description=body.get("description", ""),
            status=body.get("status", "ACTIVE"),
            created_s=now_s,
            updated_s=now_s,
        )
        self._queues[name] = queue
        return queue

    def get(self, name_or_arn: str) -> Queue:
        """Raises: NotFound."""
        queue = self._queues.get(name_or_arn.removeprefix(self._arn_prefix))
        if queue is None:
            raise NotFound(f"Queue not found: {name_or_arn}")
        return queue

    def update(self, name: str, body: dict[str, Any], now_s: float) -> Queue:
        if body.get("concurrentJobs") or body.get("reservationPlanSettings"):
            raise NotDoneHere("Reserved queues and per-queue concurrency are not done here.")
        queue = self.get(name)
        queue.status = body.get("status", queue.status)
        queue.description = body.get("description", queue.description)
        queue.updated_s = now_s
        return queue

    def delete(self, name: str, jobs: Iterable[Job]) -> None:
        queue = self.get(name)
        if queue.kind == "SYSTEM":
            raise BadRequest("You can't delete the default queue.")
        if any(job.queue_arn == queue.arn and job.finished_s is None for job in jobs):
            raise Conflict(f"Queue {name} still has jobs.")
        del self._queues[queue.name]

    def all(self) -> list[Queue]:
        return list(self._queues.values())

    def active(self, arn: str) -> bool:
        queue = self._queues.get(arn.removeprefix(self._arn_prefix))
        return queue is not None and queue.status == "ACTIVE"


def to_wire(queue: Queue, jobs: Iterable[Job]) -> dict[str, Any]:
    mine = [job.status for job in jobs if job.queue_arn == queue.arn]
    return {
        "arn": queue.arn,
        "name": queue.name,
        "description": queue.description,
        "createdAt": int(queue.created_s),
        "lastUpdated": int(queue.updated_s),
        "pricingPlan": "ON_DEMAND",
        "status": queue.status,
        "type": queue.kind,
        "progressingJobsCount": mine.count("PROGRESSING"),
        "submittedJobsCount": mine.count("SUBMITTED"),
    }
