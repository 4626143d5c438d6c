"""Emails: one per job and kind, each useful by itself.

SNS takes subjects of printable ASCII under 100 characters; file names are neither, so the subject
carries a tamed name and the body the real one, on one line.
Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from chalicelib.domain.choice import found_words
from chalicelib.domain.job import Job, Status
from chalicelib.domain.keys import extension
from chalicelib.domain.losses import unsaid
from chalicelib.domain.money import Prices, storage_usd_per_month
from chalicelib.domain.score import QualityScore
from chalicelib.domain.text import clock, human_size, minutes_and_seconds, one_line, percent
from chalicelib.domain.write_back import not_in_drive

SUBJECT_LIMIT = 99
KINDS = {
    Status.PROCESSING: "started",
    Status.RETRYING: "started",
    Status.COMPLETED: "completed",
    Status.KEPT_ORIGINAL: "kept",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An email as SNS sends it. `kind` is one of `KINDS`."""

    kind: str
    workflow: str
    subject: str
    body: str


def notice(job: Job, *, link: str, prices: Prices) -> Notice | None:
    """The email for the state the job is in; None for states nobody is told about."""
    kind = KINDS.get(job.status)
    if kind is None:
        return None
    title, lines = _CONTENT[kind](job, link, prices)
    body = "\n".join([title, "", *lines, "", *_footer(job)])
    return Notice(kind=kind, workflow=job.workflow, subject=_subject(kind, job), body=body)


def dropped_again_notice(job: Job) -> Notice:
    """The email when somebody drops again what failed or was cancelled, and it is the same still.

    Without it they would wait for something that does not come.
    """
    ended = "was cancelled" if job.status is Status.CANCELLED else "failed"
    body = [
        f"{_name(job)} was dropped again, and it is the very same content that {ended} before.",
        "",
        "It is not tried again by itself.",
        _why(job),
        "",
        "What to do next: change the file and drop it anew; it is picked up by itself. Or have "
        f"this very content tried again: slimreel retry {job.job_id}",
        "",
        *_footer(job),
    ]
    return Notice(
        kind=KINDS[job.status],
        workflow=job.workflow,
        subject=_headed("Dropped again", job),
        body="\n".join(body),
    )


def plain_ascii(text: str, limit: int) -> str:
    """Printable ASCII on one line, shortened with an ellipsis of dots.

    >>> plain_ascii("Szene\\n4 – Über", 20)
    'Szene 4 - Uber'
    """
    tamed = text.replace("–", "-").replace("—", "-")
    tamed = unicodedata.normalize("NFKD", tamed).encode("ascii", "ignore").decode()
    tamed = " ".join("".join(c if c.isprintable() else " " for c in tamed).split())
    return tamed if len(tamed) <= limit else tamed[: limit - 3].rstrip() + "..."


def _subject(kind: str, job: Job) -> str:
    lead = {
        "started": "Started",
        "completed": f"{_percent(job)} smaller",
        "kept": "Original kept",
        "failed": "Failed",
        "cancelled": "Cancelled",
    }[kind]
    return _headed(lead, job)


def _headed(lead: str, job: Job) -> str:
    start = f"{lead}: "
    name = plain_ascii(job.file_name, SUBJECT_LIMIT - len(start))
    # Of a name in another script, only its extension and the odd bracket may be left.
    stem = job.file_name[: len(job.file_name) - len(extension(job.file_name))]
    readable = any(c.isalnum() for c in plain_ascii(stem, SUBJECT_LIMIT))
    return start + (name if readable else "video")


def _percent(job: Job) -> str:
    return percent(job.savings_ratio or 0)


def _name(job: Job) -> str:
    return one_line(job.file_name).strip() or "A video without a name"


def _why(job: Job) -> str:
    return f"Why: {one_line(job.reason or 'no reason was written down.')}"


def _dollars(usd: float) -> str:
    return f"about ${usd:.2f}" if usd >= 0.005 else "less than a cent"


