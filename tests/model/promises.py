"""The model: what people did to their files, and what must be true once everything is quiet."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field

from chalicelib.domain.errors import JobClosed, Rejected, Temporary
from chalicelib.domain.job import Job, Status
from chalicelib.domain.notice import KINDS
from chalicelib.steps.sync import STATE
from tests.fakes import COMPRESSED, TEMP
from tests.model.cloud import Cloud
from tests.model.films import STORIES, is_result, story_of

ENDED_WELL = (Status.COMPLETED, Status.KEPT_ORIGINAL)
TIDIED = (*ENDED_WELL, Status.CANCELLED)


@dataclass
class File:
    """A Drive file as people see it."""

    name: str
    content: bytes
    in_inbox: bool = True
    trashed: bool = False

    @property
    def is_offered(self) -> bool:
        return self.in_inbox and not self.trashed


@dataclass
class Model:
    """What was done to the files, by nobody but people.

    Attributes:
        offered: every version that ever lay in the inbox: file id and content.
        withdrawn: those that at some time were replaced or in the bin.
        stopped: executions that somebody stopped behind our back.
        got_rubbish: whether Drive ever sent other bytes than the file's.
        unnamed: contents whose md5 Drive did not know when they came.
        cancelled: those whose cancelling was asked for, and whether it was promised.
    """

    files: dict[str, File] = field(default_factory=dict)
    offered: set[tuple[str, bytes]] = field(default_factory=set)
    withdrawn: set[tuple[str, bytes]] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    cancelled: dict[str, bool] = field(default_factory=dict)
    unnamed: set[bytes] = field(default_factory=set)
    got_rubbish: bool = False

    def changed(self, file_id: str) -> None:
        file = self.files[file_id]
        for version in self.offered:
            if version[0] == file_id and (file.trashed or version[1] != file.content):
                self.withdrawn.add(version)
        if file.is_offered:
            self.offered.add((file_id, file.content))


def job_in(published_key: str) -> str:
    return published_key.split("/")[1].partition(".")[0]


def all_jobs(cloud: Cloud) -> list[Job]:
    ids = [pk.removeprefix("job#") for pk, sk in cloud.world.records.items if sk == "job"]
    return [cloud.world.job(job_id) for job_id in ids]


def check_now(cloud: Cloud, model: Model) -> None:
    """True at every moment."""
    for (bucket, key), body in cloud.world.storage.objects.items():
        if bucket == COMPRESSED:
            job = cloud.world.job(job_in(key))
            content = content_of(model, job)
            good = any(is_result(body, content, n) for n in range(1, job.attempt + 1))
            assert body == content or good, f"{key} is no film of {job.file_name}: {body!r}"
    for file_id, file in model.files.items():
        assert cloud.world.drive.contents[file_id] == file.content, "the original was touched"


def check_quiet(cloud: Cloud, model: Model) -> None:
    """True once nothing goes on any more."""
    world, jobs = cloud.world, all_jobs(cloud)
    assert not list(world.records.open_jobs()), "a job is open for ever"
    assert not cloud.flows.running(), "an execution waits for ever"
    assert not list(world.records.unsynced_jobs()), "a row is not written"
    lease_until = world.records.state(*STATE).get("lease_until", 0)
    assert lease_until == 0, "the lease is not free"
    check_versions(model, jobs)
    for job in jobs:
        check_end(cloud, model, job)
        check_row(cloud, job)
    check_published(cloud, model, jobs)
    check_emails(cloud, jobs)
    check_leftovers(cloud, jobs)
    check_encodes(cloud)


def check_errors(cloud: Cloud) -> None:
    """Where nothing happened to a process, it says only what it means to say."""
    meant = (Rejected, JobClosed, Temporary)
    odd = [(what, error) for what, error in cloud.unprovoked if not isinstance(error, meant)]
    assert not odd, odd


def content_of(model: Model, job: Job) -> bytes:
    """Of the version that a job is about: its key is the md5, or ends in it."""
    [content] = {
        content
        for file_id, content in model.offered
        if file_id == job.file_id and job.version_key.endswith(hashlib.md5(content).hexdigest())
    }
    return content


def check_versions(model: Model, jobs: list[Job]) -> None:
    """Each version one job, no job without a version."""
    known = Counter((job.file_id, content_of(model, job)) for job in jobs)
    for file_id, file in model.files.items():
        if file.is_offered:
            assert known[file_id, file.content], f"{file.name} has no job"
    assert set(known) <= model.offered, "a job of no version"
    assert max(known.values(), default=0) <= 1, "two jobs of one version"


def check_end(cloud: Cloud, model: Model, job: Job) -> None:
    content, execution = content_of(model, job), f"{job.job_id}-{job.run}"
    due = STORIES[story_of(content)]
    assert job.reason, f"{job.file_name} ended without a reason"
    if job.status is Status.CANCELLED:
        assert execution in model.cancelled, f"nobody cancelled {job.file_name}"
        return
    assert not model.cancelled.get(execution), f"{job.file_name} was cancelled, and went on"
    if job.status is due:
        return
    assert job.status is Status.FAILED, f"{job.file_name}: {job.status} instead of {due}"
    file = model.files.get(job.file_id)  # none for what lies in S3
    is_back = file is not None and file.is_offered and file.content == content
    withdrawn = (job.file_id, content) in model.withdrawn and not is_back
    too_long = "!States.Timeout" in cloud.flows.executions[execution].history
    never_whole = model.got_rubbish and "checksum" in (job.error or "")
    by_others = execution in model.stopped or execution in cloud.felled
    forgiven = withdrawn or too_long or never_whole or by_others
    assert forgiven, f"{job.file_name}: {job.reason} ({job.error})"


def check_published(cloud: Cloud, model: Model, jobs: list[Job]) -> None:
    """One film for each job that ended well, of the right content; for the others at most what an
    earlier run has published.
    """
    objects = cloud.world.storage.objects
    there = Counter(job_in(key) for bucket, key in objects if bucket == COMPRESSED)
    for job in jobs:
        assert there[job.job_id] == (job.published_key is not None), job.file_name
        if job.status not in ENDED_WELL:
            assert job.published_run != job.run, job.file_name
            continue
        body = objects[COMPRESSED, str(job.published_key)]
        content = content_of(model, job)
        assert len(body) == job.published_size_bytes, job.file_name
        if job.status is Status.KEPT_ORIGINAL:
            assert body == content, job.file_name
        else:
            assert is_result(body, content, job.attempt), job.file_name


def check_row(cloud: Cloud, job: Job) -> None:
    row = cloud.world.airtable.rows[job.job_id]
    shown = row["Status"], row["File Name"], bool(row["Compressed URL"])
    assert shown == (job.status.value, job.file_name, bool(job.published_key)), "a row is wrong"


def check_emails(cloud: Cloud, jobs: list[Job]) -> None:
    """One for each end, unless the process was lost in the very act of sending it."""
    sent: Counter[tuple[str, str]] = Counter()
    about_ends = [n for n in cloud.world.topic.sent if not n.subject.startswith("Dropped again")]
    for notice in about_ends:
        if notice.kind in ("alert", "summary"):
            continue  # about Slimreel or a week, and no job
        found = re.search(r"^Job ([0-9a-f]{20}),", notice.body, re.MULTILINE)
        assert found
        sent[found[1], notice.kind] += 1
    extra = 0
    for job in jobs:
        kind = KINDS.get(job.status)
        if kind is not None:
            assert sent[job.job_id, kind] >= 1, f"nobody was told about {job.file_name}"
    for (job_id, _), count in sent.items():
        extra += max(0, count - cloud.world.job(job_id).run)
    lost = [
        fate
        for _, fate in cloud.struck
        if fate.happened == "topic.publish" or fate.after == "topic.publish"
    ]
    assert extra <= len(lost), "an email was sent twice"


def check_leftovers(cloud: Cloud, jobs: list[Job]) -> None:
    storage = cloud.world.storage
    tidied = {job.job_id for job in jobs if job.status in TIDIED}
    left = [
        key for bucket, key in storage.objects if bucket == TEMP and key.split("/")[1] in tidied
    ]
    assert not left, f"left behind: {left}"
    # A failed job keeps what it has, as evidence and a retry's head start; a rule of the bucket
    # removes it later.
    failed = {job.job_id for job in jobs if job.status is Status.FAILED}
    still_open = [upload.key for upload in storage.uploads.values()]
    not_failed = [key for key in still_open if key.split("/")[1] not in failed]
    assert not not_failed, f"open uploads: {not_failed}"


def check_drive(cloud: Cloud, jobs: list[Job]) -> None:
    """Of each result one file in Drive at most, and it is that result."""
    drive, storage = cloud.world.drive, cloud.world.storage
    for job in jobs:
        copies = [file for file in drive.files.values() if file.of_job == job.job_id]
        assert len(copies) <= 1, f"{job.file_name}: {len(copies)} copies in Drive"
        back = job.way_back
        assert back is None or back.is_over, f"{job.file_name}: not in Drive: {back.problem}"
        if back is not None and back.url is not None:
            [copy] = copies
            result = storage.objects[COMPRESSED, str(job.published_key)]
            assert drive.contents[copy.file_id] == result, f"{job.file_name}: another film"


def check_encodes(cloud: Cloud) -> None:
    per_attempt = Counter(
        (job["UserMetadata"]["job_id"], job["UserMetadata"]["attempt"])
        for job in cloud.encoder.jobs
        if job["Status"] != "CANCELED"
    )
    twice = [attempt for attempt, count in per_attempt.items() if count > 1]
    assert not twice, f"encoded twice: {twice}"
    assert not cloud.encoded_nothing, "a source was gone before its encode"
