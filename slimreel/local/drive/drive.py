"""Google Drive on this machine: a folder on disk behind the Drive v3 REST API."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from werkzeug import Request, Response

from slimreel.local.drive import contract, fields, media, resources
from slimreel.local.drive.call import Call, answer, check_scope_of_search
from slimreel.local.drive.changes_api import ChangesApi
from slimreel.local.drive.channels import Channels
from slimreel.local.drive.errors import Refusal, file_not_found, injected, not_modelled
from slimreel.local.drive.files_api import FilesApi
from slimreel.local.drive.library import SOMEBODY, Library, video_json
from slimreel.local.drive.oauth import OAuth, check_scopes
from slimreel.local.drive.records import Person, Record, Records
from slimreel.local.drive.scan import Scanner
from slimreel.local.faults import Fault, Faults

_LOG = logging.getLogger("slimreel.local.drive")

_API = "/drive/v3/"
_UPLOAD = ("/upload/drive/v3/", "/resumable/upload/drive/v3/")


class Drive:
    """The stand-in.

    `root` is somebody's My Drive, shared with the service account of `credentials_json()`: its
    folders are Drive folders, its files Drive files. `state_path` is where ids, checksums, the
    change log and channels are kept (SQLite); content that shows nowhere in `root` lies in a
    folder beside it. `base_url` is where callers reach `handle`.

    The folders in its folder "Shared drives" are shared drives, and the account is a member of
    them: what changes there is in their own logs and nowhere else. There are no revisions to go
    back to. A file that is rewritten in place while somebody downloads it is served torn; the
    real Drive never does that.
    """

    def __init__(
        self,
        root: Path,
        state_path: Path,
        *,
        faults: Faults,
        base_url: str,
        settle_s: float = 1.0,
        coalesce_s: float = 0.2,
        retry_base_s: float = 0.5,
    ) -> None:
        """Open the Drive, with what it knew when it was last closed or killed.

        Args:
            settle_s: a file on disk counts once nobody has touched it for so long.
            coalesce_s: change-log entries this close together are one notification.
            retry_base_s: first back-off of a notification that is tried again.
        """
        self._faults = faults
        self._records = Records(state_path)
        self._library = Library(
            root, self._records, state_path.with_name(f"{state_path.name}-files")
        )
        self._channels = Channels(
            self._library, faults, coalesce_s=coalesce_s, retry_base_s=retry_base_s
        )
        self._scanner = Scanner(self._library, settle_s)
        base_url = base_url.rstrip("/")
        self.oauth = OAuth(self._records, self._library.lock, base_url)
        self._files = FilesApi(self._library, self._channels, base_url)
        self.uploads = self._files.uploads
        changes = ChangesApi(self._library, self._channels, self._files, base_url)
        self._calls = {**self._files.calls, **changes.calls, "about.get": _about}
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        self.scan()

    # Programs

    def handle(self, request: Request) -> Response:
        """Answer one request to `/drive/v3/*`, `/upload/drive/v3/*`, `/token` or `/file/d/*`."""
        try:
            return self._answer(request)
        except Refusal as refusal:
            level = logging.ERROR if refusal.status == 501 else logging.DEBUG
            _LOG.log(level, "%s %s: %s", request.method, request.path, refusal)
            return refusal.response()

    def credentials_json(self) -> dict[str, str]:
        """Return the key file of the service account that everything is shared with."""
        return self.oauth.service_account_json()

    def user_credentials_json(self) -> dict[str, str]:
        """Return stored credentials of the person who owns the files (`authorized_user`)."""
        return self.oauth.user_json()

    # The disk

    def scan(self) -> None:
        """Look at the disk now and write down what changed since the last look."""
        self._scanner.scan()

    def start_watching(self, interval_s: float = 0.5) -> None:
        """Scan again and again, in a thread of its own, until `close`."""
        if self._watcher is None:
            self._watcher = threading.Thread(
                target=self._watch, args=(interval_s,), name="drive-watcher", daemon=True
            )
            self._watcher.start()

    def close(self) -> None:
        """Stop watching and notifying; everything is on disk already."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
        self._channels.notifier.close()
        with self._library.lock:
            self._records.close()

    # What a person does in Drive

    @property
    def root_id(self) -> str:
        """The id of My Drive itself, which calls may also name "root"."""
        return self._library.root_id

    def folder_id(self, name: str) -> str:
        """Return the id of a folder in My Drive.

        Raises:
            LookupError: there is none of that name.
        """
        for record in self._children(self._library.root_id):
            if record.is_folder and record.name == name and not record.trashed:
                return record.file_id
        raise LookupError(f"No folder {name!r} in {self._library.tree.root}; add_folder makes one.")

    def add_folder(self, name: str, parent_id: str = "root", *, owner: Person = SOMEBODY) -> str:
        return self._library.add_folder(name, parent_id, owner).file_id

    def add_file(
        self,
        folder_id: str,
        name: str,
        content: Path | bytes,
        *,
        mime_type: str | None = None,
        modified_time: datetime | None = None,
        owner: Person = SOMEBODY,
    ) -> str:
        """Upload a file (copied) under any name at all, and return its id.

        `modified_time` stands for a client that sends its file's own dates, in the past or future.
        """
        record = self._library.add_file(
            self._arrived(content),
            name=name,
            folder_id=folder_id,
            who=owner,
            mime_type=mime_type,
            modified_ms=_milliseconds(modified_time),
        )
        return record.file_id

    def add_google_doc(self, folder_id: str, name: str, *, owner: Person = SOMEBODY) -> str:
        return self._library.add_document(name, folder_id, owner).file_id

    def add_shortcut(
        self, folder_id: str, name: str, target_id: str, *, owner: Person = SOMEBODY
    ) -> str:
        return self._library.add_shortcut(name, folder_id, target_id, owner).file_id

    def replace_content(
        self,
        file_id: str,
        content: Path | bytes,
        *,
        modified_time: datetime | None = None,
        who: Person = SOMEBODY,
    ) -> None:
        """Upload a new version of a file: same id, new head revision."""
        arrived = self._arrived(content)
        self._library.replace_content(file_id, arrived, who, _milliseconds(modified_time))

    def rename(self, file_id: str, name: str) -> None:
        self._library.rename(file_id, name)

    def move(self, file_id: str, folder_id: str) -> None:
        self._library.move(file_id, folder_id)

    def touch(self, file_id: str) -> None:
        """Change nothing that matters; Drive notes even that in the change log."""
        self._library.change(file_id, SOMEBODY)

    def trash(self, file_id: str) -> None:
        self._library.trash(file_id)

    def untrash(self, file_id: str) -> None:
        self._library.untrash(file_id)

    def delete(self, file_id: str) -> None:
        """Delete for good, past the bin."""
        self._library.delete(file_id)

    def set_download_forbidden(self, file_id: str, forbidden: bool = True) -> None:
        self._library.change(file_id, None, download_forbidden=forbidden)

    def set_read_only(self, folder_id: str, read_only: bool = True) -> None:
        """Share a folder with the service account as Viewer, or again as Editor."""
        change = self._files.read_only.add if read_only else self._files.read_only.discard
        change(folder_id)

    def set_member(self, is_member: bool) -> None:
        """Make the account a member of all shared drives; or of none, and sharing it all the same
        with the account: then its own log tells of what changes there, and theirs are not shown.
        """
        self._library.is_member = is_member

    def set_abusive(self, file_id: str, abusive: bool = True) -> None:
        """Have Drive take the file for malware."""
        self._library.change(file_id, None, abusive=abusive)

    def set_video_metadata(
        self, file_id: str, *, width: int, height: int, duration_ms: int
    ) -> None:
        """Have Drive finish looking at a video, which it does some time after the upload."""
        video = video_json(width=width, height=height, duration_ms=duration_ms)
        self._library.change(file_id, None, video_json=video)

    def content_path(self, file_id: str) -> Path:
        """Return where a file's bytes lie on disk."""
        return self._library.content_path(self._library.get(file_id))

    # Inside

    def _answer(self, request: Request) -> Response:
        path = request.path
        if path == "/token" and request.method == "POST":
            fault = self._faults.take("drive", "token")
            if fault is not None and fault.status is not None:
                raise injected(fault.status, fault.code, fault.message)
            return self.oauth.token(request)
        if path.startswith("/file/d/") and path.endswith("/view"):
            return self._view(path.removeprefix("/file/d/").removesuffix("/view"), request)
        for prefix in (_API, *_UPLOAD):
            if path.startswith(prefix):
                return self._call(request, path.removeprefix(prefix), prefix != _API)
        raise Refusal(404, "notFound", "Not Found")

    def _call(self, request: Request, path: str, is_upload: bool) -> Response:
        identity = self.oauth.identify(request)
        verb, query = _verb_and_query(request)
        upload_id = query.pop("upload_id", None) if is_upload else None
        # A session takes PUT whatever the call that opened it.
        on_session = upload_id is not None and verb == "PUT"
        method, ids = contract.find(_opened_by(path) if on_session else verb, path)
        if is_upload and not method.takes_media:
            raise Refusal(404, "notFound", "Not Found")
        if method.operation not in self._calls:
            raise not_modelled(method.operation)
        args = contract.read_parameters(method, query)
        check_scopes(identity, method.scopes, content=args.get("alt") == "media")
        check_scope_of_search(args, method.operation, self._library.has_log)
        fault = self._faults.take("drive", _operation(method, args, on_session))
        call = Call(
            request=request,
            method=method,
            ids=ids,
            args=args,
            identity=identity,
            is_upload=is_upload,
            fault=fault,
        )
        return self._under_fault(call, upload_id if on_session else None)

    def _under_fault(self, call: Call, upload_id: str | None) -> Response:
        fault = call.fault
        if fault is None or fault.status is None:
            return _cut(self._perform(call, upload_id), fault)
        if fault.after_effect:
            self._perform(call, upload_id).close()
        raise injected(fault.status, fault.code, fault.message)

    def _perform(self, call: Call, upload_id: str | None) -> Response:
        if upload_id is not None:
            return self._files.put_chunk(call, upload_id)
        if call.args.get("alt", "json") == "media" and call.method.operation != "files.get":
            raise not_modelled(f"alt=media on {call.method.operation}")
        if call.args.get("alt") == "proto":
            raise not_modelled("alt=proto")
        return self._calls[call.method.operation](call)

    def _view(self, file_id: str, request: Request) -> Response:
        """Show a file in the browser: what `webViewLink` leads to here."""
        record = self._library.get(file_id)
        if not record.has_content:
            raise file_not_found(file_id)
        response = media.respond(self._library, record, request)
        response.headers["Content-Disposition"] = "inline"
        # Somebody's upload must not run as a page of ours.
        response.headers["Content-Security-Policy"] = "sandbox"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _watch(self, interval_s: float) -> None:
        while not self._stop.wait(interval_s):
            try:
                self.scan()
            except (OSError, sqlite3.Error):
                _LOG.exception("could not look at %s; trying again", self._library.tree.root)

    def _arrived(self, content: Path | bytes) -> Path:
        path = self._library.new_temporary()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)
        return path

    def _children(self, folder_id: str) -> list[Record]:
        with self._library.lock:
            return list(self._records.children(folder_id))


