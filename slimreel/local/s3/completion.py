"""CompleteMultipartUpload.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from urllib.parse import quote
from xml.etree import ElementTree

from werkzeug import Response

from slimreel.local.s3 import body, checksums, conditions, properties, xml
from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.index import Index
from slimreel.local.s3.model import Checksum, Part, StoredObject, Upload
from slimreel.local.s3.multipart import find_upload, no_such_upload
from slimreel.local.s3.objects import MAX_PARTS, expiration_header, part_number
from slimreel.local.s3.responses import xml_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store, utc_now

MIN_PART_BYTES = 5 << 20

# S3 answers a repeated completion as it did the first for some time it does not document, so
# that a client whose answer got lost may ask again.
COMPLETION_REMEMBERED = timedelta(hours=1)


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
    upload = find_upload(index, call)
    if upload.completed_at is None:
        return upload
    if upload.completion is not None and upload.completion["parts"] == _fingerprint(named):
        raise _AlreadyCompleted(upload)
    raise no_such_upload(upload.id)


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
