"""Which job runs next, and what the world hears of it."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from slimreel.local.faults import Faults
from slimreel.local.mediaconvert import encode, events, work
from slimreel.local.mediaconvert.errors import JobError, Stopped
from slimreel.local.mediaconvert.job import Job
from slimreel.local.mediaconvert.queues import Queues
from slimreel.local.mediaconvert.source import Source
from slimreel.local.mediaconvert.spoil import Spoiled
from slimreel.local.mediaconvert.stub import Stub

_log = logging.getLogger("slimreel.local.mediaconvert")


class Schedule:
    """Runs submitted jobs on worker threads: highest priority first, then in submit order.

    Job records live in `work_dir/records`, one file each, so that a job outlives this process as
    it would outlive a client of the real service.
    """

    def __init__(
        self,
        *,
        store: work.ObjectStore,
        emit: Callable[[dict[str, Any]], None],
        work_dir: Path,
        faults: Faults,
        queues: Queues,
        region: str,
        account_id: str,
        concurrent_jobs: int,
        clock: Callable[[], float],
        may: work.MayRole,
        stub: Stub | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._store, self._emit, self._work_dir, self._faults = store, emit, work_dir, faults
        self._queues, self._region, self._account_id = queues, region, account_id
        self._clock, self._stub, self._may = clock, stub, may
        self._closing = False
        self._jobs: dict[str, Job] = {}
        self._held: set[str] = set()  # left unfinished by an earlier process
        (work_dir / "records").mkdir(parents=True, exist_ok=True)
        encode.kill_left_over(work_dir)
        _clean(work_dir, stub)
        self._load()
        self._threads = [
            threading.Thread(target=self._work, name=f"mediaconvert-{n}", daemon=True)
            for n in range(concurrent_jobs)
        ]
        for thread in self._threads:
            thread.start()

    def _load(self) -> None:
        for path in (self._work_dir / "records").glob("*.json"):
            job = Job.from_record(json.loads(path.read_text()))
            self._jobs[job.id] = job
            if job.status == "SUBMITTED":
                self._held.add(job.id)

    def resume(self) -> int:
        """Put jobs an earlier process left unfinished back in line; returns how many."""
        with self._changed:
            count = len(self._held)
            self._held.clear()
            self._changed.notify_all()
            return count

    def submit(self, job: Job) -> None:
        with self._changed:
            self._jobs[job.id] = job
            self._save(job)
            self._changed.notify_all()

    def wake(self) -> None:
        """A queue changed."""
        with self._changed:
            self._changed.notify_all()

    def next_number(self) -> int:
        with self.lock:
            return max((job.number for job in self._jobs.values()), default=0) + 1

    def get(self, job_id: str) -> Job | None:
        with self.lock:
            return self._jobs.get(job_id)

    def jobs(self) -> list[Job]:
        """In submit order."""
        with self.lock:
            return sorted(self._jobs.values(), key=lambda job: job.number)

    def cancel(self, job: Job) -> bool:
        """False when the job was over. Only a job in progress gets a CANCELED event: a user's
        report says the real service sends none for a job still in SUBMITTED."""
        before = job.cancel(self._clock())
        if before == "SUBMITTED":
            self._save(job)
        return before is not None

    def close(self) -> None:
        """Stop everything; unfinished jobs stay on disk as such."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            running = [job for job in self._jobs.values() if job.status == "PROGRESSING"]
        for job in running:
            job.stop.press()
        for thread in self._threads:
            thread.join(timeout=30)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)

    def _next(self) -> Job | None:
        """Wait for a job that may run and begin it; None when closing."""
        with self._changed:
            while not self._closing:
                job = _first(j for j in self._jobs.values() if self._may_run(j))
                if job is not None and job.begin(self._clock()):
                    self._save(job)
                    return job
                self._changed.wait()
            return None

    def _may_run(self, job: Job) -> bool:
        return (
            job.status == "SUBMITTED"
            and job.id not in self._held
            and self._queues.active(job.queue_arn)
        )

    def _run(self, job: Job) -> None:
        folder = self._work_dir / job.id
        try:
            self.tell(job, "PROGRESSING", {})
            spoil = self._take_fault()
            groups = work.perform(
                job,
                store=Spoiled(self._store, spoil) if spoil else self._store,
                account_id=self._account_id,
                folder=folder,
                report=self._report(job),
                stub=self._stub,
                may=self._may,
            )
            self._end(job, "COMPLETE", groups=groups)
        except JobError as error:
            self._end(job, "ERROR", error=(error.code, error.message))
        except Stopped:
            if job.cancelled:
                self._end(job, "CANCELED")
        except Exception as error:  # noqa: BLE001 - the one place that must outlive any job
            _log.exception("job %s failed unexpectedly", job.id)
            self._end(job, "ERROR", error=(1999, f"Unknown error. [{error}]"))
        finally:
            self._faults.done()
            shutil.rmtree(folder, ignore_errors=True)

    def _take_fault(self) -> tuple[str, ...]:
        """`Fault(service="mediaconvert", operation="RunJob", code="1433", message=...)`, or with
        `spoil`, which is returned.
        """
        fault = self._faults.take("mediaconvert", "RunJob")
        if fault is not None and fault.code.isdigit():
            raise JobError(int(fault.code), fault.message)
        return fault.spoil if fault is not None else ()

    def _report(self, job: Job) -> work.Report:
        last_update_s = self._clock()

        def opened(url: str, source: Source) -> None:
            self.tell(job, "INPUT_INFORMATION", events.input_information(url, source))

        def warned(code: int, text: str) -> None:
            job.warn(code, text)
            self.tell(job, "NEW_WARNING", {"warningCode": str(code), "warningMessage": text})

        def progress(phase: str, percent: int, phase_percent: int, frames: int) -> None:
            nonlocal last_update_s
            job.reach(phase, percent)
            if self._clock() - last_update_s >= job.update_interval_s:
                last_update_s = self._clock()
                extra = events.status_update(
                    frames=frames,
                    percent=job.percent or 0,
                    phase_percent=phase_percent,
                    phase=phase,
                    retry_count=job.retry_count,
                )
                self.tell(job, "STATUS_UPDATE", extra)

        return work.Report(opened=opened, warned=warned, progress=progress)

    def _end(
        self,
        job: Job,
        status: str,
        *,
        error: tuple[int, str] | None = None,
        groups: list[dict[str, Any]] | None = None,
    ) -> None:
        job.finish(status, self._clock(), error=error, output_groups=groups)
        self._save(job)
        extra: dict[str, Any] = {}
        if error is not None:
            extra = {"errorCode": error[0], "errorMessage": error[1]}
        if status == "COMPLETE":
            extra = {"outputGroupDetails": groups, "paddingInserted": 0}
            if job.warnings:
                extra["warnings"] = job.warning_groups()
        self.tell(job, status, extra)

    def tell(self, job: Job, status: str, extra: dict[str, Any]) -> None:
        about = events.About(
            region=self._region,
            account_id=self._account_id,
            job_arn=job.arn,
            job_id=job.id,
            queue_arn=job.queue_arn,
            user_metadata=job.user_metadata,
        )
        try:
            self._emit(events.envelope(about, status, self._clock(), extra))
        except Exception:  # noqa: BLE001 - a broken listener must not change a job's fate
            _log.exception("event %s of job %s was not delivered", status, job.id)

    def _save(self, job: Job) -> None:
        path = self._work_dir / "records" / f"{job.id}.json"
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(job.to_record()))
        draft.replace(path)


def _clean(work_dir: Path, stub: Stub | None) -> None:
    """Remove what a killed process was working on; its jobs begin anew."""
    for path in work_dir.iterdir():
        if path.is_dir() and path.name not in ("records", "stub"):
            shutil.rmtree(path)
    for draft in (work_dir / "records").glob("*.tmp"):
        draft.unlink()
    if stub is not None:
        stub.clean()


def _first(jobs: Iterable[Job]) -> Job | None:
    return min(jobs, key=lambda job: (-job.priority, job.number), default=None)
