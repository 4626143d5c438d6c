"""What the stand-in remembers of each file, and the SQLite file it remembers it in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

FOLDER_TYPE = "application/vnd.google-apps.folder"
SHORTCUT_TYPE = "application/vnd.google-apps.shortcut"
DOCUMENT_TYPE = "application/vnd.google-apps.document"
GOOGLE_TYPES = "application/vnd.google-apps."

#: A fresh change log starts here: real tokens are small numbers too, but never one.
FIRST_PAGE_TOKEN = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a Google account."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One file or folder of Drive.

    Attributes:
        location: path below the Drive folder on disk; b"" is My Drive itself; None when
            nothing on disk shows it (a document, a shortcut, anything in the bin).
        size_bytes, md5, sha1, sha256, revision: None without binary content.
        inode, mtime_ns: how the content on disk looked when it was last read.
        trashed, bin_root: in the bin; and put there itself rather than with a folder above it.
        app_properties_json, properties_json, video_json: JSON objects; video None when unknown.
    """

    file_id: str
    name: str
    mime_type: str
    parent_id: str | None
    location: bytes | None
    owner_name: str
    owner_email: str
    modifier_name: str
    modifier_email: str
    created_ms: int
    modified_ms: int
    version: int = 1
    size_bytes: int | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    revision: str | None = None
    inode: int | None = None
    mtime_ns: int | None = None
    trashed: bool = False
    bin_root: bool = False
    download_forbidden: bool = False
    abusive: bool = False
    target_id: str | None = None
    description: str | None = None
    starred: bool = False
    app_properties_json: str = "{}"
    properties_json: str = "{}"
    video_json: str | None = None

    @property
    def is_folder(self) -> bool:
        return self.mime_type == FOLDER_TYPE

    @property
    def has_content(self) -> bool:
        return self.revision is not None


@dataclass(frozen=True, slots=True)
class Move:
    """Content on its way to its record's place on disk.

    Attributes:
        source: the path it comes from.
        replaces: older content of the file lies there already.
    """

    file_id: str
    source: bytes
    replaces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """The last thing that happened to a file; `number` is its place in the change log."""

    number: int
    file_id: str
    removed: bool
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """A notification channel. `file_id` is None for a channel on the change log."""

    channel_id: str
    resource_id: str
    resource_uri: str
    file_id: str | None
    address: str
    token: str | None
    expires_ms: int
    last_message: int = 0