def _verb_and_query(request: Request) -> tuple[str, dict[str, str]]:
    """Google's clients send a GET whose address grew too long as a POST with a form."""
    override = request.headers.get("X-HTTP-Method-Override", "").upper()
    if request.method == "POST" and override == "GET":
        return "GET", {**request.args.to_dict(), **request.form.to_dict()}
    return request.method, request.args.to_dict()


def _opened_by(path: str) -> str:
    return "POST" if path == "files" else "PATCH"


def _operation(method: contract.Method, args: Mapping[str, object], on_session: bool) -> str:
    if on_session:
        return "upload.put"
    if method.operation == "files.get" and args.get("alt") == "media":
        return "files.get_media"
    return method.operation


def _cut(response: Response, fault: Fault | None) -> Response:
    """Send less of a JSON body than was announced; file bytes are cut where they are read."""
    if fault is None or fault.cut_body_at_byte is None or response.is_streamed:
        return response
    data = response.get_data()
    response.set_data(data[: fault.cut_body_at_byte])
    response.headers["Content-Length"] = str(len(data))
    response.headers["Connection"] = "close"
    return response


def _about(call: Call) -> Response:
    if not call.args.get("fields"):
        message = "The 'fields' parameter is required for this method."
        raise Refusal(400, "required", message, parameter="fields")
    body = {
        "kind": "drive#about",
        "user": resources.user_json(call.identity.person, call.email),
        "maxUploadSize": "5497558138880",
    }
    return answer(fields.apply(call.mask({}, "About"), body))


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
