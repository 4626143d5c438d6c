"""The very content that failed is dropped again: people are told, and nothing starts by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib import triggers
from chalicelib.domain.job import Status
from chalicelib.domain.job_row import job_row
from chalicelib.steps.retry import retry
from tests.fakes import INBOX, aws_error
from tests.unit.control_room import SOURCE, ControlRoom, control_room

__all__ = ["control_room"]
Rooms = Callable[[], ControlRoom]


def ended(room: ControlRoom, status: Status = Status.FAILED) -> str:
    """Dropped and ended; returns its Drive id."""
    room.drop()
    room.world.records.update(room.job_id, {"status": status, "reason": "It is damaged."})
    [file_id] = room.world.drive.files
    return file_id


def move_out_and_in(room: ControlRoom, file_id: str) -> None:
    for parents in (("elsewhere",), (INBOX,)):
        room.world.drive.change(file_id, parents=parents)
        triggers.sweep_drive()


def to_the_bin_and_back(room: ControlRoom, file_id: str) -> None:
    for trashed in (True, False):
        room.world.drive.change(file_id, trashed=trashed)
        triggers.sweep_drive()


def upload_anew(room: ControlRoom, file_id: str) -> None:
    room.world.drive.change(file_id, head_revision_id="another")
    triggers.sweep_drive()


@pytest.mark.parametrize("drop", [move_out_and_in, to_the_bin_and_back, upload_anew])
@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_who_drops_it_again_is_told_once_each_time(
    control_room: Rooms, drop: Callable[[ControlRoom, str], None], status: Status
) -> None:
    room = control_room()
    file_id = ended(room, status)
    room.world.records.update(room.job_id, {"revision_id": "first"})
    drop(room, file_id)
    triggers.sweep_drive()
    [email] = room.world.topic.sent
    assert email.kind == ("failed" if status is Status.FAILED else "cancelled")
    assert email.subject == "Dropped again: Take 3.mov"
    assert "Why: It is damaged." in email.body and f"slimreel retry {room.job_id}" in email.body
    row = job_row(room.job, link=None)
    assert row["Status"] == status.value
    assert row["Reason"].startswith("Dropped again on 4 May 2026, 09:30 UTC with the very same")
    assert "It is damaged." in row["Reason"]
    assert (room.job_id, room.job.row_version) in room.world.queues.dirty
    assert (room.job.run, len(room.flows.executions)) == (1, 1)
    if drop is not upload_anew:
        drop(room, file_id)
        assert len(room.world.topic.sent) == 2


def test_other_changes_of_the_file_say_nothing(control_room: Rooms) -> None:
    room = control_room()
    file_id = ended(room)
    for facts in ({"name": "Take 4.mov"}, {"video_duration_s": 3.0}, {"can_download": False}):
        room.world.drive.change(file_id, **facts)
        triggers.sweep_drive()
    assert room.world.topic.sent == []
    assert room.job.dropped_again_at is None


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.KEPT_ORIGINAL, Status.PROCESSING])
def test_what_did_not_fail_needs_no_word(control_room: Rooms, status: Status) -> None:
    room = control_room()
    file_id = ended(room, status)
    move_out_and_in(room, file_id)
    assert room.world.topic.sent == []


def test_new_content_is_a_video_of_its_own(control_room: Rooms) -> None:
    room = control_room()
    file_id = ended(room)
    room.world.drive.replace(file_id, SOURCE + b"more")
    triggers.sweep_drive()
    assert len(room.flows.executions) == 2
    assert room.world.topic.sent == []


def test_a_refused_email_is_sent_with_the_next_reading_of_the_log(control_room: Rooms) -> None:
    room = control_room()
    file_id = ended(room)
    room.world.drive.change(file_id, parents=("elsewhere",))
    triggers.sweep_drive()
    room.world.topic.fail_next("publish", aws_error("InternalFailure", status=500))
    room.world.drive.change(file_id, parents=(INBOX,))
    with pytest.raises(Exception, match="InternalFailure"):
        triggers.sweep_drive()
    triggers.sweep_drive()
    assert [email.subject for email in room.world.topic.sent] == ["Dropped again: Take 3.mov"]


def test_a_retry_forgets_it(control_room: Rooms) -> None:
    room = control_room()
    move_out_and_in(room, ended(room))
    retry(room.person(), room.job_id, by="ben")
    assert room.job.dropped_again_at is None
