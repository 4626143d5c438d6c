"""Which fields can be made, and with which options.

Source: https://airtable.com/developers/web/api/field-model
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import available_timezones

from slimreel.local.airtable import errors
from slimreel.local.airtable.store import Column, new_id

Options = Mapping[str, Any]

DATE_FORMATS = {
    "local": "l",
    "friendly": "LL",
    "us": "M/D/YYYY",
    "european": "D/M/YYYY",
    "iso": "YYYY-MM-DD",
}
TIME_FORMATS = {"12hour": "h:mma", "24hour": "HH:mm"}
DURATION_FORMATS = ("h:mm", "h:mm:ss", "h:mm:ss.S", "h:mm:ss.SS", "h:mm:ss.SSS")
HUES = ("blue", "cyan", "teal", "green", "yellow", "orange", "red", "pink", "purple", "gray")
CHOICE_COLOURS = tuple(
    f"{hue}{shade}" for hue in HUES for shade in ("Light2", "Light1", "Bright", "Dark1")
)
CHECKBOX_COLOURS = tuple(f"{hue}Bright" for hue in HUES)
CHECKBOX_ICONS = ("check", "xCheckbox", "star", "heart", "thumbsUp", "flag", "dot")
RATING_ICONS = ("star", "heart", "thumbsUp", "flag", "dot")

COMPUTED = frozenset(
    [
        "formula",
        "rollup",
        "count",
        "lookup",
        "multipleLookupValues",
        "autoNumber",
        "createdTime",
        "lastModifiedTime",
        "createdBy",
        "lastModifiedBy",
        "button",
        "aiText",
        "externalSyncSource",
    ]
)
"""Fields without a write format. The API does not make them."""

NOT_BUILT = frozenset(
    [
        "multipleAttachments",
        "multipleRecordLinks",
        "singleCollaborator",
        "multipleCollaborators",
        "barcode",
    ]
)
"""Airtable makes these; the stand-in does not."""

PRIMARY = frozenset(
    [
        "singleLineText",
        "multilineText",
        "email",
        "url",
        "phoneNumber",
        "number",
        "currency",
        "percent",
        "duration",
        "date",
        "dateTime",
    ]
)
"""Types taken for a table's first field. Airtable publishes no list; this is the careful part."""


def column_from(body: object, *, primary: bool = False) -> Column:
    """Read one field of a create request.

    Raises:
        Refusal: no name, a type that cannot be made, or options that do not fit it.
    """
    if not isinstance(body, dict) or set(body) - {"name", "type", "description", "options"}:
        raise errors.invalid_request()
    name, kind, description = body.get("name"), body.get("type"), body.get("description")
    if not isinstance(name, str) or not name.strip():
        raise errors.duplicate_or_empty_field_name(str(name or ""))
    if not isinstance(kind, str) or not isinstance(description, str | None):
        raise errors.invalid_request()
    if kind in COMPUTED:
        raise errors.uncreatable_type(name, kind)
    if kind in NOT_BUILT:
        raise errors.not_built(f"fields of type {kind}")
    if kind not in OPTIONS or (primary and kind not in PRIMARY):
        raise errors.invalid_request()
    return Column(
        id=new_id("fld"),
        name=name.strip(),
        type=kind,
        description=description,
        options=_options(name, kind, body.get("options")),
    )


def _options(name: str, kind: str, given: object) -> dict[str, Any] | None:
    read = OPTIONS[kind]
    if read is None:
        if given:
            raise errors.invalid_options(name, f"{name}.options is not allowed for {kind}")
        return None
    if not isinstance(given, dict):
        raise errors.invalid_options(name, f"{name}.options is missing")
    try:
        return read(given)
    except (KeyError, TypeError, ValueError) as wrong:
        raise errors.invalid_options(name, f"{name}.options: {wrong}") from wrong


def _only(given: Options, *names: str) -> None:
    if extra := sorted(set(given) - set(names)):
        raise ValueError(f"unknown {', '.join(extra)}")


