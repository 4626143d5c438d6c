"""Noticing what people do to the Drive folder with their file manager.

A file is known by its path, and when that is gone by its inode, size and modification time: so a
rename or a move keeps its Drive id, and new bytes at a known path are a new revision of the file.
What cannot be told apart from a rename (a file removed, and another one of the same size and time
on the same inode) is taken for one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from slimreel.local.drive import disk
from slimreel.local.drive.library import (
    SOMEBODY,
    Library,
    clamp_ms,
    guess_type,
    new_id,
    with_content,
)
from slimreel.local.drive.records import FOLDER_TYPE, Record

_LOG = logging.getLogger("slimreel.local.drive")

#: `now - (now - x)` is not quite x once the machine has been up for a while.
_ROUNDING_S = 1e-6


class Scanner:
    """Compares disk and records, and writes down the difference as Drive would have.

    A new or changed file counts once it has not been touched for `settle_s` seconds: Drive, too,
    shows a file only when its upload is complete.
    """

    def __init__(self, library: Library, settle_s: float) -> None:
        self._library = library
        self._records = library.records
        self._settle_s = settle_s
        self._one_at_a_time = threading.Lock()
        self._unsettled: dict[bytes, tuple[tuple[int, int, int], float]] = {}
        #: What was there after a scan that left nothing to do, and how much was written by then.
        self._calm: tuple[dict[bytes, disk.Seen], int] | None = None

    def scan(self) -> None:
        with self._one_at_a_time:
            with self._library.lock:
                entries = {seen.location: seen for seen in self._library.tree.look()}
                if self._calm == (entries, self._records.writes):
                    return
                self._follow_folders(entries)
                self._follow_files(entries)
                self._drop_missing(entries)
                to_read = self._settled(entries)
                calm = not to_read and not self._unsettled
                self._calm = (entries, self._records.writes) if calm else None
            for seen in to_read:
                self._read(seen)

    def _follow_folders(self, entries: Mapping[bytes, disk.Seen]) -> None:
        for seen in entries.values():
            if not seen.is_folder or self._known(seen):
                continue
            # Asked anew each time: a folder that moved took the ones below it along.
            gone = [r for r in self._missing(entries) if r.is_folder and r.inode == seen.inode]
            if gone:
                self._moved(gone[0], seen)
                self._library.shift_below(gone[0].location or b"", seen.location)
            else:
                self._new_folder(seen)

    def _follow_files(self, entries: Mapping[bytes, disk.Seen]) -> None:
        missing = {_signature(r): r for r in self._missing(entries) if not r.is_folder}
        for seen in entries.values():
            if seen.is_folder or self._known(seen):
                continue
            gone = missing.pop(seen.signature, None)
            if gone is not None:
                self._moved(gone, seen)

    def _drop_missing(self, entries: Mapping[bytes, disk.Seen]) -> None:
        for record in reversed(self._missing(entries)):
            # What a folder had in the bin, or as mere pointers, goes with it.
            for inner in reversed(list(self._library.family(record))):
                self._library.tree.vault_path(inner.file_id).unlink(missing_ok=True)
                self._library.commit_removed(inner)
                _LOG.info("gone from disk: %r", inner.name)

    def _settled(self, entries: Mapping[bytes, disk.Seen]) -> list[disk.Seen]:
        """Return the files to read: new or changed, and left alone for long enough."""
        now, ready = time.monotonic(), []
        before, self._unsettled = self._unsettled, {}
        for seen in entries.values():
            if seen.is_folder or self._is_current(seen):
                continue
            signature, since = before.get(seen.location, (None, 0.0))
            if signature != seen.signature:
                # Every write moves the change time, which no program can set back.
                age_s = time.time() - seen.ctime_ns / 1e9
                since = now - min(max(age_s, 0.0), self._settle_s)
            if now - since >= self._settle_s - _ROUNDING_S:
                ready.append(seen)
            else:
                self._unsettled[seen.location] = (seen.signature, since)
        return ready

    def _read(self, seen: disk.Seen) -> None:
        library = self._library
        try:
            digests = disk.digest(library.tree.path(seen.location))
        except OSError as error:
            _LOG.warning("cannot read %r: %s", disk.shown_name(seen.location), error)
            return
        with library.lock:
            now = library.tree.see(seen.location)
            if now is None or now.signature != seen.signature or self._is_current(seen):
                return  # it moved on while we read; the next scan sees it
            record = self._records.at(seen.location)
            if record is None:
                self._new_file(seen, digests)
            else:
                self._new_content(record, seen, digests)

    def _known(self, seen: disk.Seen) -> bool:
        record = self._records.at(seen.location)
        return record is not None and record.is_folder == seen.is_folder

    def _is_current(self, seen: disk.Seen) -> bool:
        record = self._records.at(seen.location)
        return record is not None and _signature(record) == seen.signature

    def _missing(self, entries: Mapping[bytes, disk.Seen]) -> list[Record]:
        """Return the records whose path is gone, or is now a file instead of a folder."""
        return [
            record
            for record in self._records.on_disk()
            if record.location
            and (
                record.location not in entries
                or entries[record.location].is_folder != record.is_folder
            )
        ]

    def _folder_id(self, location: bytes) -> str:
        folder = self._records.at(disk.parent(location))
        return self._library.root_id if folder is None else folder.file_id

    def _moved(self, record: Record, seen: disk.Seen) -> None:
        before, parent_id = record.parent_id, self._folder_id(seen.location)
        renamed = disk.shown_name(seen.location) != disk.shown_name(record.location or b"")
        record = replace(record, location=seen.location, parent_id=parent_id)
        if renamed:
            record = replace(record, name=disk.shown_name(seen.location))
        changed = ("properties",) * renamed + ("parents",) * (before != parent_id)
        folders = (before, parent_id) if before and before != parent_id else ()
        self._library.commit(record, "update", changed, folders)

    def _new_folder(self, seen: disk.Seen) -> None:
        self._library.commit_new(replace(self._new(seen), mime_type=FOLDER_TYPE))

    def _new_file(self, seen: disk.Seen, digests: disk.Digests) -> None:
        record = with_content(self._new(seen), seen.signature, digests)
        self._library.commit_new(replace(record, mime_type=guess_type(record.name)))
        _LOG.info("uploaded: %r, %d bytes", record.name, seen.size_bytes)

    def _new_content(self, record: Record, seen: disk.Seen, digests: disk.Digests) -> None:
        touched = replace(record, modified_ms=_mtime_ms(seen))
        if record.md5 == digests.md5:  # only its time changed
            same = replace(touched, inode=seen.inode, mtime_ns=seen.mtime_ns)
            self._library.commit(same, "update", ("properties",))
            return
        self._library.commit(with_content(touched, seen.signature, digests), "update", ("content",))
        _LOG.info("new content: %r, %d bytes", record.name, seen.size_bytes)

    def _new(self, seen: disk.Seen) -> Record:
        """Both times are the file's own, as with Drive for desktop: no upload time anywhere."""
        return Record(
            file_id=new_id(),
            name=disk.shown_name(seen.location),
            mime_type="application/octet-stream",
            parent_id=self._folder_id(seen.location),
            location=seen.location,
            inode=seen.inode,
            owner_name=SOMEBODY.name,
            owner_email=SOMEBODY.email,
            modifier_name=SOMEBODY.name,
            modifier_email=SOMEBODY.email,
            created_ms=_mtime_ms(seen),
            modified_ms=_mtime_ms(seen),
        )


def _signature(record: Record) -> tuple[int | None, int | None, int | None]:
    return (record.inode, record.size_bytes, record.mtime_ns)


def _mtime_ms(seen: disk.Seen) -> int:
    return clamp_ms(seen.mtime_ns // 1_000_000)
