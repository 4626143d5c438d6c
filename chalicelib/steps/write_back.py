"""Write back: put the published result into Google Drive, where the workflow wants it there.

The job is published by then, and nothing here can change that. The file's id is made and written
down before a byte is sent, so the result becomes one file in Drive however often it is sent, and
`sync` knows that file as ours before it is there. An upload that broke off, with the connection,
the invocation or the process, goes on where it stopped. What Drive refuses is said, and tried again
by `reconcile` for a week: meanwhile somebody shares a folder or makes room.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.drive_errors import (
    DriveError,
    DriveUnavailable,
    FileExists,
    FileGone,
    UploadGone,
)
from chalicelib.adapters.md5 import Md5
from chalicelib.adapters.storage import Found
from chalicelib.config import all_workflows
from chalicelib.domain.drive import FOLDER_TYPE, DriveFile
from chalicelib.domain.errors import JobClosed, Rejected, SlimreelError, Temporary
from chalicelib.domain.job import Job
from chalicelib.domain.s3_source import is_s3
from chalicelib.domain.text import iso, parse_iso
from chalicelib.domain.workflow import Workflow
from chalicelib.domain.write_back import (
    BESIDE,
    IN_BIN,
    NO_FOLDER,
    NO_ORIGINAL,
    NOT_A_FOLDER,
    PROPERTY,
    WRONG_COPIES,
    WriteBack,
    free_name,
    put_off,
    refusal,
    result_name,
)
from chalicelib.fetching.hashing import Hashed
from chalicelib.services import Services
from chalicelib.steps import ledger
from chalicelib.steps.call import StepCall

log = logging.getLogger(__name__)

#: A multiple of Drive's 256 KiB. Two are in memory at a time: one on its way, one being read.
PIECE_BYTES = 16 * 2**20
#: Pieces in a row that break off, before the flow waits a while.
STUMBLES = 4
MIME_TYPE = "video/mp4"


def write_back(services: Services, job: Job, call: StepCall) -> dict[str, Any]:
    """Write as much as time allows; `done` says whether this is over for now.

    Raises:
        Temporary: Drive or S3 do not answer; what for is in the record.
    """
    back = job.way_back
    if back is None or back.is_over:
        return {"done": True}
    try:
        return {"done": _written(services, job, call)}
    except (JobClosed, ledger.Overtaken):
        raise
    except Temporary as trouble:
        _note_problem(services, job, str(trouble))
        raise
    except SlimreelError as error:
        leave_for_later(services, job, error)
        return {"done": True}


def try_again(services: Services, job: Job, deadline: float) -> bool:
    """For a job that has ended; False when it did not work this time either.

    Args:
        deadline: of `time.monotonic()`; what is not through by then goes on the next time.
    """
    try:
        _written(services, job, StepCall(state={}, deadline=deadline))
    except (JobClosed, ledger.Overtaken):
        return True  # somebody else is at it
    except SlimreelError as error:
        leave_for_later(services, job, error)
        return False
    return True


def leave_for_later(services: Services, job: Job, error: SlimreelError) -> None:
    """It did not work this time: say why, and when it is tried again."""
    problem = _words(error)
    log.warning("job %s: not written back: %s", job.job_id, problem)
    now = services.now()

    def put(back: WriteBack, job: Job) -> WriteBack:
        ended = parse_iso(job.completed_at) if job.completed_at else now
        return put_off(back, problem, now=now, ended=ended)

    _change(services, job, put)


def _note_problem(services: Services, job: Job, problem: str) -> None:
    """So that it is known should this have been the last time the flow tries."""
    _change(services, job, lambda back, _: replace(back, problem=problem))


def _change(services: Services, job: Job, how: Callable[[WriteBack, Job], WriteBack]) -> None:
    """Of the record as it is now; nothing where it is over, or another process is faster."""
    now = services.records.get(job.job_id)
    back = now.way_back if now is not None else None
    if now is None or back is None or back.is_over or now.run != job.run:
        return
    changed = how(back, now)
    is_news = changed.problem != back.problem or changed.given_up
    with contextlib.suppress(JobClosed, ledger.Overtaken):
        ledger.write(
            services,
            now,
            row=is_news,
            ended_too=True,
            only_if={"write_back": back},
            write_back=changed,
        )


def _words(error: SlimreelError) -> str:
    if isinstance(error, DriveError):
        return refusal(error.code, error.reason)
    return str(error)


def _written(services: Services, job: Job, call: StepCall) -> bool:
    workflow = all_workflows().get(job.workflow)
    if workflow is None or workflow.write_back_to is None:
        raise Rejected("Its workflow writes no results back any more.")
    writing = _Writing(services, job, call, workflow)
    writing.find_place()
    return writing.find_md5() and writing.into_drive()


def written_state(file_id: str) -> tuple[str, str]:
    """Where it is noted that Slimreel made this file in Drive."""
    return f"drive-file#{file_id}", "written"


@dataclass(slots=True)
class _Writing:
    """One invocation's work on one result. `job` is the record as it was last seen."""

    services: Services
    job: Job
    call: StepCall
    workflow: Workflow

    @property
    def back(self) -> WriteBack:
        assert self.job.write_back is not None
        return self.job.write_back

    def note(self, *, row: bool = False, **changes: Any) -> None:
        """Write it down, unless another process was faster.

        Raises: ledger.Overtaken, JobClosed.
        """
        self.job = ledger.write(
            self.services,
            self.job,
            row=row,
            ended_too=True,
            only_if={"write_back": self.back},
            write_back=replace(self.back, **changes),
        )

    # Where to

    def find_place(self) -> None:
        """See to it that the file has an id, a folder and a name, all written down.

        What an earlier run of the job has put into Drive is replaced, wherever it lies by now; but
        not where somebody has given it other content, or put it in the bin.
        """
        if self.back.wrote and self._is_untouched():
            return
        folder_id = self._folder()
        if self.back.file_id and self.back.folder_id == folder_id and not self.back.wrote:
            return
        self._take_place(folder_id)

    def _take_place(self, folder_id: str) -> None:
        writer = self.services.drive_writer
        name = result_name(self.job.file_name, self.workflow.result_suffix)
        name = free_name(name, lambda one: writer.has_name(folder_id, one))
        file_id = writer.new_file_id()
        mark = {"job_id": self.job.job_id, "at": iso(self.services.now())}
        self.services.records.save_state(*written_state(file_id), mark)
        self.note(file_id=file_id, folder_id=folder_id, name=name, session_url=None, wrote=())

    def _is_untouched(self) -> bool:
        file = self._there()
        return file is not None and not file.trashed and file.md5 in (None, *self.back.wrote)

    def _there(self) -> DriveFile | None:
        assert self.back.file_id is not None
        try:
            return self.services.drive.get(self.back.file_id)
        except FileGone:
            return None

    def _folder(self) -> str:
        """Raises: Rejected: nothing can be put there."""
        folder_id = self.workflow.write_back_to
        assert folder_id is not None
        if folder_id == BESIDE:
            folder_id = self._folder_of_original()
        try:
            folder = self.services.drive.get(folder_id)
        except FileGone:
            raise Rejected(NO_FOLDER) from None
        if folder.mime_type != FOLDER_TYPE:
            raise Rejected(NOT_A_FOLDER)
        if folder.trashed:
            raise Rejected(IN_BIN)
        if not folder.can_add:
            raise Rejected(refusal("insufficientFilePermissions", ""))
        return folder_id

    def _folder_of_original(self) -> str:
        try:
            original = self.services.drive.get(self.job.file_id)
        except FileGone:
            raise Rejected(NO_ORIGINAL) from None
        if original.trashed:
            raise Rejected(NO_ORIGINAL)
        return next(iter(original.parents), self.job.folder_id)

    # What

    def _result(self) -> tuple[tuple[str, str], Found]:
        assert self.job.published_key is not None
        at = self.services.settings.compressed_bucket, self.job.published_key
        there = self.services.storage.found(*at)
        if there is None:
            raise Rejected("The published result is no longer there.")
        return at, there

    def find_md5(self) -> bool:
        """Work out the result's MD5, which Drive's has to be; False when the time is up."""
        if self.back.md5 is not None:
            return True
        at, there = self._result()
        hashed = _recalled(self.back, there.etag)
        for body in _pieces(self.services, at, there, hashed.bytes):
            hashed.add(body)
            if self.call.seconds_left() <= 0:
                break
        if hashed.bytes == there.size_bytes:
            md5 = hashed.md5.hexdigest()
            self.note(md5=md5, md5_state=None, hashed_tag=None, hashed_bytes=0)
            return True
        state = hashed.md5.state()
        if state is None:
            raise Rejected("The result is too large for this installation: it lacks rehashes.")
        self.note(md5_state=state, hashed_tag=there.etag, hashed_bytes=hashed.bytes)
        return False

    # Into Drive

    def into_drive(self) -> bool:
        """False when the time is up."""
        file = self._there()
        if file is not None and file.md5 == self.back.md5:
            self._finish(file)
            return True
        if file is not None and file.md5 is None:
            raise Temporary("Google Drive has not worked out the checksum of the result yet.")
        if file is not None and file.md5 not in self.back.wrote:
            # Somebody has given it other content, which is not ours to replace.
            self._take_place(self._folder())
            file = None
        file = self._sent(replaces=file is not None)
        if file is None:
            return False
        self._finish(file)
        return True

    def _sent(self, *, replaces: bool) -> DriveFile | None:
        """The file once all of it is in Drive; None when the time is up."""
        at, there = self._result()
        size = there.size_bytes
        try:
            url = self.back.session_url
            told: DriveFile | int
            if url is None:
                url, told = self._begin(size, replaces=replaces), 0
            else:
                told = self.services.drive_writer.sent(url, size)
            furthest, stumbles = -1, 0
            while not isinstance(told, DriveFile):
                if told <= furthest:
                    stumbles += 1
                if stumbles == STUMBLES:
                    raise Temporary("The connection to Google Drive breaks off again and again.")
                furthest = max(told, furthest)
                further = self._sent_from(url, told, at, there)
                if further is None:
                    return None
                told = further
            return told
        except UploadGone as gone:
            self.note(session_url=None)
            raise Temporary(f"{gone} It begins anew.") from gone
        except FileExists as exists:
            self.note(session_url=None)
            raise Temporary("The result has just arrived in Google Drive.") from exists

    def _begin(self, size_bytes: int, *, replaces: bool) -> str:
        assert self.back.file_id is not None and self.back.name is not None
        try:
            url = self.services.drive_writer.begin_upload(
                file_id=self.back.file_id,
                folder_id=None if replaces else self.back.folder_id,
                name=self.back.name,
                mime_type=MIME_TYPE,
                size_bytes=size_bytes,
                properties={PROPERTY: self.job.job_id},
            )
        except FileGone as gone:
            if replaces:
                raise Temporary("What was there before was just removed.") from gone
            raise Rejected(NO_FOLDER) from gone
        self.note(session_url=url)
        return url

    def _sent_from(
        self, url: str, start: int, at: tuple[str, str], there: Found
    ) -> DriveFile | int | None:
        """Send until something breaks off. The file; how much Drive has; None when time is up."""
        writer, size = self.services.drive_writer, there.size_bytes
        if start >= size:
            return writer.sent(url, size)
        told: DriveFile | int = start
        for body in _pieces(self.services, at, there, start):
            if self.call.seconds_left() <= 0:
                return None
            try:
                told = writer.send(url, start=start, body=body, size_bytes=size)
            except UploadGone:
                raise
            except DriveUnavailable as trouble:
                log.info("job %s: %s", self.job.job_id, trouble)
                return writer.sent(url, size)
            start += len(body)
            if told != start:
                break  # it is there; or Drive took less than was sent
        return told

    def _finish(self, file: DriveFile) -> None:
        """
        Raises:
            Temporary: it has to be sent again.
            Rejected: it was sent often enough for now.
        """
        md5 = self.back.md5
        assert md5 is not None
        if file.md5 is None:
            raise Temporary("Google Drive has not worked out the checksum of the result yet.")
        if file.md5 != md5:
            wrong = self.back.wrong_copies + 1
            wrote = (*self.back.wrote, file.md5)  # by us, so it may be replaced
            self.note(session_url=None, wrote=wrote, wrong_copies=wrong)
            said = "What arrived in Google Drive is not what was sent"
            if wrong % WRONG_COPIES == 0:
                raise Rejected(f"{said}, {wrong} times by now.")
            raise Temporary(f"{said}; it is sent again.")
        self.note(
            row=True,
            wrote=(md5,),
            url=file.web_view_url or f"https://drive.google.com/file/d/{file.file_id}/view",
            written_at=iso(self.services.now()),
            session_url=None,
            problem=None,
            next_at=None,
        )


