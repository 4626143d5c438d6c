"""The S3 stand-in: takes requests, finds the operation, answers as S3 does."""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO

from werkzeug import Request, Response
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import LimitedStream

from slimreel.local import ACCOUNT_ID, REGION
from slimreel.local.faults import Fault, Faults
from slimreel.local.s3 import (
    buckets,
    completion,
    copies,
    cors,
    lifecycle,
    listing,
    multipart,
    objects,
    properties,
    settings,
    upload_listing,
    xml,
)
from slimreel.local.s3.blobs import BLOCK_BYTES, Blobs
from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.index import Index
from slimreel.local.s3.lifecycle import Expired
from slimreel.local.s3.model import Properties, StoredObject
from slimreel.local.s3.naming import check_key
from slimreel.local.s3.routing import Call, Denials, understood
from slimreel.local.s3.signature import access_key_id, check_signature
from slimreel.local.s3.store import Store, utc_now, with_storage_class

log = logging.getLogger("slimreel.local.s3")

# An unread body this small is read away to keep the connection; a larger one costs it.
MAX_DRAINED_BYTES = 1 << 20

OPERATIONS: dict[str, Callable[[Store, Call], Response]] = {
    "ListBuckets": buckets.list_buckets,
    "CreateBucket": buckets.create_bucket,
    "HeadBucket": buckets.head_bucket,
    "DeleteBucket": buckets.delete_bucket,
    "GetBucketLocation": buckets.get_location,
    **settings.OPERATIONS,
    "PreflightRequest": cors.preflight,
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "PutObject": objects.put_object,
    "GetObject": objects.get_object,
    "HeadObject": objects.get_object,
    "DeleteObject": objects.delete_object,
    "DeleteObjects": objects.delete_objects,
    "GetObjectTagging": objects.get_tagging,
    "PutObjectTagging": objects.put_tagging,
    "DeleteObjectTagging": objects.delete_tagging,
    "CopyObject": copies.copy_object,
    "CreateMultipartUpload": multipart.create_multipart_upload,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": multipart.upload_part_copy,
    "CompleteMultipartUpload": completion.complete_multipart_upload,
    "AbortMultipartUpload": multipart.abort_multipart_upload,
    "ListParts": upload_listing.list_parts,
    "ListMultipartUploads": upload_listing.list_multipart_uploads,
}


