"""The stage's daily budget for encoding: what fits, and what people are told when it does not.

Money is counted in whole millionths of a dollar, each estimate rounded up, so that sums are exact
and never below what was estimated. Days are UTC's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one day allows."""

    limit_micro_usd: int

    @classmethod
    def of_usd(cls, usd: float) -> Budget:
        scaled = Decimal(repr(usd)).scaleb(6)
        return cls(limit_micro_usd=int(scaled.to_integral_value(ROUND_FLOOR)))

    def highest_before(self, cost_micro_usd: int) -> int:
        """The most that may be reserved already for this to fit; negative when it never does."""
        return self.limit_micro_usd - cost_micro_usd


def micro_usd(usd: float) -> int:
    """
    >>> micro_usd(0.0000001), micro_usd(1.5)
    (1, 1500000)
    """
    return int(Decimal(repr(usd)).scaleb(6).to_integral_value(ROUND_CEILING))


def day_of(now: datetime) -> str:
    """`2026-05-04`"""
    return f"{now:%Y-%m-%d}"


def why_it_waits(budget: Budget, *, cost_micro_usd: int, reserved_micro_usd: int) -> str:
    """What the row, the page and the email say of a job that today's budget has no room for."""
    limit, cost = dollars(budget.limit_micro_usd), dollars(cost_micro_usd)
    if cost_micro_usd > budget.limit_micro_usd:
        return (
            f"Its encode is estimated at {cost}, more than the {limit} a day that this stage may "
            "spend. It waits until that limit is raised, or somebody cancels it."
        )
    return (
        f"Its encode, estimated at {cost}, would go beyond the {limit} that this stage may spend "
        f"today: {dollars(reserved_micro_usd)} are taken. It goes on by itself after 00:00 UTC, or "
        "when the limit is raised."
    )


def dollars(micro: int) -> str:
    """Rounded up, with as many digits as a small sum needs.

    >>> dollars(12_345_678), dollars(1_900), dollars(0)
    ('$12.35', '$0.0019', '$0.00')
    """
    digits = 2 if micro >= 100_000 or not micro else 4 if micro >= 1_000 else 6
    return f"${(Decimal(micro) / MICRO).quantize(Decimal(1).scaleb(-digits), ROUND_CEILING)}"


def forgotten_at(now: datetime) -> int:
    """When a day's account may be deleted, in seconds since 1970: after three months."""
    return int((now + timedelta(days=90)).timestamp())
