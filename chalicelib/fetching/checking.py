"""The MD5 of a copy in S3, read from where an earlier invocation stopped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from botocore.exceptions import ClientError

from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Fetched, Job
from chalicelib.fetching.hashing import Hashed
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall

READ_BYTES = 8 * 2**20
#: Reads under way or waiting to be hashed: together they take what memory the copy took.
AHEAD = 6
PROGRESS_EVERY_S = 2.0


def md5_of_copy(
    services: Services, job: Job, at: tuple[str, str], etag: str, hashed: Hashed, call: StepCall
) -> str | None:
    """Hash what is left of the object; None when the time is up, and how far it came noted.

    Raises:
        Temporary: the object was replaced meanwhile.
    """
    noted_at = time.monotonic()
    for body in _bodies(services, at, etag, hashed.bytes, job.size_bytes, call):
        hashed.add(body)
        if time.monotonic() - noted_at >= PROGRESS_EVERY_S:
            noted_at = time.monotonic()
            _note(services, job, hashed, etag)
    if hashed.bytes == job.size_bytes:
        return hashed.md5.hexdigest()
    _note(services, job, hashed, etag)
    return None


def _note(services: Services, job: Job, hashed: Hashed, etag: str) -> None:
    fetched = hashed.noted(job.fetched or Fetched(), etag)
    ledger.write(services, job, row=False, fetched=fetched)


def _bodies(
    services: Services, at: tuple[str, str], etag: str, start: int, end: int, call: StepCall
) -> Iterator[bytes]:
    """The object from `start` on, in order, some reads ahead; it ends early with the time."""
    coming: deque[Future[bytes]] = deque()
    waiting = iter(range(start, end, READ_BYTES))
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="read") as pool:
        while True:
            while len(coming) < AHEAD and call.seconds_left() > 0:
                at_byte = next(waiting, None)
                if at_byte is None:
                    break
                length = min(READ_BYTES, end - at_byte)
                coming.append(pool.submit(_read, services, at, etag, at_byte, length))
            if not coming:
                return
            yield coming.popleft().result()


def _read(services: Services, at: tuple[str, str], etag: str, start: int, length: int) -> bytes:
    try:
        return services.storage.read_range(*at, start, length, etag=etag)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("PreconditionFailed", "NoSuchKey"):
            reason = "The copy from Drive was replaced while it was checked; it is checked again."
            raise Temporary(reason) from error
        raise
