"""Start a program that is fed hostile files: limited, alone in its group, with a bare environment.

Limits must be set between fork and exec, where Python code is not safe in a process with threads.
So the script `confined.py` is started, limits itself, and then becomes the program. These two files
import the standard library only, and nothing of Slimreel.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chalicelib.adapters import confined

NOT_STARTED = confined.NOT_STARTED
#: Where Python finds its own library on AWS Lambda. The program does not get to see it.
_PYTHON_NEEDS = ("LD_LIBRARY_PATH",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process may use up; None is no limit.

    Attributes:
        cpu_s: processor seconds of all its threads together; then it is killed.
        address_space_bytes: memory it may reserve; then its allocations fail.
        file_bytes: size of any one file it writes; then its writes fail. 0: it writes to pipes
            only. A pipe has no size.
        open_files: file descriptors at the same time.
        core_bytes: of a memory dump, which would hold presigned URLs and pictures of the film.
    """

    cpu_s: int | None = None
    address_space_bytes: int | None = None
    file_bytes: int | None = None
    open_files: int | None = 256
    core_bytes: int | None = 0

    def as_text(self) -> str:
        """ "cpu_s=60,file_bytes=0"."""
        return ",".join(f"{name}={value}" for name, value in self.by_name().items())

    def by_name(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def start(
    argv: Sequence[str], *, limits: Limits, env: Mapping[str, str], **options: Any
) -> subprocess.Popen[Any]:
    """Start `argv` without stdin in a process group of its own. On Linux it dies with the calling
    thread, however that ends.

    Args:
        argv: the program by its path, and its arguments.
        env: all the environment the program gets.
        options: further ones for `subprocess.Popen`, such as `stdout` and `cwd`.

    Raises:
        OSError: the program is missing. (Where it cannot be run for another reason, it ends with
            `NOT_STARTED`.)
    """
    if not os.access(argv[0], os.X_OK):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    launcher = [sys.executable, "-I", "-S", confined.__file__, limits.as_text(), str(os.getpid())]
    pairs = [f"{name}={value}" for name, value in env.items()]
    return subprocess.Popen(
        [*launcher, *pairs, "--", *argv],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={name: os.environ[name] for name in _PYTHON_NEEDS if name in os.environ},
        **options,
    )


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End a process made by `start`, with whatever it started; harmless when it has ended."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
