"""Putting results into Drive over real HTTP: the adapter alone, and the step with it."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import traceback
import tracemalloc
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug import Request, Response

from chalicelib.adapters.drive_errors import (
    CallRefused,
    DriveUnavailable,
    FileExists,
    FileGone,
    RateLimited,
    UploadGone,
)
from chalicelib.adapters.drive_writer import DriveWriter
from chalicelib.config import settings
from chalicelib.domain.drive import DriveFile
from chalicelib.domain.errors import Temporary
from chalicelib.domain.job import Job, Status
from chalicelib.domain.write_back import WriteBack
from chalicelib.services import Services
from chalicelib.steps import write_back as step
from tests.contract.drive_server import Front, LocalDrive
from tests.examples import a_job, a_workflow
from tests.fakes import COMPRESSED, ENVIRONMENT, World

KIB = 1 << 10
UNIT = 256 * KIB
FILM = bytes(range(256)) * (3 * KIB) + b"the end"  # three units and a bit


@pytest.fixture
def writer(local: LocalDrive) -> DriveWriter:
    return local.writer()


def begun(writer: DriveWriter, folder: str | None, **more: Any) -> str:
    plain: dict[str, Any] = {
        "file_id": writer.new_file_id(),
        "folder_id": folder,
        "name": "Take 3.mp4",
        "mime_type": "video/mp4",
        "size_bytes": len(FILM),
        "properties": {"slimreel": "job-1"},
    }
    return writer.begin_upload(**plain | more)


def sent(writer: DriveWriter, url: str, start: int = 0, end: int = len(FILM)) -> DriveFile | int:
    return writer.send(url, start=start, body=FILM[start:end], size_bytes=len(FILM))


# The adapter


def test_a_film_arrives_in_pieces(local: LocalDrive, writer: DriveWriter, team: str) -> None:
    file_id = writer.new_file_id()
    url = begun(writer, team, file_id=file_id, name="Über\n'Szene' 4.mp4")
    assert writer.sent(url, len(FILM)) == 0
    assert sent(writer, url, 0, UNIT) == UNIT
    assert writer.sent(url, len(FILM)) == UNIT
    file = sent(writer, url, UNIT)
    assert isinstance(file, DriveFile)
    assert (file.file_id, file.md5) == (file_id, hashlib.md5(FILM).hexdigest())
    assert (file.parents, file.of_job) == ((team,), "job-1")
    assert writer.sent(url, len(FILM)) == file  # the answer once more, should it be lost
    assert writer.has_name(team, "Über\n'Szene' 4.mp4")
    assert not writer.has_name(team, "Szene")
    assert not writer.has_name("' or name = 'x", "' in parents or name = '")


def test_new_content_for_a_file_of_ours(local: LocalDrive, writer: DriveWriter, team: str) -> None:
    file_id = writer.new_file_id()
    sent(writer, begun(writer, team, file_id=file_id))
    again = begun(writer, None, file_id=file_id, size_bytes=4)
    file = writer.send(again, start=0, body=b"film", size_bytes=4)
    assert isinstance(file, DriveFile)
    assert (file.file_id, file.size_bytes, file.name) == (file_id, 4, "Take 3.mp4")


def test_an_id_is_used_once(writer: DriveWriter, team: str) -> None:
    file_id = writer.new_file_id()
    late = begun(writer, team, file_id=file_id)
    sent(writer, begun(writer, team, file_id=file_id))
    with pytest.raises(FileExists):
        begun(writer, team, file_id=file_id)
    with pytest.raises(FileExists):
        sent(writer, late)


def test_what_is_refused_at_once(local: LocalDrive, writer: DriveWriter, team: str) -> None:
    with pytest.raises(CallRefused, match="no storage of their own") as no_room:
        begun(writer, local.inbox)  # somebody's My Drive, and a service account
    assert no_room.value.code == "storageQuotaExceeded"
    local.drive.set_read_only(team)
    with pytest.raises(CallRefused) as no_right:
        begun(writer, team)
    assert no_right.value.code == "insufficientParentPermissions"
    with pytest.raises(FileGone):
        begun(writer, "1nothing")
    # A person has storage of their own, until it is full.
    person = local.writer(local.drive.user_credentials_json())
    assert isinstance(sent(person, begun(person, local.inbox)), DriveFile)
    url = begun(person, local.inbox)
    full = "The user's Drive storage quota has been exceeded."
    local.fail("upload.put", 403, "storageQuotaExceeded", message=full)
    with pytest.raises(CallRefused, match="storage quota has been exceeded"):
        sent(person, url)


def test_a_session_that_is_gone(local: LocalDrive, writer: DriveWriter, team: str) -> None:
    url = begun(writer, team)
    for status in (404, 410, 400):
        local.fail("upload.put", status, "notFound")
        with pytest.raises(UploadGone):
            sent(writer, url)
    local.drive.uploads.session_life_s = -1
    for ask in (lambda old: sent(writer, old), lambda old: writer.sent(old, len(FILM))):
        with pytest.raises(UploadGone):
            ask(begun(writer, team))
    assert local.pauses == []  # waiting does not bring it back


def test_passing_trouble(local: LocalDrive, writer: DriveWriter, team: str) -> None:
    local.fail("files.create", 503, "backendError", times=2)
    url = begun(writer, team)
    assert len(local.pauses) == 2
    for status, code in ((503, "backendError"), (403, "userRateLimitExceeded"), (429, "x")):
        local.fail("upload.put", status, code)
        with pytest.raises(DriveUnavailable) as trouble:
            sent(writer, url)  # how much arrived nobody knows: the caller asks
        assert isinstance(trouble.value, RateLimited) == (status != 503)
        assert not isinstance(trouble.value, UploadGone)
    local.fail("upload.put", 500, "internalError", times=2)
    assert writer.sent(url, len(FILM)) == 0


def test_the_address_of_an_upload_is_told_nobody(writer: DriveWriter) -> None:
    """Who has it may write into the upload, for a week."""
    key = str(uuid.uuid4())
    with pytest.raises(DriveUnavailable) as trouble:
        sent(writer, f"http://127.0.0.1:9/upload/drive/v3/files?upload_id={key}")
    shown = "".join(traceback.format_exception(trouble.value))
    assert "ConnectionError" in str(trouble.value) and key not in shown


def test_a_dead_token_is_replaced_in_the_middle(
    local: LocalDrive, writer: DriveWriter, team: str
) -> None:
    url = begun(writer, team)
    local.drive.oauth.forget_tokens()
    file = sent(writer, url)
    assert isinstance(file, DriveFile) and file.md5 == hashlib.md5(FILM).hexdigest()


@pytest.mark.parametrize(
    "answer",
    [
        Response(status=308, headers={"Range": "bytes=5-10"}),
        Response(status=308, headers={"Range": "nonsense"}),
        Response(status=200, response="{"),
        Response(status=200, response="[]"),
        Response(status=200, response="{}"),
        Response(status=302, headers={"Location": "http://127.0.0.1:9/"}),
    ],
)
def test_answers_that_make_no_sense_are_trouble(
    local: LocalDrive, front: Front, writer: DriveWriter, team: str, answer: Response
) -> None:
    url = begun(writer, team)
    front.answer = lambda request: answer
    with pytest.raises((DriveUnavailable, CallRefused)):
        sent(writer, url)


# The step


class Studio:
    """A published result, the real adapter, and the step with everything else in memory."""

    def __init__(self, local: LocalDrive, folder: str) -> None:
        self.local, self.world = local, World()
        self.folder = folder
        self.original = local.drive.add_file(folder, "Take 3.mov", b"original")
        self.world.storage.put(COMPRESSED, "result.mp4", FILM, content_type="video/mp4")
        self.job_id = self.world.with_job(
            a_job(
                file_id=self.original,
                file_name="Take 3.mov",
                status=Status.PROCESSING,
                run=1,
                published_key="result.mp4",
                published_run=1,
                write_back=WriteBack(run=1),
            )
        ).job_id
        self.services = Services(settings(ENVIRONMENT))
        for name in ("records", "storage", "queues"):
            setattr(self.services, name, getattr(self.world, name))
        self.services.drive, self.services.drive_writer = local.adapter(), local.writer()

    @property
    def job(self) -> Job:
        return self.world.job(self.job_id)

    def invoke(self, seconds_left: Callable[[], float] = lambda: 60.0) -> bool:
        call = SimpleNamespace(state={}, seconds_left=seconds_left)
        return bool(step.write_back(self.services, self.job, call)["done"])  # type: ignore[arg-type]

    def check(self) -> None:
        back = self.job.way_back
        assert back is not None and back.url is not None, back
        copies = [path for path in self.local.root.rglob("*.mp4") if path.is_file()]
        assert [copy.read_bytes() == FILM for copy in copies] == [True]
        assert self.services.drive.get(str(back.file_id)).of_job == self.job_id


@pytest.fixture
def studio(local: LocalDrive, team: str, monkeypatch: pytest.MonkeyPatch) -> Studio:
    flows = {"compress": a_workflow(write_back_to="beside")}
    monkeypatch.setattr(step, "all_workflows", lambda: flows)
    monkeypatch.setattr(step, "PIECE_BYTES", UNIT)
    return Studio(local, team)


def test_a_result_goes_beside_its_original(studio: Studio) -> None:
    assert studio.invoke()
    studio.check()
    assert studio.job.way_back is not None
    assert studio.job.way_back.name == "Take 3 (compressed).mp4"
    assert studio.invoke()  # once more changes nothing
    studio.check()


def test_a_connection_that_breaks_is_gone_on_with(
    studio: Studio, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a piece: Drive keeps whole units of it, and only the rest is sent."""
    monkeypatch.setattr(step, "PIECE_BYTES", 2 * UNIT)
    proxy = Cutting(front.url, after_bytes=UNIT + 90 * KIB)
    with proxy:
        handle = front.answer

        def through(request: Request) -> Response:
            answer = handle(request)
            if "Location" in answer.headers:
                answer.headers["Location"] = answer.headers["Location"].replace(
                    front.url, proxy.url
                )
            return answer

        front.answer = through
        assert studio.invoke()
        front.answer = handle
    studio.check()
    assert proxy.cuts == 1


