"""What may happen to one process at one of its calls to the outside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ReadTimeoutError

from chalicelib.adapters.airtable import AirtableRefused, AirtableUnavailable
from chalicelib.adapters.drive_errors import CallRefused, DriveUnavailable
from chalicelib.domain.errors import Temporary
from tests.fakes import Killed, Peril, aws_error

#: What can happen at a call; see `Fate`.
KINDS = ("killed", "stopped", "throttled", "answer lost", "refused", "sent twice")
#: What others may do just then, while the process waits for its turn.
MEANWHILE = ("sweep", "reconcile", "events", "rows", "replace", "trash", "cancel", "retry", "again")
#: Calls that an AWS client repeats by itself when their answer was lost, and that take effect
#: again. SNS has no way to recognise a repeat, and MediaConvert recognises it by our token.
_REPEATED = ("records.", "storage.", "flows.", "queues.", "drive.watch_changes")


class Fate(Peril):
    """Something happens at the `at`-th call of one process; `happened` says at which.

    killed: the process is gone before the call.
    stopped: it sleeps before the call, for as long as the test likes (SIGSTOP).
    throttled, refused: the call has no effect and fails, for now or for good.
    answer lost: the call has its effect, and a time-out is all the process sees.
    sent twice: the client got no answer, sent the call again, and has the second answer.
    One of `MEANWHILE`: others are faster.
    """

    def __init__(self, kind: str | None = None, at: int | None = None) -> None:
        super().__init__(at)
        self.kind = kind
        #: Makes the others do it.
        self.others: Callable[[str], None] = lambda kind: None
        self.happened: str | None = None
        self.after: str | None = None  # the call before
        self.asleep = False
        self._may_go_on, self._has_stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._answer: Any = None
        self._error: BaseException | None = None

    def call(self, name: str, work: Any) -> Any:
        if self.dead:
            raise Killed
        self.calls.append(name)
        if len(self.calls) != self.at:
            return work()
        self.after = self.calls[-2] if len(self.calls) > 1 else None
        return self._struck(name, work)

    def _struck(self, name: str, work: Any) -> Any:
        if self.kind == "sent twice":
            if name.startswith(_REPEATED):
                self.happened = name
                work()
            return work()
        if self.kind in MEANWHILE:
            self.others(self.kind)
            return work()
        self.happened = name
        if self.kind == "killed":
            self.dead = True
            raise Killed
        if self.kind == "stopped":
            self.asleep = True
            self._has_stopped.release()
            self._may_go_on.acquire()
            if self.dead:
                raise Killed
            return work()
        if self.kind == "answer lost":
            work()
        raise _failure(self.kind, name)

    # A process that may be stopped has a thread of its own, and it or the test runs, never both.

    def begin(self, work: Callable[[], Any]) -> None:
        """Run until the end or until stopped; then look at `asleep`."""

        def body() -> None:
            try:
                self._answer = work()
            except BaseException as error:  # noqa: BLE001 - handed to who called `answer`
                self._error = error
            self._has_stopped.release()

        threading.Thread(target=body, daemon=True).start()
        self._has_stopped.acquire()

    def wake(self) -> None:
        """Let a stopped process run to its end."""
        self.asleep = False
        self._may_go_on.release()
        self._has_stopped.acquire()

    def kill(self) -> None:
        """End a stopped process."""
        self.dead = True
        self.wake()

    def answer(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._answer


def _failure(kind: str | None, name: str) -> Exception:
    port = name.partition(".")[0]
    if port in ("drive", "drive_writer"):
        return CallRefused("No.") if kind == "refused" else DriveUnavailable("Not now.")
    if port == "airtable":
        return (
            AirtableRefused("No.")
            if kind == "refused"
            else AirtableUnavailable("Not now.", retry_after_s=30)
        )
    if kind == "refused":
        return aws_error("AccessDeniedException", name, 403)
    if kind == "answer lost":
        return ReadTimeoutError(endpoint_url="https://aws.example")
    if port == "encoder":
        return Temporary("MediaConvert is busy.")
    return aws_error("ThrottlingException", name, 400)
