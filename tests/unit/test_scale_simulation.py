"""The simulator behind docs/scale.md: what goes in comes out, and queues behave as theory says."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from bench.scaling.assumptions import documented
from bench.scaling.bill import monthly_bill
from bench.scaling.films import films
from bench.scaling.kernel import AskedAgain, Batches, Clock, Places, Process, Processor, Rate
from bench.scaling.limits import limits
from bench.scaling.plot import svg
from bench.scaling.scenarios import Scenario, play
from bench.scaling.standin import BURST_200, BURST_1000, burst
from bench.scaling.system import System
from chalicelib.config import price_table

GIVEN = documented()


def queue(arrivals: list[float], *, places: int, service_s: float) -> Places:
    clock = Clock()
    shop = Places(clock, places)

    def customer() -> Process:
        yield shop.enter
        yield service_s
        shop.leave(service_s)

    for at in arrivals:
        clock.start(customer(), at=at)
    clock.run()
    return shop


def poisson(count: int, per_s: float, seed: int = 1) -> list[float]:
    chance, at = random.Random(seed), 0.0
    return [at := at + chance.expovariate(per_s) for _ in range(count)]


def test_one_server_of_constant_time_waits_as_pollaczek_and_khinchine_say() -> None:
    load, service_s = 0.8, 1.0
    shop = queue(poisson(20_000, load / service_s), places=1, service_s=service_s)
    expected_s = load * service_s / (2 * (1 - load))
    assert shop.load.waited_s / shop.load.served == pytest.approx(expected_s, rel=0.1)


def test_several_servers_wait_as_the_recursion_over_arrivals_says() -> None:
    """M/D/c: with constant service the servers free in turn, so each customer begins when the one
    c places before has ended (Crommelin's argument)."""
    places, service_s = 4, 1.0
    arrivals = poisson(5_000, 0.9 * places)
    ends: list[float] = []
    waited_s = 0.0
    for number, at in enumerate(arrivals):
        begins = max(at, ends[number - places] if number >= places else 0.0)
        waited_s += begins - at
        ends.append(begins + service_s)
    shop = queue(arrivals, places=places, service_s=service_s)
    assert shop.load.waited_s == pytest.approx(waited_s)
    assert shop.load.busy_s == pytest.approx(5_000)


def test_places_found_by_asking_again_are_found_as_fast_as_by_really_asking() -> None:
    """The shortcut against a simulation of every single asking."""
    pause_s, service_s, jobs = 300.0, 60.0, 200

    def asked() -> tuple[float, float]:
        clock = Clock()
        shop = AskedAgain(clock, 4, pause_s, random.Random(3))

        def job() -> Process:
            yield shop.enter
            yield service_s
            shop.leave(service_s)

        for _ in range(jobs):
            clock.start(job())
        clock.run()
        shop.finish()
        return clock.now, shop.asked

    def really() -> tuple[float, float]:
        clock, chance = Clock(), random.Random(4)
        taken = tries = 0

        def job() -> Process:
            nonlocal taken, tries
            while taken >= 4:
                tries += 1
                yield chance.uniform(0, pause_s)
            taken += 1
            yield service_s
            taken -= 1

        for _ in range(jobs):
            clock.start(job())
        clock.run()
        return clock.now, tries

    (short_s, short_tries), (long_s, long_tries) = asked(), really()
    assert short_s == pytest.approx(long_s, rel=0.15)
    assert short_tries == pytest.approx(long_tries, rel=0.15)


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    bucket = Rate(Clock(), per_s=2, burst=4, patience_s=1)
    waits = [bucket.wait_s() for _ in range(7)]
    assert waits == [0, 0, 0, 0, 0.5, 1.0, None]
    assert bucket.refused == 1


def test_tasks_share_a_processor_equally() -> None:
    clock, ended = Clock(), []
    processor = Processor(clock, cores=2)

    def task(seconds: float) -> Process:
        yield processor.use(seconds)
        ended.append((seconds, clock.now))

    for seconds in (1.0, 2.0, 3.0):
        clock.start(task(seconds))
    clock.run()
    # Three tasks at 2/3 speed until 1.5 s; then two, each with a core of its own.
    assert ended == [
        (1.0, pytest.approx(1.5)),
        (2.0, pytest.approx(2.5)),
        (3.0, pytest.approx(3.5)),
    ]
    assert processor.busy_s == pytest.approx(6.0)


def test_messages_about_one_thing_make_one_row() -> None:
    clock = Clock()
    rows = Batches(clock, call_s=1.0, most=10)
    for about in (1, 1, 2, 1):
        rows.tell(about)
    clock.run()
    assert (rows.calls, rows.rows, sorted(rows.waits_s)) == (2, 3, [1.0, 2.0, 2.0, 2.0])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("raised", [{}, {"drive_bytes_per_day": 2e11}, {"create_job_per_s": 0.001}])
def test_every_job_that_goes_in_comes_out_once(seed: int, raised: dict[str, float]) -> None:
    scenario = Scenario(name="a day", per_day=200, days=1, raised=raised)
    outcome = play(scenario, GIVEN, seed=seed)
    totals = outcome.totals
    dropped = sum(1 for _ in films(GIVEN, per_day=200, days=1, seed=seed))
    assert totals.dropped == totals.ended == totals.emails == dropped > 100
    assert len(outcome.latency_s) == dropped
    assert outcome.still_open == 0 and outcome.opened[-1][1] == 0
    assert bool(totals.failed) == bool(raised)
    if not raised:
        held = [film.size_bytes for film in films(GIVEN, per_day=200, days=1, seed=seed)]
        assert totals.copied_bytes == pytest.approx(sum(held))


def test_what_is_cut_off_is_still_open() -> None:
    outcome = play(Scenario(name="half", per_day=500, days=1, until_s=43_200), GIVEN, seed=1)
    assert 0 < outcome.still_open < outcome.totals.dropped
    assert outcome.totals.dropped == outcome.totals.ended + outcome.still_open


def test_the_same_seed_is_the_same_day() -> None:
    first, again = (list(films(GIVEN, per_day=300, days=1, seed=7)) for _ in range(2))
    assert first == again
    assert all(a.at_s <= b.at_s for a, b in pairwise(first))
    assert first != list(films(GIVEN, per_day=300, days=1, seed=8))


def test_each_limit_binds_where_it_is_said_to() -> None:
    """A busy day beyond a limit makes a queue that one well within it does not."""
    narrow = GIVEN.with_(encodes_at_a_time=2, drive_users=50, fetch_at_a_time=200)
    limit = next(
        one for one in limits(narrow, seed=1, jobs=1000) if "encodes at a time" in one.name
    )
    waits = []
    for share in (0.4, 1.6):
        system = System(narrow, seed=1)
        system.run(films(narrow, per_day=share * limit.busy_per_day, days=2, seed=1))
        waits.append(system.encodes.load.waited_s / system.encodes.load.served)
    assert waits[1] > 10 * waits[0]


def test_a_bill_grows_with_the_load_and_mediaconvert_leads_it() -> None:
    outcome = play(Scenario(name="two days", per_day=150, days=2), GIVEN, seed=1)
    bill = monthly_bill(outcome.totals, GIVEN, price_table(), days=2)
    longer = monthly_bill(outcome.totals, GIVEN, price_table(), days=1)
    assert next(iter(bill)) == "MediaConvert"
    assert longer["Lambda"] == pytest.approx(2 * bill["Lambda"])
    # HD costs twice as much a minute as SD.
    minutes, prices = outcome.totals.minutes, price_table()
    weighted = minutes["SD"] + 2 * minutes["HD"] + 4 * minutes["UHD"]
    assert bill["MediaConvert"] == pytest.approx(15 * weighted * prices.sd_basic_per_minute)


def test_the_stand_ins_larger_burst_is_foretold_from_the_smaller_one() -> None:
    fitted = burst(BURST_200.files, cpu_s_per_job=BURST_200.cpu_s_per_job)
    foretold = burst(BURST_1000.files, cpu_s_per_job=BURST_1000.cpu_s_per_job)
    assert fitted.wall_s == pytest.approx(BURST_200.wall_s, rel=0.02)
    assert foretold.wall_s == pytest.approx(BURST_1000.wall_s, rel=0.15)
    assert len(foretold.rows) == len(foretold.submitted) == len(foretold.recorded) == 1000


def test_a_name_that_no_number_has_is_refused() -> None:
    with pytest.raises(KeyError, match="0 sections"):
        GIVEN.with_(encode_sped_hd=2.0)


def test_the_picture_shows_each_scenario() -> None:
    outcome = play(Scenario(name="a <day>", per_day=100, days=1), GIVEN, seed=1)
    picture = svg([outcome])
    assert "a &lt;day&gt;" in picture and not math.isnan(outcome.latency(0.5))
