"""changes.* and channels.stop: the change log and its notifications.

Source: https://developers.google.com/workspace/drive/api/guides/about-changes
"""

from __future__ import annotations

import re
from collections.abc import Callable
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


class ChangesApi:
    """The one change log: of the account the folder is shared with."""

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
            token = str(self._library.records.next_number())
        body = {"kind": "drive#startPageToken", "startPageToken": token}
        return answer(fields.apply(call.mask({"*": None}, "StartPageToken"), body))

    def _list(self, call: Call) -> Response:
        mask = call.mask(resources.DEFAULT_CHANGES, "ChangeList")
        size = call.args.get("pageSize", 100)
        with self._library.lock:
            first, end = self._number(call), self._library.records.next_number()
            wanted = (e for e in self._library.records.entries(first) if _is_wanted(e, call))
            entries = [entry for entry in wanted if self._is_shown(entry, call)]
            page = list(islice(entries, size))
            changes = [resources.change_json(entry, self._file(entry, call)) for entry in page]
        body: dict[str, Any] = {"kind": "drive#changeList", "changes": changes}
        if len(entries) > size:
            body["nextPageToken"] = str(page[-1].number + 1)
        else:
            body["newStartPageToken"] = str(end)
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
        if int(token) > self._library.records.next_number():
            raise invalid_value("pageToken")
        return int(token)

    def _is_shown(self, entry: LogEntry, call: Call) -> bool:
        record = None if entry.removed else self._library.records.get(entry.file_id)
        return record is None or self._files.is_shown(record, call)

    def _file(self, entry: LogEntry, call: Call) -> dict[str, Any] | None:
        record = None if entry.removed else self._library.records.get(entry.file_id)
        return None if record is None else self._files.json(record, call)


def _is_wanted(entry: LogEntry, call: Call) -> bool:
    if entry.removed and not call.args.get("includeRemoved", True):
        return False
    # What others share is not in "My Drive" unless it was added there by hand.
    return not (call.args.get("restrictToMyDrive") and call.identity.is_service_account)
