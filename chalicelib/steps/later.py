"""Work that must not undo what has been decided: when it fails, `reconcile` does it later."""

from __future__ import annotations

import logging
from collections.abc import Callable

from chalicelib.domain.job import Job

log = logging.getLogger(__name__)


def or_later(job: Job, otherwise: str, work: Callable[[], object]) -> bool:
    """Do it. False when it failed, which is logged as `otherwise`."""
    try:
        work()
    except Exception:
        log.exception("job %s: %s; reconcile does it", job.job_id, otherwise)
        return False
    return True
