"""This process and everything it started: what they are, and what they take of memory and time.

Memory is PSS: each page a process uses, divided by how many share it, so the sum over a family of
forked processes is what they take together. Where the system knows no PSS (macOS), it is what
each process has for itself alone.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import psutil


class Kind(StrEnum):
    """What a process is here."""

    #: This one: AWS, Drive and Airtable, and the benchmark itself.
    CLOUD = "stand-in cloud"
    #: The Lambda functions, with the server they are forked from.
    FUNCTIONS = "functions"
    #: The ffmpeg a function runs to measure.
    MEASURING = "measuring ffmpeg"
    #: The ffmpeg that MediaConvert's work is done with.
    ENCODER = "encoder ffmpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Memory of the family at one moment, bytes by kind of process."""

    pss_bytes: Counter[Kind]
    rss_bytes: Counter[Kind]

    @property
    def beside_encoder_bytes(self) -> int:
        return self.pss_bytes.total() - self.pss_bytes[Kind.ENCODER]


def family() -> Iterator[tuple[psutil.Process, Kind]]:
    """The processes that are there now."""
    this = psutil.Process()
    yield this, Kind.CLOUD
    for process in this.children(recursive=True):
        try:
            if not process.name().startswith("ffmpeg"):
                yield process, Kind.FUNCTIONS
            elif process.ppid() == this.pid:
                yield process, Kind.ENCODER
            else:
                yield process, Kind.MEASURING
        except psutil.NoSuchProcess:
            continue  # it ended just now


def snapshot() -> Snapshot:
    pss: Counter[Kind] = Counter()
    rss: Counter[Kind] = Counter()
    for process, kind in family():
        try:
            memory = process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        pss[kind] += getattr(memory, "pss", memory.uss)
        rss[kind] += memory.rss
    return Snapshot(pss_bytes=pss, rss_bytes=rss)


def cpu_seconds() -> float:
    """Processor time of the family so far, of its members that have ended too."""
    total_s = 0.0
    for process, _ in family():
        with contextlib.suppress(psutil.NoSuchProcess):
            total_s += sum(process.cpu_times()[:4])  # user, system; the same of ended children
    return total_s


class Peaks:
    """The most memory seen.

    Attributes:
        whole: the moment when everything beside the encoder took most.
        pss_bytes, rss_bytes: the most of each kind, at whatever moment.
        samples: how often was looked.
    """

    def __init__(self) -> None:
        self.whole = Snapshot(pss_bytes=Counter(), rss_bytes=Counter())
        self.pss_bytes: Counter[Kind] = Counter()
        self.rss_bytes: Counter[Kind] = Counter()
        self.samples = 0

    def look(self) -> None:
        now = snapshot()
        self.samples += 1
        self.whole = max(self.whole, now, key=lambda one: one.beside_encoder_bytes)
        self.pss_bytes |= now.pss_bytes
        self.rss_bytes |= now.rss_bytes


class RunningTimes:
    """Seconds in which at least one process of a kind was there, as closely as it is looked."""

    def __init__(self) -> None:
        self.seconds: dict[Kind, float] = dict.fromkeys(Kind, 0.0)
        self._looked_at = time.monotonic()

    def look(self) -> None:
        now = time.monotonic()
        since_s, self._looked_at = now - self._looked_at, now
        for kind in {kind for _, kind in family()}:
            self.seconds[kind] += since_s


@contextmanager
def repeating(look: Callable[[], None], *, every_s: float) -> Iterator[None]:
    """Call `look` again and again in a thread of its own while the block lasts.

    Raises:
        whatever `look` raised, at the end.
    """
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(every_s):
            look()

    with ThreadPoolExecutor(1, thread_name_prefix="bench-watch") as threads:
        watching = threads.submit(go_on)
        try:
            yield
        finally:
            over.set()
    watching.result()
