from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimreel.local.s3 import checksums
from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.model import Checksum

# (reflected polynomial, bits, CRC of "123456789"), from the catalogue at
# https://reveng.sourceforge.io/crc-catalogue/all.htm
CRCS = {
    "crc32": (0xEDB88320, 32, 0xCBF43926),
    "crc32c": (0x82F63B78, 32, 0xE3069283),
    "crc64nvme": (0x9A6C9329AC4BC9B5, 64, 0xAE8B14860A799888),
}


def crc(algorithm: str, data: bytes) -> int:
    polynomial, bits, _ = CRCS[algorithm]
    ones = (1 << bits) - 1
    value = ones
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
    return value ^ ones


def checksum(algorithm: str, data: bytes) -> Checksum:
    digest = crc(algorithm, data).to_bytes(checksums.DIGEST_BYTES[algorithm], "big")
    return Checksum(algorithm=algorithm, value=base64.b64encode(digest).decode())


@pytest.mark.parametrize("algorithm", CRCS)
def test_reference_crc_is_the_catalogued_one(algorithm: str) -> None:
    assert crc(algorithm, b"123456789") == CRCS[algorithm][2]


@pytest.mark.parametrize("algorithm", CRCS)
@given(pieces=st.lists(st.binary(max_size=70), min_size=1, max_size=5))
def test_crc_of_the_whole_follows_from_its_parts(algorithm: str, pieces: list[bytes]) -> None:
    parts = [(checksum(algorithm, piece), len(piece)) for piece in pieces]
    whole = checksums.of_parts(algorithm, "FULL_OBJECT", parts)
    assert whole == checksum(algorithm, b"".join(pieces))


def test_large_parts_combine() -> None:
    pieces = [bytes(5 << 20), b"x" * (3 << 20), b"end"]
    parts = [
        (
            Checksum(
                algorithm="crc32",
                value=base64.b64encode(zlib.crc32(piece).to_bytes(4, "big")).decode(),
            ),
            len(piece),
        )
        for piece in pieces
    ]
    whole = checksums.of_parts("crc32", "FULL_OBJECT", parts)
    assert whole is not None
    assert base64.b64decode(whole.value) == zlib.crc32(b"".join(pieces)).to_bytes(4, "big")


def test_composite_of_what_cannot_be_computed_is_unknown() -> None:
    assert checksums.of_parts("crc32c", "COMPOSITE", [(checksum("crc32c", b"a"), 1)]) is None


@pytest.mark.parametrize("value", ["", "AAA=", "not base64", "AAAAAAA="])
def test_value_of_another_length_is_refused(value: str) -> None:
    with pytest.raises(S3Error, match="InvalidRequest"):
        checksums.checked_value("crc32", value)
