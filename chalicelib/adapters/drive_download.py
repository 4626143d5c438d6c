"""Byte ranges of a Drive file, streamed and checked.

Source: https://developers.google.com/workspace/drive/api/guides/manage-downloads (partial download)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from chalicelib.adapters.drive_errors import (
    DownloadCut,
    DriveUnavailable,
    FileChanged,
)
from chalicelib.adapters.drive_http import GoogleClients, from_answer, translated
from chalicelib.adapters.drive_retry import Retry

CHUNK_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@contextmanager
def open_range(
    clients: GoogleClients,
    retry: Retry,
    file_id: str,
    start: int,
    end_inclusive: int,
    timeout_s: float,
) -> Iterator[Iterator[bytes]]:
    """Give the bytes `start` to `end_inclusive` in chunks of at most 1 MiB: all, or an error.

    Opening is retried. Once bytes have flowed it is the caller who knows how to go on.
    """
    if not 0 <= start <= end_inclusive:
        raise ValueError(f"No such byte range: {start}-{end_inclusive}.")
    with clients.session() as session:
        url = f"{clients.base_url}files/{quote(file_id, safe='')}"
        response = retry.run(lambda: _open(session, url, start, end_inclusive, timeout_s))
        try:
            yield _chunks(response, end_inclusive + 1 - start)
        finally:
            response.close()


def _open(session: Any, url: str, start: int, end_inclusive: int, timeout_s: float) -> Any:
    with translated():
        response = session.get(
            url,
            params={"alt": "media", "supportsAllDrives": "true"},
            # A packed body would have another length than the range.
            headers={"Range": f"bytes={start}-{end_inclusive}", "Accept-Encoding": "identity"},
            stream=True,
            timeout=timeout_s,
        )
        try:
            _check(response, start, end_inclusive)
        except BaseException:
            response.close()
            raise
        return response


def _check(response: Any, start: int, end_inclusive: int) -> None:
    if response.status_code == 200:
        raise DriveUnavailable("Google Drive sent the whole file instead of a part.", status=200)
    if response.status_code != 206:
        raise from_answer(response.status_code, response.content)
    header = response.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None or int(match[1]) != start:
        reason = f"Google Drive sent another part of the file than asked for ({header!r})."
        raise DriveUnavailable(reason, status=206)
    if int(match[2]) != end_inclusive:
        raise FileChanged("The file became shorter while it was being copied.", status=206)


def _chunks(response: Any, wanted_bytes: int) -> Iterator[bytes]:
    received_bytes = 0
    try:
        with translated():
            for chunk in response.iter_content(CHUNK_BYTES):
                if received_bytes + len(chunk) > wanted_bytes:
                    raise DriveUnavailable("Google Drive sent more bytes than asked for.")
                received_bytes += len(chunk)
                yield chunk
    except DriveUnavailable as error:
        raise DownloadCut(error.reason, received_bytes=received_bytes) from error
    if received_bytes != wanted_bytes:
        reason = f"Google Drive sent {received_bytes} of {wanted_bytes} bytes."
        raise DownloadCut(reason, received_bytes=received_bytes)
