"""The files of the stand-in: what is where, and everything a person or a program can do to them.

Every act is one entry in the change log, one step of the file's version counter, and one event
for the notification channels, as in Drive.
"""

from __future__ import annotations

import contextlib
import json
import mimetypes
import os
import secrets
import string
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slimreel.local.drive import disk
from slimreel.local.drive.errors import file_not_found
from slimreel.local.drive.records import (
    DOCUMENT_TYPE,
    FOLDER_TYPE,
    SHORTCUT_TYPE,
    Move,
    Person,
    Record,
    Records,
)

#: Who "uploaded" what appears on disk.
SOMEBODY = Person(name="Dana Studio", email="dana@studio.example")

#: The folders in this folder of the root are shared drives.
SHARED_DRIVES = "Shared drives"

#: The years Drive's timestamps can hold: 0001 to 9999, in milliseconds since 1970.
_EARLIEST_MS, _LATEST_MS = -62_135_596_800_000, 253_402_300_799_999

_ID_ALPHABET = string.ascii_letters + string.digits + "-_"

#: Types Python's own table does not know, or knows as something else.
_VIDEO_TYPES = {
    ".3gp": "video/3gpp",
    ".avi": "video/x-msvideo",
    ".flv": "video/x-flv",
    ".m2ts": "video/mp2t",
    ".m4v": "video/x-m4v",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpg": "video/mpeg",
    ".mts": "video/mp2t",
    ".mxf": "application/mxf",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
}
# Not the machine's tables: the same file must have the same type everywhere.
_TYPES = mimetypes.MimeTypes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened to a file.

    Attributes:
        state: "add", "remove", "update", "trash" or "untrash".
        changed: for "update": which of content, properties, parents, children.
        folder_ids: the folders that gained or lost this file.
        drive_id: the shared drive it is in.
    """

    file_id: str
    state: str
    changed: tuple[str, ...] = ()
    folder_ids: tuple[str, ...] = ()
    drive_id: str | None = None


class Library:
    """All files. Thread-safe; `lock` is held for every look and every act, not while hashing."""

    def __init__(self, root: Path, records: Records, vault: Path) -> None:
        self.lock = threading.RLock()
        self.records = records
        self.tree = disk.Tree(root, vault)
        self.listener: Callable[[Event], None] = lambda event: None
        self.is_member = True
        self.root_id = self._make_root()
        self._finish_moves()
        self.tree.drop_unfinished()

    # Looking

    def get(self, file_id: str) -> Record:
        """Return a file, in the bin or not.

        Raises:
            Refusal: 404, no such file.
        """
        with self.lock:
            record = self.records.get(self.root_id if file_id == "root" else file_id)
        if record is None:
            raise file_not_found(file_id)
        return record

    def get_folder(self, folder_id: str) -> Record:
        """Return a folder.

        Raises:
            Refusal: 404, there is no such folder.
        """
        record = self.get(folder_id)
        if not record.is_folder:
            raise file_not_found(folder_id)
        return record

    def content_path(self, record: Record) -> Path:
        if record.location is None:
            return self.tree.vault_path(record.file_id)
        return self.tree.path(record.location)

    def shared_drive_of(self, record: Record) -> str | None:
        """The id of the shared drive a file is in, or is itself; None for what is in My Drive."""
        with self.lock:
            line = [record]
            while (parent_id := line[-1].parent_id) is not None:
                parent = self.records.get(parent_id)
                if parent is None:
                    return None
                line.append(parent)
        # Drive for desktop shows shared drives in a folder of this name, too.
        if len(line) < 3 or line[-2].name != SHARED_DRIVES or line[-1].file_id != self.root_id:
            return None
        return line[-3].file_id

    def has_log(self, drive_id: str) -> bool:
        """Whether that is a shared drive which shows the account its change log."""
        with self.lock:
            record = self.records.get(drive_id)
            is_drive = record is not None and self.shared_drive_of(record) == drive_id
        return is_drive and self.is_member

    def new_temporary(self) -> Path:
        """Return a path for content that is still arriving."""
        return self.tree.new_temporary()

    # Adding

    def add_file(
        self,
        content: Path,
        *,
        name: str,
        folder_id: str,
        who: Person,
        mime_type: str | None = None,
        modified_ms: int | None = None,
        created_ms: int | None = None,
        owner: Person | None = None,
        file_id: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Record:
        """Take the file at `content` (it is moved away) into a folder.

        `more` are further `Record` fields.
        """
        digests = disk.digest(content)
        modified = now_ms() if modified_ms is None else modified_ms
        _set_mtime(content, modified)
        with self.lock:
            folder = self.get_folder(folder_id)
            record = self._blank(file_id or new_id(), name, folder.file_id, owner or who, who)
            record = replace(
                record,
                mime_type=mime_type or guess_type(name),
                modified_ms=modified,
                created_ms=modified if created_ms is None else created_ms,
                trashed=folder.trashed,
                **(more or {}),
            )
            record = self._placed(with_content(record, disk.signature(content), digests), folder)
            return self.commit_new(record, content)

    def add_folder(self, name: str, folder_id: str, who: Person) -> Record:
        with self.lock:
            folder = self.get_folder(folder_id)
            record = self._blank(new_id(), name, folder.file_id, who, who)
            record = replace(record, mime_type=FOLDER_TYPE, trashed=folder.trashed)
            if folder.location is not None:
                location = self.tree.free_location(folder.location, name)
                self.tree.path(location).mkdir()
                seen = self.tree.see(location)
                record = replace(record, location=location, inode=seen.inode if seen else None)
            return self.commit_new(record)

    def add_document(self, name: str, folder_id: str, who: Person) -> Record:
        """Add a Google Doc: it has no bytes and does not show on disk."""
        return self._add_pointer(name, folder_id, who, DOCUMENT_TYPE, None)

    def add_shortcut(self, name: str, folder_id: str, target_id: str, who: Person) -> Record:
        return self._add_pointer(name, folder_id, who, SHORTCUT_TYPE, self.get(target_id).file_id)

    # Changing

    def replace_content(
        self, file_id: str, content: Path, who: Person, modified_ms: int | None = None
    ) -> Record:
        """Give a file new bytes (moved away from `content`): a new head revision."""
        digests = disk.digest(content)
        modified = now_ms() if modified_ms is None else modified_ms
        _set_mtime(content, modified)
        with self.lock:
            record = self.get(file_id)
            content = self._beside(content, record)
            record = replace(
                record, modified_ms=modified, modifier_name=who.name, modifier_email=who.email
            )
            record = with_content(record, disk.signature(content), digests)
            return self.commit(record, "update", ("content",), content=content)

    def change(self, file_id: str, who: Person | None, **values: Any) -> Record:
        """Set further fields of a record: flags, description, times."""
        with self.lock:
            record = replace(self.get(file_id), **values)
            if who is not None:
                record = replace(record, modifier_name=who.name, modifier_email=who.email)
            if record.has_content and "modified_ms" in values:
                path = self.content_path(record)
                _set_mtime(path, record.modified_ms)
                record = replace(record, mtime_ns=path.stat().st_mtime_ns)
            return self.commit(record, "update", ("properties",))

    def rename(self, file_id: str, name: str) -> Record:
        with self.lock:
            record = replace(self.get(file_id), name=name)
            if record.location is not None:
                record = self._shifted(record, disk.parent(record.location), name)
            return self.commit(record, "update", ("properties",))

    def move(self, file_id: str, folder_id: str) -> Record:
        with self.lock:
            record, folder = self.get(file_id), self.get_folder(folder_id)
            before = record.parent_id
            record = replace(record, parent_id=folder.file_id)
            if record.location is not None and folder.location is not None:
                record = self._shifted(record, folder.location, record.name)
            folders = tuple(dict.fromkeys(id for id in (before, folder.file_id) if id))
            return self.commit(record, "update", ("parents",), folders)

    # The bin

    def trash(self, file_id: str) -> None:
        """Put a file in the bin, and with a folder all that is in it."""
        with self.lock:
            record = self.get(file_id)
            for inner in reversed(list(self.family(record))):
                is_root = inner.file_id == record.file_id
                if is_root or not inner.trashed:  # what was in the bin before stays there later
                    self._hide(replace(inner, trashed=True, bin_root=is_root))

    def untrash(self, file_id: str) -> None:
        """Take a file out of the bin, and with a folder what went there with it."""
        with self.lock:
            record = replace(self.get(file_id), bin_root=False)
            parent = self.records.get(record.parent_id or self.root_id)
            if parent is None or parent.location is None:
                record = replace(record, parent_id=self.root_id)
            self._show(record)

    def delete(self, file_id: str) -> None:
        """Delete for good, and with a folder all that is in it."""
        with self.lock:
            for inner in reversed(list(self.family(self.get(file_id)))):
                self._erase_from_disk(inner)
                self.commit_removed(inner)

    def family(self, record: Record) -> Iterator[Record]:
        """Yield a file and, for a folder, everything below it; folders first."""
        yield record
        for child in self.records.children(record.file_id):
            yield from self.family(child)

    # Writing down what happened; the disk scan uses these too

    def commit_new(self, record: Record, content: Path | None = None) -> Record:
        """`content` is moved to the record's place; the same goes for `commit`."""
        folders = (record.parent_id,) if record.parent_id else ()
        event = Event(file_id=record.file_id, state="add", folder_ids=folders)
        return self._commit(record, event, content)

    def commit(
        self,
        record: Record,
        state: str,
        changed: tuple[str, ...],
        folders: tuple[str, ...] = (),
        *,
        content: Path | None = None,
    ) -> Record:
        event = Event(file_id=record.file_id, state=state, changed=changed, folder_ids=folders)
        return self._commit(replace(record, version=record.version + 1), event, content)

    def commit_removed(self, record: Record) -> None:
        drive_id = self.shared_drive_of(record)
        drives = {drive_id: True} if drive_id else {}
        with self.records.together():
            self.records.forget(record.file_id)
            self.records.log(record.file_id, removed=True, time_ms=now_ms(), drives=drives)
        folders = (record.parent_id,) if record.parent_id else ()
        event = Event(file_id=record.file_id, state="remove", folder_ids=folders)
        self.listener(replace(event, drive_id=drive_id))

    def shift_below(self, old: bytes, new: bytes) -> None:
        """Write down that a folder's path changed, for all that is in it."""
        for record in self.records.on_disk():
            if record.location is not None and record.location.startswith(old + b"/"):
                self.records.save(replace(record, location=new + record.location[len(old) :]))

    def _commit(self, record: Record, event: Event, content: Path | None) -> Record:
        # Written before anything moves: content that nobody wrote down would be taken for
        # another file by the next process, should this one die here.
        replaces = event.state == "update"
        before, drive_id = self.records.get(record.file_id), self.shared_drive_of(record)
        left = self.shared_drive_of(before) if before else None
        drives = {id: id != drive_id for id in (left, drive_id) if id}
        with self.records.together():
            self.records.save(record)
            self.records.log(record.file_id, removed=False, time_ms=now_ms(), drives=drives)
            if content is not None:
                move = Move(record.file_id, os.fsencode(content), replaces)
                self.records.save_move(move)
        if content is not None:
            record = self._move(move, record)
        self.listener(replace(event, drive_id=drive_id))
        return record

    def _move(self, move: Move, record: Record) -> Record:
        source = Path(os.fsdecode(move.source))
        disk.move(source, self.content_path(record))
        inode = self.content_path(record).stat().st_ino
        if inode != record.inode:  # it was copied to another disk
            record = replace(record, inode=inode)
            self.records.save(record)
        self.records.forget_move(record.file_id)
        return record

    def _finish_moves(self) -> None:
        """Do what a process that died wrote down and did not come to."""
        for move in self.records.moves():
            record = self.records.get(move.file_id)
            if record is None or not os.path.lexists(move.source):
                self.records.forget_move(move.file_id)
                continue
            if record.location is not None and not move.replaces:
                # Somebody may have put another file there since.
                folder = disk.parent(record.location)
                record = replace(record, location=self.tree.free_location(folder, record.name))
                self.records.save(record)
            self._move(move, record)

    # Helpers

    def _make_root(self) -> str:
        root_id = self.records.fact("root_id")
        if root_id is None:
            root_id = "0A" + new_id()[2:19]
            record = self._blank(root_id, "My Drive", None, SOMEBODY, SOMEBODY)
            self.records.save(replace(record, mime_type=FOLDER_TYPE, location=b""))
            self.records.set_fact("root_id", root_id)
        return root_id

    def _blank(
        self, file_id: str, name: str, parent_id: str | None, owner: Person, who: Person
    ) -> Record:
        now = now_ms()
        return Record(
            file_id=file_id,
            name=name,
            mime_type="application/octet-stream",
            parent_id=parent_id,
            location=None,
            owner_name=owner.name,
            owner_email=owner.email,
            modifier_name=who.name,
            modifier_email=who.email,
            created_ms=now,
            modified_ms=now,
        )

    def _add_pointer(
        self, name: str, folder_id: str, who: Person, mime_type: str, target_id: str | None
    ) -> Record:
        with self.lock:
            folder = self.get_folder(folder_id)
            record = self._blank(new_id(), name, folder.file_id, who, who)
            return self.commit_new(
                replace(record, mime_type=mime_type, target_id=target_id, trashed=folder.trashed)
            )

    def _placed(self, record: Record, folder: Record) -> Record:
        """Say where the folder shows the file; in the vault if nowhere."""
        if folder.location is None:
            return record
        return replace(record, location=self.tree.free_location(folder.location, record.name))

    def _beside(self, content: Path, record: Record) -> Path:
        """Move content onto the disk of the record's file, where replacing is one step."""
        target = self.content_path(record)
        hidden = target.with_name(f".arriving-{record.file_id}")
        disk.move(content, hidden)
        return hidden

    def _shifted(self, record: Record, folder: bytes, name: str) -> Record:
        """Move a file or folder on disk to `folder` under (nearly) `name`."""
        old = record.location
        assert old is not None
        if disk.parent(old) == folder and disk.join(folder, disk.fitting(name)) == old:
            return record
        new = self.tree.free_location(folder, name)
        self.tree.path(old).rename(self.tree.path(new))
        if record.is_folder:
            self.shift_below(old, new)
        return replace(record, location=new)

    def _hide(self, record: Record) -> None:
        path = self.content_path(record)
        on_disk = record.location is not None
        content = path if on_disk and not record.is_folder else None
        self.commit(replace(record, location=None), "trash", (), content=content)
        if on_disk and record.is_folder:
            # Something Drive has not listed yet may still lie in it; that stays.
            with contextlib.suppress(OSError):
                path.rmdir()

    def _show(self, record: Record) -> None:
        parent, content = self.get(record.parent_id or self.root_id), None
        if record.is_folder and parent.location is not None:
            location = self.tree.free_location(parent.location, record.name)
            self.tree.path(location).mkdir()
            seen = self.tree.see(location)
            record = replace(record, location=location, inode=seen.inode if seen else None)
        elif record.has_content and parent.location is not None:
            content = self.content_path(record)
            record = self._placed(record, parent)
        record = self.commit(replace(record, trashed=False), "untrash", (), content=content)
        for child in self.records.children(record.file_id):
            if child.trashed and not child.bin_root:
                self._show(child)

    def _erase_from_disk(self, record: Record) -> None:
        path = self.content_path(record)
        if record.has_content:
            path.unlink(missing_ok=True)
        elif record.is_folder and record.location:
            with contextlib.suppress(OSError):
                path.rmdir()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def clamp_ms(time_ms: int) -> int:
    return min(max(time_ms, _EARLIEST_MS), _LATEST_MS)


