"""File bytes over HTTP, with ranges, never more than a block of them in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from werkzeug import Request, Response
from werkzeug.http import dump_options_header

from slimreel.local.drive.errors import Refusal
from slimreel.local.drive.library import Library
from slimreel.local.drive.records import Record

_BLOCK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def respond(
    library: Library,
    record: Record,
    request: Request,
    *,
    cut_at_byte: int | None = None,
    flip_byte: int | None = None,
) -> Response:
    """Return the content of a file, or the part the `Range` header asks for.

    The file is opened while the library stands still, so a replacement a moment later does not
    mix old and new bytes.

    Args:
        cut_at_byte: end the body there although more was announced.
        flip_byte: send this byte of the body (or its last, where it is shorter) wrong.

    Raises:
        Refusal: 416, the range lies behind the end.
    """
    with library.lock:
        file = library.content_path(record).open("rb", buffering=0)
    try:
        size = file.seek(0, 2)
        part = _part(request.headers.get("Range"), size)
        start, end = part if part else (0, size)
        file.seek(start)
    except BaseException:
        file.close()
        raise
    length = end - start
    sent = length if cut_at_byte is None else min(length, cut_at_byte)
    blocks = _blocks(file, sent)
    if flip_byte is not None:
        blocks = _spoilt(blocks, min(flip_byte, sent - 1))
    response = Response(blocks, 206 if part else 200, content_type=record.mime_type)
    response.call_on_close(file.close)
    response.headers["Content-Length"] = str(length)
    response.headers["Content-Disposition"] = dump_options_header("attachment", {})
    if part:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if sent < length:
        response.headers["Connection"] = "close"
    return response


def _part(header: str | None, size: int) -> tuple[int, int] | None:
    """Return (start, end) of the bytes asked for, end excluded; None for all of them."""
    match = _RANGE.fullmatch(header or "")
    if match is None or match[0] == "bytes=-":
        return None  # RFC 9110: a Range that cannot be read is as good as none
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), min(int(match[2] or size) + 1, size)
        if match[2] and int(match[2]) < start:
            return None
        if not match[2]:
            end = size
    if start >= size:
        refusal = Refusal(
            416,
            "requestedRangeNotSatisfiable",
            "Request range not satisfiable",
            parameter="Range",
        )
        refusal.headers["Content-Range"] = f"bytes */{size}"
        raise refusal
    return start, end


def _blocks(file: IO[bytes], length: int) -> Iterator[bytes]:
    while length > 0 and (block := file.read(min(length, _BLOCK_BYTES))):
        length -= len(block)
        yield block


def _spoilt(blocks: Iterator[bytes], at_byte: int) -> Iterator[bytes]:
    begin = 0
    for block in blocks:
        if begin <= at_byte < begin + len(block):
            wrong = bytearray(block)
            wrong[at_byte - begin] ^= 0xFF
            block = bytes(wrong)
        yield block
        begin += len(block)
