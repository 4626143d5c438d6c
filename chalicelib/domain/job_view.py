"""A job as the HTTP API shows it. Documented in docs/api.md.

A field that is null has no value yet; none is ever left out. Task tokens, upload ids and keys in
our buckets are nobody's business and are not here.
"""

from __future__ import annotations

from typing import Any

from chalicelib.domain.callback import Callback
from chalicelib.domain.codec import to_plain
from chalicelib.domain.job import Job
from chalicelib.domain.job_list import JobSummary
from chalicelib.domain.verdict import Decision
from chalicelib.domain.write_back import not_in_drive


def job_view(job: Job, *, link: str | None, row_url: str | None = None) -> dict[str, Any]:
    """
    Args:
        link: the permanent link to what is published, where something is.
        row_url: where a person sees its row.
    """
    return {
        "job_id": job.job_id,
        "run": job.run,
        "workflow": job.workflow,
        "status": job.status.value,
        "is_open": job.status.is_open,
        "reason": job.reason,
        "waiting": job.waiting,
        "error": job.error,
        "file": _file(job),
        "preset": job.preset or job.wanted_preset,
        "plan": _plan(job),
        "progress": _progress(job),
        "quality": _quality(job),
        "published": _published(job, link),
        "drive_copy": _drive_copy(job),
        "result_deleted": job.result_deleted,
        "row_url": row_url,
        "review": _review(job),
        "cost_usd": job.cost_usd,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "timeline": [to_plain(moment) for moment in job.timeline],
        "callbacks": [_callback(callback) for callback in job.callbacks],
        "requests": [{"preset": None, **to_plain(request)} for request in job.requests],
    }


def summary_view(job: JobSummary) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "run": job.run,
        "workflow": job.workflow,
        "status": job.status.value,
        "is_open": job.status.is_open,
        "reason": job.reason,
        "waiting": job.waiting,
        "file_name": job.file_name,
        "size_bytes": job.size_bytes,
        "published_size_bytes": job.published_size_bytes,
        "uploader": job.uploader,
        "cost_usd": job.cost_usd,
        "created_at": job.created_at,
        "completed_at": job.completed_at,
        "ended_in": job.ended_in,
    }


def _file(job: Job) -> dict[str, Any]:
    return {
        "id": job.file_id,
        "name": job.file_name,
        "size_bytes": job.size_bytes,
        "url": job.source_url,
        "uploader": job.uploader,
        "uploaded_at": job.uploaded_at,
        "duration_s": job.facts.duration_s if job.facts else None,
        "resolution": job.facts.resolution if job.facts else None,
    }


def _callback(callback: Callback) -> dict[str, Any]:
    """The whole address is a secret of whoever gave it."""
    return {
        "origin": callback.origin,
        "told_at": callback.told_at,
        "tries": callback.tries,
        "problem": callback.problem,
    }


def _plan(job: Job) -> dict[str, Any] | None:
    if job.plan is None:
        return None
    return {
        "route": job.plan.route.value,
        "reasons": list(job.plan.reasons),
        "losses": list(job.plan.losses),
        # Of the last attempt, whose reasons may say only what is other than in the one before.
        "codec": job.plan.codec,
        "qvbr_level": job.plan.qvbr_level,
        "max_bitrate_bps": job.plan.max_bitrate_bps,
    }


def _progress(job: Job) -> dict[str, Any]:
    return {
        "step": job.step,
        "attempt": job.attempt,
        "copied_bytes": job.fetched.done_bytes if job.fetched else None,
        "encode_percent": job.encode_percent,
    }


def _quality(job: Job) -> dict[str, Any] | None:
    """Of what is published; a result that was refused says nothing about the original."""
    accepted = job.verdict is not None and job.verdict.decision is Decision.ACCEPT
    score = job.measurement.score if job.measurement and accepted else None
    if job.measurement is None or score is None:
        return None
    return {
        "ssim_mean": score.mean,
        "ssim_worst_1_percent": score.worst_1_percent,
        "scores": [to_plain(one) for one in job.measurement.scores],
        "measured_by": job.measurement.measured_by,
        "coverage": job.measurement.coverage,
    }


def _review(job: Job) -> dict[str, Any] | None:
    if job.review is None:
        return None
    review = job.review
    return {
        "choice": review.choice,
        "by": review.by,
        "at": review.at,
        "answer": review.answer,
        "is_approved": job.approved is not None,
    }


def _drive_copy(job: Job) -> dict[str, Any] | None:
    """Of what is published, where the workflow wants it in Drive."""
    back = job.way_back
    if back is None:
        return None
    return {
        "url": back.url,
        "name": back.name,
        "written_at": back.written_at,
        "problem": not_in_drive(back),
    }


def _published(job: Job, link: str | None) -> dict[str, Any] | None:
    if job.published_key is None:
        return None
    return {
        "url": link,
        "size_bytes": job.published_size_bytes,
        "savings_bytes": job.savings_bytes,
        "savings_ratio": job.savings_ratio,
        "run": job.published_run,
    }
