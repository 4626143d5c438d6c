"""files.*: metadata, listing, download, upload, watch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from werkzeug import Response

from slimreel.local.drive import fields, listing, media, metadata, query, resources, uploads
from slimreel.local.drive.call import Call, answer
from slimreel.local.drive.channels import Channels
from slimreel.local.drive.errors import (
    Refusal,
    bad_request,
    file_not_found,
    insufficient_file_permissions,
    invalid_value,
    not_modelled,
)
from slimreel.local.drive.library import SHARED_DRIVES, Library, new_id
from slimreel.local.drive.records import GOOGLE_TYPES, Record


class FilesApi:
    """The calls on files, on behalf of whoever the token names."""

    def __init__(self, library: Library, channels: Channels, base_url: str) -> None:
        self._library = library
        self._channels = channels
        self._base_url = base_url
        self._pages = listing.Pages()
        self.uploads = uploads.Uploads()
        #: What the service account may only look at, and all below.
        self.read_only: set[str] = set()
        self.calls: dict[str, Callable[[Call], Response]] = {
            "files.get": self._get,
            "files.list": self._list,
            "files.create": self._create,
            "files.update": self._update,
            "files.delete": self._delete,
            "files.generateIds": self._generate_ids,
            "files.watch": self._watch,
        }

    def json(self, record: Record, call: Call) -> dict[str, Any]:
        """Return the File resource as the caller sees it."""
        with self._library.lock:
            target = self._library.records.get(record.target_id) if record.target_id else None
        return resources.file_json(
            record,
            me=call.email,
            base_url=self._base_url,
            target=target,
            shared_drive=self._library.shared_drive_of(record),
            read_only=self._is_read_only(record, call),
        )

    def is_shown(self, record: Record, call: Call) -> bool:
        """Whether a list holds the file: those of shared drives are for who asks for them."""
        if record.name == SHARED_DRIVES and record.parent_id == self._library.root_id:
            return False  # is on this machine only
        wants = call.args.get("includeItemsFromAllDrives") and call.args.get("supportsAllDrives")
        return bool(wants) or self._library.shared_drive_of(record) is None

    def _found(self, file_id: str, call: Call) -> Record:
        """Raises: Refusal: 404, also for who does not say that shared drives are no news."""
        record = self._library.get(file_id)
        if self._library.shared_drive_of(record) and not call.args.get("supportsAllDrives"):
            raise file_not_found(file_id)
        return record

    def _is_read_only(self, record: Record, call: Call) -> bool:
        """Whether it, or a folder above it, was shared with the account for looking only."""
        if not call.identity.is_service_account or not self.read_only:
            return False
        with self._library.lock:
            while record.file_id not in self.read_only:
                parent = self._library.records.get(record.parent_id or "")
                if parent is None:
                    return False
                record = parent
        return True

    def put_chunk(self, call: Call, upload_id: str) -> Response:
        """Answer a PUT to an upload session."""
        record, response = self.uploads.put(upload_id, call.request)
        return response if record is None else self._file(record, call)

    def _get(self, call: Call) -> Response:
        record = self._found(call.ids["fileId"], call)
        if call.args.get("alt") != "media":
            return self._file(record, call)
        _check_download(record, call)
        fault = call.fault
        return media.respond(
            self._library,
            record,
            call.request,
            cut_at_byte=fault.cut_body_at_byte if fault else None,
            flip_byte=fault.flip_byte if fault else None,
        )

    def _list(self, call: Call) -> Response:
        mask = call.mask(resources.DEFAULT_LIST, "FileList")
        search = json.dumps([call.args.get(name) for name in ("q", "orderBy", "spaces", "corpora")])
        if (token := call.args.get("pageToken")) is not None:
            ids = self._pages.open(token, search)
        else:
            ids = [record.file_id for record in self._search(call)]
        size = call.args.get("pageSize", 100)
        with self._library.lock:
            found = [self._library.records.get(file_id) for file_id in ids[:size]]
        body: dict[str, Any] = {
            "kind": "drive#fileList",
            "incompleteSearch": False,
            "files": [self.json(record, call) for record in found if record is not None],
        }
        if ids[size:]:
            body["nextPageToken"] = self._pages.keep(search, ids[size:])
        return answer(fields.apply(mask, body))

    def _search(self, call: Call) -> list[Record]:
        root_id = self._library.root_id
        test = query.parse(call.args["q"], root_id) if call.args.get("q") else lambda _: True
        with self._library.lock:
            found = [r for r in self._library.records.all() if r.file_id != root_id and test(r)]
        found = [record for record in found if self.is_shown(record, call)]
        return listing.ordered(found, call.args.get("orderBy", ""))

    def _create(self, call: Call) -> Response:
        if call.is_upload:
            return self._upload(call, self._creator)
        body = call.body()
        if not str(body.get("mimeType", "")).startswith(GOOGLE_TYPES):
            empty = self._library.new_temporary()
            finish = self._creator(body, None, call)
            empty.touch()
            return self._file(finish(empty), call)
        metadata.check(body)
        self._check_may_add(self._parent(body, call), call)
        record = self._create_without_content(body, call)
        values = metadata.record_values(body)
        if values:
            record = self._library.change(record.file_id, None, **values)
        return self._file(record, call)

    def _create_without_content(self, body: dict[str, Any], call: Call) -> Record:
        name, folder_id = body.get("name", "Untitled"), self._parent(body, call)
        who = call.identity.person
        if "id" in body:  # made-up ids are for files with content only
            raise invalid_value("id")
        match body["mimeType"]:
            case "application/vnd.google-apps.folder":
                return self._library.add_folder(name, folder_id, who)
            case "application/vnd.google-apps.shortcut":
                target_id = (body.get("shortcutDetails") or {}).get("targetId", "")
                return self._library.add_shortcut(name, folder_id, target_id, who)
            case other:
                raise not_modelled(f"making a {other}")

    def _creator(self, body: dict[str, Any], media_type: str | None, call: Call) -> uploads.Finish:
        """Return what makes the new file of its bytes, after everything else was checked."""
        metadata.check(body)
        values, folder_id = metadata.record_values(body), self._parent(body, call)
        self._check_may_add(folder_id, call)
        file_id = body.get("id")
        self._check_is_free(file_id)

        def finish(content: Path) -> Record:
            self._check_is_free(file_id)  # another upload may have ended meanwhile
            return self._library.add_file(
                content,
                name=body.get("name", "Untitled"),
                folder_id=folder_id,
                who=call.identity.person,
                mime_type=body.get("mimeType") or media_type,
                modified_ms=values.pop("modified_ms", None),
                created_ms=values.pop("created_ms", None),
                file_id=file_id,
                more=values,
            )

        return finish

    def _update(self, call: Call) -> Response:
        record = self._found(call.ids["fileId"], call)
        if self._is_read_only(record, call):
            raise insufficient_file_permissions(record.file_id)
        if call.is_upload:
            return self._upload(call, self._updater)
        return self._file(self._updated(call.body(), call), call)

    def _updater(self, body: dict[str, Any], media_type: str | None, call: Call) -> uploads.Finish:
        metadata.check(body)
        if not self._library.get(call.ids["fileId"]).has_content:
            raise bad_request("Only files with binary content can get new content.")

        if media_type:
            body = {"mimeType": media_type} | body

        def finish(content: Path) -> Record:
            self._library.replace_content(call.ids["fileId"], content, call.identity.person)
            return self._updated(body, call)

        return finish

    def _updated(self, body: dict[str, Any], call: Call) -> Record:
        metadata.check(body)
        file_id = call.ids["fileId"]
        if "parents" in body:
            message = (
                "The parents field is not directly writable in update requests. "
                "Use the addParents and removeParents parameters instead."
            )
            raise Refusal(403, "fieldNotWritable", message)
        record = self._library.get(file_id)
        values = metadata.record_values(body, record)
        if "mimeType" in body:
            values["mime_type"] = body["mimeType"]
        if "trashed" in body and body["trashed"] != record.trashed:
            self._set_trashed(record, body["trashed"], call)
        self._move(record, call)
        if body.get("name", record.name) != record.name:
            self._library.rename(file_id, body["name"])
        if values:
            self._library.change(file_id, call.identity.person, **values)
        return self._library.get(file_id)

    def _move(self, record: Record, call: Call) -> None:
        add = [one for one in call.args.get("addParents", "").split(",") if one]
        remove = [one for one in call.args.get("removeParents", "").split(",") if one]
        if not add and not remove:
            return
        unknown = [one for one in remove if one not in (record.parent_id, "root")]
        if unknown:
            raise file_not_found(unknown[0])
        if len(add) != 1:
            message = "A file must have exactly one parent."
            raise Refusal(403, "cannotAddParent", message)
        if not remove and add[0] != record.parent_id:
            message = "Increasing the number of parents is not allowed"
            raise Refusal(403, "cannotAddParent", message)
        if record.is_folder and (
            self._library.shared_drive_of(self._library.get_folder(add[0]))
            != self._library.shared_drive_of(record)
        ):
            message = "Moving folders into shared drives is not supported."
            raise Refusal(403, "teamDrivesFolderMoveInNotSupported", message)
        self._library.move(record.file_id, add[0])

    def _set_trashed(self, record: Record, trashed: bool, call: Call) -> None:
        in_my_drive = self._library.shared_drive_of(record) is None
        if in_my_drive and record.owner_email != call.email:  # there only the owner may
            raise insufficient_file_permissions(record.file_id)
        if trashed:
            self._library.trash(record.file_id)
        else:
            self._library.untrash(record.file_id)

    def _upload(
        self, call: Call, plan: Callable[[dict[str, Any], str | None, Call], uploads.Finish]
    ) -> Response:
        path = self._library.new_temporary()
        media_type: str | None
        match call.args.get("uploadType"):
            case "resumable":
                media_type = call.request.headers.get("X-Upload-Content-Type")
                finish = plan(call.body(), media_type, call)
                upload_id = self.uploads.start(call.request, path, finish)
                response = Response(status=200)
                opened_with = call.request.query_string.decode()
                url = f"{self._base_url}{call.request.path}?{opened_with}"
                response.headers["Location"] = f"{url}&upload_id={upload_id}"
                response.headers["X-GUploader-UploadID"] = upload_id
                return response
            case "media":
                finish = plan({}, call.request.headers.get("Content-Type"), call)
                uploads.receive_simple(call.request, path)
            case "multipart":
                body, media_type = uploads.read_multipart(call.request, path)
                finish = plan(body, media_type, call)
            case _:
                raise invalid_value("uploadType")
        return self._file(finish(path), call)

    def _delete(self, call: Call) -> Response:
        record = self._found(call.ids["fileId"], call)
        if record.owner_email != call.email:
            raise insufficient_file_permissions(record.file_id)
        self._library.delete(record.file_id)
        return Response(status=204)

    def _generate_ids(self, call: Call) -> Response:
        if call.args.get("space", "drive") != "drive" or call.args.get("type", "files") != "files":
            raise not_modelled("ids for another space or type")
        ids = [new_id() for _ in range(call.args.get("count", 10))]
        body = {"kind": "drive#generatedIds", "space": "drive", "ids": ids}
        return answer(fields.apply(call.mask({"*": None}, "GeneratedIds"), body))

    def _watch(self, call: Call) -> Response:
        record = self._found(call.ids["fileId"], call)
        uri = f"{self._base_url}/drive/v3/files/{record.file_id}?alt=json"
        body = self._channels.watch_file(call.body(), record.file_id, uri)
        return answer(fields.apply(call.mask({"*": None}, "Channel"), body))

    def _file(self, record: Record, call: Call) -> Response:
        mask = call.mask(resources.DEFAULT_FILE, "File")
        return answer(fields.apply(mask, self.json(record, call)))

    def _parent(self, body: dict[str, Any], call: Call) -> str:
        parents = body.get("parents") or [self._library.root_id]
        if len(parents) != 1:
            message = "A file cannot have more than one parent."
            raise Refusal(403, "multipleParentsNotSupported", message)
        self._found(str(parents[0]), call)
        folder: Record = self._library.get_folder(str(parents[0]))
        return folder.file_id

    def _check_may_add(self, folder_id: str, call: Call) -> None:
        """Whether the account may put a file there, which it then owns, save in a shared drive."""
        folder = self._library.get(folder_id)
        if self._is_read_only(folder, call):
            # The words are those of github.com/anasty17/mirror-leech-telegram-bot/issues/427
            message = "Insufficient permissions for the specified parent."
            raise Refusal(403, "insufficientParentPermissions", message)
        if call.identity.is_service_account and self._library.shared_drive_of(folder) is None:
            message = (
                "Service Accounts do not have storage quota. Leverage shared drives "
                "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), "
                "or use OAuth delegation instead."
            )
            raise Refusal(403, "storageQuotaExceeded", message)

    def _check_is_free(self, file_id: str | None) -> None:
        if file_id is not None and self._exists(file_id):
            message = "A file already exists with the provided ID."
            raise Refusal(409, "fileIdInUse", message)

    def _exists(self, file_id: str) -> bool:
        with self._library.lock:
            return self._library.records.get(file_id) is not None


def _check_download(record: Record, call: Call) -> None:
    if not record.has_content:
        message = (
            "Only files with binary content can be downloaded. Use Export with Docs Editors files."
        )
        raise Refusal(403, "fileNotDownloadable", message, parameter="alt")
    if record.abusive and not (
        call.args.get("acknowledgeAbuse") and record.owner_email == call.email
    ):
        message = "This file has been identified as malware or spam and cannot be downloaded."
        raise Refusal(403, "cannotDownloadAbusiveFile", message)
    if record.download_forbidden and record.owner_email != call.email:
        message = "This file cannot be downloaded by the user."
        raise Refusal(403, "cannotDownloadFile", message)
