"""What the record endpoints do, on parsed requests.

Source: https://airtable.com/developers/web/api/list-records and its neighbours
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slimreel.local.airtable import errors
from slimreel.local.airtable.cells import instant, read_cell
from slimreel.local.airtable.store import Column, Record, Store, Table

MAX_RECORDS_PER_REQUEST = 10

MERGEABLE = frozenset(
    ["number", "singleLineText", "multilineText", "singleSelect", "multipleSelects", "date"]
)
"""Types an upsert may be keyed on.
Source: https://airtable.com/developers/web/api/update-multiple-records"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """How a write request wants to be treated."""

    typecast: bool = False
    by_field_id: bool = False
    replace: bool = False  # PUT: clear every cell that is not named


class Records:
    """The rows of one table, within one transaction."""

    def __init__(self, store: Store, table: Table, *, now_s: float, limit: int | None) -> None:
        self._store = store
        self._table = table
        self._now_s = now_s
        self._limit = limit

    def shown(
        self, record: Record, *, by_field_id: bool = False, only: Iterable[Column] | None = None
    ) -> dict[str, Any]:
        """The record as the API answers it, without its empty cells."""
        fields = {
            (column.id if by_field_id else column.name): record.cells[column.id]
            for column in (self._table.columns if only is None else only)
            if column.id in record.cells
        }
        return {"id": record.id, "createdTime": record.created_time, "fields": fields}

    def get(self, record_id: str) -> Record:
        """
        Raises:
            Refusal: it was deleted (404), or never was (403, like whatever one may not see).
        """
        record = self._store.record(self._table.id, record_id)
        if record is None:
            if self._store.was_deleted(self._table.id, record_id):
                raise errors.no_such_route()
            raise errors.not_permitted_or_not_there()
        return record

    def create(self, fields: object, write: Write) -> dict[str, Any]:
        return self._answer(self._create(self._cells(fields, write)), write)

    def create_many(self, bodies: object, write: Write) -> dict[str, Any]:
        records = [
            self._create(self._cells(_part(body, "fields"), write))
            for body in _batch(bodies, "created")
        ]
        return {"records": [self._answer(record, write) for record in records]}

    def update(self, record_id: str, fields: object, write: Write) -> dict[str, Any]:
        return self._answer(self._change(self.get(record_id), fields, write), write)

    def update_many(self, bodies: object, write: Write) -> dict[str, Any]:
        records = []
        for body in _batch(bodies, "updated"):
            record_id = _part(body, "id")
            records.append(self._change(self._in_table(record_id), _part(body, "fields"), write))
        return {"records": [self._answer(record, write) for record in records]}

    def upsert(self, bodies: object, merge_on: object, write: Write) -> dict[str, Any]:
        """Update where exactly one record has the same key, create where none has."""
        keys = self._merge_columns(merge_on)
        records, created, updated = [], [], []
        for body in _batch(bodies, "updated"):
            existing = self._existing(body, keys, write)
            fields = _part(body, "fields")
            if existing is None:
                record = self._create(self._cells(fields, write))
                created.append(record.id)
            else:
                record = self._change(existing, fields, write)
                updated.append(record.id)
            records.append(record)
        return {
            "records": [self._answer(record, write) for record in records],
            "createdRecords": created,
            "updatedRecords": updated,
        }

    def delete(self, record_id: str) -> dict[str, Any]:
        self._store.delete_record(self.get(record_id).id)
        return {"id": record_id, "deleted": True}

    def delete_many(self, record_ids: Sequence[str]) -> dict[str, Any]:
        if not record_ids:
            raise errors.invalid_request()
        if len(record_ids) > MAX_RECORDS_PER_REQUEST:
            raise errors.too_many_records(len(record_ids), "deleted")
        for record_id in record_ids:
            self._store.delete_record(self._in_table(record_id).id)
        return {"records": [{"id": record_id, "deleted": True} for record_id in record_ids]}

    # the parts

    def _answer(self, record: Record, write: Write) -> dict[str, Any]:
        return self.shown(record, by_field_id=write.by_field_id)

    def _in_table(self, record_id: object) -> Record:
        if not isinstance(record_id, str):
            raise errors.invalid_request()
        record = self._store.record(self._table.id, record_id)
        if record is None:
            raise errors.record_not_in_table(record_id)
        return record

    def _create(self, cells: Mapping[str, Any]) -> Record:
        if (
            self._limit is not None
            and self._store.count_records(self._table.base_id) >= self._limit
        ):
            raise errors.base_is_full(self._limit)
        return self._store.add_record(
            self._table.id,
            instant(datetime.fromtimestamp(self._now_s, UTC)),
            {column_id: value for column_id, value in cells.items() if value is not None},
        )

    def _change(self, record: Record, fields: object, write: Write) -> Record:
        kept = {} if write.replace else record.cells
        cells = {**kept, **self._cells(fields, write)}
        return self._store.change_record(
            record, {column_id: value for column_id, value in cells.items() if value is not None}
        )

    def _cells(self, fields: object, write: Write) -> dict[str, Any]:
        """Values by field id; None where the cell is to be cleared."""
        if not isinstance(fields, dict):
            raise errors.invalid_request()
        return {
            column.id: self._cell(column, fields[name], typecast=write.typecast)
            for name in fields
            for column in [self._column(name)]
        }

    def _column(self, name_or_id: object) -> Column:
        column = self._table.column(name_or_id) if isinstance(name_or_id, str) else None
        if column is None:
            raise errors.unknown_field(str(name_or_id))
        return column

    def _cell(self, column: Column, value: Any, *, typecast: bool) -> Any:
        kept, changed = read_cell(column, value, typecast=typecast)
        if changed is not column:
            self._store.change_column(changed)
            self._refresh()
        return kept

    def _refresh(self) -> None:
        """Read the table again: a write has just given a field a new option."""
        tables = self._store.tables(self._table.base_id)
        self._table = next(table for table in tables if table.id == self._table.id)

    def _merge_columns(self, merge_on: object) -> list[Column]:
        if not isinstance(merge_on, list) or not 1 <= len(merge_on) <= 3:
            raise errors.invalid_request()
        columns = [self._column(name) for name in merge_on]
        if any(column.type not in MERGEABLE for column in columns):
            raise errors.invalid_request()
        return columns

    def _existing(self, body: object, keys: Sequence[Column], write: Write) -> Record | None:
        if isinstance(body, dict) and "id" in body:
            return self._in_table(body["id"])
        cells = self._cells(_part(body, "fields"), write)
        if any(key.id not in cells for key in keys):
            raise errors.invalid_request()
        wanted = {key.id: cells[key.id] for key in keys}
        if None in wanted.values():
            return None  # an empty key matches nothing: a new record each time
        found = self._store.matching(self._table.id, wanted)
        if len(found) > 1:
            raise errors.ambiguous_upsert()
        return found[0] if found else None


def _batch(bodies: object, verb: str) -> list[Any]:
    if not isinstance(bodies, list) or not bodies:
        raise errors.invalid_request()
    if len(bodies) > MAX_RECORDS_PER_REQUEST:
        raise errors.too_many_records(len(bodies), verb)
    return bodies


def _part(body: object, name: str) -> Any:
    if not isinstance(body, dict) or set(body) - {"id", "fields"}:
        raise errors.invalid_request()
    if name not in body:
        raise errors.missing_in_body(name)
    return body[name]
