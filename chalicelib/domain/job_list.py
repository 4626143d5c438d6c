"""Jobs as a list shows them: the few facts of each that its indexes carry."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from chalicelib.domain.control import BadRequest
from chalicelib.domain.job import Status
from chalicelib.domain.keys import JOB_ID_LENGTH

_PLACE = re.compile(rf"(\d{{4}}-[0-9T:.-]{{1,24}}Z) ([0-9a-f]{{{JOB_ID_LENGTH}}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """What the indexes `jobs-by-time` and `jobs-by-status` project; see the template."""

    job_id: str
    run: int
    workflow: str
    status: Status
    created_at: str
    file_name: str
    size_bytes: int
    uploader: str | None = None
    completed_at: str | None = None
    published_size_bytes: int | None = None
    cost_usd: float | None = None
    reason: str | None = None
    waiting: str | None = None

    @property
    def place(self) -> Place:
        return Place(created_at=self.created_at, job_id=self.job_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page ended."""

    created_at: str
    job_id: str

    def token(self) -> str:
        """As a caller hands it back for the next page."""
        return base64.urlsafe_b64encode(f"{self.created_at} {self.job_id}".encode()).decode()


def place(token: str) -> Place:
    """
    Raises:
        BadRequest: it is none of ours.
    """
    try:
        plain = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        found = _PLACE.fullmatch(plain)
    except (binascii.Error, UnicodeError):
        found = None
    if found is None:
        raise BadRequest("The page token is not one this list gave out.")
    return Place(created_at=found[1], job_id=found[2])
