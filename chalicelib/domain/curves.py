"""What was measured and searched for a job, as charts want it. Documented in docs/api.md."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.job import Job
from chalicelib.domain.verdict import Decision


def curves(job: Job) -> dict[str, Any]:
    return {"quality_by_second": _by_second(job), "search": _search(job)}


def _by_second(job: Job) -> dict[str, Any] | None:
    """SSIM of each compared second of the result; of a refused one too, which the page says."""
    if job.measurement is None or not job.measurement.seconds:
        return None
    accepted = job.verdict is not None and job.verdict.decision is Decision.ACCEPT
    return {
        "metric": "SSIM",
        "floor": job.plan.ssim_floor if job.plan else None,
        "is_of_published": accepted,
        "points": [list(point) for point in job.measurement.seconds],
    }


def _search(job: Job) -> dict[str, Any] | None:
    """What the samples came to at each level that was tried, and what was chosen."""
    search = job.plan.search if job.plan else None
    if job.plan is None or search is None or not search.points:
        return None
    return {
        "metric": search.metric,
        "target": job.plan.target.mean,
        "points": [
            {"level": point.level, "score": point.mean, "bitrate_bps": point.bitrate_bps}
            for point in sorted(search.points, key=lambda point: point.level)
        ],
        "level": search.level,
        "predicted_score": search.predicted_mean,
        "predicted_bytes": search.predicted_bytes,
    }
