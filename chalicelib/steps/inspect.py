"""Inspect: ask MediaConvert's Probe what the source is made of."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.job import Job
from chalicelib.domain.media import facts_from_probe
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall


def inspect(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Raises: Rejected: it is damaged or no video at all."""
    url = f"s3://{services.settings.temp_bucket}/{job.source_key}"
    facts = facts_from_probe(services.encoder.probe(url), job.size_bytes)
    ledger.write(services, job, facts=facts)
    return {}
