"""Trying again: only what Google documents as worth it, slower each time, with full jitter.

Source: https://developers.google.com/workspace/drive/api/guides/limits (exponential backoff) and
https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.adapters.drive_errors import DriveUnavailable

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How patient to be. The n-th pause is random, up to `base_s * 2**n`, never above `cap_s`.

    With the defaults that is half a minute in the mean and a little over one at most.
    """

    attempts: int = 8
    base_s: float = 0.5
    cap_s: float = 32.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random

    def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, trying again while Drive says to.

        Raises:
            DriveError: the first one that is not worth another try, or the last one.
        """
        for attempt in range(self.attempts - 1):
            try:
                return work()
            except DriveUnavailable as error:
                pause_s = self.random() * min(self.cap_s, self.base_s * 2**attempt)
                _LOG.info("Drive: %s Trying again in %.1f s.", error.reason, pause_s)
                self.sleep(pause_s)
        return work()
