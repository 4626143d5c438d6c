"""Read media files in processes of their own, so that a hostile one can take nothing else with it.

PyAV runs ffmpeg's demuxers and decoders inside the process that calls it, and the stand-in cloud is
one process that holds everything. So a server process (`reader`) imports PyAV once and forks a
process for each file: limited in time, memory and files, unable to write, and told nothing but a
path. What comes back is JSON, never a pickle.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from chalicelib.adapters.confine import Limits
from slimreel.local.mediaconvert import reader, source
from slimreel.local.mediaconvert.errors import Flaw, Unreadable

log = logging.getLogger("slimreel.local.mediaconvert")

#: Describing a film of 8K takes 1.3 GB of address space; a hostile one is welcome to no more.
ADDRESS_SPACE_BYTES = 4 * 2**30
#: Reading all packets goes at a gigabyte a second or so; a laptop's busy disk gets far longer.
TIME_LIMIT_S, SLOWEST_BYTES_PER_S = 60.0, 20e6
#: The packets of a day of film.
ANSWER_LIMIT_BYTES = 256 * 2**20


def read(path: Path, *, count_frames: bool = True) -> source.Source:
    """`source.read`, apart.

    Raises:
        Unreadable: no demuxer took the file, it has no tracks, or reading it took too much of
            something.
    """
    plain = _ask("counted" if count_frames else "described", path)
    video = plain["video"]
    if video is not None:
        numbers = {name: Fraction(video[name]) for name in ("sar", "rate")}
        listed = {
            name: None if video[name] is None else tuple(video[name])
            for name in ("mastering", "content_light")
        }
        video = source.Video(**video | numbers | listed)
    return source.Source(
        **plain
        | {
            "path": path,
            "video": video,
            "audio": tuple(source.Audio(**track) for track in plain["audio"]),
            "other_videos": tuple(plain["other_videos"]),
            "data": tuple(plain["data"]),
        }
    )


def packets(path: Path) -> source.Packets:
    """`source.packets`, apart.

    Raises:
        Unreadable: as `read` does.
    """
    plain = _ask("packets", path)
    return source.Packets(**plain | {"shown_at": tuple(plain["shown_at"])})


# Our side


class _Server:
    """The process that forks readers. Started when first needed, once per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def spawn(self, request: dict[str, Any], answer: int) -> int:
        """Fork a reader that writes to the descriptor `answer`; its process id."""
        with self._lock:
            for attempt in (1, 2):
                control = self._control or self._start()
                try:
                    reader.send(control, request, answer)
                    reply = reader.receive(control)
                except OSError:
                    reply = None
                if reply is not None:
                    return int(reply["pid"])
                self._stop()
                log.warning("the process that forks readers was gone (%d)", attempt)
        raise RuntimeError("Media files cannot be read: the process that does it does not start.")

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        root = str(Path(__file__).resolve().parents[3])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", reader.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={"PYTHONPATH": root, "LANG": "C.UTF-8"},
            )
        self._control = ours
        return ours

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.wait()
        self._control = self._process = None


_server = _Server()
atexit.register(_server.close)


def _ask(what: str, path: Path) -> dict[str, Any]:
    time_limit_s = TIME_LIMIT_S + path.stat().st_size / SLOWEST_BYTES_PER_S
    limits = Limits(
        cpu_s=int(time_limit_s) + 1, address_space_bytes=ADDRESS_SPACE_BYTES, file_bytes=0
    )
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            request = {"read": what, "path": str(path), "limits": limits.by_name()}
            pid = _server.spawn(request, theirs.fileno())
        data = _all_of(ours, time.monotonic() + time_limit_s)
        if data is None:  # it still holds its end, so the id is still its own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return _answer(data, path)


def _all_of(answer: socket.socket, deadline: float) -> bytes | None:
    """Everything until the other end closes; None when it takes too long or says too much."""
    chunks = bytearray()
    while len(chunks) <= ANSWER_LIMIT_BYTES:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return None
        answer.settimeout(left_s)
        try:
            chunk = answer.recv(1 << 20)
        except TimeoutError:
            return None
        if not chunk:
            return bytes(chunks)
        chunks += chunk
    return None


def _answer(data: bytes | None, path: Path) -> dict[str, Any]:
    if not data:
        why = "took too long" if data is None else "ended its reader"
        log.warning("reading %s %s", path, why)
        raise Unreadable(Flaw.CORRUPT, f"reading it {why}")
    said = json.loads(data)
    if "unreadable" in said:
        raise Unreadable(Flaw[said["unreadable"]], said["detail"])
    if "failed" in said:
        log.warning("reading %s failed: %s", path, said["failed"])
        raise Unreadable(Flaw.CORRUPT, said["failed"])
    return dict(said["found"])
