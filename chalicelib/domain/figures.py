"""The figures a stage is watched by, and the log line that carries them to CloudWatch.

CloudWatch reads figures out of log lines in its embedded metric format, so nothing is called and
nothing can fail. A line that comes twice counts twice, and one whose process died before it counts
not at all: they are for dashboards and alarms, records are for the truth.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from chalicelib.domain.job import Job, Status
from chalicelib.domain.money import Prices, storage_usd_per_month
from chalicelib.domain.text import parse_iso

NAMESPACE = "Slimreel"

#: Every figure with its unit. CloudWatch has no unit for money or for SSIM.
UNITS: Mapping[str, str] = {
    # Of each run of a job that ends: 1, and 1 under how it ended.
    "Videos": "Count",
    "Completed": "Count",
    "KeptOriginal": "Count",
    "Failed": "Count",
    "Cancelled": "Count",
    # From the first step of the run to its end.
    "ProcessingTime": "Seconds",
    # Mean SSIM of what was published smaller, from 0 to 1.
    "Quality": "None",
    # Of what was published, smaller or not: the original's size, and how much of it was saved.
    "SourceBytes": "Bytes",
    "SavedBytes": "Bytes",
    # What storing those bytes would cost each month, in US dollars by estimate.
    "SavedUsdPerMonth": "None",
    # Of each encode and search that completed, in US dollars by estimate.
    "CostUsd": "None",
    # Now and then counted: jobs that have not ended; those of them that have not moved for a day.
    "OpenVideos": "Count",
    "StuckVideos": "Count",
    # Of each notification from Drive that came through our channel.
    "DriveNotifications": "Count",
    # Now and then counted: rows Airtable lacks; rows it has; their share of what the plan allows.
    "RowsBehind": "Count",
    "AirtableRows": "Count",
    "AirtableFull": "Percent",
}
#: Each of these is a metric of its own, and charged as one, for every workflow.
BY_WORKFLOW = frozenset({"Videos", "Failed"})

_ENDS = {
    Status.COMPLETED: "Completed",
    Status.KEPT_ORIGINAL: "KeptOriginal",
    Status.FAILED: "Failed",
    Status.CANCELLED: "Cancelled",
}


def of_ended(job: Job, prices: Prices) -> dict[str, float]:
    """What the end of a job's run adds."""
    figures: dict[str, float] = {"Videos": 1}
    figures |= {name: float(job.status is status) for status, name in _ENDS.items()}
    if job.started_at and job.completed_at:
        took = parse_iso(job.completed_at) - parse_iso(job.started_at)
        figures["ProcessingTime"] = max(took.total_seconds(), 0.0)
    if job.status in (Status.COMPLETED, Status.KEPT_ORIGINAL) and job.savings_bytes is not None:
        saved_bytes = max(job.savings_bytes, 0)
        figures["SourceBytes"], figures["SavedBytes"] = job.size_bytes, saved_bytes
        figures["SavedUsdPerMonth"] = storage_usd_per_month(saved_bytes, prices)
    score = job.measurement.score if job.measurement else None
    if job.status is Status.COMPLETED and score is not None:
        figures["Quality"] = score.mean
    return figures


def line(
    figures: Mapping[str, float],
    *,
    at: datetime,
    stage: str,
    workflow: str | None = None,
    about: Mapping[str, str | int | None] | None = None,
) -> str:
    """One line of JSON that CloudWatch takes the figures from.

    Args:
        about: what else a person who reads the log wants to know; no figure is told apart by it.

    Raises:
        KeyError: a figure that `UNITS` does not have.
    """
    directives = [_directive(("Stage",), [*figures])]
    split = [name for name in figures if name in BY_WORKFLOW]
    if workflow is not None and split:
        directives.append(_directive(("Stage", "Workflow"), split))
    return json.dumps(
        {
            **{name: value for name, value in (about or {}).items() if value is not None},
            **figures,
            "Stage": stage,
            **({"Workflow": workflow} if workflow is not None else {}),
            "_aws": {
                "Timestamp": int(at.timestamp() * 1000),
                "CloudWatchMetrics": directives,
            },
        }
    )


def _directive(dimensions: tuple[str, ...], names: list[str]) -> dict[str, object]:
    return {
        "Namespace": NAMESPACE,
        "Dimensions": [dimensions],
        "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in names],
    }
