"""CopyObject and UploadPartCopy.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import BinaryIO
from urllib.parse import unquote

from werkzeug import Response
from werkzeug.datastructures import Headers

from slimreel.local.s3 import checksums, conditions, properties, xml
from slimreel.local.s3.blobs import Blobs
from slimreel.local.s3.conditions import Span
from slimreel.local.s3.errors import S3Error, invalid_argument, not_implemented
from slimreel.local.s3.model import Checksum, Properties, StoredObject
from slimreel.local.s3.naming import check_key
from slimreel.local.s3.objects import archived, written_headers
from slimreel.local.s3.responses import xml_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store, utc_now

MAX_COPY_BYTES = 5 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What reading some bytes gave; `md5` is hex."""

    md5: str
    checksum: Checksum | None


def copy_object(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    check_key(call.key)
    source_bucket, source_key = copy_source(call)
    stored = store.with_object(
        source_bucket, source_key, lambda source: _copied(store, call, source)
    )
    headers = call.request.headers
    store.commit(stored, lambda current: conditions.check_write(call.key, current, headers))
    answer_headers = written_headers(store, stored)
    return xml_answer(
        "CopyObjectResult",
        [
            ("ETag", f'"{stored.etag}"'),
            ("LastModified", xml.timestamp(stored.modified_at)),
            *checksum_elements(stored.checksum),
        ],
        headers={k: v for k, v in answer_headers.items() if not k.startswith("x-amz-checksum")}
        | {"ETag": f'"{stored.etag}"'},
    )


def _copied(store: Store, call: Call, source: StoredObject) -> StoredObject:
    """The copy, its bytes in place, not yet in the index."""
    headers = call.request.headers
    check_source(source, headers)
    if source.size_bytes > MAX_COPY_BYTES:
        raise source_too_large()
    written = _properties_of_copy(store, call, source)
    if (source.bucket, source.key) == (call.bucket, call.key):
        _check_changes(source, written, headers)
    blob = store.blobs.same_bytes(source.blob)
    digests = _digests_of_copy(store.blobs, blob, source, _wanted_algorithm(headers))
    return replace(
        source,
        bucket=call.bucket,
        key=call.key,
        blob=blob,
        etag=properties.etag_of(digests.md5, written.encryption),
        modified_at=utc_now(),
        properties=written,
        checksum=digests.checksum,
        part_sizes_bytes=(),
    )


def check_source(source: StoredObject, headers: Headers) -> None:
    """Raises S3Error: PreconditionFailed or InvalidObjectState."""
    conditions.check_copy_source(source, headers)
    if source.properties.storage_class in properties.ARCHIVED_CLASSES:
        raise archived(source)


def source_too_large() -> S3Error:
    return S3Error(
        "InvalidRequest",
        "The specified copy source is larger than the maximum allowable size for a copy source: "
        f"{MAX_COPY_BYTES}",
    )


def copy_source(call: Call) -> tuple[str, str]:
    """Bucket and key of x-amz-copy-source.

    Raises:
        S3Error: InvalidArgument, or NotImplemented for access points and versions.
    """
    name = "x-amz-copy-source"
    header = call.header(name) or ""
    path, _, version = header.partition("?versionId=")
    if version not in ("", "null"):
        raise not_implemented("copying a version")
    if path.startswith("arn:"):
        raise not_implemented("copying through an access point")
    try:
        source = unquote(path, errors="strict").removeprefix("/")
    except UnicodeDecodeError as error:
        raise invalid_argument(name, header, "Invalid copy source encoding.") from error
    bucket, _, key = source.partition("/")
    if not bucket or not key:
        raise invalid_argument(
            name,
            header,
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    return bucket, key


def _properties_of_copy(store: Store, call: Call, source: StoredObject) -> Properties:
    """Metadata and tags by their directives; class and encryption are never the source's."""
    headers = call.request.headers
    given = properties.from_headers(store, call.bucket, headers)
    copied = given
    if _directive(headers, "x-amz-metadata-directive") == "COPY":
        original = source.properties
        copied = replace(copied, headers=original.headers, metadata=original.metadata)
    if _directive(headers, "x-amz-tagging-directive") == "COPY":
        copied = replace(copied, tags=source.properties.tags)
    return copied


def _directive(headers: Headers, name: str) -> str:
    value = headers.get(name, "COPY")
    if value not in ("COPY", "REPLACE"):
        raise invalid_argument(name, value, f"Unknown {name.removeprefix('x-amz-')}.")
    return value


def _check_changes(source: StoredObject, written: Properties, headers: Headers) -> None:
    """Raises S3Error: InvalidRequest for a copy onto itself that changes nothing."""
    if (
        _directive(headers, "x-amz-metadata-directive") == "COPY"
        and _directive(headers, "x-amz-tagging-directive") == "COPY"
        and "x-amz-server-side-encryption" not in headers
        and written.storage_class == source.properties.storage_class
    ):
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself "
            "without changing the object's metadata, storage class, website redirect location "
            "or encryption attributes.",
        )


def _wanted_algorithm(headers: Headers) -> str | None:
    value = headers.get("x-amz-checksum-algorithm")
    if value is not None and checksums.hasher(value.lower()) is None:
        raise not_implemented(f"computing {value} checksums")
    return None if value is None else value.lower()


def _digests_of_copy(blobs: Blobs, blob: str, source: StoredObject, wanted: str | None) -> Digests:
    """MD5 and checksum of the whole copy, read from its bytes only where the source lacks them."""
    known = source.checksum if source.checksum and source.checksum.type == "FULL_OBJECT" else None
    algorithm = wanted or (source.checksum.algorithm if source.checksum else None)
    is_md5 = not source.part_sizes_bytes and source.properties.encryption.kms_key_id is None
    has_checksum = algorithm is None or (known is not None and known.algorithm == algorithm)
    if is_md5 and has_checksum:
        return Digests(md5=source.etag, checksum=known)
    read = copy_span(blobs, blob, Span(offset=0, length=source.size_bytes), algorithm, None)
    return Digests(md5=read.md5, checksum=known if has_checksum else read.checksum)


def copy_span(
    blobs: Blobs, blob: str, span: Span, algorithm: str | None, sink: BinaryIO | None
) -> Digests:
    """Read `span` of a blob, into `sink` if there is one, and say what it held.

    Raises:
        FileNotFoundError: the blob is gone.
    """
    md5 = hashlib.md5(usedforsecurity=False)
    flexible = checksums.hasher(algorithm) if algorithm else None
    with blobs.blocks(blob, span.offset, span.length) as blocks:
        for block in blocks:
            if sink is not None:
                sink.write(block)
            md5.update(block)
            if flexible is not None:
                flexible.update(block)
    if algorithm is None or flexible is None:
        return Digests(md5=md5.hexdigest(), checksum=None)
    value = checksums.base64_of(flexible.digest())
    return Digests(md5=md5.hexdigest(), checksum=Checksum(algorithm=algorithm, value=value))


def checksum_elements(checksum: Checksum | None) -> list[tuple[str, xml.Content]]:
    if checksum is None:
        return []
    return [
        (checksums.element_name(checksum.algorithm), checksum.value),
        ("ChecksumType", checksum.type),
    ]
