"""One film of the corpus, and how it may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.corpus.workshop import Workshop
from chalicelib.domain.job import Status

#: Whatever comes of it, as long as it ends: published films are judged by themselves.
ANY = (Status.COMPLETED, Status.KEPT_ORIGINAL, Status.FAILED)
FAILED = (Status.FAILED,)
KEPT = (Status.KEPT_ORIGINAL,)
PUBLISHED = (Status.COMPLETED, Status.KEPT_ORIGINAL)
COMPLETED = (Status.COMPLETED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A file to be dropped.

    Attributes:
        name: what it is called in Drive, and in the table.
        make: its content.
        ends: how its job may end.
        limit_s: seconds from the drop to the email about its end, on a machine at work.
    """

    name: str
    make: Callable[[Workshop], bytes]
    ends: tuple[Status, ...] = ANY
    limit_s: float = 180.0
