"""changes.* and channels.stop: the change logs and their notifications.

Source: https://developers.google.com/workspace/drive/api/guides/about-changes
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

from werkzeug import Response

from slimreel.local.drive import fields, resources
from slimreel.local.drive.call import Call, answer
from slimreel.local.drive.channels import Channels
from slimreel.local.drive.errors import invalid_value
from slimreel.local.drive.files_api import FilesApi
from slimreel.local.drive.library import Library
from slimreel.local.drive.records import LogEntry

#: A page token of a shared drive's log is its number times this, and the drive's mark.
_MARKS = 1_000_000


class ChangesApi:
    """The change log of the account that the folder is shared with, and those of shared drives.

    Google's own tells an account that is a member of a shared drive about some of what happens
    there, and says that this is not to be relied on; here it tells nothing. What is shared with one
    that is no member is in its own log only, and the drive's is not shown to it.
    Source: https://developers.google.com/workspace/drive/api/guides/about-changelogs
    """

    def __init__(
        self, library: Library, channels: Channels, files: FilesApi, base_url: str
    ) -> None:
        self._library = library
        self._channels = channels
        self._files = files
        self._base_url = base_url
        self.calls: dict[str, Callable[[Call], Response]] = {
            "changes.getStartPageToken": self._start_page_token,
            "changes.list": self._list,
            "changes.watch": self._watch,
            "channels.stop": self._stop,
        }

    def _start_page_token(self, call: Call) -> Response:
        with self._library.lock:
            token = _token(self._library.records.next_number(), call)
        body = {"kind": "drive#startPageToken", "startPageToken": token}
        return answer(fields.apply(call.mask({"*": None}, "StartPageToken"), body))

    def _list(self, call: Call) -> Response:
        mask = call.mask(resources.DEFAULT_CHANGES, "ChangeList")
        size = call.args.get("pageSize", 100)
        with self._library.lock:
            first, end = self._number(call), self._library.records.next_number()
            log = self._library.records.entries(first, call.args.get("driveId"))
            wanted = (self._as_seen(e, call) for e in log if _is_wanted(e, call))
            entries = [entry for entry in wanted if self._is_shown(entry, call)]
            page = list(islice(entries, size))
            changes = [resources.change_json(entry, self._file(entry, call)) for entry in page]
        body: dict[str, Any] = {"kind": "drive#changeList", "changes": changes}
        if len(entries) > size:
            body["nextPageToken"] = _token(page[-1].number + 1, call)
        else:
            body["newStartPageToken"] = _token(end, call)
        return answer(fields.apply(mask, body))

    def _watch(self, call: Call) -> Response:
        with self._library.lock:
            number = self._number(call)
        uri = f"{self._base_url}/drive/v3/changes?alt=json&pageToken={number}"
        body = self._channels.watch_log(call.body(), uri)
        return answer(fields.apply(call.mask({"*": None}, "Channel"), body))

    def _stop(self, call: Call) -> Response:
        self._channels.stop(call.body())
        return Response(status=204)

    def _number(self, call: Call) -> int:
        """Read the page token. One of a log that was reset lies in the future."""
        token = call.args["pageToken"]
        if not re.fullmatch(r"[0-9]{1,18}", token):
            raise invalid_value("pageToken")
        number, mark = divmod(int(token), _MARKS) if call.args.get("driveId") else (int(token), 0)
        if mark != _mark(call) or number > self._library.records.next_number():
            raise invalid_value("pageToken")
        return number

    def _as_seen(self, entry: LogEntry, call: Call) -> LogEntry:
        """What left a shared drive with a folder around it is gone for the drive's log."""
        record, drive_id = self._library.records.get(entry.file_id), call.args.get("driveId")
        if drive_id and record and self._library.shared_drive_of(record) != drive_id:
            return replace(entry, removed=True)
        return entry

    def _is_shown(self, entry: LogEntry, call: Call) -> bool:
        record = None if entry.removed else self._library.records.get(entry.file_id)
        if record is None:
            return True
        is_elsewhere = not call.args.get("driveId") and self._library.is_member
        if is_elsewhere and self._library.shared_drive_of(record):
            return False
        return self._files.is_shown(record, call)

    def _file(self, entry: LogEntry, call: Call) -> dict[str, Any] | None:
        record = None if entry.removed else self._library.records.get(entry.file_id)
        return None if record is None else self._files.json(record, call)


def _token(number: int, call: Call) -> str:
    """A page token is good for one log only."""
    return str(number * _MARKS + _mark(call)) if call.args.get("driveId") else str(number)


def _mark(call: Call) -> int:
    drive_id = call.args.get("driveId")
    return zlib.crc32(drive_id.encode()) % (_MARKS - 1) + 1 if drive_id else 0


def _is_wanted(entry: LogEntry, call: Call) -> bool:
    if entry.removed and not call.args.get("includeRemoved", True):
        return False
    # What others share is not in "My Drive" unless it was added there by hand.
    return not (call.args.get("restrictToMyDrive") and call.identity.is_service_account)
