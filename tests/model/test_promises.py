"""Nothing lost, nothing twice, never stuck: the real handlers against everything that can happen.

Hypothesis drops, renames and replaces films, loses, doubles and reorders what services say, fails
their calls, kills and stops processes at any call and turns clocks; beside it a model predicts how
each version must end. A failure prints the shortest program of such steps that breaks a promise.
`make fuzz` looks for new ones.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib.steps.cancel import cancel
from chalicelib.steps.retry import retry
from tests.model.cloud import SCHEDULES, STALLS, STEPS, Cloud
from tests.model.fate import KINDS, MEANWHILE, Fate
from tests.model.films import STORIES, film
from tests.model.promises import (
    File,
    Model,
    all_jobs,
    check_drive,
    check_errors,
    check_now,
    check_quiet,
)

stories = st.sampled_from(["good", *sorted(STORIES), "good", "low"])
#: Which of several, whatever there is.
which = st.integers(0, 3)
kinds = st.sampled_from((*KINDS, *MEANWHILE, "stopped", "stopped"))
fates = st.none() | st.tuples(kinds, st.integers(1, 9))


def dooms(what: list[str]) -> Any:
    """What will happen to the next process that does one of these, and at which of its calls."""
    doomed = st.tuples(st.sampled_from(what), kinds, st.integers(1, 9))
    return st.lists(doomed, max_size=4)


#: A kind of fate, and at which call.
Doom = tuple[str, int] | None


class Promises(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.patch = pytest.MonkeyPatch()
        self.cloud, self.model = Cloud(self.patch), Model()
        self.serial = 0
        self.cloud.people = self._meanwhile
        self.cloud.pass_time(0)  # the first sweep and the first channel

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.cloud.close()
            self.patch.undo()
            logging.disable(logging.NOTSET)

    # What people do to their files

    @initialize(films=st.lists(stories, min_size=1, max_size=3), writes_back=st.booleans())
    def drop_some(self, films: list[str], writes_back: bool) -> None:
        if writes_back:
            self.cloud.results_go_to_drive()
        for story in films:
            self.drop(story)

    @rule(story=stories)
    def drop(self, story: str) -> None:
        content = self._film(story)
        file_id = self.cloud.world.drive.add(f"film {self.serial}.mov", content)
        self.model.files[file_id] = File(f"film {self.serial}.mov", content)
        self.model.changed(file_id)

    @precondition(lambda self: not self.model.got_rubbish)
    @rule(story=stories)
    def drop_unnamed(self, story: str) -> None:
        """Drive works out the md5 of this one later."""
        content = self._film(story)
        name = f"film {self.serial}.mov"
        self.model.unnamed.add(content)
        revision = f"revision-{hashlib.md5(content).hexdigest()}"
        file_id = self.cloud.world.drive.add(name, content, md5=None, head_revision_id=revision)
        self.model.files[file_id] = File(name, content)
        self.model.changed(file_id)

    @precondition(lambda self: self.model.files)
    @rule(file=which)
    def work_out_md5(self, file: int) -> None:
        file_id, known = self._file(file)
        md5 = hashlib.md5(known.content).hexdigest()
        self.cloud.world.drive.change(file_id, md5=md5)

    @precondition(lambda self: self.model.files)
    @rule(file=which)
    def copy(self, file: int) -> None:
        """The same content once more, which is a file of its own."""
        original = self._file(file)[1]
        file_id = self.cloud.world.drive.add(original.name, original.content)
        self.model.files[file_id] = File(original.name, original.content)
        self.model.changed(file_id)

    @precondition(lambda self: self.model.files)
    @rule(file=which, story=stories)
    def replace(self, file: int, story: str) -> None:
        self._replace(self._file(file)[0], story)

    def _replace(self, file_id: str, story: str) -> None:
        known = self.model.files[file_id]
        known.content = self._film(story)
        self.cloud.world.drive.replace(file_id, known.content)
        self.model.changed(file_id)

    @precondition(lambda self: self.model.files)
    @rule(file=which)
    def rename(self, file: int) -> None:
        file_id, known = self._file(file)
        self.serial += 1
        known.name = f"renamed {self.serial}.mp4"
        self.cloud.world.drive.change(file_id, name=known.name)

    @precondition(lambda self: self.model.files)
    @rule(file=which)
    def move(self, file: int) -> None:
        """Out of the inbox, or back into it."""
        file_id, known = self._file(file)
        known.in_inbox = not known.in_inbox
        parent = "inbox-folder-id" if known.in_inbox else "another-folder"
        self.cloud.world.drive.change(file_id, parents=(parent,))
        self.model.changed(file_id)

    @precondition(lambda self: self.model.files)
    @rule(file=which)
    def trash(self, file: int) -> None:
        """Into the bin, or out of it."""
        self._trash(self._file(file)[0])

    def _trash(self, file_id: str) -> None:
        known = self.model.files[file_id]
        known.trashed = not known.trashed
        self.cloud.world.drive.change(file_id, trashed=known.trashed)
        self.model.changed(file_id)

    @precondition(lambda self: self.model.files)
    @rule(file=which, version=which)
    def put_back(self, file: int, version: int) -> None:
        """Content the file had before. (Under a new revision, so one that was known by its revision
        alone would not be recognised.)
        """
        file_id, known = self._file(file)
        earlier = {content for id, content in self.model.offered if id == file_id}
        earlier = sorted(earlier - self.model.unnamed)
        if earlier:
            known.content = _pick(earlier, version)
            self.cloud.world.drive.replace(file_id, known.content)
            self.model.changed(file_id)

    # What people ask for

    @precondition(lambda self: all_jobs(self.cloud))
    @rule(job=which, fate=fates)
    def cancel(self, job: int, fate: Doom) -> None:
        chosen = _pick(all_jobs(self.cloud), job)
        self._doom("cancel", fate)
        promised = self.cloud.ask(
            "cancel", lambda services: cancel(services, chosen.job_id, by="Anna")
        )
        self.model.cancelled[f"{chosen.job_id}-{chosen.run}"] = promised

    @precondition(lambda self: all_jobs(self.cloud))
    @rule(job=which, force=st.booleans(), fate=fates)
    def retry(self, job: int, force: bool, fate: Doom) -> None:
        chosen = _pick(all_jobs(self.cloud), job)
        self._doom("retry", fate)
        self.cloud.ask(
            "retry", lambda services: retry(services, chosen.job_id, by="Anna", force=force)
        )

    # What services say, or do not

    @rule(fate=fates)
    def notify(self, fate: Doom) -> None:
        self._doom("webhook", fate)
        self.cloud.notify()

    @precondition(lambda self: self.cloud.world.queues.hints)
    @rule(fate=fates)
    def take_hint(self, fate: Doom) -> None:
        self._doom("sync", fate)
        self.cloud.take_hint()

    @precondition(lambda self: self.cloud.world.queues.hints)
    @rule()
    def lose_hints(self) -> None:
        self.cloud.world.queues.hints.clear()

    @precondition(lambda self: self.cloud.encoder.waiting)
    @rule(job=which)
    def encode(self, job: int) -> None:
        self.cloud.encode(_pick(self.cloud.encoder.waiting, job))

    @precondition(lambda self: self.cloud.encoder.events)
    @rule(event=which, again=st.booleans(), fate=fates)
    def tell_encode(self, event: int, again: bool, fate: Doom) -> None:
        """In any order, and perhaps not for the last time."""
        self._doom("encode_changed", fate)
        told = _pick(self.cloud.encoder.events, event)
        if self.cloud.tell_encode(told) and not again:
            self.cloud.encoder.events.remove(told)

    @precondition(lambda self: self.cloud.encoder.events)
    @rule(event=which)
    def lose_encode(self, event: int) -> None:
        self.cloud.encoder.events.remove(_pick(self.cloud.encoder.events, event))

    @precondition(lambda self: self.cloud.flows.events)
    @rule(event=which, again=st.booleans(), fate=fates)
    def tell_end(self, event: int, again: bool, fate: Doom) -> None:
        self._doom("execution_ended", fate)
        told = _pick(self.cloud.flows.events, event)
        if self.cloud.tell_end(told) and not again:
            self.cloud.flows.events.remove(told)

    @precondition(lambda self: self.cloud.world.queues.dirty)
    @rule(fate=fates)
    def write_rows(self, fate: Doom) -> None:
        self._doom("rows", fate)
        self.cloud.write_rows()

    @precondition(lambda self: self.cloud.world.queues.dirty)
    @rule()
    def lose_rows(self) -> None:
        self.cloud.world.queues.dirty.clear()

    @precondition(lambda self: not self.model.unnamed)
    @rule(ranges=st.integers(1, 4))
    def drive_sends_rubbish(self, ranges: int) -> None:
        """Which nobody could notice without an md5."""
        self.cloud.world.drive.rubbish = ranges
        self.model.got_rubbish = True

    @rule()
    def forget_page_token(self) -> None:
        drive = self.cloud.world.drive
        drive.oldest_token = int(drive.start_page_token())

    # What processes meet

    @rule(stall=st.sampled_from(STALLS))
    def stopped_looks_like(self, stall: str) -> None:
        self.cloud.stall = stall

    @precondition(lambda self: self.cloud.sleepers)
    @rule(sleeper=which)
    def wake(self, sleeper: int) -> None:
        self.cloud.wake(_pick(self.cloud.sleepers, sleeper))

    @precondition(lambda self: self.cloud.flows.running())
    @rule(execution=which)
    def stop_execution(self, execution: int) -> None:
        name = _pick(self.cloud.flows.running(), execution).name
        self.cloud.flows.stop(name)
        self.model.stopped.add(name)

    # What time does

    @precondition(lambda self: self.cloud.flows.due())
    @rule(execution=which, transitions=st.sampled_from((1, 2, 5, 30)), dooms=dooms(STEPS))
    def go_on(self, execution: int, transitions: int, dooms: list[tuple[str, str, int]]) -> None:
        for what, kind, at in dooms:
            self._doom(what, (kind, at))
        chosen = _pick(self.cloud.flows.due(), execution)
        for _ in range(transitions):
            if chosen in self.cloud.flows.due():
                self.cloud.flows.advance(chosen)

    @rule(minutes=st.sampled_from((1, 5, 20, 120)), dooms=dooms([*STEPS, *SCHEDULES]))
    def pass_time(self, minutes: int, dooms: list[tuple[str, str, int]]) -> None:
        for what, kind, at in dooms:
            self._doom(what, (kind, at))
        for _ in range(max(1, minutes // 5)):
            self.cloud.pass_time(60 * min(minutes, 5))

    @rule(hours=st.sampled_from((-48, -1, 0, 1, 48)))
    def set_our_clocks(self, hours: int) -> None:
        self.cloud.skew_s = 3600 * hours

    @invariant()
    def check(self) -> None:
        """Nothing wrong is published, and no original was touched."""
        check_now(self.cloud, self.model)

    # What must come of it

    def settle(self) -> None:
        """The faults end, and after some time everything is as it should be."""
        cloud = self.cloud
        cloud.dooms.clear()
        cloud.world.drive.rubbish = 0
        for _ in range(3):  # while they sleep, others take over
            cloud.pass_time(60)
        while cloud.sleepers:
            cloud.wake(cloud.sleepers[0])
        cloud.encoder.events.clear()  # lost; reconcile asks
        for minutes in (5,) * 60 + (60,) * 40:
            for job in cloud.encoder.waiting:
                cloud.encode(job)
            cloud.encoder.events.clear()
            cloud.pass_time(60 * minutes)
            while cloud.world.queues.dirty:
                cloud.write_rows()
            if self._is_quiet():
                break
        check_now(cloud, self.model)
        check_errors(cloud)
        check_quiet(cloud, self.model)
        check_drive(cloud, all_jobs(cloud))

    def _is_quiet(self) -> bool:
        cloud, records = self.cloud, self.cloud.world.records
        swept = int(records.state("drive#changes", "sync")["page_token"])
        return (
            not cloud.flows.running()
            and not cloud.encoder.waiting
            and swept == int(cloud.world.drive.start_page_token())
            and not list(records.open_jobs())
            and not list(records.unsynced_jobs())
        )

    def _meanwhile(self, kind: str, job_id: str) -> None:
        """What a person does to this job while one of its processes is at work."""
        job = self.cloud.world.records.get(job_id)
        if job is None:
            return
        if kind in ("cancel", "retry"):
            number = [known.job_id for known in all_jobs(self.cloud)].index(job_id)
            self.cancel(number, None) if kind == "cancel" else self.retry(number, True, None)
        elif kind == "trash":
            self._trash(job.file_id)
        else:
            self._replace(job.file_id, "good")

    def _doom(self, what: str, fate: Doom) -> None:
        if fate is not None:
            self.cloud.dooms[what] = Fate(*fate)

    def _film(self, story: str) -> bytes:
        self.serial += 1
        return film(story, self.serial)

    def _file(self, number: int) -> tuple[str, File]:
        return _pick(sorted(self.model.files.items()), number)


def _pick(of: Any, number: int) -> Any:
    return of[number % len(of)]


TestPromises = Promises.TestCase
TestPromises.settings = settings(
    max_examples=max(100, settings().max_examples),
    stateful_step_count=50,
    suppress_health_check=list(HealthCheck),
)
