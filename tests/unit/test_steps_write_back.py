"""Results are put into Google Drive once, at any moment, and never taken for somebody's video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import triggers
from chalicelib.adapters.drive_errors import CallRefused, DriveUnavailable, RateLimited
from chalicelib.domain.drive import DriveFile
from chalicelib.domain.job import Status
from chalicelib.domain.job_row import job_row
from chalicelib.domain.review import Choice, Wish
from chalicelib.steps import publish as publish_step
from chalicelib.steps import sync as sync_step
from chalicelib.steps import write_back as write_back_step
from chalicelib.steps.reconcile import reconcile
from chalicelib.steps.retry import retry
from chalicelib.steps.review import carry_out, take
from tests.examples import a_workflow
from tests.fakes import INBOX, Killed, Peril
from tests.unit.control_room import RESULT, ControlRoom, control_room
from tests.unit.test_steps_retry import LOW

__all__ = ["control_room"]
Rooms = Callable[[], ControlRoom]
RESULTS = "results-folder-id"
NO_ROOM = CallRefused("Service accounts have no storage of their own.", status=403,
                      code="storageQuotaExceeded")  # fmt: skip
NO_RIGHT = CallRefused("Refused.", status=403, code="insufficientParentPermissions")


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_back_step, "PIECE_BYTES", 5)


def wants(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    """The workflow's settings from now on."""
    flows = {"compress": a_workflow(drive_folder=INBOX, **settings)}
    for module in (publish_step, sync_step, write_back_step):
        monkeypatch.setattr(module, "all_workflows", lambda: flows)


@pytest.fixture(params=["beside", RESULTS])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    wants(monkeypatch, write_back_to=request.param)
    return INBOX if request.param == "beside" else str(request.param)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    wants(monkeypatch, write_back_to="beside")


def dropped(room: ControlRoom, name: str = "Take 3.mov") -> ControlRoom:
    room.world.drive.add_folder(RESULTS)
    room.drop(name)
    return room


def played(room: ControlRoom) -> ControlRoom:
    dropped(room).play()
    return room


def in_drive(room: ControlRoom) -> list[DriveFile]:
    """What Slimreel has put there."""
    return [file for file in room.world.drive.files.values() if file.of_job is not None]


def check_written(room: ControlRoom, folder: str, when: str = "") -> None:
    """One whole file, known everywhere, and no job that was made of it."""
    triggers.sweep_drive()
    room.play()
    [file] = in_drive(room)
    assert room.world.drive.contents[file.file_id] == RESULT, when
    assert file.parents == (folder,), when
    job = room.job
    assert (job.status, job.reason is not None) == (Status.COMPLETED, True), when
    back = job.way_back
    assert back is not None and back.url == file.web_view_url, when
    assert (back.problem, back.session_url) == (None, None), when
    assert len(room.flows.executions) == 1, when
    assert job_row(job, link=None)["Drive Copy URL"] == file.web_view_url, when


def test_a_result_is_put_where_the_workflow_wants_it(control_room: Rooms, where: str) -> None:
    room = played(control_room())
    check_written(room, where)
    [file] = in_drive(room)
    name = "Take 3 (compressed).mp4" if where == INBOX else "Take 3.mp4"
    assert (file.name, file.of_job) == (name, room.job_id)
    assert f"In Google Drive: {name} {file.web_view_url}" in room.world.topic.sent[-1].body
    room.hours_later()
    assert list(room.world.records.open_jobs()) == []


def test_without_the_setting_nothing_is_written(control_room: Rooms) -> None:
    room = played(control_room())
    assert in_drive(room) == [] and room.job.write_back is None
    [execution] = room.flows.executions.values()
    assert "Write back" not in execution.history
    assert "Drive Copy URL" not in job_row(room.job, link=None)


def test_a_kept_original_is_in_drive_already(control_room: Rooms, where: str) -> None:
    room = control_room()
    room.measured = [LOW] * 3
    played(room)
    assert room.job.status is Status.KEPT_ORIGINAL
    assert in_drive(room) == []


def test_a_result_is_never_taken_even_where_its_mark_is_lost(
    control_room: Rooms, beside: None
) -> None:
    room = played(control_room())
    [file] = in_drive(room)
    room.world.drive.change(file.file_id, of_job=None, name="a new name.mp4")
    triggers.sweep_drive()
    assert len(room.flows.executions) == 1


def test_a_result_is_known_before_it_is_there(control_room: Rooms, beside: None) -> None:
    """Drive rings while the upload's last answer is still on its way."""
    room = control_room()
    send = room.world.drive_writer.send

    def ring(*args: Any, **options: Any) -> Any:
        answer = send(*args, **options)
        for file in in_drive(room):  # as other credentials see it
            room.world.drive.change(file.file_id, of_job=None)
        triggers.sweep_drive()
        return answer

    room.world.drive_writer.send = ring  # type: ignore[method-assign]
    played(room)
    assert len(room.flows.executions) == 1
    assert room.job.way_back is not None and room.job.way_back.url is not None


