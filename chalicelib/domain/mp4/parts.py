"""Cut a rewritten file into the parts of an S3 multipart upload.

What stays the same is copied inside S3; only the new index, and enough of the film beside it to
fill a part, travels through us.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html (every part but the last
is 5 MiB to 5 GiB, at most 10,000 parts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .rewriting import Rewrite

PART_MIN_BYTES = 5 * 2**20
PART_MAX_BYTES = 5 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Bytes `[start, end)` of the old file, copied inside S3."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Old bytes `[before_start, before_end)`, `body`, then old bytes `[after_start, after_end)`.

    The old bytes are downloaded; they are few, except in small files.
    """

    before_start: int
    before_end: int
    body: bytes
    after_start: int
    after_end: int

    @property
    def size_bytes(self) -> int:
        before, after = self.before_end - self.before_start, self.after_end - self.after_start
        return before + len(self.body) + after


def parts(
    rewrite: Rewrite,
    size_bytes: int,
    *,
    part_min_bytes: int = PART_MIN_BYTES,
    copy_max_bytes: int = PART_MAX_BYTES,
) -> tuple[Copy | Upload, ...]:
    """The parts of the new file in order.

    Every part but the last has at least `part_min_bytes`, no copy more than `copy_max_bytes`,
    which must be at least twice the minimum.
    """
    copied_before = rewrite.start if rewrite.start >= part_min_bytes else 0
    lacking = part_min_bytes - (rewrite.start - copied_before) - len(rewrite.body)
    after_end = min(size_bytes, rewrite.end + max(0, lacking))
    upload = Upload(
        before_start=copied_before,
        before_end=rewrite.start,
        body=rewrite.body,
        after_start=rewrite.end,
        after_end=after_end,
    )
    return (
        *_copies(0, copied_before, copy_max_bytes),
        upload,
        *_copies(after_end, size_bytes, copy_max_bytes),
    )


def _copies(start: int, end: int, copy_max_bytes: int) -> Iterator[Copy]:
    """Equal copies, so that none is left too short to stand before another part."""
    count = -(-(end - start) // copy_max_bytes)
    for number in range(count):
        span = end - start
        yield Copy(start=start + span * number // count, end=start + span * (number + 1) // count)