_COLUMNS = tuple(field.name for field in fields(Record))
_BOOLEANS = ("trashed", "bin_root", "download_forbidden", "abusive", "starred")

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS files ({", ".join(_COLUMNS)}, PRIMARY KEY (file_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_parent ON files (parent_id);
CREATE INDEX IF NOT EXISTS files_by_location ON files (location);
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY, file_id TEXT UNIQUE, removed INTEGER, time_ms INTEGER
);
CREATE TABLE IF NOT EXISTS drive_changes (
    number INTEGER, file_id TEXT, removed INTEGER, time_ms INTEGER, drive_id TEXT,
    PRIMARY KEY (drive_id, file_id)
);
CREATE TABLE IF NOT EXISTS channels (
    channel_id TEXT PRIMARY KEY, resource_id TEXT, resource_uri TEXT, file_id TEXT, address TEXT,
    token TEXT, expires_ms INTEGER, last_message INTEGER
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS moves (file_id TEXT PRIMARY KEY, source BLOB, replaces INTEGER);
"""


class Records:
    """The SQLite file. Not locked: its owner lets one thread in at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @property
    def writes(self) -> int:
        """Grows with every row that is written, changed or removed."""
        return self._db.total_changes

    @contextmanager
    def together(self) -> Iterator[None]:
        """All rows written inside, or none of them."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Files

    def get(self, file_id: str) -> Record | None:
        return self._one("SELECT * FROM files WHERE file_id = ?", file_id)

    def all(self) -> Iterator[Record]:
        return self._many("SELECT * FROM files ORDER BY file_id")

    def on_disk(self) -> Iterator[Record]:
        return self._many("SELECT * FROM files WHERE location IS NOT NULL ORDER BY location")

    def children(self, folder_id: str) -> Iterator[Record]:
        return self._many("SELECT * FROM files WHERE parent_id = ? ORDER BY file_id", folder_id)

    def at(self, location: bytes) -> Record | None:
        return self._one("SELECT * FROM files WHERE location = ?", location)

    def save(self, record: Record) -> None:
        marks = ", ".join("?" * len(_COLUMNS))
        self._db.execute(f"INSERT OR REPLACE INTO files VALUES ({marks})", astuple(record))

    def forget(self, file_id: str) -> None:
        self._db.execute("DELETE FROM files WHERE file_id = ?", (file_id,))

    # The change logs: the account's, and one of each shared drive

    def next_number(self) -> int:
        """Return the number the next entry gets; as a page token: everything from now on."""
        return int(self.fact("next_number") or FIRST_PAGE_TOKEN)

    def log(self, file_id: str, *, removed: bool, time_ms: int, drives: Mapping[str, bool]) -> None:
        """Write the file's entries; each replaces the one it had in that log.

        Args:
            drives: the shared drives to tell; for each, whether the file left it.
        """
        number = self.next_number()
        self._db.execute(
            "INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?)",
            (number, file_id, removed, time_ms),
        )
        for drive_id, left in drives.items():
            self._db.execute(
                "INSERT OR REPLACE INTO drive_changes VALUES (?, ?, ?, ?, ?)",
                (number, file_id, removed or left, time_ms, drive_id),
            )
        self.set_fact("next_number", str(number + 1))

    def entries(self, first_number: int, drive_id: str | None = None) -> Iterator[LogEntry]:
        """Yield the account's log from there on, or that of a shared drive."""
        columns = "SELECT number, file_id, removed, time_ms FROM"
        if drive_id is None:
            rows = self._db.execute(
                f"{columns} changes WHERE number >= ? ORDER BY number", (first_number,)
            )
        else:
            rows = self._db.execute(
                f"{columns} drive_changes WHERE number >= ? AND drive_id = ? ORDER BY number",
                (first_number, drive_id),
            )
        for row in rows.fetchall():
            values = dict(row)
            yield LogEntry(**(values | {"removed": bool(values["removed"])}))

    # Content that is to be moved to where its record says it is

    def moves(self) -> list[Move]:
        rows = self._db.execute("SELECT * FROM moves ORDER BY file_id").fetchall()
        return [Move(row["file_id"], row["source"], bool(row["replaces"])) for row in rows]

    def save_move(self, move: Move) -> None:
        self._db.execute("INSERT OR REPLACE INTO moves VALUES (?, ?, ?)", astuple(move))

    def forget_move(self, file_id: str) -> None:
        self._db.execute("DELETE FROM moves WHERE file_id = ?", (file_id,))

    # Channels

    def channels(self) -> list[ChannelRow]:
        rows = self._db.execute("SELECT * FROM channels").fetchall()
        return [ChannelRow(**dict(row)) for row in rows]

    def save_channel(self, channel: ChannelRow) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO channels VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(channel)
        )

    def forget_channel(self, channel_id: str) -> None:
        self._db.execute("DELETE FROM channels WHERE channel_id = ?", (channel_id,))

    # Single facts: keys, ids, the counter

    def fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row["value"])

    def set_fact(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _one(self, sql: str, *values: Any) -> Record | None:
        row = self._db.execute(sql, values).fetchone()
        return None if row is None else _record(row)

    def _many(self, sql: str, *values: Any) -> Iterator[Record]:
        # Fetched at once: callers save records while they walk through the answer.
        return map(_record, self._db.execute(sql, values).fetchall())


def _record(row: sqlite3.Row) -> Record:
    values = dict(row)
    return Record(**(values | {name: bool(values[name]) for name in _BOOLEANS}))
