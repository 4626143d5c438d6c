"""The Drive stand-in, as Google's own client sees it.

Every answer is also held against the discovery document, by `local_drive`.
"""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

from slimreel.local.drive import SERVICE_ACCOUNT
from slimreel.local.faults import Fault
from tests.contract.drive_server import LocalDrive, document

MIB = 1 << 20


def bearer(local: LocalDrive, scope: str = "drive") -> dict[str, str]:
    """A header for raw requests."""
    info = local.drive.user_credentials_json()
    form = {key: info[key] for key in ("client_id", "client_secret", "refresh_token")}
    form |= {"grant_type": "refresh_token", "scope": f"https://www.googleapis.com/auth/{scope}"}
    token = requests.post(f"{local.url}/token", data=form, timeout=5).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def refusal(call: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        call.execute()
    return caught.value.status_code, caught.value.error_details[0]["reason"]


# files.get


def test_a_file_has_drives_own_fields_and_types(local: LocalDrive) -> None:
    old = datetime(1999, 12, 31, 23, 59, 59, 123000, tzinfo=UTC)
    file_id = local.drive.add_file(local.inbox, "film.mov", b"film", modified_time=old)
    local.drive.set_video_metadata(file_id, width=1920, height=1080, duration_ms=2040)

    file = local.google().files().get(fileId=file_id, fields="*").execute()

    assert len(file_id) == 33
    assert file["size"] == "4"
    assert file["md5Checksum"] == hashlib.md5(b"film").hexdigest()
    assert file["sha1Checksum"] == hashlib.sha1(b"film").hexdigest()
    assert file["sha256Checksum"] == hashlib.sha256(b"film").hexdigest()
    assert file["mimeType"] == "video/quicktime"
    assert file["parents"] == [local.inbox]
    assert file["createdTime"] == file["modifiedTime"] == "1999-12-31T23:59:59.123Z"
    assert file["owners"][0]["emailAddress"] == "dana@studio.example"
    assert file["capabilities"]["canDownload"] is True
    assert file["trashed"] is False
    assert file["videoMediaMetadata"]["durationMillis"] == "2040"
    assert file["webViewLink"].endswith(f"/file/d/{file_id}/view?usp=drivesdk")


def test_without_fields_only_the_default_ones_come(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"a")
    drive = local.google()

    assert set(drive.files().get(fileId=file_id).execute()) == {"kind", "id", "name", "mimeType"}
    listed = drive.files().list(q=f"'{local.inbox}' in parents").execute()
    assert set(listed) == {"kind", "incompleteSearch", "files"}
    assert set(listed["files"][0]) == {"kind", "id", "name", "mimeType"}


def test_fields_select_and_nothing_else_comes(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"a")
    call = (
        local.google()
        .files()
        .get(fileId=file_id, fields="id,owners/displayName,capabilities(canDownload)")
    )

    assert call.execute() == {
        "id": file_id,
        "owners": [{"displayName": "Dana Studio"}],
        "capabilities": {"canDownload": True},
    }


def test_unknown_fields_are_refused_and_unmodelled_ones_are_loud(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"a")
    files = local.google().files()

    assert refusal(files.get(fileId=file_id, fields="id,colour")) == (400, "invalidParameter")
    assert refusal(files.get(fileId=file_id, fields="id,(name")) == (400, "invalidParameter")
    assert refusal(files.get(fileId=file_id, fields="permissions")) == (501, "notImplemented")


def test_names_a_disk_cannot_hold_arrive_as_they_are(local: LocalDrive) -> None:
    names = [
        "a/b\0c.mp4",
        "\u202eגבא 🎬 “it's” \\ 'x'\nline two.mov",
        "-rf .mp4",
        "ü" * 250 + ".mp4",
        ".hidden.mp4",
        "..",
        " ",
        "same.mp4",
        "same.mp4",
    ]
    ids = [local.drive.add_file(local.inbox, name, name.encode()) for name in names]
    drive = local.google()

    local.drive.scan()  # what lies on disk under other names is no news

    assert [drive.files().get(fileId=i).execute()["name"] for i in ids] == names
    assert len(drive.files().list(q=f"'{local.inbox}' in parents").execute()["files"]) == len(ids)
    assert {drive.files().get_media(fileId=i).execute() for i in ids} == {
        name.encode() for name in names
    }


def test_pointers_have_no_bytes(local: LocalDrive) -> None:
    target = local.drive.add_file(local.inbox, "a.mp4", b"a")
    doc = local.drive.add_google_doc(local.inbox, "Notes")
    shortcut = local.drive.add_shortcut(local.inbox, "a.mp4", target)
    drive = local.google()

    for file_id in (doc, shortcut, local.inbox):
        file = drive.files().get(fileId=file_id, fields="*").execute()
        assert not {"size", "md5Checksum", "headRevisionId"} & set(file)
        assert refusal(drive.files().get_media(fileId=file_id)) == (403, "fileNotDownloadable")
    details = drive.files().get(fileId=shortcut, fields="shortcutDetails").execute()
    assert details == {"shortcutDetails": {"targetId": target, "targetMimeType": "video/mp4"}}


def test_a_missing_file_is_not_found(local: LocalDrive) -> None:
    assert refusal(local.google().files().get(fileId="1nothing")) == (404, "notFound")


# Download


def test_a_download_in_chunks_is_the_file(local: LocalDrive) -> None:
    content = bytes(range(256)) * 4096 * 2 + b"tail"
    file_id = local.drive.add_file(local.inbox, "a.mp4", content)
    got = io.BytesIO()
    download = MediaIoBaseDownload(
        got, local.google().files().get_media(fileId=file_id), chunksize=MIB
    )

    done = False
    while not done:
        _, done = download.next_chunk()

    assert got.getvalue() == content


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "body"),
    [
        ("bytes=2-4", 206, "bytes 2-4/10", b"234"),
        ("bytes=8-", 206, "bytes 8-9/10", b"89"),
        ("bytes=8-99", 206, "bytes 8-9/10", b"89"),
        ("bytes=-3", 206, "bytes 7-9/10", b"789"),
        ("bytes=5-3", 200, None, b"0123456789"),
        ("lines=1-2", 200, None, b"0123456789"),
    ],
)
def test_ranges(
    local: LocalDrive, asked: str, status: int, content_range: str | None, body: bytes
) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"0123456789")
    url = f"{local.url}/drive/v3/files/{file_id}?alt=media"

    answer = requests.get(url, headers=bearer(local) | {"Range": asked}, timeout=5)

    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("Content-Range") == content_range
    assert answer.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("content", [b"", b"0123456789"])
