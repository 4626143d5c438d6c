"""Run one ffmpeg command: progress as it comes, stoppable, its last words kept."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slimreel.local.mediaconvert.errors import Stopped

_TAIL_BYTES = 4096


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
                _kill_group(self._process)

    def guard(self, process: subprocess.Popen[str] | None) -> None:
        """Name the process that `press` must end."""
        with self._lock:
            self._process = process
            if self._pressed and process is not None:
                _kill_group(process)


def run(
    argv: Sequence[str],
    *,
    work_dir: Path,
    stop: Stop,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> tuple[float, str]:
    """Run to the end; returns wall seconds and the tail of ffmpeg's log.

    Raises:
        FfmpegFailed: non-zero exit.
        Stopped: `stop` was pressed.
    """
    if stop.pressed:
        raise Stopped
    started = time.monotonic()
    log = work_dir / "ffmpeg.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            argv,
            cwd=work_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    (work_dir / "ffmpeg.pid").write_text(str(process.pid))
    stop.guard(process)
    try:
        _follow(process, on_progress)
    finally:
        _kill_group(process)  # only does something when following it failed
        code = process.wait()
        stop.guard(None)
        (work_dir / "ffmpeg.pid").unlink(missing_ok=True)
    if stop.pressed:
        raise Stopped
    tail = _tail(log)
    if code != 0:
        raise FfmpegFailed(argv, code, tail)
    return time.monotonic() - started, tail


def _follow(process: subprocess.Popen[str], on_progress: Callable[[Progress], None]) -> None:
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
                on_progress(Progress(frames=frames, seconds=seconds))
    process.wait()


def _kill_group(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        _kill(process.pid)


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
