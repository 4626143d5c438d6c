"""Object bytes: one immutable file each, under a random name.

A file is written in `drafts/` and renamed into `blobs/` when whole, so anything in `blobs/` is
complete. Keys never become file names. Survives the death of the process at any point; the
bytes are not fsynced, so not the loss of power.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 1 << 20
JOIN_STEP_BYTES = 8 << 20

# The kernel says so when it cannot copy between these two files; reading and writing still can.
_CANNOT_COPY_IN_KERNEL = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


class Draft:
    """A file being written. It vanishes with its `with` block unless `keep` named it a blob."""

    def __init__(self, path: Path, blobs: Blobs) -> None:
        self._path = path
        self._blobs = blobs
        self.file: BinaryIO = path.open("xb")

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self._path.unlink(missing_ok=True)

    def keep(self) -> str:
        """Close the file, make it a blob, and return the blob's name."""
        self.file.close()
        name = uuid.uuid4().hex
        self._path.rename(self._blobs.path(name))
        return name


class Blobs:
    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._drafts = root / "drafts"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._drafts.mkdir(exist_ok=True)

    def path(self, name: str) -> Path:
        return self._blobs / name

    def draft(self) -> Draft:
        return Draft(self._drafts / uuid.uuid4().hex, self)

    def adopt(self, path: Path) -> str:
        """Move the file at `path` in; across file systems it is copied first, then moved."""
        draft = self._drafts / uuid.uuid4().hex
        name = uuid.uuid4().hex
        shutil.move(path, draft)
        draft.rename(self.path(name))
        return name

    def same_bytes(self, name: str) -> str:
        """A second blob with the bytes of `name`: a hard link, where the file system has them.

        Raises:
            FileNotFoundError: `name` is gone.
        """
        twin = uuid.uuid4().hex
        try:
            os.link(self.path(name), self.path(twin))
        except FileNotFoundError:
            raise
        except OSError:
            return self.joined([name])
        return twin

    def joined(self, names: Iterable[str]) -> str:
        """A new blob with the bytes of all `names`, one after the other."""
        with self.draft() as draft:
            for name in names:
                with self.path(name).open("rb") as part:
                    _append(part, draft.file)
            return draft.keep()

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.path(name).unlink(missing_ok=True)

    def sweep(self, in_use: Collection[str]) -> int:
        """Remove what a killed process left: drafts, and blobs the index does not know."""
        leftovers = [*self._drafts.iterdir()]
        leftovers += [path for path in self._blobs.iterdir() if path.name not in in_use]
        for path in leftovers:
            path.unlink()
        return len(leftovers)

    def blocks(self, name: str, offset: int, length: int) -> BlobSlice:
        """The `length` bytes at `offset`, in blocks.

        Raises:
            FileNotFoundError: the blob was deleted since it was looked up.
        """
        return BlobSlice(self.path(name), offset, length)


class BlobSlice(Iterator[bytes]):
    """Part of a file in blocks of at most 1 MiB. Open from the start, so that the bytes stay
    readable when the object is replaced or deleted meanwhile."""

    def __init__(self, path: Path, offset: int, length: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(offset)
        self._left = length

    def __next__(self) -> bytes:
        block = self._file.read(min(BLOCK_BYTES, self._left)) if self._left else b""
        if not block:
            self.close()
            raise StopIteration
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._left = 0
        self._file.close()

    def __enter__(self) -> BlobSlice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _append(source: BinaryIO, target: BinaryIO) -> None:
    """Add all of `source` to `target`, inside the kernel where it can (Linux)."""
    target.flush()
    if sys.platform == "linux":
        with contextlib.suppress(_KernelCannot):
            return _append_in_kernel(source.fileno(), target.fileno())
    shutil.copyfileobj(source, target, JOIN_STEP_BYTES)
    target.flush()


class _KernelCannot(Exception):
    """Nothing was copied: these two files need reading and writing."""


def _append_in_kernel(source: int, target: int) -> None:
    copied = 0
    while True:
        try:
            step = os.copy_file_range(source, target, JOIN_STEP_BYTES)
        except OSError as error:
            if copied == 0 and error.errno in _CANNOT_COPY_IN_KERNEL:
                raise _KernelCannot from error
            raise
        if step == 0:
            return
        copied += step