def test_a_range_behind_the_end_is_416(local: LocalDrive, content: bytes) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", content)
    url = f"{local.url}/drive/v3/files/{file_id}?alt=media"

    answer = requests.get(url, headers=bearer(local) | {"Range": "bytes=10-"}, timeout=5)

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(content)}"
    assert answer.json()["error"]["errors"][0]["reason"] == "requestedRangeNotSatisfiable"


def test_a_download_goes_on_undisturbed_while_the_file_is_replaced(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"o" * 8 * MIB)
    url = f"{local.url}/drive/v3/files/{file_id}?alt=media"

    with requests.get(url, headers=bearer(local), stream=True, timeout=5) as answer:
        first = answer.raw.read(10)
        local.drive.replace_content(file_id, b"n" * 8 * MIB)
        rest = answer.raw.read()

    assert first + rest == b"o" * 8 * MIB


def test_who_may_download(local: LocalDrive) -> None:
    barred = local.drive.add_file(local.inbox, "barred.mp4", b"x")
    virus = local.drive.add_file(local.inbox, "virus.mp4", b"x")
    local.drive.set_download_forbidden(barred)
    local.drive.set_abusive(virus)
    files, owner = local.google().files(), local.google(as_user=True).files()

    assert refusal(files.get_media(fileId=barred)) == (403, "cannotDownloadFile")
    seen = files.get(fileId=barred, fields="capabilities(canDownload)").execute()
    assert seen == {"capabilities": {"canDownload": False}}
    assert refusal(files.get_media(fileId=virus)) == (403, "cannotDownloadAbusiveFile")
    # A service account's word counts for nothing here; the owner's does.
    insisted = files.get_media(fileId=virus, acknowledgeAbuse=True)
    assert refusal(insisted) == (403, "cannotDownloadAbusiveFile")
    assert owner.get_media(fileId=virus, acknowledgeAbuse=True).execute() == b"x"
    assert owner.get_media(fileId=barred).execute() == b"x"


