"""The adversary's plan: a pure function of the seed, so that a failing seed is the same again.

A run is a row of lives of the stack. Each life has things people do in Drive, faults, and the one
call at which it is killed. The same seed and sizes give the same plan, on every machine; which
job's call is the nth one is up to the threads.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.crash import boundary
from bench.crash.boundary import ENCODED, FLOW_FAILED, INVOKE, STEPS, Boundary
from bench.crash.clips import KINDS, Clip
from slimreel.local.faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person does.

    Attributes:
        verb: "drop", "replace" (new content under the same id), "rename", "bin", or "cancel",
            which is asked of Slimreel itself, about the job of what is in the file.
        file: the number of the file it is done to: drops are numbered from 1.
        name: of a dropped or renamed file; several files may share one.
        clip: the content of a drop or replacement.
    """

    verb: str
    file: int
    name: str = ""
    clip: Clip | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The nth call over a boundary since the life began."""

    boundary: Boundary
    nth: int

    def __str__(self) -> str:
        return f"{self.boundary} #{self.nth}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The stack from one start to its end."""

    acts: tuple[Act, ...]
    faults: tuple[Fault, ...]
    kill: Kill | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything the adversary will do. The last life is not killed."""

    seed: int
    lives: tuple[Life, ...]

    @property
    def digest(self) -> str:
        """Equal for equal plans."""
        return hashlib.sha256(json.dumps(self.told(), sort_keys=True).encode()).hexdigest()[:12]

    def told(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "lives": [
                {
                    "acts": [asdict(act) for act in life.acts],
                    "faults": [fault.told() for fault in life.faults],
                    "kill": str(life.kill) if life.kill else None,
                }
                for life in self.lives
            ],
        }

    @property
    def acts(self) -> Iterator[Act]:
        return (act for life in self.lives for act in life.acts)


def make_plan(seed: int, *, jobs: int, kills: int, faults_per_life: int = 3) -> Plan:
    """
    Args:
        jobs: files that are dropped or replaced, and so should become jobs, about.
        kills: lives that end violently. The first go over the edges of the functions, every
            step's among them; the rest strikes at seeded calls.
    """
    dice = random.Random(f"slimreel-crash-{seed}")
    killings = _kills(dice, kills)
    people = _People(dice)
    share = [jobs // max(1, kills)] * kills
    for extra in range(jobs - sum(share)):
        share[extra % max(1, kills)] += 1
    lives = [
        Life(
            acts=tuple(people.acts(count, first=_needed(kill))),
            faults=(*_faults(dice, faults_per_life, first=number == 0), *_leading_to(kill)),
            kill=kill,
        )
        for number, (kill, count) in enumerate(zip(killings, share, strict=True))
    ]
    at_last = Life(acts=() if kills else tuple(people.acts(jobs)), faults=(), kill=None)
    return Plan(seed=seed, lives=(*lives, at_last))


def _kills(dice: random.Random, count: int) -> list[Kill]:
    edges = [*boundary.functions()]
    dice.shuffle(edges)
    # With fewer kills than edges, the steps of the flow come first.
    edges.sort(key=lambda edge: not any(edge.operation.endswith(f"-{step}") for step in STEPS))
    calls = [*boundary.calls()]
    dice.shuffle(calls)
    chosen = [*edges, *calls][:count]
    while len(chosen) < count:
        chosen.append(dice.choice(calls))
    dice.shuffle(chosen)
    return [Kill(boundary=one, nth=dice.randint(1, boundary.latest(one))) for one in chosen]


#: What only a video that is encoded comes to.
_ENCODING = (
    *("budget", "encode", "restore", "measure", "verify", "encode_changed", "SendTaskSuccess"),
    *("SearchJobs", "CreateJob", "RunJob", "PutObject", ENCODED),
)


def _leading_to(kill: Kill) -> Iterator[Fault]:
    """Faults without which nothing comes to the boundary."""
    if kill.boundary.operation == "SearchJobs":  # Encode asks only where it is entered again
        yield Fault(
            service="mediaconvert",
            operation="CreateJob",
            status=500,
            code="InternalServerErrorException",
            times=kill.nth,
        )


def _needed(kill: Kill) -> str:
    """What kind of file a life needs so that its boundary is come to; small ones where any does."""
    operation = kill.boundary.operation.removeprefix(INVOKE)
    if operation in (FLOW_FAILED, "fail", "execution_ended"):
        return "words"
    if operation == "choose":
        return "long"
    if operation in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"):
        return "heavy"
    return "film" if operation in _ENCODING else "starved"


class _People:
    """Who drops files, and remembers which."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._dropped: list[Act] = []
        self._binned: set[int] = set()

    def acts(self, count: int, *, first: str = "film") -> Iterator[Act]:
        """So many drops and replacements, with other doings between.

        Args:
            first: the kind of the first drop, to which nobody does anything at once.
        """
        spared = 0
        for number in range(count):
            if number == 0:
                yield self._drop(first)
            elif number and self._dice.random() < 0.2 and (old := self._any(spared)):
                yield self._replace(old)
            else:
                yield self._drop(self._kind())
            if number == 0:
                spared = self._dropped[-1].file
            if self._dice.random() < 0.08 and (old := self._any(spared)):
                name = f"renamed {old.file}{_extension(old)}"
                yield Act(verb="rename", file=old.file, name=name)
            if self._dice.random() < 0.04 and (old := self._any(spared)):
                self._binned.add(old.file)
                yield Act(verb="bin", file=old.file)
            if self._dice.random() < 0.08 and (old := self._any(spared)):
                yield Act(verb="cancel", file=old.file)

    def _kind(self) -> str:
        names = [*KINDS]
        return self._dice.choices(names, [KINDS[name].weight for name in names])[0]

    def _clip(self, kind: str) -> Clip:
        return Clip(kind=kind, variant=self._dice.randint(1, KINDS[kind].variants))

    def _drop(self, kind: str) -> Act:
        number = len(self._dropped) + 1
        name = self._dice.choice((f"take {number}", f"Szene {number} – Über", "same name"))
        act = Act(
            verb="drop", file=number, name=name + KINDS[kind].extension, clip=self._clip(kind)
        )
        self._dropped.append(act)
        return act

    def _replace(self, old: Act) -> Act:
        """Of another kind mostly; Drive keeps the name."""
        clip = self._clip(self._dice.choice(("film", "film", "starved", "words")))
        return Act(verb="replace", file=old.file, clip=clip)

    def _any(self, spared: int) -> Act | None:
        """A video that lies in the folder, one of the last few mostly: those are in flight."""
        gone = self._binned | {spared}
        there = [act for act in self._dropped if act.file not in gone and _is_video(act)]
        if not there:
            return None
        return self._dice.choice(there[-4:] if self._dice.random() < 0.7 else there)


