"""The Drive adapter over real HTTP, against the stand-in and against servers that misbehave."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from chalicelib.adapters import drive as drive_module
from chalicelib.adapters.drive import Drive, quoted
from chalicelib.adapters.drive_errors import (
    CallRefused,
    ChannelIdTaken,
    DownloadCut,
    DownloadForbidden,
    DriveError,
    DriveUnavailable,
    FileChanged,
    FileGone,
    PageTokenInvalid,
    QuotaExceeded,
    RateLimited,
)
from chalicelib.adapters.drive_retry import Retry
from chalicelib.fetching.download import fill
from slimreel.local.faults import Fault
from tests.contract.drive_server import Front, LocalDrive, Receiver, serving

MIB = 1 << 20


@pytest.fixture
def drive(local: LocalDrive) -> Drive:
    return local.adapter()


def read(drive: Drive, file_id: str, start: int, end: int) -> bytes:
    with drive.open_range(file_id, start, end) as chunks:
        return b"".join(chunks)


# Files


def test_a_file_is_read_with_all_we_need(local: LocalDrive, drive: Drive) -> None:
    future = datetime(2041, 1, 2, 3, 4, 5, tzinfo=UTC)
    file_id = local.drive.add_file(local.inbox, "film.mov", b"film", modified_time=future)
    local.drive.set_video_metadata(file_id, width=1920, height=1080, duration_ms=2040)

    file = drive.get(file_id)

    assert (file.name, file.mime_type, file.size_bytes) == ("film.mov", "video/quicktime", 4)
    assert file.parents == (local.inbox,)
    assert (file.owner_email, file.uploader) == ("dana@studio.example", "Dana Studio")
    assert file.created_at == file.modified_at == future
    assert file.video_duration_s == 2.04
    assert (file.trashed, file.can_download) == (False, True)
    assert file.web_view_url is not None
    assert file.shortcut_target_id is None


def test_folders_documents_and_shortcuts_have_no_content(local: LocalDrive, drive: Drive) -> None:
    doc = local.drive.add_google_doc(local.inbox, "Notes")
    shortcut = local.drive.add_shortcut(local.inbox, "To notes", doc)

    for file_id in (local.inbox, doc, shortcut):
        file = drive.get(file_id)
        assert (file.size_bytes, file.md5, file.head_revision_id) == (None, None, None)
    assert drive.get(shortcut).shortcut_target_id == doc


def test_a_folder_is_listed_over_all_pages_without_the_bin(
    local: LocalDrive, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drive_module, "_PAGE_SIZE", 2)
    ids = [local.drive.add_file(local.inbox, f"{n}.mp4", b"x") for n in range(5)]
    local.drive.trash(ids.pop())

    assert {file.file_id for file in drive.list_folder(local.inbox)} == set(ids)
    assert local.requests.count("GET /drive/v3/files") == 2


def test_a_missing_file_is_gone(drive: Drive) -> None:
    with pytest.raises(FileGone, match="no longer shared"):
        drive.get("1nothing")


def test_ids_cannot_break_out_of_a_search(drive: Drive) -> None:
    assert quoted("it's \\ me") == "'it\\'s \\\\ me'"
    assert list(drive.list_folder("' in parents or '' in parents")) == []


# The change log


def test_changes_are_read_page_by_page(
    local: LocalDrive, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drive_module, "_CHANGES_AT_A_TIME", 2)
    token = drive.start_page_token()
    ids = [local.drive.add_file(local.inbox, f"{n}.mp4", b"x") for n in range(3)]
    local.drive.delete(ids[0])

    first = drive.changes(token)
    assert first.new_start_page_token is None
    assert first.next_page_token is not None
    second = drive.changes(first.next_page_token)

    seen = first.changes + second.changes
    assert [change.file_id for change in seen] == [ids[1], ids[2], ids[0]]
    assert [change.removed for change in seen] == [False, False, True]
    assert second.next_page_token is None
    assert second.new_start_page_token is not None
    assert drive.changes(second.new_start_page_token).changes == ()


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_place_drive_does_not_know(local: LocalDrive, drive: Drive, status: int) -> None:
    local.fail("changes.list", status, "invalid")

    with pytest.raises(PageTokenInvalid):
        drive.changes("600")


def test_a_refused_log_is_not_taken_for_a_bad_place(local: LocalDrive, drive: Drive) -> None:
    local.fail("changes.list", 403, "insufficientPermissions")

    with pytest.raises(CallRefused):
        drive.changes("600")


def test_the_log_of_a_shared_drive(local: LocalDrive, drive: Drive) -> None:
    team = local.drive.add_folder("Team", local.drive.add_folder("Shared drives"))
    token = drive.start_page_token(team)
    file_id = local.drive.add_file(team, "a.mp4", b"x")

    page = drive.changes(token, team)

    [change] = page.changes
    assert change.file is not None
    assert (change.file_id, change.file.shared_drive_id) == (file_id, team)
    assert page.new_start_page_token is not None
    assert drive.changes(page.new_start_page_token, team).changes == ()
    with pytest.raises(PageTokenInvalid):
        drive.changes(drive.start_page_token(), team)
    local.drive.set_member(False)
    with pytest.raises(FileGone):
        drive.start_page_token(team)


# Channels


@pytest.fixture(scope="module")
def hook_front() -> Iterator[Front]:
    with serving() as found:
        yield found


@pytest.fixture
def hook(hook_front: Front) -> Receiver:
    found = Receiver(f"{hook_front.url}/hook")
    hook_front.answer = found.answer
    return found


def watch(drive: Drive, hook: Receiver, days: int = 1) -> Any:
    return drive.watch_changes(
        channel_id="c-1",
        token="secret",
        address=hook.url,
        expires_at=datetime.now(UTC) + timedelta(days=days),
        page_token=drive.start_page_token(),
    )


def test_a_channel_opens_notifies_and_stops(
    local: LocalDrive, drive: Drive, hook: Receiver
) -> None:
    channel = watch(drive, hook, days=30)

    assert hook.take()["x-goog-channel-token"] == "secret"
    week = datetime.now(UTC) + timedelta(days=7)
    assert abs(channel.expires_at - week) < timedelta(seconds=10)  # Drive's limit, not our wish
    local.drive.add_file(local.inbox, "a.mp4", b"x")
    assert hook.take()["x-goog-resource-id"] == channel.resource_id
    drive.stop_channel(channel_id=channel.id, resource_id=channel.resource_id)
    drive.stop_channel(channel_id=channel.id, resource_id=channel.resource_id)  # gone is fine
    local.drive.add_file(local.inbox, "b.mp4", b"x")
    assert hook.is_quiet()


def test_a_channel_whose_answer_was_lost_needs_a_new_id(
    local: LocalDrive, drive: Drive, hook: Receiver
) -> None:
    local.fail("changes.watch", 503, "backendError", after_effect=True)

    with pytest.raises(ChannelIdTaken):
        watch(drive, hook)


def test_an_address_drive_does_not_like(drive: Drive) -> None:
    with pytest.raises(CallRefused, match="must be HTTPS"):
        watch(drive, Receiver("http://example.com/hook"))


# Trying again


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "internalError"),
        (503, "backendError"),
        (429, "rateLimitExceeded"),
        (403, "userRateLimitExceeded"),
    ],
)
def test_passing_trouble_is_waited_out(
    local: LocalDrive, drive: Drive, status: int, code: str
) -> None:
    local.fail("changes.getStartPageToken", status, code, times=2)

    assert drive.start_page_token()

    assert len(local.pauses) == 2
    assert local.pauses[0] <= 0.5
    assert local.pauses[1] <= 1.0


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "downloadQuotaExceeded", QuotaExceeded),
        (403, "dailyLimitExceeded", QuotaExceeded),
        (403, "insufficientFilePermissions", CallRefused),
        (400, "badRequest", CallRefused),
        (404, "notFound", FileGone),
    ],
)
def test_lasting_trouble_is_told_at_once(
    local: LocalDrive, drive: Drive, status: int, code: str, expected: type[DriveError]
) -> None:
    local.fail("files.get", status, code)

    with pytest.raises(expected) as caught:
        drive.get("1x")

    assert (caught.value.status, caught.value.code) == (status, code)
    assert local.pauses == []


def test_the_last_error_is_told_when_patience_ends(local: LocalDrive, drive: Drive) -> None:
    local.fail("files.get", 403, "rateLimitExceeded", times=9)

    with pytest.raises(RateLimited):
        drive.get("1x")

    assert local.requests.count("GET /drive/v3/files/1x") == 3


def test_a_dead_token_is_replaced(local: LocalDrive, drive: Drive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")
    drive.get(file_id)
    local.drive.oauth.forget_tokens()
    assert drive.get(file_id).name == "a.mp4"
    local.drive.oauth.forget_tokens()
    assert read(drive, file_id, 0, 0) == b"x"
    assert local.pauses == []


def test_a_cut_answer_is_asked_for_again(local: LocalDrive, drive: Drive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")
    local.faults.add(Fault(service="drive", operation="files.get", cut_body_at_byte=20))

    assert drive.get(file_id).name == "a.mp4"
    assert len(local.pauses) == 1


def test_nobody_listening_is_unavailable(local: LocalDrive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    drive = Drive(
        credentials_json=json.dumps(local.drive.credentials_json()),
        api_url=f"http://127.0.0.1:{port}",
        retry=Retry(attempts=2, sleep=local.pauses.append),
    )

    with pytest.raises(DriveUnavailable):
        drive.get("1x")
    with pytest.raises(DriveUnavailable):
        read(drive, "1x", 0, 1)
    drive.close()
    assert len(local.pauses) == 2


def test_a_silent_drive_is_given_up_on(local: LocalDrive, front: Front) -> None:
    released = threading.Event()

    def answer(request: Request) -> Response:
        if "/files/" in request.path:
            released.wait(5)
            return Response(status=503)
        return local.drive.handle(request)

    front.answer = answer
    drive = Drive(
        credentials_json=json.dumps(local.drive.credentials_json()),
        api_url=front.url,
        timeout_s=0.3,
        retry=Retry(attempts=1),
    )

    for work in (lambda: drive.get("1x"), lambda: read(drive, "1x", 0, 1)):
        with pytest.raises(DriveUnavailable, match="timed out"):
            work()
    released.set()
    drive.close()


# Bytes


def test_a_range_comes_in_small_chunks(local: LocalDrive, drive: Drive) -> None:
    content = bytes(range(256)) * 4096 * 3 + b"tail"
    file_id = local.drive.add_file(local.inbox, "a.mp4", content)

    with drive.open_range(file_id, 3, len(content) - 1) as chunks:
        parts = list(chunks)

    assert b"".join(parts) == content[3:]
    assert max(map(len, parts)) <= MIB


def test_a_whole_film_needs_little_memory(local: LocalDrive, drive: Drive, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(48 * MIB)
    file_id = local.drive.add_file(local.inbox, "big.mp4", tmp_path / "big")

    tracemalloc.start()
    with drive.open_range(file_id, 0, 48 * MIB - 1) as chunks:
        received = sum(map(len, chunks))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert received == 48 * MIB
    assert peak_bytes < 12 * MIB  # the stand-in's side included


def test_a_broken_download_tells_how_far_it_came(local: LocalDrive, drive: Drive) -> None:
    content = bytes(range(256)) * 8192
    file_id = local.drive.add_file(local.inbox, "a.mp4", content)
    local.faults.add(
        Fault(service="drive", operation="files.get_media", cut_body_at_byte=MIB + 1000)
    )
    got = bytearray()

    with (
        pytest.raises(DownloadCut) as caught,
        drive.open_range(file_id, 0, len(content) - 1) as chunks,
    ):
        for chunk in chunks:
            got += chunk

    assert caught.value.received_bytes == len(got) > 0
    got += read(drive, file_id, len(got), len(content) - 1)
    assert bytes(got) == content


def test_opening_is_tried_again(local: LocalDrive, drive: Drive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"film")
    local.fail("files.get_media", 403, "rateLimitExceeded", times=2)

    assert read(drive, file_id, 0, 3) == b"film"
    assert len(local.pauses) == 2


def test_bytes_drive_will_not_hand_out(local: LocalDrive, drive: Drive) -> None:
    barred = local.drive.add_file(local.inbox, "barred.mp4", b"x")
    virus = local.drive.add_file(local.inbox, "virus.mp4", b"x")
    gone = local.drive.add_file(local.inbox, "gone.mp4", b"x")
    doc = local.drive.add_google_doc(local.inbox, "Notes")
    local.drive.set_download_forbidden(barred)
    local.drive.set_abusive(virus)
    local.drive.delete(gone)

    assert not drive.get(barred).can_download
    with pytest.raises(DownloadForbidden, match="does not allow"):
        read(drive, barred, 0, 0)
    with pytest.raises(DownloadForbidden, match="malware"):
        read(drive, virus, 0, 0)
    with pytest.raises(DownloadForbidden, match="Google document"):
        read(drive, doc, 0, 0)
    with pytest.raises(FileGone):
        read(drive, gone, 0, 0)
    local.fail("files.get_media", 403, "downloadQuotaExceeded")
    with pytest.raises(QuotaExceeded, match="tomorrow"):
        read(drive, barred, 0, 0)
    assert local.pauses == []


def test_a_file_that_became_shorter_has_changed(local: LocalDrive, drive: Drive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"0123456789")
    local.drive.replace_content(file_id, b"01234")

    with pytest.raises(FileChanged):
        read(drive, file_id, 0, 9)
    with pytest.raises(FileChanged):
        read(drive, file_id, 6, 9)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 2)])
def test_ranges_that_are_none(drive: Drive, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="byte range"):
        read(drive, "1x", start, end)


@pytest.mark.parametrize(
    "response",
    [
        lambda: Response(b"0123456789", 200),
        lambda: Response(b"4567", 206, {"Content-Range": "bytes 4-7/10"}),
        lambda: Response(b"2345", 206),
        lambda: Response(b"<html>busy</html>", 503, content_type="text/html"),
    ],
)
def test_wrong_bytes_are_never_handed_on(
    local: LocalDrive, drive: Drive, front: Front, response: Callable[[], Response]
) -> None:
    def answer(request: Request) -> Response:
        return response() if "/files/" in request.path else local.drive.handle(request)

    front.answer = answer

    with pytest.raises(DriveUnavailable):
        read(drive, "1x", 2, 5)


def test_a_body_longer_or_shorter_than_its_range_is_cut(
    local: LocalDrive, drive: Drive, front: Front
) -> None:
    body = [b"23456"]

    def answer(request: Request) -> Response:
        if "/files/" not in request.path:
            return local.drive.handle(request)
        return Response(body[0], 206, {"Content-Range": "bytes 2-5/10"})

    front.answer = answer
    with pytest.raises(DownloadCut):
        read(drive, "1x", 2, 5)
    body[0] = b"23"
    with pytest.raises(DownloadCut):
        read(drive, "1x", 2, 5)
    body[0] = b"2345"
    assert read(drive, "1x", 2, 5) == b"2345"


def test_many_threads_read_at_once(local: LocalDrive, drive: Drive) -> None:
    content = bytes(range(256)) * 4096
    file_id = local.drive.add_file(local.inbox, "a.mp4", content)
    size = len(content) // 16
    gate = threading.Barrier(8)

    def part(number: int) -> bytes:
        if number < 8:
            gate.wait(5)
        assert drive.get(file_id).size_bytes == len(content)
        return read(drive, file_id, number * size, (number + 1) * size - 1)

    with ThreadPoolExecutor(8) as pool:
        assert b"".join(pool.map(part, range(16))) == content


def test_new_threads_use_the_connections_of_old_ones(
    local: LocalDrive, drive: Drive, front: Front
) -> None:
    """A warm Lambda function starts new threads for every copy."""
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"0123456789")
    callers: set[str] = set()

    def answer(request: Request) -> Response:
        callers.add(request.environ["REMOTE_PORT"])
        return local.drive.handle(request)

    front.answer = answer
    for _ in range(6):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: read(drive, file_id, n, n), range(4)))
            pool.submit(drive.get, file_id).result()
    assert len(callers) <= 5  # two for bytes, two for calls, one for the token


def test_a_download_that_stalls_is_gone_on_with(local: LocalDrive, front: Front) -> None:
    content = bytes(range(256)) * 4096 * 3
    released, ranges = threading.Event(), []

    def stalling() -> Iterator[bytes]:
        yield content[: 2 * MIB]
        released.wait(5)

    def answer(request: Request) -> Response:
        if "/files/" not in request.path:
            return local.drive.handle(request)
        start = int(request.headers["Range"].removeprefix("bytes=").partition("-")[0])
        ranges.append(start)
        headers = {
            "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}",
            "Content-Length": str(len(content) - start),
        }
        return Response(content[start:] if start else stalling(), 206, headers)

    front.answer = answer
    credentials = json.dumps(local.drive.credentials_json())
    drive = Drive(credentials_json=credentials, api_url=front.url, stall_s=0.3)
    buffer = bytearray(len(content))
    assert fill(drive, "1x", 0, buffer, is_over=lambda: False)
    released.set()
    drive.close()
    assert buffer == content
    assert ranges[0] == 0 and ranges[1] >= MIB


# Credentials


def test_a_stored_user_works_too(local: LocalDrive) -> None:
    drive = local.adapter(local.drive.user_credentials_json())
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")

    assert drive.get(file_id).name == "a.mp4"
    assert read(drive, file_id, 0, 0) == b"x"


def test_credentials_that_do_not_work_are_told_at_once(local: LocalDrive) -> None:
    revoked = local.drive.user_credentials_json() | {"refresh_token": "1//revoked"}
    for credentials in (revoked, {"type": "external_account"}):
        with pytest.raises(CallRefused, match="credentials"):
            local.adapter(credentials).start_page_token()
    with pytest.raises(CallRefused, match="credentials"):
        read(local.adapter(revoked), "1x", 0, 1)
    assert local.pauses == []


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of other machines that anyone tried to reach; none can be."""
    names: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", "::1"):
            names.append(str(host))
            raise socket.gaierror(socket.EAI_NONAME, "This test is offline.")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


