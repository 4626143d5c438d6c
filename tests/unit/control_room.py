"""A whole job in memory, with somebody who steps in at an exact call of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.domain.job import Job
from chalicelib.domain.measurement import Measurement
from chalicelib.services import Services
from chalicelib.steps import inspect as inspect_step
from chalicelib.steps import measure as measure_step
from chalicelib.steps import sync as sync_step
from chalicelib.steps.reconcile import reconcile
from tests.examples import a_measurement, a_video, a_workflow, some_facts
from tests.fakes import COMPRESSED, INBOX, TEMP, Killed, Peril, World
from tests.flow import FunctionError, StepFunctions

SOURCE = bytes(range(256)) * 4
RESULT = b"much smaller"
START = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


class StepIn(Peril):
    """Before the `at`-th call, do something else first."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._at, self._act = at, act

    def call(self, name: str, work: Any) -> Any:
        self.calls.append(name)
        if len(self.calls) == self._at:
            self._act()
        return work()


@dataclass
class ControlRoom:
    """One dropped video, Step Functions and MediaConvert around it, on a clock of its own."""

    measured: list[Measurement] = field(default_factory=list)
    #: Longer ones are sampled first, which is an encode more.
    length_s: float = 10.0

    def __post_init__(self) -> None:
        self.clock = START
        self.world = World(now=lambda: self.clock)
        self.flows = StepFunctions(self._invoke, now=lambda: self.clock.timestamp())
        self.world.flows = self.flows  # type: ignore[assignment]
        self.services = self.world.new_process()
        self.job_id = ""
        #: What dies is a function: Step Functions learns of it and tries again.
        self.dying = False

    def watched_by(self, peril: Peril) -> None:
        """From now on every call of the pipeline passes by it; those of people do not."""
        self.world.peril = peril
        self.services = self.world.new_process()

    def person(self) -> Services:
        """Somebody else's process, in which nothing goes wrong."""
        watched, self.world.peril = self.world.peril, Peril()
        services = self.world.new_process()
        self.world.peril = watched
        return services

    def drop(self, name: str = "Take 3.mov") -> str:
        """The job of a new video, which is the room's from now on."""
        triggers.sweep_drive()
        self.world.drive.add(name, SOURCE)
        triggers.sweep_drive()
        *_, execution = self.flows.running()
        self.job_id = execution.name.partition("-")[0]
        return self.job_id

    @property
    def job(self) -> Job:
        return self.world.job(self.job_id)

    def play(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Everything that goes on by itself, until nothing does or something is so."""
        for _ in range(200):
            if until():
                return
            if ready := self.flows.due():
                self.flows.advance(ready[0])
            elif submitted := [e for e in self.world.encoder.jobs if e["Status"] == "SUBMITTED"]:
                self._end(submitted[0])
            elif self.flows.running():
                self.clock = datetime.fromtimestamp(self.flows.next_due_at(), UTC)
            else:
                return
        raise AssertionError("no end")

    def play_what_is_due(self) -> None:
        """What goes on without any time passing, and no encode ends."""
        while ready := self.flows.due():
            self.flows.advance(ready[0])

    def hours_later(self) -> None:
        for _ in range(3):
            self.clock += timedelta(hours=1)
            reconcile(self.person())
            self.play()

    def _invoke(self, function: str, payload: dict[str, Any]) -> Any:
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
        try:
            return triggers.step(function, payload, context)
        except Killed as killed:
            if not self.dying:
                raise
            raise FunctionError("Lambda.Unknown", "exited without a word") from killed

    def _end(self, encode: dict[str, Any]) -> None:
        group = encode["Settings"]["OutputGroups"][0]["OutputGroupSettings"]
        key = group["FileGroupSettings"]["Destination"].removeprefix(f"s3://{TEMP}/") + ".mp4"
        self.world.storage.put(TEMP, key, RESULT, content_type="video/mp4")
        detail = self.world.encoder.end(encode["Id"], "COMPLETE")
        triggers.encode_changed({"detail": detail})

    # What is there

    def published(self) -> dict[str, bytes]:
        objects = self.world.storage.objects
        return {at[1]: body for at, body in objects.items() if at[0] == COMPRESSED}

    def temporary(self) -> list[str]:
        uploads = [upload.key for upload in self.world.storage.uploads.values()]
        return [at[1] for at in self.world.storage.objects if at[0] == TEMP] + uploads

    def encoding(self) -> list[str]:
        return [e["Id"] for e in self.world.encoder.jobs if e["Status"] == "SUBMITTED"]

    def emails(self) -> list[str]:
        return [notice.kind for notice in self.world.topic.sent]


@pytest.fixture
def control_room(monkeypatch: pytest.MonkeyPatch) -> Callable[[], ControlRoom]:
    """Makes rooms; the last one made is the one the triggers reach."""
    current: list[ControlRoom] = []
    monkeypatch.setattr(triggers, "services", lambda: current[-1].services)
    flows = {"compress": a_workflow(drive_folder=INBOX)}
    monkeypatch.setattr(sync_step, "all_workflows", lambda: flows)
    monkeypatch.setattr(
        inspect_step,
        "facts_from_probe",
        lambda probed, size_bytes: some_facts(
            size_bytes=300_000_000,
            duration_s=current[-1].length_s,
            video=a_video(duration_s=current[-1].length_s),
        ),
    )

    def measure(ffmpeg: Any, **_: Any) -> Measurement:
        room = current[-1]
        return room.measured.pop(0) if room.measured else a_measurement()

    monkeypatch.setattr(measure_step, "go_on", measure)

    def make() -> ControlRoom:
        current.append(ControlRoom())
        return current[-1]

    return make
