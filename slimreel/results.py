"""Published files as ordinary ones in a folder, under the names people gave them."""

from __future__ import annotations

import contextlib
import filecmp
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from chalicelib.domain import keys
from chalicelib.domain.job import Job
from slimreel.local.drive.disk import fitting

log = logging.getLogger("slimreel.results")

#: Results of this workflow lie straight in the folder, those of others in one named after theirs.
MAIN_WORKFLOW = "compress"


class Results:
    """Puts each published file into `folder` once.

    A file is there whole or not at all, and read-only where it shares its bytes with the bucket.
    What a person moves away or deletes does not come back. Of two files of one name the second
    gets a part of its job's id into its name. A job that was run again replaces what it had.

    Args:
        ledger: what was put there before, one JSON object a line; made when missing.
        object_path: the file behind a published key; KeyError when there is none.
    """

    def __init__(self, folder: Path, ledger: Path, object_path: Callable[[str], Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._ledger, self._object_path = folder, ledger, object_path
        #: By job: the name below the folder, and the content put there.
        self._done: dict[str, tuple[str, str]] = {}
        text = ledger.read_text(encoding="utf-8") if ledger.exists() else ""
        if text and not text.endswith("\n"):  # we died writing it
            self._append("\n")
        for line in text.splitlines():
            with contextlib.suppress(ValueError, KeyError):
                told = json.loads(line)
                self._done[told["job"]] = told["name"], told["content"]

    def put(self, job: Job) -> Path | None:
        """Put a closed job's published file there; None when there is nothing new to put.

        Raises:
            OSError: the disk is full, or the folder cannot be written to.
        """
        if job.published_key is None or job.status.is_open:
            return None
        try:
            stored = self._object_path(job.published_key)
        except KeyError:
            log.warning("job %s: %s is not in the bucket", job.job_id, job.published_key)
            return None
        before = self._done.get(job.job_id)
        if before is not None and before[1] == stored.name:
            return None
        name = before[0] if before is not None else self._name(job, stored)
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _place(stored, target)
        self._note(job.job_id, name, stored.name)
        return target

    def _name(self, job: Job, stored: Path) -> str:
        """A free name; one that holds these very bytes was taken by us just before we died."""
        assert job.published_key is not None
        readable = Path(fitting(keys.download_name(job.file_name, job.published_key)))
        place = Path() if job.workflow == MAIN_WORKFLOW else Path(job.workflow)
        for name in (readable.name, f"{readable.stem}-{job.job_id[:8]}{readable.suffix}"):
            path = self._folder / place / name
            if not path.exists() or _is_same(path, stored):
                return str(place / name)
        return str(place / f"{readable.stem}-{job.job_id}{readable.suffix}")

    def _note(self, job_id: str, name: str, content: str) -> None:
        self._done[job_id] = name, content
        self._append(json.dumps({"job": job_id, "name": name, "content": content}) + "\n")

    def _append(self, text: str) -> None:
        with self._ledger.open("a", encoding="utf-8") as ledger:
            ledger.write(text)


def _is_same(path: Path, stored: Path) -> bool:
    """Whether they are one file, or one is a copy of the other."""
    if path.samefile(stored):
        return True
    same_size = path.stat().st_size == stored.stat().st_size
    return path.is_file() and same_size and filecmp.cmp(path, stored, shallow=False)


def _place(stored: Path, target: Path) -> None:
    """Link the file there in one step, over an older one; copy it where links do not reach."""
    draft = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        try:
            os.link(stored, draft)
            # The bucket's bytes are the same: nobody may write to them by way of this name.
            draft.chmod(0o444)
        except OSError:
            shutil.copyfile(stored, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
