"""Execution environments that start as Lambda's do: in a new interpreter, with nothing loaded."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

from slimreel.local.awslambda import sandbox
from slimreel.local.awslambda.environments import ForkServer, Setup

_CHILD = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
spec = importlib.util.spec_from_file_location("sandbox", sys.argv[2])
sandbox = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sandbox)
sandbox._become_environment(json.loads(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
"""


class ColdServer:
    """Does what the stand-in's `ForkServer` does, without forking and without preloading."""

    def __init__(self, runtime: Path, before: ForkServer) -> None:
        """
        Args:
            runtime: the folder of what Lambda's own runtime brings, put behind the package.
            before: the server this one takes over from, for the processes it has made.
        """
        self._runtime = runtime
        self._before = before
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def spawn(self, setup: Setup) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()
        wanted = json.dumps({"env": setup.env, "task_root": str(setup.task_root)})
        with theirs, setup.log_path.open("ab") as output:
            descriptors = [theirs.fileno(), output.fileno()]
            paths = [str(self._runtime), sandbox.__file__]
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _CHILD, *paths, wanted]
                + [str(descriptor) for descriptor in descriptors],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                env={},
            )
        with self._lock:
            self._processes[process.pid] = process
        return process.pid, ours

    def reap(self, pid: int) -> int:
        with self._lock:
            process = self._processes.pop(pid, None)
        if process is None:
            return self._before.reap(pid)
        code = process.wait()
        return -code if code < 0 else code << 8

    def close(self) -> None:
        self._before.close()
        with self._lock:
            left = list(self._processes.values())
            self._processes.clear()
        for process in left:
            process.kill()
            process.wait()
