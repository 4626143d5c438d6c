"""What the runs of jobs came to, added up by day: the figures behind the charts.

A run is added once, when it has ended and everybody was told. What an earlier run of the job had
cost and published is not added again, so the sums over all time are what is really stored now.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from chalicelib.domain.job import Job, Status

#: What differs from file to file in a reason: names, figures, quoted things.
_PARTICULAR = re.compile(r"“[^”]*”|'[^']*'|\"[^\"]*\"|\S*\d\S*")
_LONGEST_CAUSE = 120
#: Endings whose cause is worth counting.
_EXPLAINED = (Status.FAILED, Status.KEPT_ORIGINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Runs that are added up together. Texts are empty where nobody knows.

    Attributes:
        day: of UTC, in which they ended.
        cause: why they failed or kept the original, without what differs from file to file.
    """

    day: str
    workflow: str
    preset: str
    uploader: str
    status: Status
    cause: str = ""

    @property
    def key(self) -> str:
        """Sorts by day; the rest only has to be different for each kind."""
        said = "\n".join((self.workflow, self.preset, self.uploader, self.status, self.cause))
        return f"{self.day}#{hashlib.sha256(said.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """
    Attributes:
        source_bytes, published_bytes: of what is published, by how much they grew.
        cost_micro_usd: whole numbers add up without an error.
    """

    jobs: int = 0
    source_bytes: int = 0
    published_bytes: int = 0
    cost_micro_usd: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    kind: Kind
    amounts: Amounts


def tally(job: Job) -> Tally:
    """What the current run of an ended job adds."""
    kind = Kind(
        day=(job.completed_at or job.updated_at)[:10],
        workflow=job.workflow,
        preset=job.preset or job.wanted_preset or "",
        uploader=job.uploader or "",
        status=job.status,
        cause=cause(job.reason) if job.status in _EXPLAINED else "",
    )
    source = published = 0
    if job.published_run == job.run and job.published_size_bytes is not None:
        source = job.size_bytes if job.earlier_size_bytes is None else 0
        published = job.published_size_bytes - (job.earlier_size_bytes or 0)
    cost_usd = (job.cost_usd or 0.0) - (job.earlier_cost_usd or 0.0)
    amounts = Amounts(
        jobs=1,
        source_bytes=source,
        published_bytes=published,
        cost_micro_usd=round(cost_usd * 1_000_000),
    )
    return Tally(kind=kind, amounts=amounts)


def cause(reason: str | None) -> str:
    """The first sentence of a reason, without what is particular to the file.

    >>> cause("The result would save only 3.2 %, 10 % are wanted. It was kept.")
    'The result would save only … %, … % are wanted.'
    """
    first = re.split(r"(?<=[.!?])\s", (reason or "").strip(), maxsplit=1)[0]
    return _PARTICULAR.sub("…", first)[:_LONGEST_CAUSE]
