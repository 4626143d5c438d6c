"""A job as its Airtable row."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.control import moment
from chalicelib.domain.job import Job
from chalicelib.domain.review import answer_words
from chalicelib.domain.row import ANSWER_FIELD, DRIVE_COPY_FIELD, KEY_FIELD, REVIEW_FIELD
from chalicelib.domain.score import QualityScore
from chalicelib.domain.text import one_line, parse_iso, seconds_between
from chalicelib.domain.verdict import Decision
from chalicelib.domain.write_back import not_in_drive

MB = 1_000_000


def job_row(job: Job, *, link: str | None) -> dict[str, Any]:
    """The row's cells by field name; None clears a cell.

    Args:
        link: the permanent link to what was published, once something was.
    """
    ended = job.completed_at
    return {
        KEY_FIELD: job.job_id,
        "File Name": job.file_name,
        "Status": job.status.value,
        "Reason": _reason(job),
        "Original Size (MB)": round(job.size_bytes / MB, 2),
        "Compressed Size (MB)": _mb(job.published_size_bytes),
        "Savings (%)": job.savings_ratio,
        "Compression Ratio": _ratio(job),
        "Quality": _ssim(job),
        "Quality Note": quality_note(job),
        "Duration (seconds)": job.facts.duration_s if job.facts else None,
        "Resolution": resolution(job),
        "Preset": job.preset,
        "Original URL": job.source_url,
        "Compressed URL": link,
        "Original Uploader": job.uploader,
        "Upload Date": job.uploaded_at,
        "Processing Date": job.started_at,
        "Completion Date": ended,
        "Processing Time (minutes)": (
            round(seconds_between(job.started_at, ended) / 60, 2)
            if job.started_at and ended
            else None
        ),
        "Cost (USD)": job.cost_usd,
        "Error Message": job.error,
        **_review(job),
        **_drive_copy(job),
    }


def _review(job: Job) -> dict[str, str | None]:
    """The answer to the last review, once there was one: a base that was set up before reviews
    lacks these fields. The choice is emptied once, so that the next one is not emptied unread.
    """
    if job.review is None:
        return {}
    taken: dict[str, str | None] = {ANSWER_FIELD: answer_words(job.review)}
    return taken | {REVIEW_FIELD: None} if job.review.number > job.review_shown else taken


def _drive_copy(job: Job) -> dict[str, str | None]:
    """Once there was one: a base that was set up before lacks the field."""
    if job.write_back is None:
        return {}
    return {DRIVE_COPY_FIELD: job.way_back.url if job.way_back else None}


def quality_note(job: Job) -> str | None:
    """Who measured the quality, and its worst part."""
    score = _score(job)
    if job.measurement is None or score is None:
        return None
    note = (
        f"Measured by Slimreel ({job.measurement.measured_by}); "
        f"worst 1 %: {score.worst_1_percent:.3f}, worst second: {score.worst_second:.3f}"
    )
    if vmaf := job.measurement.vmaf:
        note += f"; VMAF: {vmaf.mean:.1f}, worst 1 %: {vmaf.worst_1_percent:.1f}"
    if job.encoder_ssim_mean is not None:
        note += f"; the encoder's own report: {job.encoder_ssim_mean:.3f}"
    return note


def resolution(job: Job) -> str | None:
    """`1920x1080`, or `3840x2160 → 1920x1080` where the published picture is smaller."""
    if job.facts is None or job.facts.resolution is None:
        return None
    before = job.facts.resolution
    if _accepted(job) and job.plan and job.plan.scaled:
        return f"{before} → {job.plan.width}x{job.plan.height}"
    return before


def _accepted(job: Job) -> bool:
    """Whether it is the result that is published; what was measured of a refused one says
    nothing about the original that is published in its place.
    """
    return job.verdict is not None and job.verdict.decision is Decision.ACCEPT


def _score(job: Job) -> QualityScore | None:
    return job.measurement.score if job.measurement and _accepted(job) else None


def _ssim(job: Job) -> float | None:
    score = _score(job)
    return score.mean if score else None


def _reason(job: Job) -> str | None:
    """What it waits for, or how it ended; and why these settings, while they matter to what is or
    will be published, with what they cost.
    """
    said = (dropped_again(job), job.waiting, job.reason, not_in_drive(job.way_back))
    lines = [line for line in said if line]
    if job.plan and (job.status.is_open or _accepted(job)):
        lost = [*job.plan.losses, *(job.restored.lost if job.restored else ())]
        lines += [*job.plan.reasons, *(f"Not carried over: {one_line(loss)}" for loss in lost)]
    if job.measurement and _accepted(job):
        lines += job.measurement.notes
    return "\n".join(lines) or None


def dropped_again(job: Job) -> str | None:
    """What to tell whoever dropped a file again that did not get through before."""
    if job.dropped_again_at is None:
        return None
    at = moment(parse_iso(job.dropped_again_at))
    return (
        f"Dropped again on {at} with the very same content, which is not tried again by itself. "
        f"Change the file, or ask for it: slimreel retry {job.job_id}. What happened before:"
    )


def _mb(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else round(size_bytes / MB, 2)


def _ratio(job: Job) -> float | None:
    if not job.published_size_bytes:
        return None
    return round(job.size_bytes / job.published_size_bytes, 3)