def test_another_file_of_that_name_stays(control_room: Rooms, beside: None) -> None:
    room = dropped(control_room())
    theirs = room.world.drive.add("Take 3 (compressed).mp4", b"theirs", mime_type="text/plain")
    room.play()
    [file] = in_drive(room)
    assert (file.name, room.world.drive.contents[theirs]) == (
        "Take 3 (compressed) 2.mp4",
        b"theirs",
    )


# What goes wrong


class DiesOnce(Peril):
    """The next invocation is another process."""

    def call(self, name: str, work: Any) -> Any:
        self.calls.append(name)
        if len(self.calls) == self.at:
            raise Killed
        return work()


def test_a_process_may_die_at_any_call(control_room: Rooms, beside: None) -> None:
    room = dropped(control_room())
    peril = Peril()
    room.watched_by(peril)
    room.play()
    names = peril.calls
    first = names.index("drive_writer.has_name")
    for at in range(first - 8, len(names) + 1):
        room = dropped(control_room())
        room.dying = True
        room.watched_by(DiesOnce(at=at))
        room.play()
        room.hours_later()
        check_written(room, INBOX, f"killed at call {at}, {names[at - 1]}")


def test_an_answer_that_was_lost_makes_no_second_file(control_room: Rooms, beside: None) -> None:
    """The upload's end was not seen, and its session is forgotten by then."""
    room = dropped(control_room())
    writer = room.world.drive_writer
    send = writer.send

    def lost(*args: Any, **options: Any) -> Any:
        answer = send(*args, **options)
        if isinstance(answer, DriveFile):
            writer.uploads.clear()
            raise DriveUnavailable("The connection broke.")
        return answer

    writer.send = lost  # type: ignore[method-assign]
    room.play()
    check_written(room, INBOX)


@pytest.mark.parametrize("cuts", [[0], [3], [3, 0, 2], [5, 5]])
def test_a_broken_connection_goes_on_where_it_broke(
    control_room: Rooms, beside: None, cuts: list[int]
) -> None:
    room = dropped(control_room())
    room.world.drive_writer.cuts = cuts
    room.play()
    assert len(room.world.drive_writer.uploads) == 1
    check_written(room, INBOX)


def test_a_forgotten_session_begins_anew(control_room: Rooms, beside: None) -> None:
    room = dropped(control_room())
    writer = room.world.drive_writer
    writer.fail_next("send", RateLimited("Slow."))
    sent = writer.sent

    def forgotten(url: str, size: int) -> Any:
        writer.uploads.clear()
        writer.sent = sent  # type: ignore[method-assign]
        return sent(url, size)

    writer.sent = forgotten  # type: ignore[method-assign]
    room.play()
    check_written(room, INBOX)


