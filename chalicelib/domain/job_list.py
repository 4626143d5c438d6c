"""Jobs as a list shows them: the few facts of each that indexes carry, and what can be asked."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.control import BadRequest
from chalicelib.domain.job import Status
from chalicelib.domain.keys import JOB_ID_LENGTH, extension

_PLACE = re.compile(rf"(\d{{4}}-[0-9T:.-]{{1,24}}Z|-?\d{{1,18}}) ([0-9a-f]{{{JOB_ID_LENGTH}}})")
#: Of a file name, so many words at most are found again, and so much of each.
MOST_WORDS, LONGEST_WORD = 20, 40


class Sort(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"
    LARGEST = "largest"
    MOST_SAVED = "most_saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """What the indexes that lists are read from project; see the template."""

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
    ended_in: str | None = None

    @property
    def saved_percent(self) -> float | None:
        if self.published_size_bytes is None or self.size_bytes <= 0:
            return None
        return 100 * (1 - self.published_size_bytes / self.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """An open job as the live view shows it: what the index `under-way` projects."""

    job_id: str
    run: int
    workflow: str
    status: Status
    created_at: str
    file_name: str
    size_bytes: int
    step: str | None = None
    attempt: int = 0
    searching: bool | None = None
    encode_percent: int | None = None
    waiting: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which jobs somebody wants to see.

    Attributes:
        uploader: whole, in any case.
        since, until: days of UTC, both included.
        min_saved_percent: of what is published.
    """

    status: Status | None = None
    workflow: str | None = None
    uploader: str | None = None
    since: str | None = None
    until: str | None = None
    min_saved_percent: float | None = None
    sort: Sort = Sort.NEWEST

    def fits(self, job: JobSummary) -> bool:
        """Whether a job is one of them, whatever index it was found in."""
        day = job.created_at[:10]
        return (
            self.status in (None, job.status)
            and self.workflow in (None, job.workflow)
            and (self.uploader is None or uploader_key(job.uploader) == uploader_key(self.uploader))
            and (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
            and (self.min_saved_percent is None or self._saves_enough(job))
        )

    def _saves_enough(self, job: JobSummary) -> bool:
        return job.saved_percent is not None and job.saved_percent >= (self.min_saved_percent or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page ended: the value it is sorted by, and the job."""

    at: str | int
    job_id: str

    def token(self) -> str:
        """As a caller hands it back for the next page."""
        return base64.urlsafe_b64encode(f"{self.at} {self.job_id}".encode()).decode()


def place(token: str, sort: Sort = Sort.NEWEST) -> Place:
    """
    Raises:
        BadRequest: it is none of ours, or of a list that was sorted otherwise.
    """
    try:
        plain = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        found = _PLACE.fullmatch(plain)
    except (binascii.Error, UnicodeError):
        found = None
    by_time = sort in (Sort.NEWEST, Sort.OLDEST)
    if found is None or found[1].endswith("Z") != by_time:
        raise BadRequest("The page token is not one this list gave out.")
    return Place(at=found[1] if by_time else int(found[1]), job_id=found[2])


def uploader_key(uploader: str | None) -> str | None:
    """What jobs of one uploader are found by; None where nobody is known.

    >>> uploader_key("Anna@Example.com")
    'anna@example.com'
    """
    return (uploader or "").strip().casefold()[:200] or None


def name_words(file_name: str) -> tuple[str, ...]:
    """The words a file is found by, each once, without accents.

    >>> name_words("Über – Scene_4 (final).mov")
    ('uber', 'scene', '4', 'final')
    """
    stem = file_name.removesuffix(file_name[-len(extension(file_name)) :] or "\0")
    return words(stem)[:MOST_WORDS]


def words(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in plain if not unicodedata.combining(c))
    found = (word[:LONGEST_WORD] for word in re.findall(r"[^\W_]+", bare))
    return tuple(dict.fromkeys(found))


def rarest_first(wanted: tuple[str, ...]) -> list[str]:
    """Words of a search, those that fewer names are likely to have first: figures, then long ones.

    >>> rarest_first(("scene", "take", "5077", "4"))
    ['5077', 'scene', 'take', '4']
    """
    return sorted(
        wanted, key=lambda word: (len(word) > 1 and word.isdigit(), len(word)), reverse=True
    )
