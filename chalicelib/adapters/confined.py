"""Limit this process, then become another program: the script behind `confine.start`.

    python -I -S confined.py cpu_s=60,file_bytes=0 PARENT_ID NAME=VALUE… -- PROGRAM ARGUMENT…

It runs before every ffmpeg, so it imports next to nothing: 10 ms. Its functions also serve a
process that was forked to read a hostile file.

Source: man pages of setrlimit(2) and prctl(2).
"""

from __future__ import annotations

import os
import resource
import sys

#: Exit code when the program could not be started; stderr says why.
NOT_STARTED = 126

_RESOURCES = {
    "cpu_s": "RLIMIT_CPU",
    "address_space_bytes": "RLIMIT_AS",
    "file_bytes": "RLIMIT_FSIZE",
    "open_files": "RLIMIT_NOFILE",
    "core_bytes": "RLIMIT_CORE",
}
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _SIGKILL = 1, 38, 9


def apply(limits: dict[str, int]) -> None:
    """Limit this very process, by the names in `confine.Limits`. What it was forbidden before stays
    forbidden; what the system does not limit (memory on macOS) stays as it is."""
    for name, value in limits.items():
        which = getattr(resource, _RESOURCES[name], None)
        if which is None:
            continue
        _, highest = resource.getrlimit(which)
        allowed = value if highest == resource.RLIM_INFINITY else min(value, highest)
        try:
            resource.setrlimit(which, (allowed, allowed))
        except (OSError, ValueError):
            continue  # macOS knows some of them and sets none


def die_with(parent_id: int) -> None:
    """Be killed when the thread that started us ends, and never gain privileges. Linux only.

    Raises:
        OSError: it has ended already.
    """
    if sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent_id:
        raise OSError("whoever wanted this is gone")


def _main(limits: str, parent_id: str, *rest: str) -> None:
    cut = rest.index("--")
    env, argv = rest[:cut], rest[cut + 1 :]
    try:
        die_with(int(parent_id))
        pairs = [item.split("=", 1) for item in limits.split(",") if item]
        apply({name: int(value) for name, value in pairs})
        os.execve(argv[0], argv, dict(item.split("=", 1) for item in env))
    except OSError as error:
        sys.stderr.write(f"{argv[0]} could not be started: {error}\n")
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    _main(*sys.argv[1:])
