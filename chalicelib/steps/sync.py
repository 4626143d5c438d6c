"""Sync: read Drive's change logs and start one execution per new video version.

A notification is only a hint; truth is in the logs. Many hints, one reader: whoever holds the lease
reads until no hint came in meanwhile. A log's page token moves on only after the executions of its
changes were started, so a crash repeats work instead of losing it, and the job record decides
that a repeat is the same drop. A log that cannot be read holds up no other.

A file whose job cannot be started holds the page token, so that it comes again. It does not hold up
the files after it, and not for ever: see `aside`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chalicelib.adapters.drive_errors import CallRefused, FileGone, PageTokenInvalid
from chalicelib.adapters.records import Outside
from chalicelib.config import all_workflows
from chalicelib.domain import keys
from chalicelib.domain.drive import Candidate, ChangePage, DriveFile, candidate, is_video
from chalicelib.domain.job import Job, Status
from chalicelib.domain.text import iso
from chalicelib.domain.workflow import Workflow
from chalicelib.services import Services
from chalicelib.steps.aside import give_up, set_aside
from chalicelib.steps.change_logs import ChangeLog, whereabouts
from chalicelib.steps.dropped_again import dropped, gone
from chalicelib.steps.ledger import tell_row_writer
from chalicelib.steps.write_back import written_state

log = logging.getLogger(__name__)

STATE = ("drive#changes", "sync")
LEASE_S = 240
#: A holder that has read for so long lets go, and asks for another one to read on: a thousand
#: files dropped at once take longer than an invocation may.
READ_S = 45.0


def sync(services: Services, *, heard_channel: str | None = None) -> int:
    """Process everything in the change logs.

    Returns how many changes the account's own log told of, which is the one a push channel speaks
    of; at once, with 0, when another sync is at it.

    Args:
        heard_channel: the push channel whose notification this is about; written down with the
            time, for whoever wants to know that Drive reaches us.
    """
    heard = {"heard_channel": heard_channel, "heard_at": iso(services.now())}
    news = heard if heard_channel else {}
    state = services.records.save_state(*STATE, news, add={"hints": 1})
    assert state is not None
    if _is_held(services, state):
        return 0  # its holder sees our hint before it lets go
    owner = uuid.uuid4().hex
    held = _taken(services, owner)
    if held is None:
        return 0  # its holder sees our hint before it lets go
    try:
        return _read_every_hint(_Reading(services=services, owner=owner), held)
    except BaseException:
        # Nobody reads now, and the next hint must not wait for the lease to expire.
        services.records.save_state(*STATE, {"lease_until": 0}, only_if={"owner": owner})
        raise


def look_at(services: Services, file_id: str) -> None:
    """Start the jobs of one file, as it is in Drive now; one that is gone is nobody's work.

    Raises: what kept them from being started.
    """
    try:
        _start_jobs_of(services, services.drive.get(file_id))
    except FileGone:
        log.info("Drive file %s was given up before, and is gone", file_id)


def _taken(services: Services, owner: str) -> dict[str, Any] | None:
    """The state once we hold the lease; None when somebody else does."""
    now_s, lease_s = services.now().timestamp(), _lease_s(services)
    # One that lasts longer than any lease does was taken by a clock far ahead of ours.
    taken = services.records.save_state(
        *STATE,
        {"lease_until": now_s + lease_s, "owner": owner},
        only_if={"lease_until": Outside(now_s, now_s + 2 * lease_s)},
    )
    if taken is not None:
        return taken
    # An AWS client repeats a call whose answer was lost, and then meets its own lease.
    state = services.records.state(*STATE)
    return state if state.get("owner") == owner else None


def _is_held(services: Services, state: dict[str, Any]) -> bool:
    """By somebody who is alive, as far as can be seen without asking for the lease."""
    now_s, until = services.now().timestamp(), float(state.get("lease_until", 0))
    return now_s <= until <= now_s + 2 * _lease_s(services)


def _lease_s(services: Services) -> float:
    return services.settings.sync_lease_s or LEASE_S


class _LeaseLost(Exception):
    """We took longer than the lease lasts; whoever holds it now reads on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One holder's time with the lease.

    Attributes:
        failures: the first of each log, by its place: a file whose job could not be started, or
            the log itself. The page token stays where it is from then on, so that all comes again;
            what follows is started all the same.
        changes: how many each page of the account's own log told of.
    """

    services: Services
    owner: str
    since: float = field(default_factory=time.monotonic)
    failures: dict[str, Exception] = field(default_factory=dict)
    changes: list[int] = field(default_factory=list)

    def reached(self, of: ChangeLog, token: str) -> None:
        """Raises: _LeaseLost."""
        self.keeps({} if of.place in self.failures else {of.place: token})

    def keeps(self, news: Mapping[str, object]) -> None:
        """Write down what we know now, and that we are still at it.

        Raises: _LeaseLost.
        """
        until = self.services.now().timestamp() + _lease_s(self.services)
        fresh, ours = {"lease_until": until, **news}, {"owner": self.owner}
        if not self.services.records.save_state(*STATE, fresh, only_if=ours):
            raise _LeaseLost

    @property
    def is_long(self) -> bool:
        return time.monotonic() - self.since > READ_S

    def handed_on(self) -> None:
        """Let go, and have somebody else read on from the page tokens."""
        fresh, ours = {"lease_until": 0}, {"owner": self.owner}
        if self.services.records.save_state(*STATE, fresh, only_if=ours):
            self.services.queues.drive_may_have_changed({"reason": "there is more to read"})

    def released(self, hints: int) -> bool:
        """False when a hint came in that was not seen yet."""
        seen = {"owner": self.owner, "hints": hints}
        return bool(self.services.records.save_state(*STATE, {"lease_until": 0}, only_if=seen))


def _read_every_hint(reading: _Reading, held: dict[str, Any]) -> int:
    try:
        while True:
            is_read = _read_logs(reading, held)
            if is_read and reading.released(held["hints"]):
                break
            if not is_read or reading.is_long:
                reading.handed_on()
                break
            held = reading.services.records.state(*STATE)
    except _LeaseLost:
        log.warning("the change logs took longer than the lease; another reads on")
    for failure in reading.failures.values():
        raise failure
    return sum(reading.changes)


def _read_logs(reading: _Reading, held: Mapping[str, Any]) -> bool:
    """Read one log after the other; False when there was no time for all of them.

    Each is read in each round, if only a little: none can keep the others waiting for ever.
    """
    folders = {w.drive_folder: w.name for w in all_workflows().values() if w.drive_folder}
    where = whereabouts(reading.services, folders, held)
    is_read = True
    for of in where.logs(folders):
        try:
            is_read = _read_log(reading, of, held.get(of.place)) and is_read
        except _LeaseLost:
            raise
        except Exception as error:
            if of.drive_id is not None and isinstance(error, (CallRefused, FileGone)):
                # To those who are no members of a drive, their own log tells.
                log.warning("shared drive %s does not show its log: %s", of.drive_id, error)
                continue
            log.exception("the change log %s could not be read", of.place)
            reading.failures.setdefault(of.place, error)
    if is_read and not reading.failures and where.is_news:
        reading.keeps(where.remembered())
    return is_read


def _read_log(reading: _Reading, of: ChangeLog, token: str | None) -> bool:
    """Start the jobs of what changed; False when there was no time for all of it."""
    drive = reading.services.drive
    if token is None:
        # Take the token before anyone relies on it; what is in the folder already is left
        # to a backfill, which shows the cost first.
        token = drive.start_page_token(of.drive_id)
        reading.reached(of, token)
    if of.arrived and not _start_new(reading, of, _listed(reading.services, of.arrived)):
        return False
    try:
        page = drive.changes(token, of.drive_id)
    except PageTokenInvalid:
        log.warning("the page token of %s is no longer valid; listing the folders", of.place)
        token = drive.start_page_token(of.drive_id)
        if not _start_new(reading, of, _listed(reading.services, of.folders)):
            return False
        reading.reached(of, token)
        page = drive.changes(token, of.drive_id)
    while True:
        if of.drive_id is None:
            reading.changes.append(len(page.changes))
        _give_up_unreadable(reading, page)
        if not _start_new(reading, of, (change.file for change in page.changes if change.file)):
            return False  # who reads on meets the first files of this page again, as known ones
        token = page.next_page_token or page.new_start_page_token
        assert token is not None
        reading.reached(of, token)
        if page.new_start_page_token:
            return True
        if reading.is_long:
            return False
        page = drive.changes(token, of.drive_id)


def _listed(services: Services, folders: Iterable[str]) -> Iterable[DriveFile]:
    for folder in folders:
        yield from services.drive.list_folder(folder)


def _start_new(reading: _Reading, of: ChangeLog, files: Iterable[DriveFile]) -> bool:
    """Start the jobs of these files; False when there was no time for all of them.

    Files that were met before do not use up the time: each holder of the lease gets further.
    """
    began, is_new = iso(reading.services.now()), False
    for file in files:
        if is_new and reading.is_long:
            return False
        try:
            jobs = _start_jobs_of(reading.services, file)
            is_new = is_new or any(job.created_at >= began for job in jobs)
        except Exception as error:
            log.exception("Drive file %s could not be started", file.file_id)
            if not set_aside(reading.services, file.file_id, file.name, error):
                reading.failures.setdefault(of.place, error)
    return True


def _give_up_unreadable(reading: _Reading, page: ChangePage) -> None:
    """Drive says the same again each time; only a newer version of ours can read it."""
    for change in page.changes:
        if change.unreadable is not None:
            give_up(reading.services, change.file_id, "", change.unreadable)


def _start_jobs_of(services: Services, file: DriveFile) -> list[Job]:
    jobs: list[Job] = []
    if _is_result(services, file):
        return jobs
    for workflow in all_workflows().values():
        if workflow.drive_folder:
            found = candidate(file, workflow.drive_folder)
            if isinstance(found, Candidate):
                jobs.append(start_job(services, workflow, found))
                dropped(services, jobs[-1], file)
                continue
            gone(services, workflow, file)
            if workflow.drive_folder in file.parents:
                log.info("Drive file %s ignored: %s", found.file_id, found.reason)
    return jobs


def _is_result(services: Services, file: DriveFile) -> bool:
    """Whether Slimreel has put the file there. It is never taken for somebody's video, in whichever
    folder it lies: results would be made of results for ever.

    The file says so itself; the note that was made before it was there holds where that is lost.
    """
    watched = {workflow.drive_folder for workflow in all_workflows().values()}
    if not is_video(file) or watched.isdisjoint(file.parents):
        return False
    job_id = file.of_job or services.records.state(*written_state(file.file_id)).get("job_id")
    if job_id is not None:
        log.info("Drive file %s ignored: job %s wrote it there", file.file_id, str(job_id)[:40])
    return job_id is not None


def start_job(services: Services, workflow: Workflow, found: Candidate) -> Job:
    """The job of this version in this workflow, its execution started. Safe to repeat."""
    assert workflow.drive_folder is not None
    job = new_job(workflow.name, workflow.drive_folder, found, services.now())
    if known := _known_without_md5(services, workflow, found):
        job = known
    elif services.records.create(job):
        tell_row_writer(services, job)
    else:
        known = services.records.get(job.job_id)
        assert known is not None
        job = known
    if job.status.is_open and not job.execution_started:
        start_execution(services, job)
    return job


def _known_without_md5(services: Services, workflow: Workflow, found: Candidate) -> Job | None:
    """The job of this version from before Drive had worked out the md5 that names it now."""
    if found.earlier_key is None:
        return None
    earlier = keys.job_id(workflow.name, found.file.file_id, found.earlier_key)
    return services.records.get(earlier)


def start_execution(services: Services, job: Job) -> None:
    """Start this run's execution; its name makes a second call harmless."""
    name = keys.execution_name(job.job_id, job.run)
    services.flows.start(job.workflow, name, {"job_id": job.job_id, "run": job.run})
    services.records.update(
        job.job_id, {"execution_started": True}, only_if={"run": job.run}, row=False
    )


def new_job(workflow_name: str, folder_id: str, found: Candidate, now: datetime) -> Job:
    """The record of a job that nobody has worked on yet."""
    file, at = found.file, iso(now)
    return Job(
        job_id=keys.job_id(workflow_name, file.file_id, found.version_key),
        workflow=workflow_name,
        run=1,
        status=Status.PROCESSING,
        file_id=file.file_id,
        folder_id=folder_id,
        file_name=file.name,
        mime_type=file.mime_type,
        version_key=found.version_key,
        size_bytes=file.size_bytes or 0,
        md5=file.md5,
        uploader=file.uploader,
        source_url=file.web_view_url,
        uploaded_at=iso(file.created_at) if file.created_at else None,
        revision_id=file.head_revision_id,
        created_at=at,
        updated_at=at,
        row_version=1,
    )
