"""Which films come, and when: seeded, so that the same seed is the same day."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from bench.scaling.assumptions import Assumptions

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A film that somebody drops.

    Attributes:
        size: "SD", "HD" or "UHD", as MediaConvert prices it.
        attempts: whole encodes until one is good enough; 0 for what is kept as it is.
    """

    at_s: float
    size_bytes: float
    duration_s: float
    size: str
    attempts: int


def films(given: Assumptions, *, per_day: float, days: float, seed: int) -> Iterator[Film]:
    """The films of so many days, in the order in which they come."""
    chance = random.Random(seed)
    for at_s in drops(given, per_day=per_day, days=days, chance=chance):
        yield _film(given, at_s, chance)


def drops(
    given: Assumptions, *, per_day: float, days: float, chance: random.Random
) -> Iterator[float]:
    """Moments of drops: folders of several files, mostly in working hours."""
    at_once = given("day", "files_at_once")
    busy_s = (given("day", "busy_to_h") - given("day", "busy_from_h")) * 3600
    busy, quiet = (
        per_day * share / length / at_once
        for share, length in (
            (given("day", "busy_share"), busy_s),
            (1 - given("day", "busy_share"), DAY_S - busy_s),
        )
    )
    fastest, now = max(busy, quiet), 0.0
    while (now := now + chance.expovariate(fastest)) < days * DAY_S:
        hour = now % DAY_S / 3600
        is_busy = given("day", "busy_from_h") <= hour < given("day", "busy_to_h")
        if chance.random() * fastest > (busy if is_busy else quiet):
            continue
        # Geometric, with that mean.
        files = 1
        while chance.random() > 1 / at_once:
            files += 1
        yield from (now for _ in range(files))


def _film(given: Assumptions, at_s: float, chance: random.Random) -> Film:
    films = given.section("films")
    size_bytes = min(
        films["median_bytes"] * math.exp(chance.gauss(0, films["sigma"])), films["most_bytes"]
    )
    bits_per_s = films["median_bits_per_s"] * math.exp(chance.gauss(0, films["sigma_bits_per_s"]))
    draw = chance.random()
    size = "SD" if draw < films["sd_share"] else "HD"
    if draw > 1 - films["uhd_share"]:
        size = "UHD"
    attempts = 0
    if chance.random() >= films["kept_share"]:
        attempts = 2 if chance.random() < films["again_share"] else 1
    return Film(
        at_s=at_s,
        size_bytes=size_bytes,
        duration_s=size_bytes * 8 / bits_per_s,
        size=size,
        attempts=attempts,
    )
