"""A small discrete-event simulator: a clock, processes, and the things they wait for.

A process is a generator. It yields a number of seconds to let pass, or what it waits for: a
function that is given the process and calls `Clock.resume` for it once its turn has come.

The one library for this, simpy, takes a few microseconds an event more than this needs for a
million videos; what is used of it here is a heap and three queues.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Any, TypeAlias

Turn: TypeAlias = Callable[["Process"], None]
Process: TypeAlias = Generator[float | Turn, None, None]


class Clock:
    """Simulated time in seconds. `run` returns when nothing is left to happen, or at `until`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Any]] = []
        self._count = 0
        self.events = 0

    def start(self, process: Process, *, at: float | None = None) -> None:
        self.resume(process, self.now if at is None else at)

    def resume(self, process: Process, at: float) -> None:
        self._count += 1
        heapq.heappush(self._due, (at, self._count, process))

    def call(self, work: Callable[[], None], at: float) -> None:
        self._count += 1
        heapq.heappush(self._due, (at, self._count, work))

    def run(self, until: float = math.inf) -> None:
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, what = heapq.heappop(due)
            self.events += 1
            if type(what) is not GeneratorType:
                what()
                continue
            try:
                wanted = next(what)
            except StopIteration:
                continue
            if callable(wanted):
                wanted(what)
            else:
                self.resume(what, self.now + wanted)
        if until != math.inf:
            self.now = until


@dataclass(slots=True)
class Load:
    """What a resource went through.

    Attributes:
        served: who got their turn.
        waited_s: all waiting together, of those who got their turn.
        longest_wait_s, most_waiting: at the worst moment.
        busy_s: place-seconds in use, or seconds' worth of tokens used.
    """

    served: int = 0
    waited_s: float = 0.0
    longest_wait_s: float = 0.0
    most_waiting: int = 0
    busy_s: float = 0.0

    def turn(self, waited_s: float) -> None:
        self.served += 1
        self.waited_s += waited_s
        self.longest_wait_s = max(self.longest_wait_s, waited_s)


class Places:
    """So many at a time, first come first served."""

    def __init__(self, clock: Clock, places: float) -> None:
        self._clock, self.places, self._taken = clock, places, 0
        self._waiting: deque[tuple[float, Process]] = deque()
        self.load = Load()

    def enter(self, process: Process) -> None:
        """Yielded by who wants a place. Whoever got one calls `leave`."""
        now = self._clock.now
        if self._taken < self.places:
            self._taken += 1
            self.load.turn(0.0)
            self._clock.resume(process, now)
        else:
            self._waiting.append((now, process))
            self.load.most_waiting = max(self.load.most_waiting, len(self._waiting))

    def leave(self, after_s: float) -> None:
        """Give the place back after it was used for `after_s` seconds."""
        self.load.busy_s += after_s
        if self._waiting:
            since, process = self._waiting.popleft()
            self.load.turn(self._clock.now - since)
            self._clock.resume(process, self._clock.now)
        else:
            self._taken -= 1

    @property
    def waiting(self) -> int:
        return len(self._waiting)


class AskedAgain:
    """So many at a time; whoever finds no place asks again after a random pause.

    That is how a state with a retrier waits for a function whose concurrency is reserved: nobody
    queues, and whoever happens to ask next gets the place. With pauses uniform between 0 and
    `pause_s`, as full jitter makes them once the back-off has reached its cap, each of n waiting
    asks every `pause_s / 2` seconds, so a free place is taken after an exponential time with a mean
    of `pause_s / 2 / n`, by anybody. `asked` counts the asking, which is what Step Functions bills.
    """

    def __init__(self, clock: Clock, places: float, pause_s: float, chance: random.Random) -> None:
        self._clock, self.places, self._pause_s = clock, places, pause_s
        self._chance, self._taken, self._offered = chance, 0, 0
        self._waiting: list[tuple[float, Process]] = []
        self._counted_at = 0.0
        self.asked = 0.0
        self.load = Load()

    def enter(self, process: Process) -> None:
        now = self._clock.now
        if self._taken + self._offered < self.places:
            self._taken += 1
            self.load.turn(0.0)
            self._clock.resume(process, now)
            return
        self._count()
        self._waiting.append((now, process))
        self.load.most_waiting = max(self.load.most_waiting, len(self._waiting))

    def leave(self, after_s: float) -> None:
        self.load.busy_s += after_s
        self._taken -= 1
        self._offer()

    def finish(self) -> None:
        """Count what was asked until now."""
        self._count()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def _offer(self) -> None:
        if len(self._waiting) <= self._offered:
            return
        self._offered += 1
        mean_s = self._pause_s / 2 / len(self._waiting)
        self._clock.call(self._take, self._clock.now + self._chance.expovariate(1 / mean_s))

    def _take(self) -> None:
        self._count()
        self._offered -= 1
        self._taken += 1
        at = self._chance.randrange(len(self._waiting))
        self._waiting[at], self._waiting[-1] = self._waiting[-1], self._waiting[at]
        since, process = self._waiting.pop()
        self.load.turn(self._clock.now - since)
        self._clock.resume(process, self._clock.now)

    def _count(self) -> None:
        passed_s = self._clock.now - self._counted_at
        self.asked += len(self._waiting) * passed_s / (self._pause_s / 2)
        self._counted_at = self._clock.now


