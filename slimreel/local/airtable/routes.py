"""Which operation a request asks for. Paths are those of https://airtable.com/developers/web/api."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from werkzeug import Request

from slimreel.local.airtable import errors

SCOPES: Mapping[str, str | None] = {
    "whoami": None,
    "bases.list": "schema.bases:read",
    "tables.list": "schema.bases:read",
    "tables.create": "schema.bases:write",
    "tables.update": "schema.bases:write",
    "fields.create": "schema.bases:write",
    "fields.update": "schema.bases:write",
    "records.list": "data.records:read",
    "records.get": "data.records:read",
    "records.create": "data.records:write",
    "records.update": "data.records:write",
    "records.upsert": "data.records:write",
    "records.delete": "data.records:write",
    "webhooks.list": "webhook:manage",
    "webhooks.create": "webhook:manage",
    "webhooks.delete": "webhook:manage",
    "webhooks.refresh": "webhook:manage",
    "webhooks.enableNotifications": "webhook:manage",
    "webhooks.payloads": "webhook:manage",
}
"""Every operation, and the scope a token needs for it.
Source: https://airtable.com/developers/web/api/scopes"""

ALL_SCOPES = frozenset(scope for scope in SCOPES.values() if scope is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked, of what. `table` is a name or an id; the rest are ids."""

    operation: str
    base_id: str | None = None
    table: str | None = None
    record_id: str | None = None
    field_id: str | None = None
    webhook_id: str | None = None

    @property
    def on_records(self) -> bool:
        return self.operation.startswith("records.")


def segments(request: Request) -> list[str]:
    """The path after /v0, decoded piece by piece: a table name may hold a slash."""
    raw_path = re.sub(r"^https?://[^/]*", "", raw_url(request)).partition("?")[0]
    return [unquote(piece) for piece in raw_path.strip("/").split("/")][1:]


def raw_url(request: Request) -> str:
    """The request's target as it was sent; WSGI's own PATH_INFO is decoded already."""
    return str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.path)


def call_of(method: str, path: list[str]) -> Call:
    """
    Raises:
        Refusal: a malformed id (404), or something the stand-in does not do (501).
    """
    match (method, *path):
        case ("GET", "meta", "whoami"):
            return Call(operation="whoami")
        case ("GET", "meta", "bases"):
            return Call(operation="bases.list")
        case ("GET", "meta", "bases", base, "tables"):
            return Call(operation="tables.list", base_id=_id("app", base))
        case ("POST", "meta", "bases", base, "tables"):
            return Call(operation="tables.create", base_id=_id("app", base))
        case ("PATCH", "meta", "bases", base, "tables", table):
            return Call(
                operation="tables.update", base_id=_id("app", base), table=_id("tbl", table)
            )
        case ("POST", "meta", "bases", base, "tables", table, "fields"):
            return Call(
                operation="fields.create", base_id=_id("app", base), table=_id("tbl", table)
            )
        case ("PATCH", "meta", "bases", base, "tables", table, "fields", field):
            return Call(
                operation="fields.update",
                base_id=_id("app", base),
                table=_id("tbl", table),
                field_id=_id("fld", field),
            )
        case (_, "bases", base, "webhooks", *rest):
            return _webhook_call(method, _id("app", base), rest)
        case (_, "meta" | "bases", *_):
            raise errors.not_built(f"{method} /v0/{'/'.join(path)}")
        case (_, base, table, *rest):
            return _record_call(method, _id("app", base), table, rest)
        case _:
            raise errors.no_such_route()


def _record_call(method: str, base: str, table: str, rest: list[str]) -> Call:
    def call(verb: str, record_id: str | None = None) -> Call:
        return Call(
            operation=f"records.{verb}",
            base_id=base,
            table=table,
            record_id=None if record_id is None else _id("rec", record_id),
        )

    match (method, *rest):
        case ("GET",) | ("POST", "listRecords"):
            return call("list")
        case ("POST",):
            return call("create")
        case ("PATCH" | "PUT",):
            return call("update")
        case ("DELETE",):
            return call("delete")
        case ("GET", record_id):
            return call("get", record_id)
        case ("PATCH" | "PUT", record_id):
            return call("update", record_id)
        case ("DELETE", record_id):
            return call("delete", record_id)
        case _:
            raise errors.not_built(f"{method} on {'/'.join(rest) or 'a table'}")


def _webhook_call(method: str, base: str, rest: list[str]) -> Call:
    match (method, *rest):
        case ("GET",):
            return Call(operation="webhooks.list", base_id=base)
        case ("POST",):
            return Call(operation="webhooks.create", base_id=base)
        case ("DELETE", webhook):
            verb = "delete"
        case ("POST", webhook, "refresh" | "enableNotifications" as verb):
            pass
        case ("GET", webhook, "payloads" as verb):
            pass
        case _:
            raise errors.not_built(f"{method} on webhooks")
    return Call(operation=f"webhooks.{verb}", base_id=base, webhook_id=_id("ach", webhook))


def _id(prefix: str, given: str) -> str:
    if not re.fullmatch(prefix + "[A-Za-z0-9]{14}", given):
        raise errors.no_such_route()
    return given
