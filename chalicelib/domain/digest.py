"""Emails about many videos: a digest of those that ended within a short time, and a week's summary.

Plain text, as SNS sends it; the table is aligned by spaces and read without them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.job import Job, Status
from chalicelib.domain.job_list import JobSummary
from chalicelib.domain.money import Prices, storage_usd_per_month
from chalicelib.domain.notice import SUBJECT_LIMIT, Notice, plain_ascii
from chalicelib.domain.text import human_size, one_line, percent

DIGEST, SUMMARY = "digest", "summary"
NAME_WIDTH = 40
#: What went wrong comes first.
_ORDER = (Status.FAILED, Status.CANCELLED, Status.KEPT_ORIGINAL, Status.COMPLETED)
_WORDS = {
    Status.COMPLETED: "compressed",
    Status.KEPT_ORIGINAL: "kept as it was",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}


def digest_notice(jobs: Sequence[tuple[Job, str]], *, workflow: str, prices: Prices) -> Notice:
    """One email for several jobs.

    Args:
        jobs: each with the permanent link to what is published of it.
    """
    only = [job for job, _ in jobs]
    told = _counts(job.status for job in only)
    before, after = _sizes(only)
    rows = sorted(jobs, key=lambda pair: (_ORDER.index(pair[0].status), pair[0].file_name))
    body = [f"{len(jobs)} videos have ended within a short time: {told}.", ""]
    if before > after:
        saved = before - after
        body += [
            f"{human_size(before)} became {human_size(after)}: {human_size(saved)} saved "
            f"({percent(saved / before)}), {_dollars(storage_usd_per_month(saved, prices))} in S3 "
            "every month.",
            "",
        ]
    for job, link in rows:
        body += [_row(job), f"    {_detail(job, link)}"]
    body += [
        "",
        "What to do next: review the videos and their rows. Every original is untouched.",
        *_footer(workflow),
    ]
    subject = plain_ascii(f"{len(jobs)} videos: {told}", SUBJECT_LIMIT)
    return Notice(kind=DIGEST, workflow=workflow, subject=subject, body="\n".join(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What a workflow did in a week.

    Attributes:
        to_review: of the completed ones, those that nobody has approved.
    """

    workflow: str
    begins: datetime
    jobs: tuple[JobSummary, ...]
    to_review: tuple[JobSummary, ...]


def week_of(at: datetime) -> str:
    """As ISO 8601 counts weeks.

    >>> from datetime import UTC
    >>> week_of(datetime(2026, 11, 21, tzinfo=UTC))
    '2026-W47'
    """
    year, week, _ = at.isocalendar()
    return f"{year}-W{week:02}"


def summary_notice(week: Week, *, prices: Prices) -> Notice:
    """What was saved, what failed and what waits for somebody's review."""
    before, after = _sizes(week.jobs)
    saved = max(0, before - after)
    ends = week.begins + timedelta(days=6)
    body = [
        f"The week from {week.begins:%d %B} to {ends:%d %B %Y}: "
        f"{_counts(job.status for job in week.jobs) or 'no video ended'}.",
        "",
    ]
    if saved:
        body += [
            f"Saved: {human_size(saved)} of {human_size(before)} ({percent(saved / before)}), "
            f"{_dollars(storage_usd_per_month(saved, prices))} in S3 every month. "
            f"Encoding cost {_dollars(sum(job.cost_usd or 0 for job in week.jobs))}, estimated.",
            "",
        ]
    failed = [job for job in week.jobs if job.status is Status.FAILED]
    body += _listed("Failed", failed, lambda job: one_line(job.reason or "no reason is known"))
    body += _listed("To review", week.to_review, lambda job: f"slimreel open {job.job_id}")
    body += _footer(week.workflow)
    lead = f"Week {week_of(week.begins)[-2:]}: {human_size(saved)} saved"
    subject = f"{lead}, {len(failed)} failed, {len(week.to_review)} to review"
    tame = plain_ascii(subject, SUBJECT_LIMIT)
    return Notice(kind=SUMMARY, workflow=week.workflow, subject=tame, body="\n".join(body))


#: So many of a kind are named; who wants all of them asks for the list.
MOST_NAMED = 25


def _listed(heading: str, jobs: Sequence[JobSummary], about: object) -> list[str]:
    assert callable(about)
    if not jobs:
        return [f"{heading}: none.", ""]
    lines = [f"{heading}: {len(jobs)}."]
    lines += [f"  {_short(job.file_name)}  {about(job)}" for job in jobs[:MOST_NAMED]]
    if len(jobs) > MOST_NAMED:
        lines.append(f"  and {len(jobs) - MOST_NAMED} more: slimreel list")
    return [*lines, ""]


def _counts(statuses: Iterable[Status]) -> str:
    counted = Counter(statuses)
    return ", ".join(f"{counted[s]} {_WORDS[s]}" for s in reversed(_ORDER) if counted[s])


def _sizes(jobs: Iterable[Job] | Iterable[JobSummary]) -> tuple[int, int]:
    """Before and after, of those that were compressed."""
    done = [job for job in jobs if job.status is Status.COMPLETED and job.published_size_bytes]
    return (
        sum(job.size_bytes for job in done),
        sum(job.published_size_bytes or 0 for job in done),
    )


def _row(job: Job) -> str:
    before, after = human_size(job.size_bytes), human_size(job.published_size_bytes or 0)
    cells = f"{before:>10}"
    if job.status is Status.COMPLETED:
        cells += f" -> {after:>10}  {percent(job.savings_ratio or 0):>6} smaller"
    return f"{_WORDS[job.status]:<14} {_short(job.file_name):<{NAME_WIDTH}} {cells}".rstrip()


def _detail(job: Job, link: str) -> str:
    if job.status is Status.COMPLETED:
        return link
    why = one_line(job.reason or "No reason was written down.")
    return f"{why} {link}" if job.published_key else f"{why} (job {job.job_id})"


def _short(name: str) -> str:
    plain = one_line(name).strip() or "A video without a name"
    return plain if len(plain) <= NAME_WIDTH else plain[: NAME_WIDTH - 3] + "..."


def _dollars(usd: float) -> str:
    return f"about ${usd:,.2f}" if usd >= 0.005 else "less than a cent"


def _footer(workflow: str) -> list[str]:
    return ["--", f"Slimreel, workflow “{workflow}”"]
