"""ListObjectsV2 and its older form.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from werkzeug import Response

from slimreel.local.s3 import xml
from slimreel.local.s3.errors import invalid_argument
from slimreel.local.s3.index import Index, successor
from slimreel.local.s3.model import StoredObject
from slimreel.local.s3.responses import xml_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store

MAX_KEYS = 1000

Encode = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """All keys up to the next delimiter, shown as one."""

    prefix: str


def list_objects_v2(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    query = call.query
    token, start_after = query.get("continuation-token"), query.get("start-after", "")
    start = _after(start_after) if token is None else _start_of(token)
    page = _page(store, call, start)
    encode = encoder(call)
    return xml_answer(
        "ListBucketResult",
        [
            ("Name", call.bucket),
            ("Prefix", encode(query.get("prefix", ""))),
            ("Delimiter", encode(query["delimiter"]) if query.get("delimiter") else None),
            ("StartAfter", encode(start_after) if start_after else None),
            ("ContinuationToken", token),
            ("NextContinuationToken", None if page.next is None else _token(page.next)),
            ("KeyCount", len(page.entries)),
            ("MaxKeys", page.max_keys),
            ("EncodingType", query.get("encoding-type")),
            ("IsTruncated", page.next is not None),
            *_elements(store, page, encode, owner=query.get("fetch-owner") == "true"),
        ],
    )


def list_objects(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    query = call.query
    marker, delimiter = query.get("marker", ""), query.get("delimiter", "")
    page = _page(store, call, _after_marker(marker, query.get("prefix", ""), delimiter))
    encode = encoder(call)
    next_marker = None
    if page.next is not None and delimiter and page.entries:
        last = page.entries[-1]
        next_marker = encode(last.prefix if isinstance(last, Folder) else last.key)
    return xml_answer(
        "ListBucketResult",
        [
            ("Name", call.bucket),
            ("Prefix", encode(query.get("prefix", ""))),
            ("Delimiter", encode(delimiter) if delimiter else None),
            ("Marker", encode(marker)),
            ("NextMarker", next_marker),
            ("MaxKeys", page.max_keys),
            ("EncodingType", query.get("encoding-type")),
            ("IsTruncated", page.next is not None),
            *_elements(store, page, encode, owner=True),
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """`next` is where the following page starts; None on the last."""

    entries: list[StoredObject | Folder]
    next: bytes | None
    max_keys: int


def _page(store: Store, call: Call, start: bytes) -> _Page:
    max_keys = limit(call, "max-keys", MAX_KEYS)
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    walk = _walk(store.index, call.bucket, prefix, delimiter, start)
    entries = list(islice(walk, max_keys))
    more = bool(entries) and next(walk, None) is not None
    return _Page(entries=entries, next=_end(entries[-1]) if more else None, max_keys=max_keys)


def _walk(
    index: Index, bucket: str, prefix: str, delimiter: str, start: bytes
) -> Iterator[StoredObject | Folder]:
    """Objects and folders in key order from `start`; a folder is passed in one step."""
    while True:
        found = index.objects_from(bucket, prefix.encode("utf-8"), start, MAX_KEYS)
        for stored in found:
            entry = _entry(stored, prefix, delimiter)
            start = _end(entry)
            yield entry
            if isinstance(entry, Folder):
                break
        else:
            if len(found) < MAX_KEYS:
                return


def _entry(stored: StoredObject, prefix: str, delimiter: str) -> StoredObject | Folder:
    at = stored.key.find(delimiter, len(prefix)) if delimiter else -1
    return stored if at < 0 else Folder(prefix=stored.key[: at + len(delimiter)])


def _end(entry: StoredObject | Folder) -> bytes:
    """The first key that can follow `entry`."""
    if isinstance(entry, Folder):
        return successor(entry.prefix.encode("utf-8"))
    return _after(entry.key)


def _after(key: str) -> bytes:
    return key.encode("utf-8") + b"\0" if key else b""


def _after_marker(marker: str, prefix: str, delimiter: str) -> bytes:
    """A marker inside a folder has passed the folder."""
    at = marker.find(delimiter, len(prefix)) if delimiter and marker.startswith(prefix) else -1
    return _after(marker) if at < 0 else successor(marker[: at + len(delimiter)].encode("utf-8"))


def _token(start: bytes) -> str:
    return base64.urlsafe_b64encode(start).decode("ascii")


def _start_of(token: str) -> bytes:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument(
            "continuation-token", token, "The continuation token provided is incorrect"
        ) from error


def limit(call: Call, name: str, most: int) -> int:
    """The page size asked for, at most `most`.

    Raises:
        S3Error: InvalidArgument.
    """
    value = call.query.get(name, str(most))
    if not (value.isascii() and value.isdigit()) or int(value) > 2**31 - 1:
        raise invalid_argument(
            name, value, f"Argument {name} must be an integer between 0 and 2147483647"
        )
    return min(int(value), most)


def encoder(call: Call) -> Encode:
    """How keys are written: plain, or percent-encoded for `encoding-type=url`."""
    value = call.query.get("encoding-type")
    if value not in (None, "url"):
        raise invalid_argument("encoding-type", value, "Invalid Encoding Method specified")
    return _plain if value is None else quote


def _plain(text: str) -> str:
    return text


def _elements(
    store: Store, page: _Page, encode: Encode, *, owner: bool
) -> list[tuple[str, xml.Content]]:
    folders = [entry for entry in page.entries if isinstance(entry, Folder)]
    objects = [entry for entry in page.entries if isinstance(entry, StoredObject)]
    owned: xml.Content = [("ID", store.account_id)] if owner else None
    return [
        *(("Contents", _contents(stored, encode, owned)) for stored in objects),
        *(("CommonPrefixes", [("Prefix", encode(folder.prefix))]) for folder in folders),
    ]


def _contents(stored: StoredObject, encode: Encode, owner: xml.Content) -> xml.Content:
    checksum = stored.checksum
    return [
        ("Key", encode(stored.key)),
        ("LastModified", xml.timestamp(stored.modified_at)),
        ("ETag", f'"{stored.etag}"'),
        ("ChecksumAlgorithm", checksum.algorithm.upper() if checksum else None),
        ("ChecksumType", checksum.type if checksum else None),
        ("Size", stored.size_bytes),
        ("StorageClass", stored.properties.storage_class),
        ("Owner", owner),
    ]
