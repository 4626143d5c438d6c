"""Revoke: the link to a result that got into the wrong hands stops working, and the row gets a new
one. Emails that were sent keep the old one, which is dead."""

from __future__ import annotations

import logging

from chalicelib.domain.control import NotNow, UnknownJob, name_of
from chalicelib.domain.job import Job
from chalicelib.domain.text import iso
from chalicelib.services import Services
from chalicelib.steps import ledger

log = logging.getLogger(__name__)


def revoke(services: Services, job_id: str, *, by: str) -> Job:
    """Make every link given out so far lead nowhere. Each call makes a new one.

    Raises:
        UnknownJob: there is none.
        NotNow: nothing is published, so there is no link.
    """
    job = services.records.get(job_id)
    if job is None:
        raise UnknownJob(job_id)
    if job.published_key is None:
        raise NotNow("Nothing is published yet, so there is no link to revoke.")
    changes = {"link_number": job.link_number + 1, "updated_at": iso(services.now())}
    changed = services.records.update(
        job_id, changes, only_if={"link_number": job.link_number}, row=True
    )
    if changed is None:  # somebody else revoked it this moment
        return services.records.get(job_id) or job
    log.info("job %s: link %d revoked by %s", job_id, job.link_number, name_of(by))
    ledger.tell_row_writer(services, changed)
    return changed