class S3:
    """Amazon S3 under `root`. One process at a time; any number of threads.

    `secrets` maps access key ids to secret keys; with it, every signature is verified. Without,
    requests must be signed and presigned URLs expire, but who signed is not looked at. `denials`
    says what the holder of an access key may not do; without it, everybody may do all.
    """

    def __init__(
        self,
        root: Path,
        *,
        faults: Faults,
        region: str = REGION,
        account_id: str = ACCOUNT_ID,
        secrets: Mapping[str, str] | None = None,
        denials: Callable[[str, Call], Denials | None] | None = None,
    ) -> None:
        """Open the store, and sweep away what a killed process left half-written.

        Raises:
            BlockingIOError: another process has this root open.
        """
        root.mkdir(parents=True, exist_ok=True)
        self._only_here = _lock(root / "lock")
        self._faults = faults
        self._secrets = secrets
        self._denials = denials
        self._store = Store(
            index=Index(root / "index.sqlite"),
            blobs=Blobs(root),
            region=region,
            account_id=account_id,
        )
        swept = self._store.blobs.sweep(self._store.index.blobs_in_use())
        if swept:
            log.info("removed %d half-written files", swept)

    def close(self) -> None:
        self._store.index.close()
        self._only_here.close()

    def handle(self, request: Request) -> Response:
        """Answer one path-style request; bodies stream both ways."""
        request_id = secrets.token_hex(8).upper()
        host_id = base64.b64encode(hashlib.sha256(request_id.encode()).digest()).decode()
        try:
            answer = self._answer(request)
        except S3Error as error:
            answer = _error_answer(error, request, request_id, host_id)
        except Exception as problem:
            log.exception("%s %s", request.method, request.path)
            message = "We encountered an internal error. Please try again."
            if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
                message = "The disk of the stand-in cloud is full."
            internal = S3Error("InternalError", message)
            answer = _error_answer(internal, request, request_id, host_id)
        answer.headers["x-amz-request-id"] = request_id
        answer.headers["x-amz-id-2"] = host_id
        if not _drained(request):
            answer.headers["Connection"] = "close"
        return answer

    def _answer(self, request: Request) -> Response:
        if request.method != "OPTIONS":  # browsers do not sign what they ask beforehand
            check_signature(
                request, region=self._store.region, secrets=self._secrets, now=utc_now()
            )
        call = understood(request)
        if self._denials is not None and request.method != "OPTIONS":
            call = replace(call, denials=self._denials(access_key_id(request), call))
            _check_allowed(call)
        self._check_owner(call)
        properties.refuse_unsupported(request.headers)
        fault = self._faults.take("s3", call.operation)
        if fault is not None and fault.status is not None and not fault.after_effect:
            raise _error_of(fault, fault.status)
        answer = self._performed(call)
        if fault is not None and fault.status is not None:
            answer.close()
            raise _error_of(fault, fault.status)
        if call.operation != "PreflightRequest":
            answer.headers.update(cors.headers_for(self._store, call.bucket, request))
        if fault is not None and fault.cut_body_at_byte is not None:
            return _cut(answer, fault.cut_body_at_byte)
        return answer

    def _performed(self, call: Call) -> Response:
        try:
            return OPERATIONS[call.operation](self._store, call)
        except S3Error as error:
            absent = call.denials if error.code == "NoSuchKey" else None
            if absent is not None and (denial := absent.of_hearing_of_absence()):
                raise S3Error("AccessDenied", denial) from error
            raise

    def _check_owner(self, call: Call) -> None:
        for name in ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"):
            if call.header(name) not in (None, self._store.account_id):
                raise S3Error("AccessDenied", "Access Denied")

    def has_bucket(self, bucket: str) -> bool:
        return self._store.index.has_bucket(bucket)

    def object_path(self, bucket: str, key: str) -> Path:
        """The file with the object's bytes, for reading only: copies may share it.

        It vanishes when the object is replaced or deleted; a file opened before stays readable.

        Raises:
            KeyError: no such bucket or object.
        """
        stored = self._store.index.object(bucket, key)
        if stored is None:
            raise KeyError(f"s3://{bucket}/{key}")
        return self._store.blobs.path(stored.blob)

    def put_file(self, bucket: str, key: str, path: Path, *, content_type: str) -> None:
        """Make the file at `path` the object at `key`; the file is moved, not copied.

        Any size; the object looks like one written by a single PutObject.

        Raises:
            KeyError: no such bucket.
            S3Error: KeyTooLongError.
        """
        if not self.has_bucket(bucket):
            raise KeyError(f"s3://{bucket}")
        check_key(key)
        with path.open("rb") as file:
            md5 = _file_md5(file)
        encryption = properties.default_encryption(self._store, bucket)
        blob = self._store.blobs.adopt(path)
        stored = StoredObject(
            bucket=bucket,
            key=key,
            blob=blob,
            size_bytes=self._store.blobs.path(blob).stat().st_size,
            etag=properties.etag_of(md5, encryption),
            modified_at=utc_now(),
            properties=Properties(headers={"Content-Type": content_type}, encryption=encryption),
        )
        self._store.commit(stored, lambda _: None)

    def expire(self, now: datetime) -> Expired:
        """Do what the lifecycle rules of all buckets want done by `now` (aware, any zone)."""
        gone, stale, moved = [], [], []
        store = self._store
        for bucket, _ in store.index.buckets():
            rules = store.lifecycle_rules(bucket)
            for stored in _all_objects(store.index, bucket) if rules else ():
                due = lifecycle.expiry(rules, stored)
                storage_class = lifecycle.storage_class_at(rules, stored, now)
                with _unless_replaced():
                    if due is not None and due[0] <= now:
                        store.delete(bucket, stored.key, _still(stored))
                        gone.append((bucket, stored.key))
                    elif storage_class != stored.properties.storage_class:
                        store.change(with_storage_class(stored, storage_class))
                        moved.append((bucket, stored.key))
            for upload in store.index.open_uploads(bucket):
                if lifecycle.upload_is_stale(rules, upload, now):
                    with store.index.transaction():
                        blobs = store.index.delete_upload(upload.id)
                    store.blobs.delete(blobs)
                    stale.append((bucket, upload.key))
        return Expired(objects=tuple(gone), uploads=tuple(stale), transitions=tuple(moved))


