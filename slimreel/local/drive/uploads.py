"""Uploads: at once, with metadata beside the bytes, or in chunks that can be resumed.

Source: https://developers.google.com/workspace/drive/api/guides/manage-uploads
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug import Request, Response
from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import parse_options_header

from slimreel.local.drive.errors import Refusal, bad_request
from slimreel.local.drive.records import Record

CHUNK_BYTES = 256 * 1024
#: Drive asks for resumable uploads above 5 MB; some room for the metadata part.
_MULTIPART_LIMIT_BYTES = 6_000_000
_BLOCK_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")

Finish = Callable[[Path], Record]


@dataclass(slots=True, kw_only=True)
class _Session:
    path: Path
    finish: Finish
    announced_bytes: int | None
    expires_s: float
    received_bytes: int = 0
    record: Record | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Uploads:
    """The resumable uploads under way. They end with the process; Drive's live for a week.

    Attributes:
        session_life_s: how long a session may be resumed.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self.session_life_s = 7 * 86_400.0

    def start(self, request: Request, path: Path, finish: Finish) -> str:
        """Open a session and return its id; `finish` runs once all bytes are in `path`."""
        announced = request.headers.get("X-Upload-Content-Length", "")
        if announced and not announced.isdigit():
            raise bad_request("Invalid X-Upload-Content-Length header.")
        upload_id = "AAY" + secrets.token_urlsafe(60)
        path.touch()
        self._sessions[upload_id] = _Session(
            path=path,
            finish=finish,
            announced_bytes=int(announced) if announced else None,
            expires_s=time.time() + self.session_life_s,
        )
        return upload_id

    def put(self, upload_id: str, request: Request) -> tuple[Record | None, Response]:
        """Take a chunk, or tell how far the upload is.

        Returns:
            The finished file, with a response for the caller to fill; or None with the 308.

        Raises:
            Refusal: 404, no such session (any more): start a new one.
        """
        session = self._sessions.get(upload_id)
        if session is None or session.expires_s < time.time():
            raise Refusal(404, "notFound", "Upload session not found.")
        with session.lock:
            if session.record is None:
                self._receive(session, request)
            if session.record is not None:
                return session.record, Response(status=200)
            return None, _resume_incomplete(session)

    def _receive(self, session: _Session, request: Request) -> None:
        start, end, total = _content_range(request)
        if total is not None and session.announced_bytes not in (None, total):
            raise bad_request("The total size differs from X-Upload-Content-Length.")
        if start is not None and start > session.received_bytes:
            message = (
                f"Invalid request. According to the Content-Range header, the upload offset is "
                f"{start} byte(s), which exceeds already uploaded size of "
                f"{session.received_bytes} byte(s)."
            )
            raise bad_request(message)
        if start is not None and end is not None:
            _check_chunk(start, end, total)
            _append(session, request, start)
        whole = total if total is not None else None
        if whole is not None and session.received_bytes == whole:
            session.record = session.finish(session.path)


def receive_simple(request: Request, path: Path) -> None:
    """Write the request's body to `path`."""
    with path.open("wb") as file:
        while block := request.stream.read(_BLOCK_BYTES):
            file.write(block)


def read_multipart(request: Request, path: Path) -> tuple[dict[str, Any], str | None]:
    """Write the second part of a multipart/related body to `path`.

    Returns:
        The metadata of the first part, and the content type of the second.
    """
    kind, options = parse_options_header(request.headers.get("Content-Type"))
    if kind != "multipart/related" or "boundary" not in options:
        raise bad_request("Multipart uploads need Content-Type: multipart/related.")
    if (request.content_length or 0) > _MULTIPART_LIMIT_BYTES:
        raise Refusal(413, "uploadTooLarge", "Use a resumable upload above 5 MB.")
    parts = request.get_data().split(b"--" + options["boundary"].encode())
    if len(parts) != 4:
        raise bad_request("A multipart upload has two parts: metadata and content.")
    (_, metadata), (headers, content) = _part(parts[1]), _part(parts[2])
    path.write_bytes(content)
    found = re.search(rb"(?im)^content-type:\s*([^\r\n]+)", headers)
    return json_object(metadata), found[1].decode().strip() if found else None


def json_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object; an empty body is an empty one."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        raise Refusal(400, "parseError", "Parse Error") from None
    if not isinstance(value, dict):
        raise Refusal(400, "parseError", "Parse Error")
    return value


def _part(raw: bytes) -> tuple[bytes, bytes]:
    pieces = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)
    if len(pieces) != 2:
        raise bad_request("Malformed multipart body.")
    return pieces[0], re.sub(rb"\r?\n\Z", b"", pieces[1])


def _content_range(request: Request) -> tuple[int | None, int | None, int | None]:
    """Return first byte, last byte and total; None for each that is not told."""
    header = request.headers.get("Content-Range")
    if header is None:
        length = request.content_length or 0
        return (0, length - 1, length) if length else (None, None, 0)
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None:
        raise bad_request("Failed to parse Content-Range header.")
    start, end = (int(match[1]), int(match[2])) if match[1] else (None, None)
    return start, end, None if match[3] == "*" else int(match[3])


def _check_chunk(start: int, end: int, total: int | None) -> None:
    is_last = total is not None and end + 1 == total
    if end < start or (total is not None and end >= total):
        raise bad_request("Failed to parse Content-Range header.")
    if not is_last and (end + 1 - start) % CHUNK_BYTES:
        message = (
            f"Invalid request. The number of bytes uploaded is required to be a multiple of "
            f"{CHUNK_BYTES}, except for the final request. The received request contained "
            f"{end + 1 - start} bytes, which does not meet this requirement."
        )
        raise bad_request(message)


def _append(session: _Session, request: Request, start: int) -> None:
    """Write what arrives; of a chunk that breaks off, keep whole units of 256 KiB."""
    with session.path.open("r+b") as file:
        file.seek(start)
        try:
            while block := request.stream.read(_BLOCK_BYTES):
                file.write(block)
        except (ClientDisconnected, ConnectionError):
            file.truncate(file.tell() - file.tell() % CHUNK_BYTES)
        file.flush()
    session.received_bytes = max(session.received_bytes, session.path.stat().st_size)


def _resume_incomplete(session: _Session) -> Response:
    response = Response(status=308)
    if session.received_bytes:
        response.headers["Range"] = f"bytes=0-{session.received_bytes - 1}"
    return response