def test_a_long_upload_takes_several_invocations(
    control_room: Rooms, beside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has time for one piece: to hash it, or to send it."""
    room = dropped(control_room())
    send, pieces = room.world.drive_writer.send, []
    invocations: list[Any] = []
    real = write_back_step.write_back

    def short(services: Any, job: Any, call: Any) -> Any:
        left = iter([1.0])
        invocations.append(call)
        call = replace(call)
        monkeypatch.setattr(type(call), "seconds_left", lambda _: next(left, 0.0))
        return real(services, job, call)

    def counted(*args: Any, **options: Any) -> Any:
        pieces.append(options["start"])
        return send(*args, **options)

    monkeypatch.setattr(write_back_step, "write_back", short)
    room.world.drive_writer.send = counted  # type: ignore[method-assign]
    room.play()
    assert pieces == [0, 5, 10]
    assert len(invocations) > 3
    check_written(room, INBOX)


def test_what_arrives_wrong_is_sent_again_into_the_same_file(
    control_room: Rooms, beside: None
) -> None:
    room = dropped(control_room())
    room.world.drive_writer.rubbish = 1
    room.play()
    check_written(room, INBOX)


@pytest.mark.parametrize(
    ("refused", "said"),
    [(NO_ROOM, "Service accounts have no storage of their own"), (NO_RIGHT, "Share it with")],
)
def test_a_refusal_is_said_with_the_next_step_and_healed_later(
    control_room: Rooms, where: str, refused: CallRefused, said: str
) -> None:
    room = dropped(control_room())
    room.world.drive_writer.fail_next("begin_upload", *[refused] * 2)
    room.play()
    # The film is published and announced all the same
    assert room.job.status is Status.COMPLETED
    [mail] = room.world.topic.sent
    assert "Not put into Google Drive" in mail.body and said in mail.body
    assert said in str(job_row(room.job, link=None)["Reason"])
    # and tried again by and by
    room.clock += timedelta(minutes=20)
    reconcile(room.person())
    assert room.job.way_back is not None and room.job.way_back.tries == 1 + 1
    assert in_drive(room) == []
    room.hours_later()
    check_written(room, where)
    assert "Not put" not in str(job_row(room.job, link=None)["Reason"])
    assert list(room.world.records.open_jobs()) == []
    assert len(room.world.topic.sent) == 1


def test_after_a_week_it_is_given_up(control_room: Rooms, beside: None) -> None:
    room = dropped(control_room())
    room.world.drive_writer.fail_next("begin_upload", *[NO_RIGHT] * 1000)
    room.play()
    for _ in range(60):
        room.clock += timedelta(hours=3)
        reconcile(room.person())
    back = room.job.way_back
    assert back is not None and back.given_up and back.tries < 40
    assert "not tried again" in str(job_row(room.job, link=None)["Reason"])
    assert list(room.world.records.open_jobs()) == []


def test_a_drive_that_is_away_holds_up_no_video_for_long(control_room: Rooms, beside: None) -> None:
    room = dropped(control_room())
    room.world.drive_writer.fail_next("begin_upload", *[DriveUnavailable("Away.")] * 9)
    began = room.clock
    room.play()
    assert room.job.status is Status.COMPLETED
    assert room.clock - began < timedelta(minutes=15)
    assert "Away." in room.world.topic.sent[-1].body
    room.hours_later()
    check_written(room, INBOX)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (None, "is gone, or is not shared"),
        ({"trashed": True}, "is in Drive's bin"),
        ({"mime_type": "video/mp4"}, "is a file"),
        ({"can_add": False}, "as Editor"),
    ],
)
def test_a_folder_that_takes_nothing(
    control_room: Rooms,
    monkeypatch: pytest.MonkeyPatch,
    facts: dict[str, Any] | None,
    said: str,
) -> None:
    wants(monkeypatch, write_back_to=RESULTS)
    room = control_room()
    dropped(room)
    if facts is None:
        del room.world.drive.folders[RESULTS]
    else:
        room.world.drive.add_folder(RESULTS, **facts)
    room.play()
    assert room.job.status is Status.COMPLETED
    assert room.job.way_back is not None and said in str(room.job.way_back.problem)
    room.world.drive.add_folder(RESULTS)
    room.hours_later()
    check_written(room, RESULTS)


def test_an_original_that_is_gone_has_no_place_beside_it(control_room: Rooms, beside: None) -> None:
    room = dropped(control_room())
    room.play(until=lambda: room.job.step == "publish")
    room.world.drive.change(room.job.file_id, trashed=True)
    room.play()
    assert room.job.way_back is not None
    assert "no place beside it" in str(room.job.way_back.problem)


# The next run


def test_a_second_run_replaces_what_the_first_has_put_there(
    control_room: Rooms, beside: None
) -> None:
    room = played(control_room())
    [first] = in_drive(room)
    room.world.drive.change(first.file_id, parents=("moved-by-people",))
    retry(room.person(), room.job_id, by="ben", force=True)
    room.play()
    [file] = in_drive(room)
    assert (file.file_id, file.parents) == (first.file_id, ("moved-by-people",))
    assert room.job.way_back is not None and room.job.way_back.run == 2


@pytest.mark.parametrize("act", ["changed", "binned"])
def test_what_people_changed_or_binned_is_theirs(
    control_room: Rooms, beside: None, act: str
) -> None:
    room = played(control_room())
    [first] = in_drive(room)
    if act == "changed":
        room.world.drive.replace(first.file_id, b"their cut")
    else:
        room.world.drive.change(first.file_id, trashed=True)
    before = room.world.drive.contents[first.file_id]
    retry(room.person(), room.job_id, by="ben", force=True)
    room.play()
    _, second = in_drive(room)
    assert room.world.drive.contents[first.file_id] == before
    assert room.world.drive.contents[second.file_id] == RESULT
    name = "Take 3 (compressed) 2.mp4" if act == "changed" else "Take 3 (compressed).mp4"
    assert second.name == name
    triggers.sweep_drive()
    assert len(room.flows.executions) == 2


def test_a_deleted_result_is_not_written_any_more(control_room: Rooms, beside: None) -> None:
    room = dropped(control_room())
    room.world.drive_writer.fail_next("begin_upload", *[NO_RIGHT])
    room.play()
    choice = Choice.DELETE_RESULT.value
    wish = Wish(row_id="rec1", job_id=room.job_id, choice=choice, answer="", by="Mia")
    carry_out(room.person(), take(room.person(), wish) or room.job)
    for _ in range(3):
        room.hours_later()
    assert in_drive(room) == [] and room.job.way_back is None
    assert list(room.world.records.open_jobs()) == []
