"""The stand-in's push notifications, received over real HTTP."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from slimreel.local.faults import Fault
from tests.contract.drive_server import (
    Front,
    LocalDrive,
    Receiver,
    open_drive,
    serving,
)


@pytest.fixture(scope="module")
def hook_front() -> Iterator[Front]:
    with serving() as found:
        yield found


@pytest.fixture
def hook(hook_front: Front) -> Receiver:
    found = Receiver(f"{hook_front.url}/hook")
    hook_front.answer = found.answer
    return found


def in_ms(span: timedelta) -> str:
    return str(round((datetime.now(UTC) + span).timestamp() * 1000))


def watch(local: LocalDrive, hook: Receiver, **more: Any) -> dict[str, Any]:
    """Open a channel on the change log and take its sync message."""
    changes = local.google().changes()
    token = changes.getStartPageToken().execute()["startPageToken"]
    body = {"id": str(uuid.uuid4()), "type": "web_hook", "address": hook.url, **more}
    channel: dict[str, Any] = changes.watch(pageToken=token, body=body).execute()
    assert hook.take()["x-goog-resource-state"] == "sync"
    return channel


def refusal(call: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        call.execute()
    return caught.value.status_code, caught.value.error_details[0]["reason"]


def test_sync_comes_first_even_before_the_answer(local: LocalDrive, hook: Receiver) -> None:
    changes = local.google().changes()
    body = {"id": "channel-1", "type": "web_hook", "address": hook.url, "token": "secret"}

    channel = changes.watch(pageToken="600", body=body).execute()
    sync = hook.arrived.get_nowait()  # it is there already

    assert sync["x-goog-resource-state"] == "sync"
    assert sync["x-goog-message-number"] == "1"
    assert sync["x-goog-channel-id"] == "channel-1"
    assert sync["x-goog-channel-token"] == "secret"
    assert sync["x-goog-resource-id"] == channel["resourceId"]
    assert sync["x-goog-resource-uri"] == channel["resourceUri"]
    assert "x-goog-changed" not in sync
    assert (sync["content-length"], sync["body"]) == ("0", "")
    expires = datetime.strptime(sync["x-goog-channel-expiration"], "%a, %d %b %Y %H:%M:%S GMT")
    in_answer = int(channel["expiration"]) // 1000
    assert round(expires.replace(tzinfo=UTC).timestamp()) == in_answer


def test_many_changes_at_once_are_few_notifications(
    local: LocalDrive, hook: Receiver, tmp_path: Path, front: Front
) -> None:
    local.drive.close()
    local.drive = open_drive(tmp_path, local.faults, front.url, coalesce_s=0.4)
    watch(local, hook)
    began_s = time.monotonic()

    for number in range(20):
        local.drive.add_file(local.inbox, f"{number}.mp4", b"x")

    took_s = time.monotonic() - began_s
    time.sleep(0.6)
    assert 1 <= hook.arrived.qsize() <= took_s / 0.4 + 2
    assert hook.arrived.qsize() < 20


def test_message_numbers_grow_with_gaps(local: LocalDrive, hook: Receiver) -> None:
    watch(local, hook)
    numbers = []

    for number in range(8):
        local.drive.add_file(local.inbox, f"{number}.mp4", b"x")
        numbers.append(int(hook.take()["x-goog-message-number"]))

    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 10


def test_a_file_put_into_the_folder_is_announced(local: LocalDrive, hook: Receiver) -> None:
    watch(local, hook)
    local.drive.start_watching(0.02)

    (local.root / "inbox" / "dropped.mp4").write_bytes(b"film")

    assert hook.take()["x-goog-resource-state"] == "change"


@pytest.mark.parametrize("status", [500, 504])
def test_server_errors_are_tried_again(local: LocalDrive, hook: Receiver, status: int) -> None:
    watch(local, hook)
    hook.statuses = [status, status]

    local.drive.add_file(local.inbox, "a.mp4", b"x")

    assert [hook.take()["x-goog-resource-state"] for _ in range(3)] == ["change"] * 3
    assert hook.is_quiet()


@pytest.mark.parametrize("status", [404, 429, 302])
def test_every_other_answer_loses_the_notification(
    local: LocalDrive, hook: Receiver, status: int
) -> None:
    watch(local, hook)
    hook.statuses = [status]

    local.drive.add_file(local.inbox, "a.mp4", b"x")

    hook.take()
    assert hook.is_quiet()


def test_notifications_can_be_dropped_and_doubled(local: LocalDrive, hook: Receiver) -> None:
    watch(local, hook)
    local.faults.add(Fault(service="drive", operation="notification", drop=True))
    local.drive.add_file(local.inbox, "a.mp4", b"x")
    assert hook.is_quiet()

    local.faults.add(Fault(service="drive", operation="notification", duplicate=True))
    local.drive.add_file(local.inbox, "b.mp4", b"x")
    assert [hook.take()["x-goog-resource-state"] for _ in range(2)] == ["change", "change"]
    assert hook.is_quiet()


def test_a_stopped_channel_is_silent(local: LocalDrive, hook: Receiver) -> None:
    channel = watch(local, hook)
    stop = local.google().channels().stop
    wrong = {"id": channel["id"], "resourceId": "other"}
    assert refusal(stop(body=wrong)) == (404, "notFound")

    stop(body={"id": channel["id"], "resourceId": channel["resourceId"]}).execute()

    local.drive.add_file(local.inbox, "a.mp4", b"x")
    assert hook.is_quiet()
    assert refusal(stop(body=channel)) == (404, "notFound")


def test_a_channel_ends_when_its_time_is_over(local: LocalDrive, hook: Receiver) -> None:
    watch(local, hook, expiration=in_ms(timedelta(seconds=0.9)))
    time.sleep(0.9)

    local.drive.add_file(local.inbox, "a.mp4", b"x")

    assert hook.is_quiet()


@pytest.mark.parametrize(
    ("wish", "life"),
    [
        (None, timedelta(hours=1)),
        (timedelta(days=2), timedelta(days=2)),
        (timedelta(days=30), timedelta(days=7)),
    ],
)
def test_the_shorter_life_wins(
    local: LocalDrive, hook: Receiver, wish: timedelta | None, life: timedelta
) -> None:
    more = {} if wish is None else {"expiration": in_ms(wish)}

    channel = watch(local, hook, **more)

    assert isinstance(channel["expiration"], str)
    left_ms = int(channel["expiration"]) - time.time() * 1000
    assert left_ms / 1000 == pytest.approx(life.total_seconds(), abs=5)
    assert "token" not in channel


def test_two_channels_may_overlap(local: LocalDrive, hook: Receiver) -> None:
    first, second = watch(local, hook), watch(local, hook)

    local.drive.add_file(local.inbox, "a.mp4", b"x")

    assert {hook.take()["x-goog-channel-id"] for _ in range(2)} == {first["id"], second["id"]}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"address": "http://example.com/hook"}, (400, "push.webhookUrlNotHttps")),
        ({"address": "ftp://127.0.0.1/hook"}, (400, "push.webhookUrlNotHttps")),
        ({"address": ""}, (400, "push.webhookUrlNotHttps")),
        ({"type": "mail"}, (400, "push.channelTypeNotSupported")),
        ({"id": ""}, (400, "required")),
        ({"id": "x" * 65}, (400, "invalid")),
        ({"token": "x" * 257}, (400, "invalid")),
        ({"expiration": "1"}, (400, "invalid")),
        ({"expiration": "soon"}, (400, "invalid")),
    ],
)
def test_wishes_drive_refuses(
    local: LocalDrive, hook: Receiver, body: dict[str, str], answer: tuple[int, str]
) -> None:
    wish = {"id": "c", "type": "web_hook", "address": hook.url} | body

    assert refusal(local.google().changes().watch(pageToken="600", body=wish)) == answer
    assert hook.is_quiet(0.05)


def test_a_channel_id_is_used_once(local: LocalDrive, hook: Receiver) -> None:
    watch(local, hook, id="once")
    wish = {"id": "once", "type": "web_hook", "address": hook.url}

    again = local.google().changes().watch(pageToken="600", body=wish)

    assert refusal(again) == (400, "channelIdNotUnique")


def test_channels_survive_a_restart(
    local: LocalDrive, hook: Receiver, tmp_path: Path, front: Front
) -> None:
    channel = watch(local, hook)
    local.drive.close()
    (local.root / "inbox" / "meanwhile.mp4").write_bytes(b"x")
    time.sleep(0.06)

    local.drive = open_drive(tmp_path, local.faults, front.url)

    assert hook.take()["x-goog-channel-id"] == channel["id"]


def test_a_watched_file_tells_what_happened_to_it(local: LocalDrive, hook: Receiver) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")
    files = local.google().files()
    wish = {"type": "web_hook", "address": hook.url}
    channel = files.watch(fileId=file_id, body=wish | {"id": "file"}).execute()
    files.watch(fileId=local.inbox, body=wish | {"id": "folder"}).execute()
    assert int(channel["expiration"]) <= int(in_ms(timedelta(hours=1)))
    assert {hook.take()["x-goog-channel-id"] for _ in range(2)} == {"file", "folder"}

    def told() -> tuple[str, str, str]:
        one = hook.take()
        state, changed = one["x-goog-resource-state"], one.get("x-goog-changed", "")
        return one["x-goog-channel-id"], state, changed

    local.drive.replace_content(file_id, b"y")
    assert told() == ("file", "update", "content")
    local.drive.rename(file_id, "b.mp4")
    assert told() == ("file", "update", "properties")
    local.drive.trash(file_id)
    assert told() == ("file", "trash", "")
    local.drive.untrash(file_id)
    assert told() == ("file", "untrash", "")
    local.drive.delete(file_id)
    both = {told(), told()}
    assert both == {("file", "remove", ""), ("folder", "update", "children")}
