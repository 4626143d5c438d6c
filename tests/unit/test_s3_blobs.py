from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from slimreel.local.s3.blobs import BLOCK_BYTES, Blobs


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


def kept(blobs: Blobs, content: bytes) -> str:
    with blobs.draft() as draft:
        draft.file.write(content)
        return draft.keep()


def files(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*") if path.is_file()]


def test_abandoned_draft_vanishes(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), blobs.draft() as draft:
        draft.file.write(b"half")
        raise RuntimeError
    assert files(tmp_path) == []


def test_same_bytes_outlive_the_first(blobs: Blobs) -> None:
    first = kept(blobs, b"film")
    second = blobs.same_bytes(first)
    blobs.delete([first])
    assert blobs.path(second).read_bytes() == b"film"
    with pytest.raises(FileNotFoundError):
        blobs.same_bytes(first)


def test_same_bytes_without_hard_links(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    first = kept(blobs, b"film")
    monkeypatch.setattr(os, "link", refuse)
    assert blobs.path(blobs.same_bytes(first)).read_bytes() == b"film"


@pytest.mark.parametrize("error", [None, errno.EXDEV, errno.ENOSYS])
def test_joined_with_and_without_the_kernel(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch, error: int | None
) -> None:
    pieces = [os.urandom(BLOCK_BYTES + 1), b"", os.urandom(9 * BLOCK_BYTES), b"end"]
    names = [kept(blobs, piece) for piece in pieces]

    def refuse(*_: object) -> None:
        raise OSError(error, "not between these files")

    if error is not None:
        monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    assert blobs.path(blobs.joined(names)).read_bytes() == b"".join(pieces)


def test_full_disk_while_joining_is_an_error_and_leaves_nothing(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    name = kept(blobs, b"film")
    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    monkeypatch.setattr("shutil.copyfileobj", refuse)
    with pytest.raises(OSError, match="full"):
        blobs.joined([name])
    assert files(tmp_path) == [blobs.path(name)]


def test_slice_reads_its_bytes_in_blocks(blobs: Blobs) -> None:
    content = os.urandom(2 * BLOCK_BYTES + 5)
    name = kept(blobs, content)
    with blobs.blocks(name, 3, BLOCK_BYTES + 1) as blocks:
        read = list(blocks)
    assert b"".join(read) == content[3 : BLOCK_BYTES + 4]
    assert [len(block) for block in read] == [BLOCK_BYTES, 1]


def test_sweep_keeps_what_is_in_use(blobs: Blobs, tmp_path: Path) -> None:
    used, unused = kept(blobs, b"1"), kept(blobs, b"2")
    assert blobs.sweep({used}) == 1
    assert not blobs.path(unused).exists()
    assert files(tmp_path) == [blobs.path(used)]