# files.list


def test_search_terms(local: LocalDrive) -> None:
    add = local.drive.add_file
    film = add(local.inbox, "Film one.mp4", b"1")
    quoted = add(local.inbox, "it's \\ here.mov", b"2")
    text = add(local.inbox, "notes.txt", b"3", modified_time=datetime(2001, 1, 1, tzinfo=UTC))
    elsewhere = add(local.drive.add_folder("other"), "film.mp4", b"4")
    bin_ = add(local.inbox, "old film.mp4", b"5")
    local.drive.trash(bin_)

    def found(query: str) -> set[str]:
        answer = local.google().files().list(q=query).execute()
        return {file["id"] for file in answer["files"]}

    here = f"'{local.inbox}' in parents"
    assert found(here) == {film, quoted, text, bin_}  # the bin is listed unless excluded
    assert found(f"{here} and trashed=false and mimeType contains 'video/'") == {film, quoted}
    assert found(f"{here} and not mimeType contains 'video/'") == {text}
    assert found("name = 'it\\'s \\\\ here.mov'") == {quoted}
    assert found("name contains 'film' and trashed = false") == {film, elsewhere}
    assert found("name contains 'ilm'") == set()  # beginnings of words only
    assert found("name contains 'one' or name contains 'notes'") == {film, text}
    assert found("modifiedTime < '2002-01-01T00:00:00'") == {text}
    assert found("mimeType = 'text/plain' and (trashed = true or trashed = false)") == {text}
    # No precedence: from left to right.
    assert found("name = 'notes.txt' or name = 'x' and trashed = true") == set()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("name", 400),
        ("name = film", 400),
        ("name = 'film' and", 400),
        ("(name = 'film'", 400),
        ("id = '1'", 400),
        ("trashed = 'true'", 400),
        ("name = 'it's'", 400),
        ("fullText contains 'film'", 501),
        ("visibility = 'limited'", 501),
    ],
)
def test_bad_and_unmodelled_searches(local: LocalDrive, query: str, status: int) -> None:
    assert refusal(local.google().files().list(q=query))[0] == status


def test_pages_and_order(local: LocalDrive) -> None:
    for number in (10, 9, 2, 1, 33):
        local.drive.add_file(local.inbox, f"take {number}.mp4", b"x" * number)
    local.drive.add_folder("cuts", local.inbox)
    files = local.google().files()

    def names(order: str) -> list[str]:
        request = files.list(q=f"'{local.inbox}' in parents", orderBy=order, pageSize=2)
        seen: list[str] = []
        while request is not None:
            answer = request.execute()
            assert len(answer["files"]) <= 2
            seen += [
                file["name"].removeprefix("take ").removesuffix(".mp4") for file in answer["files"]
            ]
            request = files.list_next(request, answer)
        return seen

    assert names("folder,name_natural") == ["cuts", "1", "2", "9", "10", "33"]
    assert names("name") == ["cuts", "1", "10", "2", "33", "9"]
    assert names("quotaBytesUsed desc")[:2] == ["33", "10"]


def test_a_page_token_belongs_to_its_search(local: LocalDrive) -> None:
    for number in range(3):
        local.drive.add_file(local.inbox, f"{number}.mp4", b"x")
    files = local.google().files()
    token = files.list(q="trashed=false", pageSize=1).execute()["nextPageToken"]

    assert refusal(files.list(q="trashed=true", pageToken=token)) == (400, "invalid")
    assert refusal(files.list(q="trashed=false", pageToken="made up")) == (400, "invalid")
    again = [files.list(q="trashed=false", pageToken=token).execute() for _ in range(2)]
    assert again[0] == again[1]


def test_a_query_too_long_for_an_address_comes_as_a_form(local: LocalDrive) -> None:
    film = local.drive.add_file(local.inbox, "film.mp4", b"x")
    query = " or ".join(f"name = '{number:060d}'" for number in range(60)) + " or name='film.mp4'"

    answer = local.google().files().list(q=query).execute()

    assert "POST /drive/v3/files" in local.requests
    assert [file["id"] for file in answer["files"]] == [film]


