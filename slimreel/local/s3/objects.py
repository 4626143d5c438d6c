"""Putting, getting and deleting single objects."""

from __future__ import annotations

from werkzeug import Response
from werkzeug.datastructures import Headers

from slimreel.local.s3 import body, conditions, properties, xml
from slimreel.local.s3.conditions import Span
from slimreel.local.s3.errors import S3Error, invalid_argument, not_implemented
from slimreel.local.s3.lifecycle import expiry
from slimreel.local.s3.model import StoredObject
from slimreel.local.s3.naming import check_key
from slimreel.local.s3.responses import empty_answer, xml_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.settings import tag_pairs, tagging_document
from slimreel.local.s3.store import Store, utc_now, with_tags

MAX_DELETED_KEYS = 1000
MAX_PARTS = 10_000


def put_object(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    check_key(call.key)
    headers = call.request.headers
    written = properties.from_headers(store, call.bucket, headers)
    with store.blobs.draft() as draft:
        received = body.receive(call.request, draft.file, limit_bytes=body.MAX_SINGLE_PUT_BYTES)
        blob = draft.keep()
    stored = StoredObject(
        bucket=call.bucket,
        key=call.key,
        blob=blob,
        size_bytes=received.size_bytes,
        etag=properties.etag_of(received.md5, written.encryption),
        modified_at=utc_now(),
        properties=written,
        checksum=received.checksum,
    )
    store.commit(stored, lambda current: conditions.check_write(call.key, current, headers))
    return empty_answer(headers=written_headers(store, stored))


def written_headers(store: Store, stored: StoredObject) -> dict[str, str]:
    """The headers of a write's answer."""
    return {
        "ETag": f'"{stored.etag}"',
        **properties.encryption_headers(stored.properties.encryption),
        **properties.checksum_headers(stored.checksum),
        **expiration_header(store, stored),
    }


def expiration_header(store: Store, stored: StoredObject) -> dict[str, str]:
    return properties.expiration_header(expiry(store.lifecycle_rules(stored.bucket), stored))


def get_object(store: Store, call: Call) -> Response:
    check_version(call)
    return store.with_object(call.bucket, call.key, lambda stored: _read(store, call, stored))


def _read(store: Store, call: Call, stored: StoredObject) -> Response:
    """The answer to GetObject and HeadObject.

    Raises:
        FileNotFoundError: the object was replaced since it was looked up.
    """
    request = call.request
    conditions.check_read(stored, request.headers)
    if stored.properties.storage_class in properties.ARCHIVED_CLASSES and request.method == "GET":
        raise archived(stored)
    headers = properties.read_headers(stored, call.query) | expiration_header(store, stored)
    span = _asked_span(call, stored)
    # Like AWS: a checksum speaks of the whole object, so a part of it comes without.
    if span is None and request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers |= properties.checksum_headers(stored.checksum)
    if "partNumber" in call.query and stored.part_sizes_bytes:
        headers["x-amz-mp-parts-count"] = str(len(stored.part_sizes_bytes))
    if span is not None:
        last = span.offset + span.length - 1
        headers["Content-Range"] = f"bytes {span.offset}-{last}/{stored.size_bytes}"
    shown = span or Span(offset=0, length=stored.size_bytes)
    headers["Content-Length"] = str(shown.length)
    status = 200 if span is None else 206
    if request.method == "HEAD":
        return empty_answer(status, headers)
    return Response(
        store.blobs.blocks(stored.blob, shown.offset, shown.length),
        status=status,
        headers=headers,
        direct_passthrough=True,
    )


def _asked_span(call: Call, stored: StoredObject) -> Span | None:
    header, number = call.header("Range"), call.query.get("partNumber")
    if number is None:
        return conditions.read_span(header, stored.size_bytes)
    if header is not None:
        raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber")
    sizes = stored.part_sizes_bytes or (stored.size_bytes,)
    index = part_number(number) - 1
    if index >= len(sizes):
        raise S3Error(
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            details={"PartNumberRequested": number, "ActualPartCount": len(sizes)},
        )
    if stored.size_bytes == 0:
        return None
    return Span(offset=sum(sizes[:index]), length=sizes[index])


def part_number(value: str) -> int:
    """Raises S3Error: InvalidArgument unless it is 1 to 10,000."""
    if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= MAX_PARTS:
        raise invalid_argument(
            "partNumber", value, "Part number must be an integer between 1 and 10000, inclusive"
        )
    return int(value)


def archived(stored: StoredObject) -> S3Error:
    return S3Error(
        "InvalidObjectState",
        "The operation is not valid for the object's storage class",
        details={"StorageClass": stored.properties.storage_class},
    )


def check_version(call: Call) -> None:
    """Raises S3Error: InvalidArgument; buckets here have no versions but "null"."""
    version = call.query.get("versionId", "null")
    if version != "null":
        raise invalid_argument("versionId", version, "Invalid version id specified")


def delete_object(store: Store, call: Call) -> Response:
    check_version(call)
    store.require_bucket(call.bucket)
    headers = Headers()
    if (match := call.header("If-Match")) is not None:
        headers["If-Match"] = match
    store.delete(
        call.bucket,
        call.key,
        lambda current: conditions.check_write(call.key, current, headers),
    )
    return empty_answer(204)


def delete_objects(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    headers = call.request.headers
    if "Content-MD5" not in headers and body.named_algorithm(headers) is None:
        raise S3Error(
            "InvalidRequest",
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        )
    root = xml.parsed(body.document(call.request), "Delete")
    elements = root.findall("Object")
    if not 1 <= len(elements) <= MAX_DELETED_KEYS:
        raise xml.malformed()
    keys = []
    for element in elements:
        if xml.text(element, "VersionId") not in (None, "", "null"):
            raise not_implemented("deleting versions")
        if element.find("ETag") is not None or element.find("Size") is not None:
            raise not_implemented("conditions on single keys of DeleteObjects")
        keys.append(xml.text(element, "Key") or "")
    denied = {key: why for key in keys if (why := call.denials and call.denials.of_deleting(key))}
    deleted = [key for key in keys if key not in denied]
    for key in deleted:
        store.delete(call.bucket, key, lambda _: None)
    quiet = xml.text(root, "Quiet") == "true"
    content: list[tuple[str, xml.Content]] = [
        ("Error", [("Key", key), ("Code", "AccessDenied"), ("Message", why)])
        for key, why in denied.items()
    ]
    content += [] if quiet else [("Deleted", [("Key", key)]) for key in deleted]
    return xml_answer("DeleteResult", content)


def get_tagging(store: Store, call: Call) -> Response:
    check_version(call)
    stored = store.require_object(call.bucket, call.key)
    return Response(tagging_document(stored.properties.tags), content_type="application/xml")


def put_tagging(store: Store, call: Call) -> Response:
    check_version(call)
    stored = store.require_object(call.bucket, call.key)
    pairs = tag_pairs(xml.parsed(body.document(call.request), "Tagging"))
    tags = properties.checked_tags(pairs, limit=properties.MAX_OBJECT_TAGS)
    store.change(with_tags(stored, tags))
    return empty_answer()


def delete_tagging(store: Store, call: Call) -> Response:
    check_version(call)
    store.change(with_tags(store.require_object(call.bucket, call.key), {}))
    return empty_answer(204)
