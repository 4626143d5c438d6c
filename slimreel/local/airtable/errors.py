"""Every way the API says no, as one exception with the body it answers.

Two shapes are in use: `{"error": {"type", "message"}}` and the bare `{"error": "NOT_FOUND"}`.
Statuses follow https://airtable.com/developers/web/api/errors; types and texts
marked (seen) were captured from the live API in public bug reports, those marked (chosen) are
ours because no capture is known: clients must not depend on them.
"""

from __future__ import annotations

import json

from werkzeug import Response

OUT_OF_CALLS = "PUBLIC_API_BILLING_LIMIT_EXCEEDED"


class Refusal(Exception):
    """The request ends here with this answer."""

    def __init__(self, status: int, kind: str, message: str | None = None) -> None:
        super().__init__(f"{status} {kind}: {message or ''}")
        self.status = status
        self.kind = kind
        self.message = message

    def response(self) -> Response:
        error = {"type": self.kind, "message": self.message} if self.message else self.kind
        return answer({"error": error}, self.status)


def answer(body: object, status: int = 200) -> Response:
    """A JSON response as the API sends it."""
    return Response(
        json.dumps(body),
        status=status,
        content_type="application/json; charset=utf-8",
    )


def not_json() -> Refusal:
    return Refusal(400, "INVALID_REQUEST_BODY", "Could not parse request body")


def not_authenticated() -> Refusal:
    return Refusal(401, "AUTHENTICATION_REQUIRED", "Authentication required")


def not_permitted_or_not_there() -> Refusal:
    """A missing scope and an unknown base, table or record look alike on purpose.

    Source: https://airtable.com/developers/web/api/changelog, 2023-03-08.
    """
    return Refusal(
        403,
        "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "Invalid permissions, or the requested model was not found. Check that both your user "
        "and your token have the required permissions, and that the model names and/or ids are "
        "correct.",
    )


def no_such_route() -> Refusal:
    """Also a resource that was deleted, and an id that is not shaped like one."""
    return Refusal(404, "NOT_FOUND")


def url_too_long() -> Refusal:
    """Status and type (chosen); the limit is documented."""
    return Refusal(414, "INVALID_REQUEST_UNKNOWN", "The URL must be shorter than 16,000 characters")


def invalid_request() -> Refusal:
    """(seen)"""
    return Refusal(
        422,
        "INVALID_REQUEST_UNKNOWN",
        "Invalid request: parameter validation failed. Check your request data.",
    )


def missing_in_body(name: str) -> Refusal:
    """(seen)"""
    return Refusal(
        422, "INVALID_REQUEST_MISSING_FIELDS", f'Could not find field "{name}" in the request body'
    )


def too_many_records(count: int, verb: str) -> Refusal:
    """(seen) for "created": https://github.com/gtalarico/pyairtable/pull/144."""
    return Refusal(
        422,
        "INVALID_RECORDS",
        f"A maximum of 10 records can be {verb} per request but you have provided {count}.",
    )


def too_many_webhooks() -> Refusal:
    """Type and text (chosen); the number is documented."""
    return Refusal(422, "TOO_MANY_WEBHOOKS_IN_BASE", "Too many webhooks in this base")


def unknown_field(name: str) -> Refusal:
    """(seen)"""
    return Refusal(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')


def unacceptable_value(field: str) -> Refusal:
    """(seen)"""
    return Refusal(
        422, "INVALID_VALUE_FOR_COLUMN", f'Field "{field}" cannot accept the provided value'
    )


def unparsable_value(field: str, value: object, kind: str = "value") -> Refusal:
    """(seen)"""
    return Refusal(
        422, "INVALID_VALUE_FOR_COLUMN", f'Cannot parse {kind} "{value}" for field {field}'
    )


def unknown_choice(value: str) -> Refusal:
    """(seen), doubled quotes and all."""
    return Refusal(
        422,
        "INVALID_MULTIPLE_CHOICE_OPTIONS",
        f'Insufficient permissions to create new select option ""{value}""',
    )


def record_not_in_table(record_id: str) -> Refusal:
    """(seen): https://github.com/domdomegg/airtable-mcp-server/issues/28."""
    return Refusal(422, "ROW_DOES_NOT_EXIST", f"Record ID {record_id} does not exist in this table")


def ambiguous_upsert() -> Refusal:
    """That the request fails is documented; status, type and text are (chosen).

    Source: https://airtable.com/developers/web/api/update-multiple-records
    """
    return invalid_request()


def base_is_full(limit: int) -> Refusal:
    """Type and text (chosen)."""
    return Refusal(
        422, "RECORD_LIMIT_EXCEEDED", f"This base has reached its limit of {limit:,} records."
    )


def invalid_formula(detail: str = "Invalid formula. Please check your formula text.") -> Refusal:
    """(seen): https://github.com/victorhahn/airtable-plus/issues/2."""
    return Refusal(
        422,
        "INVALID_FILTER_BY_FORMULA",
        f"The formula for filtering records is invalid: {detail}",
    )


def invalid_offset(offset: str) -> Refusal:
    return Refusal(422, "INVALID_OFFSET_VALUE", f"The value of offset {offset} is invalid")


def expired_offset() -> Refusal:
    """The type is (seen), the text (chosen)."""
    return Refusal(
        422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "The offset has expired. List again."
    )


def unknown_view(view: str) -> Refusal:
    return Refusal(422, "VIEW_NAME_NOT_FOUND", f"View {view} not found")


def duplicate_table_name(name: str) -> Refusal:
    return Refusal(422, "DUPLICATE_TABLE_NAME", f'There is already a table named "{name}"')


def duplicate_or_empty_field_name(name: str) -> Refusal:
    return Refusal(
        422, "DUPLICATE_OR_EMPTY_FIELD_NAME", f'There is already a field named "{name}", or no name'
    )


def uncreatable_type(field: str, kind: str) -> Refusal:
    """(seen)"""
    return Refusal(
        422,
        "UNSUPPORTED_FIELD_TYPE_FOR_CREATE",
        f"Invalid options for {field}: Creating {kind} fields is not supported at this time",
    )


def invalid_options(field: str, detail: str) -> Refusal:
    """(seen) for a missing `options`."""
    return Refusal(
        422,
        "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE",
        f"Invalid options for {field}: Failed schema validation: {detail}",
    )


def rate_limited() -> Refusal:
    """Source of the text: https://airtable.com/developers/web/api/rate-limits"""
    return Refusal(429, "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later")


def out_of_monthly_calls() -> Refusal:
    """(seen)"""
    return Refusal(
        429,
        OUT_OF_CALLS,
        "API billing plan limit exceeded. You've reached the maximum number of requests allowed "
        "for this month.",
    )


def not_built(what: str) -> Refusal:
    """The stand-in, not Airtable, cannot do this."""
    return Refusal(501, "NOT_IMPLEMENTED", f"The Airtable stand-in does not do this: {what}")