# The change log


def test_the_log_keeps_one_entry_per_file_oldest_first(local: LocalDrive) -> None:
    changes = local.google().changes()
    token = changes.getStartPageToken().execute()["startPageToken"]
    first = local.drive.add_file(local.inbox, "first.mp4", b"1")
    second = local.drive.add_file(local.inbox, "second.mp4", b"2")
    local.drive.rename(first, "renamed.mp4")

    answer = changes.list(pageToken=token).execute()

    assert [change["fileId"] for change in answer["changes"]] == [second, first]
    assert answer["changes"][1]["file"]["name"] == "renamed.mp4"
    assert answer["changes"][0]["changeType"] == "file"
    assert "nextPageToken" not in answer
    later = changes.list(pageToken=answer["newStartPageToken"]).execute()
    assert later["changes"] == []
    assert later["newStartPageToken"] == answer["newStartPageToken"]


def test_the_log_comes_in_pages(local: LocalDrive) -> None:
    changes = local.google().changes()
    token = changes.getStartPageToken().execute()["startPageToken"]
    ids = [local.drive.add_file(local.inbox, f"{n}.mp4", b"x") for n in range(5)]

    seen, tokens = [], []
    while token:
        answer = changes.list(pageToken=token, pageSize=2).execute()
        seen += [change["fileId"] for change in answer["changes"]]
        tokens.append(("nextPageToken" in answer, "newStartPageToken" in answer))
        token = answer.get("nextPageToken")

    assert seen == ids
    assert tokens == [(True, False), (True, False), (False, True)]


def test_binned_is_a_change_and_deleted_a_removal(local: LocalDrive) -> None:
    changes = local.google().changes()
    binned = local.drive.add_file(local.inbox, "binned.mp4", b"1")
    deleted = local.drive.add_file(local.inbox, "deleted.mp4", b"2")
    token = changes.getStartPageToken().execute()["startPageToken"]
    local.drive.trash(binned)
    local.drive.delete(deleted)

    one, two = changes.list(pageToken=token, fields="*").execute()["changes"]

    assert (one["removed"], one["file"]["trashed"]) == (False, True)
    assert (two["removed"], two["fileId"]) == (True, deleted)
    assert "file" not in two
    kept = changes.list(pageToken=token, includeRemoved=False).execute()["changes"]
    assert [change["fileId"] for change in kept] == [binned]


def test_restrict_to_my_drive_hides_everything_from_a_service_account(local: LocalDrive) -> None:
    token = local.google().changes().getStartPageToken().execute()["startPageToken"]
    local.drive.add_file(local.inbox, "a.mp4", b"1")

    answer = local.google().changes().list(pageToken=token, restrictToMyDrive=True).execute()

    assert answer["changes"] == []


@pytest.mark.parametrize("token", ["999999", "-1", "abc", " ", "1e3"])
def test_a_token_of_another_log_is_refused(local: LocalDrive, token: str) -> None:
    assert refusal(local.google().changes().list(pageToken=token)) == (400, "invalid")


def test_new_content_is_a_new_revision_and_a_touch_is_not(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"one")
    look = local.google().files().get(fileId=file_id, fields="headRevisionId,md5Checksum,version")
    before = look.execute()
    local.drive.touch(file_id)
    touched = look.execute()
    local.drive.replace_content(file_id, b"two")
    replaced = look.execute()

    assert touched["headRevisionId"] == before["headRevisionId"]
    assert replaced["headRevisionId"] != before["headRevisionId"]
    assert replaced["md5Checksum"] == hashlib.md5(b"two").hexdigest()
    assert int(before["version"]) < int(touched["version"]) < int(replaced["version"])


# Upload, update, delete


