"""The metadata a caller sends with files.create and files.update."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from slimreel.local.drive import contract
from slimreel.local.drive.errors import Refusal, invalid_value, not_modelled
from slimreel.local.drive.records import Record

#: Read by the callers of this module: where the file goes and what it is.
_PLACE = frozenset(("id", "kind", "name", "mimeType", "parents", "shortcutDetails", "trashed"))
_READ_ONLY = frozenset(
    """capabilities driveId explicitlyTrashed fileExtension fullFileExtension headRevisionId
    lastModifyingUser md5Checksum ownedByMe owners quotaBytesUsed sha1Checksum sha256Checksum
    shared size spaces teamDriveId trashedTime version videoMediaMetadata webContentLink
    webViewLink""".split()  # noqa: SIM905
)


def check(body: dict[str, Any]) -> None:
    """Refuse fields that Drive does not have, does not let anyone set, or that are not modelled.

    Raises:
        Refusal: 400, 403 fieldNotWritable, or 501.
    """
    known = contract.schema("File")["properties"]
    for name in body:
        if name not in known:
            message = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            raise Refusal(400, "badRequest", message)
        if name in _READ_ONLY:
            message = "The resource body includes fields which are not directly writable."
            raise Refusal(403, "fieldNotWritable", message)
        if name not in _PLACE and name not in _FIELDS:
            raise not_modelled(f"setting the file field {name!r}")


def record_values(body: dict[str, Any], before: Record | None = None) -> dict[str, Any]:
    """Return the `Record` fields that `body` sets, beside where the file lies and its name."""
    values: dict[str, Any] = {}
    for name, value in body.items():
        if name in _FIELDS:
            field = _FIELDS[name]
            values[field] = _value(name, value, getattr(before, field, None))
    return values


_FIELDS = {
    "description": "description",
    "starred": "starred",
    "properties": "properties_json",
    "appProperties": "app_properties_json",
    "createdTime": "created_ms",
    "modifiedTime": "modified_ms",
    "copyRequiresWriterPermission": "download_forbidden",
}


def _value(name: str, value: Any, before: Any) -> Any:
    match name:
        case "description" if isinstance(value, str):
            return value
        case "starred" | "copyRequiresWriterPermission" if isinstance(value, bool):
            return value
        case "createdTime" | "modifiedTime" if isinstance(value, str):
            return _time_ms(name, value)
        case "properties" | "appProperties" if isinstance(value, dict):
            merged = json.loads(before or "{}") | value  # null takes a property away
            return json.dumps({key: text for key, text in merged.items() if text is not None})
        case _:
            raise invalid_value(name)


def _time_ms(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_value(name) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
