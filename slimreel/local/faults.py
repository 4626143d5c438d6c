"""Faults that tests switch on in the stand-in cloud.

Each stand-in asks `Faults.take(service, operation)` once per incoming call (or outgoing event)
and obeys the answer. Nothing is faulty unless a test added a `Fault`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


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
        drop, duplicate: for events and notifications.
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
    drop: bool = False
    duplicate: bool = False


class Faults:
    """The faults in force, shared by all stand-ins of one cloud. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Fault, int]] = []  # fault, matching calls seen so far

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append((fault, 0))

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
        if struck is not None and struck.delay_s:
            time.sleep(struck.delay_s)
        return struck
