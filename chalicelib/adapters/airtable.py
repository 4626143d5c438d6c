"""The rows people look at, in Airtable.

AirtableError
├── AirtableUnavailable   slow, down, or we were too fast; the same call works later (retry_after_s)
├── AirtableOutOfCalls    the workspace has used up its calls of the month; do not retry soon
└── AirtableRefused       wrong token, base, table, field or value; a person must act, and the
                          message says what and how

None of them is a reason to hold up a video: a row that was not written is written later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from chalicelib.domain.errors import SlimreelError, Temporary
from chalicelib.domain.row import KEY_FIELD

if TYPE_CHECKING:
    from pyairtable import Table
    from requests import Response

LOG = logging.getLogger(__name__)

Result = TypeVar("Result")

MAX_ROWS_PER_CALL = 10
"""Source: https://airtable.com/developers/web/api/update-multiple-records"""

TIMEOUTS_S = (3.05, 10)
"""To connect, and to wait for a byte. pyairtable waits for ever unless told otherwise."""

CALL_EVERY_S = 0.25
"""Four calls a second, one less than a base takes, which leaves room for people's own tools.
Source: https://airtable.com/developers/web/api/rate-limits"""

PENALTY_S = 30.0
"""After one request too many, nothing succeeds for so long.
Source: https://airtable.com/developers/web/api/rate-limits"""

OUTAGE_PAUSE_S = 10.0
"""Our own choice for a server error that does not say when to come back."""

RACE_PAUSE_S = 1.0
"""Our own choice for a row that somebody deleted between two calls of ours."""

OUT_OF_CALLS = "PUBLIC_API_BILLING_LIMIT_EXCEEDED"
ROW_IS_GONE = "ROW_DOES_NOT_EXIST"

NEXT_STEPS: Mapping[str, str] = {
    "UNKNOWN_FIELD_NAME": (
        "The table lacks a field, or somebody renamed it: `slimreel airtable setup` adds what is "
        "missing."
    ),
    "INVALID_VALUE_FOR_COLUMN": (
        "Somebody changed the type of that field: `slimreel airtable setup` says which type it "
        "needs."
    ),
    "INVALID_MULTIPLE_CHOICE_OPTIONS": (
        "Add that option to the field in Airtable, or give the token's owner the Creator role on "
        "the base."
    ),
}
"""What a person does about a 422, by its type. Every other type may be about duplicate rows."""


