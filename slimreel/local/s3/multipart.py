"""Multipart uploads.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from urllib.parse import quote
from xml.etree import ElementTree

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
from slimreel.local.s3.listing import MAX_KEYS, encoder, limit
from slimreel.local.s3.model import Checksum, Part, StoredObject, Upload
from slimreel.local.s3.naming import check_key
from slimreel.local.s3.objects import expiration_header, part_number
from slimreel.local.s3.responses import empty_answer, xml_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store, utc_now

MIN_PART_BYTES = 5 << 20
MAX_PART_BYTES = 5 << 30
MAX_PARTS = 10_000

# S3 answers a repeated completion as it did the first for some time it does not document, so
# that a client whose answer got lost may ask again.
COMPLETION_REMEMBERED = timedelta(hours=1)


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
    upload = _open_upload(store, call)
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
    upload = _open_upload(store, call)
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
            _open_upload(store, call)
            earlier = store.index.part(part.upload_id, part.number)
            store.index.put_part(part)
    except BaseException:
        store.blobs.delete([part.blob])
        raise
    if earlier is not None:
        store.blobs.delete([earlier.blob])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A part as the completion names it."""

    number: int
    etag: str
    checksums: dict[str, str]  # by algorithm


def complete_multipart_upload(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    # Here x-amz-checksum-* is the object's, not that of the request body.
    document = body.document(call.request, checksum_is_of_body=False)
    named = _named_parts(xml.parsed(document, "CompleteMultipartUpload"))
    store.index.forget_completed(utc_now() - COMPLETION_REMEMBERED)
    try:
        upload, stored = _assembled(store, call, named)
        _commit_completion(store, call, upload, stored, named)
    except _AlreadyCompleted as earlier:
        return _completion_answer(store, earlier.upload, dict(earlier.upload.completion or {}))
    completion = _completion(stored, named)
    answer = _completion_answer(store, upload, completion)
    answer.headers.update(expiration_header(store, stored))
    return answer


class _AlreadyCompleted(Exception):
    """The same completion succeeded before."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(upload.id)
        self.upload = upload


def _named_parts(root: ElementTree.Element) -> list[_Named]:
    named = []
    for element in root.findall("Part"):
        number, etag = xml.text(element, "PartNumber"), xml.text(element, "ETag")
        if number is None or etag is None or not number.strip().isdecimal():
            raise xml.malformed()
        values = {
            algorithm: value
            for algorithm in checksums.DIGEST_BYTES
            if (value := xml.text(element, checksums.element_name(algorithm)))
        }
        named.append(
            _Named(
                number=part_number(number.strip()), etag=etag.strip().strip('"'), checksums=values
            )
        )
    if not 1 <= len(named) <= MAX_PARTS:
        raise xml.malformed()
    if any(one.number >= following.number for one, following in pairwise(named)):
        raise S3Error(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        )
    return named


def _assembled(store: Store, call: Call, named: list[_Named]) -> tuple[Upload, StoredObject]:
    """The upload, and the whole object, its bytes in place, not yet in the index."""
    while True:
        upload = _upload_to_complete(store.index, call, named)
        parts = _checked_parts(store.index, upload, named)
        checksum = _checked_checksum(call, upload, parts, named)
        try:
            blob = _joined(store, [part.blob for part in parts])
        except FileNotFoundError:
            if parts == _checked_parts(store.index, upload, named):
                raise  # not replaced or aborted meanwhile: its file is truly gone
            continue
        size_bytes = sum(part.size_bytes for part in parts)
        return upload, StoredObject(
            bucket=upload.bucket,
            key=upload.key,
            blob=blob,
            size_bytes=size_bytes,
            etag=_multipart_etag(parts, upload),
            modified_at=utc_now(),
            properties=upload.properties,
            checksum=checksum,
            part_sizes_bytes=tuple(part.size_bytes for part in parts),
        )


def _joined(store: Store, blobs: list[str]) -> str:
    return store.blobs.same_bytes(blobs[0]) if len(blobs) == 1 else store.blobs.joined(blobs)


def _multipart_etag(parts: list[Part], upload: Upload) -> str:
    """MD5 of the parts' MD5s, with their number behind it."""
    digests = b"".join(bytes.fromhex(part.md5) for part in parts)
    md5 = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    return f"{properties.etag_of(md5, upload.properties.encryption)}-{len(parts)}"


def _upload_to_complete(index: Index, call: Call, named: list[_Named]) -> Upload:
    upload = _upload(index, call)
    if upload.completed_at is None:
        return upload
    if upload.completion is not None and upload.completion["parts"] == _fingerprint(named):
        raise _AlreadyCompleted(upload)
    raise _no_such_upload(upload.id)


def _checked_parts(index: Index, upload: Upload, named: list[_Named]) -> list[Part]:
    """Raises S3Error: InvalidPart or EntityTooSmall."""
    stored = index.parts(upload.id)
    parts = []
    for one in named:
        part = stored.get(one.number)
        if part is None or part.etag != one.etag or not _same_checksums(part, one):
            raise S3Error(
                "InvalidPart",
                "One or more of the specified parts could not be found.  The part may not have "
                "been uploaded, or the specified entity tag may not match the part's entity tag.",
                details={"UploadId": upload.id, "PartNumber": one.number, "ETag": one.etag},
            )
        parts.append(part)
    for part in parts[:-1]:
        if part.size_bytes < MIN_PART_BYTES:
            raise S3Error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                details={
                    "ProposedSize": part.size_bytes,
                    "MinSizeAllowed": MIN_PART_BYTES,
                    "PartNumber": part.number,
                    "ETag": part.etag,
                },
            )
    return parts


