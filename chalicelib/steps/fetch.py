"""Fetch: copy the source from Drive to the temporary bucket.

Large ranged reads become the parts of one multipart upload, a few in flight, so that memory does
not grow with the file. When the invocation nears its end the upload is left open and the flow
calls again; S3's own list of parts says where to go on.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.drive_errors import DownloadCut
from chalicelib.domain import keys
from chalicelib.domain.drive import DriveFile, version_key
from chalicelib.domain.errors import Rejected, Temporary
from chalicelib.domain.job import Fetched, Job
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall

log = logging.getLogger(__name__)

MIB = 2**20
#: Large, because a Drive download costs 200 quota units however little it reads.
#: Source: https://developers.google.com/workspace/drive/api/guides/limits
PART_BYTES = 16 * MIB
#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PARTS = 10_000
#: Parts being downloaded or uploaded at a time; memory is about twice this many parts.
WINDOW = 3
TRIES = 5
PROGRESS_EVERY_S = 2.0


def fetch(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Copy as much as time allows; `done` says whether the copy is complete and checked.

    Raises:
        Rejected: the file was changed, moved to the bin or may not be downloaded.
        Temporary: Drive is unavailable, or the bytes that came were not the file's.
    """
    return {"done": job.source_key is not None or _copy(services, job, call)}


def _copy(services: Services, job: Job, call: StepCall) -> bool:
    check_unchanged(services.drive.get(job.file_id), job)
    if job.size_bytes == 0:
        raise Rejected("The file is empty.")
    bucket, key = services.settings.temp_bucket, keys.source_key(job.job_id, job.file_name)
    md5: str | None = None
    if services.storage.size_or_none(bucket, key) != job.size_bytes:
        job, have = _upload_so_far(services, job, bucket, key)
        upload = _Upload(services, job, bucket, key, have)
        if not upload.go_on(call):
            return False
        md5 = upload.md5
    _check_bytes(services, job, bucket, key, md5)
    check_unchanged(services.drive.get(job.file_id), job)
    ledger.write(services, job, row=False, source_key=key, fetched=None)
    return True


def check_unchanged(file: DriveFile, job: Job) -> None:
    """Raises: Rejected: it is not the file any more that this job is about."""
    if file.trashed:
        raise Rejected("The file was moved to the bin before it was copied.")
    if version_key(file) != job.version_key or file.size_bytes != job.size_bytes:
        raise Rejected(
            "The file was replaced while it was being copied. "
            "The new version is processed as a video of its own."
        )
    if not file.can_download:
        raise Rejected(
            "The file may not be downloaded: its owner has switched that off for viewers."
        )


def part_size_bytes(size_bytes: int) -> int:
    """16 MiB, or as much more as keeps the file within 10,000 parts."""
    needed = -(-size_bytes // MAX_PARTS)
    return max(PART_BYTES, -(-needed // MIB) * MIB)


def _upload_so_far(
    services: Services, job: Job, bucket: str, key: str
) -> tuple[Job, dict[int, str]]:
    """The open upload and the ETags of its parts; a new one where there is none."""
    if job.fetched is not None:
        try:
            parts = services.storage.parts(bucket, key, job.fetched.upload_id)
            return job, {number: etag for number, (etag, _) in parts.items()}
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
    upload_id = services.storage.create_upload(bucket, key, content_type=job.mime_type)
    size = part_size_bytes(job.size_bytes)
    job = ledger.write(
        services, job, row=False, fetched=Fetched(upload_id=upload_id, part_size_bytes=size)
    )
    return job, {}


class _Upload:
    """One invocation's share of a multipart upload."""

    def __init__(
        self, services: Services, job: Job, bucket: str, key: str, have: dict[int, str]
    ) -> None:
        assert job.fetched is not None
        self._services, self._job, self._fetched = services, job, job.fetched
        self._target = bucket, key
        self._etags = dict(have)
        self._missing = [n for n in range(1, self._count() + 1) if n not in have]
        # Only a copy that starts at the first byte can be hashed as it passes.
        self._hash = hashlib.md5(usedforsecurity=False) if not have else None
        self._told_at = time.monotonic()

    @property
    def md5(self) -> str | None:
        """Of the whole file; None when an earlier invocation copied a part of it."""
        return self._hash.hexdigest() if self._hash else None

    def go_on(self, call: StepCall) -> bool:
        """Copy the missing parts until done or out of time; True when the object is complete."""
        with ThreadPoolExecutor(WINDOW) as downloads, ThreadPoolExecutor(WINDOW) as uploads:
            pending: deque[Future[tuple[int, str]]] = deque()
            for number, body in self._bodies(downloads, call):
                if self._hash:
                    self._hash.update(body)
                while len(pending) >= WINDOW:
                    self._store(pending.popleft())
                pending.append(uploads.submit(self._send, number, body))
            while pending:
                self._store(pending.popleft())
        if len(self._etags) < self._count():
            return False
        self._services.storage.complete_upload(*self._target, self._fetched.upload_id, self._etags)
        return True

    def _bodies(self, downloads: ThreadPoolExecutor, call: StepCall) -> Iterator[tuple[int, bytes]]:
        """Missing parts in order, a window of them being downloaded ahead."""
        ahead: deque[tuple[int, Future[bytes]]] = deque()
        waiting = iter(self._missing)
        while True:
            while len(ahead) < WINDOW and call.seconds_left() > 0:
                number = next(waiting, None)
                if number is None:
                    break
                ahead.append((number, downloads.submit(self._download, number)))
            if not ahead:
                return
            number, body = ahead.popleft()
            yield number, body.result()

    def _count(self) -> int:
        return -(-self._job.size_bytes // self._fetched.part_size_bytes)

    def _download(self, number: int) -> bytes:
        """One part; a connection that breaks is taken up again where it broke."""
        start = (number - 1) * self._fetched.part_size_bytes
        end = min(start + self._fetched.part_size_bytes, self._job.size_bytes) - 1
        body, cuts = bytearray(), 0
        while start + len(body) <= end:
            try:
                with self._services.drive.open_range(
                    self._job.file_id, start + len(body), end
                ) as chunks:
                    for chunk in chunks:
                        body += chunk
            except DownloadCut:
                cuts += 1
                if cuts == TRIES:
                    raise
        return bytes(body)

    def _send(self, number: int, body: bytes) -> tuple[int, str]:
        upload_id = self._fetched.upload_id
        return number, self._services.storage.upload_part(*self._target, upload_id, number, body)

    def _store(self, sent: Future[tuple[int, str]]) -> None:
        number, etag = sent.result()
        self._etags[number] = etag
        if time.monotonic() - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = time.monotonic()
        done = min(len(self._etags) * self._fetched.part_size_bytes, self._job.size_bytes)
        progress = Fetched(
            upload_id=self._fetched.upload_id,
            part_size_bytes=self._fetched.part_size_bytes,
            done_bytes=done,
        )
        ledger.write(self._services, self._job, row=False, fetched=progress)


def _check_bytes(services: Services, job: Job, bucket: str, key: str, md5: str | None) -> None:
    """Compare with Drive's md5; a copy made in several invocations is read once from S3.

    Raises:
        Temporary: the bytes are not the file's; the copy is removed for a fresh one.
    """
    if job.md5 is None:
        return
    if md5 is None:
        whole = hashlib.md5(usedforsecurity=False)
        for chunk in services.storage.chunks(bucket, key):
            whole.update(chunk)
        md5 = whole.hexdigest()
    if md5 != job.md5:
        services.storage.delete_prefix(bucket, key)
        raise Temporary("The copy from Drive differs from the original; it is copied again.")
