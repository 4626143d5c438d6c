"""One invocation's share of the multipart upload that copies a file from Drive to S3.

Each part goes through a buffer of a fixed set: downloaded into it, hashed in the file's order, and
uploaded from it. So memory does not grow with the file, and S3's own list of parts is all that has
to be known to go on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.job import Fetched, Job
from chalicelib.fetching.download import fill
from chalicelib.fetching.hashing import Hashed, recalled, tag_of_parts
from chalicelib.fetching.parts import Parts
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall

#: Parts that are on their way when the time is up get so much more to arrive.
GRACE_S = 8.0
PROGRESS_EVERY_S = 2.0


@dataclass(slots=True)
class _Held:
    """A part in memory."""

    number: int
    buffer: bytearray


class Upload:
    """The upload named in the job's record."""

    def __init__(
        self,
        services: Services,
        job: Job,
        at: tuple[str, str],
        stored: Mapping[int, tuple[str, int]],
    ) -> None:
        """Args:
        at: bucket and key.
        stored: ETag and size of the parts that S3 has, by number.
        """
        fetched = job.fetched
        assert fetched is not None and fetched.upload_id is not None
        self._services, self._job, self._fetched = services, job, fetched
        self._upload_id, self._at = fetched.upload_id, at
        self._parts = Parts(size_bytes=job.size_bytes, part_bytes=fetched.part_size_bytes)
        self._etags = {n: etag for n, (etag, size) in stored.items() if self._is_whole(n, size)}
        self._missing = [n for n in range(1, self._parts.count + 1) if n not in self._etags]
        self._hashed = self._recalled()
        #: MD5 states after parts that S3 may not have yet, and up to where it has all.
        self._states: dict[int, Fetched] = {}
        self._gapless = 0
        self._told_at = time.monotonic()
        self._stop = threading.Event()
        self._give_up_at = 0.0

    @property
    def hashed(self) -> Hashed:
        """Of the first bytes; of all of them, unless an invocation died after it stored a part."""
        return self._hashed

    def go_on(self, call: StepCall) -> bool:
        """Copy the missing parts until done or out of time; True when S3 has them all."""
        self._give_up_at = time.monotonic() + call.seconds_left() + GRACE_S
        try:
            with ThreadPoolExecutor(self._parts.held, thread_name_prefix="part") as pool:
                self._copy(pool, call)
        except Exception:
            # How far it came only saves work, and must not hide what went wrong.
            with contextlib.suppress(ClientError, BotoCoreError):
                self._write_progress()
            raise
        if self._missing:
            self._write_progress()
        return len(self._etags) == self._parts.count

    def complete(self) -> str:
        """Join the parts into the object; its ETag.

        Raises:
            ObjectExists: there is an object of this key already.
        """
        storage = self._services.storage
        return storage.complete_upload(*self._at, self._upload_id, self._etags, replace=False)

    def _is_whole(self, number: int, size_bytes: int) -> bool:
        return number <= self._parts.count and size_bytes == self._parts.length(number)

    def _recalled(self) -> Hashed:
        last = -(-self._fetched.hashed_bytes // self._parts.part_bytes)
        if any(number not in self._etags for number in range(1, last + 1)):
            return Hashed()
        return recalled(self._fetched, tag_of_parts(self._etags, last))

    def _copy(self, pool: ThreadPoolExecutor, call: StepCall) -> None:
        free = [bytearray() for _ in range(self._parts.held)]
        coming: deque[tuple[_Held, Future[bool]]] = deque()
        going: dict[Future[str], _Held] = {}
        waiting = deque(self._missing)
        try:
            while True:
                while free and waiting and call.seconds_left() > 0:
                    held = _Held(waiting.popleft(), free.pop())
                    coming.append((held, pool.submit(self._download, held)))
                if not coming and not going:
                    return
                next_steps: list[Future[Any]] = [*going, *(f for _, f in list(coming)[:1])]
                wait(next_steps, return_when=FIRST_COMPLETED)
                for sent in [future for future in going if future.done()]:
                    held = going.pop(sent)
                    free.append(held.buffer)
                    self._stored(held.number, sent.result())
                if coming and coming[0][1].done():
                    held, arrived = coming.popleft()
                    if arrived.result():
                        self._hash(held)
                        going[pool.submit(self._send, held)] = held
                    else:
                        # Parts behind a gap could not be hashed as they pass next time.
                        self._stop.set()
                        waiting.clear()
        except BaseException:
            self._stop.set()
            for future in [future for _, future in coming]:
                future.cancel()
            wait(going)
            for sent, held in going.items():
                if sent.exception() is None:
                    self._etags[held.number] = sent.result()
            raise

    def _download(self, held: _Held) -> bool:
        length = self._parts.length(held.number)
        if len(held.buffer) != length:
            held.buffer = bytearray(length)
        start, drive = self._parts.start(held.number), self._services.drive
        return fill(drive, self._job.file_id, start, held.buffer, is_over=self._is_over)

    def _is_over(self) -> bool:
        return self._stop.is_set() or time.monotonic() > self._give_up_at

    def _hash(self, held: _Held) -> None:
        """In the file's order; behind a part that was stored unhashed it ends."""
        if self._hashed.bytes == self._parts.start(held.number):
            self._hashed.add(held.buffer)
            self._states[held.number] = self._hashed.noted(self._fetched)

    def _send(self, held: _Held) -> str:
        return self._services.storage.upload_part(
            *self._at, self._upload_id, held.number, held.buffer
        )

    def _stored(self, number: int, etag: str) -> None:
        self._etags[number] = etag
        if time.monotonic() - self._told_at >= PROGRESS_EVERY_S:
            self._write_progress()

    def _write_progress(self) -> None:
        """Note how far it came, with the MD5 up to the last part that S3 has without a gap."""
        self._told_at = time.monotonic()
        while self._gapless + 1 in self._etags:
            self._gapless += 1
        reached = [number for number in self._states if number <= self._gapless]
        for number in sorted(reached):
            self._fetched = self._states.pop(number)
        if reached:
            tag = tag_of_parts(self._etags, max(reached))
            self._fetched = replace(self._fetched, hashed_tag=tag)
        done = sum(self._parts.length(number) for number in self._etags)
        self._fetched = replace(self._fetched, done_bytes=done)
        ledger.write(self._services, self._job, row=False, fetched=self._fetched)
