"""What can go wrong when talking to Google Drive, by what the caller does about it.

DriveError
├── FileGone               deleted, or no longer shared with us                     (Rejected)
├── DownloadForbidden      Drive shows the file and will not hand out its bytes     (Rejected)
├── QuotaExceeded          the day's allowance is used up; not before tomorrow      (Exhausted)
├── FileChanged            the file is not the one we started to read; look again   (Temporary)
├── PageTokenInvalid       start the change log anew and list the whole folder
├── ChannelIdTaken         a channel of this id exists already; use a new id
├── FileExists             a file has the id that a new one was to have
├── CallRefused            Drive understood and said no: rights, scopes, a wrong setting
└── DriveUnavailable       nothing is wrong with the file; try again later          (Temporary)
    ├── RateLimited        still too many calls after all our retries
    ├── DownloadCut        the bytes ended early; `received_bytes` of them were good
    └── UploadGone         Drive does not know the upload any more; begin another

`reason` of each (also its text) is one sentence for a person.
Source: https://developers.google.com/workspace/drive/api/guides/handle-errors
"""

from __future__ import annotations

from chalicelib.domain.errors import Exhausted, Rejected, SlimreelError, Temporary


class DriveError(SlimreelError):
    """Root of the tree.

    Attributes:
        reason: a sentence for a person.
        status: the HTTP status; None when there was no answer.
        code: Drive's own word for it, such as "cannotDownloadFile"; "" when there is none.
    """

    def __init__(self, reason: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code


class FileGone(DriveError, Rejected):
    """The file was deleted or is no longer shared with us; Drive does not tell which."""


class DownloadForbidden(DriveError, Rejected):
    """The file's owner, their organisation or Drive's virus check forbids the download."""


class QuotaExceeded(DriveError, Exhausted):
    """A daily allowance of Google's is used up; more tries only use up tomorrow's."""


class FileChanged(DriveError, Temporary):
    """The file became shorter, or was replaced, while we were reading it."""


class PageTokenInvalid(DriveError):
    """Drive does not know this place in the change log."""


class ChannelIdTaken(DriveError):
    """A channel of this id exists; perhaps our own, whose answer was lost."""


class FileExists(DriveError):
    """There is a file of the id that we wanted to make one with; perhaps made by us before."""


class CallRefused(DriveError):
    """Drive refused for good: credentials, rights, or something in the request."""


class DriveUnavailable(DriveError, Temporary):
    """Drive did not answer, or answered that it cannot right now."""


class RateLimited(DriveUnavailable):
    """We are calling too fast, and slowing down for a while did not help."""


class DownloadCut(DriveUnavailable):
    """The connection broke during a download.

    Attributes:
        received_bytes: how many bytes of the asked range were delivered before.
    """

    def __init__(self, reason: str, *, received_bytes: int) -> None:
        super().__init__(reason)
        self.received_bytes = received_bytes


class UploadGone(DriveUnavailable):
    """An upload ended without its file: it expired after a week, or Drive lost it."""


#: Reasons that mean: slow down. Drive sends them with 403 as well as 429.
_RATE = frozenset(("rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded"))
#: downloadQuotaExceeded is not in Google's list, but seen often (rclone/rclone issue 2652).
_QUOTA = frozenset(("downloadQuotaExceeded", "dailyLimitExceeded", "quotaExceeded"))
_FORBIDDEN = {
    "cannotDownloadFile": "The file's owner does not allow it to be downloaded.",
    "cannotDownloadAbusiveFile": "Google takes the file for malware or spam and blocks it.",
    "fileNotDownloadable": "This is a Google document, which has no bytes to download.",
}
#: 408 is not in Google's list; by its meaning it can only be tried again.
_AGAIN = frozenset((408, 500, 502, 503, 504))


def classify(status: int, code: str, message: str) -> DriveError:
    """Return the exception for an answer of Drive: decided by its reason before its status."""
    if code in _RATE or status == 429:
        reason = "Google Drive asks us to slow down."
        return RateLimited(reason, status=status, code=code)
    if code in _QUOTA and "storage quota" in message.lower():
        code = "storageQuotaExceeded"  # the older name: github.com/iterative/PyDrive2/issues/238
    elif code in _QUOTA:
        reason = "Google Drive's daily allowance is used up; there is more tomorrow."
        return QuotaExceeded(reason, status=status, code=code)
    if code in _FORBIDDEN:
        return DownloadForbidden(_FORBIDDEN[code], status=status, code=code)
    if code == "channelIdNotUnique":
        return ChannelIdTaken(f"Google Drive: {message}.", status=status, code=code)
    if status == 409 or code == "fileIdInUse":
        reason = "There is a file of this id in Google Drive already."
        return FileExists(reason, status=status, code=code)
    if status == 404:
        reason = "The file is gone from Google Drive, or is no longer shared with us."
        return FileGone(reason, status=status, code=code)
    if status == 416:
        reason = "The file became shorter while it was being copied."
        return FileChanged(reason, status=status, code=code)
    if status in _AGAIN:
        reason = f"Google Drive is having trouble ({status})."
        return DriveUnavailable(reason, status=status, code=code)
    reason = f"Google Drive refused: {message or status} ({code or status})"
    return CallRefused(reason, status=status, code=code)
