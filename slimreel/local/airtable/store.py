"""Bases, tables, fields and records in one SQLite file. Knows nothing of HTTP or of limits."""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS bases (
    id TEXT PRIMARY KEY, name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tables (
    seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, base_id TEXT NOT NULL REFERENCES bases,
    name TEXT NOT NULL, description TEXT, view_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS fields (
    seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, table_id TEXT NOT NULL REFERENCES tables (id),
    name TEXT NOT NULL, type TEXT NOT NULL, description TEXT, options TEXT
);
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, table_id TEXT NOT NULL REFERENCES tables (id),
    created_time TEXT NOT NULL, cells TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS records_of_table ON records (table_id, deleted);
CREATE TABLE IF NOT EXISTS months (
    month TEXT PRIMARY KEY, calls INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A field of a table."""

    id: str
    name: str
    type: str
    description: str | None = None
    options: dict[str, Any] | None = None

    def as_api(self) -> dict[str, Any]:
        told = {"id": self.id, "name": self.name, "type": self.type}
        if self.description:
            told["description"] = self.description
        return told if self.options is None else {**told, "options": self.options}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table and its fields; the first one is the primary field."""

    id: str
    base_id: str
    name: str
    description: str | None
    view_id: str
    columns: tuple[Column, ...]

    def column(self, name_or_id: str) -> Column | None:
        for column in self.columns:
            if name_or_id in (column.id, column.name):
                return column
        return None

    def as_api(self) -> dict[str, Any]:
        told: dict[str, Any] = {"id": self.id, "name": self.name}
        if self.description:
            told["description"] = self.description
        told["primaryFieldId"] = self.columns[0].id
        told["fields"] = [column.as_api() for column in self.columns]
        told["views"] = [{"id": self.view_id, "name": "Grid view", "type": "grid"}]
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row. `cells` is keyed by field id and holds no empty value."""

    id: str
    created_time: str
    cells: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to one record: made where `before` is None, deleted where `after` is."""

    table_id: str
    record_id: str
    created_time: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    columns: tuple[Column, ...] = ()

    def as_payload(self, column_id: str, value: Any) -> Any:
        """A value as webhook payloads show it: select options are objects."""
        column = next((c for c in self.columns if c.id == column_id), None)
        choices = {
            c["name"]: c for c in ((column.options or {}) if column else {}).get("choices", [])
        }
        if isinstance(value, str) and value in choices:
            return choices[value]
        if isinstance(value, list):
            return [choices.get(one, one) for one in value]
        return value


def new_id(prefix: str) -> str:
    """An id as Airtable makes them: the prefix and 14 letters or digits."""
    alphabet = string.ascii_letters + string.digits
    return prefix + "".join(secrets.choice(alphabet) for _ in range(14))


class Store:
    """The file. Not thread-safe: the caller holds a lock, and `with store.db:` is a transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, check_same_thread=False)
        # Write-ahead logging: what was answered survives a killed process.
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.executescript(SCHEMA)
        #: What happened to records since the last look.
        self.changes: list[Change] = []

    def close(self) -> None:
        self.db.close()

    # bases and tables

    def add_base(self, name: str) -> str:
        base_id = new_id("app")
        self.db.execute("INSERT INTO bases VALUES (?, ?)", (base_id, name))
        return base_id

    def bases(self) -> list[tuple[str, str]]:
        """The id and name of each base, oldest first."""
        return self.db.execute("SELECT id, name FROM bases ORDER BY rowid").fetchall()

    def add_table(
        self, base_id: str, name: str, description: str | None, columns: Sequence[Column]
    ) -> Table:
        table_id = new_id("tbl")
        self.db.execute(
            "INSERT INTO tables (id, base_id, name, description, view_id) VALUES (?, ?, ?, ?, ?)",
            (table_id, base_id, name, description, new_id("viw")),
        )
        for column in columns:
            self.add_column(table_id, column)
        return next(table for table in self.tables(base_id) if table.id == table_id)

    def add_column(self, table_id: str, column: Column) -> None:
        self.db.execute(
            "INSERT INTO fields (id, table_id, name, type, description, options)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                column.id,
                table_id,
                column.name,
                column.type,
                column.description,
                json.dumps(column.options),
            ),
        )

    def tables(self, base_id: str) -> list[Table]:
        rows = self.db.execute(
            "SELECT id, name, description, view_id FROM tables WHERE base_id = ? ORDER BY seq",
            (base_id,),
        ).fetchall()
        return [
            Table(
                id=table_id,
                base_id=base_id,
                name=name,
                description=description,
                view_id=view_id,
                columns=self._columns(table_id),
            )
            for table_id, name, description, view_id in rows
        ]

    def _columns(self, table_id: str) -> tuple[Column, ...]:
        rows = self.db.execute(
            "SELECT id, name, type, description, options FROM fields"
            " WHERE table_id = ? ORDER BY seq",
            (table_id,),
        )
        return tuple(
            Column(
                id=column_id,
                name=name,
                type=kind,
                description=description,
                options=json.loads(options),
            )
            for column_id, name, kind, description, options in rows
        )

    def change_table(self, table: Table) -> None:
        self.db.execute(
            "UPDATE tables SET name = ?, description = ? WHERE id = ?",
            (table.name, table.description, table.id),
        )

    def change_column(self, column: Column) -> None:
        self.db.execute(
            "UPDATE fields SET name = ?, description = ?, options = ? WHERE id = ?",
            (column.name, column.description, json.dumps(column.options), column.id),
        )

    # records

    def add_record(self, table_id: str, created_time: str, cells: dict[str, Any]) -> Record:
        record = Record(id=new_id("rec"), created_time=created_time, cells=cells)
        self.db.execute(
            "INSERT INTO records (id, table_id, created_time, cells) VALUES (?, ?, ?, ?)",
            (record.id, table_id, record.created_time, json.dumps(cells)),
        )
        self._happened(table_id, record, before=None, after=cells)
        return record

    def change_record(self, record: Record, cells: dict[str, Any]) -> Record:
        self.db.execute("UPDATE records SET cells = ? WHERE id = ?", (json.dumps(cells), record.id))
        (table_id,) = self.db.execute(
            "SELECT table_id FROM records WHERE id = ?", (record.id,)
        ).fetchone()
        self._happened(table_id, record, before=record.cells, after=cells)
        return replace(record, cells=cells)

    def _happened(
        self,
        table_id: str,
        record: Record,
        *,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
    ) -> None:
        change = Change(
            table_id=table_id,
            record_id=record.id,
            created_time=record.created_time,
            before=before,
            after=after,
            columns=self._columns(table_id),
        )
        self.changes.append(change)

    def delete_record(self, record_id: str) -> None:
        """Keeps the id: a deleted record is told from one that never was."""
        (table_id,) = self.db.execute(
            "SELECT table_id FROM records WHERE id = ?", (record_id,)
        ).fetchone()
        record = self.record(table_id, record_id)
        if record is not None:
            self._happened(table_id, record, before=record.cells, after=None)
        self.db.execute("UPDATE records SET deleted = 1, cells = '{}' WHERE id = ?", (record_id,))

    def was_deleted(self, table_id: str, record_id: str) -> bool:
        row = self.db.execute(
            "SELECT deleted FROM records WHERE table_id = ? AND id = ?", (table_id, record_id)
        ).fetchone()
        return bool(row and row[0])

    def record(self, table_id: str, record_id: str) -> Record | None:
        found = self._records("table_id = ? AND id = ?", (table_id, record_id))
        return found[0] if found else None

    def records(self, table_id: str) -> list[Record]:
        """Every record of the table, oldest first."""
        return self._records("table_id = ?", (table_id,))

    def newest_records(self, table_id: str, limit: int) -> list[Record]:
        return self._records("table_id = ?", (table_id,), f"seq DESC LIMIT {int(limit)}")

    def matching(self, table_id: str, wanted: dict[str, Any]) -> list[Record]:
        """The records whose cells equal `wanted` (field id to value), oldest first."""
        conditions, values = ["table_id = ?"], [table_id]
        for column_id, value in wanted.items():
            conditions.append(f"json_extract(cells, '$.{column_id}') IS ?")
            values.append(
                json.dumps(value, separators=(",", ":"), ensure_ascii=False)
                if isinstance(value, list)
                else value
            )
        return self._records(" AND ".join(conditions), values)

    def _records(self, condition: str, values: Iterable[Any], order: str = "seq") -> list[Record]:
        rows = self.db.execute(
            f"SELECT id, created_time, cells FROM records"
            f" WHERE deleted = 0 AND {condition} ORDER BY {order}",
            tuple(values),
        )
        return [
            Record(id=record_id, created_time=created_time, cells=json.loads(cells))
            for record_id, created_time, cells in rows
        ]

    def count_records(self, base_id: str) -> int:
        """Records in all tables of the base."""
        (count,) = self.db.execute(
            "SELECT count(*) FROM records JOIN tables ON tables.id = records.table_id"
            " WHERE tables.base_id = ? AND NOT deleted",
            (base_id,),
        ).fetchone()
        return int(count)

    def count_in_table(self, table_id: str) -> int:
        (count,) = self.db.execute(
            "SELECT count(*) FROM records WHERE table_id = ? AND NOT deleted", (table_id,)
        ).fetchone()
        return int(count)

    # calls

    def add_call(self, month: str) -> None:
        self.db.execute(
            "INSERT INTO months VALUES (?, 1) ON CONFLICT DO UPDATE SET calls = calls + 1", (month,)
        )

    def calls(self, month: str) -> int:
        row = self.db.execute("SELECT calls FROM months WHERE month = ?", (month,)).fetchone()
        return int(row[0]) if row else 0