def _completed(job: Job, link: str, prices: Prices) -> tuple[str, list[str]]:
    saved = job.savings_bytes or 0
    published = job.published_size_bytes or 0
    lines = [
        f"{human_size(job.size_bytes)} became {human_size(published)}: "
        f"{_percent(job)} smaller, {human_size(saved)} saved.",
        f"That saves {_dollars(storage_usd_per_month(saved, prices))} in S3 every month.",
    ]
    if job.plan and job.plan.search and job.plan.search.level is not None:
        lines.append(found_words(job.plan.search))
        if job.plan.qvbr_level != job.plan.search.level:
            lines.append(f"Put right by what was measured: {one_line(job.plan.reasons[0])}")
    if job.measurement and job.measurement.scores:
        figures = "; ".join(_figures(score) for score in job.measurement.scores)
        lines.append(f"Quality: {figures}. Measured by Slimreel against your original.")
    lines += ["", f"Watch or download: {link}", *_in_drive(job)]
    said = job.plan.losses if job.plan else ()
    lost = [*said, *unsaid(said, job.restored.lost if job.restored else ())]
    if lost:
        lines += ["", "What could not be carried over:", *(f"- {one_line(what)}" for what in lost)]
    if job.measurement and job.measurement.notes:
        lines += ["", "What was noticed:", *(f"- {note}" for note in job.measurement.notes)]
    lines += ["", "What to do next: review the video and its row. Your original is untouched."]
    return f"{_name(job)} is compressed and checked.", lines


def _in_drive(job: Job) -> list[str]:
    back = job.way_back
    if back is None:
        return []
    if back.url is not None:
        return [f"In Google Drive: {one_line(back.name or '')} {back.url}"]
    said = not_in_drive(back) or "It is being put into Google Drive; its row will say where."
    return ["", one_line(said)]


def _figures(score: QualityScore) -> str:
    digits = 1 if score.metric == "VMAF" else 3
    return (
        f"{score.metric} {score.mean:.{digits}f} on average, {score.worst_1_percent:.{digits}f} in "
        f"the worst 1 % of frames, {score.worst_second:.{digits}f} in the worst second, at "
        f"{clock(score.worst_second_at_s)}"
    )


def _kept(job: Job, link: str, prices: Prices) -> tuple[str, list[str]]:
    lines = [
        _why(job),
        "",
        f"The original ({human_size(job.size_bytes)}) was published as it is: {link}",
        "",
        "What to do next: nothing, unless you expected a smaller file. "
        "Then choose another preset for this workflow.",
    ]
    return f"{_name(job)} was not compressed; the original is published.", lines


def _failed(job: Job, link: str, prices: Prices) -> tuple[str, list[str]]:
    lines = [
        _why(job),
        "",
        f"Nothing is lost: your original is untouched in {job.home}.",
        "",
        *_still_published(job, link),
        "What to do next: check that the video plays on your computer. If it does not, export it "
        "again and upload the new file; it is picked up by itself. If it does, send this email "
        "to whoever looks after Slimreel.",
    ]
    if job.source_url:
        lines += ["", f"In {job.home}: {job.source_url}"]
    return f"{_name(job)} could not be processed.", lines


def _cancelled(job: Job, link: str, prices: Prices) -> tuple[str, list[str]]:
    lines = [
        one_line(job.reason or "Somebody cancelled it."),
        "",
        *_still_published(job, link),
        f"Your original is untouched in {job.home}.",
        "",
        f"What to do next: nothing. To have it processed after all: slimreel retry {job.job_id}",
    ]
    return f"{_name(job)} was cancelled.", lines


def _still_published(job: Job, link: str) -> list[str]:
    if job.published_key is None or job.published_run == job.run:
        return []
    return [f"The result of an earlier run is still published: {link}", ""]


def _started(job: Job, link: str, prices: Prices) -> tuple[str, list[str]]:
    lines = [
        f"{human_size(job.size_bytes)}, uploaded by {one_line(job.uploader or 'someone')}.",
        "You will get another email when it is done.",
    ]
    return f"{_name(job)} is being processed.", lines


def _footer(job: Job) -> list[str]:
    lines = [f"Job {job.job_id}, workflow “{job.workflow}”"]
    if job.preset:
        lines[0] += f", preset “{job.preset}”"
    if job.uploader:
        lines.append(f"Uploaded by {one_line(job.uploader)}")
    if job.started_at and job.completed_at:
        lines.append(f"Took {minutes_and_seconds(job.started_at, job.completed_at)}")
    return ["--", *lines]


_CONTENT = {
    "started": _started,
    "completed": _completed,
    "kept": _kept,
    "failed": _failed,
    "cancelled": _cancelled,
}
