"""The MD5 of a file's first bytes, and what of it the record keeps between invocations.

A state is only worth something for the very bytes it was made of, so it is kept together with a
tag of them: of the parts of an open upload that is a digest of their ETags, of an object its ETag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chalicelib.adapters.md5 import Data, Md5
from chalicelib.domain.job import Fetched


@dataclass(slots=True)
class Hashed:
    """The MD5 of the first `bytes` bytes."""

    md5: Md5 = field(default_factory=Md5)
    bytes: int = 0

    def add(self, data: Data) -> None:
        self.md5.update(data)
        self.bytes += len(data)

    def noted(self, fetched: Fetched, tag: str = "") -> Fetched:
        """The record's note with this state in it; without a tag it is not to be used yet."""
        state = self.md5.state()
        return replace(
            fetched,
            hashed_bytes=self.bytes if state else 0,
            md5_state=state,
            hashed_tag=tag if state else None,
        )


def recalled(fetched: Fetched | None, tag: str) -> Hashed:
    """What was noted about the bytes of this tag; a fresh start when nothing was."""
    if fetched is None or fetched.md5_state is None or fetched.hashed_tag != tag:
        return Hashed()
    try:
        return Hashed(md5=Md5(fetched.md5_state), bytes=fetched.hashed_bytes)
    except ValueError:
        return Hashed()


def tag_of_parts(etags: Mapping[int, str], last: int) -> str:
    """Names the content of parts 1 to `last`, all of which must be there."""
    named = "\n".join(f"{number} {etags[number]}" for number in range(1, last + 1))
    return hashlib.sha256(named.encode()).hexdigest()
