"""The index: buckets, their settings, objects, uploads and parts, in one SQLite file (WAL).

One connection behind one lock: every call is a few indexed rows. A `with index.transaction():`
block is atomic on disk and for all threads, which is what makes conditional writes safe.
Keys are stored as UTF-8 bytes because S3 lists them in that order.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slimreel.local.s3.model import (
    Checksum,
    Encryption,
    Part,
    Properties,
    StoredObject,
    Upload,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS settings (
    bucket TEXT NOT NULL REFERENCES buckets ON DELETE CASCADE,
    name TEXT NOT NULL, document BLOB NOT NULL, PRIMARY KEY (bucket, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL REFERENCES buckets ON DELETE RESTRICT,
    key BLOB NOT NULL, blob TEXT NOT NULL, size_bytes INTEGER NOT NULL, etag TEXT NOT NULL,
    modified_at REAL NOT NULL, properties TEXT NOT NULL, checksum TEXT,
    part_sizes_bytes TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL REFERENCES buckets ON DELETE CASCADE,
    key BLOB NOT NULL, initiated_at REAL NOT NULL, properties TEXT NOT NULL,
    checksum_algorithm TEXT, checksum_type TEXT, completed_at REAL, completion TEXT);
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, initiated_at, id);
CREATE TABLE IF NOT EXISTS parts (
    upload_id TEXT NOT NULL REFERENCES uploads ON DELETE CASCADE, number INTEGER NOT NULL,
    blob TEXT NOT NULL, size_bytes INTEGER NOT NULL, md5 TEXT NOT NULL, etag TEXT NOT NULL,
    modified_at REAL NOT NULL, checksum TEXT, PRIMARY KEY (upload_id, number)) WITHOUT ROWID;
"""


class Index:
    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
            + _SCHEMA
        )

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and alone: other threads wait."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        rows = self._rows(sql, *values)
        return rows[0] if rows else None

    # Buckets and their settings

    def add_bucket(self, name: str, created_at: datetime) -> None:
        self._rows("INSERT INTO buckets VALUES (?, ?)", name, created_at.timestamp())

    def has_bucket(self, name: str) -> bool:
        return self._row("SELECT 1 FROM buckets WHERE name = ?", name) is not None

    def buckets(self) -> list[tuple[str, datetime]]:
        """Names and times of creation, by name."""
        rows = self._rows("SELECT name, created_at FROM buckets ORDER BY name")
        return [(row["name"], _moment(row["created_at"])) for row in rows]

    def delete_bucket(self, name: str) -> list[str]:
        """Forget the bucket with its settings and uploads; returns the blobs of their parts."""
        blobs = self._rows(
            "SELECT blob FROM parts JOIN uploads ON id = upload_id WHERE bucket = ?", name
        )
        self._rows("DELETE FROM buckets WHERE name = ?", name)
        return [row["blob"] for row in blobs]

    def setting(self, bucket: str, name: str) -> bytes | None:
        row = self._row("SELECT document FROM settings WHERE bucket = ? AND name = ?", bucket, name)
        return None if row is None else bytes(row["document"])

    def put_setting(self, bucket: str, name: str, document: bytes) -> None:
        self._rows("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", bucket, name, document)

    def delete_setting(self, bucket: str, name: str) -> None:
        self._rows("DELETE FROM settings WHERE bucket = ? AND name = ?", bucket, name)

    # Objects

    def object(self, bucket: str, key: str) -> StoredObject | None:
        row = self._row(
            "SELECT * FROM objects WHERE bucket = ? AND key = ?", bucket, key.encode("utf-8")
        )
        return None if row is None else _object(row)

    def put_object(self, stored: StoredObject) -> None:
        self._rows(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            stored.bucket,
            stored.key.encode("utf-8"),
            stored.blob,
            stored.size_bytes,
            stored.etag,
            stored.modified_at.timestamp(),
            _properties_json(stored.properties),
            _checksum_json(stored.checksum),
            json.dumps(stored.part_sizes_bytes),
        )

    def delete_object(self, bucket: str, key: str) -> None:
        self._rows("DELETE FROM objects WHERE bucket = ? AND key = ?", bucket, key.encode("utf-8"))

    def objects_from(
        self, bucket: str, prefix: bytes, start: bytes, limit: int
    ) -> list[StoredObject]:
        """At most `limit` objects in key order whose key has `prefix` and is not below `start`."""
        return [
            _object(row)
            for row in self._rows(
                "SELECT * FROM objects WHERE bucket = ? AND key >= ? AND key < ? "
                "ORDER BY key LIMIT ?",
                bucket,
                max(prefix, start),
                successor(prefix),
                limit,
            )
        ]

    # Multipart uploads

    def put_upload(self, upload: Upload) -> None:
        """Add the upload, or record what changed in it."""
        self._rows(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
            "SET completed_at = excluded.completed_at, completion = excluded.completion",
            upload.id,
            upload.bucket,
            upload.key.encode("utf-8"),
            upload.initiated_at.timestamp(),
            _properties_json(upload.properties),
            upload.checksum_algorithm,
            upload.checksum_type,
            None if upload.completed_at is None else upload.completed_at.timestamp(),
            None if upload.completion is None else json.dumps(dict(upload.completion)),
        )

    def upload(self, upload_id: str) -> Upload | None:
        row = self._row("SELECT * FROM uploads WHERE id = ?", upload_id)
        return None if row is None else _upload(row)

    def open_uploads(self, bucket: str, prefix: bytes = b"") -> list[Upload]:
        """Uploads in progress by key, then age."""
        rows = self._rows(
            "SELECT * FROM uploads WHERE bucket = ? AND key >= ? AND key < ? "
            "AND completed_at IS NULL ORDER BY key, initiated_at, id",
            bucket,
            prefix,
            successor(prefix),
        )
        return [_upload(row) for row in rows]

    def delete_upload(self, upload_id: str) -> list[str]:
        """Forget the upload and its parts; returns the blobs of the parts."""
        blobs = self.delete_parts(upload_id)
        self._rows("DELETE FROM uploads WHERE id = ?", upload_id)
        return blobs

    def forget_completed(self, before: datetime) -> None:
        self._rows("DELETE FROM uploads WHERE completed_at < ?", before.timestamp())

    def put_part(self, part: Part) -> None:
        self._rows(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            part.upload_id,
            part.number,
            part.blob,
            part.size_bytes,
            part.md5,
            part.etag,
            part.modified_at.timestamp(),
            _checksum_json(part.checksum),
        )

    def parts(self, upload_id: str) -> dict[int, Part]:
        rows = self._rows("SELECT * FROM parts WHERE upload_id = ? ORDER BY number", upload_id)
        return {row["number"]: _part(row) for row in rows}

    def part(self, upload_id: str, number: int) -> Part | None:
        row = self._row("SELECT * FROM parts WHERE upload_id = ? AND number = ?", upload_id, number)
        return None if row is None else _part(row)

    def delete_parts(self, upload_id: str) -> list[str]:
        """Forget the parts; returns their blobs."""
        rows = self._rows("DELETE FROM parts WHERE upload_id = ? RETURNING blob", upload_id)
        return [row["blob"] for row in rows]

    def blobs_in_use(self) -> set[str]:
        rows = self._rows("SELECT blob FROM objects UNION ALL SELECT blob FROM parts")
        return {row["blob"] for row in rows}


