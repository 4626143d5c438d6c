"""People at work, in Drive by Google's own client: each act is done once, come what may.

The stack may die under any call. An act whose answer did not arrive is done again after the
restart, in a way that Drive documents as safe: uploads carry an id made beforehand
(https://developers.google.com/workspace/drive/api/guides/manage-uploads#use_a_pre-generated_id_to_upload_files),
and the other changes say what a file is to be.
"""

from __future__ import annotations

import json
import mimetypes
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.crash.model import Model
from bench.crash.plan import Act
from bench.crash.stack import Ready, gone

#: A fault or two may strike an answer; a person asks again.
CANCEL_TRIES, CANCEL_PAUSE_S = 20, 0.5
#: Drive takes no larger upload in one request.
#: Source: https://developers.google.com/workspace/drive/api/guides/manage-uploads
SIMPLE_UPLOAD_BYTES = 5 * 2**20
_MEDIA_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".txt": "text/plain"}


class People:
    """Acts waiting to be done, and the files they are about.

    Attributes:
        waiting: acts in order; the first may have been begun.
        file_ids: by the number of the file in the plan.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.waiting: deque[Act] = deque()
        self.file_ids: dict[int, str] = {}

    def act(self, ready: Ready) -> None:
        """Do what is waiting, in order.

        Raises:
            StackGone: it died on the way; what was not answered is still waiting.
        """
        with google_drive(ready) as drive:
            while self.waiting:
                with gone():
                    self._do(drive.files(), ready, self.waiting[0])
                self.waiting.popleft()

    def _do(self, files: Any, ready: Ready, act: Act) -> None:
        match act.verb:
            case "drop":
                self._drop(files, ready, act)
            case "replace":
                assert act.clip is not None
                file_id = self.file_ids[act.file]
                content = self._upload(act.clip.path(self._model.shelf))
                # The model first: Drive may have it although its answer is lost.
                self._model.arrived(file_id, self._model.names[file_id], act.clip)
                files.update(fileId=file_id, media_body=content).execute()
            case "rename":
                file_id = self.file_ids[act.file]
                files.update(fileId=file_id, body={"name": act.name}).execute()
                self._model.renamed(file_id, act.name)
            case "cancel":
                self._cancel(ready, self._model.current[self.file_ids[act.file]].job_id)
            case "bin":
                file_id = self.file_ids[act.file]
                files.update(fileId=file_id, body={"trashed": True}).execute()
                self._model.put_in_bin(file_id)

    def _drop(self, files: Any, ready: Ready, act: Act) -> None:
        assert act.clip is not None
        begun_before = act.file in self.file_ids
        if not begun_before:
            [self.file_ids[act.file]] = files.generateIds(count=1).execute()["ids"]
        file_id = self.file_ids[act.file]
        self._model.arrived(file_id, act.name, act.clip)
        if begun_before and self._is_there(files, file_id):
            return
        body = {"id": file_id, "name": act.name, "parents": [ready.inbox_folder_id]}
        content = self._upload(act.clip.path(self._model.shelf))
        files.create(body=body, media_body=content).execute()

    def _is_there(self, files: Any, file_id: str) -> bool:
        """Whether an upload of ours arrived although its answer did not."""
        from googleapiclient.errors import HttpError

        try:
            files.get(fileId=file_id, fields="id").execute(num_retries=5)
        except HttpError as error:
            if error.status_code != 404:
                raise
            return False
        return True

    def _cancel(self, ready: Ready, job_id: str) -> None:
        """Ask until there is an answer: done, or too early (404), or too late (409)."""
        for _ in range(CANCEL_TRIES):
            status = ready.signed_post(f"/api/jobs/{job_id}/cancel")
            if status == 200:
                self._model.cancelled(job_id)
            if status in (200, 404, 409):
                return
            time.sleep(CANCEL_PAUSE_S)
        raise RuntimeError(f"Nobody says whether job {job_id} is cancelled: {status}.")

    def _upload(self, path: Path) -> Any:
        from googleapiclient.http import MediaFileUpload

        kind = _MEDIA_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
        in_parts = path.stat().st_size > SIMPLE_UPLOAD_BYTES
        return MediaFileUpload(str(path), mimetype=kind, resumable=in_parts)


@contextmanager
def google_drive(ready: Ready) -> Iterator[Any]:
    """Google's client for the Drive stand-in, as the person whose Drive it is."""
    from google.oauth2.credentials import Credentials
    from google_auth_httplib2 import AuthorizedHttp
    from googleapiclient.discovery import build_from_document
    from googleapiclient.discovery_cache import get_static_doc
    from googleapiclient.http import build_http

    stored = ready.google_credentials
    stored.pop("type")
    scopes = ["https://www.googleapis.com/auth/drive"]
    credentials = Credentials(token=None, scopes=scopes, **stored)
    document = json.loads(get_static_doc("drive", "v3"))
    url = ready.endpoint_url
    local = {**document, "rootUrl": f"{url}/", "baseUrl": f"{url}/drive/v3/"}
    http = AuthorizedHttp(credentials, http=build_http())
    try:
        yield build_from_document(local, http=http)
    finally:
        http.close()
