"""Reading a request body in blocks, unwrapping aws-chunked, and checking every digest it names.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

from werkzeug import Request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected

from slimreel.local.s3 import checksums
from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.model import Checksum

BLOCK_BYTES = 1 << 20
MAX_SINGLE_PUT_BYTES = (
    5 << 30
)  # Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_DOCUMENT_BYTES = 8 << 20  # 10,000 parts with checksums, or 1,000 keys of 1,024 bytes, escaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A body that arrived whole and is what its sender said. `md5` is hex."""

    size_bytes: int
    md5: str
    checksum: Checksum | None


def receive(
    request: Request, sink: BinaryIO, *, limit_bytes: int, checksum_is_of_body: bool = True
) -> Received:
    """Write the decoded body of `request` to `sink`.

    `checksum_is_of_body` is false where x-amz-checksum-* headers speak of an object instead.

    Raises:
        S3Error: no length, too long, cut short, or another digest than the headers name.
    """
    source = _source(request, limit_bytes)
    claims = _Claims(request.headers, flexible=checksum_is_of_body)
    md5 = hashlib.md5(usedforsecurity=False)
    sha256 = hashlib.sha256() if claims.payload_sha256 else None
    flexible = checksums.hasher(claims.algorithm) if claims.algorithm else None
    size_bytes = 0
    for block in source:
        sink.write(block)
        size_bytes += len(block)
        for digest in (md5, sha256, flexible):
            if digest is not None:
                digest.update(block)
    source.check_length(size_bytes)
    if sha256 is not None and sha256.hexdigest() != claims.payload_sha256:
        raise S3Error(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    if claims.md5 is not None and claims.md5 != md5.digest():
        raise S3Error(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
        )
    checksum = claims.checksum(source.trailers)
    if checksum and flexible and checksum.value != checksums.base64_of(flexible.digest()):
        raise S3Error(
            "BadDigest",
            f"The {checksum.algorithm.upper()} you specified did not match the calculated "
            "checksum.",
        )
    return Received(size_bytes=size_bytes, md5=md5.hexdigest(), checksum=checksum)


def document(request: Request, *, checksum_is_of_body: bool = True) -> bytes:
    """The whole body of a small request; empty when it has none.

    Raises:
        S3Error: as `receive`.
    """
    if request.headers.get("Content-Length", "0") == "0" and not is_aws_chunked(request.headers):
        return b""
    sink = io.BytesIO()
    receive(request, sink, limit_bytes=MAX_DOCUMENT_BYTES, checksum_is_of_body=checksum_is_of_body)
    return sink.getvalue()


def named_algorithm(headers: Headers) -> str | None:
    """The checksum algorithm the headers or the announced trailer use.

    Raises:
        S3Error: InvalidRequest when they name several, or a malformed value.
    """
    return _Claims(headers).algorithm


def is_aws_chunked(headers: Headers) -> bool:
    payload = headers.get("x-amz-content-sha256", "")
    return payload.startswith("STREAMING-") or "aws-chunked" in headers.get("Content-Encoding", "")


class _Claims:
    """What the headers say about the body."""

    def __init__(self, headers: Headers, *, flexible: bool = True) -> None:
        payload = headers.get("x-amz-content-sha256", "")
        is_literal = payload.startswith("STREAMING-") or payload == "UNSIGNED-PAYLOAD"
        self.payload_sha256 = None if is_literal or not payload else payload
        self.md5 = _content_md5(headers.get("Content-MD5"))
        named = [
            (algorithm, headers[checksums.header_name(algorithm)])
            for algorithm in checksums.DIGEST_BYTES
            if flexible and checksums.header_name(algorithm) in headers
        ]
        trailing = headers.get("x-amz-trailer", "").strip().lower()
        self._trailing = trailing.removeprefix("x-amz-checksum-") if trailing else None
        if self._trailing is not None and self._trailing not in checksums.DIGEST_BYTES:
            raise S3Error(
                "InvalidRequest", "The value specified in the x-amz-trailer header is not supported"
            )
        if len(named) + (self._trailing is not None) > 1:
            raise S3Error(
                "InvalidRequest",
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
                "allowed.",
            )
        self._value = checksums.checked_value(*named[0]) if named else None
        self.algorithm = named[0][0] if named else self._trailing
        if self.algorithm is None and "x-amz-sdk-checksum-algorithm" in headers:
            raise S3Error(
                "InvalidRequest",
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* "
                "or x-amz-trailer headers were found.",
            )

    def checksum(self, trailers: dict[str, str]) -> Checksum | None:
        """The checksum the sender named, once the trailers are in."""
        if self.algorithm is None:
            return None
        value = self._value
        if value is None:
            trailer = trailers.get(checksums.header_name(self.algorithm))
            if trailer is None:
                raise S3Error(
                    "InvalidRequest", "The trailer named in x-amz-trailer did not arrive."
                )
            value = checksums.checked_value(self.algorithm, trailer)
        return Checksum(algorithm=self.algorithm, value=value)


def _content_md5(value: str | None) -> bytes | None:
    if value is None:
        return None
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.")
    return digest


def _source(request: Request, limit_bytes: int) -> _Plain | _Chunked:
    chunked = is_aws_chunked(request.headers)
    name = "x-amz-decoded-content-length" if chunked else "Content-Length"
    value = request.headers.get(name)
    if value is None and not chunked and "Transfer-Encoding" in request.headers:
        raise S3Error(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
            details={"Header": "Transfer-Encoding"},
        )
    if value is None:
        raise S3Error("MissingContentLength", f"You must provide the {name} HTTP header.")
    if not (value.isascii() and value.isdigit()):
        raise S3Error("InvalidArgument", f"{name} must be a number of bytes.")
    length_bytes = int(value)
    if length_bytes > limit_bytes:
        raise _too_large(length_bytes, limit_bytes)
    return (_Chunked if chunked else _Plain)(request, length_bytes)


def _too_large(length_bytes: int, limit_bytes: int) -> S3Error:
    if limit_bytes == MAX_DOCUMENT_BYTES:
        return S3Error("MaxMessageLengthExceeded", "Your request was too big.")
    return S3Error(
        "EntityTooLarge",
        "Your proposed upload exceeds the maximum allowed size",
        details={"ProposedSize": length_bytes, "MaxSizeAllowed": limit_bytes},
    )


class _Plain:
    def __init__(self, request: Request, length_bytes: int) -> None:
        self._stream = request.stream
        self._length_bytes = length_bytes
        self.trailers: dict[str, str] = {}

    def __iter__(self) -> Iterator[bytes]:
        while block := _read(self._stream, BLOCK_BYTES):
            yield block

    def check_length(self, size_bytes: int) -> None:
        if size_bytes != self._length_bytes:
            raise _incomplete()


class _Chunked(_Plain):
    """`<hex size>[;chunk-signature=…]\\r\\n<bytes>\\r\\n`, a chunk of size 0, then trailers.

    Signatures of single chunks are not verified.
    """

    def __init__(self, request: Request, length_bytes: int) -> None:
        super().__init__(request, length_bytes)
        self._buffered = io.BufferedReader(_Raw(request.stream), BLOCK_BYTES)

    def __iter__(self) -> Iterator[bytes]:
        while left := self._chunk_size():
            while left:
                block = self._buffered.read(min(left, BLOCK_BYTES))
                if not block:
                    raise _incomplete()
                left -= len(block)
                yield block
            if self._buffered.read(2) != b"\r\n":
                raise _incomplete()
        while line := self._buffered.readline(8192).strip():
            name, _, value = line.decode("latin-1").partition(":")
            self.trailers[name.strip().lower()] = value.strip()

    def _chunk_size(self) -> int:
        line = self._buffered.readline(8192)
        try:
            return int(line.split(b";", 1)[0].strip(), 16)
        except ValueError as error:
            raise _incomplete() from error


class _Raw(io.RawIOBase):
    """A stream that may return fewer bytes than asked, as a raw one for BufferedReader."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        block = _read(self._stream, len(buffer))
        buffer[: len(block)] = block
        return len(block)


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        block = stream.read(size)
    except ClientDisconnected as error:
        raise _incomplete() from error
    return block


def _incomplete() -> S3Error:
    return S3Error(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )
