"""The properties a writer gives an object in headers, and the headers a reader gets back.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, quote

from werkzeug.datastructures import Headers
from werkzeug.http import http_date

from slimreel.local.s3 import checksums, xml
from slimreel.local.s3.errors import S3Error, invalid_argument, not_implemented
from slimreel.local.s3.model import Checksum, Encryption, Properties, StoredObject
from slimreel.local.s3.store import Store

MAX_METADATA_BYTES = 2 << 10
MAX_OBJECT_TAGS = 10
STORAGE_CLASSES = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
        "GLACIER",
        "DEEP_ARCHIVE",
    }
)
ARCHIVED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})  # must be restored before a read

_STORED_HEADERS = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Expires",
)
_METADATA = "x-amz-meta-"
_SSE = "x-amz-server-side-encryption"

# Headers that would change what the call does, and do not here.
_UNSUPPORTED_PREFIXES = (
    f"{_SSE}-customer-",
    f"x-amz-copy-source-{_SSE.removeprefix('x-amz-')}-customer-",
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-bypass-governance-retention",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-mfa",
)


def refuse_unsupported(headers: Headers) -> None:
    """Raises S3Error: NotImplemented for a header that would otherwise be silently ignored."""
    for name in headers.keys():  # noqa: SIM118 - iterating Headers gives pairs
        if name.lower().startswith(_UNSUPPORTED_PREFIXES):
            raise not_implemented(f"the header {name}")
    acl = headers.get("x-amz-acl")
    if acl not in (None, "bucket-owner-full-control", "private"):
        raise S3Error("AccessControlListNotSupported", "The bucket does not allow ACLs")


def from_headers(store: Store, bucket: str, headers: Headers) -> Properties:
    """What a PUT says about the object it writes, with the bucket's default encryption.

    Raises:
        S3Error: MetadataTooLarge, InvalidStorageClass, InvalidArgument or InvalidTag.
    """
    storage_class = headers.get("x-amz-storage-class", "STANDARD")
    if storage_class not in STORAGE_CLASSES:
        raise S3Error("InvalidStorageClass", "The storage class you specified is not valid")
    return Properties(
        headers=_system_headers(headers),
        metadata=_metadata(headers),
        storage_class=storage_class,
        encryption=_encryption(store, bucket, headers),
        tags=_tags(headers.get("x-amz-tagging", "")),
    )


def _system_headers(headers: Headers) -> dict[str, str]:
    stored = {name: headers[name] for name in _STORED_HEADERS if name in headers}
    encodings = [item.strip() for item in stored.pop("Content-Encoding", "").split(",")]
    if kept := [item for item in encodings if item not in ("", "aws-chunked")]:
        stored["Content-Encoding"] = ",".join(kept)
    return {"Content-Type": "binary/octet-stream", **stored}


def _metadata(headers: Headers) -> dict[str, str]:
    metadata = {
        name.lower().removeprefix(_METADATA): value
        for name, value in headers.items()
        if name.lower().startswith(_METADATA)
    }
    size_bytes = sum(
        len(name.encode("utf-8")) + len(value.encode("latin-1", "replace"))
        for name, value in metadata.items()
    )
    if size_bytes > MAX_METADATA_BYTES:
        raise S3Error(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            details={"Size": size_bytes, "MaxSizeAllowed": MAX_METADATA_BYTES},
        )
    return metadata


def _encryption(store: Store, bucket: str, headers: Headers) -> Encryption:
    algorithm = headers.get(_SSE)
    if algorithm is None:
        return default_encryption(store, bucket)
    if algorithm not in ("AES256", "aws:kms", "aws:kms:dsse"):
        raise invalid_argument(_SSE, algorithm, "The encryption method specified is not supported")
    return _encryption_with(
        store,
        algorithm,
        headers.get(f"{_SSE}-aws-kms-key-id"),
        headers.get(f"{_SSE}-bucket-key-enabled", "").lower() == "true",
    )


def default_encryption(store: Store, bucket: str) -> Encryption:
    document = store.index.setting(bucket, "encryption")
    if document is None:
        return Encryption()
    root = xml.parsed(document, "ServerSideEncryptionConfiguration")
    default = "Rule/ApplyServerSideEncryptionByDefault"
    return _encryption_with(
        store,
        xml.text(root, f"{default}/SSEAlgorithm") or "AES256",
        xml.text(root, f"{default}/KMSMasterKeyID"),
        xml.text(root, "Rule/BucketKeyEnabled") == "true",
    )


def _encryption_with(
    store: Store, algorithm: str, key_id: str | None, bucket_key: bool
) -> Encryption:
    if algorithm == "AES256":
        return Encryption()
    keys = f"arn:aws:kms:{store.region}:{store.account_id}:"
    key = key_id or "alias/aws/s3"
    if not key.startswith("arn:"):
        key = keys + (key if key.startswith("alias/") else f"key/{key}")
    return Encryption(algorithm=algorithm, kms_key_id=key, bucket_key_enabled=bucket_key)


def _tags(header: str) -> dict[str, str]:
    return checked_tags(parse_qsl(header, keep_blank_values=True), limit=MAX_OBJECT_TAGS)


def checked_tags(pairs: list[tuple[str, str]], *, limit: int) -> dict[str, str]:
    """Raises S3Error: InvalidTag."""
    if len(pairs) > limit:
        raise S3Error("InvalidTag", f"Tags cannot be more than {limit}")
    tags = dict(pairs)
    if len(tags) < len(pairs):
        raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
    for name, value in tags.items():
        if not 1 <= len(name) <= 128 or len(value) > 256:
            raise S3Error("InvalidTag", "The TagKey or TagValue you have provided is invalid")
    return tags


def etag_of(md5: str, encryption: Encryption) -> str:
    """The ETag of bytes with the hex digest `md5`: that digest, except under KMS keys.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    if encryption.kms_key_id is None:
        return md5
    salted = f"{encryption.kms_key_id}/{md5}".encode()
    return hashlib.md5(salted, usedforsecurity=False).hexdigest()


