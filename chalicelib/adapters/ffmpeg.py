"""Run a static ffmpeg: no shell, no stdin, no surprises in protocols and formats, never for ever.

Films are hostile input. The process gets its own group, which dies as a whole at the time limit,
and a bare environment (no credentials to read). Its memory and processor time are limited, and it
cannot write one byte into a file. An input is opened by the protocol of its address and no other,
and only in formats that hold media rather than references to other files.
"""

from __future__ import annotations

import math
import os
import ssl
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO

from chalicelib.adapters import confine
from chalicelib.domain.ffmpeg_output import parse_version

#: Demuxers that read one file and never follow references (so no hls, concat, dash, image2), of
#: containers that MediaConvert reads.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,mxf,gxf,flv,asf,ogg,dv"
#: What an address needs, by how it begins; everything else is a path.
PROTOCOLS = {"https://": "https,tls,tcp", "http://": "http,tcp"}

_STDERR_TAIL_LINES = 40
_STDOUT_LIMIT_BYTES = 8 * 2**20
_LINE_LIMIT = 4096
_PIECE_BYTES = 2**16
#: For output that is still in the pipe when the process has ended.
_GRACE_S = 5.0
#: All the process gets to see. glibc reserves 64 MiB of address space for each arena, and makes
#: eight for each core unless told otherwise.
_ENVIRONMENT = {"AV_LOG_FORCE_NOCOLOR": "1", "MALLOC_ARENA_MAX": "8"}