def test_an_upload_that_was_stopped_goes_on_in_the_next_invocation(studio: Studio) -> None:
    enough = iter([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])  # to hash all of it and to send two pieces
    assert not studio.invoke(lambda: next(enough, 0.0))
    half = studio.job.way_back
    assert half is not None and half.session_url is not None and half.url is None
    before = studio.local.requests.count("PUT /upload/drive/v3/files")
    assert studio.invoke()
    studio.check()
    # One to ask how far it came, two for the other pieces.
    assert studio.local.requests.count("PUT /upload/drive/v3/files") - before == 3


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_that_drive_forgot_begins_anew(studio: Studio, status: int) -> None:
    studio.local.fail("upload.put", status, "notFound", nth=2)
    with pytest.raises(Temporary, match="begins anew"):
        studio.invoke()
    assert studio.job.way_back is not None and studio.job.way_back.session_url is None
    assert studio.invoke()
    studio.check()


def test_a_lost_last_answer_is_asked_for(studio: Studio) -> None:
    studio.local.fail("upload.put", 503, "backendError", nth=4, after_effect=True)
    assert studio.invoke()
    studio.check()


def test_the_quota_of_service_accounts_is_explained(
    studio: Studio, local: LocalDrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = {"compress": a_workflow(write_back_to=local.inbox)}
    monkeypatch.setattr(step, "all_workflows", lambda: flows)
    assert studio.invoke()
    back = studio.job.way_back
    assert back is not None and back.next_at is not None
    assert str(back.problem).startswith("Service accounts have no storage of their own")
    assert "shared drive" in str(back.problem)


def test_credentials_that_may_only_read_are_explained(studio: Studio) -> None:
    studio.local.drive.oauth.granted = frozenset(["https://www.googleapis.com/auth/drive.readonly"])
    user = studio.local.drive.user_credentials_json()
    studio.services.drive_writer = studio.local.writer(user)
    assert studio.invoke()
    assert studio.job.way_back is not None
    assert "https://www.googleapis.com/auth/drive:" in str(studio.job.way_back.problem)


def test_a_large_film_needs_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """One piece on its way, one being read, however large the film is."""
    monkeypatch.setattr(step, "PIECE_BYTES", UNIT)
    world, size = World(), 40 * UNIT
    world.storage.put(COMPRESSED, "film.mp4", bytes(size), content_type="video/mp4")
    there = world.storage.found(COMPRESSED, "film.mp4")
    assert there is not None
    tracemalloc.start()
    try:
        pieces = step._pieces(world.services, (COMPRESSED, "film.mp4"), there, 0)
        assert sum(map(len, pieces)) == size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * UNIT


class Cutting:
    """A TCP relay that breaks one connection after so many bytes of its request."""

    def __init__(self, url: str, *, after_bytes: int) -> None:
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._after = after_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Cutting:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._sockets):
            _hang_up(one)
        for thread in self._threads:
            thread.join(5)

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            onward = socket.create_connection(self._target)
            self._sockets += [caller, onward]
            self._spawn(self._relay, caller, onward, True)
            self._spawn(self._relay, onward, caller, False)

    def _relay(self, source: socket.socket, target: socket.socket, may_cut: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(64 * KIB):
                passed += len(data)
                if may_cut and not self.cuts and passed > self._after:
                    self.cuts += 1
                    break
                target.sendall(data)
        _hang_up(source)
        _hang_up(target)


def _hang_up(one: socket.socket) -> None:
    # Closing alone would not wake a thread that reads from it, nor tell the other end.
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
