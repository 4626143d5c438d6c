"""When Airtable takes nothing: stop asking for a while, and tell people once.

Every row stays marked in its record, so nothing is lost by not trying. What trying costs is real:
on Airtable's free plan there are some thirty calls a day.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from chalicelib.adapters.airtable import AirtableError, AirtableOutOfCalls, AirtableUnavailable
from chalicelib.domain import alert
from chalicelib.services import Services

log = logging.getLogger(__name__)

STATE = ("airtable", "pause")
#: So many outages in a row are waited for at once, each as long as Airtable asks.
PATIENCE = 3
#: Then, and after a refusal of everything: so long, twice as long each time, up to a limit.
FIRST_PAUSE = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(hours=2)
#: A month's calls come back with the month, or when somebody buys more.
OUT_OF_CALLS_PAUSE = timedelta(hours=1)
#: People are not told of an outage that passes by itself in this time.
TELL_AFTER = timedelta(hours=1)


@dataclass
class Trouble:
    """What is known of Airtable at this moment, read once per batch of rows."""

    services: Services
    _state: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._state = self.services.records.state(*STATE)

    @property
    def lasts(self) -> bool:
        """Nothing is to be tried now."""
        return float(self._state.get("until", 0)) > self._now_s()

    @property
    def is_known(self) -> bool:
        """The last we heard was trouble."""
        return bool(self._state.get("failures"))

    def met(self, error: AirtableError) -> bool:
        """Remember one more failure. True when it is no use to try again soon."""
        now_s = self._now_s()
        first = {} if "since" in self._state else {"since": now_s}
        self._save(first, failures=1)
        failures = int(self._state["failures"])
        passes = isinstance(error, AirtableUnavailable)
        if passes and failures < PATIENCE:
            return False
        pause = _pause(failures - (PATIENCE if passes else 1))
        if isinstance(error, AirtableOutOfCalls):
            pause = OUT_OF_CALLS_PAUSE
        log.error("Airtable takes no rows; the next try is in %s: %s", pause, error)
        self._save({"until": now_s + pause.total_seconds()})
        if not passes or now_s - float(self._state["since"]) >= TELL_AFTER.total_seconds():
            self.tell(error)
        return True

    def tell(self, error: AirtableError) -> None:
        """Tell people of this kind of trouble, unless they were told."""
        kind, told = type(error).__name__, list(self._state.get("told", ()))
        if kind in told:
            return
        try:
            self.services.topic.publish(alert.rows_wait(str(error)))
        except Exception:
            log.exception("people were not told about Airtable; the next failure tells them")
            return
        self._save({"told": [*told, kind]})

    def passed(self) -> None:
        """Airtable took a row. What people were told holds until every row is written."""
        self._save({"failures": 0, "until": 0})

    def is_over(self) -> None:
        """No row waits any more; the next trouble is a new one."""
        if self._state:
            self.services.records.delete_state(*STATE)
            self._state = {}

    def _save(self, changes: dict[str, Any], **add: int) -> None:
        saved = self.services.records.save_state(*STATE, changes, add=add)
        assert saved is not None  # it was asked for without a condition
        self._state = saved

    def _now_s(self) -> float:
        return self.services.now().timestamp()


def _pause(times: int) -> timedelta:
    return min(FIRST_PAUSE * float(2 ** min(times, 10)), LONGEST_PAUSE)
