"""A copy of the project to run the stack from, with lines changed: waits in seconds, guards gone.

The checkout itself stays as it is, and a change to it during a run does not reach the run. Every
edit names the very text it replaces and fails where that is not there exactly as often as it says,
so that no edit can quietly stop doing anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slimreel.paths import PROJECT_DIR

#: What the stack and its functions are made of.
_PARTS = ("app.py", "requirements.txt", ".chalice", "chalicelib", "slimreel", "workflows")


class EditMissed(Exception):
    """The text an edit replaces is not in the project (any more); the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One replacement in one file.

    Attributes:
        old, new: exact text, indentation included.
        count: how often `old` is there; None for once or more. Every one is replaced.
    """

    path: str
    old: str
    new: str
    count: int | None = 1

    def applied_to(self, text: str) -> str:
        """
        Raises:
            EditMissed: `old` is there more or less often than `count` says.
        """
        found = text.count(self.old)
        if not found or self.count not in (None, found):
            raise EditMissed(f"{self.path} holds {found} times what is to be changed:\n{self.old}")
        return text.replace(self.old, self.new)


_CONFIG = ".chalice/config.json"
#: Minutes become seconds, so that a run meets every one of these waits for real, and in the same
#: order of length. Leases and the like are parameters of the template; see `bench.crash.stack`.
SECONDS = (
    Edit(path=_CONFIG, old='"lambda_timeout": 900', new='"lambda_timeout": 20', count=None),
    Edit(path=_CONFIG, old='"lambda_timeout": 300', new='"lambda_timeout": 30', count=None),
    Edit(path=_CONFIG, old='"lambda_timeout": 120', new='"lambda_timeout": 10', count=None),
    Edit(path=_CONFIG, old='"lambda_timeout": 60', new='"lambda_timeout": 10', count=None),
    Edit(
        path=".chalice/resources.yaml",
        old="VisibilityTimeout: 720",
        new="VisibilityTimeout: 15",
        count=None,
    ),
    *(
        Edit(
            path="chalicelib/steps/airtable_pause.py",
            old=f"{name} = {long}\n",
            new=f"{name} = {short}\n",
        )
        for name, long, short in (
            ("FIRST_PAUSE", "timedelta(minutes=10)", "timedelta(seconds=4)"),
            ("LONGEST_PAUSE", "timedelta(hours=2)", "timedelta(seconds=8)"),
            ("OUT_OF_CALLS_PAUSE", "timedelta(hours=1)", "timedelta(seconds=8)"),
        )
    ),
    *(
        Edit(path="chalicelib/steps/rows.py", old=f"{name} = {long}\n", new=f"{name} = {short}\n")
        for name, long, short in (
            ("FIRST_REFUSAL", "timedelta(minutes=30)", "timedelta(seconds=4)"),
            ("LONGEST_REFUSAL", "timedelta(days=1)", "timedelta(seconds=8)"),
        )
    ),
    # How long SQS knows a message again: shorter than rows wait to be queued once more.
    Edit(
        path="slimreel/local/queues.py",
        old="_DEDUPLICATION_S = 300.0\n",
        new="_DEDUPLICATION_S = 1.0\n",
    ),
    # As small as S3 takes parts, so that a small file has two.
    Edit(
        path="chalicelib/fetching/parts.py",
        old="PART_BYTES = 16 * MIB\n",
        new="PART_BYTES = 5 * MIB\n",
    ),
    Edit(path="chalicelib/steps/reconcile.py", old="OUTLIVED_S = 960\n", new="OUTLIVED_S = 25\n"),
    Edit(
        path="chalicelib/steps/notify.py",
        old="CLAIM_LASTS = timedelta(seconds=300)\n",
        new="CLAIM_LASTS = timedelta(seconds=10)\n",
    ),
    Edit(
        path="chalicelib/steps/rows.py",
        old="DEFAULT_PAUSE_S = 60.0\n",
        new="DEFAULT_PAUSE_S = 1.0\n",
    ),
    Edit(
        path="chalicelib/adapters/airtable.py",
        old="OUTAGE_PAUSE_S = 10.0\n",
        new="OUTAGE_PAUSE_S = 1.0\n",
    ),
    Edit(
        path="chalicelib/steps/channel.py",
        old="LIFE = timedelta(days=7)\n",
        new="LIFE = timedelta(seconds=60)\n",
    ),
    Edit(
        path="workflows/compress.asl.json",
        old='"IntervalSeconds": 2,',
        new='"IntervalSeconds": 1,',
        count=None,
    ),
    Edit(
        path="workflows/compress.asl.json",
        old='"MaxDelaySeconds": 120,',
        new='"MaxDelaySeconds": 4,',
        count=None,
    ),
    Edit(
        path="workflows/compress.asl.json",
        old='"HeartbeatSeconds": 3600,',
        new='"HeartbeatSeconds": 30,',
        count=None,
    ),
)


def copy_project(target: Path, edits: Iterable[Edit], *, source: Path = PROJECT_DIR) -> Path:
    """Copy what the stack runs from and change it.

    Raises:
        EditMissed.
    """
    for part in _PARTS:
        if (source / part).is_dir():
            shutil.copytree(
                source / part, target / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / part, target / part)
    for edit in edits:
        path = target / edit.path
        path.write_text(edit.applied_to(path.read_text()))
    return target
