"""One run: lives and deaths of one stack, then quiet, then the invariant."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.crash.boundary import Boundary
from bench.crash.clips import End
from bench.crash.invariant import Deaths, Findings, check
from bench.crash.model import Model
from bench.crash.people import People
from bench.crash.plan import Kill, Life, Plan
from bench.crash.stack import Ready, Stack, StackGone
from bench.crash.world import World, told_of

#: A life's mischief begins when no more jobs than this are under way from earlier ones: they are
#: to pass through, not to pile up.
BACKLOG = 8
#: A boundary that was not come to in this time is given up; the stack is killed all the same.
REACH_S = 60.0
#: Schedules run so many times as often: the sweep every 3 s, reconcile every second.
SCHEDULE_SPEED = 300.0
#: Nothing may move for so long before it counts as quiet: longer than any schedule but the
#: channel's takes to come round.
QUIET_S = 4.0
#: What has not changed in the least for so long is stuck. On a busy machine everything takes its
#: time, so that no limit on the whole would tell.
STUCK_S = 90.0


@dataclass
class Outcome:
    """
    Attributes:
        kills: how often the stack died at each boundary.
        missed: kills whose call did not come in time; the stack was killed from outside instead.
        skipped: lives that there was no time for.
        strikes: every fault that struck, kills included, as the stack wrote them down.
        quiet_after_s: what the last life took to come to rest.
    """

    plan: Plan
    versions: int = 0
    kills: Counter[Boundary] = field(default_factory=Counter)
    missed: list[Kill] = field(default_factory=list)
    skipped: int = 0
    strikes: list[dict[str, Any]] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    starts_s: list[float] = field(default_factory=list)
    quiet_after_s: float = 0.0
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.findings.violations


class Run:
    """
    Args:
        project: what the stack runs from; see `bench.crash.project`.
        folder: for everything the run writes, made for it.
        shelf: the clips.
        stuck_s: what has not changed for so long, after the last life began, is stuck.
        violent_s: no further life begins after so long but the last, whatever the plan says.
        say: hears one line about each life.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        project: Path,
        folder: Path,
        shelf: Path,
        stuck_s: float = STUCK_S,
        reach_s: float = REACH_S,
        violent_s: float = float("inf"),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._stuck_s = stuck_s
        self._reach_s = reach_s
        self._violent_s = violent_s
        self._say = say
        self._model = Model(shelf)
        self._people = People(self._model)
        self._deaths = Deaths()
        self._stack = Stack(project, folder / "data", schedule_speed=SCHEDULE_SPEED)
        self._outcome = Outcome(plan=plan)

    def play(self) -> Outcome:
        begun = time.monotonic()
        *violent, last = self._plan.lives
        try:
            for number, life in enumerate(violent, start=1):
                if time.monotonic() - begun > self._violent_s:
                    self._outcome.skipped = len(violent) - number + 1
                    break
                self._live(number, life)
            self._end(last)
        finally:
            self._stack.stop()
        self._outcome.strikes = self._stack.strikes()
        self._outcome.versions = len(self._model.versions)
        self._outcome.seconds = time.monotonic() - begun
        return self._outcome

    def _start(self) -> Ready:
        begun = time.monotonic()
        ready = self._stack.start()
        self._outcome.starts_s.append(time.monotonic() - begun)
        return ready

    def _live(self, number: int, life: Life) -> None:
        ready = self._start()
        begun = time.monotonic()
        kill = life.kill
        assert kill is not None
        self._people.waiting.extend(life.acts)
        self._drain(World(ready))
        try:
            # First, because of two faults on one call the one added first strikes.
            self._stack.add_faults(ready, (kill.boundary.kill(kill.nth), *life.faults))
            self._people.act(ready)
        except StackGone:
            pass  # what was not done waits for the next life
        reached = self._stack.dies_within(self._reach_s)
        died_at = time.time()
        self._stack.kill()
        if reached:
            died_at = self._stack.strikes()[-1]["at"]
            self._outcome.kills[kill.boundary] += 1
        else:
            self._outcome.missed.append(kill)
        self._deaths.at.append(died_at)
        self._deaths.told.append(told_of(self._stack.data_dir))
        self._say(
            f"life {number}: {kill}{'' if reached else ' (not reached)'} after "
            f"{self._outcome.starts_s[-1]:.1f} + {time.monotonic() - begun:.1f} s"
            f"{f', {unfinished} acts left' if (unfinished := len(self._people.waiting)) else ''}"
        )

    def _drain(self, world: World) -> None:
        """Let jobs of earlier lives pass; one that does not move is not waited for."""
        under_way, since = world.under_way(), time.monotonic()
        while len(under_way) > BACKLOG and time.monotonic() - since < self._reach_s:
            time.sleep(0.5)
            now = world.under_way()
            if now != under_way:
                under_way, since = now, time.monotonic()

    def _end(self, last: Life) -> None:
        """The last life is not killed, and everything must come to rest by itself."""
        ready = self._start()
        begun = time.monotonic()
        self._stack.add_faults(ready, last.faults)
        self._people.waiting.extend(last.acts)
        self._people.act(ready)
        world = World(ready)
        stuck = self._moved_at_last(world)
        self._outcome.quiet_after_s = time.monotonic() - begun
        if stuck:
            self._say(f"stuck after {self._outcome.quiet_after_s:.0f} s")
            for trouble in stuck:
                self._outcome.findings.say("stuck", trouble, "and nothing changes any more")
            return  # whatever else is missing is missing because of this
        self._say(f"quiet after {self._outcome.quiet_after_s:.0f} s")
        self._outcome.findings = check(world, self._model, self._deaths, self._folder)

    def _moved_at_last(self, world: World) -> list[str]:
        """Wait until nothing moves; what should move still and does not."""
        unrest, since = self._unrest(world), time.monotonic()
        while time.monotonic() - since < (self._stuck_s if unrest else QUIET_S):
            time.sleep(0.5)
            now = self._unrest(world)
            if now != unrest:
                unrest, since = now, time.monotonic()
        return unrest

    def _unrest(self, world: World) -> list[str]:
        """What is under way, and what should be and is not seen yet."""
        begun = {job["pk"].removeprefix("job#") for job in world.jobs()}
        waiting = (one for one in self._model.versions.values() if End.NO_JOB not in one.ends)
        return [
            *world.unrest(),
            *(
                f"{one.clip.kind} {one.job_id} has no job"
                for one in waiting
                if one.job_id not in begun
            ),
        ]
