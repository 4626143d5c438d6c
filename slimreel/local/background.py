"""Threads and timers that end together when the cloud closes."""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("slimreel.local.background")

Task = Callable[[], None]


class Background:
    """Runs tasks on their own daemon threads, now or later.

    A task that fails is logged and gone. After `close()` nothing new starts, and tasks that
    wait for their time are dropped.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._threads: set[threading.Thread] = set()
        self._timers: list[tuple[float, int, Task]] = []
        self._sequence = itertools.count()
        self._has_clock = False

    @property
    def closed(self) -> bool:
        return self._closed

    def start(self, task: Task, *, name: str) -> None:
        """Run `task` now, on a thread of its own."""
        with self._changed:
            if self._closed:
                return
            thread = threading.Thread(target=self._run, args=(task,), name=name, daemon=True)
            thread.start()  # in here, because `close` cannot join one that has not begun
            self._threads.add(thread)

    def later(self, delay_s: float, task: Task, *, name: str) -> None:
        """Run `task` on a thread of its own once `delay_s` seconds have passed."""
        with self._changed:
            if self._closed:
                return
            due = time.monotonic() + delay_s
            start: Task = functools.partial(self.start, task, name=name)
            heapq.heappush(self._timers, (due, next(self._sequence), start))
            self._changed.notify_all()
            needs_clock, self._has_clock = not self._has_clock, True
        if needs_clock:
            self.start(self._keep_time, name="clock")

    def wait(self, seconds: float) -> bool:
        """Sleep unless closing. False when the cloud is closing."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._closed, timeout=seconds)

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Start nothing more and wait for the running tasks to end."""
        with self._changed:
            self._closed = True
            self._timers.clear()
            self._changed.notify_all()
            threads = set(self._threads)
        until = time.monotonic() + timeout_s
        for thread in threads - {threading.current_thread()}:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                log.warning("the thread %s did not end in %s s", thread.name, timeout_s)

    def _run(self, task: Task) -> None:
        try:
            task()
        except Exception:
            log.exception("a background task failed")
        finally:
            with self._changed:
                self._threads.discard(threading.current_thread())

    def _keep_time(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                while self._timers and self._timers[0][0] <= now:
                    _, _, task = heapq.heappop(self._timers)
                    task()
                pause = self._timers[0][0] - now if self._timers else None
                self._changed.wait(pause)
