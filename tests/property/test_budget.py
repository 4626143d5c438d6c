"""What holds for the daily budget whatever is estimated and in whatever order it is asked for."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.adapters.records import Below
from chalicelib.domain.budget import MICRO, Budget, dollars, micro_usd, why_it_waits
from tests.fakes import Records

quick = settings(deadline=None)
usd = st.floats(0, 500, allow_nan=False)
costs = st.lists(usd, min_size=1, max_size=12)


def reserve(records: Records, budget: Budget, entry: str, cost: int) -> bool:
    """The one conditional write of `steps/budget.py`."""
    room = budget.highest_before(cost)
    only_if = {entry: None, "reserved": Below(room + 1)}
    changes, add = {entry: cost}, {"reserved": cost}
    return room >= 0 and bool(
        records.save_state("budget", "day", changes, add=add, only_if=only_if)
    )


@quick
@given(usd, costs, st.randoms(use_true_random=False))
def test_the_limit_is_never_passed_and_nothing_is_counted_twice(limit, costs, random) -> None:
    records, budget = Records(), Budget.of_usd(limit)
    asked = [(f"job-{n}", micro_usd(cost)) for n, cost in enumerate(costs)] * 3
    random.shuffle(asked)
    let_through = {entry: cost for entry, cost in asked if reserve(records, budget, entry, cost)}
    account = records.state("budget", "day")
    reserved = account.get("reserved", 0)
    assert reserved == sum(let_through.values()) <= budget.limit_micro_usd
    assert reserved <= Decimal(repr(limit)) * MICRO
    for entry, cost in asked:  # and nobody waits for whom there was room
        assert entry in let_through or reserved + cost > budget.limit_micro_usd


@quick
@given(costs)
def test_what_is_counted_is_never_less_than_what_was_estimated(costs) -> None:
    counted = sum(micro_usd(cost) for cost in costs)
    assert counted >= sum(Decimal(repr(cost)) for cost in costs) * MICRO
    assert counted <= sum(Decimal(repr(cost)) for cost in costs) * MICRO + len(costs)


@quick
@given(st.integers(0, 10**12))
def test_money_is_shown_rounded_up_and_never_as_nothing(micro: int) -> None:
    shown = Decimal(dollars(micro).removeprefix("$"))
    assert shown * MICRO >= micro
    assert (shown == 0) == (micro == 0)


@quick
@given(usd, usd, usd)
def test_who_waits_is_told_what_would_help(limit, cost, reserved) -> None:
    budget = Budget.of_usd(limit)
    told = why_it_waits(
        budget, cost_micro_usd=micro_usd(cost), reserved_micro_usd=micro_usd(reserved)
    )
    assert dollars(micro_usd(cost)) in told and "raised" in told
    assert ("00:00 UTC" in told) == (micro_usd(cost) <= budget.limit_micro_usd)
