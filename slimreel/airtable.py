"""`slimreel airtable setup`: make the table and its fields, and say what is left to a person.

It may be run as often as one likes: it adds what is missing and changes nothing that is there.
The metadata API cannot make views, formulas or interfaces, nor change the type or the options of
a field, so the report names those.
Source: https://airtable.com/developers/web/api/create-table, …/create-field
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pyairtable import Api
from pyairtable.api.table import Table
from pyairtable.models.schema import TableSchema
from requests import ConnectionError, HTTPError, Timeout
from requests.exceptions import ChunkedEncodingError, JSONDecodeError

from chalicelib.adapters.airtable import OUT_OF_CALLS, PENALTY_S, TIMEOUTS_S, Airtable, error_of
from chalicelib.domain.row import (
    FIELDS,
    REVIEW_FIELD,
    REVIEWER_FIELD,
    TABLE_DESCRIPTION,
    TABLE_NAME,
    Field,
)

Result = TypeVar("Result")

CALL_EVERY_S = 0.25
"""Four calls a second: a base takes five.
Source: https://airtable.com/developers/web/api/rate-limits"""

NO_RECORD = "rec00000000000000"
"""An id Airtable does not give out, to ask for the right to write without writing."""

TOKEN_PAGE = "https://airtable.com/create/tokens"

VIEWS = (
    "Make the views you want, the API cannot: for example a grid grouped by Status, and one "
    "named “Needs attention” that shows Status = Failed only.",
    f"To be told who reviewed where no webhook says so, add a field “{REVIEWER_FIELD}” of the type "
    f"Last modified by, for the field {REVIEW_FIELD}. Slimreel never touches fields it does not "
    "know.",
)


class SetupFailed(Exception):
    """Nothing more can be set up until a person does what the message says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupReport:
    """What was found, what was made, and what is left to do.

    Attributes:
        table_id: what the setting AIRTABLE_TABLE should be: an id survives a rename.
        by_hand: one sentence for each thing only a person can do.
    """

    base_id: str
    table_id: str
    table_name: str
    table_url: str
    made_table: bool
    made_fields: tuple[str, ...]
    kept_fields: tuple[str, ...]
    by_hand: tuple[str, ...]

    @property
    def changed_anything(self) -> bool:
        return self.made_table or bool(self.made_fields)


def setup(
    *,
    token: str,
    base_id: str,
    table: str = TABLE_NAME,
    api_url: str = "https://api.airtable.com",
    sleep: Callable[[float], None] = time.sleep,
) -> SetupReport:
    """Bring the table to what Slimreel writes.

    Args:
        token: a personal access token with the scopes schema.bases:read, schema.bases:write,
            data.records:read, data.records:write and webhook:manage on the base.
        base_id: "app…", from the address bar of the base.
        table: the id of an existing table, or the name of one that is made if it is not there.
        sleep: how to wait between calls.

    Raises:
        SetupFailed: wrong token, scope, base or table id, or Airtable cannot be reached.
    """
    base = _Base(token=token, base_id=base_id, api_url=api_url, sleep=sleep)
    found = base.find(table)
    made_table = found is None
    schema = base.make_table(table) if found is None else found
    there = {field.name.casefold() for field in schema.fields}
    missing = [field for field in FIELDS if field.name.casefold() not in there]
    base.make_fields(schema.id, missing)
    made = {field.name for field in (FIELDS if made_table else missing)}
    return SetupReport(
        base_id=base_id,
        table_id=schema.id,
        table_name=schema.name,
        table_url=Airtable(
            token=token, api_url=api_url, base_id=base_id, table=schema.id
        ).table_url,
        made_table=made_table,
        made_fields=tuple(field.name for field in FIELDS if field.name in made),
        kept_fields=tuple(field.name for field in FIELDS if field.name not in made),
        by_hand=(*_differences(schema), *base.missing_rights(schema.id), *VIEWS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is there already, found without changing anything.

    Attributes:
        table_id: None where the base has no such table.
        by_hand: one sentence for each thing that only a person can put right.
    """

    table_id: str | None
    table_name: str
    missing_fields: tuple[str, ...]
    by_hand: tuple[str, ...]


