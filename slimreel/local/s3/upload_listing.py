"""ListParts and ListMultipartUploads."""

from __future__ import annotations

from werkzeug import Response

from slimreel.local.s3 import xml
from slimreel.local.s3.copies import checksum_elements
from slimreel.local.s3.listing import MAX_KEYS, encoder, limit
from slimreel.local.s3.model import Part, Upload
from slimreel.local.s3.multipart import open_upload
from slimreel.local.s3.objects import MAX_PARTS
from slimreel.local.s3.responses import xml_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store


def list_parts(store: Store, call: Call) -> Response:
    upload = open_upload(store, call)
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
