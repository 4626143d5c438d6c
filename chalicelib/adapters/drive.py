"""Google Drive, as far as Slimreel needs it: files, the change log, push channels, bytes.

Errors are those of `drive_errors`. Every call says `supportsAllDrives`: without it, files of
shared drives look as if they did not exist.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.adapters import drive_download
from chalicelib.adapters.drive_errors import CallRefused, DriveError, FileGone, PageTokenInvalid
from chalicelib.adapters.drive_http import GoogleClients
from chalicelib.adapters.drive_retry import Retry
from chalicelib.domain.drive import Change, ChangePage, Channel, DriveFile
from chalicelib.domain.write_back import PROPERTY

LOG = logging.getLogger(__name__)

FILE_FIELDS = (
    "id,name,driveId,mimeType,size,md5Checksum,headRevisionId,parents,trashed,"
    "capabilities(canDownload,canAddChildren),properties,appProperties,"
    "owners(displayName,emailAddress),lastModifyingUser(displayName,emailAddress),createdTime,"
    "modifiedTime,webViewLink,shortcutDetails(targetId),"
    "videoMediaMetadata(durationMillis,width,height)"
)
#: The most that files.list and changes.list give at once. Source: Drive's discovery document.
_PAGE_SIZE = 1000
#: Of the change log: after each page its reader notes how far it came, within seconds.
_CHANGES_AT_A_TIME = 50
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


class Drive:
    """One Google account's view of Drive. Safe to share between threads."""

    def __init__(
        self,
        *,
        credentials_json: str,
        api_url: str,
        timeout_s: float = 60.0,
        stall_s: float = 20.0,
        retry: Retry | None = None,
    ) -> None:
        """Args:
        credentials_json: a service account's key file, or a stored `authorized_user`.
        api_url: "https://www.googleapis.com/", or where a stand-in listens.
        timeout_s: for connecting, and for each next byte of an answer.
        stall_s: for the same of a download, which can be taken up where it stopped.
        """
        self._clients = GoogleClients(credentials_json, api_url, timeout_s)
        self._stall_s = min(stall_s, timeout_s)
        self._retry = retry or Retry()

    def close(self) -> None:
        """Close all connections; a Lambda function never needs to."""
        self._clients.close()

    def get(self, file_id: str) -> DriveFile:
        """Return a file as it is now, also from the bin.

        Raises:
            FileGone: deleted, or not shared with us.
        """
        raw = self._call(
            lambda drive: drive.files().get(
                fileId=file_id, fields=FILE_FIELDS, supportsAllDrives=True
            )
        )
        return parse_file(raw)

    def list_folder(self, folder_id: str) -> Iterator[DriveFile]:
        """Yield what lies directly in a folder and not in the bin, page by page.

        A folder that does not exist or is not shared with us looks empty; `get` tells.
        """
        page_token = None
        while True:
            files, page_token = self.folder_page(folder_id, page_token)
            yield from files
            if page_token is None:
                return

    def folder_page(
        self, folder_id: str, page_token: str | None = None
    ) -> tuple[list[DriveFile], str | None]:
        """A page of `list_folder`, and where the next begins; None after the last.

        A page token is good for some hours.
        """
        page = self._list_page(folder_id, page_token)
        return [*_readable(page.get("files", ()))], page.get("nextPageToken") or None

    def start_page_token(self, drive_id: str | None = None) -> str:
        """Return the place in a change log from which everything is yet to come.

        Take it before listing a folder, so that nothing falls between the two.

        Args:
            drive_id: the shared drive whose log is meant; without, it is the account's own.

        Raises:
            FileGone, CallRefused: the account is no member of the shared drive, or it is gone.
        """
        raw = self._call(
            lambda drive: drive.changes().getStartPageToken(
                driveId=drive_id, supportsAllDrives=True, fields="startPageToken"
            )
        )
        return str(raw["startPageToken"])

    def changes(self, page_token: str, drive_id: str | None = None) -> ChangePage:
        """Return one page of what changed since `page_token`, oldest first.

        Args:
            drive_id: as for `start_page_token`, which gave the token of the same log.

        Raises:
            PageTokenInvalid: take a new start token, then list the whole folder.
        """
        fields = "nextPageToken,newStartPageToken,changes(changeType,removed,fileId,file({}))"
        try:
            raw = self._call(
                lambda drive: drive.changes().list(
                    pageToken=page_token,
                    driveId=drive_id,
                    pageSize=_CHANGES_AT_A_TIME,
                    fields=fields.format(FILE_FIELDS),
                    includeItemsFromAllDrives=True,
                    supportsAllDrives=True,
                    # A service account's own "My Drive" is empty: all it sees is shared with it.
                    restrictToMyDrive=False,
                )
            )
        except (FileGone, CallRefused) as error:
            if not _is_about_page_token(error):
                raise
            reason = "Google Drive no longer knows our place in its change log."
            raise PageTokenInvalid(reason, status=error.status, code=error.code) from error
        return ChangePage(
            changes=tuple(map(parse_change, filter(_is_file_change, raw.get("changes", ())))),
            next_page_token=raw.get("nextPageToken"),
            new_start_page_token=raw.get("newStartPageToken"),
        )

    def watch_changes(
        self, *, channel_id: str, token: str, address: str, expires_at: datetime, page_token: str
    ) -> Channel:
        """Have Drive POST to `address` whenever the change log grows.

        Its first message may arrive before this returns. Drive may end the channel earlier than
        asked for: read `expires_at` of the answer.

        Raises:
            ChannelIdTaken: open the channel under a new id.
            CallRefused: Drive does not like the address.
        """
        channel = {
            "id": channel_id,
            "type": "web_hook",
            "address": address,
            "token": token,
            "expiration": str((expires_at - _1970) // timedelta(milliseconds=1)),
        }
        raw = self._call(
            lambda drive: drive.changes().watch(
                pageToken=page_token,
                body=channel,
                includeItemsFromAllDrives=True,
                supportsAllDrives=True,
            )
        )
        return Channel(
            id=raw["id"],
            resource_id=raw["resourceId"],
            # A string by the contract, a number in Google's examples.
            expires_at=_1970 + timedelta(milliseconds=int(raw["expiration"])),
        )

    def stop_channel(self, *, channel_id: str, resource_id: str) -> None:
        """End a channel; one that Drive does not know has ended already."""
        body = {"id": channel_id, "resourceId": resource_id}
        try:
            self._call(lambda drive: drive.channels().stop(body=body))
        except FileGone:
            return

    def open_range(
        self, file_id: str, start: int, end_inclusive: int
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open the bytes `start` to `end_inclusive` of a file's content.

        Use it as `with drive.open_range(...) as chunks:`. Chunks are at most 1 MiB, memory stays
        flat, and the loop ends normally only after exactly the bytes asked for.

        Raises:
            FileGone, DownloadForbidden, QuotaExceeded: on entering.
            FileChanged: the file has become shorter than the range.
            DownloadCut: in the loop; go on from `start + received_bytes`.
        """
        return drive_download.open_range(
            self._clients, self._retry, file_id, start, end_inclusive, self._stall_s
        )

    def _list_page(self, folder_id: str, page_token: str | None) -> Any:
        return self._call(
            lambda drive: drive.files().list(
                q=f"{quoted(folder_id)} in parents and trashed = false",
                pageSize=_PAGE_SIZE,
                pageToken=page_token,
                fields=f"nextPageToken,files({FILE_FIELDS})",
                includeItemsFromAllDrives=True,
                supportsAllDrives=True,
            )
        )

    def _call(self, request: Callable[[Any], Any]) -> Any:
        return self._retry.run(lambda: self._clients.execute(request))


def parse_file(raw: dict[str, Any]) -> DriveFile:
    """Read a File resource. Numbers come as strings, and nearly every field may be absent."""
    owners = raw.get("owners") or [{}]
    modifier = raw.get("lastModifyingUser") or {}
    video = raw.get("videoMediaMetadata") or {}
    # Its own app's properties nobody else can change; all apps' are seen with other credentials.
    marked = {**(raw.get("properties") or {}), **(raw.get("appProperties") or {})}
    duration_ms = video.get("durationMillis")
    size = raw.get("size")
    return DriveFile(
        file_id=raw["id"],
        name=raw.get("name", ""),
        mime_type=raw.get("mimeType", "application/octet-stream"),
        size_bytes=None if size is None else int(size),
        md5=raw.get("md5Checksum"),
        head_revision_id=raw.get("headRevisionId"),
        parents=tuple(raw.get("parents") or ()),
        trashed=bool(raw.get("trashed", False)),
        can_download=bool((raw.get("capabilities") or {}).get("canDownload", True)),
        owner_email=owners[0].get("emailAddress"),
        uploader=_known_as(modifier) or _known_as(owners[0]),
        created_at=_time(raw.get("createdTime")),
        modified_at=_time(raw.get("modifiedTime")),
        web_view_url=raw.get("webViewLink"),
        shortcut_target_id=(raw.get("shortcutDetails") or {}).get("targetId"),
        video_duration_s=None if duration_ms is None else int(duration_ms) / 1000,
        video_width=_whole(video.get("width")),
        video_height=_whole(video.get("height")),
        can_add=bool((raw.get("capabilities") or {}).get("canAddChildren", True)),
        shared_drive_id=raw.get("driveId"),
        of_job=marked.get(PROPERTY),
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def parse_change(raw: dict[str, Any]) -> Change:
    """Read a Change resource; one without a file is as good as removed.

    One that cannot be read says so, because it must not hide the rest of its page.
    """
    file, file_id = raw.get("file"), str(raw["fileId"])
    if raw.get("removed") or file is None:
        return Change(file_id=file_id, removed=True, file=None)
    try:
        return Change(file_id=file_id, removed=False, file=parse_file(file))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = f"Drive's answer cannot be read: {type(error).__name__}: {error}"
        return Change(file_id=file_id, removed=False, file=None, unreadable=problem)


def _readable(files: Iterable[dict[str, Any]]) -> Iterator[DriveFile]:
    for raw in files:
        try:
            yield parse_file(raw)
        except (AttributeError, KeyError, TypeError, ValueError):
            LOG.exception("Drive file %s cannot be read", raw.get("id"))


def quoted(text: str) -> str:
    """Return `text` as a literal of Drive's search language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _known_as(user: dict[str, Any]) -> str | None:
    return user.get("displayName") or user.get("emailAddress")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _is_file_change(raw: dict[str, Any]) -> bool:
    return raw.get("changeType", "file") == "file" and "fileId" in raw


def _is_about_page_token(error: DriveError) -> bool:
    # Which status a bad token gets is not documented; 400, 404 and 410 have been seen.
    return error.status in (400, 404, 410)