LineSink = Callable[[str], None]
DataSink = Callable[[bytes], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A run that ended by itself with exit code 0.

    Attributes:
        stdout: empty where lines went to a sink.
        stderr_tail: the last lines of stderr.
    """

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr_tail: tuple[str, ...]
    elapsed_s: float


class ToolFailed(Exception):
    """ffmpeg ended with another code than 0, or could not be started."""

    def __init__(self, completed: Completed) -> None:
        self.completed = completed
        last = completed.stderr_tail[-1] if completed.stderr_tail else "it said nothing"
        super().__init__(f"ffmpeg exited with {completed.exit_code}: {last}")


class ToolTimedOut(Exception):
    """ffmpeg was still running at its time limit and was killed with all its children."""

    def __init__(self, argv: tuple[str, ...], timeout_s: float) -> None:
        self.argv = argv
        super().__init__(f"ffmpeg was still running after {timeout_s:.0f} s")


class Ffmpeg:
    """One ffmpeg executable.

    Args:
        path: the executable; it is not looked for on PATH.
        ca_file: certificates to trust for HTTPS; by default those Python trusts. (A static build
            looks for them in one fixed place, which not every system has.)
        address_space_bytes: limit on one process, Linux only. Comparing two films of 8K with 16
            threads each took 2.5 GiB (measured).
    """

    def __init__(
        self,
        path: str,
        *,
        ca_file: str | None = None,
        address_space_bytes: int | None = 8 * 2**30,
    ) -> None:
        self._path = path
        self._ca_file = ca_file or _trusted_certificates()
        self._address_space_bytes = address_space_bytes

    @cached_property
    def version(self) -> str:
        """ "ffmpeg 9.0.2"."""
        return parse_version(self.run(["-version"], timeout_s=20).stdout)

    def reading(self, url: str, *options: str) -> list[str]:
        """Arguments that open `url` (or a path) as an input; `options` come before its `-i`."""
        protocols = next((PROTOCOLS[start] for start in PROTOCOLS if url.startswith(start)), "file")
        safe = ["-protocol_whitelist", protocols, "-format_whitelist", FORMATS]
        if protocols != "file":
            # A stalled read gives up after 30 s; a dropped connection is taken up where it broke.
            safe += ["-rw_timeout", "30000000", "-reconnect", "1"]
            safe += ["-reconnect_on_network_error", "1", "-reconnect_on_http_error", "429,5xx"]
            safe += ["-reconnect_delay_max", "8", "-reconnect_delay_total_max", "20"]
            if url.startswith("https://"):
                safe += ["-ca_file", self._ca_file]
            return [*safe, *options, "-i", url]
        return [*safe, *options, "-i", f"file:{url}"]

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_s: float,
        on_stdout: LineSink | None = None,
        on_stderr: LineSink | None = None,
        on_data: DataSink | None = None,
    ) -> Completed:
        """Run ffmpeg and return its output. Sinks get each line as it comes, cut at 4 KiB.

        Args:
            on_data: gets what comes on stdout as it is, in pieces, where that is no text.

        Raises:
            ToolFailed: non-zero exit; carries argv, exit code and the last stderr lines.
            ToolTimedOut: still running after `timeout_s`; the process group is gone.
        """
        argv = (self._path, *arguments)
        begun = time.monotonic()
        try:
            process = confine.start(
                argv,
                limits=self._limits(timeout_s),
                env=_ENVIRONMENT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise ToolFailed(_never_started(argv, str(error))) from error
        kept: list[str] = []
        tail: deque[str] = deque(maxlen=_STDERR_TAIL_LINES)
        readers = [
            _DataReader(process.stdout, on_data)
            if on_data
            else _Reader(process.stdout, [on_stdout or _bounded(kept)]),
            _Reader(process.stderr, [tail.append, *([on_stderr] if on_stderr else [])]),
        ]
        timed_out = _wait(process, readers, timeout_s)
        for reader in readers:
            reader.raise_failure()
        if timed_out:
            raise ToolTimedOut(argv, timeout_s)
        if process.returncode == confine.NOT_STARTED:
            raise ToolFailed(_never_started(argv, *tail))
        completed = Completed(
            argv=argv,
            exit_code=process.returncode,
            stdout="\n".join(kept),
            stderr_tail=tuple(tail),
            elapsed_s=time.monotonic() - begun,
        )
        if completed.exit_code != 0:
            raise ToolFailed(completed)
        return completed

    def _limits(self, timeout_s: float) -> confine.Limits:
        """Processor time only ends what outlives its group: no run has more of it than this."""
        return confine.Limits(
            cpu_s=math.ceil(timeout_s + _GRACE_S) * (os.cpu_count() or 1),
            address_space_bytes=self._address_space_bytes,
            file_bytes=0,
        )


class _Reader(threading.Thread):
    """Empties a pipe into sinks, line by line."""

    def __init__(self, pipe: IO[bytes] | None, sinks: Sequence[LineSink]) -> None:
        super().__init__(daemon=True)
        assert pipe is not None
        self._pipe, self._sinks = pipe, sinks
        self._failure: Exception | None = None
        self.start()

    def run(self) -> None:
        with self._pipe:
            while raw := self._pipe.readline(_LINE_LIMIT):
                if self._failure is not None:
                    continue  # go on emptying the pipe, or the process would never end
                try:
                    for sink in self._sinks:
                        sink(raw.decode("utf-8", "replace").rstrip("\r\n"))
                except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                    self._failure = error

    def raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class _DataReader(_Reader):
    """Empties a pipe into a sink, in pieces of any length."""

    def __init__(self, pipe: IO[bytes] | None, sink: DataSink) -> None:
        self._sink = sink
        super().__init__(pipe, [])

    def run(self) -> None:
        with self._pipe:
            while data := self._pipe.read(_PIECE_BYTES):
                if self._failure is not None:
                    continue
                try:
                    self._sink(data)
                except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                    self._failure = error


def _wait(process: subprocess.Popen[bytes], readers: list[_Reader], timeout_s: float) -> bool:
    """Until the process ended and its output is read. True when it had to be killed."""
    timed_out = False
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        confine.kill_group(process)
        process.wait()
    for reader in readers:
        reader.join(_GRACE_S)
    return timed_out


def _trusted_certificates() -> str:
    found = ssl.get_default_verify_paths().cafile
    if found is None:
        import certifi

        return certifi.where()
    return found


def _bounded(lines: list[str]) -> LineSink:
    """Keeps lines up to a limit, then drops the rest."""
    left = _STDOUT_LIMIT_BYTES

    def keep(line: str) -> None:
        nonlocal left
        left -= len(line)
        if left >= 0:
            lines.append(line)

    return keep


def _never_started(argv: tuple[str, ...], *why: str) -> Completed:
    return Completed(argv=argv, exit_code=-1, stdout="", stderr_tail=why, elapsed_s=0.0)
