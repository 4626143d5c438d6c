"""A whole stage in memory that writes down every outside call, and in which one goes wrong.

Built on `tests.model.cloud`: the real handlers, the real flow, a clock. Here every message and
event is delivered as AWS delivers it (again after a failure, so many times), and a schedule runs
only once nothing else goes on, so that it shows which of them was needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.api import notifications, table_changes, videos
from chalicelib.domain.job import Job, Status
from chalicelib.domain.link import signature
from chalicelib.services import Services
from chalicelib.steps.desk import STATE as DESK
from chalicelib.steps.sync import STATE
from slimreel.local.airtable.webhooks import ping
from slimreel.local.airtable.webhooks import signature as signed
from tests.fakes import ENVIRONMENT, Killed, Peril, Perilous, Secrets, World
from tests.flow import FunctionError
from tests.model.cloud import Cloud
from tests.model.films import film
from tests.model.promises import (
    File,
    Model,
    all_jobs,
    check_drive,
    check_emails,
    check_encodes,
    check_end,
    check_leftovers,
    check_now,
    check_published,
    check_row,
    check_versions,
)
from tests.reliability.calls import MadeCall, made_call

#: How the model's names are called in app.py.
FUNCTIONS = {
    "webhook": "drive_notification",
    "ping": "table_changed",
    "sync": "drive_changed",
    "rows": "rows_changed",
    "sweep": "sweep_drive",
    "renew": "renew_channel",
    "reconcile": "reconcile_jobs",
    "requeue": "requeue_rows",
}
ADAPTERS = [
    *("records", "catalogue", "storage", "drive", "encoder", "flows", "queues", "topic"),
    *("airtable", "desk", "drive_writer", "callbacks"),
]
#: Receives of a message, and invocations for an event, before it is given up.
DRIVE_RECEIVES, ROWS_RECEIVES, EVENT_TRIES = 5, 20, 3
#: What one schedule is not quick enough for, the next may be; and how long each waits.
SCHEDULES = (("reconcile", 300), ("requeue", 600), ("sweep", 900), ("renew", 6 * 3600))
ROUNDS = 6


@dataclass
class Strike:
    """Something that happens at a call.

    Attributes:
        function, call: whose, and which: "fetch", "storage.upload_part".
        error: what the call raises; None means that the process dies.
        effect: whether the call does its work first.
        repeated: the call does its work twice and answers the second time, as when an AWS client
            sent it again because its answer was lost; nothing is raised.
        lasts: it happens at each such call, until `is_over`.
    """

    function: str
    call: str
    error: BaseException | None = None
    effect: bool = False
    repeated: bool = False
    lasts: bool = False
    is_over: bool = False
    times: int = 0

    @property
    def leaves_in_doubt(self) -> bool:
        """Whether the call has its effect, and the process cannot know."""
        return self.effect or self.repeated

    def meets(self, function: str, call: str) -> bool:
        if self.is_over or (self.times and not self.lasts):
            return False
        return (function, call) == (self.function, self.call)

    def happen(self, work: Callable[[], Any]) -> Any:
        self.times += 1
        if self.repeated:
            work()
            return work()
        if self.effect:
            work()
        raise self.error if self.error is not None else Killed


class Watch(Peril):
    """Writes down the calls of one process, and lets the stage's strike happen."""

    def __init__(self, function: str, stage: Stage) -> None:
        super().__init__()
        self._function, self._stage = function, stage

    def about(self, name: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        if not self.dead:
            self._stage.made.add(made_call(self._function, name, args, options))

    def call(self, name: str, work: Any) -> Any:
        if self.dead:
            raise Killed
        self._stage.seen.setdefault((self._function, name), len(self._stage.seen))
        strike = self._stage.strike
        if strike is None or not strike.meets(self._function, name):
            return work()
        try:
            return strike.happen(work)
        except Killed:
            self.dead = True
            raise


class ColdServices(Services):
    """Services that ask for their secrets, as a cold Lambda does."""

    world: World
    peril: Peril

    @cached_property
    def drive(self) -> Any:  # type: ignore[override]
        self.secrets.get("google-credentials")
        return Perilous("drive", self.world.drive, self.peril)

    @cached_property
    def airtable(self) -> Any:  # type: ignore[override]
        self.secrets.get("airtable-token")
        return Perilous("airtable", self.world.airtable, self.peril)


@dataclass
class Given:
    """What was given up: the function, and what it was given."""

    function: str
    what: Any


@dataclass
class Outcome:
    """How a story ended in which something happened.

    Attributes:
        raised: what the struck process raised, to whoever called it.
        needed: the schedule that put things right, if one had to.
        given_up: what lies among the dead letters.
        alerts: emails about Slimreel itself.
        jobs: as they ended.
    """

    raised: str | None = None
    needed: str | None = None
    given_up: list[Given] = field(default_factory=list)
    alerts: int = 0
    jobs: list[Job] = field(default_factory=list)


class Stage(Cloud):
    def __init__(self, patch: pytest.MonkeyPatch, strike: Strike | None = None) -> None:
        super().__init__(patch)
        self.patch = patch
        for door in (videos, table_changes):
            patch.setattr(door, "services", lambda: self._here.services)
        self.strike = strike
        #: Every call, as (function, adapter.method), in the order of their first time.
        self.seen: dict[tuple[str, str], int] = {}
        #: The same with what each was about.
        self.made: set[MadeCall] = set()
        self.model = Model()
        self.outcome = Outcome()
        self._films = 0
        self._row_receives: dict[str, int] = {}
        self._looks = 0
        #: How the job of this story has to end, where it is not for the film to say.
        self.due: Status | None = None
        self.unanswered: list[tuple[str, Callable[[], Any]]] = []
        self.refusals: list[BaseException] = []
        armed, self.strike = self.strike, None
        self.run_schedule("renew")
        self.run_schedule("sweep")
        self.seen.clear()
        self.strike = armed

    def call(self, what: str, work: Callable[[], Any]) -> Any:
        name = what.split()[0]
        function = FUNCTIONS.get(name, name)
        self._here.services = self._cold(Watch(function, self))
        before = self.strike.times if self.strike else 0
        try:
            return work()
        except (Killed, Exception) as error:
            if self.strike and self.strike.times > before:
                self.outcome.raised = type(error).__name__
            raise
        finally:
            if self.strike and self.strike.times > before and self.strike.leaves_in_doubt:
                # What the promise about emails forgives: nobody knows whether it was sent.
                lost = SimpleNamespace(happened=self.strike.call, after=None)
                self.struck.append((what, lost))  # type: ignore[arg-type]

    def _cold(self, watch: Watch) -> ColdServices:
        made = ColdServices(self.world.new_process().settings)
        made.world, made.peril = self.world, watch
        for name in ADAPTERS:
            if name not in ("drive", "airtable"):
                setattr(made, name, Perilous(name, getattr(self.world, name), watch))
        made.metrics = self.world.metrics
        values = {
            "link-key": "key",
            "callback-key": "signing",
            "google-credentials": "{}",
            "airtable-token": "pat",
        }
        made.secrets = Perilous("secrets", Secrets(**values), watch)
        made.ffmpeg = None  # type: ignore[assignment]
        made.now = lambda: self.world.now()  # type: ignore[method-assign]
        return made

    def _invoke(self, function: str, payload: dict[str, Any]) -> Any:
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
        before = self.strike.times if self.strike else 0
        try:
            return self.call(function, lambda: triggers.step(function, payload, context))
        except Killed:
            raise FunctionError("Runtime.ExitError") from None
        finally:
            if self.strike and self.strike.lasts and self.strike.times > before:
                self.felled.add(f"{payload['job_id']}-{payload['run']}")

    # What people do

    def drop(self, story: str = "good", *, told: bool = True) -> str:
        """Into the inbox; or elsewhere, where nobody is told of it."""
        self._films += 1
        name, content = f"film {self._films}.mov", film(story, self._films)
        where = {} if told else {"parents": ("another-folder",)}
        file_id = self.world.drive.add(name, content, **where)
        self.model.files[file_id] = File(name, content)
        self.model.changed(file_id)
        return file_id

    def put_into_s3(self, story: str) -> str:
        """Into a bucket that people may submit from; its address."""
        self._films += 1
        content, key = film(story, self._films), f"raw/film {self._films}.mov"
        self.world.storage.put("films", key, content, content_type="video/quicktime")
        self.model.offered.add((f"s3://films/{key}", content))
        return f"s3://films/{key}"

    def job(self) -> Job:
        """The one job of this story."""
        [job] = all_jobs(self)
        return job

    def withdraw(self, file_id: str) -> None:
        """Somebody moves the file to the bin."""
        self.world.drive.change(file_id, trashed=True)
        self.model.files[file_id].trashed = True
        self.model.changed(file_id)

    def reach(self) -> Services:
        """The services of the process that is at work."""
        return self._here.services  # type: ignore[no-any-return]

    def stop_execution(self) -> None:
        """Somebody stops it behind our back."""
        [execution] = self.flows.running()
        self.flows.stop(execution.name)
        self.model.stopped.add(execution.name)

    def ask(self, name: str, work: Callable[[], Any]) -> Any:
        """Over HTTP. A caller whose request failed asks once more, and perhaps after a repair."""
        for _ in range(2):
            try:
                return self.call(name, work)
            except (Killed, Exception) as error:  # noqa: BLE001 - the caller is told
                self.refusals.append(error)
        self.unanswered.append((name, work))
        return None

    def open_link(self) -> Any:
        job = self.job()
        signed = signature(job.job_id, "key")
        return self.ask("video", lambda: videos.open_link(job.job_id, signed))

    def choose(self, choice: str) -> None:
        """Somebody chooses in the row of the one job, and Airtable pings until it is answered."""
        job_id = self.job().job_id
        self.world.desk.choose(job_id, choice)
        secret = self.world.records.state(*DESK).get("secret")
        if secret is None:
            return
        body = ping("appTest", str(self.world.records.state(*DESK)["webhook_id"]), self.time_s)
        headers = {"X-Airtable-Content-MAC": signed(str(secret), body)}
        for _ in range(3):
            if self.attempt("ping", lambda: table_changes.receive(headers, body)):
                break

    # What goes on by itself

    def tell_of_changes(self) -> None:
        """Drive tells every channel; one that gets no 2xx is told again."""
        for channel_id, token in list(self.world.drive.tokens.items()):
            if channel_id not in self.world.drive.channels:
                continue
            headers = {
                "X-Goog-Channel-ID": channel_id,
                "X-Goog-Channel-Token": token,
                "X-Goog-Resource-State": "change",
            }
            for _ in range(3):
                if self.attempt("webhook", lambda headers=headers: notifications.receive(headers)):
                    break

    def go_on(self, most: int = 400) -> None:
        """Until nothing is left that goes on without a schedule."""
        for _ in range(most):
            if not (self._flows() or self._encodes() or self._events() or self._messages()):
                return
        raise AssertionError("it goes on for ever")

    def go_on_until_encoding(self) -> None:
        """Everything but the encoder goes on."""
        while self._flows() or self._messages():
            pass

    def later(self, name: str) -> None:
        """A schedule runs, some time after all that was done so far."""
        self.time_s += 600
        self.run_schedule(name)

    def encode_unheard(self) -> None:
        """The encoder ends its work, and its events are lost."""
        self._encodes()
        self.encoder.events.clear()

    def advance_to(self, function: str, *, calls: str, most: int = 40) -> None:
        """Go on until a function has made a call."""
        for _ in range(most):
            if (function, calls) in self.seen:
                return
            self._messages() or self._flows()
        raise AssertionError(f"{function} never made the call {calls}")

    def _flows(self) -> bool:
        if self.flows.run_due():
            return True
        sleeping = [e.due_at for e in self.flows.running() if not e.waits]
        if not sleeping:
            return False
        self.time_s = max(self.time_s, min(sleeping))  # a retrier's wait is over
        return True

    def _encodes(self) -> bool:
        waiting = self.encoder.waiting
        for job in waiting:
            self.encoder.work(job)
        return bool(waiting)

    def _events(self) -> bool:
        """EventBridge hands events to Lambda, which tries each three times."""
        told = False
        for events, tell, function in (
            (self.encoder.events, self.tell_encode, "encode_changed"),
            (self.flows.events, self.tell_end, "execution_ended"),
        ):
            while events:
                detail, told = events.pop(0), True
                if not any(tell(detail) for _ in range(EVENT_TRIES)):
                    self.outcome.given_up.append(Given(function, detail))
        return told

    def _messages(self) -> bool:
        queues = self.world.queues
        if queues.hints:
            hints, queues.hints[:] = list(queues.hints), []
            records = [{"messageId": str(n), "body": json.dumps(h)} for n, h in enumerate(hints)]
            work = lambda: triggers.drive_changed({"Records": records})  # noqa: E731
            for _ in range(DRIVE_RECEIVES):
                if self.attempt("sync", work):
                    return True
                self.time_s += 720
            self.outcome.given_up.append(Given("drive_changed", records))
            return True
        return self._rows()

    def _rows(self) -> bool:
        dirty, desk = self.world.queues.dirty, self.world.queues.desk
        if not dirty and not desk:
            return False
        batch, dirty[:] = dirty[:10], dirty[10:]
        hints, desk[:] = list(desk), []
        records = [
            {"messageId": f"hint {hint}", "receiptHandle": "h", "body": '{"desk": "look"}'}
            for hint in hints
        ]
        for number, (job_id, _) in enumerate(batch):
            self._row_receives[job_id] = self._row_receives.get(job_id, 0) + 1
            records.append(
                {
                    "messageId": str(number),
                    "receiptHandle": "h",
                    "body": json.dumps({"job_id": job_id}),
                    "attributes": {"ApproximateReceiveCount": str(self._row_receives[job_id])},
                }
            )
        answers: list[dict[str, Any]] = []
        work = lambda: answers.append(triggers.rows_changed({"Records": records}))  # noqa: E731
        if self.attempt("rows", work):
            failed = [int(f["itemIdentifier"]) for f in answers[0]["batchItemFailures"]]
        else:
            failed, self.time_s = list(range(len(batch))), self.time_s + 720
            self._looks += 1
            desk += hints if self._looks < ROWS_RECEIVES else []
        for number in failed:
            job_id, version = batch[number]
            if self._row_receives[job_id] >= ROWS_RECEIVES:
                self.outcome.given_up.append(Given("rows_changed", job_id))
            else:
                dirty.append((job_id, version))
                self.time_s += 30
        for job_id in {job_id for job_id, _ in batch} - {batch[n][0] for n in failed}:
            self._row_receives.pop(job_id, None)
        return True

    def run_schedule(self, name: str) -> None:
        """Once; Lambda tries an event of a schedule a second time."""
        work = dict(self.schedules())[name]
        if not any([self.attempt(name, work) or self.attempt(name, work)]):
            self.outcome.given_up.append(Given(FUNCTIONS[name], "schedule"))

    @staticmethod
    def schedules() -> dict[str, Callable[[], Any]]:
        return {
            "sweep": triggers.sweep_drive,
            "renew": triggers.renew_channel,
            "reconcile": lambda: triggers.reconcile_jobs({}),
            "requeue": triggers.requeue_rows,
        }

    def settle(self) -> None:
        """Everything goes on, and then the schedules run in turn until all is as promised."""
        self.go_on()
        for _ in range(ROUNDS):
            for name, every_s in SCHEDULES:
                if self.is_quiet():
                    return
                self.time_s += every_s
                self.outcome.needed = FUNCTIONS[name]
                self.run_schedule(name)
                self.go_on()

    def is_quiet(self) -> bool:
        try:
            self.check()
        except (AssertionError, KeyError):
            return False
        return True

    def check(self) -> None:
        """All that was promised, once nothing goes on any more.

        Raises: AssertionError: what was not kept.
        """
        world, jobs = self.world, all_jobs(self)
        assert not list(world.records.open_jobs()), "a job is open for ever"
        assert not self.flows.running(), "an execution waits for ever"
        assert not list(world.records.unsynced_jobs()), "a row is not written"
        chosen = [row for row in world.airtable.rows.values() if row.get("Review")]
        assert not chosen, "what people chose is not taken"
        assert world.records.state(*STATE).get("lease_until", 0) == 0, "the lease is not free"
        check_versions(self.model, jobs)
        for job in jobs:
            if self.due is None:
                check_end(self, self.model, job)
            else:
                assert job.status is self.due, f"{job.file_name}: {job.status}"
            check_row(self, job)
            assert all(one.is_over for one in job.callbacks), "somebody still waits to be called"
            told = [url for url, _, _ in world.callbacks.sent]
            assert all(one.given_up or one.url in told for one in job.callbacks), "nobody called"
        check_published(self, self.model, jobs)
        check_emails(self, jobs)
        check_leftovers(self, jobs)
        check_drive(self, jobs)
        if self.due is not Status.CANCELLED:  # whose source goes at once, the encode or not
            check_encodes(self)

    def send_back(self, records: list[dict[str, Any]]) -> None:
        """A person has messages of the Drive queue tried again, which SQS does five times."""
        answers: list[dict[str, Any]] = []
        work = lambda: answers.append(triggers.drive_changed({"Records": records}))  # noqa: E731
        for _ in range(DRIVE_RECEIVES):
            answers.clear()
            if self.attempt("sync", work) and not answers[0]["batchItemFailures"]:
                return
            self.outcome.raised = self.outcome.raised or "batchItemFailures"
        self.outcome.given_up.append(Given("drive_changed", records))

    def redrive(self) -> None:
        """A person sends back what was given up."""
        for name, work in self.unanswered[:]:
            if name == "cancel_job":
                self.due = None  # too late: it has ended in another way
            self.ask(name, work)
        given, self.outcome.given_up = self.outcome.given_up, []
        for one in given:
            match one.function:
                case "encode_changed":
                    self.encoder.events.append(one.what)
                case "execution_ended":
                    self.flows.events.append(one.what)
                case "drive_changed" if isinstance(one.what, tuple):
                    body = json.dumps({"file_id": one.what[0]})
                    self.send_back([{"messageId": "1", "body": body}])
                case "drive_changed":
                    self.send_back(one.what)

    def end(self) -> Outcome:
        """What became of it. The invariants that hold at every moment are checked here."""
        check_now(self, self.model)
        self.outcome.jobs = all_jobs(self)
        self.outcome.alerts = sum(notice.kind == "alert" for notice in self.world.topic.sent)
        queues = self.world.queues
        self.outcome.given_up += [Given("drive_changed", one) for one in queues.files_aside]
        self.outcome.given_up += [Given("rows_changed", one) for one in queues.rows_aside]
        return self.outcome


__all__ = ["ENVIRONMENT", "Outcome", "Stage", "Status", "Strike"]
