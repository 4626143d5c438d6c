"""Run one ffmpeg command on a stranger's film: limited, stoppable, its progress and last words
known."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chalicelib.adapters import confine
from slimreel.local.mediaconvert.errors import Stopped

_TAIL_BYTES = 4096
#: All that ffmpeg gets to see of ours.
_ENVIRONMENT = {"AV_LOG_FORCE_NOCOLOR": "1"}
#: Encoding 4K with preset slow and metrics took 3 GB, x265 and SVT-AV1 take more; reserved address
#: space is a multiple of that.
ADDRESS_SPACE_BYTES = 24 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one run may take before it is ended.

    Attributes:
        wall_s: from start to end.
        stall_s: without a frame or a moment of sound more than before.
        file_bytes: size of any one file it writes.
    """

    wall_s: float = 1800.0
    stall_s: float = 600.0
    file_bytes: int = 4 * 2**30

    @classmethod
    def for_film(cls, *, duration_s: float, size_bytes: int) -> Allowance:
        """Far more than any honest film needs: 300 times its length is 0.1 frames a second at
        30, and an output four times the size of its source is worth nothing to anybody."""
        return cls(wall_s=1800.0 + 300 * duration_s, file_bytes=max(4 * 2**30, 4 * size_bytes))


class FfmpegTooSlow(Exception):
    """ffmpeg was ended because it went on for too long, or no longer got any further."""


class FfmpegFailed(Exception):
    """ffmpeg exited with an error; `tail` holds its last lines of log."""

    def __init__(self, argv: Sequence[str], code: int, tail: str) -> None:
        super().__init__(f"ffmpeg exited with {code}: {tail[-500:]}")
        self.argv = tuple(argv)
        self.code = code
        self.tail = tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far ffmpeg is. Frames of the first video output; seconds of output written."""

    frames: int
    seconds: float


class Stop:
    """A switch that ends the running ffmpeg and every later one. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._pressed = False

    @property
    def pressed(self) -> bool:
        return self._pressed

    def press(self) -> None:
        with self._lock:
            self._pressed = True
            if self._process is not None:
                confine.kill_group(self._process)

    def guard(self, process: subprocess.Popen[str] | None) -> None:
        """Name the process that `press` must end."""
        with self._lock:
            self._process = process
            if self._pressed and process is not None:
                confine.kill_group(process)


def run(
    argv: Sequence[str],
    *,
    work_dir: Path,
    stop: Stop,
    on_progress: Callable[[Progress], None] = lambda _: None,
    allowance: Allowance | None = None,
) -> tuple[float, str]:
    """Run to the end; returns wall seconds and the tail of ffmpeg's log.

    Raises:
        FfmpegFailed: non-zero exit.
        FfmpegTooSlow: it took more time than it may.
        Stopped: `stop` was pressed.
    """
    allowance = allowance or Allowance()
    if stop.pressed:
        raise Stopped
    started = time.monotonic()
    log = work_dir / "ffmpeg.log"
    with log.open("wb") as stderr:
        process = confine.start(
            argv,
            limits=confine.Limits(
                cpu_s=math.ceil(allowance.wall_s + 60) * (os.cpu_count() or 1),
                address_space_bytes=ADDRESS_SPACE_BYTES,
                file_bytes=allowance.file_bytes,
            ),
            env=_ENVIRONMENT,
            cwd=work_dir,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    (work_dir / "ffmpeg.pid").write_text(str(process.pid))
    stop.guard(process)
    watchdog = _Watchdog(process, allowance)
    try:
        _follow(process, watchdog, on_progress)
    finally:
        watchdog.close()
        confine.kill_group(process)  # only does something when following it failed
        code = process.wait()
        stop.guard(None)
        (work_dir / "ffmpeg.pid").unlink(missing_ok=True)
    if stop.pressed:
        raise Stopped
    if watchdog.bit:
        raise FfmpegTooSlow(watchdog.bit)
    tail = _tail(log)
    if code != 0:
        raise FfmpegFailed(argv, code, tail)
    return time.monotonic() - started, tail


class _Watchdog:
    """Ends a process that takes too long, or that gets no further. `bit` says why."""

    def __init__(self, process: subprocess.Popen[str], allowance: Allowance) -> None:
        self.bit = ""
        self._process, self._allowance = process, allowance
        self._started = self._moved = time.monotonic()
        self._last: Progress | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ffmpeg-watchdog", daemon=True)
        self._thread.start()

    def see(self, progress: Progress) -> None:
        if progress != self._last:
            self._last, self._moved = progress, time.monotonic()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self.bit:
            now = time.monotonic()
            if now - self._started >= self._allowance.wall_s:
                self.bit = f"still running after {self._allowance.wall_s:.0f} s"
            elif now - self._moved >= self._allowance.stall_s:
                self.bit = f"no progress for {self._allowance.stall_s:.0f} s"
            elif self._over.wait(min(1.0, self._allowance.stall_s)):
                return
        confine.kill_group(self._process)


def _follow(
    process: subprocess.Popen[str],
    watchdog: _Watchdog,
    on_progress: Callable[[Progress], None],
) -> None:
    assert process.stdout is not None
    frames, seconds = 0, 0.0
    with process.stdout as lines:
        for line in lines:
            key, _, value = line.strip().partition("=")
            if key == "frame" and value.isdigit():
                frames = int(value)
            elif key == "out_time_us" and value.lstrip("-").isdigit():
                seconds = int(value) / 1_000_000
            elif key == "progress":
                progress = Progress(frames=frames, seconds=seconds)
                watchdog.see(progress)
                on_progress(progress)
    process.wait()


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself


def kill_left_over(work_dir: Path) -> None:
    """End an ffmpeg that outlived a stand-in killed without warning.

    The process id is trusted only while the process still runs in that very folder.
    """
    for pid_file in work_dir.glob("*/*/ffmpeg.pid"):
        pid = pid_file.read_text().strip()
        where = Path("/proc") / pid / "cwd"
        if pid.isdigit() and where.exists() and where.resolve() == pid_file.parent.resolve():
            _kill(int(pid))
        pid_file.unlink(missing_ok=True)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace")
