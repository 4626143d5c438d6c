"""What the store keeps: objects, multipart uploads and their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """A checksum as S3 shows it: `value` is base64, with "-<parts>" behind it when composite."""

    algorithm: str  # lower case: "crc32", "sha256", …
    value: str
    type: ChecksumType = "FULL_OBJECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """The server-side encryption an object reports. Bytes on disk are not encrypted."""

    algorithm: str = "AES256"
    kms_key_id: str | None = None
    bucket_key_enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What the writer of an object said about it.

    Attributes:
        headers: stored system headers by their canonical name ("Content-Type", …).
        metadata: user metadata, names in lower case without "x-amz-meta-".
    """

    headers: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    encryption: Encryption = field(default_factory=Encryption)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object; `blob` names its file, `etag` is without quotes.

    `part_sizes_bytes` is empty unless it came from a multipart upload.
    """

    bucket: str
    key: str
    blob: str
    size_bytes: int
    etag: str
    modified_at: datetime
    properties: Properties
    checksum: Checksum | None = None
    part_sizes_bytes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload; `completion` is its answer once it was completed."""

    id: str
    bucket: str
    key: str
    initiated_at: datetime
    properties: Properties
    checksum_algorithm: str | None = None
    checksum_type: ChecksumType | None = None
    completed_at: datetime | None = None
    completion: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    upload_id: str
    number: int
    blob: str
    size_bytes: int
    md5: str  # hex
    etag: str
    modified_at: datetime
    checksum: Checksum | None = None
