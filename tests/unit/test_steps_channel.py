"""The push channel: there is always one, Drive's answer may get lost, and sync has its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.adapters.drive_errors import CallRefused, ChannelIdTaken, DriveUnavailable
from chalicelib.domain.text import parse_iso
from chalicelib.steps.channel import CURRENT, LIFE, OVERLAP, SILENT_SWEEPS, renew
from chalicelib.steps.sync import STATE
from tests.fakes import Killed, World

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World()


def current(world: World) -> dict[str, Any]:
    return world.records.state(*CURRENT)


def stored(world: World) -> list[str]:
    """Channels whose notifications are believed."""
    return [pk.removeprefix("channel#") for pk, sk in world.records.items if pk[:8] == "channel#"]


def test_a_channel_is_known_before_it_is_opened(world: World) -> None:
    """Drive's first message may come before its answer."""
    watch, seen = world.drive.watch_changes, []

    def watching(**options: Any) -> Any:
        seen.append(world.records.state(f"channel#{options['channel_id']}", "channel"))
        assert options["token"] == seen[0]["token"]
        assert options["address"] == "https://slimreel.example/api/drive/notifications"
        return watch(**options)

    world.drive.watch_changes = watching
    assert renew(world.services, NOW)
    assert len(seen[0]["token"]) >= 32
    assert parse_iso(seen[0]["valid_until"]) > NOW
    assert stored(world) == list(world.drive.channels) == [current(world)["channel_id"]]


def test_tokens_and_ids_are_never_used_twice(world: World) -> None:
    for day in range(0, 28, 7):
        renew(world.services, NOW + timedelta(days=day))
    assert len(set(world.drive.stopped)) == 3


def test_the_first_channel_marks_where_sync_begins(world: World) -> None:
    world.drive.add("old.mp4", b"old")
    renew(world.services, NOW)
    assert world.records.state(*STATE)["page_token"] == "2"


def test_a_place_that_sync_has_is_kept(world: World) -> None:
    world.records.save_state(*STATE, {"page_token": "17"})
    renew(world.services, NOW)
    assert world.records.state(*STATE)["page_token"] == "17"


def test_while_a_channel_has_time_none_is_opened(world: World) -> None:
    renew(world.services, NOW)
    assert not renew(world.services, NOW + LIFE - OVERLAP - timedelta(minutes=1))
    assert len(world.drive.channels) == 1


def test_the_next_overlaps_and_then_the_old_one_is_stopped(world: World) -> None:
    renew(world.services, NOW)
    old = current(world)["channel_id"]
    watch = world.drive.watch_changes

    def watching(**options: Any) -> Any:
        assert old in world.drive.channels and old in stored(world)
        return watch(**options)

    world.drive.watch_changes = watching
    assert renew(world.services, NOW + LIFE - OVERLAP + timedelta(minutes=1))
    new = current(world)["channel_id"]
    assert new != old
    assert world.drive.stopped == [old]
    assert stored(world) == list(world.drive.channels) == [new]


def test_a_shorter_life_than_asked_for_is_renewed_half_way(world: World) -> None:
    world.drive.ends_channels_early_by = LIFE - timedelta(hours=1)
    renew(world.services, NOW)
    channel = world.drive.channels[current(world)["channel_id"]]
    believed = world.records.state(f"channel#{channel.id}", "channel")["valid_until"]
    assert abs(parse_iso(believed) - channel.expires_at) < timedelta(seconds=1)
    assert not renew(world.services, NOW + timedelta(minutes=29))
    assert renew(world.services, NOW + timedelta(minutes=31))


def test_an_answer_that_was_lost_means_another_id(world: World) -> None:
    """The adapter asks again with the same id; Drive has that channel already."""
    world.drive.fail_next("watch_changes", ChannelIdTaken("There is one.", status=400))
    assert renew(world.services, NOW)
    assert list(world.drive.channels) == [current(world)["channel_id"]]


def test_a_drive_that_says_so_for_ever_is_an_error(world: World) -> None:
    world.drive.fail_next("watch_changes", *(ChannelIdTaken("Taken.") for _ in range(9)))
    with pytest.raises(ChannelIdTaken):
        renew(world.services, NOW)
    assert current(world) == {}


def test_a_channel_that_cannot_be_opened_leaves_the_old_one(world: World) -> None:
    renew(world.services, NOW)
    old = current(world)
    world.drive.fail_next("watch_changes", CallRefused("Not that address.", status=400))
    with pytest.raises(CallRefused):
        renew(world.services, NOW + LIFE)
    assert current(world) == old
    assert world.drive.stopped == [] and old["channel_id"] in stored(world)


def test_an_old_channel_that_cannot_be_stopped_is_no_harm(world: World) -> None:
    renew(world.services, NOW)
    world.drive.fail_next("stop_channel", DriveUnavailable("Drive is away."))
    assert renew(world.services, NOW + LIFE)
    assert stored(world) == [current(world)["channel_id"]]


def test_a_channel_that_died_in_silence_is_replaced(world: World, monkeypatch) -> None:
    """Anyone with the same OAuth client can stop it, and Drive tells nobody."""
    monkeypatch.setattr(triggers, "services", lambda: world.services)
    world.now = lambda: NOW
    renew(world.services)
    old = current(world)["channel_id"]
    world.drive.channels.clear()  # stolen
    for number in range(SILENT_SWEEPS):
        assert current(world)["channel_id"] == old
        triggers.sweep_drive()  # finds nothing, which proves nothing
        world.drive.add(f"{number}.txt", b"x")
        triggers.sweep_drive()
    assert list(world.drive.channels) == [current(world)["channel_id"]] != [old]
    for number in range(SILENT_SWEEPS - 1):  # and the new one has its chance
        world.drive.add(f"new-{number}.txt", b"x")
        triggers.sweep_drive()
    assert list(world.drive.channels) == [current(world)["channel_id"]]


def test_a_channel_that_was_heard_of_is_kept(world: World, monkeypatch) -> None:
    """A sweep may be quicker than a notification."""
    monkeypatch.setattr(triggers, "services", lambda: world.services)
    world.now = lambda: NOW
    renew(world.services)
    known = current(world)["channel_id"]
    for number in range(4 * SILENT_SWEEPS):
        world.drive.add(f"{number}.txt", b"x")
        triggers.sweep_drive()
        triggers.drive_changed({"Records": [{"messageId": "1", "body": "{}"}]})
    assert current(world)["channel_id"] == known


def test_before_there_is_a_channel_a_sweep_opens_none(world: World, monkeypatch) -> None:
    monkeypatch.setattr(triggers, "services", lambda: world.services)
    triggers.sweep_drive()
    for number in range(4):
        world.drive.add(f"{number}.txt", b"x")
        triggers.sweep_drive()
    assert world.drive.channels == {}


def test_a_crash_anywhere_leaves_a_channel_that_is_believed() -> None:
    def play(at: int | None) -> World:
        world = World()
        renew(world.services, NOW)
        world.peril.calls.clear()
        world.peril.at = at
        try:
            renew(world.services, NOW + LIFE)
        except Killed:
            world.peril.revive()
            # Never a moment without: the current channel is open and its messages are believed.
            open_and_believed = set(world.drive.channels) & set(stored(world))
            assert current(world)["channel_id"] in open_and_believed
            renew(world.new_process(), NOW + LIFE)
        return world

    for at in range(1, len(play(None).peril.calls) + 1):
        world = play(at)
        assert current(world)["channel_id"] in set(world.drive.channels) & set(stored(world)), at
        assert not renew(world.services, NOW + LIFE), at
