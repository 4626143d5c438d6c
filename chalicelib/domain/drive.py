"""What Google Drive told us about its files, and which of them are videos for us.

Facts and one decision, no input or output. Times are timezone-aware. Drive's `createdTime` and
`modifiedTime` are the uploader's clock, often the camera's, and may lie in the past or the
future; nothing here orders files by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

FOLDER_TYPE = "application/vnd.google-apps.folder"
SHORTCUT_TYPE = "application/vnd.google-apps.shortcut"
GOOGLE_TYPES = "application/vnd.google-apps."

#: Extensions that make a file a video for us even when Drive could not tell its type.
VIDEO_EXTENSIONS = frozenset(
    (
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".f4v",
        ".flv",
        ".m2t",
        ".m2ts",
        ".m2v",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpe",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".qt",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveFile:
    """One Drive file as it was when Drive was asked.

    Attributes:
        size_bytes, md5: None for folders, Google documents and shortcuts.
        head_revision_id: changes with every new content; None where `md5` is None.
        parents: folder ids. A Drive file has one; none when we cannot see its folder.
        trashed: itself or a folder above it was put in the bin.
        can_download: False when its owner or a rule of the organisation forbids it.
        owner_email: None in shared drives, and when the owner hides it.
        uploader: the best we know of who put this content here: a name, else an email.
        video_duration_s, video_width, video_height: what Drive measured; None until Drive has
            looked at the video.
        shared_drive_id: None for what is in somebody's My Drive.
        can_add: that we may put files into this folder, as far as Drive says.
        of_job: the job whose result Slimreel has put here; None for everything else.
    """

    file_id: str
    name: str
    mime_type: str
    size_bytes: int | None
    md5: str | None
    head_revision_id: str | None
    parents: tuple[str, ...]
    trashed: bool
    can_download: bool
    owner_email: str | None
    uploader: str | None
    created_at: datetime | None
    modified_at: datetime | None
    web_view_url: str | None
    shortcut_target_id: str | None
    video_duration_s: float | None
    video_width: int | None = None
    video_height: int | None = None
    shared_drive_id: str | None = None
    can_add: bool = True
    of_job: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One file changed in some way since a page token; the log keeps only a file's last change.

    Attributes:
        removed: deleted, or no longer shared with us; Drive does not tell which.
        file: how the file is now; None when `removed`, or when what Drive said made no sense.
        unreadable: what made no sense.
    """

    file_id: str
    removed: bool
    file: DriveFile | None
    unreadable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage:
    """A page of the change log, oldest change first. Exactly one of the two tokens is set.

    Attributes:
        next_page_token: more pages follow; read on from here.
        new_start_page_token: the end of the log; keep it for the next time.
    """

    changes: tuple[Change, ...]
    next_page_token: str | None
    new_start_page_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A live notification channel. Stopping it takes both ids.

    Attributes:
        expires_at: when Drive ends it; often earlier than was asked for.
    """

    id: str
    resource_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that becomes a job.

    Attributes:
        version_key: names its content; the same content under the same id is the same version.
        earlier_key: what named it while Drive had not worked out its md5; None when nothing did.
    """

    file: DriveFile
    version_key: str
    earlier_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A file we leave alone, with a sentence for the log."""

    file_id: str
    reason: str


def candidate(file: DriveFile, folder_id: str) -> Candidate | Ignored:
    """Decide whether `file` is a video dropped into the folder `folder_id`.

    A video extension is enough whatever Drive says the type is: a text file named `.mp4`
    was meant as a video, and its sender is better served by a job that fails with a reason.
    """
    reason = _why_not(file, folder_id)
    if reason is not None:
        # repr keeps line breaks and control characters of the name out of the log.
        return Ignored(file_id=file.file_id, reason=f"{file.name!r} {reason}.")
    key, *others = version_names(file)
    return Candidate(file=file, version_key=key, earlier_key=others[0] if others else None)


def version_names(file: DriveFile) -> list[str]:
    """Return what names this file's content, the best first: its md5, then Drive's revision id.

    The md5 may come later than the content, and then both name the same version.

    Raises:
        ValueError: Drive holds no content for it (a folder, a document, an unfinished upload).
    """
    names = [name for name in (file.md5, file.head_revision_id) if name]
    if not names:
        raise ValueError(f"Drive file {file.file_id} has no content to name.")
    return names


def is_video(file: DriveFile) -> bool:
    """Tell whether Drive's type or the file's extension says video."""
    _, dot, extension = file.name.strip().lower().rpartition(".")
    return file.mime_type.lower().startswith("video/") or dot + extension in VIDEO_EXTENSIONS


def _why_not(file: DriveFile, folder_id: str) -> str | None:
    if folder_id not in file.parents:
        return "is not in the watched folder"
    if file.trashed:
        return "is in the bin"
    if file.of_job is not None:
        return f"is the result of job {file.of_job[:40]!r}, written by Slimreel itself"
    if file.mime_type == FOLDER_TYPE:
        return "is a folder"
    if file.mime_type == SHORTCUT_TYPE:
        return "is a shortcut; drop the video itself"
    if file.mime_type.startswith(GOOGLE_TYPES):
        return "is a Google document, not a video"
    if not is_video(file):
        return f"is not a video ({file.mime_type!r})"
    if not (file.md5 or file.head_revision_id) or file.size_bytes is None:
        return "has no content in Drive yet"
    return None
