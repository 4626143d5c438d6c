"""How a file is cut into the parts of a multipart upload, and how many are held in memory."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
#: Large, because a Drive download costs 200 quota units however little it reads.
#: Source: https://developers.google.com/workspace/drive/api/guides/limits
PART_BYTES = 16 * MIB
#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PARTS = 10_000
#: Parts in memory at a time, each being downloaded, hashed or uploaded.
MOST_HELD = 6
#: Parts in memory take at most this much together; only files above 850 GB come near. The function
#: has 1 GB, and its libraries need a tenth of that.
MEMORY_BYTES = 512 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A file of `size_bytes` in parts of `part_bytes`, the last one shorter. Numbers begin at 1."""

    size_bytes: int
    part_bytes: int

    @property
    def count(self) -> int:
        return -(-self.size_bytes // self.part_bytes)

    @property
    def held(self) -> int:
        """How many to hold in memory: `MOST_HELD`, or as many as `MEMORY_BYTES` has room for."""
        return max(1, min(MOST_HELD, MEMORY_BYTES // self.part_bytes))

    def start(self, number: int) -> int:
        return (number - 1) * self.part_bytes

    def end(self, number: int) -> int:
        """Behind the part's last byte."""
        return min(number * self.part_bytes, self.size_bytes)

    def length(self, number: int) -> int:
        return self.end(number) - self.start(number)


def part_size_bytes(size_bytes: int) -> int:
    """16 MiB, or as much more as keeps the file within 10,000 parts."""
    needed = -(-size_bytes // MAX_PARTS)
    return max(PART_BYTES, -(-needed // MIB) * MIB)
