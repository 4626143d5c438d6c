"""What people do to the Drive folder on disk, and how it looks in Drive."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.adapters.drive import Drive as Adapter
from chalicelib.domain.drive import DriveFile
from slimreel.local.drive import Person
from tests.contract.drive_server import Front, LocalDrive, open_drive

SETTLED_S = 0.06


@pytest.fixture
def drive(local: LocalDrive) -> Adapter:
    return local.adapter()


@pytest.fixture
def inbox(local: LocalDrive) -> Path:
    return local.root / "inbox"


def scan(local: LocalDrive) -> None:
    time.sleep(SETTLED_S)
    local.drive.scan()


def listed(local: LocalDrive, drive: Adapter) -> dict[str, DriveFile]:
    return {file.name: file for file in drive.list_folder(local.inbox)}


def test_a_dropped_file_is_an_upload(local: LocalDrive, drive: Adapter, inbox: Path) -> None:
    token = drive.start_page_token()
    (inbox / "film.mov").write_bytes(b"film")
    os.utime(inbox / "film.mov", (1_000_000_000, 1_000_000_000))

    scan(local)

    (change,) = drive.changes(token).changes
    assert change.file is not None
    assert change.file.name == "film.mov"
    assert change.file.md5 == hashlib.md5(b"film").hexdigest()
    assert change.file.parents == (local.inbox,)
    # Neither date tells when it was uploaded.
    assert change.file.created_at == change.file.modified_at
    assert change.file.modified_at == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)


def test_a_file_still_being_written_is_not_there_yet(
    local: LocalDrive, drive: Adapter, inbox: Path, tmp_path: Path, front: Front
) -> None:
    local.drive.close()
    local.drive = open_drive(tmp_path, local.faults, front.url, settle_s=1.0)

    with (inbox / "film.mov").open("wb", buffering=0) as file:
        for _ in range(3):
            file.write(b"x" * 1000)
            # Copying programs set old dates while they still write.
            os.utime(file.fileno(), (1_000_000_000, 1_000_000_000))
            local.drive.scan()
            assert listed(local, drive) == {}
    time.sleep(1.01)
    local.drive.scan()

    assert listed(local, drive)["film.mov"].size_bytes == 3000


def test_hidden_and_broken_entries_are_left_out(
    local: LocalDrive, drive: Adapter, inbox: Path
) -> None:
    (inbox / ".film.mov.part").write_bytes(b"x")
    (inbox / "broken.mp4").symlink_to(inbox / "nowhere")
    (inbox / "loop").symlink_to(inbox)
    os.mkfifo(inbox / "pipe.mp4")

    scan(local)

    assert listed(local, drive) == {}


def test_a_linked_film_is_a_film(
    local: LocalDrive, drive: Adapter, inbox: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.mp4").write_bytes(b"film")
    (inbox / "film.mp4").symlink_to(tmp_path / "elsewhere.mp4")

    scan(local)

    assert listed(local, drive)["film.mp4"].size_bytes == 4


def test_a_rename_and_a_move_keep_the_file(local: LocalDrive, drive: Adapter, inbox: Path) -> None:
    (inbox / "a.mp4").write_bytes(b"film")
    scan(local)
    before = listed(local, drive)["a.mp4"]
    token = drive.start_page_token()

    (inbox / "a.mp4").rename(inbox / "b.mp4")
    local.drive.scan()  # its content is known: nothing to wait for
    renamed = drive.get(before.file_id)
    (local.root / "done").mkdir()
    (inbox / "b.mp4").rename(local.root / "done" / "b.mp4")
    local.drive.scan()
    moved = drive.get(before.file_id)

    assert (renamed.name, renamed.head_revision_id) == ("b.mp4", before.head_revision_id)
    assert moved.parents == (local.drive.folder_id("done"),)
    assert [change.file_id for change in drive.changes(token).changes][-1] == before.file_id


def test_new_bytes_under_the_same_name_are_a_new_version(
    local: LocalDrive, drive: Adapter, inbox: Path, tmp_path: Path
) -> None:
    (inbox / "a.mp4").write_bytes(b"one")
    scan(local)
    first = listed(local, drive)["a.mp4"]

    (inbox / "a.mp4").write_bytes(b"two")  # in place
    scan(local)
    second = listed(local, drive)["a.mp4"]
    (tmp_path / "new").write_bytes(b"three")
    (tmp_path / "new").replace(inbox / "a.mp4")  # by another file
    scan(local)
    third = listed(local, drive)["a.mp4"]

    assert first.file_id == second.file_id == third.file_id
    assert len({first.head_revision_id, second.head_revision_id, third.head_revision_id}) == 3
    assert third.md5 == hashlib.md5(b"three").hexdigest()


def test_a_touch_is_no_new_version(local: LocalDrive, drive: Adapter, inbox: Path) -> None:
    (inbox / "a.mp4").write_bytes(b"one")
    scan(local)
    before, token = listed(local, drive)["a.mp4"], drive.start_page_token()

    os.utime(inbox / "a.mp4", (4_000_000_000, 4_000_000_000))
    scan(local)

    (change,) = drive.changes(token).changes
    assert change.file is not None
    assert change.file.head_revision_id == before.head_revision_id
    assert change.file.modified_at == datetime(2096, 10, 2, 7, 6, 40, tzinfo=UTC)


def test_a_removed_file_is_gone(local: LocalDrive, drive: Adapter, inbox: Path) -> None:
    (inbox / "a.mp4").write_bytes(b"one")
    scan(local)
    file_id, token = listed(local, drive)["a.mp4"].file_id, drive.start_page_token()

    (inbox / "a.mp4").unlink()
    local.drive.scan()

    (change,) = drive.changes(token).changes
    assert (change.file_id, change.removed, change.file) == (file_id, True, None)


def test_another_file_on_the_same_inode_is_another_file(
    local: LocalDrive, drive: Adapter, inbox: Path
) -> None:
    (inbox / "a.mp4").write_bytes(b"one")
    scan(local)
    before = listed(local, drive)["a.mp4"].file_id

    (inbox / "a.mp4").unlink()
    (inbox / "b.mp4").write_bytes(b"other")  # most disks hand out the inode again
    scan(local)

    assert listed(local, drive)["b.mp4"].file_id != before


def test_folders_move_with_all_that_is_in_them(
    local: LocalDrive, drive: Adapter, inbox: Path
) -> None:
    (inbox / "day 1" / "cam a").mkdir(parents=True)
    (inbox / "day 1" / "cam a" / "x.mp4").write_bytes(b"x")
    scan(local)
    day = listed(local, drive)["day 1"]
    (cam,) = drive.list_folder(day.file_id)
    (film,) = drive.list_folder(cam.file_id)
    token = drive.start_page_token()

    (inbox / "day 1").rename(local.root / "day one")
    local.drive.scan()

    assert [change.file_id for change in drive.changes(token).changes] == [day.file_id]
    assert drive.get(day.file_id).name == "day one"
    assert [file.file_id for file in drive.list_folder(cam.file_id)] == [film.file_id]
    with drive.open_range(film.file_id, 0, 0) as chunks:
        assert b"".join(chunks) == b"x"


def test_a_removed_folder_takes_everything_along(
    local: LocalDrive, drive: Adapter, inbox: Path
) -> None:
    (inbox / "day").mkdir()
    (inbox / "day" / "x.mp4").write_bytes(b"x")
    scan(local)
    token = drive.start_page_token()

    (inbox / "day" / "x.mp4").unlink()
    (inbox / "day").rmdir()
    local.drive.scan()

    assert [change.removed for change in drive.changes(token).changes] == [True, True]
    assert listed(local, drive) == {}


def test_names_that_are_no_text(local: LocalDrive, drive: Adapter, inbox: Path) -> None:
    (inbox / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")

    scan(local)

    assert set(listed(local, drive)) == {"caf�.mp4"}


def test_what_changed_while_the_stand_in_was_down(
    local: LocalDrive, drive: Adapter, inbox: Path, tmp_path: Path, front: Front
) -> None:
    for name in ("same.mp4", "renamed.mp4", "rewritten.mp4", "removed.mp4"):
        (inbox / name).write_bytes(name.encode())
    scan(local)
    before = listed(local, drive)
    token = drive.start_page_token()
    local.drive.close()

    (inbox / "renamed.mp4").rename(inbox / "new name.mp4")
    (inbox / "rewritten.mp4").write_bytes(b"rewritten")
    (inbox / "removed.mp4").unlink()
    time.sleep(SETTLED_S)
    local.drive = open_drive(tmp_path, local.faults, front.url)

    changed = {change.file_id for change in drive.changes(token).changes}
    assert changed == {file.file_id for name, file in before.items() if name != "same.mp4"}
    after = listed(local, drive)
    assert after["new name.mp4"].file_id == before["renamed.mp4"].file_id
    assert after["rewritten.mp4"].md5 == hashlib.md5(b"rewritten").hexdigest()
    assert after["same.mp4"] == before["same.mp4"]


def test_the_bin_and_back(local: LocalDrive, drive: Adapter, inbox: Path) -> None:
    day = local.drive.add_folder("day", local.inbox)
    film = local.drive.add_file(day, "x.mp4", b"film")
    alone = local.drive.add_file(day, "binned before.mp4", b"alone")
    local.drive.trash(alone)

    local.drive.trash(day)
    local.drive.scan()
    binned = drive.get(film)
    local.drive.untrash(day)
    local.drive.scan()

    assert binned.trashed
    assert not drive.get(film).trashed
    assert drive.get(alone).trashed
    assert (inbox / "day" / "x.mp4").read_bytes() == b"film"
    assert [file.file_id for file in drive.list_folder(day)] == [film]


def test_acts_in_drive_are_no_news_to_the_scan(
    local: LocalDrive, drive: Adapter, inbox: Path
) -> None:
    guest = Person(name="", email="guest@example.com")
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x" * 10, owner=guest)
    local.drive.rename(file_id, "b.mp4")
    local.drive.replace_content(file_id, b"y" * 20)
    local.drive.move(file_id, local.drive.add_folder("done"))
    token, before = drive.start_page_token(), drive.get(file_id)

    scan(local)

    assert drive.changes(token).changes == ()
    assert drive.get(file_id) == before
    assert before.owner_email == "guest@example.com"
    assert local.drive.content_path(file_id) == local.root / "done" / "b.mp4"


def test_a_folder_that_does_not_exist_says_how_to_make_one(local: LocalDrive) -> None:
    with pytest.raises(LookupError, match="add_folder"):
        local.drive.folder_id("outbox")
