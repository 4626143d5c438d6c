"""The report at the end of a job: one value, shown in the terminal or written as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from chalicelib.config import price_table
from chalicelib.domain.codec import to_plain
from chalicelib.domain.job import Job, Status
from chalicelib.domain.money import months_to_pay_back, storage_usd_per_month
from chalicelib.domain.text import clock, human_size, seconds_between

_COLOUR = {
    Status.COMPLETED: "green",
    Status.KEPT_ORIGINAL: "cyan",
    Status.FAILED: "red",
    Status.CANCELLED: "yellow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """How long a step took, from its start to the start of the next."""

    step: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """An email as it was sent."""

    subject: str
    to: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything about one finished job. Documented in docs/report.md.

    Sizes are bytes, times seconds, money US dollars; None means there is no such figure.
    """

    job_id: str
    status: str
    reason: str | None
    error: str | None
    file_name: str
    original_size_bytes: int
    compressed_size_bytes: int | None
    savings_bytes: int | None
    savings_percent: float | None
    storage_saved_usd_per_month: float | None
    encode_cost_usd: float | None
    pays_back_after_months: float | None
    prices_as_of: str
    duration_s: float | None
    processing_s: float | None
    resolution: str | None
    preset: str | None
    qvbr_level: float | None
    max_bitrate_bps: int | None
    attempts: int
    search: Mapping[str, Any] | None
    why: tuple[str, ...]
    losses: tuple[str, ...]
    ssim_mean: float | None
    ssim_worst_1_percent: float | None
    scores: tuple[Mapping[str, Any], ...]
    ssim_measured_by: str | None
    ssim_coverage: float | None
    encoder_ssim_mean: float | None
    metadata_restored: tuple[str, ...]
    metadata_lost: tuple[str, ...]
    output_path: str | None
    steps: tuple[StepTime, ...]
    airtable_row: Mapping[str, Any] | None
    email: Email | None

    @property
    def ended_well(self) -> bool:
        return self.status in (Status.COMPLETED, Status.KEPT_ORIGINAL)

    def as_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


def report(
    job: Job,
    *,
    output_path: str | None,
    airtable_row: Mapping[str, Any] | None,
    email: Email | None,
) -> Report:
    """Put the report of a closed job together."""
    plan, restored = job.plan, job.restored
    completed = job.status is Status.COMPLETED
    # What was measured on a result that is not published is no property of what is.
    measurement = job.measurement if completed else None
    score = measurement.score if measurement else None
    saved = job.savings_bytes
    prices = price_table()
    ratio = job.savings_ratio
    return Report(
        job_id=job.job_id,
        status=job.status.value,
        reason=job.reason,
        error=job.error,
        file_name=job.file_name,
        original_size_bytes=job.size_bytes,
        compressed_size_bytes=job.published_size_bytes,
        savings_bytes=saved,
        savings_percent=None if ratio is None else round(100 * ratio, 2),
        storage_saved_usd_per_month=None if saved is None else storage_usd_per_month(saved, prices),
        encode_cost_usd=None if job.cost_usd is None else round(job.cost_usd, 6),
        pays_back_after_months=months_to_pay_back(job.cost_usd or 0, saved or 0, prices),
        prices_as_of=prices.as_of,
        duration_s=job.facts.duration_s if job.facts else None,
        processing_s=_processing_s(job),
        resolution=job.facts.resolution if job.facts else None,
        preset=plan.preset if plan else None,
        qvbr_level=plan.qvbr_level if plan else None,
        max_bitrate_bps=plan.max_bitrate_bps if plan else None,
        attempts=job.attempt,
        search=_search(job),
        why=plan.reasons if plan else (),
        losses=plan.losses if plan else (),
        ssim_mean=score.mean if score else None,
        ssim_worst_1_percent=score.worst_1_percent if score else None,
        scores=tuple(to_plain(one) for one in measurement.scores) if measurement else (),
        ssim_measured_by=measurement.measured_by if measurement else None,
        ssim_coverage=measurement.coverage if measurement else None,
        encoder_ssim_mean=job.encoder_ssim_mean if completed else None,
        metadata_restored=restored.fields if restored and completed else (),
        metadata_lost=restored.lost if restored and completed else (),
        output_path=output_path,
        steps=tuple(step_times(job)),
        airtable_row=airtable_row,
        email=email,
    )


def _search(job: Job) -> dict[str, Any] | None:
    """What the samples came to, and what was made of it."""
    search = job.plan.search if job.plan else None
    if search is None or not search.is_over:
        return None
    return {
        "level": search.level,
        "metric": search.metric,
        "predicted_score": search.predicted_mean,
        "predicted_size_bytes": search.predicted_bytes,
        "work_percent": round(100 * search.work_share, 1),
        "curve": [to_plain(point) for point in search.points],
    }


