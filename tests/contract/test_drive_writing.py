"""What the Drive stand-in does when files are put into it, held against Google's contract."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from chalicelib.adapters.drive_errors import CallRefused
from tests.contract.drive_server import LocalDrive
from tests.contract.test_drive import bearer, refusal, upload


def create(local: LocalDrive, body: dict[str, Any], **options: Any) -> Any:
    files = local.google().files()
    return files.create(body=body, media_body=upload(b"x"), supportsAllDrives=True, **options)


def test_a_service_account_may_write_into_a_shared_drive(local: LocalDrive, team: str) -> None:
    inner = local.drive.add_folder("Results", team)
    fields = "id,driveId,owners,ownedByMe,parents,capabilities(canAddChildren,canTrash)"
    made = create(local, {"name": "a.mp4", "parents": [inner]}, fields=fields).execute()
    assert made.pop("id")
    assert made == {
        "driveId": team,
        "parents": [inner],
        "capabilities": {"canAddChildren": False, "canTrash": True},
    }
    assert (local.root / "Shared drives" / "Team" / "Results" / "a.mp4").read_bytes() == b"x"


def test_a_shared_drive_is_its_own_root(local: LocalDrive, team: str) -> None:
    found = (
        local.google()
        .files()
        .get(
            fileId=team,
            fields="parents,driveId,capabilities(canAddChildren)",
            supportsAllDrives=True,
        )
        .execute()
    )
    assert found == {"driveId": team, "capabilities": {"canAddChildren": True}}


def test_shared_drives_are_for_those_who_say_so(local: LocalDrive, team: str) -> None:
    token = local.google().changes().getStartPageToken().execute()["startPageToken"]
    file_id = local.drive.add_file(team, "a.mp4", b"x")
    drive = local.google()
    assert refusal(drive.files().get(fileId=file_id)) == (404, "notFound")
    body = {"name": "b.mp4", "parents": [team]}
    assert refusal(drive.files().create(body=body, media_body=upload(b"x"))) == (404, "notFound")
    both = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    query = {"q": "name = 'a.mp4'"}
    assert drive.files().list(**query).execute()["files"] == []
    assert len(drive.files().list(**query, **both).execute()["files"]) == 1
    assert drive.changes().list(pageToken=token).execute()["changes"] == []
    local.drive.set_member(False)
    assert drive.changes().list(pageToken=token).execute()["changes"] == []
    [change] = drive.changes().list(pageToken=token, **both).execute()["changes"]
    assert change["fileId"] == file_id


def log_of(local: LocalDrive, drive_id: str, token: str) -> dict[str, bool]:
    """The files that the log of a shared drive tells of, and whether each is gone."""
    both = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    changes = local.google().changes()
    answer = changes.list(pageToken=token, driveId=drive_id, **both).execute()
    return {change["fileId"]: change["removed"] for change in answer["changes"]}


def begin(local: LocalDrive, drive_id: str) -> str:
    changes = local.google().changes()
    answer = changes.getStartPageToken(driveId=drive_id, supportsAllDrives=True).execute()
    return str(answer["startPageToken"])


def test_a_shared_drive_has_a_log_of_its_own(local: LocalDrive, team: str) -> None:
    other = local.drive.add_folder("Other", local.drive.folder_id("Shared drives"))
    at, start = begin(local, team), begin(local, other)
    mine = local.google().changes().getStartPageToken().execute()["startPageToken"]
    film = local.drive.add_file(team, "a.mp4", b"x")
    gone = local.drive.add_file(team, "b.mp4", b"y")
    local.drive.add_file("root", "c.mp4", b"z")
    local.drive.delete(gone)
    assert log_of(local, team, at) == {film: False, gone: True}
    assert log_of(local, other, start) == {}
    # a film that moves is gone from the one and new in the other
    at = begin(local, team)
    local.drive.move(film, other)
    assert log_of(local, team, at) == {film: True}
    assert log_of(local, other, start) == {film: False}
    # what the account's own log tells a member of is not to be relied on
    both = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    told = local.google().changes().list(pageToken=mine, **both).execute()["changes"]
    assert film not in [change["fileId"] for change in told]


def test_a_page_token_is_good_for_one_log(local: LocalDrive, team: str) -> None:
    other = local.drive.add_folder("Other", local.drive.folder_id("Shared drives"))
    changes, of_team = local.google().changes(), begin(local, team)
    mine = changes.getStartPageToken().execute()["startPageToken"]
    for token, drive_id in ((mine, team), (of_team, other), (of_team, None)):
        request = changes.list(pageToken=token, driveId=drive_id, supportsAllDrives=True)
        assert refusal(request) == (400, "invalid")


def test_the_log_of_a_drive_is_for_its_members(local: LocalDrive, team: str) -> None:
    at, inner = begin(local, team), local.drive.add_folder("inner", team)
    local.drive.set_member(False)
    changes = local.google().changes()
    assert refusal(changes.getStartPageToken(driveId=team)) == (404, "notFound")
    assert refusal(changes.list(driveId=team, pageToken=at)) == (404, "notFound")
    local.drive.set_member(True)
    assert refusal(changes.getStartPageToken(driveId=inner)) == (404, "notFound")  # no drive
    body = {"id": "c", "type": "web_hook", "address": "http://localhost/"}
    assert refusal(changes.watch(driveId=team, pageToken=at, body=body))[0] == 501


def test_a_folder_does_not_move_into_a_shared_drive(local: LocalDrive, team: str) -> None:
    folder = local.drive.add_folder("mine")
    update = local.google(as_user=True).files().update
    move = update(fileId=folder, addParents=team, removeParents="root", supportsAllDrives=True)
    assert refusal(move) == (403, "teamDrivesFolderMoveInNotSupported")


def test_a_folder_shared_for_looking_only(local: LocalDrive, team: str) -> None:
    file_id = local.drive.add_file(team, "a.mp4", b"x")
    local.drive.set_read_only(team)
    files = local.google().files()
    seen = files.get(
        fileId=team, fields="capabilities(canAddChildren,canEdit)", supportsAllDrives=True
    ).execute()
    assert seen == {"capabilities": {"canAddChildren": False, "canEdit": False}}
    body = {"name": "b.mp4", "parents": [team]}
    assert refusal(create(local, body)) == (403, "insufficientParentPermissions")
    edit = files.update(fileId=file_id, body={"name": "c.mp4"}, supportsAllDrives=True)
    assert refusal(edit) == (403, "insufficientFilePermissions")
    local.drive.set_read_only(team, False)
    assert create(local, body).execute()["name"] == "b.mp4"


def test_of_two_uploads_under_one_id_one_becomes_the_file(local: LocalDrive) -> None:
    headers = bearer(local)
    [file_id] = local.google().files().generateIds(count=1).execute()["ids"]
    body = {"id": file_id, "name": "a.mp4", "parents": [local.inbox]}
    address = f"{local.url}/upload/drive/v3/files?uploadType=resumable"
    opened = [requests.post(address, json=body, headers=headers, timeout=5) for _ in range(2)]
    first, second = (
        requests.put(one.headers["Location"], data=content, headers=headers, timeout=5)
        for one, content in zip(opened, (b"one", b"two"), strict=True)
    )
    assert first.status_code == 200 and first.json()["id"] == file_id
    assert second.status_code == 409
    assert second.json()["error"]["errors"][0]["reason"] == "fileIdInUse"
    assert local.google().files().get_media(fileId=file_id).execute() == b"one"


def test_a_scope_that_was_not_granted_is_refused(local: LocalDrive) -> None:
    local.drive.oauth.granted = frozenset(["https://www.googleapis.com/auth/drive.readonly"])
    user = local.drive.user_credentials_json()
    assert local.adapter(user).get(local.inbox).name == "inbox"  # which is enough for reading
    with pytest.raises(CallRefused, match="invalid_scope"):
        local.writer(user).new_file_id()
