"""A whole stage in memory: the real triggers and steps, and around them queues, events, schedules,
Step Functions, a clock for AWS and one for our processes, which may differ.

Nothing happens by itself. Whoever drives the cloud says what goes on, and what fate the next
process meets.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.api import notifications
from chalicelib.domain.control import CannotDo
from chalicelib.fetching import checking, parts, upload
from chalicelib.services import Services
from chalicelib.steps import inspect as inspect_step
from chalicelib.steps import measure as measure_step
from chalicelib.steps import publish as publish_step
from chalicelib.steps import sync as sync_step
from chalicelib.steps import write_back as write_back_step
from tests.examples import a_workflow
from tests.fakes import INBOX, Killed, Storage, World
from tests.flow import WORKFLOWS, FunctionError, StepFunctions
from tests.model import films
from tests.model.fate import Fate

START = datetime(2026, 5, 4, tzinfo=UTC)
#: As `app.py` has them.
SCHEDULES: dict[str, tuple[float, Callable[[], None]]] = {
    "sweep": (15 * 60, triggers.sweep_drive),
    "renew": (6 * 3600, triggers.renew_channel),
    "reconcile": (5 * 60, lambda: triggers.reconcile_jobs({})),
    "requeue": (10 * 60, triggers.requeue_rows),
}
STEPS = sorted(set(re.findall(r"\$\{(\w+)\}", (WORKFLOWS / "compress.asl.json").read_text())))
#: What may be delivered twice, and at once.
TWICE = (*SCHEDULES, "webhook", "sync", "rows", "encode_changed", "execution_ended")
#: No invocation lives longer.
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_S = 900
#: How a function that never answers looks to its flow.
STALLS = ("Sandbox.Timedout", "States.Timeout", "Lambda.Unknown")


@dataclass
class Sleeper:
    """A process that was stopped; its caller has given it up."""

    fate: Fate
    what: str
    since_s: float


class Cloud:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.time_s, self.skew_s = 0.0, 0.0
        storage = Storage()
        self.flows = StepFunctions(self._invoke, lambda: self.time_s)
        self.encoder = films.Mediaconvert(storage)
        self.world = World(
            storage=storage,
            encoder=self.encoder,
            flows=self.flows,  # type: ignore[arg-type]
            now=lambda: START + timedelta(seconds=self.time_s + self.skew_s),
        )
        #: What will happen to the next process of a kind, and how a stopped one looks to its flow.
        self.dooms: dict[str, Fate] = {}
        self.stall = STALLS[0]
        self.sleepers: list[Sleeper] = []
        #: What happened to whom, for people and for the rules of what is forgiven.
        self.struck: list[tuple[str, Fate]] = []
        #: Errors of steps to which nothing had happened: what, error.
        self.unprovoked: list[tuple[str, Exception]] = []
        #: Executions that were brought down by what happened to one of their processes.
        self.felled: set[str] = set()
        #: Encodes that counted and found no source.
        self.encoded_nothing: list[str] = []
        #: Does what a person does meanwhile, to the job or file of this id or to any.
        self.people: Callable[[str, str], None] = lambda kind, job_id: None
        self.workflow = WORKFLOW
        self._due = dict.fromkeys(SCHEDULES, 0.0)
        self._here = threading.local()
        self._patched(patch)

    def results_go_to_drive(self) -> None:
        """The workflow puts its results into the very folder it watches."""
        self.workflow = replace(WORKFLOW, write_back_to=INBOX)

    def _patched(self, patch: pytest.MonkeyPatch) -> None:
        """What is not there without AWS: processes, pools of threads, films to decode."""
        patch.setattr(triggers, "services", lambda: self._here.services)
        patch.setattr(notifications, "services", lambda: self._here.services)
        for module in (sync_step, publish_step, write_back_step):
            patch.setattr(module, "all_workflows", lambda: {"compress": self.workflow})
        patch.setattr(inspect_step, "facts_from_probe", films.facts)
        patch.setattr(measure_step, "go_on", films.measuring(self.world.storage))
        patch.setattr(parts, "PART_BYTES", 50)
        patch.setattr(parts, "MIB", 1)
        patch.setattr(upload, "ThreadPoolExecutor", AtOnce)
        patch.setattr(checking, "ThreadPoolExecutor", AtOnce)
        patch.setattr(write_back_step, "ThreadPoolExecutor", AtOnce)
        patch.setattr(write_back_step, "PIECE_BYTES", 50)

    # Processes

    def call(self, what: str, work: Callable[[], Any]) -> Any:
        """Run `work` in a new process, which meets the fate that was set for the next one.

        Raises:
            Killed: it died.
            Stopped: it is asleep, and may wake up later.
        """
        fate = self.dooms.pop(what.split()[0], None) or Fate()
        services = self.world.new_process(fate)
        fate.others = lambda kind: self._meanwhile(kind, what, work)

        def process() -> Any:
            before = getattr(self._here, "services", None)
            self._here.services = services
            try:
                return work()
            finally:
                self._here.services = before

        try:
            if fate.kind != "stopped":
                return process()
            fate.begin(process)
        finally:
            if fate.happened:
                self.struck.append((what, fate))
        if fate.asleep:
            self.sleepers.append(Sleeper(fate, what, self.time_s))
            raise Stopped
        return fate.answer()

    def _meanwhile(self, kind: str, what: str, work: Callable[[], Any]) -> None:
        """Others do something while a process is between two of its calls."""
        ours = self._here.services
        if kind == "again":  # the same event or schedule, delivered twice; a flow waits for a step
            if what in TWICE:
                self.attempt(f"{what} again", work)
        elif kind in SCHEDULES:
            self.attempt(kind, SCHEDULES[kind][1])
        elif kind == "events":
            for detail in list(self.encoder.events):
                self.tell_encode(detail)
            for detail in list(self.flows.events):
                self.tell_end(detail)
        elif kind == "rows":
            self.write_rows()
        else:
            self.people(kind, what.split()[-1])
        self._here.services = ours

    def wake(self, sleeper: Sleeper) -> None:
        """It goes on as if nothing had been; nobody listens to what it returns or raises."""
        self.sleepers.remove(sleeper)
        sleeper.fate.wake()

    def close(self) -> None:
        for sleeper in self.sleepers:
            sleeper.fate.kill()
        self.sleepers.clear()

    def attempt(self, what: str, work: Callable[[], Any]) -> bool:
        """Whether a trigger whose caller only tries again, or not, ended well."""
        struck = len(self.struck)
        try:
            self.call(what, work)
        except (Killed, Stopped):
            return False
        except Exception as error:  # noqa: BLE001 - looked at by `unprovoked`
            if len(self.struck) == struck:
                self.unprovoked.append((what, error))
            return False
        return True

    def ask(self, what: str, request: Callable[[Services], Any]) -> bool:
        """Whether a person was told that what they asked for is done."""
        refused: list[CannotDo] = []

        def asked() -> None:
            try:
                request(self._here.services)
            except CannotDo as error:
                refused.append(error)

        return self.attempt(what, asked) and not refused

    def _invoke(self, function: str, payload: dict[str, Any]) -> Any:
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
        what, struck = f"{function} {payload['job_id']}", len(self.struck)
        execution = f"{payload['job_id']}-{payload['run']}"
        try:
            return self.call(what, lambda: triggers.step(function, payload, context))
        except Killed:
            self.felled.add(execution)
            raise FunctionError("Runtime.ExitError") from None
        except Stopped:
            self.felled.add(execution)
            raise FunctionError(self.stall) from None
        except Exception as error:
            if len(self.struck) > struck:
                self.felled.add(execution)
            job = self.world.records.get(payload["job_id"])
            if len(self.struck) == struck and job and job.status.is_open:
                self.unprovoked.append((what, error))
            raise

    # Messages and events

    def notify(self) -> None:
        """Drive tells every live channel; the webhook queues a hint."""
        for channel_id in list(self.world.drive.channels):
            headers = {
                "X-Goog-Channel-ID": channel_id,
                "X-Goog-Channel-Token": self.world.drive.tokens[channel_id],
                "X-Goog-Resource-State": "change",
            }
            self.attempt("webhook", lambda headers=headers: notifications.receive(headers))

    def take_hint(self) -> None:
        """A message that was not worked on comes again."""
        if self.attempt("sync", lambda: triggers.drive_changed({"Records": []})):
            self.world.queues.hints.clear()

    def tell_encode(self, detail: dict[str, Any]) -> bool:
        return self.attempt("encode_changed", lambda: triggers.encode_changed({"detail": detail}))

    def tell_end(self, detail: dict[str, Any]) -> bool:
        return self.attempt("execution_ended", lambda: triggers.execution_ended({"detail": detail}))

    def write_rows(self) -> None:
        """One batch of the rows' queue; what failed is put at its end."""
        dirty = self.world.queues.dirty
        batch = dirty[:10]
        records = [
            {"messageId": str(n), "body": json.dumps({"job_id": job_id}), "receiptHandle": "h"}
            for n, (job_id, _) in enumerate(batch)
        ]
        answers: list[dict[str, Any]] = []
        work = lambda: answers.append(triggers.rows_changed({"Records": records}))  # noqa: E731
        if self.attempt("rows", work):
            failed = [int(f["itemIdentifier"]) for f in answers[0]["batchItemFailures"]]
            dirty[: len(batch)] = []
            dirty += [batch[number] for number in failed]

    def encode(self, encode: dict[str, Any]) -> None:
        """MediaConvert does one job."""
        self.encoder.work(encode)
        job = self.world.records.get(encode["UserMetadata"]["job_id"])
        counts = job is not None and job.status.is_open and job.encoder_job_id == encode["Id"]
        if encode.get("ErrorCode") == 1404 and counts:
            self.encoded_nothing.append(encode["Id"])

    # Time

    def pass_time(self, seconds: float) -> None:
        """Time passes: flows go on where something was due, then the schedules that are due run."""
        self.time_s += seconds
        for sleeper in [s for s in self.sleepers if self.time_s - s.since_s >= LAMBDA_S]:
            self.sleepers.remove(sleeper)
            sleeper.fate.kill()
        self.flows.run_due()
        for name, (every_s, work) in SCHEDULES.items():
            if self.time_s >= self._due[name]:
                self._due[name] = self.time_s + every_s
                self.attempt(name, work)


WORKFLOW = a_workflow(drive_folder=INBOX)


class Stopped(Exception):
    """The process does not answer."""


class AtOnce:
    """A pool of threads that does each thing when it is asked to, so that a run can be repeated."""

    def __init__(self, workers: int, **_: Any) -> None:
        pass

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - it is the caller's to see
            future.set_exception(error)
        return future