def upload(content: bytes, **options: Any) -> MediaIoBaseUpload:
    return MediaIoBaseUpload(io.BytesIO(content), "video/mp4", **options)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b"line\r\nline\n\n--x\0\xff", {}),
        (b"x" * (MIB + 17), {"resumable": True, "chunksize": 256 * 1024}),
        (b"x" * 512 * 1024, {"resumable": True, "chunksize": 256 * 1024}),
        (b"x", {"resumable": True}),
    ],
)
def test_an_upload_arrives_whole(local: LocalDrive, content: bytes, options: Any) -> None:
    body = {
        "name": "up.mp4",
        "parents": [local.inbox],
        "modifiedTime": "2031-05-05T00:00:00Z",
        "appProperties": {"job": "7"},
    }
    files = local.google(as_user=True).files()

    made = files.create(body=body, media_body=upload(content, **options), fields="*").execute()

    assert made["md5Checksum"] == hashlib.md5(content).hexdigest()
    assert made["modifiedTime"] == "2031-05-05T00:00:00.000Z"
    assert made["appProperties"] == {"job": "7"}
    assert (local.root / "inbox" / "up.mp4").read_bytes() == content
    local.drive.scan()
    assert len(files.list(q=f"'{local.inbox}' in parents").execute()["files"]) == 1


def test_a_simple_upload_replaces_content(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"old")
    files = local.google(as_user=True).files()

    files.update(fileId=file_id, media_body=upload(b"new")).execute()

    assert files.get_media(fileId=file_id).execute() == b"new"


def test_resumable_protocol(local: LocalDrive) -> None:
    headers = bearer(local)
    opened = requests.post(
        f"{local.url}/upload/drive/v3/files?uploadType=resumable&fields=id,size",
        json={"name": "big.mp4", "parents": [local.inbox]},
        headers=headers | {"X-Upload-Content-Length": "524290"},
        timeout=5,
    )
    url = opened.headers["Location"]

    def put(content: bytes, content_range: str) -> requests.Response:
        more = headers | {"Content-Range": content_range}
        return requests.put(url, data=content, headers=more, timeout=5)

    quarter = 256 * 1024
    nothing = put(b"", "bytes */524290")
    assert (nothing.status_code, nothing.headers.get("Range")) == (308, None)
    assert put(b"x" * 1000, "bytes 0-999/524290").status_code == 400  # not a multiple of 256 KiB
    first = put(b"a" * quarter, f"bytes 0-{quarter - 1}/524290")
    assert (first.status_code, first.headers["Range"]) == (308, f"bytes=0-{quarter - 1}")
    assert put(b"x", "bytes 524289-524289/524290").status_code == 400  # leaves a gap
    assert put(b"", "bytes */524290").headers["Range"] == f"bytes=0-{quarter - 1}"
    last = put(b"b" * (quarter + 2), f"bytes {quarter}-524289/524290")
    assert last.status_code == 200
    assert set(last.json()) == {"id", "size"}
    assert last.json()["size"] == "524290"
    assert put(b"", "bytes */524290").json() == last.json()  # the lost answer, asked for again


def test_an_upload_session_expires(local: LocalDrive) -> None:
    local.drive.uploads.session_life_s = -1.0
    headers = bearer(local)
    address = f"{local.url}/upload/drive/v3/files?uploadType=resumable"
    opened = requests.post(address, json={"name": "a"}, headers=headers, timeout=5)

    late = requests.put(opened.headers["Location"], data=b"x", headers=headers, timeout=5)

    assert late.status_code == 404


def test_a_made_up_id_makes_a_create_repeatable(local: LocalDrive) -> None:
    files = local.google(as_user=True).files()
    (file_id,) = files.generateIds(count=1).execute()["ids"]
    body = {"id": file_id, "name": "a.mp4", "parents": [local.inbox]}

    assert files.create(body=body, media_body=upload(b"x")).execute()["id"] == file_id
    assert refusal(files.create(body=body, media_body=upload(b"x"))) == (409, "fileIdInUse")


def test_a_service_account_can_own_nothing(local: LocalDrive) -> None:
    call = (
        local.google()
        .files()
        .create(body={"name": "a.mp4", "parents": [local.inbox]}, media_body=upload(b"x"))
    )

    assert refusal(call) == (403, "storageQuotaExceeded")


