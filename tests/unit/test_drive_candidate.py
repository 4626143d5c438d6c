"""Which Drive files become jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.domain.drive import Candidate, DriveFile, Ignored, candidate, version_names

INBOX = "1inbox"
FILM = DriveFile(
    file_id="1film",
    name="film.mp4",
    mime_type="video/mp4",
    size_bytes=4,
    md5="d41d8",
    head_revision_id="0Brev",
    parents=(INBOX,),
    trashed=False,
    can_download=True,
    owner_email=None,
    uploader=None,
    created_at=None,
    modified_at=None,
    web_view_url=None,
    shortcut_target_id=None,
    video_duration_s=None,
)


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("film.mp4", "video/mp4"),
        ("no extension", "video/quicktime"),
        ("FILM.MOV", "application/octet-stream"),
        ("broadcast.mxf", "application/mxf"),
        ("film.mp4 ", "application/octet-stream"),
        (".mp4", "application/octet-stream"),
        ("notes.mp4", "text/plain"),
        ("-rf\n\u202e🎬.mkv", "application/x-unknown"),
    ],
)
def test_videos_by_type_or_by_name(name: str, mime_type: str) -> None:
    file = replace(FILM, name=name, mime_type=mime_type)

    assert candidate(file, INBOX) == Candidate(file=file, version_key="d41d8", earlier_key="0Brev")


@pytest.mark.parametrize("more", [{"can_download": False}, {"size_bytes": 0}])
def test_videos_that_will_fail_become_jobs_that_say_why(more: dict[str, object]) -> None:
    file = replace(FILM, **more)  # type: ignore[arg-type]

    assert isinstance(candidate(file, INBOX), Candidate)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"parents": ("1other",)}, "is not in the watched folder"),
        ({"parents": ()}, "is not in the watched folder"),
        ({"trashed": True}, "is in the bin"),
        ({"of_job": "0123"}, "is the result of job '0123', written by Slimreel itself"),
        ({"mime_type": "application/vnd.google-apps.folder"}, "is a folder"),
        ({"mime_type": "application/vnd.google-apps.shortcut"}, "is a shortcut"),
        ({"mime_type": "application/vnd.google-apps.document"}, "is a Google document"),
        ({"mime_type": "application/vnd.google-apps.vid"}, "is a Google document"),
        ({"name": "notes.txt", "mime_type": "text/plain"}, "is not a video"),
        ({"name": "film.mp4.zip", "mime_type": "application/zip"}, "is not a video"),
        ({"name": "mp4", "mime_type": "application/octet-stream"}, "is not a video"),
        ({"md5": None, "head_revision_id": None}, "has no content"),
        ({"md5": None, "size_bytes": None}, "has no content"),
    ],
)
def test_the_rest_is_ignored_with_a_sentence(more: dict[str, object], reason: str) -> None:
    answer = candidate(replace(FILM, **more), INBOX)  # type: ignore[arg-type]

    assert isinstance(answer, Ignored)
    assert reason in answer.reason
    assert answer.reason.endswith(".")
    assert answer.file_id == FILM.file_id


def test_a_name_cannot_forge_a_log_line() -> None:
    answer = candidate(replace(FILM, name="a.txt\nERROR all is lost", mime_type="x/y"), INBOX)

    assert isinstance(answer, Ignored)
    assert "\n" not in answer.reason


def test_the_version_is_the_content() -> None:
    assert version_names(FILM) == ["d41d8", "0Brev"]
    assert version_names(replace(FILM, md5=None)) == ["0Brev"]
    with pytest.raises(ValueError, match="no content"):
        version_names(replace(FILM, md5=None, head_revision_id=None))