def successor(prefix: bytes) -> bytes:
    """The smallest byte string above every key with `prefix`. UTF-8 never holds 0xFF."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b"\xff"


def _moment(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def _properties_json(properties: Properties) -> str:
    return json.dumps(asdict(properties))


def _properties(document: str) -> Properties:
    fields: dict[str, Any] = json.loads(document)
    return Properties(**{**fields, "encryption": Encryption(**fields["encryption"])})


def _checksum_json(checksum: Checksum | None) -> str | None:
    return None if checksum is None else json.dumps(asdict(checksum))


def _checksum(document: str | None) -> Checksum | None:
    return None if document is None else Checksum(**json.loads(document))


def _object(row: sqlite3.Row) -> StoredObject:
    return StoredObject(
        bucket=row["bucket"],
        key=row["key"].decode("utf-8"),
        blob=row["blob"],
        size_bytes=row["size_bytes"],
        etag=row["etag"],
        modified_at=_moment(row["modified_at"]),
        properties=_properties(row["properties"]),
        checksum=_checksum(row["checksum"]),
        part_sizes_bytes=tuple(json.loads(row["part_sizes_bytes"])),
    )


def _upload(row: sqlite3.Row) -> Upload:
    completed_at, completion = row["completed_at"], row["completion"]
    completed: Mapping[str, str] | None = None if completion is None else json.loads(completion)
    return Upload(
        id=row["id"],
        bucket=row["bucket"],
        key=row["key"].decode("utf-8"),
        initiated_at=_moment(row["initiated_at"]),
        properties=_properties(row["properties"]),
        checksum_algorithm=row["checksum_algorithm"],
        checksum_type=row["checksum_type"],
        completed_at=None if completed_at is None else _moment(completed_at),
        completion=completed,
    )


def _part(row: sqlite3.Row) -> Part:
    return Part(
        upload_id=row["upload_id"],
        number=row["number"],
        blob=row["blob"],
        size_bytes=row["size_bytes"],
        md5=row["md5"],
        etag=row["etag"],
        modified_at=_moment(row["modified_at"]),
        checksum=_checksum(row["checksum"]),
    )