def _recalled(back: WriteBack, tag: str) -> Hashed:
    if back.md5_state is None or back.hashed_tag != tag:
        return Hashed()
    try:
        return Hashed(md5=Md5(back.md5_state), bytes=back.hashed_bytes)
    except ValueError:
        return Hashed()


def _pieces(services: Services, at: tuple[str, str], there: Found, start: int) -> Iterator[bytes]:
    """The object from `start` on, in order; the next piece is read while one is used."""
    starts = iter(range(start, there.size_bytes, PIECE_BYTES))

    def read(at_byte: int) -> bytes:
        length = min(PIECE_BYTES, there.size_bytes - at_byte)
        return services.storage.read_range(*at, at_byte, length, etag=there.etag)

    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        coming = next(starts, None)
        ahead = None if coming is None else pool.submit(read, coming)
        while ahead is not None:
            try:
                body = ahead.result()
            except ClientError as error:
                if error.response["Error"]["Code"] in ("PreconditionFailed", "NoSuchKey"):
                    raise Temporary("The published result was replaced meanwhile.") from error
                raise
            coming = next(starts, None)
            ahead = None if coming is None else pool.submit(read, coming)
            yield body


def wanted_by(workflow: Workflow | None, job: Job) -> bool:
    """Whether a workflow wants the job's result in Drive. A kept original is there already."""
    if workflow is None or workflow.write_back_to is None:
        return False
    return not (workflow.write_back_to == BESIDE and is_s3(job.file_id))