def test_metadata_updates_and_moves(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")
    done = local.drive.add_folder("done")
    files = local.google().files()

    update = files.update(
        fileId=file_id,
        body={"name": "b.mp4", "starred": True, "properties": {"a": "1"}},
        addParents=done,
        removeParents=local.inbox,
        fields="name,parents,starred,properties",
    )

    assert update.execute() == {
        "name": "b.mp4",
        "parents": [done],
        "starred": True,
        "properties": {"a": "1"},
    }
    assert (local.root / "done" / "b.mp4").read_bytes() == b"x"
    assert not (local.root / "inbox" / "a.mp4").exists()
    second = files.update(fileId=file_id, addParents=local.inbox)
    assert refusal(second) == (403, "cannotAddParent")


def test_only_the_owner_bins_and_deletes(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")
    files, owner = local.google().files(), local.google(as_user=True).files()

    bin_it = files.update(fileId=file_id, body={"trashed": True})
    assert refusal(bin_it) == (403, "insufficientFilePermissions")
    assert refusal(files.delete(fileId=file_id)) == (403, "insufficientFilePermissions")
    owner.update(fileId=file_id, body={"trashed": True}).execute()
    assert not (local.root / "inbox" / "a.mp4").exists()
    assert files.get_media(fileId=file_id).execute() == b"x"  # a binned file can be read
    owner.update(fileId=file_id, body={"trashed": False}).execute()
    assert (local.root / "inbox" / "a.mp4").read_bytes() == b"x"
    owner.delete(fileId=file_id).execute()
    assert refusal(files.get(fileId=file_id)) == (404, "notFound")


def test_folders_and_shortcuts_are_made_by_people(local: LocalDrive) -> None:
    files = local.google(as_user=True).files()
    folder_type = "application/vnd.google-apps.folder"
    body = {"name": "New", "mimeType": folder_type, "parents": ["root"]}

    folder = files.create(body=body).execute()["id"]
    pointer = files.create(
        body={
            "name": "To inbox",
            "mimeType": "application/vnd.google-apps.shortcut",
            "parents": [folder],
            "shortcutDetails": {"targetId": local.inbox},
        },
        fields="shortcutDetails",
    ).execute()

    assert (local.root / "New").is_dir()
    assert local.drive.folder_id("New") == folder
    assert pointer["shortcutDetails"]["targetMimeType"] == folder_type


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"size": "3"}, (403, "fieldNotWritable")),
        ({"parents": ["root"]}, (403, "fieldNotWritable")),
        ({"colour": "red"}, (400, "badRequest")),
        ({"starred": "yes"}, (400, "invalid")),
        ({"folderColorRgb": "#fff"}, (501, "notImplemented")),
    ],
)
def test_what_an_update_cannot_set(local: LocalDrive, body: Any, answer: Any) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")

    assert refusal(local.google().files().update(fileId=file_id, body=body)) == answer


# Accounts


def test_calls_need_a_living_token(local: LocalDrive) -> None:
    url = f"{local.url}/drive/v3/changes/startPageToken"

    missing = requests.get(url, timeout=5)
    wrong = requests.get(url, headers={"Authorization": "Bearer ya29.no"}, timeout=5)
    good = bearer(local)
    local.drive.oauth.forget_tokens()
    expired = requests.get(url, headers=good, timeout=5)

    reasons = [
        answer.json()["error"]["errors"][0]["reason"] for answer in (missing, wrong, expired)
    ]
    assert [answer.status_code for answer in (missing, wrong, expired)] == [401, 401, 401]
    assert reasons == ["required", "authError", "authError"]


def test_googles_client_fetches_a_new_token_when_the_old_one_dies(local: LocalDrive) -> None:
    drive = local.google()
    drive.changes().getStartPageToken().execute()
    local.drive.oauth.forget_tokens()

    drive.changes().getStartPageToken().execute()

    assert local.requests.count("POST /token") == 2