def step_times(job: Job) -> Iterator[StepTime]:
    """Each step's time, in order; a step that ran twice is there twice."""
    ends = [moment.at for moment in job.timeline[1:]] + [job.completed_at or job.updated_at]
    for moment, end in zip(job.timeline, ends, strict=False):
        yield StepTime(step=moment.step, seconds=max(0.0, seconds_between(moment.at, end)))


def _processing_s(job: Job) -> float | None:
    if not job.started_at or not job.completed_at:
        return None
    return seconds_between(job.started_at, job.completed_at)


def render(report: Report) -> RenderableType:
    """The report for a terminal."""
    colour = _COLOUR.get(Status(report.status), "white")
    parts: list[RenderableType] = [Text(report.status, style=f"bold {colour}")]
    parts.append(Text(report.reason or ""))
    if report.compressed_size_bytes is not None:
        parts += ["", _sizes(report)]
    parts += ["", _facts(report)]
    panels: list[RenderableType] = [
        Panel(Group(*parts), title=escape(report.file_name), border_style=colour, padding=(1, 2))
    ]
    if report.airtable_row:
        panels.append(Panel(_row(report.airtable_row), title="Airtable row", border_style="dim"))
    if report.email:
        panels.append(Panel(_email(report.email), title="Email, as sent", border_style="dim"))
    return Group(*panels)


def _sizes(report: Report) -> RenderableType:
    """Two bars in proportion, and the saving in words."""
    before, after = report.original_size_bytes, report.compressed_size_bytes or 0
    width = 40
    table = Table.grid(padding=(0, 2))
    table.add_row("before", Text("█" * width, style="dim"), human_size(before))
    length = max(1, round(width * after / max(before, 1)))
    table.add_row("after", Text("█" * min(length, width), style="green"), human_size(after))
    if report.savings_bytes and report.savings_bytes > 0:
        worth = report.storage_saved_usd_per_month or 0
        table.add_row(
            "saved",
            Text(f"{report.savings_percent:.1f} %, {human_size(report.savings_bytes)}", "bold"),
            f"≈ ${worth:.4f} a month in S3",
        )
    return table


def _facts(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in _fact_lines(report):
        table.add_row(name, Text(value))
    return table


def _fact_lines(report: Report) -> Iterator[tuple[str, str]]:
    if report.ssim_mean is not None:
        worst = report.ssim_worst_1_percent or 0
        yield "quality", f"SSIM {report.ssim_mean:.4f}, worst 1 % of frames {worst:.4f}"
        yield from (("", line) for line in _more_figures(report))
        share = report.ssim_coverage or 0
        yield (
            "",
            f"measured by Slimreel on {100 * share:.0f} % of the film ({report.ssim_measured_by})",
        )
    if report.encoder_ssim_mean is not None:
        yield "", f"the encoder's own report: SSIM {report.encoder_ssim_mean:.4f}"
    if report.duration_s is not None:
        yield "video", f"{report.duration_s:.2f} s, {report.resolution}"
    for number, reason in enumerate(report.why):
        yield ("why" if number == 0 else ""), reason
    for number, loss in enumerate(report.losses):
        yield ("not carried" if number == 0 else ""), loss
    if report.metadata_restored:
        yield "put back", ", ".join(report.metadata_restored)
    if report.metadata_lost:
        yield "lost", ", ".join(report.metadata_lost)
    if report.processing_s is not None:
        steps = ", ".join(f"{s.step} {s.seconds:.1f}" for s in report.steps)
        yield "took", f"{report.processing_s:.1f} s ({steps})"
    if report.encode_cost_usd:
        months = report.pays_back_after_months
        back = f", paid back by {months:,.0f} months of storage" if months else ""
        yield "would cost", f"≈ ${report.encode_cost_usd:.4f} on MediaConvert{back}"
        yield "", f"(price table of {report.prices_as_of})"
    if report.output_path:
        yield "file", report.output_path
    if report.error:
        yield "details", report.error
    yield "job", report.job_id


def _more_figures(report: Report) -> Iterator[str]:
    """The worst second of each metric, and all of VMAF."""
    for score in report.scores:
        digits = 1 if score["metric"] == "VMAF" else 4
        figures = f"worst second {score['worst_second']:.{digits}f}"
        figures += f" at {clock(score['worst_second_at_s'])}"
        if score["metric"] == "SSIM":
            yield figures
        else:
            worst = score["worst_1_percent"]
            yield f"VMAF {score['mean']:.1f}, worst 1 % of frames {worst:.1f}, {figures}"


def _row(row: Mapping[str, Any]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in row.items():
        shown = f"{100 * value:.1f} %" if name == "Savings (%)" else str(value)
        table.add_row(name, Text(shown))
    return table


def _email(email: Email) -> RenderableType:
    head = Table.grid(padding=(0, 2))
    head.add_column(style="dim")
    head.add_column()
    head.add_row("To", Text(email.to))
    head.add_row("Subject", Text(email.subject, style="bold"))
    return Group(head, "", Text(email.body.strip()))
