"""The checksums S3 knows: which can be computed here, and how those of parts combine.

CRC32, MD5 and the SHAs are computed and compared. CRC32C, CRC64NVME and the xxHashes need a
native library that is not among our dependencies: their values are kept as the client sent them.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.model import Checksum, ChecksumType

DIGEST_BYTES = {
    "crc32": 4,
    "crc32c": 4,
    "crc64nvme": 8,
    "sha1": 20,
    "sha256": 32,
    "sha512": 64,
    "md5": 16,
    "xxhash64": 8,
    "xxhash3": 8,
    "xxhash128": 16,
}
# Reflected polynomials; all three start from and end with all bits set.
_CRC_POLYNOMIAL = {"crc32": 0xEDB88320, "crc32c": 0x82F63B78, "crc64nvme": 0x9A6C9329AC4BC9B5}
_XML_NAME = {"xxhash64": "XXHASH64", "xxhash3": "XXHASH3", "xxhash128": "XXHASH128"}


class Hasher(Protocol):
    def update(self, block: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, block: bytes, /) -> None:
        self._value = zlib.crc32(block, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def hasher(algorithm: str) -> Hasher | None:
    """A fresh hasher, or None for an algorithm that cannot be computed here."""
    if algorithm == "crc32":
        return _Crc32()
    if algorithm in ("sha1", "sha256", "sha512", "md5"):
        return hashlib.new(algorithm, usedforsecurity=False)
    return None


def header_name(algorithm: str) -> str:
    return f"x-amz-checksum-{algorithm}"


def element_name(algorithm: str) -> str:
    return f"Checksum{_XML_NAME.get(algorithm, algorithm.upper())}"


def base64_of(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


def checked_value(algorithm: str, value: str) -> str:
    """`value`, when it is base64 of the right length.

    Raises:
        S3Error: InvalidRequest.
    """
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != DIGEST_BYTES[algorithm]:
        name = header_name(algorithm)
        raise S3Error("InvalidRequest", f"Value for {name} header is invalid.")
    return value


def multipart_type(algorithm: str, requested: str | None) -> ChecksumType:
    """How the checksums of parts become that of the object.

    Raises:
        S3Error: InvalidRequest for a type this algorithm does not have.
    """
    default: ChecksumType = "FULL_OBJECT" if algorithm == "crc64nvme" else "COMPOSITE"
    allowed = {default} | ({"FULL_OBJECT"} if algorithm in _CRC_POLYNOMIAL else set())
    if requested is None:
        return default
    if requested not in allowed:
        raise S3Error(
            "InvalidRequest",
            f"The {requested} checksum type cannot be used with the {algorithm} checksum "
            "algorithm.",
        )
    return "FULL_OBJECT" if requested == "FULL_OBJECT" else "COMPOSITE"


def of_parts(
    algorithm: str, kind: ChecksumType, parts: Sequence[tuple[Checksum, int]]
) -> Checksum | None:
    """The checksum of an object from those of its parts, each with its part's size in bytes.

    None when a composite one needs an algorithm that cannot be computed here.
    """
    digests = [base64.b64decode(checksum.value) for checksum, _ in parts]
    if kind == "FULL_OBJECT":
        sized = zip(digests, (size for _, size in parts), strict=True)
        return Checksum(algorithm=algorithm, value=base64_of(_combined(algorithm, sized)))
    total = hasher(algorithm)
    if total is None:
        return None
    total.update(b"".join(digests))
    return Checksum(
        algorithm=algorithm, value=f"{base64_of(total.digest())}-{len(parts)}", type="COMPOSITE"
    )


def _combined(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The CRC of bytes laid end to end, from the CRC and length in bytes of each piece."""
    total = 0
    for digest, length in parts:
        shifted = _append_zeros(algorithm, total, length)
        total = shifted ^ int.from_bytes(digest, "big")
    return total.to_bytes(DIGEST_BYTES[algorithm], "big")


def _append_zeros(algorithm: str, crc: int, length: int) -> int:
    """What `crc` becomes after `length` zero bytes: a linear map, raised by squaring.

    Source: zlib's crc32_combine, https://github.com/madler/zlib/blob/v1.2.11/crc32.c
    """
    bits = 8 * DIGEST_BYTES[algorithm]
    operator = [_CRC_POLYNOMIAL[algorithm], *(1 << bit for bit in range(bits - 1))]
    for _ in range(3):  # one zero bit, squared three times: one zero byte
        operator = [_times(operator, column) for column in operator]
    while length:
        if length & 1:
            crc = _times(operator, crc)
        operator = [_times(operator, column) for column in operator]
        length >>= 1
    return crc


def _times(matrix: Sequence[int], vector: int) -> int:
    total = 0
    for column in matrix:
        if vector & 1:
            total ^= column
        vector >>= 1
    return total
