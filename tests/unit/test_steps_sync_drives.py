"""Sync, where watched folders lie in shared drives: each drive's own log is read as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters.drive_errors import DriveUnavailable, FileGone
from chalicelib.steps import sync as sync_step
from chalicelib.steps.change_logs import LOOK_AGAIN_S
from chalicelib.steps.sync import LEASE_S, STATE, sync
from tests.examples import a_workflow
from tests.fakes import INBOX, Killed, World, aws_error
from tests.unit.test_steps_sync import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Any:
    """Makes stages with a folder in My Drive and one in the drive Team, which have begun."""

    def made() -> World:
        world = World(now=clock.time)
        world.drive.add_folder("films", shared_drive_id="Team")
        world.drive.add("old.mp4", b"old", parents=("films",), shared_drive_id="Team")
        sync(world.services)
        return world

    watch(monkeypatch, INBOX, "films")
    return made


@pytest.fixture
def world(begun: Any) -> World:
    made: World = begun()
    return made


def watch(monkeypatch: pytest.MonkeyPatch, *folders: str) -> None:
    flows = {
        f"flow-{n}": a_workflow(name=f"flow-{n}", drive_folder=f) for n, f in enumerate(folders)
    }
    monkeypatch.setattr(sync_step, "all_workflows", lambda: flows)


def drop(world: World, name: str, folder: str = "films", drive_id: str | None = "Team") -> str:
    return world.drive.add(name, name.encode(), parents=(folder,), shared_drive_id=drive_id)


def started(world: World) -> list[str]:
    return [world.job(state["job_id"]).file_name for _, _, state in world.flows.started]


def place(world: World, drive_id: str | None = "Team") -> Any:
    state = world.records.state(*STATE)
    return state.get("page_token" if drive_id is None else f"page_token#{drive_id}")


def move(world: World, folder: str, drive_id: str | None) -> None:
    world.drive.folders[folder] = replace(world.drive.folders[folder], shared_drive_id=drive_id)
    for file_id, file in world.drive.files.items():
        if folder in file.parents:
            world.drive.files[file_id] = replace(file, shared_drive_id=drive_id)


def test_a_film_of_a_shared_drive_is_found_in_the_drives_own_log(world: World) -> None:
    drop(world, "team.mp4")
    drop(world, "mine.mp4", INBOX, None)
    assert sync(world.services) == 1  # of the log that the push channel speaks of
    assert sorted(started(world)) == ["mine.mp4", "team.mp4"]
    assert (place(world, None), place(world)) == ("4", "Team4")


def test_a_log_begins_with_what_comes_after_it(world: World) -> None:
    """What lies there already is for a backfill, which shows the cost first."""
    sync(world.services)
    assert started(world) == []


def test_a_film_that_both_logs_tell_of_is_one_job(world: World) -> None:
    world.drive.tells_twice = True
    drop(world, "a.mp4")
    sync(world.services)
    assert started(world) == ["a.mp4"]


def test_to_who_is_no_member_the_own_log_tells(world: World) -> None:
    """A folder of a drive can be shared without the drive. Nothing is wrong then."""
    world.drive.closed_drives.add("Team")
    before = place(world)
    drop(world, "a.mp4")
    sync(world.services)
    assert started(world) == ["a.mp4"]
    world.drive.closed_drives.clear()  # a member again: the old place holds
    drop(world, "b.mp4")
    assert place(world) == before
    sync(world.services)
    assert started(world) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("broken", ["changes", "changes of Team"])
def test_a_log_that_cannot_be_read_holds_up_no_other(world: World, broken: str) -> None:
    drop(world, "team.mp4")
    drop(world, "mine.mp4", INBOX, None)
    mine, of_team = place(world, None), place(world)
    world.drive.fail_next(broken, DriveUnavailable("Drive is away."))
    with pytest.raises(DriveUnavailable):
        sync(world.services)
    assert started(world) == (["team.mp4"] if broken == "changes" else ["mine.mp4"])
    assert (place(world, None) == mine, place(world) == of_team) == (
        broken == "changes",
        broken != "changes",
    )
    sync(world.services)
    assert sorted(started(world)) == ["mine.mp4", "team.mp4"]


def test_a_bad_film_holds_the_place_in_its_own_log_only(world: World) -> None:
    drop(world, "bad.mp4")
    drop(world, "good.mp4")
    drop(world, "mine.mp4", INBOX, None)
    mine, of_team = place(world, None), place(world)
    create = world.records.create

    def picky(job: Any) -> bool:
        if job.file_name == "bad.mp4":
            raise aws_error("ThrottlingException")
        return bool(create(job))

    world.records.create = picky
    with pytest.raises(Exception, match="Throttling"):
        sync(world.services)
    assert sorted(started(world)) == ["good.mp4", "mine.mp4"]
    assert place(world) == of_team and place(world, None) != mine
    world.records.create = create
    sync(world.services)
    assert sorted(started(world)) == ["bad.mp4", "good.mp4", "mine.mp4"]


def test_a_place_the_drive_does_not_know_means_listing_its_folders(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    list_folder = world.drive.list_folder
    world.drive.list_folder = lambda folder: listed.append(folder) or list_folder(folder)
    world.records.save_state(*STATE, {"page_token#Team": "of another log"})
    drop(world, "missed.mp4")
    sync(world.services)
    assert listed == ["films"]
    assert sorted(started(world)) == ["missed.mp4", "old.mp4"]
    drop(world, "next.mp4")
    sync(world.services)
    assert started(world)[2:] == ["next.mp4"]


def test_a_crash_anywhere_between_the_logs_loses_nothing(begun: Any, clock: Clock) -> None:
    def play(at: int | None) -> World:
        world: World = begun()
        world.drive.page_size = 2
        clock.now += LOOK_AGAIN_S + 1
        for number in range(3):
            drop(world, f"team-{number}.mp4")
            drop(world, f"mine-{number}.mp4", INBOX, None)
        world.peril.calls.clear()
        world.peril.at = at
        try:
            sync(world.services)
        except Killed:
            world.peril.revive()
            clock.now += LEASE_S + 1
            sync(world.new_process())
        return world

    names = [f"{whose}-{number}.mp4" for whose in ("mine", "team") for number in range(3)]
    for at in range(1, len(play(None).peril.calls) + 1):
        world = play(at)
        assert sorted(started(world)) == names, at
        assert (place(world, None), place(world)) == ("8", "Team8"), at


def test_long_logs_are_read_by_one_after_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    for number in range(3):
        drop(world, f"team-{number}.mp4")
        drop(world, f"mine-{number}.mp4", INBOX, None)
    monkeypatch.setattr(sync_step, "READ_S", -1.0)  # each file is one too many
    sync(world.services)
    assert sorted(started(world)) == ["mine-0.mp4", "team-0.mp4"]  # none waits for the other
    rounds = 0
    while world.queues.hints:
        world.queues.hints.clear()
        rounds, clock.now = rounds + 1, clock.now + 1
        assert rounds < 20
        sync(world.services)
    assert len(started(world)) == len({*started(world)}) == 6


# Where the folders are


def test_folders_are_looked_up_once_in_a_while(world: World, clock: Clock) -> None:
    def looks() -> int:
        world.peril.calls.clear()
        sync(world.services)
        return int(world.peril.calls.count("drive.get"))

    assert [looks(), looks()] == [0, 0]
    clock.now += LOOK_AGAIN_S + 1
    assert [looks(), looks()] == [2, 0]
    clock.now -= 86_400  # it was written by a clock far ahead
    assert looks() == 2


@pytest.mark.parametrize("error", [FileGone("It is gone."), DriveUnavailable("Drive is away.")])
def test_a_folder_that_cannot_be_seen_is_where_it_was(
    world: World, clock: Clock, error: Exception
) -> None:
    clock.now += LOOK_AGAIN_S + 1
    world.drive.fail_next("get", error, error)
    drop(world, "team.mp4")
    drop(world, "mine.mp4", INBOX, None)
    sync(world.services)
    assert sorted(started(world)) == ["mine.mp4", "team.mp4"]


def test_a_folder_that_was_never_seen_holds_up_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(monkeypatch, "not shared yet", INBOX, "films")
    drop(world, "team.mp4")
    sync(world.services)
    assert started(world) == ["team.mp4"]
    world.drive.add_folder("not shared yet", shared_drive_id="Other")
    sync(world.services)
    assert place(world, "Other")


@pytest.mark.parametrize("to", ["Other", None])
def test_a_folder_moved_to_another_drive_is_listed(
    begun: Any, clock: Clock, to: str | None
) -> None:
    """What was dropped before we saw that it had moved is in no log that was read then."""

    def play(at: int | None) -> World:
        world: World = begun()
        drop(world, "before.mp4")
        move(world, "films", to)
        clock.now += LOOK_AGAIN_S + 1
        world.peril.calls.clear()
        world.peril.at = at
        try:
            sync(world.services)
        except Killed:
            world.peril.revive()
            clock.now += LEASE_S + 1
            sync(world.new_process())
        return world

    for at in (None, *range(1, len(play(None).peril.calls) + 1)):
        world = play(at)
        drop(world, "after.mp4", drive_id=to)
        sync(world.services)
        assert "before.mp4" in started(world) and started(world)[-1] == "after.mp4", at
        assert len(started(world)) == len({*started(world)}), at
        # Were it kept, a folder that comes back in a year would tell of the films of that year.
        assert place(world) is None, at


def test_another_folder_in_the_same_drive_goes_on_in_its_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drive.add_folder("newer", shared_drive_id="Team")
    drop(world, "old too.mp4", "newer")
    sync(world.services)
    watch(monkeypatch, INBOX, "newer")
    drop(world, "a.mp4", "newer")
    drop(world, "not watched any more.mp4", "films")
    sync(world.services)
    assert started(world) == ["a.mp4"]