def new_id() -> str:
    """Return an id of Drive's looks: 33 characters, the first a 1."""
    return "1" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(32))


def new_revision() -> str:
    return "0B" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(48))


def guess_type(name: str) -> str:
    """Return the type Drive gives a file of this name when the uploader named none."""
    _, dot, extension = name.lower().rpartition(".")
    known = _VIDEO_TYPES.get(dot + extension)
    if known is not None:
        return known
    # Only the extension: a whole name could read as a URL with a type of its own.
    guessed, _ = _TYPES.guess_type(f"file.{extension}") if dot else (None, None)
    return guessed or "application/octet-stream"


def video_json(*, width: int, height: int, duration_ms: int) -> str:
    return json.dumps({"width": width, "height": height, "durationMillis": str(duration_ms)})


def with_content(record: Record, signature: tuple[int, int, int], digests: disk.Digests) -> Record:
    """The record with a new head revision; `signature` is that of `disk.Seen`."""
    inode, size_bytes, mtime_ns = signature
    return replace(
        record,
        size_bytes=size_bytes,
        inode=inode,
        mtime_ns=mtime_ns,
        md5=digests.md5,
        sha1=digests.sha1,
        sha256=digests.sha256,
        revision=new_revision(),
    )


def _set_mtime(path: Path, time_ms: int) -> None:
    # A disk's clock has bounds of its own; the record keeps the exact time.
    with contextlib.suppress(OSError, OverflowError):
        os.utime(path, ns=(time_ms * 1_000_000, time_ms * 1_000_000))
