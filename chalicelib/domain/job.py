"""The job: one version of a source through one workflow, and everything we know about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.callback import Callback
from chalicelib.domain.measurement import Measurement
from chalicelib.domain.media import MediaFacts
from chalicelib.domain.plan import Plan
from chalicelib.domain.review import Approval, Review
from chalicelib.domain.verdict import Verdict
from chalicelib.domain.write_back import WriteBack


class Status(StrEnum):
    """Where a job stands; the values are what Airtable shows."""

    #: Accepted and on its way.
    PROCESSING = "Processing"
    #: Encoding again: a check failed, or the result was better than it has to be.
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
    """How far the copy from Drive has come, and the check of it.

    Attributes:
        upload_id: of the multipart upload; None while there is none.
        hashed_bytes, md5_state: the MD5 over so many first bytes, to go on with.
        hashed_tag: names the bytes it was made of; see `chalicelib.fetching.hashing`.
        wrong_copies: how many copies were not what Drive's checksum says.
    """

    upload_id: str | None = None
    part_size_bytes: int = 0
    done_bytes: int = 0
    hashed_bytes: int = 0
    md5_state: str | None = None
    hashed_tag: str | None = None
    wrong_copies: int = 0


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
class Contender:
    """An attempt's result that was kept aside, while another is made.

    Attributes:
        verdict: where it passed every check and only a leaner one is looked for; None where it
            missed its target, and the better of the two is published as a best effort.
    """

    plan: Plan
    measurement: Measurement
    restored: Restored | None
    result_key: str
    result_size_bytes: int
    encoder_ssim_mean: float | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A step that began. ISO 8601 UTC with milliseconds."""

    step: str
    at: str
    run: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a person asked of a job.

    Attributes:
        action: "submit", "cancel", "retry", or what was chosen in the table.
        by: who, as far as the door they came through knows.
        run: the run it stopped or began.
        preset: the preset they chose; None where they left that to the workflow.
    """

    action: str
    by: str
    at: str
    run: int
    preset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job record. Times are ISO 8601 in UTC; sizes are bytes; None means not known yet.

    Attributes:
        file_id: Drive's, or `s3://bucket/key` of what was submitted from S3.
        revision_id: Drive's name of the upload that brought this content; S3's ETag.
        withdrawn_at: when the file was found to be gone or replaced before it was copied.
        left_at: when the file was seen in the bin or elsewhere after the job had failed.
        dropped_again_at: when it came back unchanged after that.
        ended_in: the step in which a job failed.
        earlier_cost_usd, earlier_size_bytes: cost of the runs before this one, and the size of what
            they published: what this run did is what has changed since.
        saved_bytes: of what is published; what lists are sorted by.
        wanted_preset: a person's choice, in place of the workflow's preset.
        wants_original: why this run is to publish the original: a sentence for people.
        requests: what people asked of the job, oldest first.
        review: what a person chose in the table last, and what came of it.
        review_shown: the number of the last review whose choice was taken off the row.
        approved: by whom what is published was found good.
        result_deleted: why there is nothing at the link any more: a sentence for people.
        source_run: the run whose copy of the source is used; a retry of a failed run keeps it.
        callbacks: who is called once a run has ended.
        attempt: of encoding; it grows over all runs, so no event of an earlier one fits a later.
        searching: the attempt encodes samples, to find the setting.
        waiting: a sentence for people: what an open job waits for before it goes on.
        encode_claim: names the first invocation that may have created the attempt's encode; None
            while there is none.
        reserved_for: the encode, counted over all runs, whose cost the day's budget holds already.
        published_run: the run that published `published_key`.
        copy_under_way: the copy to the compressed bucket that was begun, where it takes several
            invocations.
        write_back: the way of a published result into Drive, where the workflow wants it there.
        link_number: how many links to the result were revoked.
        litter: keys in the compressed bucket that are not the result: a copy that was begun and not
            published, or a result that a later run's has replaced.
        notices_sent: emails, as "run:kind".
        digest_since: when its email was put off until the next digest.
        notice_claim: the email that somebody began to send last: "run:kind", when, by whom.
    """

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
    revision_id: str | None = None
    withdrawn_at: str | None = None
    left_at: str | None = None
    dropped_again_at: str | None = None
    # what people want
    wanted_preset: str | None = None
    wants_original: str | None = None
    requests: tuple[Request, ...] = ()
    review: Review | None = None
    review_shown: int = 0
    approved: Approval | None = None
    result_deleted: str | None = None
    callbacks: tuple[Callback, ...] = ()
    # the course of things
    created_at: str
    updated_at: str
    started_at: str | None = None
    completed_at: str | None = None
    execution_started: bool = False
    step: str | None = None
    timeline: tuple[Moment, ...] = ()
    fetched: Fetched | None = None
    source_run: int = 1
    source_key: str | None = None
    facts: MediaFacts | None = None
    attempt: int = 0
    first_attempt: int = 1
    searching: bool | None = None
    encoder_faults: int = 0
    plan: Plan | None = None
    waiting: str | None = None
    reserved_for: int | None = None
    task_token: str | None = None
    encode_claim: str | None = None
    encoder_job_id: str | None = None
    encode_percent: int | None = None
    outcome: Outcome | None = None
    restored: Restored | None = None
    result_key: str | None = None
    result_size_bytes: int | None = None
    encoder_ssim_mean: float | None = None
    measurement: Measurement | None = None
    verdict: Verdict | None = None
    runner_up: Contender | None = None
    # the end
    published_key: str | None = None
    published_size_bytes: int | None = None
    published_run: int | None = None
    copy_under_way: str | None = None
    write_back: WriteBack | None = None
    link_number: int = 0
    litter: tuple[str, ...] = ()
    cost_usd: float | None = None
    earlier_cost_usd: float | None = None
    earlier_size_bytes: int | None = None
    saved_bytes: int | None = None
    reason: str | None = None
    error: str | None = None
    ended_in: str | None = None
    notices_sent: tuple[str, ...] = ()
    notice_claim: str | None = None
    digest_since: str | None = None
    # the Airtable row
    row_version: int = 0
    synced_version: int = 0
    row_id: str | None = None

    @property
    def home(self) -> str:
        """Where the original is, in words."""
        return "S3" if self.file_id.startswith("s3://") else "Google Drive"

    @property
    def preset(self) -> str | None:
        return self.plan.preset if self.plan else None

    @property
    def way_back(self) -> WriteBack | None:
        """Into Drive, of what is published; None where that is nothing of ours there."""
        back = self.write_back
        if self.published_key is None or back is None or back.run != self.published_run:
            return None
        return back

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
