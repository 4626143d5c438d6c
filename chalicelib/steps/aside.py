"""A Drive file whose job cannot be started: tried again with each reading of the change log, and
in the end set aside, so that the log can be read on.

A dead letter names the file and the reason. Sent back to its queue, it has the file looked at anew.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from chalicelib.adapters import aws_errors
from chalicelib.domain.errors import Temporary
from chalicelib.services import Services

log = logging.getLogger(__name__)

#: So many failures, over at least so long: a deployment may be under way meanwhile.
ATTEMPTS = 5
PATIENCE = timedelta(minutes=30)
#: An outage is none of the file's fault, and most likely that of all others, too.
PATIENCE_WITH_OUTAGES = timedelta(days=1)
_REMEMBERED = timedelta(days=7)


def set_aside(services: Services, file_id: str, file_name: str, error: Exception) -> bool:
    """Count one more failure of this file. True when it was given up."""
    try:
        if not _is_hopeless(services, file_id, error):
            return False
        give_up(services, file_id, file_name, f"{type(error).__name__}: {error}")
        services.records.delete_state(*_key(file_id))
    except Exception:
        log.exception("Drive file %s was not set aside", file_id)
        return False
    return True


def _key(file_id: str) -> tuple[str, str]:
    return "drive#failing", file_id


def _is_hopeless(services: Services, file_id: str, error: Exception) -> bool:
    now_s = services.now().timestamp()
    forget = {"expires_at": int(now_s + _REMEMBERED.total_seconds())}
    known = services.records.save_state(*_key(file_id), forget, add={"attempts": 1})
    assert known is not None  # it was asked for without a condition
    if "since" not in known:
        services.records.save_state(*_key(file_id), {"since": now_s})
    passes = isinstance(error, Temporary) or aws_errors.passes(error)
    patience = PATIENCE_WITH_OUTAGES if passes else PATIENCE
    failing_s = now_s - float(known.get("since", now_s))
    return known["attempts"] >= ATTEMPTS and failing_s >= patience.total_seconds()


def give_up(services: Services, file_id: str, file_name: str, reason: str) -> None:
    """Put the file among the dead letters."""
    log.error("Drive file %s is set aside: %s", file_id, reason)
    services.queues.set_file_aside(file_id, file_name, reason)
