"""Airtable's Web API over one SQLite file: who may call, how often, and what happens then."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from werkzeug import Request, Response
from werkzeug.utils import redirect

from slimreel.local.airtable import errors, schema
from slimreel.local.airtable.errors import Refusal, answer
from slimreel.local.airtable.grid import render
from slimreel.local.airtable.limits import REQUESTS_PER_TOKEN_PER_S, RateLimit
from slimreel.local.airtable.listing import Listings, column_of, query_from, query_from_url
from slimreel.local.airtable.records import Records, Write
from slimreel.local.airtable.routes import ALL_SCOPES, SCOPES, Call, call_of, raw_url, segments
from slimreel.local.airtable.store import Store, Table
from slimreel.local.airtable.webhooks import Actor, Webhooks
from slimreel.local.faults import Fault, Faults

LOG = logging.getLogger("slimreel.local.airtable")

MAX_URL_CHARS = 16_000
"""Source: https://airtable.com/developers/web/api/list-records"""


class Airtable:
    """The stand-in.

    Limits left None do not apply; Airtable's own are 1,000 calls a month and 1,000 records a base
    on the Free plan, 100,000 and 50,000 on Team.

    Attributes:
        calls: how often each operation was called with a known token, whatever came of it.
        too_fast: how often a caller was told to slow down.
    """

    def __init__(
        self,
        database: Path,
        *,
        faults: Faults,
        tokens: Mapping[str, Collection[str]] | str,
        requests_per_s: int = 5,
        monthly_calls: int | None = None,
        records_per_base: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            tokens: scopes by token, or one token that may do everything.
            clock: seconds since 1970.
        """
        self.calls: Counter[str] = Counter()
        self.too_fast = 0
        self._store = Store(database)
        self._faults = faults
        self._tokens = {tokens: ALL_SCOPES} if isinstance(tokens, str) else dict(tokens)
        self._monthly_calls = monthly_calls
        self._records_per_base = records_per_base
        self._clock = clock
        self._base_rate = RateLimit(requests_per_s, clock)
        self._token_rate = RateLimit(REQUESTS_PER_TOKEN_PER_S, clock)
        self._listings = Listings()
        self._lock = threading.Lock()
        self._webhooks = Webhooks(self._store, faults, clock, lock=self._lock)

    def close(self) -> None:
        self._webhooks.close()
        self._store.close()

    def create_base(self, name: str) -> str:
        """The id of the base with this name, which is made if there is none."""
        with self._lock, self._store.db:
            for base_id, existing in self._store.bases():
                if existing == name:
                    return base_id
            return self._store.add_base(name)

    def grid(self, request: Request) -> Response:
        """The page to look at: `?base=…&table=…`, or the first of each; POST chooses in a cell."""
        if request.method == "POST":
            return self._choose(request)
        with self._lock:
            return render(
                self._store,
                base_id=request.args.get("base"),
                table_id=request.args.get("table"),
                calls=self._store.calls(self._month()),
                monthly_calls=self._monthly_calls,
            )

    def _choose(self, request: Request) -> Response:
        """What the page's forms send: somebody at this machine picked an option of a select."""
        # No other site's page may choose here: browsers say where a form was sent from.
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return Response("Not from another site.", status=403)
        asked = {name: request.form.get(name, "") for name in ("base", "table", "record", "field")}
        chosen = request.form.get("value") or None
        try:
            self.edit(
                asked["base"],
                asked["table"],
                asked["record"],
                {asked["field"]: chosen},
                by=request.form.get("by") or "You",
            )
        except Refusal as refusal:
            return refusal.response()
        where = f"/airtable?{urlencode({'base': asked['base'], 'table': asked['table']})}"
        return redirect(f"{where}#{quote(asked['record'])}", code=303)

    def rows(self, base_id: str, table_name: str) -> list[dict[str, Any]]:
        """What a person sees in a table: cells by field name. Uses up no API call."""
        with self._lock:
            found = [t for t in self._store.tables(base_id) if t.name == table_name]
            return [
                {c.name: record.cells[c.id] for c in table.columns if c.id in record.cells}
                for table in found
                for record in self._store.records(table.id)
            ]

    def handle(self, request: Request) -> Response:
        """Answer one call under /v0."""
        try:
            return self._handle(request)
        except Refusal as refusal:
            self.too_fast += refusal.status == 429 and refusal.kind != errors.OUT_OF_CALLS
            level = logging.WARNING if refusal.status == 501 else logging.INFO
            LOG.log(level, "%s %s -> %s", request.method, request.path, refusal)
            return refusal.response()

    def _handle(self, request: Request) -> Response:
        call = call_of(request.method, segments(request))
        token = self._authenticated(request)
        body = _body(request)
        if call.operation == "records.update" and "performUpsert" in body:
            call = replace(call, operation="records.upsert")
        with self._lock:
            self.calls[call.operation] += 1
        fault = self._faults.take("airtable", call.operation)  # may sleep: not under the lock
        if fault is not None and fault.status is not None and not fault.after_effect:
            return _faulty(fault)
        with self._lock:
            self._admit(call, token)
            self._store.changes.clear()
            with self._store.db:
                response = answer(self._perform(call, request, body))
                self._tell(call.base_id, Actor(source="publicApi", user=_user_of(token)))
        return response if fault is None else _spoilt(response, fault)

    def edit(
        self, base_id: str, table: str, record_id: str, cells: Mapping[str, Any], *, by: str
    ) -> None:
        """What a person does in the grid. Uses up no API call.

        Raises:
            Refusal: there is no such row or field, or the field does not take the value.
        """
        user = {"id": _user_id(by), "email": f"{by.lower()}@studio.example", "name": by}
        with self._lock, self._store.db:
            self._store.changes.clear()
            found = self._table(self._base(base_id), table)
            records = Records(self._store, found, now_s=self._clock(), limit=None)
            records.update(record_id, dict(cells), Write())
            self._tell(base_id, Actor(source="client", user=user))

    def _tell(self, base_id: str | None, actor: Actor) -> None:
        """Webhooks, of what has just been done."""
        changes, self._store.changes[:] = [*self._store.changes], []
        if changes and base_id is not None:
            self._webhooks.happened(base_id, changes, actor)

    # who may call, how often

    def _authenticated(self, request: Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token.strip() not in self._tokens:
            raise errors.not_authenticated()
        return token.strip()

    def _admit(self, call: Call, token: str) -> None:
        self._token_rate.admit(token)
        if call.base_id is not None:
            self._base_rate.admit(call.base_id)
        with self._store.db:
            self._spend(call)
        scope = SCOPES[call.operation]
        if scope is not None and scope not in self._tokens[token]:
            raise errors.not_permitted_or_not_there()

    def _spend(self, call: Call) -> None:
        """Take one call off the month. The metadata API still answers when none is left."""
        month = self._month()
        spent = self._store.calls(month)
        if call.on_records and self._monthly_calls is not None and spent >= self._monthly_calls:
            raise errors.out_of_monthly_calls()
        self._store.add_call(month)

    def _month(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m")

    # what happens then

    def _perform(self, call: Call, request: Request, body: dict[str, Any]) -> object:
        if call.operation == "whoami":
            return {"id": _user_id(self._authenticated(request))}
        if call.operation == "bases.list":
            return schema.bases(self._store)
        base_id = self._base(call.base_id)
        if call.operation.startswith("webhooks."):
            return self._on_webhooks(call, base_id, request, body)
        if call.operation == "tables.list":
            return schema.tables(self._store, base_id)
        if call.operation == "tables.create":
            return schema.create_table(self._store, base_id, body)
        table = self._table(base_id, call.table)
        if call.operation == "tables.update":
            return schema.update_table(self._store, table, body)
        if call.operation == "fields.create":
            return schema.create_field(self._store, table, body)
        if call.operation == "fields.update":
            return schema.update_field(self._store, table, call.field_id or "", body)
        return self._on_records(call, table, request, body)

    def _on_webhooks(
        self, call: Call, base_id: str, request: Request, body: dict[str, Any]
    ) -> object:
        hooks, webhook_id = self._webhooks, call.webhook_id or ""
        match call.operation:
            case "webhooks.list":
                return hooks.list(base_id)
            case "webhooks.create":
                return hooks.create(base_id, body)
            case "webhooks.refresh":
                return hooks.refresh(base_id, webhook_id)
            case "webhooks.payloads":
                cursor = request.args.get("cursor", "1")
                return hooks.payloads(base_id, webhook_id, cursor, request.args.get("limit", "50"))
            case "webhooks.enableNotifications":
                hooks.enable(base_id, webhook_id, body)
            case _:
                hooks.delete(base_id, webhook_id)
        return {}

    def _base(self, base_id: str | None) -> str:
        if base_id not in [known for known, _ in self._store.bases()]:
            raise errors.not_permitted_or_not_there()
        return str(base_id)

    def _table(self, base_id: str, name_or_id: str | None) -> Table:
        for table in self._store.tables(base_id):
            if name_or_id in (table.id, table.name):
                return table
        raise errors.not_permitted_or_not_there()

    def _on_records(
        self, call: Call, table: Table, request: Request, body: dict[str, Any]
    ) -> object:
        records = Records(self._store, table, now_s=self._clock(), limit=self._records_per_base)
        match call.operation:
            case "records.list":
                return self._list(table, records, request, body)
            case "records.get":
                by_field_id = query_from_url(request.args).by_field_id
                found = records.get(call.record_id or "")
                return records.shown(found, by_field_id=by_field_id)
            case "records.create":
                return _create(records, body)
            case "records.update" if call.record_id is not None:
                _only(body, "fields", "typecast", "returnFieldsByFieldId")
                write = _write(request, body)
                return records.update(call.record_id, _given(body, "fields"), write)
            case "records.update":
                _only(body, "records", "typecast", "returnFieldsByFieldId")
                return records.update_many(_given(body, "records"), _write(request, body))
            case "records.upsert" if call.record_id is None:
                return _upsert(records, request, body)
            case "records.delete" if call.record_id is not None:
                return records.delete(call.record_id)
            case "records.delete":
                return records.delete_many(request.args.getlist("records[]"))
            case _:
                raise errors.invalid_request()

    def _list(
        self, table: Table, records: Records, request: Request, body: dict[str, Any]
    ) -> dict[str, Any]:
        if len(raw_url(request)) >= MAX_URL_CHARS:
            raise errors.url_too_long()
        if request.method == "GET":
            query = query_from_url(request.args)
        else:
            # timeZone and userLocale stay in the URL when the rest moves to the body.
            query = query_from({**request.args, **body})
        only = None if query.fields is None else [column_of(table, f) for f in query.fields]
        rows = self._store.records(table.id)
        page, offset = self._listings.page(query, table, rows, self._clock())
        shown = [records.shown(row, by_field_id=query.by_field_id, only=only) for row in page]
        if query.comment_count:
            # Comments cannot be written here, so there are none.
            shown = [{**row, "commentCount": 0} for row in shown]
        return {"records": shown} if offset is None else {"records": shown, "offset": offset}


def _user_id(name: str) -> str:
    return "usr" + sha256(name.encode()).hexdigest()[:14]


def _user_of(token: str) -> dict[str, str]:
    """Whose token it is."""
    return {"id": _user_id(token), "email": "token@studio.example", "name": "Slimreel's token"}


def _create(records: Records, body: dict[str, Any]) -> dict[str, Any]:
    write = _write(None, body)
    if "records" in body:
        _only(body, "records", "typecast", "returnFieldsByFieldId")
        return records.create_many(body["records"], write)
    _only(body, "fields", "typecast", "returnFieldsByFieldId")
    return records.create(_given(body, "fields"), write)


def _upsert(records: Records, request: Request, body: dict[str, Any]) -> dict[str, Any]:
    _only(body, "records", "typecast", "returnFieldsByFieldId", "performUpsert")
    how = body["performUpsert"]
    if not isinstance(how, dict) or set(how) != {"fieldsToMergeOn"}:
        raise errors.invalid_request()
    return records.upsert(_given(body, "records"), how["fieldsToMergeOn"], _write(request, body))


def _write(request: Request | None, body: dict[str, Any]) -> Write:
    typecast, by_id = body.get("typecast", False), body.get("returnFieldsByFieldId", False)
    if not isinstance(typecast, bool) or not isinstance(by_id, bool):
        raise errors.invalid_request()
    return Write(
        typecast=typecast,
        by_field_id=by_id,
        replace=request is not None and request.method == "PUT",
    )


def _given(body: dict[str, Any], name: str) -> Any:
    if name not in body:
        raise errors.missing_in_body(name)
    return body[name]


def _only(body: dict[str, Any], *names: str) -> None:
    if set(body) - set(names):
        raise errors.invalid_request()


def _body(request: Request) -> dict[str, Any]:
    raw = request.get_data()
    if request.method in ("GET", "DELETE") or not raw:
        return {}
    try:
        body = json.loads(raw, parse_constant=_no_constant)
    except ValueError:
        raise errors.not_json() from None
    if not isinstance(body, dict):
        raise errors.invalid_request()
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _faulty(fault: Fault) -> Response:
    return Refusal(fault.status or 500, fault.code, fault.message).response()


def _spoilt(response: Response, fault: Fault) -> Response:
    """What a fault leaves of an answer whose work is done."""
    if fault.status is not None:
        return _faulty(fault)
    if fault.cut_body_at_byte is not None:
        whole = response.get_data()
        response = Response(
            iter([whole[: fault.cut_body_at_byte]]), response.status, response.headers
        )
        response.headers["Content-Length"] = str(len(whole))
        response.headers["Connection"] = "close"
    return response
