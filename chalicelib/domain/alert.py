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
    subject = plain_ascii("Airtable takes no rows; videos go on", SUBJECT_LIMIT)
    return Notice(kind=KIND, workflow="-", subject=subject, body="\n".join(body))
