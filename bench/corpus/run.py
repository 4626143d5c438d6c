"""Drop films into a running deployment, a few at a time, and hold what comes of each to the rules.

What must hold for every film: its job ends in time, in a way the film allows, with a sentence for
people in row and email; its original is as it was; what is published is either the very original or
a smaller film that a plain ffmpeg finds sound; and nothing that it leads to was touched.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.corpus import judge
from bench.corpus.canary import Canary
from bench.corpus.film import Film
from chalicelib.domain import keys
from chalicelib.domain.drive import Candidate, candidate
from chalicelib.domain.job import Job, Status
from slimreel.local.deployment import Deployment

WORKFLOW = "compress"
#: How far the judge's SSIM may be from the one Slimreel reports.
SSIM_SLACK = 0.01
#: The same where the original is damaged; see `judge.Verdict.source_damaged`.
DAMAGED_SLACK = 0.05
POLL_S = 0.25
_SENTENCE = re.compile(r"[A-Z0-9“][^\n]{10,400}[.!]")
_JARGON = re.compile(
    r"Traceback|Error:|Exception|None|[{}]|\\x|s3://|unexpected|errno|ffmpeg|\[\w+\]|\(s\)|\.\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What came of one film.

    Attributes:
        status: None when its job did not end in time.
        details: what is kept for the engineer.
        ssim, judged_ssim: as Slimreel reports it, and as the judge sees it.
        problems: rules that do not hold, in words.
    """

    film: Film
    size_bytes: int
    status: Status | None
    reason: str
    seconds: float
    details: str = ""
    published_bytes: int | None = None
    ssim: float | None = None
    judged_ssim: float | None = None
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Underway:
    film: Film
    path: Path
    sha256: str
    file_id: str
    job_id: str
    started_at: float


def run(
    deployment: Deployment,
    films: Sequence[tuple[Film, Path]],
    *,
    canary: Canary | None = None,
    at_once: int = 3,
    told: Callable[[Ending], None] = lambda _: None,
) -> list[Ending]:
    """Send every film through; in the order of `films`."""
    waiting = list(films)
    underway: list[_Underway] = []
    endings: dict[str, Ending] = {}
    alarms = _Alarms()
    with alarms.raised():
        while waiting or underway:
            while waiting and len(underway) < at_once:
                underway.append(_dropped(deployment, *waiting.pop(0)))
            for one in list(underway):
                ending = _ending(deployment, one)
                if ending is not None:
                    underway.remove(one)
                    found = _with(ending, [*alarms.taken(), *(canary.touched() if canary else [])])
                    endings[one.film.name] = found
                    told(found)
            time.sleep(POLL_S)
    return [endings[film.name] for film, _ in films]


def _dropped(deployment: Deployment, film: Film, path: Path) -> _Underway:
    drive = deployment.cloud.drive
    started_at = time.monotonic()
    file_id = drive.add_file(deployment.inbox_folder_id, film.name, path)
    found = candidate(deployment.drive.get(file_id), deployment.inbox_folder_id)
    assert isinstance(found, Candidate), found
    return _Underway(
        film=film,
        path=path,
        sha256=judge.sha256(path),
        file_id=file_id,
        job_id=keys.job_id(WORKFLOW, file_id, found.version_key),
        started_at=started_at,
    )


def _ending(deployment: Deployment, one: _Underway) -> Ending | None:
    """None while there is still time, and no end."""
    job = deployment.records.get(one.job_id)
    seconds = time.monotonic() - one.started_at
    if job is None or not _is_over(deployment, job):
        if seconds < one.film.limit_s:
            return None
        step = job.step if job else "nothing"
        return Ending(
            film=one.film,
            size_bytes=one.path.stat().st_size,
            status=None,
            reason="",
            seconds=seconds,
            problems=(f"not over after {seconds:.0f} s, in step {step}",),
        )
    problems = [*_problems_of_end(job, one.film), *_problems_of_telling(deployment, job)]
    problems += _problems_of_original(deployment, one)
    verdict = judge.Verdict(problems=())
    if job.status is Status.COMPLETED:
        verdict = judge.judge(one.path, _published(deployment, job))
    if job.status is Status.KEPT_ORIGINAL and (
        judge.sha256(_published(deployment, job)) != one.sha256
    ):
        problems.append("what was published is not the original")
    reported = job.measurement.score.mean if job.measurement and job.measurement.score else None
    reported = reported if job.status is Status.COMPLETED else None
    problems += [*verdict.problems, *_problems_of_score(reported, verdict)]
    return Ending(
        film=one.film,
        size_bytes=job.size_bytes,
        status=job.status,
        reason=job.reason or "",
        seconds=seconds,
        details=job.error or "",
        published_bytes=job.published_size_bytes,
        ssim=reported,
        judged_ssim=verdict.ssim,
        problems=tuple(problems),
    )


def _is_over(deployment: Deployment, job: Job) -> bool:
    """The job is closed, its people are told, its row is written, and its execution ended."""
    if job.status.is_open or not job.notices_sent or job.synced_version < job.row_version:
        return False
    name = keys.execution_name(job.job_id, job.run)
    return deployment.flows.status(job.workflow, name) != "RUNNING"


def _published(deployment: Deployment, job: Job) -> Path:
    assert job.published_key is not None
    bucket = deployment.stack.resources["CompressedBucket"]
    return Path(deployment.cloud.s3.object_path(bucket, job.published_key))


def _problems_of_end(job: Job, film: Film) -> Iterator[str]:
    if job.status not in film.ends:
        yield f"ended as {job.status.value}; allowed: {', '.join(film.ends)}"
    if job.status is Status.COMPLETED and (job.published_size_bytes or 0) >= job.size_bytes:
        yield "the result is not smaller"
    reason = job.reason or ""
    if not _SENTENCE.fullmatch(reason) or _JARGON.search(reason):
        yield f"no sentence for people: {reason!r}"


def _problems_of_telling(deployment: Deployment, job: Job) -> Iterator[str]:
    rows = deployment.rows(job.job_id)
    if [row.get("Status") for row in rows] != [job.status.value]:
        yield f"rows: {[row.get('Status') for row in rows]}"
    mails = [mail for mail in deployment.cloud.mailbox.mails() if job.job_id in mail.body]
    if len(mails) != 1:
        yield f"{len(mails)} emails"


def _problems_of_original(deployment: Deployment, one: _Underway) -> Iterator[str]:
    now = deployment.drive.get(one.file_id)
    stored = deployment.cloud.drive.content_path(one.file_id)
    if now.trashed or judge.sha256(stored) != one.sha256:
        yield "the original is not what it was"


def _problems_of_score(reported: float | None, verdict: judge.Verdict) -> Iterator[str]:
    if reported is None:
        return
    slack = DAMAGED_SLACK if verdict.source_damaged else SSIM_SLACK
    if verdict.ssim is None:
        yield "the judge could not compare the pictures"
    elif abs(reported - verdict.ssim) > slack:
        yield f"SSIM {reported:.4f} reported, {verdict.ssim:.4f} judged"


def _with(ending: Ending, more: Sequence[str]) -> Ending:
    return replace(ending, problems=(*ending.problems, *more)) if more else ending


class _Alarms(logging.Handler):
    """Errors the stand-in cloud logs: something in it broke, though it went on."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._messages: list[str] = []

    @contextmanager
    def raised(self) -> Iterator[None]:
        logging.getLogger("slimreel").addHandler(self)
        try:
            yield
        finally:
            logging.getLogger("slimreel").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(f"the stand-in says: {record.getMessage()[:200]}")

    def taken(self) -> list[str]:
        messages, self._messages = self._messages, []
        return messages