def encryption_headers(encryption: Encryption) -> dict[str, str]:
    headers = {_SSE: encryption.algorithm}
    if encryption.kms_key_id is not None:
        headers[f"{_SSE}-aws-kms-key-id"] = encryption.kms_key_id
    if encryption.bucket_key_enabled:
        headers[f"{_SSE}-bucket-key-enabled"] = "true"
    return headers


def checksum_headers(checksum: Checksum | None) -> dict[str, str]:
    if checksum is None:
        return {}
    return {
        checksums.header_name(checksum.algorithm): checksum.value,
        "x-amz-checksum-type": checksum.type,
    }


def expiration_header(due: tuple[datetime, str] | None) -> dict[str, str]:
    if due is None:
        return {}
    moment, rule_id = due
    shown = f'expiry-date="{http_date(moment)}", rule-id="{quote(rule_id)}"'
    return {"x-amz-expiration": shown}


def read_headers(stored: StoredObject, query: Mapping[str, str]) -> dict[str, str]:
    """The headers of GetObject and HeadObject that do not depend on the range.

    Raises:
        S3Error: InvalidArgument for a `response-*` override that is no header value.
    """
    properties = stored.properties
    headers = dict(properties.headers)
    for name in _STORED_HEADERS:
        override = query.get(f"response-{name.lower()}")
        if override is not None:
            headers[name] = _header_value(f"response-{name.lower()}", override)
    headers |= {f"{_METADATA}{name}": value for name, value in properties.metadata.items()}
    headers |= encryption_headers(properties.encryption)
    if properties.storage_class != "STANDARD":
        headers["x-amz-storage-class"] = properties.storage_class
    if properties.tags:
        headers["x-amz-tagging-count"] = str(len(properties.tags))
    return headers | {
        "ETag": f'"{stored.etag}"',
        "Last-Modified": http_date(stored.modified_at),
        "Accept-Ranges": "bytes",
    }


def _header_value(name: str, value: str) -> str:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise invalid_argument(
            name, value, "Header value cannot be represented using ISO-8859-1."
        ) from error
    if any(character in value for character in "\r\n\0"):
        raise invalid_argument(name, value, "Header value has a line break.")
    return value
