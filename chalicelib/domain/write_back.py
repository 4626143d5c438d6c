"""Writing back: a result on its way into Google Drive, and what to say when it does not get there.

A workflow may ask for its results beside the originals or in a folder. The result is published
before that and stays so whatever becomes of the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.keys import extension
from chalicelib.domain.text import iso, one_line, parse_iso

#: As a workflow's folder: wherever the original lies.
BESIDE = "beside"
#: What a result beside its original is called more than that.
SUFFIX = " (compressed)"
#: A property of every file that Slimreel writes into Drive; its value is the job's id.
PROPERTY = "slimreel"
#: What file systems take; who syncs a folder to a computer could not have a longer name there.
NAME_LIMIT_BYTES = 255
#: How long it is tried: until then somebody has shared a folder, or made room.
GIVE_UP_AFTER = timedelta(days=7)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=15), timedelta(hours=6)
#: Copies that do not arrive as they were sent, before they are left for later.
WRONG_COPIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBack:
    """How far a result is on its way into Drive.

    Attributes:
        run: whose result it is.
        file_id: Drive's id for it, made before anything is sent: so it becomes one file, however
            often it is sent.
        folder_id, name: where that file is made, and how it is called there.
        md5: of the result.
        hashed_bytes, md5_state, hashed_tag: how far it is worked out; see
            `chalicelib.fetching.hashing`.
        session_url: of an upload under way. Who knows it may write into the upload.
        wrote: MD5s of what we have put there; other content under the id is a person's.
        wrong_copies: how often what arrived was not what was sent.
        url: where people open it, once it is there.
        problem: why it is not there yet, and what to do: sentences for people.
        tries: how often it was given up for the time being.
        next_at: not tried again before.
        given_up: nobody tries it again.
        waits_alone: everything else that had to be done for the ended job is done.
    """

    run: int
    file_id: str | None = None
    folder_id: str | None = None
    name: str | None = None
    md5: str | None = None
    hashed_bytes: int = 0
    md5_state: str | None = None
    hashed_tag: str | None = None
    session_url: str | None = None
    wrote: tuple[str, ...] = ()
    wrong_copies: int = 0
    url: str | None = None
    written_at: str | None = None
    problem: str | None = None
    tries: int = 0
    next_at: str | None = None
    given_up: bool = False
    waits_alone: bool = False

    @property
    def is_over(self) -> bool:
        return self.url is not None or self.given_up

    def is_due(self, now: datetime) -> bool:
        return not self.is_over and (self.next_at is None or parse_iso(self.next_at) <= now)


def of_run(run: int, before: WriteBack | None) -> WriteBack:
    """The way back of a run's result: into the file that an earlier run's result is in, if any."""
    if before is None:
        return WriteBack(run=run)
    # An upload whose end was not seen may have ended well.
    wrote = dict.fromkeys((*before.wrote, *([before.md5] if before.md5 else [])))
    return WriteBack(
        run=run,
        file_id=before.file_id,
        folder_id=before.folder_id,
        name=before.name,
        wrote=tuple(wrote)[-4:],
    )


def put_off(back: WriteBack, problem: str, *, now: datetime, ended: datetime) -> WriteBack:
    """After a try that came to nothing.

    Args:
        ended: when it was tried first, or the job ended.
    """
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(back.tries, 10))
    over = now + pause - ended > GIVE_UP_AFTER
    return replace(
        back,
        problem=problem,
        tries=back.tries + 1,
        next_at=None if over else iso(now + pause),
        given_up=over,
    )


def not_in_drive(back: WriteBack | None) -> str | None:
    """Why a published result is not in Drive, and what comes next; None where nothing is wrong."""
    if back is None or back.problem is None or back.url is not None:
        return None
    next_step = (
        "It is not tried again by itself: ask for the video once more."
        if back.given_up
        else "It is tried again by itself, for a week."
    )
    problem = back.problem if back.problem.endswith(".") else f"{back.problem}."
    return f"Not put into Google Drive: {problem} {next_step}"


def result_name(file_name: str, suffix: str) -> str:
    """What the result of a film is called in Drive. Results are MP4.

    >>> result_name("Take 3.MOV", " (compressed)")
    'Take 3 (compressed).mp4'
    """
    own = extension(file_name)
    stem = one_line(file_name[: len(file_name) - len(own)]).strip() or "video"
    return _fitting(stem, f"{suffix}.mp4")


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name, or the next one that nothing else in the folder has.

    >>> free_name("a.mp4", {"a.mp4", "a 2.mp4"}.__contains__)
    'a 3.mp4'
    """
    stem = name.removesuffix(".mp4")
    names = (name, *(_fitting(stem, f" {number}.mp4") for number in range(2, 20)))
    # Drive itself takes any: names need not differ there.
    return next((one for one in names if not is_taken(one)), name)


def _fitting(stem: str, end: str) -> str:
    room = NAME_LIMIT_BYTES - len(end.encode())
    # A character cut in half is dropped.
    return stem.encode(errors="replace")[:room].decode(errors="ignore").rstrip() + end


def refusal(code: str, reason: str) -> str:
    """Why Drive did not take the result, and what to do about it.

    Args:
        code: Drive's own word: https://developers.google.com/workspace/drive/api/guides/handle-errors
        reason: what is said where there is nothing better to say.
    """
    text = reason.lower()
    if code == "storageQuotaExceeded" and "service account" in text:
        return (
            "Service accounts have no storage of their own, so they can own no files in anybody's "
            "My Drive. Write into a folder of a shared drive, or let Slimreel act for a person "
            "(OAuth): docs/write-back.md."
        )
    if code == "storageQuotaExceeded":
        return "The Google account's storage is full. Make room in it, or write into another's."
    if code in _NO_RIGHTS:
        return (
            "Slimreel's Google account may not add files to this folder. Share it with the account "
            "as Editor; in a shared drive, as Contributor."
        )
    if code == "insufficientPermissions" or any(word in text for word in _NARROW):
        return (
            "The stored Google credentials may read Drive and not write to it. Make new ones with "
            "the scope https://www.googleapis.com/auth/drive: docs/write-back.md."
        )
    if code in _FULL:
        return "The folder or its shared drive holds as many files as it may. Use another folder."
    return reason


_NO_RIGHTS = frozenset(
    (
        "insufficientFilePermissions",
        "insufficientParentPermissions",
        "appNotAuthorizedToFile",
        "cannotAddParent",
        "forbidden",
    )
)
#: What Google's token endpoint says of a scope that nobody granted.
_NARROW = ("invalid_scope", "insufficient authentication scopes")
_FULL = frozenset(("teamDriveFileLimitExceeded", "numChildrenInNonRootLimitExceeded"))

NO_ORIGINAL = (
    "The original is no longer in Google Drive, so there is no place beside it. Put it back, or "
    "name a folder for the results."
)
NO_FOLDER = (
    "The folder for results is gone, or is not shared with Slimreel's Google account. Share it "
    "with the account as Editor, or name another one in the workflow's settings."
)
IN_BIN = "The folder for results is in Drive's bin. Take it out, or name another one."
NOT_A_FOLDER = "What the workflow's settings name as the folder for results is a file."