class Rate:
    """A token bucket: `burst` at once, `per_s` in the long run; whoever comes too early waits.

    Real callers are refused and come again with jitter; in the mean they wait as long as in this
    queue, so long as they are patient. Nobody who would have to wait longer than `patience_s` is
    let in: their caller's attempts would be over.
    """

    def __init__(
        self, clock: Clock, per_s: float, burst: float, patience_s: float = math.inf
    ) -> None:
        self._clock, self.per_s, self._patience_s = clock, per_s, patience_s
        self._burst = burst
        self._full_at = 0.0  # when the bucket is, or was, full again
        self.load = Load()
        self.refused = 0

    def wait_s(self, tokens: float = 1.0) -> float | None:
        """How long to wait for so many tokens; None for whom there will be none in time."""
        now = self._clock.now
        full_at = max(self._full_at, now) + tokens / self.per_s
        wait = max(0.0, full_at - now - self._burst / self.per_s)
        if wait > self._patience_s:
            self.refused += 1
            return None
        self._full_at = full_at
        self.load.busy_s += tokens / self.per_s
        self.load.turn(wait)
        self.load.most_waiting = max(self.load.most_waiting, math.ceil(wait * self.per_s / tokens))
        return wait


class Processor:
    """Cores that all runnable tasks share equally, none using more than one core."""

    def __init__(self, clock: Clock, cores: float) -> None:
        self._clock, self._cores = clock, cores
        self._work = 0.0  # what each task that was here all along has been given, in seconds
        self._looked_at = 0.0
        self._tasks: list[tuple[float, int, Process]] = []
        self._count = self._plan = 0
        self.busy_s = 0.0

    def use(self, seconds: float) -> Turn:
        """Yielded by who wants so many seconds of one core."""

        def arrive(process: Process) -> None:
            self._go_on()
            self._count += 1
            heapq.heappush(self._tasks, (self._work + seconds, self._count, process))
            self._plan_next()

        return arrive

    def _speed(self) -> float:
        return min(1.0, self._cores / len(self._tasks)) if self._tasks else 0.0

    def _go_on(self) -> None:
        passed_s = self._clock.now - self._looked_at
        self._work += passed_s * self._speed()
        self.busy_s += passed_s * min(len(self._tasks), self._cores)
        self._looked_at = self._clock.now

    def _plan_next(self) -> None:
        self._plan += 1
        if self._tasks:
            plan, left = self._plan, max(0.0, self._tasks[0][0] - self._work)
            self._clock.call(lambda: self._finish(plan), self._clock.now + left / self._speed())

    def _finish(self, plan: int) -> None:
        if plan != self._plan:
            return  # somebody came or went meanwhile
        self._go_on()
        _, _, process = heapq.heappop(self._tasks)
        self._clock.resume(process, self._clock.now)
        self._plan_next()


@dataclass(slots=True)
class Batches:
    """One worker that takes up to `most` messages at a time; several about one thing are one.

    Attributes:
        written: calls made, rows in them, and the seconds each message had waited by then.
    """

    clock: Clock
    call_s: float
    most: int = 10
    calls: int = 0
    rows: int = 0
    waits_s: list[float] = field(default_factory=list)
    most_waiting: int = 0
    _waiting: deque[tuple[float, int]] = field(default_factory=deque)
    _busy: bool = False

    def tell(self, about: int) -> None:
        self._waiting.append((self.clock.now, about))
        self.most_waiting = max(self.most_waiting, len(self._waiting))
        if not self._busy:
            self._busy = True
            self._begin()

    def _begin(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(self.most, len(self._waiting)))]
        self.clock.call(lambda: self._done(batch), self.clock.now + self.call_s)

    def _done(self, batch: list[tuple[float, int]]) -> None:
        self.calls += 1
        self.rows += len({about for _, about in batch})
        self.waits_s.extend(self.clock.now - told for told, _ in batch)
        if self._waiting:
            self._begin()
        else:
            self._busy = False
