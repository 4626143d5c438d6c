"""Emails about Slimreel itself, to the people who would otherwise wonder: one per trouble, not one
per video.
"""

from __future__ import annotations

from chalicelib.domain.notice import SUBJECT_LIMIT, Notice, plain_ascii
from chalicelib.domain.text import one_line

KIND = "alert"


def rows_wait(said: str) -> Notice:
    """Airtable takes no rows.

    Args:
        said: what is wrong and what to do about it, as the adapter words it.
    """
    body = [
        "Airtable takes no rows at the moment.",
        "",
        f"What it said: {one_line(said)}",
        "",
        "Your videos are processed, published and mailed all the same. Their rows are written by "
        "themselves as soon as Airtable takes them again; nothing has to be sent once more.",
        "You get this email once, however many rows wait.",
        "",
        "--",
        "Slimreel",
    ]
    return _alert("Airtable takes no rows; videos go on", body)


def encodes_wait(why: str, *, file_name: str, job_id: str) -> Notice:
    """The day's budget has no room for an encode.

    Args:
        why: of the first job that waits.
    """
    body = [
        "Encodes are paused: today's budget has no room for the next one.",
        "",
        f"The first that waits is {one_line(file_name)} (job {job_id}). {why}",
        "",
        "What to do next: nothing, if tomorrow is soon enough; everything that waits goes on by "
        "itself. To go on today, raise MaxCostPerDay of the stage. To give one up: slimreel cancel "
        "and its job.",
        "You get this email at most once a day, however many videos wait.",
        "",
        "--",
        "Slimreel",
    ]
    return _alert("Encodes are paused: the day's budget has no room", body)


def _alert(subject: str, body: list[str]) -> Notice:
    tame = plain_ascii(subject, SUBJECT_LIMIT)
    return Notice(kind=KIND, workflow="-", subject=tame, body="\n".join(body))
