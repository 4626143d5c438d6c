"""What CloudFormation knows of its stacks, kept in files.

One JSON file for each stack, its events beside it, a line each, and templates by their digest:
a stack is saved at every step of a deployment, and its templates do not change meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slimreel.local.stack.kinds import arn

Template = dict[str, Any]

#: How a stack's status ends while something goes on.
IN_PROGRESS = "_IN_PROGRESS"
REVIEW = "REVIEW_IN_PROGRESS"


@dataclass(slots=True)
class Resource:
    """One resource of a stack.

    Attributes:
        attributes: what `Fn::GetAtt` gives.
        deletion_policy: what happens when it leaves the stack or the stack goes.
    """

    logical_id: str
    type: str
    status: str
    physical_id: str = ""
    reason: str = ""
    deletion_policy: str = "Delete"
    attributes: dict[str, str] = field(default_factory=dict)
    at: str = ""


@dataclass(slots=True)
class ChangeSet:
    """A change that was worked out and may be carried out once.

    Attributes:
        sam: the template as given; `template` is what its transform made of it.
        changes: as DescribeChangeSet lists them.
    """

    name: str
    id: str
    type: str
    status: str
    execution: str
    created_at: str
    sam: dict[str, Any] = field(default_factory=dict)
    template: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    capabilities: list[str] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""


@dataclass(slots=True)
class Record:
    """One stack, alive or deleted.

    Attributes:
        template, parameters: what is there now; empty before the first creation.
        sam: the template as it was given.
        events: oldest first; each as DescribeStackEvents lists it, times as ISO text.
        pending: the name of the change set that is being carried out.
    """

    name: str
    id: str
    status: str
    created_at: str
    reason: str = ""
    updated_at: str = ""
    deleted_at: str = ""
    sam: dict[str, Any] = field(default_factory=dict)
    template: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    capabilities: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    pending: str = ""

    @property
    def is_deleted(self) -> bool:
        return self.status == "DELETE_COMPLETE"

    @property
    def is_busy(self) -> bool:
        return self.status.endswith(IN_PROGRESS) and self.status != REVIEW


class Records:
    """Every stack of the account. Thread-safe; a change is on disk once `save` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        self._told: dict[str, int] = {}  # events on disk, by stack id
        self._digests: dict[int, tuple[Template, str]] = {}  # of templates in memory
        self._records = {one.id: one for one in map(self._read, sorted(folder.glob("*.json")))}

    def all(self) -> list[Record]:
        """Newest first, deleted ones included."""
        with self.lock:
            return sorted(self._records.values(), key=lambda one: one.created_at, reverse=True)

    def find(self, name_or_id: str) -> Record | None:
        """A stack by name, while it lives, or by id, for ever."""
        with self.lock:
            if name_or_id.startswith("arn:"):
                return self._records.get(name_or_id)
            living = (one for one in self.all() if one.name == name_or_id and not one.is_deleted)
            return next(living, None)

    def new(self, name: str, status: str) -> Record:
        made = Record(
            name=name,
            id=arn("cloudformation", f"stack/{name}/{uuid.uuid4()}"),
            status=status,
            created_at=now(),
        )
        with self.lock:
            self._records[made.id] = made
        return made

    def save(self, record: Record) -> None:
        """Each file whole or not at all; the stack last."""
        with self.lock:
            path = self._path(record)
            new = record.events[self._told.get(record.id, 0) :]
            if new:
                with path.with_suffix(".events").open("a") as file:
                    file.writelines(json.dumps(event) + "\n" for event in new)
                self._told[record.id] = len(record.events)
            told = {one.name: getattr(record, one.name) for one in fields(record)}
            told |= {
                "events": len(record.events),
                "sam": self._kept(record.sam),
                "template": self._kept(record.template),
                "resources": {name: asdict(one) for name, one in record.resources.items()},
                "change_sets": {
                    name: {
                        **{member.name: getattr(one, member.name) for member in fields(one)},
                        "sam": self._kept(one.sam),
                        "template": self._kept(one.template),
                    }
                    for name, one in record.change_sets.items()
                },
            }
            _replace(path, json.dumps(told))

    def _path(self, record: Record) -> Path:
        return self._folder / f"{record.name}-{record.id.rpartition('/')[2]}.json"

    def _kept(self, template: Template) -> str:
        """The digest under which a template lies on disk; empty for none."""
        if not template:
            return ""
        known = self._digests.get(id(template))
        if known is not None:
            return known[1]
        text = json.dumps(template)
        digest = hashlib.sha256(text.encode()).hexdigest()
        path = self._folder / f"{digest}.template"
        if not path.exists():
            _replace(path, text)
        self._digests[id(template)] = template, digest  # holding it keeps its id its own
        return digest

    def _loaded(self, digest: str) -> Template:
        if not digest:
            return {}
        template: Template = json.loads((self._folder / f"{digest}.template").read_text())
        return template

    def _read(self, path: Path) -> Record:
        told = json.loads(path.read_text())
        for one in (told, *told["change_sets"].values()):
            one["sam"], one["template"] = self._loaded(one["sam"]), self._loaded(one["template"])
        lines = path.with_suffix(".events")
        events = lines.read_text().splitlines() if lines.exists() else []
        told["events"] = [json.loads(line) for line in events[: told["events"]]]
        record = Record(**told)
        record.resources = {name: Resource(**one) for name, one in told["resources"].items()}
        record.change_sets = {name: ChangeSet(**one) for name, one in told["change_sets"].items()}
        if len(events) > len(record.events):  # a line that the end of the process cut off
            lines.write_text("".join(line + "\n" for line in events[: len(record.events)]))
        self._told[record.id] = len(record.events)
        return record


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".part")
    draft.write_text(text)
    draft.replace(path)


def now() -> str:
    return datetime.now(UTC).isoformat()


def as_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def add_event(
    record: Record, *, logical_id: str, physical_id: str, kind: str, status: str, reason: str = ""
) -> None:
    record.events.append(
        {
            "StackId": record.id,
            "StackName": record.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "Timestamp": now(),
            "ResourceStatus": status,
            **({"ResourceStatusReason": reason} if reason else {}),
        }
    )


def living(record: Record) -> Iterator[Resource]:
    """The resources that the stack has now."""
    gone = ("DELETE_COMPLETE", "DELETE_SKIPPED")
    yield from (one for one in record.resources.values() if one.status not in gone)
