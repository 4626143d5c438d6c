"""Choose: read what a search's samples came to, and take the setting they promise most for."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

from chalicelib.config import all_workflows
from chalicelib.domain import keys
from chalicelib.domain.choice import decide
from chalicelib.domain.encoding import modifier
from chalicelib.domain.job import Job
from chalicelib.domain.mp4 import Mp4Error, Pictures, pictures
from chalicelib.domain.plan import Route
from chalicelib.domain.points import point
from chalicelib.domain.search import Point, Search
from chalicelib.services import Services
from chalicelib.steps.call import StepCall
from chalicelib.steps.plan import take

log = logging.getLogger(__name__)

_FRAME = re.compile(r"^\d+,([0-9.]+)\s*$", re.MULTILINE)


def choose(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Raises: Rejected: the video cannot be brought under the workflow's limit of size."""
    assert job.plan is not None and job.facts is not None
    if job.plan.route is not Route.SEARCH:
        return {"route": job.plan.route.value}  # this invocation is a repeat
    assert job.plan.search is not None
    points = tuple(_points(services, job, job.plan.search))
    return take(services, job, decide(job.plan, points, job.facts, all_workflows()[job.workflow]))


def _points(services: Services, job: Job, search: Search) -> Iterator[Point]:
    """What there is; none of a search that failed."""
    bucket = services.settings.temp_bucket
    for level in search.levels:
        name = modifier(level)
        key = keys.sample_key(job.job_id, job.attempt, name)
        metric_key = keys.sample_metric_key(job.job_id, job.attempt, name, search.metric)
        size_bytes = services.storage.size_or_none(bucket, key)
        if size_bytes is None or not services.storage.exists(bucket, metric_key):
            log.warning("job %s: no samples at level %s", job.job_id, level)
            continue
        scores = frame_scores(services.storage.read(bucket, metric_key).decode())
        if scores:
            yield point(search, level, scores, _pictures(services, key, size_bytes), size_bytes)


def frame_scores(table: str) -> list[float]:
    """The frames' rows of a metric file; what follows them sums them up.

    Source: https://docs.aws.amazon.com/mediaconvert/latest/ug/per-frame-metrics-enable.html
    """
    return [float(value) for value in _FRAME.findall(table)]


def _pictures(services: Services, key: str, size_bytes: int) -> Pictures | None:
    bucket = services.settings.temp_bucket

    def read(start: int, length: int) -> bytes:
        return services.storage.read_range(bucket, key, start, length) if length else b""

    try:
        return pictures(read, size_bytes)
    except Mp4Error as error:
        log.warning("the index of %s is not used: %s", key, error)
        return None
