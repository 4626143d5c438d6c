"""Records in Drive's own JSON.

Source: https://developers.google.com/workspace/drive/api/reference/rest/v3/files
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from slimreel.local.drive import fields
from slimreel.local.drive.records import SHORTCUT_TYPE, LogEntry, Person, Record

#: The fields of `File` this stand-in fills; asking for another one by name is refused.
MODELLED_FIELDS = frozenset(
    (
        "appProperties",
        "capabilities",
        "copyRequiresWriterPermission",
        "createdTime",
        "description",
        "driveId",
        "explicitlyTrashed",
        "fileExtension",
        "fullFileExtension",
        "headRevisionId",
        "id",
        "kind",
        "lastModifyingUser",
        "md5Checksum",
        "mimeType",
        "modifiedTime",
        "name",
        "originalFilename",
        "ownedByMe",
        "owners",
        "parents",
        "properties",
        "quotaBytesUsed",
        "resourceKey",
        "sha1Checksum",
        "sha256Checksum",
        "shared",
        "shortcutDetails",
        "size",
        "spaces",
        "starred",
        "trashed",
        "version",
        "videoMediaMetadata",
        "webViewLink",
    )
)

#: What Drive answers when `fields` is absent.
DEFAULT_FILE = fields.parse("kind,id,name,mimeType,resourceKey")
DEFAULT_LIST = fields.parse("kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)")
DEFAULT_CHANGES = fields.parse(
    "kind,nextPageToken,newStartPageToken,"
    "changes(kind,removed,fileId,time,type,changeType,file(kind,id,name,mimeType))"
)

_1970 = datetime(1970, 1, 1, tzinfo=UTC)


def file_json(
    record: Record,
    *,
    me: str,
    base_url: str,
    target: Record | None,
    shared_drive: str | None = None,
    read_only: bool = False,
) -> dict[str, Any]:
    """Return the whole File resource as the account `me` (an email) sees it.

    Args:
        target: what a shortcut leads to, if that is still there.
        shared_drive: the id of the shared drive it is in.
        read_only: it was shared with this account for looking only.
    """
    owner = Person(name=record.owner_name, email=record.owner_email)
    modifier = Person(name=record.modifier_name, email=record.modifier_email)
    answer: dict[str, Any] = {
        "kind": "drive#file",
        "id": record.file_id,
        "name": record.name,
        "mimeType": record.mime_type,
        "description": record.description,
        "starred": record.starred,
        "trashed": record.trashed,
        "explicitlyTrashed": record.bin_root,
        "parents": [record.parent_id] if record.parent_id else None,
        "properties": json.loads(record.properties_json) or None,
        "appProperties": json.loads(record.app_properties_json) or None,
        "spaces": ["drive"],
        "version": str(record.version),
        "webViewLink": _view_link(record, base_url),
        "createdTime": rfc3339(record.created_ms),
        "modifiedTime": rfc3339(record.modified_ms),
        "owners": [user_json(owner, me)],
        "lastModifyingUser": user_json(modifier, me),
        "ownedByMe": record.owner_email == me,
        "shared": True,
        "copyRequiresWriterPermission": record.download_forbidden,
        "capabilities": _capabilities(record, me, shared_drive is not None, read_only),
        "quotaBytesUsed": str(record.size_bytes or 0),
    }
    if record.has_content:
        answer |= _content(record)
    if shared_drive is not None:  # owned by nobody, says the contract, and shared with members
        answer |= {"driveId": shared_drive, "owners": None, "ownedByMe": None, "shared": None}
        if record.file_id == shared_drive:
            answer["parents"] = None
    if record.mime_type == SHORTCUT_TYPE:
        answer["shortcutDetails"] = {
            "targetId": record.target_id,
            **({"targetMimeType": target.mime_type} if target else {}),
        }
    return {key: value for key, value in answer.items() if value is not None}


def change_json(entry: LogEntry, file: dict[str, Any] | None) -> dict[str, Any]:
    answer = {
        "kind": "drive#change",
        "type": "file",
        "changeType": "file",
        "time": rfc3339(entry.time_ms),
        "removed": entry.removed,
        "fileId": entry.file_id,
    }
    return answer if file is None else answer | {"file": file}


def user_json(person: Person, me: str) -> dict[str, Any]:
    return {
        "kind": "drive#user",
        "displayName": person.name,
        "me": person.email == me,
        # Made up, but always the same for one account.
        "permissionId": str(int.from_bytes(person.email.encode()[:8].ljust(8, b"0"), "big")),
        "emailAddress": person.email,
    }


def rfc3339(time_ms: int) -> str:
    moment = _1970 + timedelta(milliseconds=time_ms)
    # strftime drops the zeros of early years; isoformat keeps them.
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _content(record: Record) -> dict[str, Any]:
    _, dot, extension = record.name.rpartition(".")
    return {
        "size": str(record.size_bytes),
        "md5Checksum": record.md5,
        "sha1Checksum": record.sha1,
        "sha256Checksum": record.sha256,
        "headRevisionId": record.revision,
        "originalFilename": record.name,
        "fileExtension": extension if dot else "",
        "fullFileExtension": extension if dot else "",
        "videoMediaMetadata": json.loads(record.video_json) if record.video_json else None,
    }


def _capabilities(
    record: Record, me: str, is_shared_drive: bool, read_only: bool
) -> dict[str, bool]:
    mine = record.owner_email == me or (is_shared_drive and not read_only)
    return {
        "canDownload": mine or not record.download_forbidden,
        "canCopy": (mine or not record.download_forbidden) and not record.is_folder,
        "canEdit": not read_only,
        "canRename": not read_only,
        "canTrash": mine,
        "canDelete": mine,
        "canListChildren": record.is_folder,
        "canAddChildren": record.is_folder and not read_only,
    }


def _view_link(record: Record, base_url: str) -> str:
    # The path is Drive's; the host is here, so that a click on it works without Google.
    if record.is_folder:
        return f"{base_url}/drive/folders/{quote(record.file_id)}"
    return f"{base_url}/file/d/{quote(record.file_id)}/view?usp=drivesdk"
