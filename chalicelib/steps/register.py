"""Register: take the job on. Record and row say Processing from here, and it is found by name."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from chalicelib.domain.job import Job
from chalicelib.domain.text import iso
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall
from chalicelib.steps.notify import BeingSent, notify


def register(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    started = job.started_at or iso(services.now())
    job = ledger.write(services, job, started_at=started, execution_started=True)
    # Only that the job began: not worth making the film wait for.
    with suppress(BeingSent):
        services.catalogue.add_name(job)
    notify(services, job)
    return {}
