"""Listing records: what to keep, in which order, and page by page.

Source: https://airtable.com/developers/web/api/list-records
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from werkzeug.datastructures import MultiDict

from slimreel.local.airtable import errors
from slimreel.local.airtable.formula import row_filter
from slimreel.local.airtable.store import Column, Record, Table, new_id

MAX_PAGE_SIZE = 100

PAGE_LIFE_S = 300
"""How long an offset works. Airtable says only that it expires; users see it after minutes."""

SORT_KEY = re.compile(r"sort\[(\d+)\]\[(field|direction)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A list request after parsing; names are not resolved yet."""

    formula: str | None = None
    view: str | None = None
    sort: tuple[tuple[str, str], ...] = ()  # field name or id, "asc" or "desc"
    fields: tuple[str, ...] | None = None
    page_size: int = MAX_PAGE_SIZE
    max_records: int | None = None
    offset: str | None = None
    by_field_id: bool = False
    comment_count: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pages:
    """The ids a listing found, kept so that later pages do not shift."""

    table_id: str
    record_ids: tuple[str, ...]
    expires_s: float


@dataclass(slots=True)
class Listings:
    """The listings somebody is still paging through. They do not survive a restart."""

    open: dict[str, _Pages] = field(default_factory=dict)

    def page(
        self, query: Query, table: Table, records: Sequence[Record], now_s: float
    ) -> tuple[list[Record], str | None]:
        """One page of `records`, and the offset of the next one."""
        self.open = {name: pages for name, pages in self.open.items() if pages.expires_s > now_s}
        if query.offset is None:
            name, start = new_id("itr"), 0
            found = tuple(record.id for record in _selected(query, table, records))
            pages = _Pages(table_id=table.id, record_ids=found, expires_s=now_s + PAGE_LIFE_S)
        else:
            name, pages, start = self._resume(query.offset, table)
        end = start + query.page_size
        by_id = {record.id: record for record in records}
        shown = [by_id[i] for i in pages.record_ids[start:end] if i in by_id]
        if end >= len(pages.record_ids):
            return shown, None
        self.open[name] = pages
        return shown, f"{name}/{pages.record_ids[end]}"

    def _resume(self, offset: str, table: Table) -> tuple[str, _Pages, int]:
        name, slash, record_id = offset.partition("/")
        if not slash or not name.startswith("itr"):
            raise errors.invalid_offset(offset)
        pages = self.open.get(name)
        if pages is None:
            raise errors.expired_offset()
        if pages.table_id != table.id or record_id not in pages.record_ids:
            raise errors.invalid_offset(offset)
        return name, pages, pages.record_ids.index(record_id)


def _selected(query: Query, table: Table, records: Sequence[Record]) -> list[Record]:
    if query.view is not None:
        if query.view not in (table.view_id, "Grid view"):
            raise errors.unknown_view(query.view)
        selected = list(records)
    else:
        # Without a view or a sort the order is arbitrary, so nobody should get used to one.
        selected = sorted(records, key=lambda record: record.id)
    if query.formula:
        keeps = row_filter(query.formula, table)
        selected = [record for record in selected if keeps(record)]
    for name, direction in reversed(query.sort):
        column = column_of(table, name)
        selected.sort(key=partial(_order, column), reverse=direction == "desc")
    return selected[: query.max_records]


def column_of(table: Table, name: str) -> Column:
    column = table.column(name)
    if column is None:
        raise errors.unknown_field(name)
    return column


def _order(column: Column, record: Record) -> tuple[Any, ...]:
    """Empty cells first; options in the order of the field; text without regard to case."""
    value = record.cells.get(column.id)
    if value is None:
        return (0,)
    if column.type in ("singleSelect", "multipleSelects"):
        assert column.options is not None
        names = [choice["name"] for choice in column.options["choices"]]
        return (1, [names.index(name) for name in ([value] if isinstance(value, str) else value)])
    return (1, value.casefold() if isinstance(value, str) else value)


# parsing


def query_from_url(args: MultiDict[str, str]) -> Query:
    """Read the parameters of GET. Lists come as `fields[]=…` and `sort[0][field]=…`."""
    given: dict[str, Any] = {}
    sorts: dict[int, dict[str, str]] = {}
    for key in args:
        if match := SORT_KEY.fullmatch(key):
            sorts.setdefault(int(match[1]), {})[match[2]] = args[key]
        elif key in ("fields[]", "recordMetadata[]", "fields", "recordMetadata"):
            given[key.removesuffix("[]")] = args.getlist(key)
        elif key in ("pageSize", "maxRecords"):
            given[key] = int(args[key]) if args[key].isdecimal() else args[key]
        elif key == "returnFieldsByFieldId":
            given[key] = {"1": True, "true": True, "0": False, "false": False}.get(args[key])
        else:
            given[key] = args[key]
    if sorts:
        given["sort"] = [sorts[index] for index in sorted(sorts)]
    return query_from(given)


def query_from(given: Mapping[str, Any]) -> Query:
    """Read the body of POST …/listRecords.

    Raises:
        Refusal: an unknown parameter, or a value of the wrong kind.
    """
    if unknown := set(given) - _KNOWN:
        if unknown & {"includeDateDependencyMetadata"}:
            raise errors.not_built("includeDateDependencyMetadata")
        raise errors.invalid_request()
    if given.get("cellFormat", "json") == "string":
        raise errors.not_built("cellFormat=string")
    metadata = given.get("recordMetadata", [])
    return Query(
        formula=_text(given.get("filterByFormula")),
        view=_text(given.get("view")) or None,
        sort=tuple(_sort(entry) for entry in _list(given.get("sort", []))),
        fields=tuple(_texts(given["fields"])) if "fields" in given else None,
        page_size=_count(given.get("pageSize", MAX_PAGE_SIZE), MAX_PAGE_SIZE),
        max_records=_count(given["maxRecords"]) if "maxRecords" in given else None,
        offset=_text(given.get("offset")) or None,
        by_field_id=_flag(given.get("returnFieldsByFieldId", False)),
        comment_count="commentCount" in _texts(metadata),
    )


_KNOWN = frozenset(
    [
        "filterByFormula",
        "view",
        "sort",
        "fields",
        "pageSize",
        "maxRecords",
        "offset",
        "returnFieldsByFieldId",
        "cellFormat",
        "timeZone",
        "userLocale",
        "recordMetadata",
    ]
)


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise errors.invalid_request()
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise errors.invalid_request()
    return value


def _texts(value: object) -> Iterable[str]:
    texts = _list(value)
    if not all(isinstance(text, str) for text in texts):
        raise errors.invalid_request()
    return texts


def _count(value: object, most: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise errors.invalid_request()
    if most is not None and value > most:
        raise errors.invalid_request()
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise errors.invalid_request()
    return value


def _sort(entry: object) -> tuple[str, str]:
    if not isinstance(entry, dict) or not isinstance(entry.get("field"), str):
        raise errors.invalid_request()
    direction = entry.get("direction", "asc")
    if direction not in ("asc", "desc"):
        raise errors.invalid_request()
    return entry["field"], direction