def _extension(act: Act) -> str:
    return act.name[act.name.rindex(".") :]


def _is_video(act: Act) -> bool:
    return act.clip is not None and act.clip.kind != "notes"


# Faults ---------------------------------------------------------------------------------------


def _faults(dice: random.Random, count: int, *, first: bool) -> Iterator[Fault]:
    if first:  # a job survives two faults of the encoder, so that there may be no more than these
        yield Fault(service="mediaconvert", operation="RunJob", code="1999", message="Unknown.")
    for service, operation, what in dice.choices(_FAULTS, k=count):
        deepest = 15 if service == "dynamodb" else 3
        yield Fault(
            service=service, operation=operation, nth=dice.randint(1, deepest), **_set(dice, what)
        )
    yield from dice.sample(_MISHAPS, k=min(2, count))


def _set(dice: random.Random, what: dict[str, Any]) -> dict[str, Any]:
    """An error may strike before the effect, or be all that is heard of it."""
    if what.get("after_effect") == "either":
        return {**what, "after_effect": dice.random() < 0.5}
    return what


def _busy(status: int, code: str) -> dict[str, Any]:
    return {"status": status, "code": code}


def _broken(code: str = "InternalError") -> dict[str, Any]:
    return {"status": 500, "code": code, "after_effect": "either"}


#: (service, operation, what): each once and seldom enough that the retries of flows and clients
#: are not used up, so that no job may fail of them. SNS is refused before its effect only: its
#: client repeats a call whose answer was lost, and no marking can tell.
_FAULTS: Sequence[tuple[str, str, dict[str, Any]]] = (
    ("dynamodb", "UpdateItem", _broken("InternalServerError")),
    ("dynamodb", "GetItem", _busy(500, "InternalServerError")),
    ("dynamodb", "PutItem", _broken("InternalServerError")),
    ("dynamodb", "UpdateItem", _busy(400, "ThrottlingException")),
    ("sqs", "SendMessage", _broken("InternalFailure")),
    ("states", "StartExecution", _broken("InternalFailure")),
    ("states", "StartExecution", _busy(400, "StateMachineDoesNotExist")),
    ("states", "SendTaskSuccess", _broken("InternalFailure")),
    ("sns", "Publish", _busy(500, "InternalFailure")),
    ("s3", "CreateMultipartUpload", _broken()),
    ("s3", "UploadPart", _busy(503, "SlowDown")),
    ("s3", "UploadPart", _broken()),
    ("s3", "CompleteMultipartUpload", _broken()),
    ("s3", "CopyObject", _broken()),
    ("s3", "PutObject", _broken()),
    ("s3", "DeleteObjects", _broken()),
    ("s3", "GetObject", _busy(503, "SlowDown")),
    ("mediaconvert", "Probe", _busy(500, "InternalServerErrorException")),
    ("mediaconvert", "SearchJobs", _busy(429, "TooManyRequestsException")),
    ("mediaconvert", "CreateJob", _busy(429, "TooManyRequestsException")),
    ("mediaconvert", "CreateJob", {**_broken("InternalServerErrorException")}),
    ("drive", "files.get", _busy(403, "rateLimitExceeded")),
    ("drive", "files.get", _busy(500, "internalError")),
    ("drive", "files.get_media", {"cut_body_at_byte": 1000}),
    ("drive", "files.get_media", {"flip_byte": 700}),
    ("drive", "files.get_media", _busy(503, "backendError")),
    ("drive", "changes.list", _busy(503, "backendError")),
    ("airtable", "records.upsert", _busy(503, "SERVICE_UNAVAILABLE")),
    ("airtable", "records.upsert", {"status": 502, "after_effect": True}),
    *(("lambda", INVOKE + step, {"drop": True, "after_effect": "either"}) for step in STEPS),
)


def _event(operation: str, **what: Any) -> Fault:
    return Fault(service="events", operation=operation, **what)


#: What happens to messages on their way: lost, twice, late, out of order.
_MISHAPS = (
    _event(ENCODED, drop=True),
    _event(ENCODED, duplicate=True),
    _event(ENCODED, delay_s=1.5),
    _event(ENCODED, repeat_after_s=2.5),
    _event(ENCODED, nth=2, drop=True),
    _event("MediaConvert Job State Change/PROGRESSING", delay_s=2.0),
    _event(FLOW_FAILED, drop=True),
    _event(FLOW_FAILED, duplicate=True),
    Fault(service="drive", operation="notification", drop=True, times=3),
    Fault(service="drive", operation="notification", duplicate=True, times=3),
    Fault(service="drive", operation="notification", delay_s=0.8),
)
