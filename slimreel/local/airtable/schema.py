"""The metadata endpoints: bases, tables, fields.

Source: https://airtable.com/developers/web/api/get-base-schema and its neighbours
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from slimreel.local.airtable import errors
from slimreel.local.airtable.fields import column_from
from slimreel.local.airtable.store import Store, Table


def bases(store: Store) -> dict[str, Any]:
    return {
        "bases": [
            {"id": base_id, "name": name, "permissionLevel": "create"}
            for base_id, name in store.bases()
        ]
    }


def tables(store: Store, base_id: str) -> dict[str, Any]:
    return {"tables": [table.as_api() for table in store.tables(base_id)]}


def create_table(store: Store, base_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """The first field becomes the primary one, and a grid view is made."""
    _only(body, "name", "description", "fields")
    name, description, fields = body.get("name"), body.get("description"), body.get("fields")
    if not isinstance(fields, list) or not fields:
        raise errors.invalid_request()
    columns = [column_from(field, primary=index == 0) for index, field in enumerate(fields)]
    _refuse_twins(column.name for column in columns)
    _check_description(description)
    _check_table_name(name, store.tables(base_id))
    return store.add_table(base_id, str(name).strip(), description, columns).as_api()


def update_table(store: Store, table: Table, body: dict[str, Any]) -> dict[str, Any]:
    if "dateDependencySettings" in body:
        raise errors.not_built("date dependencies")
    _only(body, "name", "description")
    name = body.get("name", table.name)
    others = [other for other in store.tables(table.base_id) if other.id != table.id]
    _check_table_name(name, others)
    description = body.get("description", table.description)
    _check_description(description)
    changed = replace(table, name=name.strip(), description=description)
    store.change_table(changed)
    return changed.as_api()


def create_field(store: Store, table: Table, body: dict[str, Any]) -> dict[str, Any]:
    column = column_from(body)
    _refuse_twins([*(other.name for other in table.columns), column.name])
    store.add_column(table.id, column)
    return column.as_api()


def update_field(store: Store, table: Table, field_id: str, body: dict[str, Any]) -> dict[str, Any]:
    column = table.column(field_id)
    if column is None:
        raise errors.not_permitted_or_not_there()
    if "options" in body:
        raise errors.not_built("changing the options of a field")
    _only(body, "name", "description")
    name = body.get("name", column.name)
    if not isinstance(name, str) or not name.strip():
        raise errors.duplicate_or_empty_field_name(str(name))
    description = body.get("description", column.description)
    _check_description(description)
    others = (other.name for other in table.columns if other.id != column.id)
    _refuse_twins([*others, name.strip()])
    changed = replace(column, name=name.strip(), description=description)
    store.change_column(changed)
    return changed.as_api()


def _only(body: dict[str, Any], *names: str) -> None:
    if set(body) - set(names):
        raise errors.invalid_request()


def _check_description(description: object) -> None:
    if description is not None and not isinstance(description, str):
        raise errors.invalid_request()


def _check_table_name(name: object, others: Iterable[Table]) -> None:
    if not isinstance(name, str) or not name.strip():
        raise errors.invalid_request()
    if any(other.name.casefold() == name.strip().casefold() for other in others):
        raise errors.duplicate_table_name(name)


def _refuse_twins(names: Iterable[str]) -> None:
    """Field names are unique without regard to case."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise errors.duplicate_or_empty_field_name(name)
        seen.add(name.casefold())