def look(
    *,
    token: str,
    base_id: str,
    table: str = TABLE_NAME,
    api_url: str = "https://api.airtable.com",
    sleep: Callable[[float], None] = time.sleep,
) -> Seen:
    """What `setup` would find; arguments and errors are the same."""
    base = _Base(token=token, base_id=base_id, api_url=api_url, sleep=sleep)
    schema = base.find(table)
    if schema is None:
        return Seen(table_id=None, table_name=table, missing_fields=(), by_hand=())
    there = {field.name.casefold() for field in schema.fields}
    return Seen(
        table_id=schema.id,
        table_name=schema.name,
        missing_fields=tuple(f.name for f in FIELDS if f.name.casefold() not in there),
        by_hand=(*_differences(schema), *base.missing_rights(schema.id)),
    )


def _differences(schema: TableSchema) -> Iterator[str]:
    """What is not as Slimreel wants it in the fields that are there."""
    by_name = {field.name: field for field in schema.fields}
    by_folded = {name.casefold(): name for name in by_name}
    for wanted in FIELDS:
        name = by_folded.get(wanted.name.casefold())
        if name is None:
            continue
        if name != wanted.name:
            yield f"Rename the field “{name}” to “{wanted.name}”: Airtable tells case apart."
        kind = by_name[name].type
        if kind != wanted.type:
            yield (
                # An enum, but plain text where pyairtable does not know the type yet.
                f"Change the type of the field “{name}” from {getattr(kind, 'value', kind)} to "
                f"{wanted.type}: the API cannot, and rows may be refused."
            )
        elif wanted.type == "singleSelect":
            yield from _missing_choices(wanted, by_name[name])


def _missing_choices(wanted: Field, field: Any) -> Iterator[str]:
    assert wanted.options is not None
    there = {choice.name for choice in field.options.choices}
    missing = [name for name in (c["name"] for c in wanted.options["choices"]) if name not in there]
    if missing:
        yield (
            f"Add to the field “{wanted.name}” the options {', '.join(missing)}. Without you they "
            "are made when first needed, if the token's owner is a Creator of the base."
        )


