"""Uploads into Drive that can be gone on with: a session, and pieces of the file.

Source: https://developers.google.com/workspace/drive/api/guides/manage-uploads (resumable uploads)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from chalicelib.adapters.drive import FILE_FIELDS, parse_file
from chalicelib.adapters.drive_errors import DriveError, DriveUnavailable, UploadGone
from chalicelib.adapters.drive_http import GoogleClients, from_answer, translated
from chalicelib.domain.drive import DriveFile

#: All pieces but the last are multiples of this.
UNIT_BYTES = 256 * 2**10
_RANGE = re.compile(r"bytes=0-(\d+)")


def begin(
    clients: GoogleClients,
    *,
    file_id: str | None,
    metadata: Mapping[str, Any],
    mime_type: str,
    size_bytes: int,
) -> str:
    """Open a session; returns its address, which is good for a week.

    Args:
        file_id: of the file that is to get new content; None for a new file.
    """
    path = "files" if file_id is None else f"files/{quote(file_id, safe='')}"
    with clients.session() as session, translated():
        answer = session.request(
            "POST" if file_id is None else "PATCH",
            clients.upload_url + path,
            params={"uploadType": "resumable", "supportsAllDrives": "true", "fields": FILE_FIELDS},
            json=dict(metadata),
            headers={
                "X-Upload-Content-Type": mime_type,
                "X-Upload-Content-Length": str(size_bytes),
            },
            timeout=clients.timeout_s,
            allow_redirects=False,
        )
        if answer.status_code != 200:
            raise from_answer(answer.status_code, answer.content)
        if not answer.headers.get("Location"):
            raise DriveUnavailable("Google Drive did not say where to send the file.", status=200)
        return str(answer.headers["Location"])


def put(
    clients: GoogleClients, session_url: str, *, start: int, body: bytes, size_bytes: int
) -> DriveFile | int:
    """Send a piece, or with an empty one ask; see `DriveWriter.send`."""
    span = f"{start}-{start + len(body) - 1}" if body else "*"
    with _unaddressed(), clients.session() as session, translated():
        answer = session.request(
            "PUT",
            session_url,
            data=body,
            headers={"Content-Range": f"bytes {span}/{size_bytes}"},
            timeout=clients.timeout_s,
            # A 308 is no redirect here.
            allow_redirects=False,
        )
        if answer.status_code in (200, 201):
            return _made(answer)
        if answer.status_code == 308:
            return _received(answer.headers.get("Range"), size_bytes)
        raise _refusal(answer)


@contextmanager
def _unaddressed() -> Iterator[None]:
    """Errors of connections name the address, with which anybody could write into the upload."""
    try:
        yield
    except DriveUnavailable as error:
        if error.status is not None:
            raise
        how = type(error.__cause__ or error).__name__
        raise DriveUnavailable(f"The connection to Google Drive broke off ({how}).") from None


def _made(answer: Any) -> DriveFile:
    try:
        return parse_file(answer.json())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = "Google Drive took the file, and its answer cannot be read."
        raise DriveUnavailable(reason, status=answer.status_code) from error


def _received(header: str | None, size_bytes: int) -> int:
    """How many bytes Drive has; without a header none."""
    found = _RANGE.fullmatch(header or "")
    if header and found is None:
        raise DriveUnavailable(f"Google Drive's answer cannot be read ({header!r}).", status=308)
    return min(int(found[1]) + 1, size_bytes) if found else 0


def _refusal(answer: Any) -> Exception:
    """Any 4xx ends the session, says Google; but waiting, rights and room have their own names."""
    status: int = answer.status_code
    error = from_answer(status, answer.content)
    if 400 <= status < 500 and status not in (401, 403, 408, 409, 429):
        code = error.code if isinstance(error, DriveError) else ""
        return UploadGone("Google Drive has forgotten the upload.", status=status, code=code)
    return error
