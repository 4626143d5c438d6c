"""Multipart uploads: starting one, adding parts, giving it up.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import secrets

from werkzeug import Response

from slimreel.local.s3 import body, checksums, conditions, properties, xml
from slimreel.local.s3.copies import (
    check_source,
    checksum_elements,
    copy_source,
    copy_span,
    source_too_large,
)
from slimreel.local.s3.errors import S3Error, not_implemented
from slimreel.local.s3.index import Index
from slimreel.local.s3.model import Part, StoredObject, Upload
from slimreel.local.s3.naming import check_key
from slimreel.local.s3.objects import part_number
from slimreel.local.s3.responses import empty_answer, xml_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store, utc_now

MAX_PART_BYTES = 5 << 30


def create_multipart_upload(store: Store, call: Call) -> Response:
    check_key(call.key)
    store.require_bucket(call.bucket)
    headers = call.request.headers
    algorithm = _algorithm(call)
    requested_type = headers.get("x-amz-checksum-type")
    if requested_type is not None and algorithm is None:
        raise S3Error(
            "InvalidRequest",
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
            "header.",
        )
    kind = checksums.multipart_type(algorithm, requested_type) if algorithm else None
    upload = Upload(
        id=secrets.token_urlsafe(48),
        bucket=call.bucket,
        key=call.key,
        initiated_at=utc_now(),
        properties=properties.from_headers(store, call.bucket, headers),
        checksum_algorithm=algorithm,
        checksum_type=kind,
    )
    with store.index.transaction():
        store.require_bucket(call.bucket)
        store.index.put_upload(upload)
    return xml_answer(
        "InitiateMultipartUploadResult",
        [("Bucket", call.bucket), ("Key", call.key), ("UploadId", upload.id)],
        headers=properties.encryption_headers(upload.properties.encryption)
        | ({"x-amz-checksum-algorithm": algorithm.upper()} if algorithm else {})
        | ({"x-amz-checksum-type": kind} if kind else {}),
    )


def _algorithm(call: Call) -> str | None:
    value = call.header("x-amz-checksum-algorithm")
    if value is None:
        return None
    if value.lower() not in checksums.DIGEST_BYTES:
        raise S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.")
    return value.lower()


def upload_part(store: Store, call: Call) -> Response:
    number = part_number(call.query.get("partNumber", ""))
    upload = open_upload(store, call)
    _check_algorithm(upload, body.named_algorithm(call.request.headers))
    with store.blobs.draft() as draft:
        received = body.receive(call.request, draft.file, limit_bytes=MAX_PART_BYTES)
        blob = draft.keep()
    part = Part(
        upload_id=upload.id,
        number=number,
        blob=blob,
        size_bytes=received.size_bytes,
        md5=received.md5,
        etag=properties.etag_of(received.md5, upload.properties.encryption),
        modified_at=utc_now(),
        checksum=received.checksum,
    )
    _commit_part(store, call, part)
    headers = {"ETag": f'"{part.etag}"'}
    if part.checksum is not None:
        headers[checksums.header_name(part.checksum.algorithm)] = part.checksum.value
    encryption = properties.encryption_headers(upload.properties.encryption)
    return empty_answer(headers=headers | encryption)


def upload_part_copy(store: Store, call: Call) -> Response:
    number = part_number(call.query.get("partNumber", ""))
    upload = open_upload(store, call)
    algorithm = upload.checksum_algorithm
    if algorithm is not None and checksums.hasher(algorithm) is None:
        raise not_implemented(f"computing {algorithm.upper()} checksums of copied parts")
    source_bucket, source_key = copy_source(call)
    part = store.with_object(
        source_bucket, source_key, lambda source: _copied_part(store, call, upload, number, source)
    )
    _commit_part(store, call, part)
    elements = checksum_elements(part.checksum)[:1]  # of a part, S3 does not name the type
    return xml_answer(
        "CopyPartResult",
        [
            ("ETag", f'"{part.etag}"'),
            ("LastModified", xml.timestamp(part.modified_at)),
            *elements,
        ],
        headers=properties.encryption_headers(upload.properties.encryption),
    )


def _copied_part(
    store: Store, call: Call, upload: Upload, number: int, source: StoredObject
) -> Part:
    check_source(source, call.request.headers)
    span = conditions.copy_span(call.header("x-amz-copy-source-range"), source.size_bytes)
    if span.length > MAX_PART_BYTES:
        raise source_too_large()
    with store.blobs.draft() as draft:
        digests = copy_span(store.blobs, source.blob, span, upload.checksum_algorithm, draft.file)
        blob = draft.keep()
    return Part(
        upload_id=upload.id,
        number=number,
        blob=blob,
        size_bytes=span.length,
        md5=digests.md5,
        etag=properties.etag_of(digests.md5, upload.properties.encryption),
        modified_at=utc_now(),
        checksum=digests.checksum,
    )


def _check_algorithm(upload: Upload, given: str | None) -> None:
    """Raises S3Error: InvalidRequest when the part's checksum is not the upload's kind.

    An upload that named none takes any, as what SDKs send by default shows.
    """
    expected = upload.checksum_algorithm
    if expected in (None, given) or (expected == "crc64nvme" and given is None):
        return
    raise S3Error(
        "InvalidRequest",
        f"Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum "
        f"Type: {given or 'null'}",
    )


def _commit_part(store: Store, call: Call, part: Part) -> None:
    """Record the part; it takes the place of an earlier one with its number."""
    try:
        with store.index.transaction():
            open_upload(store, call)
            earlier = store.index.part(part.upload_id, part.number)
            store.index.put_part(part)
    except BaseException:
        store.blobs.delete([part.blob])
        raise
    if earlier is not None:
        store.blobs.delete([earlier.blob])


def abort_multipart_upload(store: Store, call: Call) -> Response:
    with store.index.transaction():
        upload = find_upload(store.index, call)
        # Like AWS: aborting what was completed is no error, and changes nothing.
        blobs = store.index.delete_upload(upload.id) if upload.completed_at is None else []
    store.blobs.delete(blobs)
    return empty_answer(204)


def find_upload(index: Index, call: Call) -> Upload:
    """Raises S3Error: NoSuchUpload."""
    upload_id = call.query.get("uploadId", "")
    upload = index.upload(upload_id)
    if upload is None or (upload.bucket, upload.key) != (call.bucket, call.key):
        raise no_such_upload(upload_id)
    return upload


def open_upload(store: Store, call: Call) -> Upload:
    """Raises S3Error: NoSuchBucket or NoSuchUpload."""
    store.require_bucket(call.bucket)
    upload = find_upload(store.index, call)
    if upload.completed_at is not None:
        raise no_such_upload(upload.id)
    return upload


def no_such_upload(upload_id: str) -> S3Error:
    return S3Error(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may "
        "have been aborted or completed.",
        details={"UploadId": upload_id},
    )
