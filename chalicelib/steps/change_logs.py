"""Which of Drive's change logs tell of the watched folders: the account's own, and for folders in
shared drives those of the drives.

Much of what happens in a shared drive is never in the log of an account that is a member of it, and
what happens to a folder that was shared with an account which is no member is only there. So
both are read, and a file that both tell of is known the second time.
Source: https://developers.google.com/workspace/drive/api/guides/about-changes
and https://developers.google.com/workspace/drive/api/guides/about-changelogs
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.adapters.drive_errors import DriveError, DriveUnavailable
from chalicelib.services import Services

log = logging.getLogger(__name__)

#: A folder is seldom moved to another drive, and each look is a call.
LOOK_AGAIN_S = 600.0
#: The "shared drive" of folders in somebody's My Drive: DynamoDB's maps keep texts.
_NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLog:
    """One change log.

    Attributes:
        drive_id: the shared drive; None for the account's own log.
        folders: the watched folders to be listed when our place in the log is lost.
        arrived: those of them that were moved here since the last look. What was dropped meanwhile
            may be in no log that was read.
    """

    drive_id: str | None
    folders: tuple[str, ...]
    arrived: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The field of sync's state that holds the page token."""
        return "page_token" if self.drive_id is None else f"page_token#{self.drive_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """In which shared drive each watched folder lies.

    Attributes:
        known: what sync remembers, by folder.
        now: what is the case now; a folder that was never seen is not in it.
        looked_at: seconds since 1970.
    """

    known: Mapping[str, str]
    now: Mapping[str, str]
    looked_at: float

    @property
    def is_news(self) -> bool:
        """Whether sync does not remember it yet."""
        return self.now is not self.known

    def logs(self, folders: Collection[str]) -> list[ChangeLog]:
        """The account's own log first. It may tell of any folder, and lists them all."""
        of_drive: dict[str, list[str]] = {_NONE: []}
        for folder, drive_id in self.now.items():
            of_drive.setdefault(drive_id, []).append(folder)
        return [
            ChangeLog(
                drive_id=drive_id or None,
                folders=tuple(inside) if drive_id else tuple(folders),
                arrived=tuple(f for f in inside if self.known.get(f, drive_id) != drive_id),
            )
            for drive_id, inside in of_drive.items()
        ]

    def remembered(self) -> dict[str, Any]:
        """What to write into sync's state once the logs were read. The place in a log that nobody
        needs any more is forgotten: read on from there one day, it would tell of old films.
        """
        left = {*self.known.values()} - {*self.now.values(), _NONE}
        places = {ChangeLog(drive_id=drive_id, folders=()).place: None for drive_id in left}
        return {"drives": dict(self.now), "drives_at": self.looked_at, **places}


def whereabouts(
    services: Services, folders: Collection[str], state: Mapping[str, Any]
) -> Whereabouts:
    """Look where the folders lie, unless that was done lately.

    A folder that cannot be seen now is taken to be where it was.
    """
    known: dict[str, str] = state.get("drives", {})
    now_s, looked_at = services.now().timestamp(), float(state.get("drives_at", 0))
    if known.keys() == {*folders} and 0 <= now_s - looked_at < LOOK_AGAIN_S:
        return Whereabouts(known=known, now=known, looked_at=looked_at)
    now = {folder: known[folder] for folder in folders if folder in known}
    for folder in folders:
        try:
            now[folder] = services.drive.get(folder).shared_drive_id or _NONE
        except DriveError as error:
            log.warning("the watched folder %s cannot be seen: %s", folder, error)
            if isinstance(error, DriveUnavailable):
                break  # the others would take as long
    return Whereabouts(known=known, now=now, looked_at=now_s)
