"""Fetch: the whole file or nothing, in as many invocations as it takes."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters import md5 as md5_module
from chalicelib.adapters.drive_errors import DownloadCut, DownloadForbidden, FileChanged
from chalicelib.adapters.md5 import Md5
from chalicelib.domain.errors import JobClosed, Rejected, Temporary
from chalicelib.domain.job import Fetched, Job
from chalicelib.fetching import checking, download, parts, upload
from chalicelib.fetching.parts import MAX_PARTS, MOST_HELD, Parts, part_size_bytes
from chalicelib.steps.call import StepCall
from chalicelib.steps.fetch import WRONG_COPIES, fetch
from tests.examples import JOB_ID, a_job
from tests.fakes import TEMP, Killed, World, aws_error

PART = 10
MIB = 2**20
FILM = bytes(range(95))
KEY = f"jobs/{JOB_ID}/source.mp4"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", PART)
    monkeypatch.setattr(parts, "MIB", 1)
    monkeypatch.setattr(checking, "READ_BYTES", 7)
    monkeypatch.setattr(download, "PAUSE_S", 0.0)


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
    assert rounds == 4  # two parts each: the first look tells how long to wait for them
    assert world.storage.objects[TEMP, KEY] == FILM
    assert sorted(world.storage.sent) == list(range(1, 11))  # each part once
    assert len(world.drive.ranges) == 10
    assert world.storage.reads == []  # hashed as it passed, in four invocations


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
    gone = {"source_key": None, "fetched": Fetched(upload_id="x", part_size_bytes=PART)}
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
    assert len(world.drive.ranges) == download.TRIES


def test_bytes_that_are_not_the_files_are_copied_again(world: World) -> None:
    job = dropped(world)
    world.drive.contents["film"] = FILM[:-1] + b"?"
    with pytest.raises(Temporary, match="copied again"):
        fetch(world.services, job, call())
    assert (TEMP, KEY) not in world.storage.objects
    world.drive.contents["film"] = FILM
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}
    assert world.storage.objects[TEMP, KEY] == FILM


@pytest.mark.parametrize("length", [7, 95])  # in one put, in parts
def test_bytes_that_never_are_the_files_are_not_copied_for_ever(world: World, length: int) -> None:
    job = dropped(world, FILM[:length])
    world.drive.contents["film"] = bytes(length)
    for _ in range(WRONG_COPIES - 1):
        with pytest.raises(Temporary):
            fetch(world.services, world.job(job.job_id), call())
    with pytest.raises(Rejected, match="checksum"):
        fetch(world.services, world.job(job.job_id), call())
    assert (TEMP, KEY) not in world.storage.objects
    assert world.storage.uploads == {}


def test_a_copy_of_which_an_invocation_died_is_checked_as_a_whole(world: World) -> None:
    job = dropped(world)
    assert not fetch(world.services, job, Budget(3))["done"]
    world.storage.uploads["upload-1"].parts[2] = b"a bad part"
    with pytest.raises(Temporary):
        while not fetch(world.services, world.job(job.job_id), call())["done"]:
            pass
    assert (TEMP, KEY) not in world.storage.objects


def test_a_part_that_was_stored_unhashed_is_read_from_s3_not_fetched(world: World) -> None:
    """As after a kill: S3 has more than the record knows of."""
    job = dropped(world)
    assert not fetch(world.services, job, Budget(5))["done"]
    world.storage.upload_part(TEMP, KEY, "upload-1", 5, FILM[40:50])
    world.drive.ranges.clear()
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}
    assert sorted(world.drive.ranges) == [(at, min(at + 9, 94)) for at in range(50, 95, 10)]
    assert min(world.storage.reads) == (40, 7)  # what passed before is hashed already


def test_the_check_goes_on_where_it_stopped(world: World) -> None:
    job = dropped(world)
    world.storage.put(TEMP, KEY, FILM, content_type="video/mp4")
    rounds = 0
    while not fetch(world.services, world.job(job.job_id), Budget(3))["done"]:
        rounds += 1
        assert rounds < 10
    assert rounds > 2
    assert sorted(world.storage.reads) == [(at, min(7, 95 - at)) for at in range(0, 95, 7)]
    assert world.drive.ranges == []
    assert world.job(job.job_id).source_key == KEY


def test_what_was_hashed_of_one_object_counts_for_no_other(world: World) -> None:
    job = dropped(world)
    world.storage.put(TEMP, KEY, FILM, content_type="video/mp4")
    assert not fetch(world.services, job, Budget(3))["done"]
    world.storage.put(TEMP, KEY, bytes(50) + FILM[50:], content_type="video/mp4")
    with pytest.raises(Temporary, match="differs"):
        while not fetch(world.services, world.job(job.job_id), call())["done"]:
            pass


def test_an_object_replaced_while_it_is_read_is_checked_again(world: World) -> None:
    job = dropped(world)
    world.storage.put(TEMP, KEY, FILM, content_type="video/mp4")
    world.storage.fail_next("read_range", aws_error("PreconditionFailed", status=412))
    with pytest.raises(Temporary, match="checked again"):
        fetch(world.services, job, call())
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}


@pytest.mark.parametrize("length", [7, 95])
def test_another_workers_copy_is_checked_and_not_replaced(world: World, length: int) -> None:
    job, film = dropped(world, FILM[:length]), FILM[:length]
    get, calls = world.drive.open_range, []

    @contextmanager
    def overtaken(*args):
        calls.append(args)
        if len(calls) == 1:
            world.storage.put(TEMP, KEY, bytes(length), content_type="video/mp4")
        with get(*args) as chunks:
            yield chunks

    world.drive.open_range = overtaken
    with pytest.raises(Temporary, match="differs"):  # theirs is wrong, and ours did not hide it
        fetch(world.services, job, call())
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}
    assert world.storage.objects[TEMP, KEY] == film


def test_without_states_of_md5_a_long_check_fails_and_does_not_turn_in_circles(
    world: World, monkeypatch
) -> None:
    monkeypatch.setattr(md5_module, "_restartable", lambda _: None)
    job = dropped(world)
    assert Md5().state() is None
    while not fetch(world.services, world.job(job.job_id), Budget(3))["done"]:
        if (TEMP, KEY) in world.storage.objects:
            break
    with pytest.raises(Rejected, match="rehashes"):
        fetch(world.services, world.job(job.job_id), Budget(3))
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}


def test_an_md5_goes_on_from_its_state() -> None:
    half = Md5()
    half.update(FILM[:33])
    state = half.state()
    whole = Md5(state)
    whole.update(bytearray(FILM[33:]))
    assert whole.hexdigest() == hashlib.md5(FILM).hexdigest()
    with pytest.raises(ValueError):
        Md5("no state")


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

        def late(*args: object, **options: object) -> str:
            etag = complete(*args, **options)
            world.drive.change("film", **facts)
            return etag

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
    monkeypatch.setattr(upload, "PROGRESS_EVERY_S", 0)
    job = dropped(world)
    assert not fetch(world.services, job, Budget(5))["done"]
    fetched = world.job(job.job_id).fetched
    assert fetched is not None and fetched.done_bytes == 4 * PART
    assert world.queues.dirty == []  # progress of a copy is nothing for the row


def test_a_newer_run_takes_the_copy_over(world: World, monkeypatch) -> None:
    monkeypatch.setattr(upload, "PROGRESS_EVERY_S", 0)
    job = dropped(world)
    world.records.update(job.job_id, {"run": 2})
    with pytest.raises(JobClosed):
        fetch(world.services, job, call())
    assert world.job(job.job_id).source_key is None


def test_memory_does_not_grow_with_the_file(world: World) -> None:
    """However slow S3 is, only so many parts are held, being read, waiting or being sent."""
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
        with lock:
            held -= 1
        return upload_part(*args)

    world.drive.open_range, world.storage.upload_part = counted_open, slow_upload
    assert fetch(world.services, job, call()) == {"done": True}
    assert 1 < most <= MOST_HELD


@pytest.mark.parametrize("size_bytes", [1, 16 * 2**20, 150 * 2**30, 5 * 2**40])
def test_any_file_fits_in_ten_thousand_parts_and_in_the_functions_memory(
    monkeypatch, size_bytes: int
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 16 * MIB)
    monkeypatch.setattr(parts, "MIB", MIB)
    cut = Parts(size_bytes=size_bytes, part_bytes=part_size_bytes(size_bytes))
    assert cut.part_bytes % MIB == 0 and cut.part_bytes >= 16 * MIB
    assert cut.count <= MAX_PARTS
    assert sum(cut.length(number) for number in range(1, cut.count + 1)) == size_bytes
    assert cut.part_bytes <= 5 * 2**30  # S3's limit for a part
    assert 1 <= cut.held <= MOST_HELD
    assert cut.held * cut.part_bytes < 600 * MIB


def test_a_download_that_takes_too_long_is_left_for_the_next_invocation(
    world: World, monkeypatch
) -> None:
    """Drive trickles: bytes come, but so slowly that waiting for the part would outlast us."""
    monkeypatch.setattr(upload, "GRACE_S", -1000.0)
    job = dropped(world)
    assert fetch(world.services, job, call()) == {"done": False}
    assert world.storage.sent == []
    monkeypatch.setattr(upload, "GRACE_S", 8.0)
    assert fetch(world.services, world.job(job.job_id), call()) == {"done": True}


@given(data=st.data())
def test_killed_at_any_call_and_called_again_it_ends_with_the_file(data) -> None:
    """Every finished part stays finished, whatever the order in which the parts arrive."""
    world = World()
    job = dropped(world, content=FILM[: data.draw(st.integers(1, 95), "length")])
    film = world.drive.contents["film"]
    for _ in range(data.draw(st.integers(0, 3), "kills")):
        world.peril.calls.clear()
        world.peril.at = data.draw(st.integers(1, 30), "at")
        with contextlib.suppress(Killed):
            budget = Budget(data.draw(st.integers(1, 12), "looks"))
            fetch(world.services, world.job(job.job_id), budget)
        world.peril.revive()
    world.peril.at = None
    have = {n for one in world.storage.uploads.values() for n in one.parts}
    world.storage.sent.clear()
    while not fetch(world.services, world.job(job.job_id), call())["done"]:
        pass
    assert world.storage.objects[TEMP, KEY] == film
    assert not have.intersection(world.storage.sent)


def test_an_md5_that_comes_later_than_the_content_is_no_other_version(world: World) -> None:
    job = dropped(world, md5=None, version_key="rev-1")
    world.drive.change("film", head_revision_id="rev-1")
    assert fetch(world.services, job, call()) == {"done": True}
    assert world.job(job.job_id).md5 == world.drive.files["film"].md5


def test_nor_does_it_hide_bytes_that_are_not_the_files(world: World) -> None:
    job = dropped(world, md5=None, version_key="rev-1")
    world.drive.change("film", head_revision_id="rev-1")
    world.drive.contents["film"] = FILM[::-1]
    with pytest.raises(Temporary, match="differs"):
        fetch(world.services, job, call())


@pytest.mark.parametrize("is_known", [True, False], ids=["in the record", "its creator died"])
def test_a_copy_that_cannot_be_finished_leaves_no_open_upload(world: World, is_known: bool) -> None:
    job = dropped(world)
    upload_id = world.storage.create_upload(TEMP, KEY, content_type="video/mp4")
    if is_known:
        fetched = Fetched(upload_id=upload_id, part_size_bytes=PART)
        world.records.update(JOB_ID, {"fetched": fetched}, row=False)
        job = world.job(JOB_ID)
    world.drive.replace("film", b"another film")
    with pytest.raises(Rejected, match="replaced"):
        fetch(world.services, job, call())
    assert world.storage.uploads == {}


def test_a_copy_that_failed_for_now_keeps_its_upload(world: World) -> None:
    job = dropped(world)
    upload_id = world.storage.create_upload(TEMP, KEY, content_type="video/mp4")
    world.drive.fail_next("get", Temporary("Drive is away."))
    with pytest.raises(Temporary):
        fetch(world.services, job, call())
    assert [*world.storage.uploads] == [upload_id]