class AirtableError(SlimreelError):
    """Root of what can go wrong here.

    Attributes:
        status: of the HTTP answer; None when there was none.
        kind: Airtable's error type, for example "UNKNOWN_FIELD_NAME"; "" when it gave none.
    """

    def __init__(self, message: str, *, status: int | None = None, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class AirtableUnavailable(AirtableError, Temporary):
    """The same call will work later, not before `retry_after_s`."""

    def __init__(
        self, message: str, *, retry_after_s: float, status: int | None = None, kind: str = ""
    ) -> None:
        super().__init__(message, status=status, kind=kind)
        self.retry_after_s = retry_after_s


class AirtableOutOfCalls(AirtableError):
    """No call will work until the month is over or somebody buys a bigger plan."""


class AirtableRefused(AirtableError):
    """The call is wrong as it is; the message says what to change."""

    @property
    def may_be_duplicates(self) -> bool:
        """Whether two rows of one job can be the cause. Airtable documents that this fails, not
        with which type, so every 422 that is not surely something else may be it."""
        return self.status == 422 and self.kind not in NEXT_STEPS


class Airtable:
    """One table of one base."""

    def __init__(self, *, token: str, api_url: str, base_id: str, table: str) -> None:
        """
        Args:
            token: a personal access token with data.records:read and data.records:write.
            api_url: without the version: "https://api.airtable.com".
            table: id (better: it survives a rename) or name.
        """
        self._token = token
        self._api_url = api_url.rstrip("/")
        self._base_id = base_id
        self._table_name = table
        self._next_call_at = 0.0  # of time.monotonic()

    def upsert(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Write up to ten rows in one API call, each over the row with the same Job ID.

        Fields a row does not name stay as they are; None clears a cell; a select option that is
        missing is made. Airtable has no unique keys, so a job may have got two rows: the oldest is
        then kept up to date, the others are logged, and it takes three calls instead of one.

        Args:
            rows: values by field name, as `domain.row.FIELDS` describes them; each has a Job ID of
                its own.

        Returns:
            The record id of each job's row, by job id.

        Raises:
            AirtableUnavailable, AirtableOutOfCalls: nothing is known to be written; writing the
                same rows again is safe.
            AirtableRefused: one bad row is enough, and the others are not written either. Rows
                sent one by one show which it is.
            ValueError: too many rows, or a Job ID is missing or there twice.
        """
        _check(rows)
        if not rows:
            return {}
        try:
            return self._write(rows, record_ids={})
        except AirtableRefused as refused:
            oldest = self._oldest_of_twins(rows) if refused.may_be_duplicates else {}
            if not oldest:
                raise
        return self._write(rows, record_ids=oldest)

    def paced(self, call: Callable[[Table], Result]) -> Result:
        """One call of another kind, in its turn; with the same errors."""
        return self._called(lambda: call(self._table))

    @property
    def table_url(self) -> str:
        """Where a person sees the table: in Airtable, or on the stand-in's own page."""
        if self._on_stand_in:
            table = quote(self._table_name, safe="")
            return f"{self._api_url}/airtable?base={self._base_id}&table={table}"
        if not self._named_by_id:  # Airtable's links want ids; the base is the next best
            return f"https://airtable.com/{self._base_id}"
        return f"https://airtable.com/{self._base_id}/{self._table_name}"

    def row_url(self, record_id: str) -> str:
        """Where a person sees the row; the base where the table is only known by name."""
        if self._on_stand_in:
            return f"{self.table_url}#{record_id}"
        return f"{self.table_url}/{record_id}" if self._named_by_id else self.table_url

    @property
    def _on_stand_in(self) -> bool:
        return self._api_url != "https://api.airtable.com"

    @property
    def _named_by_id(self) -> bool:
        return self._table_name.startswith("tbl")

    def close(self) -> None:
        """Close the connections. A warm Lambda never needs to."""
        if "_table" in vars(self):
            self._table.api.session.close()

    @cached_property
    def _table(self) -> Table:
        from pyairtable import Api

        # pyairtable's own retries give up long before the 30 s penalty is over, and lose the body
        # that tells a full second from a full month.
        api = Api(self._token, timeout=TIMEOUTS_S, retry_strategy=None, endpoint_url=self._api_url)
        return api.table(self._base_id, self._table_name)

    def _write(
        self, rows: Sequence[Mapping[str, Any]], record_ids: Mapping[str, str]
    ) -> dict[str, str]:
        """One call. Rows named in `record_ids` (by job id) go there, the others by their key."""
        records: list[dict[str, Any]] = [
            {"id": record_ids[row[KEY_FIELD]], "fields": dict(row)}
            if row[KEY_FIELD] in record_ids
            else {"fields": dict(row)}
            for row in rows
        ]
        answer = self._called(
            lambda: self._table.batch_upsert(records, key_fields=[KEY_FIELD], typecast=True)
        )
        return {record["fields"][KEY_FIELD]: record["id"] for record in answer["records"]}

    def _oldest_of_twins(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """The first row of each job that has several, by job id."""
        from pyairtable.formulas import EQ, OR, Field

        same_job = OR(*(EQ(Field(KEY_FIELD), row[KEY_FIELD]) for row in rows))
        found = self._called(lambda: self._table.all(formula=same_job, fields=[KEY_FIELD]))
        by_job: dict[str, list[str]] = {}
        for record in sorted(found, key=lambda record: (record["createdTime"], record["id"])):
            by_job.setdefault(record["fields"][KEY_FIELD], []).append(record["id"])
        oldest = {}
        for job_id, (first, *others) in by_job.items():
            if others:
                oldest[job_id] = first
                LOG.warning(
                    "job %s has %d rows in Airtable; %s is kept up to date, delete %s by hand",
                    job_id,
                    1 + len(others),
                    first,
                    ", ".join(others),
                )
        return oldest

    def _called(self, call: Callable[[], Result]) -> Result:
        from requests import ConnectionError, HTTPError, Timeout
        from requests.exceptions import ChunkedEncodingError, JSONDecodeError

        time.sleep(max(0.0, self._next_call_at - time.monotonic()))
        self._next_call_at = time.monotonic() + CALL_EVERY_S
        try:
            return call()
        except HTTPError as error:
            raise self._error(error.response) from error
        except (ConnectionError, Timeout, ChunkedEncodingError, JSONDecodeError) as error:
            raise AirtableUnavailable(
                f"Airtable gave no answer, or half of one: {error}", retry_after_s=OUTAGE_PAUSE_S
            ) from error

    def _error(self, response: Response) -> AirtableError:
        status = response.status_code
        kind, said = error_of(response)
        told = f"Airtable answered {status} {kind}: {said}".rstrip(": ")
        if kind == OUT_OF_CALLS:
            return AirtableOutOfCalls(
                f"{told} Rows wait until next month, or for a bigger Airtable plan.",
                status=status,
                kind=kind,
            )
        if pause_s := _pause_s(status, kind, response.headers.get("Retry-After", "")):
            return AirtableUnavailable(told, retry_after_s=pause_s, status=status, kind=kind)
        return AirtableRefused(
            f"{told} {self._next_step(status, kind)}".rstrip(), status=status, kind=kind
        )

    def _next_step(self, status: int, kind: str) -> str:
        if status == 401:
            return (
                "The token is wrong, expired or revoked: make a new one at "
                "https://airtable.com/create/tokens and store it as the secret airtable-token."
            )
        if status in (403, 404):
            return (
                f"Check that base {self._base_id} has a table {self._table_name}, and that the "
                "token has that base and the scopes data.records:read and data.records:write. "
                "`slimreel airtable setup` says which of them it is."
            )
        return NEXT_STEPS.get(
            kind, "Airtable's own words say what is wrong; a full base is one cause."
        )


def error_of(response: Response) -> tuple[str, str]:
    """The type and the message of an error, whichever shape Airtable gave it; "" where absent."""
    try:
        body = response.json()
    except ValueError:
        return "", response.reason or ""
    if not isinstance(body, dict):
        return "", response.reason or ""
    error = body.get("error") or next(iter(body.get("errors") or []), "")
    if isinstance(error, dict):
        kind = error.get("type") or error.get("error") or ""
        return str(kind), str(error.get("message") or "")
    return str(error), ""


def _pause_s(status: int, kind: str, retry_after: str) -> float | None:
    """How long to wait before the same call can work; None when it never will.

    Airtable documents Retry-After for 503 only; where it comes, it counts.
    """
    asked_s = float(retry_after) if retry_after.isdecimal() else 0.0
    if status == 429:
        return max(PENALTY_S, asked_s)
    if status in (500, 502, 503, 504):
        return asked_s or OUTAGE_PAUSE_S
    return RACE_PAUSE_S if kind == ROW_IS_GONE else None


def _check(rows: Sequence[Mapping[str, Any]]) -> None:
    job_ids = [row.get(KEY_FIELD) for row in rows]
    if len(rows) > MAX_ROWS_PER_CALL:
        raise ValueError(f"{len(rows)} rows; one call takes {MAX_ROWS_PER_CALL}")
    # Airtable would make a new row each time for an empty key.
    if not all(job_ids):
        raise ValueError(f"a row without {KEY_FIELD}")
    if len(set(job_ids)) < len(job_ids):
        raise ValueError(f"two rows with the same {KEY_FIELD}")
