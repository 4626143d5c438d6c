"""Put back what encoding drops (recording date, place, camera, titles, track names) inside S3.

Only the film's index travels: it is written anew with the source's metadata, and the film itself
is copied from the encoded object inside S3.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.domain.mp4 import (
    Copy,
    MovieMetadata,
    Mp4Error,
    Read,
    Rewrite,
    Upload,
    parts,
    read_metadata,
    rewrite_head,
    writer_entry,
)

if TYPE_CHECKING:
    from chalicelib.adapters.storage import Storage

CONTENT_TYPE = "video/mp4"

#: Below this, one put is quicker than a multipart upload, and S3's 5 MiB minimum does not bite.
SINGLE_PUT_BYTES = 6 * 2**20
#: S3 copies a part at some 100 MB/s, so parts of this size stay far below a client's read
#: time-out, and four of them at a time shorten large films. 10,000 of them are 5 TB, S3's limit.
COPY_PART_BYTES = 512 * 2**20
_COPIES_AT_A_TIME = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """An object in S3."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What came of it.

    Attributes:
        restored: the target object was written; otherwise the encoded one is to be used as it is.
        fields: names of what the source said and the result says too.
        lost: names of what the source said and the result does not.
        reason: why nothing was written; empty when it was.
    """

    restored: bool
    fields: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    reason: str = ""


def restore(
    storage: Storage, *, source: ObjectRef, encoded: ObjectRef, target: ObjectRef, writer: str
) -> RestoreReport:
    """Write `encoded` to `target` with the metadata of `source`. Doing it again is harmless.

    The file names `writer` as the program that wrote it (`©too`), so that it is known again when
    somebody drops it. A file that cannot be parsed is reported, not raised: the caller goes on with
    `encoded`. Errors of the storage are raised, and leave no unfinished upload behind.
    """
    metadata: MovieMetadata | None = None
    try:
        metadata = read_metadata(*_opened(storage, source))
        read, size_bytes = _opened(storage, encoded)
        signed = replace(metadata, entries=(*metadata.entries, writer_entry(writer)))
        rewrite = rewrite_head(read, size_bytes, signed)
    except Mp4Error as error:
        lost = metadata.fields if metadata is not None else ()
        return RestoreReport(restored=False, lost=lost, reason=str(error))
    _write(storage, encoded, target, rewrite, size_bytes)
    return RestoreReport(
        restored=True,
        fields=metadata.kept_in(rewrite.metadata),
        lost=metadata.missing_in(rewrite.metadata),
    )


def _opened(storage: Storage, at: ObjectRef) -> tuple[Read, int]:
    return _reader(storage, at), storage.size_bytes(at.bucket, at.key)


def _reader(storage: Storage, at: ObjectRef) -> Read:
    def read(start: int, length: int) -> bytes:
        # S3 answers 416 to an empty range.
        return storage.read_range(at.bucket, at.key, start, length) if length else b""

    return read


def _write(
    storage: Storage, encoded: ObjectRef, target: ObjectRef, rewrite: Rewrite, size_bytes: int
) -> None:
    if rewrite.new_size_bytes(size_bytes) <= SINGLE_PUT_BYTES:
        read = _reader(storage, encoded)
        before = read(0, rewrite.start)
        body = before + rewrite.body + read(rewrite.end, size_bytes - rewrite.end)
        storage.put(target.bucket, target.key, body, content_type=CONTENT_TYPE)
        return
    upload_id = storage.create_upload(target.bucket, target.key, content_type=CONTENT_TYPE)
    try:
        etags = _send(storage, encoded, target, upload_id, rewrite, size_bytes)
        storage.complete_upload(target.bucket, target.key, upload_id, etags)
    except BaseException:
        storage.abort_upload(target.bucket, target.key, upload_id)
        raise


def _send(
    storage: Storage,
    encoded: ObjectRef,
    target: ObjectRef,
    upload_id: str,
    rewrite: Rewrite,
    size_bytes: int,
) -> dict[int, str]:
    """ETag of each part by its number."""
    into = partial(_send_part, storage, encoded, target, upload_id)
    plan = parts(rewrite, size_bytes, copy_max_bytes=COPY_PART_BYTES)
    send: list[Callable[[], str]] = [
        partial(into, number, part) for number, part in enumerate(plan, start=1)
    ]
    with ThreadPoolExecutor(_COPIES_AT_A_TIME) as pool:
        running = [pool.submit(job) for job in send]
        try:
            return {number: job.result() for number, job in enumerate(running, start=1)}
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure, start no further part


def _send_part(
    storage: Storage,
    encoded: ObjectRef,
    target: ObjectRef,
    upload_id: str,
    number: int,
    part: Copy | Upload,
) -> str:
    if isinstance(part, Copy):
        return storage.copy_part(
            target.bucket,
            target.key,
            upload_id,
            number,
            encoded.bucket,
            encoded.key,
            part.start,
            part.end - 1,
        )
    read = _reader(storage, encoded)
    before = read(part.before_start, part.before_end - part.before_start)
    after = read(part.after_start, part.after_end - part.after_start)
    body = before + part.body + after
    return storage.upload_part(target.bucket, target.key, upload_id, number, body)
