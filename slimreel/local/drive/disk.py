"""Files on disk: names that fit, looks at the tree, checksums, safe moves.

Anyone may write into the Drive folder at any time. Content that Drive no longer shows there
(the bin) waits in the vault, a folder of the stand-in's own.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Linux and macOS allow 255 bytes; the rest is room for " (12)".
_LONGEST_NAME_BYTES = 240
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One entry of the tree, at one look.

    Attributes:
        location: path below the Drive folder, as bytes: Linux names need not be text.
    """

    location: bytes
    is_folder: bool
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @property
    def signature(self) -> tuple[int, int, int]:
        """Equal as long as nobody wrote to the file; survives a rename."""
        return (self.inode, self.size_bytes, self.mtime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Checksums in the spelling Drive uses."""

    md5: str
    sha1: str
    sha256: str


def digest(path: Path) -> Digests:
    """Read the file once, in blocks, and return its checksums."""
    sums = [hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False)]
    sums.append(hashlib.sha256())
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            for one in sums:
                one.update(block)
    md5, sha1, sha256 = (one.hexdigest() for one in sums)
    return Digests(md5=md5, sha1=sha1, sha256=sha256)


class Tree:
    """The Drive folder and the vault beside it."""

    def __init__(self, root: Path, vault: Path) -> None:
        self.root = root
        self.vault = vault
        root.mkdir(parents=True, exist_ok=True)
        vault.mkdir(parents=True, exist_ok=True)

    def drop_unfinished(self) -> None:
        """Remove content whose arrival an earlier process did not see to its end."""
        for unfinished in self.vault.glob("arriving-*"):
            unfinished.unlink()

    def path(self, location: bytes) -> Path:
        return self.root / os.fsdecode(location)

    def vault_path(self, name: str) -> Path:
        return self.vault / name

    def new_temporary(self) -> Path:
        """Return a path for content that is still arriving."""
        return self.vault / f"arriving-{secrets.token_hex(8)}"

    def look(self) -> Iterator[Seen]:
        """Yield everything in the tree, folders before what is in them.

        Hidden entries are left out: that is where copying programs keep unfinished files.
        """
        yield from self._look_into(b"")

    def see(self, location: bytes) -> Seen | None:
        """Return the entry at `location`; None when there is none we could read."""
        try:
            stat = self.path(location).stat()
        except (OSError, ValueError):
            return None
        return _seen(location, stat)

    def free_location(self, folder: bytes, name: str) -> bytes:
        """Return where a file called `name` can lie in `folder`: under that name if possible.

        Drive allows any name, and several files of one name; a disk does not.
        """
        wanted = fitting(name)
        stem, dot, extension = wanted.rpartition(".")
        if not stem:
            stem, dot, extension = wanted, "", ""
        number = 1
        while os.path.lexists(self.path(location := join(folder, wanted))):
            number += 1
            wanted = f"{stem} ({number}){dot}{extension}"
        return location

    def _look_into(self, folder: bytes) -> Iterator[Seen]:
        try:
            with os.scandir(os.fsencode(self.path(folder))) as found:
                names = sorted(entry.name for entry in found)
        except FileNotFoundError:
            return
        for name in names:
            if name.startswith(b"."):
                continue
            seen = self.see(join(folder, name))
            if seen is None:
                continue
            # A linked folder could lead back into itself; a linked file is just a file.
            if seen.is_folder and self.path(seen.location).is_symlink():
                continue
            yield seen
            if seen.is_folder:
                yield from self._look_into(seen.location)


def signature(path: Path) -> tuple[int, int, int]:
    """As in `Seen`, of a file anywhere."""
    stat = path.stat()
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def move(source: Path, target: Path) -> None:
    """Move a file; over disk borders it is copied."""
    try:
        source.rename(target)
    except OSError:
        shutil.move(source, target)


def join(folder: bytes, name: str | bytes) -> bytes:
    encoded = os.fsencode(name)
    return folder + b"/" + encoded if folder else encoded


def parent(location: bytes) -> bytes:
    return location.rpartition(b"/")[0]


def shown_name(location: bytes) -> str:
    """Return the last part of the path as Drive shows it; bytes that are no text show as �."""
    return location.rpartition(b"/")[2].decode("utf-8", "replace")


def _seen(location: bytes, stat: os.stat_result) -> Seen | None:
    is_folder = (stat.st_mode & 0o170000) == 0o040000
    is_file = (stat.st_mode & 0o170000) == 0o100000
    if not (is_folder or is_file):
        return None
    return Seen(
        location=location,
        is_folder=is_folder,
        inode=stat.st_ino,
        size_bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        ctime_ns=stat.st_ctime_ns,
    )


def fitting(name: str) -> str:
    """Return `name` with what a disk cannot hold replaced, its extension kept."""
    clean = "".join("_" if char in "/\0" or _is_lone_half(char) else char for char in name)
    if not clean or clean.startswith("."):
        clean = "_" + clean
    if len(clean.encode()) <= 255:
        return clean
    stem, dot, extension = clean.rpartition(".")
    if not dot or len(extension.encode()) > 16:
        stem, dot, extension = clean, "", ""
    room = _LONGEST_NAME_BYTES - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + extension


def _is_lone_half(char: str) -> bool:
    return unicodedata.category(char) == "Cs"