def test_nothing_leaves_the_machine(local: LocalDrive, drive: Drive, looked_up: list[str]) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")

    drive.get(file_id)
    read(drive, file_id, 0, 0)
    drive.changes(drive.start_page_token())
    list(drive.list_folder(local.inbox))

    _finish_background_threads()
    assert looked_up == []


def test_googles_own_service_account_credentials_would_call_out(
    local: LocalDrive, looked_up: list[str]
) -> None:
    """Why `make_credentials` wraps them. When this fails, the wrapping can go."""
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.service_account import Credentials

    key = local.drive.credentials_json()
    scopes = ["https://www.googleapis.com/auth/drive.readonly"]
    account = Credentials.from_service_account_info(key, scopes=scopes)
    with AuthorizedSession(account) as session:
        session.get(f"{local.url}/drive/v3/changes/startPageToken", timeout=5)
        deadline_s = time.monotonic() + 3
        while not looked_up and time.monotonic() < deadline_s:
            time.sleep(0.01)

    assert "iamcredentials.googleapis.com" in looked_up


def _finish_background_threads() -> None:
    for thread in threading.enumerate():
        if "RegionalAccessBoundary" in type(thread).__name__:
            thread.join(3)


def test_importing_the_adapter_imports_nothing_of_googles() -> None:
    code = (
        "import sys, chalicelib.adapters.drive\n"
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('google', 'googleapiclient', 'httplib2', 'requests', 'boto3')])"
    )
    root = Path(__file__).parents[2]

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
