"""Cell values: what a field accepts, and what typecast makes of a string.

Each reader returns the value to keep, or None to clear the cell: Airtable never shows "", [] or
false. Source: https://airtable.com/developers/web/api/field-model
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from slimreel.local.airtable import errors
from slimreel.local.airtable.fields import CHOICE_COLOURS, new_choice
from slimreel.local.airtable.store import Column


def read_cell(column: Column, value: Any, *, typecast: bool) -> tuple[Any, Column]:
    """Check one value on its way in.

    Returns:
        What to keep (None clears the cell), and the field, which has a new select option when
        `typecast` had to make one.

    Raises:
        Refusal: the field does not accept the value.
    """
    if value is None:
        return None, column
    if column.type in ("singleSelect", "multipleSelects"):
        return _select(column, value, typecast=typecast)
    return READERS[column.type](column, value, typecast), column


def _text(column: Column, value: Any, typecast: bool) -> str | None:
    if typecast and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise errors.unacceptable_value(column.name)
    # Half a surrogate pair, as broken file names carry, cannot be written as UTF-8.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") or None


def _number(column: Column, value: Any, typecast: bool) -> int | float | None:
    if isinstance(value, str) and typecast:
        if not value.strip():
            return None
        value = _parsed_number(column, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise errors.unacceptable_value(column.name)
    return value


def _parsed_number(column: Column, text: str) -> float:
    plain = text.strip().replace(",", "").lstrip("$")
    scale = 0.01 if column.type == "percent" and plain.endswith("%") else 1
    try:
        number = float(plain.rstrip("%")) * scale
    except ValueError:
        raise errors.unparsable_value(column.name, text) from None
    if not math.isfinite(number):
        raise errors.unparsable_value(column.name, text)
    return number


def _rating(column: Column, value: Any, typecast: bool) -> int | None:
    number = _number(column, value, typecast)
    if number is None:
        return None
    assert column.options is not None
    if number != int(number) or not 1 <= number <= column.options["max"]:
        raise errors.unacceptable_value(column.name)
    return int(number)


def _checkbox(column: Column, value: Any, typecast: bool) -> bool | None:
    if typecast and isinstance(value, str):
        value = {
            "true": True,
            "checked": True,
            "1": True,
            "false": False,
            "0": False,
            "": False,
        }.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise errors.unparsable_value(column.name, value)
    return value or None


def _date(column: Column, value: Any, typecast: bool) -> str | None:
    if typecast and value == "":
        return None
    if not isinstance(value, str):
        raise errors.unacceptable_value(column.name)
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        raise errors.unparsable_value(column.name, value, "date value") from None


def _date_time(column: Column, value: Any, typecast: bool) -> str | None:
    if typecast and value == "":
        return None
    if not isinstance(value, str):
        raise errors.unacceptable_value(column.name)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise errors.unparsable_value(column.name, value, "date value") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(column))
    return instant(moment)


def _zone(column: Column) -> tzinfo:
    assert column.options is not None
    name = column.options["timeZone"]
    # "client" is the zone of whoever looks; the API is nobody's screen and counts in UTC.
    return UTC if name in ("utc", "client") else ZoneInfo(name)


def instant(moment: datetime) -> str:
    """A moment as Airtable writes it: UTC, milliseconds, Z."""
    in_utc = moment.astimezone(UTC).replace(tzinfo=None)
    return in_utc.isoformat(timespec="milliseconds") + "Z"


def _select(column: Column, value: Any, *, typecast: bool) -> tuple[Any, Column]:
    single = column.type == "singleSelect"
    if typecast and isinstance(value, str):
        names: Any = [value.strip()] if single else [part.strip() for part in value.split(",")]
        names = [name for name in names if name]
    else:
        names = [value] if single else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise errors.unacceptable_value(column.name)
    for name in names:
        column = _with_choice(column, name, typecast=typecast)
    if single:
        return (names[0] if names else None), column
    return list(dict.fromkeys(names)) or None, column


def _with_choice(column: Column, name: str, *, typecast: bool) -> Column:
    assert column.options is not None
    choices = column.options["choices"]
    if any(choice["name"] == name for choice in choices):
        return column
    if not typecast:
        raise errors.unknown_choice(name)
    colour = CHOICE_COLOURS[4 * len(choices) % len(CHOICE_COLOURS)]
    return replace(
        column, options={**column.options, "choices": [*choices, new_choice(name, colour)]}
    )


READERS: dict[str, Callable[[Column, Any, bool], Any]] = {
    "singleLineText": _text,
    "multilineText": _text,
    "richText": _text,
    "email": _text,
    "url": _text,
    "phoneNumber": _text,
    "number": _number,
    "percent": _number,
    "currency": _number,
    "duration": _number,
    "rating": _rating,
    "checkbox": _checkbox,
    "date": _date,
    "dateTime": _date_time,
}
