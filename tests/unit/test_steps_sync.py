"""Sync: nothing lost, nothing twice, however often and in whatever state it is called."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib import triggers
from chalicelib.adapters.drive_errors import DriveUnavailable, PageTokenInvalid
from chalicelib.adapters.records import Outside
from chalicelib.domain.drive import Change, ChangePage
from chalicelib.domain.job import Job, Status
from chalicelib.steps import sync as sync_step
from chalicelib.steps.aside import ATTEMPTS, PATIENCE
from chalicelib.steps.sync import LEASE_S, STATE, sync
from tests.examples import a_workflow
from tests.fakes import INBOX, Killed, World, aws_error


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(monkeypatch, clock) -> World:
    """A stage that has read the log before, with one workflow on the inbox."""
    use_workflows(monkeypatch, "compress")
    world = World(now=clock.time)
    sync(world.services)
    return world


def use_workflows(monkeypatch, *names: str) -> None:
    flows = {name: a_workflow(name=name, drive_folder=INBOX) for name in names}
    monkeypatch.setattr(sync_step, "all_workflows", lambda: flows)


def started(world: World) -> list[str]:
    """File names of the executions, in order."""
    jobs = [world.job(state["job_id"]) for _, _, state in world.flows.started]
    return [job.file_name for job in jobs]


def lease(world: World) -> float:
    return float(world.records.state(*STATE)["lease_until"])


def test_a_dropped_file_becomes_a_job_and_an_execution(world: World) -> None:
    world.drive.add("a.mp4", b"aa")
    sync(world.services)
    [(workflow, name, state)] = world.flows.started
    job = world.job(state["job_id"])
    assert (workflow, name, state["run"]) == ("compress", f"{job.job_id}-1", 1)
    assert (job.status, job.execution_started, job.uploader) == (Status.PROCESSING, True, "Anna")
    assert world.queues.dirty == [(job.job_id, 1)]
    assert lease(world) == 0


def test_the_first_run_starts_nothing_old(monkeypatch, clock) -> None:
    use_workflows(monkeypatch, "compress")
    world = World(now=clock.time)
    world.drive.add("old.mp4", b"old")
    sync(world.services)
    assert world.flows.started == []
    world.drive.add("new.mp4", b"new")
    sync(world.services)
    assert started(world) == ["new.mp4"]


def test_the_same_content_is_the_same_job(world: World) -> None:
    file_id = world.drive.add("a.mp4", b"aa")
    sync(world.services)
    world.drive.change(file_id, name="renamed.mp4")
    sync(world.services)
    world.drive.change(file_id, trashed=True)
    sync(world.services)
    world.drive.change(file_id, trashed=False)
    sync(world.services)
    assert started(world) == ["a.mp4"]


def test_new_content_is_a_new_job(world: World) -> None:
    file_id = world.drive.add("a.mp4", b"aa")
    sync(world.services)
    world.drive.replace(file_id, b"other")
    sync(world.services)
    first, second = (state["job_id"] for _, _, state in world.flows.started)
    assert first != second
    assert world.job(second).size_bytes == 5


def test_two_workflows_on_one_folder_are_two_jobs(world: World, monkeypatch) -> None:
    use_workflows(monkeypatch, "compress", "proxy")
    world.drive.add("a.mp4", b"aa")
    sync(world.services)
    assert [flow for flow, _, _ in world.flows.started] == ["compress", "proxy"]
    assert len({state["job_id"] for _, _, state in world.flows.started}) == 2


def test_what_is_no_video_is_left_alone_and_logged(world: World, caplog) -> None:
    with caplog.at_level("INFO"):
        world.drive.add("notes.txt", b"text", mime_type="text/plain")
        world.drive.add("elsewhere.mp4", b"b", parents=("another",))
        sync(world.services)
    assert world.flows.started == []
    assert "'notes.txt' is not a video" in caplog.text
    assert "elsewhere" not in caplog.text


def test_every_page_is_read(world: World) -> None:
    world.drive.page_size = 2
    for number in range(5):
        world.drive.add(f"{number}.mp4", b"%d" % number)
    sync(world.services)
    assert started(world) == [f"{number}.mp4" for number in range(5)]


def test_a_version_is_the_same_before_and_after_drive_has_worked_out_its_md5(world: World) -> None:
    file_id = world.drive.add("a.mp4", b"aa", md5=None, head_revision_id="rev-1")
    sync(world.services)
    world.drive.change(file_id, md5=hashlib.md5(b"aa").hexdigest())
    sync(world.services)
    assert started(world) == ["a.mp4"]
    assert len(list(world.records.open_jobs())) == 1
    world.drive.change(file_id, md5=hashlib.md5(b"bb").hexdigest(), head_revision_id="rev-2")
    sync(world.services)
    assert len(started(world)) == 2


def test_a_file_is_seen_whatever_its_dates_say(world: World) -> None:
    """Drive for desktop keeps the times of the client, whose clock may be anywhere."""
    for number, year in enumerate((1904, 1970, 2026, 9999)):
        when = datetime(year, 1, 1, tzinfo=UTC)
        world.drive.add(f"{year}.mp4", b"%d" % number, created_at=when, modified_at=when)
    sync(world.services)
    assert sorted(started(world)) == ["1904.mp4", "1970.mp4", "2026.mp4", "9999.mp4"]


def test_a_file_that_is_still_being_uploaded_waits_for_its_content(world: World) -> None:
    nothing = {"md5": None, "head_revision_id": None, "size_bytes": None}
    file_id = world.drive.add("a.mp4", b"aa", **nothing)
    sync(world.services)
    assert started(world) == []
    world.drive.change(file_id, head_revision_id="rev-1")  # no size yet
    sync(world.services)
    assert started(world) == []
    world.drive.change(file_id, size_bytes=2)
    sync(world.services)
    assert started(world) == ["a.mp4"]


# Many hints, one reader


def test_while_one_reads_others_return_at_once(world: World, clock) -> None:
    world.records.save_state(*STATE, {"lease_until": clock.now + 10, "owner": "somebody"})
    world.drive.add("a.mp4", b"aa")
    sync(world.services)
    assert world.flows.started == []
    assert world.records.state(*STATE)["owner"] == "somebody"


def test_a_hint_during_a_read_is_not_lost(world: World, monkeypatch) -> None:
    """A second sync comes when the first has read the log and not let go of the lease yet."""
    world.drive.add("a.mp4", b"aa")
    read_log, calls = sync_step._read_log, []

    def reading(*args: object) -> bool:
        is_read = read_log(*args)
        calls.append(1)
        if len(calls) == 1:
            world.drive.add("late.mp4", b"late")
            sync(world.new_process())
            assert started(world) == ["a.mp4"]  # it only left its hint
        return is_read

    monkeypatch.setattr(sync_step, "_read_log", reading)
    sync(world.services)
    assert started(world) == ["a.mp4", "late.mp4"]
    assert len(calls) == 2
    assert lease(world) == 0


def test_a_reader_that_died_is_taken_over_when_its_lease_expires(world: World, clock) -> None:
    world.records.save_state(*STATE, {"lease_until": clock.now + LEASE_S, "owner": "the dead"})
    world.drive.add("a.mp4", b"aa")
    clock.now += LEASE_S - 1
    sync(world.services)
    assert started(world) == []
    clock.now += 2
    sync(world.services)
    assert started(world) == ["a.mp4"]


def test_a_lease_taken_by_a_clock_far_ahead_is_no_lease(world: World, clock) -> None:
    world.drive.add("a.mp4", b"aa")
    clock.now += 86_400
    world.peril.calls.clear()
    world.peril.at = 3  # it dies holding the lease
    with pytest.raises(Killed):
        sync(world.services)
    world.peril.revive()
    clock.now -= 86_400
    sync(world.new_process())
    assert started(world) == ["a.mp4"]


def test_a_lease_whose_answer_was_lost_is_known_as_our_own(world: World, monkeypatch) -> None:
    """An AWS client repeats such a call by itself, and its condition no longer holds."""
    save = world.records.save_state

    def twice(*key: str, **options):
        if isinstance((options.get("only_if") or {}).get("lease_until"), Outside):
            save(*key, **options)
        return save(*key, **options)

    monkeypatch.setattr(world.records, "save_state", twice)
    world.drive.add("a.mp4", b"aa")
    sync(world.services)
    assert started(world) == ["a.mp4"]


def test_who_lost_the_lease_moves_nothing_on(world: World, clock, monkeypatch) -> None:
    """It slept through its lease; another reads now, from a place of its own."""
    world.drive.add("a.mp4", b"aa")
    changes = world.drive.changes

    def slow(*asked: Any) -> ChangePage:
        page = changes(*asked)
        theirs = {"owner": "another", "lease_until": clock.now + 9999, "page_token": "theirs"}
        world.records.save_state(*STATE, theirs)
        return page

    monkeypatch.setattr(world.drive, "changes", slow)
    sync(world.services)
    state = world.records.state(*STATE)
    assert (state["owner"], state["page_token"]) == ("another", "theirs")
    assert state["lease_until"] == clock.now + 9999


def test_after_a_failure_the_next_hint_need_not_wait_for_the_lease(world: World) -> None:
    world.drive.add("a.mp4", b"aa")
    world.drive.fail_next("changes", DriveUnavailable("Drive is away."))
    with pytest.raises(DriveUnavailable):
        sync(world.services)
    sync(world.services)
    assert started(world) == ["a.mp4"]


# The page token


def test_a_page_token_drive_does_not_know_means_listing_the_folder(world: World) -> None:
    world.drive.add("missed.mp4", b"missed")
    world.drive.add("binned.mp4", b"binned", trashed=True)
    world.drive.oldest_token = 3
    sync(world.services)
    assert started(world) == ["missed.mp4"]
    world.drive.add("next.mp4", b"next")
    sync(world.services)
    assert started(world) == ["missed.mp4", "next.mp4"]


def test_a_drive_that_refuses_every_token_is_asked_twice_not_for_ever(world: World) -> None:
    refusals = [PageTokenInvalid("No.", status=400) for _ in range(10)]
    world.drive.fail_next("changes", *refusals)
    with pytest.raises(PageTokenInvalid):
        sync(world.services)
    assert len(world.drive.failures["changes"]) == 8


def test_an_execution_that_does_not_start_is_started_the_next_time(world: World) -> None:
    world.drive.add("a.mp4", b"aa")
    world.flows.fail_next("start", aws_error("ThrottlingException"))
    with pytest.raises(ClientError):
        sync(world.services)
    assert started(world) == []
    sync(world.services)
    assert started(world) == ["a.mp4"]


@pytest.mark.parametrize("broken", ["record", "execution"])
def test_one_bad_file_does_not_hold_up_the_others(world: World, broken: str) -> None:
    world.drive.page_size = 2
    if broken == "record":
        world.records.fail_next("create", aws_error("ValidationException"))
    else:
        world.flows.fail_next("start", aws_error("StateMachineDoesNotExist"))
    for name in ("bad.mp4", "b.mp4", "c.mp4"):
        world.drive.add(name, name.encode())
    with pytest.raises(ClientError):
        sync(world.services)
    assert started(world) == ["b.mp4", "c.mp4"]
    sync(world.services)  # and it comes again, alone
    assert started(world) == ["b.mp4", "c.mp4", "bad.mp4"]


def test_a_poison_file_is_set_aside_and_the_log_is_read_on(world: World, clock) -> None:
    """It fails each time; the page token must not wait for it for ever."""
    start = world.flows.start

    def refuses(workflow: str, name: str, state: dict[str, Any]) -> None:
        if world.job(state["job_id"]).file_name == "poison.mp4":
            raise aws_error("ValidationException")
        start(workflow, name, state)

    world.flows.start = refuses
    poison = world.drive.add("poison.mp4", b"poison")
    place = world.records.state(*STATE)["page_token"]
    for number in range(ATTEMPTS):
        world.drive.add(f"{number}.mp4", b"%d" % number)
        if number < ATTEMPTS - 1:
            with pytest.raises(ClientError):
                sync(world.services)
            assert world.records.state(*STATE)["page_token"] == place
            clock.now += PATIENCE.total_seconds() / (ATTEMPTS - 1)
        else:
            assert sync(world.services)
        assert started(world)[-1] == f"{number}.mp4"
    [(file_id, reason)] = world.queues.files_aside
    assert file_id == poison and "ValidationException" in reason
    assert world.records.state(*STATE)["page_token"] != place
    assert sync(world.services) == 0  # nothing is read twice any more
    # A new version of the file is a new chance.
    world.flows.start = start
    world.drive.replace(poison, b"better")
    sync(world.services)
    assert started(world)[-1] == "poison.mp4"


def test_an_outage_sets_no_file_aside(world: World, clock) -> None:
    world.drive.add("a.mp4", b"aa")
    for _ in range(4 * ATTEMPTS):
        world.flows.fail_next("start", aws_error("ThrottlingException"))
        with pytest.raises(ClientError):
            sync(world.services)
        clock.now += 900
    assert world.queues.files_aside == []
    sync(world.services)
    assert started(world) == ["a.mp4"]


def test_a_file_that_cannot_even_be_set_aside_keeps_the_log_waiting(world: World, clock) -> None:
    world.drive.add("a.mp4", b"aa")
    world.drive.add("b.mp4", b"bb")
    for _ in range(2 * ATTEMPTS):
        world.records.fail_next("create", aws_error("ValidationException"))
        world.queues.fail_next("set_file_aside", aws_error("QueueDoesNotExist"))
        with pytest.raises(ClientError):
            sync(world.services)
        assert started(world) == ["b.mp4"]
        clock.now += PATIENCE.total_seconds()
    sync(world.services)
    assert started(world) == ["b.mp4", "a.mp4"]


def test_an_entry_that_cannot_be_read_is_set_aside_at_once(world: World) -> None:
    world.drive.add("a.mp4", b"aa")
    changes = world.drive.changes

    def strange(*asked: Any) -> ChangePage:
        page = changes(*asked)
        odd = Change(file_id="odd", removed=False, file=None, unreadable="size is a word")
        return replace(page, changes=(odd, *page.changes))

    world.drive.changes = strange
    sync(world.services)
    assert started(world) == ["a.mp4"]
    assert world.queues.files_aside == [("odd", "size is a word")]


def test_what_was_set_aside_is_looked_at_again_when_a_person_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "services", lambda: world.services)
    good, bad = world.drive.add("good.mp4", b"1"), world.drive.add("bad.mp4", b"22")
    bodies = [{"file_id": id, "reason": "x"} for id in (good, bad, "deleted since")]
    records = [{"messageId": str(n), "body": json.dumps(body)} for n, body in enumerate(bodies)]
    create = world.records.create

    def picky(job: Job) -> bool:
        if job.file_name == "bad.mp4":
            raise aws_error("ValidationException")
        return create(job)

    world.records.create = picky
    answer = triggers.drive_changed({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert started(world) == ["good.mp4"]


def test_a_bad_file_in_a_listing_is_listed_again(world: World) -> None:
    world.drive.add("bad.mp4", b"bad")
    world.drive.oldest_token = 2
    world.flows.fail_next("start", aws_error("ThrottlingException"))
    with pytest.raises(ClientError):
        sync(world.services)
    sync(world.services)
    assert started(world) == ["bad.mp4"]


def test_a_crash_anywhere_repeats_work_and_doubles_nothing(monkeypatch, clock) -> None:
    use_workflows(monkeypatch, "compress")

    def play(at: int | None) -> World:
        world = World(now=clock.time)
        sync(world.services)
        world.drive.page_size = 2
        for number in range(3):
            world.drive.add(f"{number}.mp4", b"%d" % number)
        world.peril.calls.clear()
        world.peril.at = at
        try:
            sync(world.services)
        except Killed:
            world.peril.revive()
            clock.now += LEASE_S + 1
            sync(world.new_process())
        return world

    calls = len(play(None).peril.calls)
    assert calls > 10
    for at in range(1, calls + 1):
        world = play(at)
        assert sorted(started(world)) == ["0.mp4", "1.mp4", "2.mp4"], at
        assert all(job.execution_started for job in world.records.open_jobs()), at
        assert world.records.state(*STATE)["page_token"] == "4", at


def test_a_long_log_is_read_by_one_after_the_other(world: World, monkeypatch, clock) -> None:
    """A thousand files at once take longer than an invocation may."""
    world.drive.page_size = 3
    for number in range(5):
        world.drive.add(f"{number}.mp4", bytes([number]))
    monkeypatch.setattr(sync_step, "READ_S", -1.0)  # each file is one too many
    rounds = 0
    sync(world.services)
    while world.queues.hints:
        assert world.queues.hints.pop() == {"reason": "there is more to read"}
        assert lease(world) == 0
        rounds += 1
        assert rounds < 20
        clock.now += 1
        sync(world.services)
    assert rounds > 3
    assert sorted(started(world)) == [f"{number}.mp4" for number in range(5)]
    assert len(world.flows.started) == 5


def test_a_hint_during_a_sync_costs_one_call(world: World, clock) -> None:
    world.records.save_state(*STATE, {"lease_until": clock.now + LEASE_S, "owner": "another"})
    world.peril.calls.clear()
    sync(world.services)
    assert world.peril.calls == ["records.save_state"]