class _Replaced(Exception):
    """The object a rule looked at is no longer the one at its key."""


@contextmanager
def _unless_replaced() -> Iterator[None]:
    try:
        yield
    except _Replaced:
        log.info("an object was replaced while its lifecycle rule was applied; kept")
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise


def _still(stored: StoredObject) -> Callable[[StoredObject | None], None]:
    def check(current: StoredObject | None) -> None:
        if current is None or current.blob != stored.blob:
            raise _Replaced

    return check


def _all_objects(index: Index, bucket: str) -> Iterator[StoredObject]:
    start = b""
    while found := index.objects_from(bucket, b"", start, listing.MAX_KEYS):
        yield from found
        start = found[-1].key.encode("utf-8") + b"\0"


def _lock(path: Path) -> IO[str]:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    return file


def _file_md5(file: IO[bytes]) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    while block := file.read(BLOCK_BYTES):
        md5.update(block)
    return md5.hexdigest()


def _error_of(fault: Fault, status: int) -> S3Error:
    return S3Error(fault.code, fault.message, status=status)


def _check_allowed(call: Call) -> None:
    if call.denials is not None and (denial := call.denials.of_call()):
        raise S3Error("AccessDenied", denial)


def _error_answer(error: S3Error, request: Request, request_id: str, host_id: str) -> Response:
    if error.status == 501:
        log.warning("501 %s %s: %s", request.method, request.path, error.message)
    if request.method == "HEAD" or error.status == 304:
        answer = Response(b"", status=error.status, headers=error.headers)
        del answer.headers["Content-Length"]
        return answer
    content: list[tuple[str, xml.Content]] = [
        ("Code", error.code),
        ("Message", error.message),
        *error.details.items(),
        ("Resource", request.path),
        ("RequestId", request_id),
        ("HostId", host_id),
    ]
    return Response(
        xml.document("Error", content, namespace=False),
        status=error.status,
        headers=error.headers,
        content_type="application/xml",
    )


def _drained(request: Request) -> bool:
    """Whether the body was read to its end, after reading away a short rest of it."""
    stream, length = request.stream, request.content_length or 0
    try:
        if isinstance(stream, LimitedStream) and length - stream.tell() > MAX_DRAINED_BYTES:
            return False
        rest = 0
        while rest <= MAX_DRAINED_BYTES:
            block = stream.read(BLOCK_BYTES)
            if not block:
                return True
            rest += len(block)
    except (ClientDisconnected, OSError):
        return False  # the client left, so there is no connection to keep
    return False


class _CutBody(Iterator[bytes]):
    """The first bytes of an answer's body."""

    def __init__(self, answer: Response, length: int) -> None:
        self._whole = answer.response
        self._blocks = answer.iter_encoded()
        self._left = length

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        block = next(self._blocks)[: self._left]
        self._left -= len(block)
        return block

    def close(self) -> None:
        close = getattr(self._whole, "close", None)
        if close is not None:
            close()


def _cut(answer: Response, at_byte: int) -> Response:
    """The answer with its full Content-Length, but fewer bytes before the connection closes."""
    length = answer.headers.get("Content-Length") or str(answer.calculate_content_length() or 0)
    answer.response = _CutBody(answer, at_byte)
    answer.direct_passthrough = True
    answer.headers["Content-Length"] = length
    answer.headers["Connection"] = "close"
    return answer
