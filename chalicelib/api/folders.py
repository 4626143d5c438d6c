"""A Drive folder over HTTP, as Slimreel's own account sees it: what a backfill would take.
Described in docs/api.md."""

from __future__ import annotations

import re
from typing import Any

from chalice.app import Blueprint, Response

from chalicelib.adapters.drive_errors import DriveError
from chalicelib.api.access import Role, machines
from chalicelib.api.jobs import answered
from chalicelib.domain.control import BadRequest
from chalicelib.domain.drive import DriveFile, is_video
from chalicelib.domain.errors import Temporary
from chalicelib.services import services

routes = Blueprint(__name__)

_FOLDER_ID = re.compile(r"[A-Za-z0-9_-]{10,128}")
_PAGE = re.compile(r"[\x21-\x7e]{1,2000}")


@routes.route("/folders/{folder_id}", methods=["GET"], authorizer=machines)
def list_folder(folder_id: str) -> Response:
    request = routes.current_request
    query = dict(request.query_params or {})
    return answered(Role.OPERATOR, request, lambda _: _list(folder_id, query))


def _list(folder_id: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
    if query.keys() - {"page"}:
        raise BadRequest("A folder can be asked for by page only.")
    page = query.get("page")
    if not _FOLDER_ID.fullmatch(folder_id):
        raise BadRequest("This is not the id of a folder: letters, digits, - and _.")
    if page is not None and not _PAGE.fullmatch(page):
        raise BadRequest("page is not what an earlier answer gave as next_page.")
    try:
        if page is None:
            services().drive.get(folder_id)  # one that we cannot see looks empty otherwise
        files, next_page = services().drive.folder_page(folder_id, page)
    except Temporary:
        raise
    except DriveError as error:
        raise BadRequest(f"Drive folder {folder_id}: {error.reason}") from error
    videos = [_view(file) for file in files if is_video(file) and file.of_job is None]
    return 200, {"videos": videos, "next_page": next_page}


def _view(file: DriveFile) -> dict[str, Any]:
    return {
        "id": file.file_id,
        "name": file.name,
        "size_bytes": file.size_bytes,
        "duration_s": file.video_duration_s,
        "width": file.video_width,
        "height": file.video_height,
    }
