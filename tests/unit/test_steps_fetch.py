"""Fetch: the whole file or nothing, in as many invocations as it takes."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from chalicelib.adapters.drive_errors import DownloadCut, DownloadForbidden, FileChanged
from chalicelib.domain.errors import JobClosed, Rejected, Temporary
from chalicelib.domain.job import Job
from chalicelib.steps import fetch as fetch_step
from chalicelib.steps.call import StepCall
from chalicelib.steps.fetch import MAX_PARTS, MIB, WINDOW, fetch, part_size_bytes
from tests.examples import JOB_ID, a_job
from tests.fakes import TEMP, World, aws_error

PART = 10
FILM = bytes(range(95))
KEY = f"jobs/{JOB_ID}/source.mp4"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch) -> None:
    monkeypatch.setattr(fetch_step, "PART_BYTES", PART)
    monkeypatch.setattr(fetch_step, "MIB", 1)


@pytest.fixture
def world() -> World:
    return World()


def dropped(world: World, content: bytes = FILM, **changes: object) -> Job:
    file = world.drive.files[world.drive.add("film.mp4", content, file_id="film")]
    facts = {"file_id": "film", "file_name": file.name, "size_bytes": file.size_bytes}
    job = a_job(**facts, md5=file.md5, version_key=file.md5, mime_type="video/mp4")
    return world.with_job(replace(job, **changes))


def call(seconds: float = 60) -> StepCall:
    return StepCall(state={}, deadline=time.monotonic() + seconds)


class Budget(StepCall):
    """Time for so many looks at the clock."""

    def __init__(self, looks: int) -> None:
        super().__init__(state={}, deadline=0)
        object.__setattr__(self, "left", [1.0] * looks)

    def seconds_left(self) -> float:
        return self.left.pop() if self.left else -1.0

    __slots__ = ("left",)


def test_the_copy_is_the_file(world: World) -> None:
    job = dropped(world)
    assert fetch(world.services, job, call()) == {"done": True}
    assert world.storage.objects[TEMP, KEY] == FILM
    job = world.job(job.job_id)
    assert (job.source_key, job.fetched) == (KEY, None)
    assert sorted(world.drive.ranges)[-1] == (90, 94)


def test_what_was_fetched_is_not_fetched_again(world: World) -> None:
    job = dropped(world)
    fetch(world.services, job, call())
    world.drive.ranges.clear()
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}
    assert world.drive.ranges == []


def test_out_of_time_it_goes_on_where_it_stopped(world: World) -> None:
    job = dropped(world)
    rounds = 0
    while not fetch(world.services, world.job(job.job_id), Budget(3))["done"]:
        rounds += 1
        assert rounds < 10
        assert (TEMP, KEY) not in world.storage.objects
    assert rounds == 3
    assert world.storage.objects[TEMP, KEY] == FILM
    assert sorted(world.storage.sent) == list(range(1, 11))  # each part once
    assert len(world.drive.ranges) == 10


def test_a_crash_loses_no_part_that_is_stored(world: World) -> None:
    job = dropped(world)
    world.storage.fail_next("complete_upload", aws_error("InternalError", status=500))
    with pytest.raises(ClientError):
        fetch(world.services, job, call())
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}
    assert len(world.drive.ranges) == 10
    assert world.storage.objects[TEMP, KEY] == FILM


def test_the_upload_was_completed_but_not_written_down(world: World) -> None:
    job = dropped(world)
    fetch(world.services, job, call())
    gone = {"source_key": None, "fetched": fetch_step.Fetched(upload_id="x", part_size_bytes=PART)}
    job = world.records.update(job.job_id, gone)
    world.drive.ranges.clear()
    assert fetch(world.services, job, call()) == {"done": True}
    assert world.drive.ranges == []
    assert world.job(job.job_id).source_key == KEY


def test_an_upload_that_s3_gave_up_is_begun_anew(world: World) -> None:
    job = dropped(world)
    assert not fetch(world.services, job, Budget(3))["done"]
    world.storage.uploads.clear()
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}
    assert world.storage.objects[TEMP, KEY] == FILM


def test_a_connection_that_breaks_is_taken_up_where_it_broke(world: World) -> None:
    job = dropped(world, content=b"0123456789")
    world.drive.cuts = [3, 0, 4]
    assert fetch(world.services, job, call()) == {"done": True}
    assert world.drive.ranges == [(0, 9), (3, 9), (3, 9), (7, 9)]
    assert world.storage.objects[TEMP, KEY] == b"0123456789"


def test_a_connection_that_breaks_after_the_last_byte_is_no_harm(world: World) -> None:
    job = dropped(world, content=b"0123456789")
    world.drive.cuts = [10]
    assert fetch(world.services, job, call()) == {"done": True}
    assert world.drive.ranges == [(0, 9)]


def test_a_connection_that_never_holds_is_tried_later(world: World) -> None:
    job = dropped(world, content=b"0123456789")
    world.drive.cuts = [0] * 100
    with pytest.raises(DownloadCut) as caught:
        fetch(world.services, job, call())
    assert isinstance(caught.value, Temporary)
    assert len(world.drive.ranges) == fetch_step.TRIES


def test_bytes_that_are_not_the_files_are_copied_again(world: World) -> None:
    job = dropped(world)
    world.drive.contents["film"] = FILM[:-1] + b"?"
    with pytest.raises(Temporary, match="copied again"):
        fetch(world.services, job, call())
    assert (TEMP, KEY) not in world.storage.objects
    world.drive.contents["film"] = FILM
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}
    assert world.storage.objects[TEMP, KEY] == FILM


def test_a_copy_in_several_invocations_is_checked_as_a_whole(world: World) -> None:
    job = dropped(world)
    assert not fetch(world.services, job, Budget(3))["done"]
    world.storage.uploads["upload-1"].parts[2] = b"a bad part"
    with pytest.raises(Temporary):
        while not fetch(world.services, world.job(job.job_id), call())["done"]:
            pass
    assert (TEMP, KEY) not in world.storage.objects


def test_without_an_md5_the_revision_names_the_version(world: World) -> None:
    job = dropped(world, md5=None, version_key="revision 1")
    world.drive.change("film", md5=None, head_revision_id="revision 1")
    assert fetch(world.services, job, call()) == {"done": True}


def test_an_empty_file_is_rejected(world: World) -> None:
    with pytest.raises(Rejected, match="empty"):
        fetch(world.services, dropped(world, content=b""), call())


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"trashed": True}, "bin"),
        ({"md5": "another"}, "replaced"),
        ({"size_bytes": 94}, "replaced"),
        ({"can_download": False}, "switched that off"),
    ],
)
@pytest.mark.parametrize("when", ["before", "while"])
def test_what_became_of_the_source_is_said(world: World, facts, sentence: str, when: str) -> None:
    job = dropped(world)
    if when == "before":
        world.drive.change("film", **facts)
    else:
        complete = world.storage.complete_upload

        def late(*args: object) -> None:
            complete(*args)
            world.drive.change("film", **facts)

        world.storage.complete_upload = late
    with pytest.raises(Rejected, match=sentence):
        fetch(world.services, job, call())
    assert world.job(job.job_id).source_key is None


def test_a_file_that_is_gone_is_rejected(world: World) -> None:
    job = dropped(world)
    del world.drive.files["film"]
    with pytest.raises(Rejected):
        fetch(world.services, job, call())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileChanged("The file became shorter.", status=416), Temporary),
        (DownloadForbidden("The owner does not allow it.", status=403), Rejected),
    ],
)
def test_drives_refusal_of_bytes_keeps_its_kind(world: World, error, kind: type) -> None:
    job = dropped(world)
    world.drive.fail_next("open_range", error)
    with pytest.raises(kind):
        fetch(world.services, job, call())


def test_progress_is_written_down(world: World, monkeypatch) -> None:
    monkeypatch.setattr(fetch_step, "PROGRESS_EVERY_S", 0)
    job = dropped(world)
    assert not fetch(world.services, job, Budget(4))["done"]
    fetched = world.job(job.job_id).fetched
    assert fetched is not None and fetched.done_bytes == 4 * PART
    assert world.queues.dirty == []  # progress of a copy is nothing for the row


def test_a_newer_run_takes_the_copy_over(world: World, monkeypatch) -> None:
    monkeypatch.setattr(fetch_step, "PROGRESS_EVERY_S", 0)
    job = dropped(world)
    world.records.update(job.job_id, {"run": 2})
    with pytest.raises(JobClosed):
        fetch(world.services, job, call())
    assert world.job(job.job_id).source_key is None


def test_memory_does_not_grow_with_the_file(world: World, monkeypatch) -> None:
    """However slow S3 is, no more parts are held than being sent, waiting and being read."""
    job = dropped(world, content=bytes(40 * PART))
    held, most, lock = 0, 0, threading.Lock()
    open_range, upload_part = world.drive.open_range, world.storage.upload_part

    @contextmanager
    def counted_open(*args):
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        with open_range(*args) as chunks:
            yield chunks

    def slow_upload(*args):
        nonlocal held
        time.sleep(0.01)
        etag = upload_part(*args)
        with lock:
            held -= 1
        return etag

    world.drive.open_range, world.storage.upload_part = counted_open, slow_upload
    assert fetch(world.services, job, call()) == {"done": True}
    assert WINDOW < most <= 2 * WINDOW + 1


@pytest.mark.parametrize("size_bytes", [1, 16 * 2**20, 150 * 2**30, 5 * 2**40])
def test_any_file_fits_in_ten_thousand_parts(monkeypatch, size_bytes: int) -> None:
    monkeypatch.setattr(fetch_step, "PART_BYTES", 16 * MIB)
    monkeypatch.setattr(fetch_step, "MIB", MIB)
    part = part_size_bytes(size_bytes)
    assert part % MIB == 0 and part >= 16 * MIB
    assert -(-size_bytes // part) <= MAX_PARTS
    assert part <= 5 * 2**30  # S3's limit for a part
