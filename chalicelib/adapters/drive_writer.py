"""What Slimreel changes in Google Drive, where a workflow's settings ask for it: it moves originals
into a folder of done ones, and writes results back. Nothing here deletes a file or changes the
content of one that Slimreel did not write.

Errors are those of `drive_errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from chalicelib.adapters import drive_upload
from chalicelib.adapters.drive import quoted
from chalicelib.adapters.drive_errors import CallRefused, UploadGone
from chalicelib.adapters.drive_http import WRITING, GoogleClients
from chalicelib.adapters.drive_retry import Retry
from chalicelib.domain.drive import DriveFile


class DriveWriter:
    """One Google account's rights to change things. Safe to share between threads."""

    def __init__(
        self,
        *,
        credentials_json: str,
        api_url: str,
        timeout_s: float = 60.0,
        retry: Retry | None = None,
    ) -> None:
        """Args: as for `Drive`."""
        self._clients = GoogleClients(credentials_json, api_url, timeout_s, WRITING)
        self._is_service_account = '"service_account"' in credentials_json
        self._retry = retry or Retry()

    def close(self) -> None:
        """Close all connections; a Lambda function never needs to."""
        self._clients.close()

    def move(self, file_id: str, *, into: str, out_of: Sequence[str]) -> None:
        """Put a file into another folder. Safe to repeat.

        Raises:
            FileGone: the file or the folder is not there, or not shared with us.
            CallRefused: it takes the right to edit the file and both folders.
        """
        leave = [folder for folder in out_of if folder != into]
        self._call(
            lambda drive: drive.files().update(
                fileId=file_id,
                addParents=into,
                removeParents=",".join(leave) or None,
                fields="id,parents",
                supportsAllDrives=True,
            )
        )

    def new_file_id(self) -> str:
        """An id for a file that is to be made: whoever makes it twice meets `FileExists`.

        Source: https://developers.google.com/workspace/drive/api/guides/create-file (generateIds)
        """
        raw = self._call(
            lambda drive: drive.files().generateIds(count=1, space="drive", type="files")
        )
        return str(raw["ids"][0])

    def has_name(self, folder_id: str, name: str) -> bool:
        """Whether something of this name lies in a folder, and not in the bin."""
        raw = self._call(
            lambda drive: drive.files().list(
                q=f"{quoted(folder_id)} in parents and trashed = false and name = {quoted(name)}",
                pageSize=1,
                fields="files(id)",
                includeItemsFromAllDrives=True,
                supportsAllDrives=True,
            )
        )
        return bool(raw.get("files"))

    def begin_upload(
        self,
        *,
        file_id: str,
        folder_id: str | None,
        name: str,
        mime_type: str,
        size_bytes: int,
        properties: Mapping[str, str],
    ) -> str:
        """Begin to send a file; returns the address of the upload, which is good for a week.

        Args:
            file_id: the id the new file gets, or that of the one whose content is replaced.
            folder_id: where a new file is made; None replaces content.
            properties: the file carries them for all apps to see, and once more for ours alone.

        Raises:
            FileExists: there is a file of this id already.
            FileGone: the folder is not there, or not shared with us.
            CallRefused: no right to add files there, or no room.
        """
        marks = {"properties": dict(properties), "appProperties": dict(properties)}
        new = {"id": file_id, "name": name, "parents": [folder_id], "mimeType": mime_type}
        with self._no_room_explained():
            return self._retry.run(
                lambda: drive_upload.begin(
                    self._clients,
                    file_id=file_id if folder_id is None else None,
                    metadata=marks if folder_id is None else new | marks,
                    mime_type=mime_type,
                    size_bytes=size_bytes,
                )
            )

    def send(
        self, session_url: str, *, start: int, body: bytes, size_bytes: int
    ) -> DriveFile | int:
        """Send the next piece of a file, once.

        Args:
            body: a multiple of 256 KiB, unless it is the last piece.
            size_bytes: of the whole file.

        Returns:
            The file, once Drive has all of it; else how many of its first bytes Drive has.

        Raises:
            UploadGone: begin another upload.
            DriveUnavailable: nobody knows how much arrived: ask by `sent`.
        """
        with self._no_room_explained():
            return drive_upload.put(
                self._clients, session_url, start=start, body=body, size_bytes=size_bytes
            )

    def sent(self, session_url: str, size_bytes: int) -> DriveFile | int:
        """The same answer, without sending anything.

        Raises: UploadGone
        """

        def ask() -> DriveFile | int | UploadGone:
            try:
                return drive_upload.put(
                    self._clients, session_url, start=0, body=b"", size_bytes=size_bytes
                )
            except UploadGone as gone:  # asking again would not bring it back
                return gone

        answer = self._retry.run(ask)
        if isinstance(answer, UploadGone):
            raise answer
        return answer

    @contextmanager
    def _no_room_explained(self) -> Iterator[None]:
        """Google says the same of a full account and of one that has no storage to begin with.

        Source: https://developers.google.com/workspace/drive/api/guides/about-shareddrives
        """
        try:
            yield
        except CallRefused as refused:
            if refused.code == "storageQuotaExceeded" and self._is_service_account:
                reason = "Service accounts have no storage of their own."
                raise CallRefused(reason, status=refused.status, code=refused.code) from refused
            raise

    def _call(self, request: Callable[[Any], Any]) -> Any:
        return self._retry.run(lambda: self._clients.execute(request))
