"""Inspect: ask MediaConvert's Probe what the source is made of, and its index how hard it is."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from chalicelib.domain.job import Job
from chalicelib.domain.media import facts_from_probe
from chalicelib.domain.mp4 import Mp4Error, Survey, survey
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall

log = logging.getLogger(__name__)


def inspect(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Raises: Rejected: it is damaged or no video at all."""
    url = f"s3://{services.settings.temp_bucket}/{job.source_key}"
    facts = facts_from_probe(services.encoder.probe(url), job.size_bytes)
    told = _survey(services, job)
    facts = replace(
        facts,
        writer=told.writer,
        activity=told.activity,
        beside=told.beside,
        odd_turn=told.odd_turn,
        pace=told.pace,
    )
    ledger.write(services, job, facts=facts)
    return {}


def _survey(services: Services, job: Job) -> Survey:
    """A few ranged reads. What cannot be read is not needed to go on."""
    assert job.source_key is not None
    bucket, key = services.settings.temp_bucket, job.source_key

    def read(start: int, length: int) -> bytes:
        return services.storage.read_range(bucket, key, start, length) if length else b""

    try:
        return survey(read, job.size_bytes)
    except Mp4Error as error:
        log.info("job %s: the index is not used: %s", job.job_id, error)
        return Survey()