class _Base:
    """The base, with every failure told as what to do about it."""

    def __init__(
        self, *, token: str, base_id: str, api_url: str, sleep: Callable[[float], None]
    ) -> None:
        self._api = Api(token, timeout=TIMEOUTS_S, retry_strategy=None, endpoint_url=api_url)
        self._base_id = base_id
        self._sleep = sleep

    def find(self, name_or_id: str) -> TableSchema | None:
        """The table, or None if one of that name can be made."""
        try:
            tables = self._call(lambda: self._api.base(self._base_id).schema().tables)
        except HTTPError as error:
            raise self._no_base(error) from error
        for table in tables:
            if name_or_id == table.id or name_or_id.casefold() == table.name.casefold():
                return table
        if name_or_id.startswith("tbl") and len(name_or_id) == 17:
            raise SetupFailed(
                f"Base {self._base_id} has no table {name_or_id}. It has "
                f"{_listed([f'{table.name} ({table.id})' for table in tables])}. Give one of "
                "these, or a name for a new table."
            )
        return None

    def make_table(self, name: str) -> TableSchema:
        fields = [field.as_airtable() for field in FIELDS]
        base = self._api.base(self._base_id)
        try:
            table = self._call(lambda: base.create_table(name, fields, TABLE_DESCRIPTION))
        except HTTPError as error:
            raise self._not_made(f"the table {name}", error) from error
        return table.schema()

    def make_fields(self, table_id: str, fields: Sequence[Field]) -> None:
        table = self._table(table_id)
        for field in fields:
            told = field.as_airtable()
            try:
                self._call(
                    partial(
                        table.create_field,
                        field.name,
                        field.type,
                        field.description,
                        told.get("options"),
                    )
                )
            except HTTPError as error:
                raise self._not_made(f"the field {field.name}", error) from error

    def missing_rights(self, table_id: str) -> Iterator[str]:
        """What the token lacks for the daily work, found out without changing a row."""
        table = self._table(table_id)
        asked: dict[str, Callable[[], object]] = {
            "data.records:read": lambda: table.first(fields=[]),
            "data.records:write": lambda: table.batch_update([{"id": NO_RECORD, "fields": {}}]),
            "webhook:manage": lambda: table.base.webhooks(),
        }
        for scope, call in asked.items():
            try:
                self._call(call)
            except HTTPError as error:
                yield from _told_right(scope, error)

    def _table(self, table_id: str) -> Table:
        return self._api.table(self._base_id, table_id)

    def _call(self, call: Callable[[], Result]) -> Result:
        """One call, within the rate limit; when somebody else uses it up, once more after it.

        Raises:
            HTTPError: Airtable said no for another reason.
            SetupFailed: no answer.
        """
        try:
            self._sleep(CALL_EVERY_S)
            try:
                return call()
            except HTTPError as error:
                too_fast = error.response.status_code == 429
                if not too_fast or error_of(error.response)[0] == OUT_OF_CALLS:
                    raise
                self._sleep(PENALTY_S)
                return call()
        except (ConnectionError, Timeout, ChunkedEncodingError, JSONDecodeError) as error:
            raise SetupFailed(
                f"Airtable cannot be reached at {self._api.endpoint_url}: {error}. "
                "Check the network, and run it again: it goes on where it stopped."
            ) from error

    def _no_base(self, error: HTTPError) -> SetupFailed:
        """Why the base cannot be read. Airtable answers a wrong id and a missing scope alike, but
        the list of bases tells them apart."""
        if error.response.status_code not in (403, 404):
            return self._failed("read the base", error)
        try:
            bases = self._call(lambda: self._api.bases(force=True))
        except HTTPError as no_list:
            if no_list.response.status_code != 403:
                return self._failed("list the bases", no_list)
            return SetupFailed(
                f"The token lacks the scope schema.bases:read. Add it at {TOKEN_PAGE}, with "
                "schema.bases:write, data.records:read and data.records:write."
            )
        names = _listed([f"{base.name} ({base.id})" for base in bases])
        return SetupFailed(
            f"The token cannot see a base {self._base_id!r}. It can see {names}. Correct the base "
            f"id, or add the base to the token at {TOKEN_PAGE}."
        )

    def _not_made(self, what: str, error: HTTPError) -> SetupFailed:
        if error.response.status_code != 403:
            return self._failed(f"make {what}", error)
        return SetupFailed(
            f"The token may not make {what}. Add the scope schema.bases:write at {TOKEN_PAGE}; "
            "its owner must also be a Creator or Owner of the base."
        )

    def _failed(self, what: str, error: HTTPError) -> SetupFailed:
        status = error.response.status_code
        if status == 401:
            return SetupFailed(
                f"Airtable does not know this token: it is wrong, expired or revoked. Make a new "
                f"one at {TOKEN_PAGE}."
            )
        kind, said = error_of(error.response)
        return SetupFailed(
            f"Airtable did not {what}: {status} {kind} {said}".rstrip()
            + ". Nothing that was there has been changed; run it again once that is solved."
        )


def _told_right(scope: str, error: HTTPError) -> Iterator[str]:
    """What the answer to a harmless call says about the right to make it."""
    status = error.response.status_code
    if status == 403 and scope == "webhook:manage":
        yield (
            f"Give the token the scope {scope} at {TOKEN_PAGE}: without it, what people choose in "
            f"{REVIEW_FIELD} is only found by looking now and then (AirtablePollMinutes)."
        )
    elif status == 403:
        yield f"Give the token the scope {scope} at {TOKEN_PAGE}: rows need it."
    elif status != 422:  # 422 is "no such record": the right was there
        kind, said = error_of(error.response)
        yield (
            f"Check that the token has the scope {scope}: Airtable could not tell, it answered "
            f"{status} {kind} {said}".rstrip()
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"