def _same_checksums(part: Part, named: _Named) -> bool:
    """A checksum the completion names must be the part's; one the part never had is not known."""
    if part.checksum is None:
        return True
    return named.checksums.get(part.checksum.algorithm, part.checksum.value) == part.checksum.value


def _checked_checksum(
    call: Call, upload: Upload, parts: list[Part], named: list[_Named]
) -> Checksum | None:
    """The checksum of the whole.

    Raises:
        S3Error: InvalidRequest or BadDigest.
    """
    size_bytes = sum(part.size_bytes for part in parts)
    if call.header("x-amz-mp-object-size") not in (None, str(size_bytes)):
        raise S3Error(
            "InvalidRequest",
            "The provided 'x-amz-mp-object-size' header value does not match what was computed.",
        )
    algorithm, kind = upload.checksum_algorithm, upload.checksum_type
    if algorithm is None or kind is None:
        return None
    for one in named:
        if kind == "COMPOSITE" and algorithm not in one.checksums:
            raise S3Error(
                "InvalidRequest",
                f"The upload was created using a {algorithm} checksum. The complete request must "
                f"include the checksum for each part. It was missing for part {one.number} in "
                "the request.",
            )
    sized = [(part.checksum, part.size_bytes) for part in parts if part.checksum is not None]
    whole = checksums.of_parts(algorithm, kind, sized) if len(sized) == len(parts) else None
    given = call.header(checksums.header_name(algorithm))
    if whole is None:
        return Checksum(algorithm=algorithm, value=given, type=kind) if given else None
    if given not in (None, whole.value):
        raise S3Error(
            "BadDigest",
            f"The {algorithm.upper()} you specified did not match the calculated checksum.",
        )
    return whole


def _commit_completion(
    store: Store, call: Call, upload: Upload, stored: StoredObject, named: list[_Named]
) -> None:
    def check(current: StoredObject | None) -> None:
        _upload_to_complete(store.index, call, named)
        conditions.check_write(stored.key, current, call.request.headers)

    def close_upload() -> list[str]:
        store.index.put_upload(
            replace(upload, completed_at=utc_now(), completion=_completion(stored, named))
        )
        return store.index.delete_parts(upload.id)

    store.commit(stored, check, also=close_upload)


def _completion(stored: StoredObject, named: list[_Named]) -> dict[str, str]:
    completion = {"etag": stored.etag, "parts": _fingerprint(named)}
    if stored.checksum is not None:
        checksum = stored.checksum
        completion |= {
            "algorithm": checksum.algorithm,
            "checksum": checksum.value,
            "checksum_type": checksum.type,
        }
    return completion


def _fingerprint(named: list[_Named]) -> str:
    listed = "\n".join(f"{one.number} {one.etag}" for one in named)
    return hashlib.sha256(listed.encode("utf-8")).hexdigest()


def _completion_answer(store: Store, upload: Upload, completion: dict[str, str]) -> Response:
    checksum: list[tuple[str, xml.Content]] = []
    if "algorithm" in completion:
        checksum = [
            (checksums.element_name(completion["algorithm"]), completion["checksum"]),
            ("ChecksumType", completion["checksum_type"]),
        ]
    host = f"https://s3.{store.region}.amazonaws.com"
    return xml_answer(
        "CompleteMultipartUploadResult",
        [
            ("Location", f"{host}/{upload.bucket}/{quote(upload.key, safe='')}"),
            ("Bucket", upload.bucket),
            ("Key", upload.key),
            ("ETag", f'"{completion["etag"]}"'),
            *checksum,
        ],
        headers=properties.encryption_headers(upload.properties.encryption),
    )


def abort_multipart_upload(store: Store, call: Call) -> Response:
    with store.index.transaction():
        upload = _upload(store.index, call)
        # Like AWS: aborting what was completed is no error, and changes nothing.
        blobs = store.index.delete_upload(upload.id) if upload.completed_at is None else []
    store.blobs.delete(blobs)
    return empty_answer(204)


