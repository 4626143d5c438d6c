"""What Slimreel changes in Google Drive, where a workflow's settings ask for it: it moves originals
into a folder of done ones. Nothing here deletes a file or changes its content.

Errors are those of `drive_errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chalicelib.adapters.drive_http import WRITING, GoogleClients
from chalicelib.adapters.drive_retry import Retry


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

    def _call(self, request: Callable[[Any], Any]) -> Any:
        return self._retry.run(lambda: self._clients.execute(request))
