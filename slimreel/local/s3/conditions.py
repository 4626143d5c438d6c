"""Conditional headers and byte ranges.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from werkzeug.datastructures import Headers
from werkzeug.http import http_date, parse_date

from slimreel.local.s3.errors import S3Error, invalid_argument, no_such_key, not_implemented
from slimreel.local.s3.model import StoredObject

MIN_RANGE_COPY_SOURCE_BYTES = 5 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`length` bytes from `offset`."""

    offset: int
    length: int


def check_read(stored: StoredObject, headers: Headers) -> None:
    """Raises S3Error: PreconditionFailed, or NotModified for If-None-Match/If-Modified-Since."""
    if failed := _failed(stored, headers, prefix=""):
        if failed in ("If-None-Match", "If-Modified-Since"):
            raise S3Error(
                "NotModified",
                "Not Modified",
                headers={
                    "ETag": f'"{stored.etag}"',
                    "Last-Modified": http_date(stored.modified_at),
                },
            )
        raise _precondition_failed(failed)


def check_copy_source(stored: StoredObject, headers: Headers) -> None:
    """Raises S3Error: PreconditionFailed for any x-amz-copy-source-if-* that does not hold."""
    if failed := _failed(stored, headers, prefix="x-amz-copy-source-"):
        raise _precondition_failed(failed)


def check_write(key: str, current: StoredObject | None, headers: Headers) -> None:
    """Whether If-Match and If-None-Match allow replacing `current`.

    Raises:
        S3Error: PreconditionFailed; NoSuchKey for If-Match on nothing.
    """
    none_match, match = headers.get("If-None-Match"), headers.get("If-Match")
    if none_match is not None and none_match.strip() != "*":
        raise not_implemented("If-None-Match with anything but * on a write")
    if none_match is not None and current is not None:
        raise _precondition_failed("If-None-Match")
    if match is None:
        return
    if current is None:
        raise no_such_key(key)
    if not _matches(match, current.etag):
        raise _precondition_failed("If-Match")


def _failed(stored: StoredObject, headers: Headers, *, prefix: str) -> str | None:
    """The first condition that does not hold. ETags go before dates, as in RFC 9110 13.2.2."""
    match = headers.get(f"{prefix}If-Match")
    unmodified_since = _date(headers.get(f"{prefix}If-Unmodified-Since"))
    none_match = headers.get(f"{prefix}If-None-Match")
    modified_since = _date(headers.get(f"{prefix}If-Modified-Since"))
    modified_at = stored.modified_at.replace(microsecond=0)
    if match is not None:
        if not _matches(match, stored.etag):
            return f"{prefix}If-Match"
    elif unmodified_since is not None and modified_at > unmodified_since:
        return f"{prefix}If-Unmodified-Since"
    if none_match is not None:
        if _matches(none_match, stored.etag):
            return f"{prefix}If-None-Match"
    elif modified_since is not None and modified_at <= modified_since:
        return f"{prefix}If-Modified-Since"
    return None


def _matches(header: str, etag: str) -> bool:
    return any(tag.strip().strip('"') in ("*", etag) for tag in header.split(","))


def _date(value: str | None) -> datetime | None:
    return parse_date(value)


def _precondition_failed(condition: str) -> S3Error:
    return S3Error(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        details={"Condition": condition},
    )


def read_span(header: str | None, size_bytes: int) -> Span | None:
    """What a Range header asks of an object: None for the whole of it.

    A header that is no byte range is ignored, as RFC 9110 14.2 and S3 have it.

    Raises:
        S3Error: InvalidRange when no byte of the object is in it.
    """
    if header is None:
        return None
    if re.fullmatch(r"bytes=[\d\s,-]*,[\d\s,-]*", header):
        # S3 has no multipart/byteranges answer.
        raise not_implemented("several ranges in one request")
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if found is None or found[0].endswith("=-"):
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size_bytes)
        span = Span(offset=size_bytes - length, length=length)
    else:
        offset = int(first)
        end = min(int(last), size_bytes - 1) if last else size_bytes - 1
        if last and int(last) < offset:
            return None
        span = Span(offset=offset, length=max(0, end - offset + 1))
    if span.length == 0:
        raise S3Error(
            "InvalidRange",
            "The requested range is not satisfiable",
            details={"RangeRequested": header, "ActualObjectSize": size_bytes},
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    return span


def copy_span(header: str | None, size_bytes: int) -> Span:
    """The bytes UploadPartCopy takes; stricter than `read_span`: both ends, inside the source.

    Raises:
        S3Error: InvalidArgument, or InvalidRequest for a range of a source of 5 MiB or less.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
    """
    if header is None:
        return Span(offset=0, length=size_bytes)
    name = "x-amz-copy-source-range"
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", header)
    if found is None or int(found[1]) > int(found[2]):
        raise invalid_argument(
            name,
            header,
            f"The {name} value must be of the form bytes=first-last where first and last are "
            "the zero-based offsets of the first and last bytes to copy",
        )
    first, last = int(found[1]), int(found[2])
    if last >= size_bytes:
        raise invalid_argument(
            name, header, f"Range specified is not valid for source object of size: {size_bytes}"
        )
    if size_bytes <= MIN_RANGE_COPY_SOURCE_BYTES:
        raise S3Error(
            "InvalidRequest",
            "The specified copy source is not supported as a byte-range copy source",
        )
    return Span(offset=first, length=last - first + 1)
