"""Reviews: what people may answer to a result in the table, and what they are told in return.

A choice is a wish. It is taken off the row, written into the job's record with a number of its
own, and then done; so it is done once, however often the row is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.text import one_line, parse_iso

#: Names come from Airtable's users.
BY_LIMIT = 80
UNKNOWN = "someone in Airtable"


class Choice(StrEnum):
    """What people choose in the field Review; the values are its options, in this order."""

    #: The result is good; by setting, the original in Drive is moved into a folder of done ones.
    APPROVE = "Approve"
    #: A new run with the next better preset.
    REDO_BETTER = "Redo better"
    #: A new run with the next smaller preset.
    REDO_SMALLER = "Redo smaller"
    #: A new run that publishes the original in place of the result.
    KEEP_ORIGINAL = "Keep original"
    #: The published file is removed; the original in Drive stays.
    DELETE_RESULT = "Delete result"


class State(StrEnum):
    """How far a review is."""

    #: Taken off the row, and not done yet.
    ASKED = "asked"
    #: Approved, and the original is still to be moved.
    MOVING = "moving"
    #: Done, or refused; the answer says which.
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A choice that a person made in the table.

    Attributes:
        number: counts the job's reviews from 1.
        choice: of `Choice`, as it stood in the row.
        run: the run the person looked at.
        by: who, as far as Airtable says.
        at: when it was seen, ISO 8601 in UTC.
        answer: what came of it, a sentence for people.
    """

    number: int
    choice: str
    run: int
    by: str
    at: str
    state: State = State.ASKED
    answer: str | None = None

    @property
    def is_pending(self) -> bool:
        return self.state is not State.DONE

    @property
    def mark(self) -> str:
        """What the row's answer to this review begins with, and that of no other of the job."""
        return f"{self.number}. {self.choice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """That a person found a result good, which holds for the run that published it."""

    run: int
    by: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A row in which somebody chose something.

    Attributes:
        choice: the option's name as Airtable gives it; people may add options of their own.
        answer: what stands in Review Answer.
        by: Airtable's name of who chose, where it told.
    """

    row_id: str
    job_id: str
    choice: str
    answer: str
    by: str | None = None


def reviewer(by: str | None) -> str:
    """A person's name as records, rows and emails show it: one line, not too long."""
    return one_line(by or "").strip()[:BY_LIMIT] or UNKNOWN


def when(at: datetime) -> str:
    """As people write it.

    >>> from datetime import UTC
    >>> when(datetime(2026, 5, 4, 9, 30, tzinfo=UTC))
    '4 May 2026, 09:30 UTC'
    """
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def is_answered(wish: Wish, latest: Review | None, shown: int) -> bool:
    """Whether this choice is the one that was taken already and only not yet taken off the row.

    A row whose answer names the review was written after the review was taken, which took the
    choice off: what stands there now was chosen afterwards, even if it is the same again.

    Args:
        latest: the job's last review.
        shown: the number of the last review that was taken off the row.
    """
    if latest is None or latest.number <= shown or latest.choice != wish.choice:
        return False
    return not wish.answer.startswith(latest.mark)


def answer_words(review: Review) -> str:
    """What the row says about a review."""
    said = review.answer or "Asked; it is being done."
    return f"{review.mark} ({review.by}, {when(parse_iso(review.at))}): {said}"


def no_step(choice: Choice, preset: str | None) -> str:
    """Why there is no redoing it better or smaller."""
    where = "better" if choice is Choice.REDO_BETTER else "smaller"
    if preset is None:
        return "Nothing was done: no preset was chosen for this video yet. Use slimreel retry."
    return (
        f"Nothing was done: there is no preset that is {where} than {preset}. "
        "Choose one with slimreel retry --preset."
    )


def kept_because(by: str, at: datetime) -> str:
    """The reason of a run that publishes the original because a person wants it."""
    return f"{by} asked for the original on {when(at)}."


def deleted_because(by: str, at: datetime) -> str:
    """The reason of a job whose result was removed."""
    return (
        f"The published file was deleted by {by} on {when(at)}. "
        "The original in Google Drive is untouched."
    )