def list_parts(store: Store, call: Call) -> Response:
    upload = _open_upload(store, call)
    most = limit(call, "max-parts", MAX_KEYS)
    marker = limit(call, "part-number-marker", MAX_PARTS) if _has(call, "part-number-marker") else 0
    parts = [part for part in store.index.parts(upload.id).values() if part.number > marker]
    page = parts[:most]
    algorithm = upload.checksum_algorithm
    return xml_answer(
        "ListPartsResult",
        [
            ("Bucket", call.bucket),
            ("Key", encoder(call)(call.key)),
            ("UploadId", upload.id),
            ("PartNumberMarker", marker),
            ("NextPartNumberMarker", page[-1].number if page else 0),
            ("MaxParts", most),
            ("IsTruncated", len(page) < len(parts)),
            *(("Part", _part_element(part)) for part in page),
            ("Initiator", [("ID", store.account_id)]),
            ("Owner", [("ID", store.account_id)]),
            ("StorageClass", upload.properties.storage_class),
            ("ChecksumAlgorithm", algorithm.upper() if algorithm else None),
            ("ChecksumType", upload.checksum_type),
        ],
    )


def _has(call: Call, name: str) -> bool:
    return bool(call.query.get(name))


def _part_element(part: Part) -> xml.Content:
    return [
        ("PartNumber", part.number),
        ("LastModified", xml.timestamp(part.modified_at)),
        ("ETag", f'"{part.etag}"'),
        ("Size", part.size_bytes),
        *checksum_elements(part.checksum)[:1],
    ]


def list_multipart_uploads(store: Store, call: Call) -> Response:
    store.require_bucket(call.bucket)
    query = call.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    most = limit(call, "max-uploads", MAX_KEYS)
    after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
    uploads = _uploads_after(store.index.open_uploads(call.bucket, prefix.encode("utf-8")), *after)
    # One entry for each upload, and one for each folder, which stands for all uploads in it.
    entries: dict[tuple[str, str], Upload] = {}
    folders: dict[str, tuple[str, str]] = {}
    for upload in uploads:
        at = upload.key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            entries[(upload.key, upload.id)] = upload
        elif (folder := upload.key[: at + len(delimiter)]) > after[0]:
            folders[folder] = (folder, "")
    in_order = sorted([*entries, *folders.values()], key=lambda pair: pair[0].encode("utf-8"))
    page = in_order[:most]
    truncated = len(page) < len(in_order) and bool(page)
    encode = encoder(call)
    return xml_answer(
        "ListMultipartUploadsResult",
        [
            ("Bucket", call.bucket),
            ("KeyMarker", encode(after[0])),
            ("UploadIdMarker", after[1]),
            ("NextKeyMarker", encode(page[-1][0]) if truncated else None),
            ("NextUploadIdMarker", page[-1][1] if truncated else None),
            ("Prefix", encode(prefix)),
            ("Delimiter", encode(delimiter) if delimiter else None),
            ("EncodingType", query.get("encoding-type")),
            ("MaxUploads", most),
            ("IsTruncated", truncated),
            *(
                ("Upload", _upload_element(store, entries[name], encode(name[0])))
                for name in page
                if name in entries
            ),
            *(
                ("CommonPrefixes", [("Prefix", encode(name[0]))])
                for name in page
                if name not in entries
            ),
        ],
    )


def _uploads_after(uploads: list[Upload], key: str, upload_id: str) -> list[Upload]:
    """The uploads behind the markers; those of one key stand in order of their age."""
    if not key:
        return uploads
    later = [one for one in uploads if one.key.encode("utf-8") > key.encode("utf-8")]
    if not upload_id:
        return later
    same = [one for one in uploads if one.key == key]
    ids = [one.id for one in same]
    return same[ids.index(upload_id) + 1 :] + later if upload_id in ids else later


def _upload_element(store: Store, upload: Upload, key: str) -> xml.Content:
    algorithm = upload.checksum_algorithm
    return [
        ("Key", key),
        ("UploadId", upload.id),
        ("Initiator", [("ID", store.account_id)]),
        ("Owner", [("ID", store.account_id)]),
        ("StorageClass", upload.properties.storage_class),
        ("Initiated", xml.timestamp(upload.initiated_at)),
        ("ChecksumAlgorithm", algorithm.upper() if algorithm else None),
        ("ChecksumType", upload.checksum_type),
    ]


def _upload(index: Index, call: Call) -> Upload:
    """Raises S3Error: NoSuchUpload."""
    upload_id = call.query.get("uploadId", "")
    upload = index.upload(upload_id)
    if upload is None or (upload.bucket, upload.key) != (call.bucket, call.key):
        raise _no_such_upload(upload_id)
    return upload


def _open_upload(store: Store, call: Call) -> Upload:
    """Raises S3Error: NoSuchBucket or NoSuchUpload."""
    store.require_bucket(call.bucket)
    upload = _upload(store.index, call)
    if upload.completed_at is not None:
        raise _no_such_upload(upload.id)
    return upload


def _no_such_upload(upload_id: str) -> S3Error:
    return S3Error(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may "
        "have been aborted or completed.",
        details={"UploadId": upload_id},
    )
