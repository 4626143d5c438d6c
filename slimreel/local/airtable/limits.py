"""How often one may call: per base, per token, per month."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from slimreel.local.airtable import errors

PENALTY_S = 30
"""After a 429 nothing succeeds for so long.
Source: https://airtable.com/developers/web/api/rate-limits"""

REQUESTS_PER_TOKEN_PER_S = 50
"""Over all bases. Source: as above."""


class RateLimit:
    """So many requests in any one second for each key; then the penalty.

    Requests made during the penalty do not make it longer. (Airtable does not say.)
    """

    def __init__(self, requests_per_s: int, clock: Callable[[], float]) -> None:
        self._requests_per_s = requests_per_s
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}
        self._blocked_until: dict[str, float] = {}

    def admit(self, key: str) -> None:
        """Count one request.

        Raises:
            Refusal: one request too many, or the penalty is not over.
        """
        now = self._clock()
        if now < self._blocked_until.get(key, 0.0):
            raise errors.rate_limited()
        recent = self._recent.setdefault(key, deque())
        while recent and recent[0] <= now - 1.0:
            recent.popleft()
        if len(recent) >= self._requests_per_s:
            self._blocked_until[key] = now + PENALTY_S
            raise errors.rate_limited()
        recent.append(now)