def _one_of(value: Any, allowed: Any, what: str) -> Any:
    if isinstance(value, bool) or value not in allowed:
        raise ValueError(f"{what} cannot be {value!r}")
    return value


def _number(given: Options) -> dict[str, Any]:
    _only(given, "precision")
    return {"precision": _one_of(given["precision"], range(9), "precision")}


def _currency(given: Options) -> dict[str, Any]:
    _only(given, "precision", "symbol")
    if not isinstance(given["symbol"], str):
        raise ValueError("symbol must be text")
    return {
        "precision": _one_of(given["precision"], range(8), "precision"),
        "symbol": given["symbol"],
    }


def _duration(given: Options) -> dict[str, Any]:
    _only(given, "durationFormat")
    return {"durationFormat": _one_of(given["durationFormat"], DURATION_FORMATS, "durationFormat")}


def _rating(given: Options) -> dict[str, Any]:
    _only(given, "icon", "max", "color")
    return {
        "icon": _one_of(given["icon"], RATING_ICONS, "icon"),
        "max": _one_of(given["max"], range(1, 11), "max"),
        "color": _one_of(given["color"], CHECKBOX_COLOURS, "color"),
    }


def _checkbox(given: Options) -> dict[str, Any]:
    _only(given, "icon", "color")
    return {
        "icon": _one_of(given["icon"], CHECKBOX_ICONS, "icon"),
        "color": _one_of(given["color"], CHECKBOX_COLOURS, "color"),
    }


def _format(given: Options, formats: Mapping[str, str], what: str) -> dict[str, str]:
    name = _one_of(given["name"], formats, what)
    if given.get("format", formats[name]) != formats[name]:
        raise ValueError(f"{what} {name!r} is written {formats[name]!r}")
    return {"name": name, "format": formats[name]}


def _date(given: Options) -> dict[str, Any]:
    _only(given, "dateFormat")
    return {"dateFormat": _format(given["dateFormat"], DATE_FORMATS, "dateFormat")}


def _date_time(given: Options) -> dict[str, Any]:
    _only(given, "dateFormat", "timeFormat", "timeZone")
    return {
        "dateFormat": _format(given["dateFormat"], DATE_FORMATS, "dateFormat"),
        "timeFormat": _format(given["timeFormat"], TIME_FORMATS, "timeFormat"),
        "timeZone": _one_of(
            given["timeZone"],
            {"utc", "client"} | {z for z in available_timezones() if "/" in z},
            "timeZone",
        ),
    }


def _choices(given: Options) -> dict[str, Any]:
    _only(given, "choices")
    choices = [_choice(choice) for choice in given["choices"]]
    if len({choice["name"] for choice in choices}) < len(choices):
        raise ValueError("two choices have the same name")
    return {"choices": choices}


def _choice(given: Options) -> dict[str, Any]:
    _only(given, "name", "color")
    if not isinstance(given["name"], str) or not given["name"].strip():
        raise ValueError("a choice needs a name")
    return new_choice(
        given["name"].strip(), _one_of(given.get("color", "blueLight2"), CHOICE_COLOURS, "color")
    )


def new_choice(name: str, colour: str = "blueLight2") -> dict[str, Any]:
    """A select option as the API shows it."""
    return {"id": new_id("sel"), "name": name, "color": colour}


OPTIONS: Mapping[str, Callable[[Options], dict[str, Any]] | None] = {
    "singleLineText": None,
    "multilineText": None,
    "richText": None,
    "email": None,
    "url": None,
    "phoneNumber": None,
    "number": _number,
    "percent": _number,
    "currency": _currency,
    "duration": _duration,
    "rating": _rating,
    "checkbox": _checkbox,
    "date": _date,
    "dateTime": _date_time,
    "singleSelect": _choices,
    "multipleSelects": _choices,
}
"""Every type the stand-in makes, with the reader of its options; None where it has none."""
