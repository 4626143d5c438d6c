"""The job: one version of a source through one workflow, and everything we know about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.measurement import Measurement
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.plan import Plan
from chalicelib.domain.verdict import Verdict


class Status(StrEnum):
    """Where a job stands; the values are what Airtable shows."""

    #: Accepted and on its way.
    PROCESSING = "Processing"
    #: A check failed; encoding again at a higher quality.
    RETRYING = "Retrying"
    #: A smaller, verified file is published.
    COMPLETED = "Completed"
    #: The original is what got published, and the reason says why.
    KEPT_ORIGINAL = "Kept original"
    #: Nothing was published; the reason says why and what to do.
    FAILED = "Failed"
    #: A person stopped it.
    CANCELLED = "Cancelled"

    @property
    def is_open(self) -> bool:
        return self in (Status.PROCESSING, Status.RETRYING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """How far the copy from Drive has come."""

    upload_id: str
    part_size_bytes: int
    done_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What MediaConvert said at the end of one attempt."""

    attempt: int
    encoder_job_id: str
    status: str  # COMPLETE, ERROR or CANCELED
    error_code: int | None = None
    error_message: str | None = None
    duration_ms: int | None = None
    average_bitrate_bps: int | None = None
    qvbr_average: float | None = None
    warnings: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Which of the source's metadata the result carries again."""

    restored: bool
    fields: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A step that began. ISO 8601 UTC with milliseconds."""

    step: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job record. Times are ISO 8601 in UTC; sizes are bytes; None means not known yet."""

    job_id: str
    workflow: str
    run: int
    status: Status
    # the source, as Drive told us
    file_id: str
    folder_id: str
    file_name: str
    mime_type: str
    version_key: str
    size_bytes: int
    md5: str | None = None
    uploader: str | None = None
    source_url: str | None = None
    uploaded_at: str | None = None
    # the course of things
    created_at: str
    updated_at: str
    started_at: str | None = None
    completed_at: str | None = None
    execution_started: bool = False
    step: str | None = None
    timeline: tuple[Moment, ...] = ()
    fetched: Fetched | None = None
    source_key: str | None = None
    facts: MediaFacts | None = None
    attempt: int = 0
    first_attempt: int = 1
    encoder_faults: int = 0
    plan: Plan | None = None
    task_token: str | None = None
    encoder_job_id: str | None = None
    encode_percent: int | None = None
    outcome: Outcome | None = None
    restored: Restored | None = None
    result_key: str | None = None
    result_size_bytes: int | None = None
    encoder_ssim_mean: float | None = None
    measurement: Measurement | None = None
    verdict: Verdict | None = None
    # the end
    published_key: str | None = None
    published_size_bytes: int | None = None
    cost_usd: float | None = None
    reason: str | None = None
    error: str | None = None
    notices_sent: tuple[str, ...] = ()
    # the Airtable row
    row_version: int = 0
    synced_version: int = 0
    row_id: str | None = None

    @property
    def preset(self) -> str | None:
        return self.plan.preset if self.plan else None

    @property
    def savings_bytes(self) -> int | None:
        if self.published_size_bytes is None:
            return None
        return self.size_bytes - self.published_size_bytes

    @property
    def savings_ratio(self) -> float | None:
        """Share of the original that was saved: 0.9 is 90 % smaller."""
        if self.published_size_bytes is None or self.size_bytes <= 0:
            return None
        return 1 - self.published_size_bytes / self.size_bytes
