"""Faults that tests switch on in the stand-in cloud.

Each stand-in asks `Faults.take(service, operation)` once per incoming call (or outgoing event)
and obeys the answer. Nothing is faulty unless a test added a `Fault`.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with the `nth` matching call, and with the `times - 1` calls after it.

    Attributes:
        service: "s3", "mediaconvert", "drive", "airtable", "lambda", "dynamodb", "sns", "events" …
        operation: the vendor's operation name ("CreateJob", "files.get"), or "*" for any.
            For service "events" it is "<detail-type>/<status>", for example
            "MediaConvert Job State Change/COMPLETE".
        nth: 1 for the first matching call from now on.
        times: how many calls in a row, from the nth.
        status, code, message: the error to answer; no error when `status` is None.
        delay_s: wait this long first.
        after_effect: do the work, then answer the error (a reply that got lost).
        cut_body_at_byte: send only so many bytes of the body, then close the connection.
        flip_byte: of a Drive download, send this byte of the answer's body (or its last, where
            it is shorter) with every bit turned.
        spoil: of an encode (operation "RunJob"): options of ffmpeg that damage its result.
        drop, duplicate: for events and notifications.
        repeat_after_s: for events: deliver now, and once more so many seconds later.
        kill: SIGKILL the whole process group of the cloud: before anything is done about the
            call, or with `after_effect` once its work is done and before its answer leaves.
    """

    service: str
    operation: str = "*"
    nth: int = 1
    times: int = 1
    status: int | None = None
    code: str = "InternalServerError"
    message: str = "A fault switched on by a test."
    delay_s: float = 0.0
    after_effect: bool = False
    cut_body_at_byte: int | None = None
    flip_byte: int | None = None
    spoil: tuple[str, ...] = ()
    drop: bool = False
    duplicate: bool = False
    repeat_after_s: float | None = None
    kill: bool = False

    def told(self) -> dict[str, Any]:
        """What was set, by field: what a log or a plan shows of it."""
        unset = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != unset[name]}


class Faults:
    """The faults in force, shared by all stand-ins of one cloud. Thread-safe.

    Args:
        log_path: every strike is appended here, one JSON object a line, before it takes effect:
            what was set of the fault, and `at`, seconds since 1970. A kill is the last line.
    """

    def __init__(self, log_path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Fault, int]] = []  # fault, matching calls seen so far
        self._log_path = log_path
        self._doomed = threading.local()

    def add(self, fault: Fault) -> None:
        """
        Raises:
            RuntimeError: a kill, where this process does not lead its process group: its caller
                would die with it.
        """
        if fault.kill and os.getpgrp() != os.getpid():
            raise RuntimeError("Only a cloud that leads its own process group can be killed.")
        with self._lock:
            self._waiting.append((fault, 0))

    def waiting(self) -> list[Fault]:
        """Those that may still strike."""
        with self._lock:
            return [fault for fault, _ in self._waiting]

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, service: str, operation: str) -> Fault | None:
        """Count this call and return the fault that strikes it, after sleeping its `delay_s`."""
        struck: Fault | None = None
        with self._lock:
            kept: list[tuple[Fault, int]] = []
            for fault, seen in self._waiting:
                if fault.service == service and fault.operation in ("*", operation):
                    seen += 1
                    if struck is None and seen >= fault.nth:
                        struck = fault
                if seen < fault.nth + fault.times - 1:
                    kept.append((fault, seen))
            self._waiting = kept
        if struck is None:
            return None
        if struck.kill and struck.after_effect:
            self._doomed.by = struck
        else:
            self._log(struck)
        if struck.delay_s:
            time.sleep(struck.delay_s)
        if struck.kill and not struck.after_effect:
            _die()
        return struck

    def done(self) -> None:
        """The work of the calls this thread took is done and nothing was answered yet."""
        struck: Fault | None = getattr(self._doomed, "by", None)
        if struck is not None:
            self._log(struck)
            _die()

    def _log(self, struck: Fault) -> None:
        if self._log_path is None:
            return
        line = json.dumps({"at": time.time(), **struck.told()})
        with self._log_path.open("a") as log:
            log.write(line + "\n")


def _die() -> None:
    """Functions, encoders' parent, everything: nobody gets to clean up."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way to this thread, too