def test_a_token_needs_the_right_key(local: LocalDrive, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from google.auth.exceptions import RefreshError

    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key = local.drive.credentials_json() | {"private_key": stranger.decode()}
    local.drive.credentials_json = lambda: key  # type: ignore[method-assign]

    with pytest.raises(RefreshError, match="invalid_grant"):
        local.google().changes().getStartPageToken().execute()


def test_scopes_are_held_to_the_contract(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x")
    looking = local.google(scope="drive.metadata.readonly").files()

    assert looking.get(fileId=file_id).execute()["name"] == "a.mp4"
    assert refusal(looking.get_media(fileId=file_id)) == (403, "insufficientPermissions")
    reading = local.google(scope="drive.readonly").files()
    assert reading.get_media(fileId=file_id).execute() == b"x"
    rename = reading.update(fileId=file_id, body={"name": "b"})
    assert refusal(rename) == (403, "insufficientPermissions")
    own_only = local.google(scope="drive.file").files()
    assert refusal(own_only.get(fileId=file_id)) == (501, "notImplemented")


def test_about_tells_who_is_asking(local: LocalDrive) -> None:
    about = local.google().about()

    user = about.get(fields="user(emailAddress)").execute()
    assert user == {"user": {"emailAddress": SERVICE_ACCOUNT.email}}
    assert refusal(about.get()) == (400, "required")


# The edges


def test_every_call_that_is_not_modelled_says_so(local: LocalDrive) -> None:
    """All calls of the contract: each is answered, or a loud 501; none is quietly accepted."""
    headers, answers = bearer(local), {}
    for resource_name, resource in document()["resources"].items():
        for verb, method in resource.get("methods", {}).items():
            path = method["path"]
            for name in method.get("parameterOrder", ()):
                path = path.replace("{" + name + "}", "1x")
            needed = {
                name: "1"
                for name, schema in method.get("parameters", {}).items()
                if schema.get("required") and schema["location"] == "query"
            }
            answer = requests.request(
                method["httpMethod"],
                f"{local.url}/drive/v3/{path}",
                params=needed,
                headers=headers,
                timeout=5,
            )
            answers[f"{resource_name}.{verb}"] = answer.status_code

    modelled = {name for name, status in answers.items() if status != 501}
    assert modelled == {
        "about.get",
        "changes.getStartPageToken",
        "changes.list",
        "changes.watch",
        "channels.stop",
        "files.create",
        "files.delete",
        "files.generateIds",
        "files.get",
        "files.list",
        "files.update",
        "files.watch",
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("files?pageSize=0", 400),
        ("files?pageSize=many", 400),
        ("files?colour=red", 400),
        ("files?supportsAllDrives=yes", 400),
        ("files?driveId=0A", 404),
        ("files?corpora=drive", 400),
        ("files?spaces=appDataFolder", 501),
        ("files?orderBy=colour", 400),
        ("files?includeLabels=x", 501),
        ("changes", 400),
        ("nothing", 404),
    ],
)
def test_parameters_are_held_to_the_contract(local: LocalDrive, path: str, status: int) -> None:
    answer = requests.get(f"{local.url}/drive/v3/{path}", headers=bearer(local), timeout=5)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == status
    assert {"domain", "reason", "message"} <= set(error["errors"][0])


def test_faults_strike_before_and_after_the_work(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"x" * 100)
    files = local.google().files()
    local.fail("files.update", 403, "userRateLimitExceeded")
    rename = files.update(fileId=file_id, body={"name": "b.mp4"})
    assert refusal(rename) == (403, "userRateLimitExceeded")
    assert files.get(fileId=file_id).execute()["name"] == "a.mp4"

    local.fail("files.update", 503, "backendError", after_effect=True)
    assert refusal(rename) == (503, "backendError")
    assert files.get(fileId=file_id).execute()["name"] == "b.mp4"

    local.faults.add(Fault(service="drive", operation="files.get_media", cut_body_at_byte=10))
    url = f"{local.url}/drive/v3/files/{file_id}?alt=media"
    with requests.get(url, headers=bearer(local), stream=True, timeout=5) as cut:
        assert cut.headers["Content-Length"] == "100"
        assert cut.raw.read(100, decode_content=False) == b"x" * 10


def test_the_link_in_a_file_opens_it(local: LocalDrive) -> None:
    file_id = local.drive.add_file(local.inbox, "a.mp4", b"film")
    link = local.google().files().get(fileId=file_id, fields="webViewLink").execute()

    shown = requests.get(link["webViewLink"], timeout=5)

    assert (shown.status_code, shown.content) == (200, b"film")
    assert shown.headers["Content-Type"] == "video/mp4"


def test_errors_are_json_even_for_strangers(local: LocalDrive) -> None:
    answer = requests.get(f"{local.url}/drive/v2/files", timeout=5)

    assert json.loads(answer.text)["error"]["code"] == 404
