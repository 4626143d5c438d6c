"""Measure: decode the result and compare it with the source, independently of the encoder.

A long film takes more than one invocation; how far it came is kept beside the result in S3.
"""

from __future__ import annotations

import json
from typing import Any

from chalicelib.domain import keys
from chalicelib.domain.job import Job
from chalicelib.domain.measurement import Measurement
from chalicelib.measuring import Clip, Progress, Sampling
from chalicelib.measuring import measure as go_on
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall

#: Longer than one invocation can last.
URL_EXPIRES_S = 3600


def measure(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Measure as much as time allows; `done` says whether the measurement is complete."""
    if job.measurement is not None:
        return {"done": True}
    assert job.source_key is not None and job.result_key is not None
    found = go_on(
        services.ffmpeg,
        source=_clip(services, job.source_key, job.size_bytes),
        result=_clip(services, job.result_key, job.result_size_bytes or 0),
        sampling=Sampling(vmaf=job.plan is not None and job.plan.vmaf_floor is not None),
        progress=_progress(services, job),
        remaining_s=call.seconds_left,
    )
    if isinstance(found, Measurement):
        ledger.write(services, job, row=False, measurement=found)
        return {"done": True}
    services.storage.put_json(services.settings.temp_bucket, _key(job), found.to_json())
    return {"done": False}


def _clip(services: Services, key: str, size_bytes: int) -> Clip:
    bucket = services.settings.temp_bucket
    url = services.storage.presigned_url(bucket, key, expires_s=URL_EXPIRES_S)
    return Clip(url=url, size_bytes=size_bytes)


def _key(job: Job) -> str:
    return keys.measurement_key(job.job_id, job.attempt)


def _progress(services: Services, job: Job) -> Progress | None:
    bucket = services.settings.temp_bucket
    if not services.storage.exists(bucket, _key(job)):
        return None
    return Progress.from_json(json.loads(services.storage.read(bucket, _key(job))))
