"""Execution environments: one forked process each, leased to one invocation at a time."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slimreel.local.awslambda import sandbox

log = logging.getLogger("slimreel.local.lambda")

#: AWS allows an import 10 s; a laptop that encodes video at the same time gets more.
INIT_LIMIT_S = 60.0

_SERVER_ENV = {
    # macOS kills forked processes that touch some frameworks, unless told otherwise.
    "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
    # What is preloaded must not come from the developer's own AWS profile.
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


class Throttled(Exception):
    """The function already runs as often as its reserved concurrency allows."""


class Closing(Exception):
    """The cloud is shutting down and starts nothing more."""


class EnvironmentEnded(Exception):
    """The process ended inside an invocation. `reason` is worded as Lambda words it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InitFailed(Exception):
    """The handler could not be imported. `payload` is what the caller is answered."""

    def __init__(self, payload: dict[str, Any]) -> None:
        super().__init__(payload["errorMessage"])
        self.payload = payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What an environment is made for.

    Attributes:
        revision: changes with every update of the function; older environments are retired.
        env: the process's whole environment.
        reserved: at most so many at once; None for no bound of its own.
    """

    function: str
    revision: str
    env: dict[str, str]
    task_root: Path
    log_path: Path
    reserved: int | None


class ForkServer:
    """The process that forks environments; see `sandbox`."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", sandbox.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **_SERVER_ENV},
            )
        self._lock = threading.Lock()
        self._ready = False

    def spawn(self, setup: Setup) -> tuple[int, socket.socket]:
        """Fork a process that imports the function's handler; its pid and our end of its socket."""
        ours, theirs = socket.socketpair()
        request = {"spawn": {"env": setup.env, "task_root": str(setup.task_root)}}
        with theirs, setup.log_path.open("ab") as output:
            reply = self._ask(request, theirs.fileno(), output.fileno())
        return int(reply["pid"]), ours

    def reap(self, pid: int) -> int:
        """Wait until an environment has ended; its `os.waitpid` status."""
        return int(self._ask({"reap": pid})["status"])

    def close(self) -> None:
        with self._lock:
            self._control.close()  # end of file: the server kills what is left, and exits
        self._process.wait()

    def _ask(self, request: dict[str, Any], *descriptors: int) -> dict[str, Any]:
        data = json.dumps(request).encode()
        with self._lock:
            try:
                if not self._ready:
                    self._ready = sandbox.receive(self._control) is not None
                socket.send_fds(self._control, [struct.pack(">I", len(data))], list(descriptors))
                self._control.sendall(data)
                reply = sandbox.receive(self._control)
            except OSError as failure:
                raise Closing from failure
        if reply is None:
            raise Closing
        return reply


@dataclass(slots=True, kw_only=True, eq=False)
class Environment:
    """A live process for one revision of one function."""

    setup: Setup
    pid: int
    channel: socket.socket
    init_ms: float
    fresh: bool = True
    idle_since: float = field(default_factory=time.monotonic)

    def run(self, call: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """One invocation.

        Raises:
            TimeoutError: no answer within `timeout_s` seconds; the process still runs.
            EnvironmentEnded: the process is gone.
        """
        self.channel.settimeout(timeout_s)
        try:
            sandbox.send(self.channel, call)
            reply = sandbox.receive(self.channel)
        except TimeoutError:
            raise
        except OSError:
            reply = None
        if reply is None:
            raise EnvironmentEnded("")
        return reply

    def kill(self) -> None:
        sandbox.kill_tree(self.pid)
        self.channel.close()


class Environments:
    """Leases environments, reuses idle ones, and keeps their number down.

    At most `max_alive` processes, idle ones included; a function that has none at work always
    gets one, so that many long copies cannot starve the webhook. Idle ones end after `idle_s`.
    """

    def __init__(self, *, max_alive: int = 8, idle_s: float = 20.0) -> None:
        self._server = ForkServer()
        self._max_alive = max_alive
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._idle: list[Environment] = []  # the longest idle first
        self._busy: Counter[str] = Counter()
        self._at_work: set[Environment] = set()
        self._closed = False
        self._janitor = threading.Thread(target=self._retire_idle, name="lambda-idle", daemon=True)
        self._janitor.start()

    def lease(self, setup: Setup) -> Environment:
        """An environment for one invocation; give it back with `release` or `discard`.

        Raises:
            Throttled, InitFailed, EnvironmentEnded (while importing), Closing.
        """
        with self._changed:
            match, surplus = self._claim(setup)
        if match is not None:
            return match
        if surplus is not None:
            self._end(surplus)
        try:
            environment = self._start(setup)
        except BaseException:
            self._free(setup.function)
            raise
        with self._changed:
            self._at_work.add(environment)
            closed = self._closed
        if closed:
            self.discard(environment)
            raise Closing
        return environment

    def release(self, environment: Environment) -> None:
        """Give back a healthy environment for the next invocation."""
        environment.fresh = False
        environment.idle_since = time.monotonic()
        with self._changed:
            self._at_work.discard(environment)
            keep = not self._closed
            if keep:
                self._idle.append(environment)
        self._free(environment.setup.function)
        if not keep:
            self._end(environment)

    def discard(self, environment: Environment) -> int:
        """Kill a leased environment; its wait status, or 0 when the cloud is closing."""
        with self._changed:
            self._at_work.discard(environment)
        try:
            return self._end(environment)
        finally:
            self._free(environment.setup.function)

    def close(self) -> None:
        """Kill every process, also those at work, and the fork server."""
        with self._changed:
            self._closed = True
            idle, at_work = self._idle, list(self._at_work)
            self._idle = []
            self._changed.notify_all()
        for environment in idle:
            environment.kill()
        for environment in at_work:  # whoever waits for its answer closes the channel
            sandbox.kill_tree(environment.pid)
        self._server.close()
        self._janitor.join()

    def _claim(self, setup: Setup) -> tuple[Environment | None, Environment | None]:
        """Count one more at work; the idle environment to use, or the one to end to make room."""
        while True:
            if self._closed:
                raise Closing
            busy = self._busy[setup.function]
            if setup.reserved is not None and busy >= setup.reserved:
                raise Throttled(setup.function)
            match = self._matching(setup)
            if match is None and busy and sum(self._busy.values()) >= self._max_alive:
                self._changed.wait()
                continue
            self._busy[setup.function] += 1
            if match is not None:
                self._idle.remove(match)
                self._at_work.add(match)
                return match, None
            crowded = len(self._idle) + sum(self._busy.values()) > self._max_alive
            return None, self._idle.pop(0) if self._idle and crowded else None

    def _matching(self, setup: Setup) -> Environment | None:
        for environment in reversed(self._idle):
            if environment.setup == setup:
                return environment
        return None

    def _start(self, setup: Setup) -> Environment:
        pid, channel = self._server.spawn(setup)
        environment = Environment(setup=setup, pid=pid, channel=channel, init_ms=0.0)
        channel.settimeout(INIT_LIMIT_S)
        try:
            greeting = sandbox.receive(channel)
        except OSError as failure:  # a time-out is one too
            self._end(environment)
            raise EnvironmentEnded("Error: Init phase timed out") from failure
        if greeting is None or "init_error" in greeting:
            status = self._end(environment)
            if greeting is None:
                raise EnvironmentEnded(ending(status))
            raise InitFailed(greeting["init_error"])
        environment.init_ms = greeting["init_ms"]
        return environment

    def _end(self, environment: Environment) -> int:
        environment.kill()
        try:
            return self._server.reap(environment.pid)
        except Closing:
            return 0

    def _free(self, function: str) -> None:
        with self._changed:
            self._busy[function] -= 1
            self._changed.notify_all()

    def _retire_idle(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                horizon = time.monotonic() - self._idle_s
                old = [one for one in self._idle if one.idle_since <= horizon]
                self._idle = [one for one in self._idle if one.idle_since > horizon]
                if not old:
                    next_s = self._idle[0].idle_since - horizon if self._idle else None
                    self._changed.wait(next_s)
            for environment in old:
                self._end(environment)


def ending(status: int) -> str:
    """How Lambda words the end of a runtime process, from its `os.waitpid` status."""
    if os.WIFSIGNALED(status):
        name = "killed" if os.WTERMSIG(status) == signal.SIGKILL else f"{os.WTERMSIG(status)}"
        return f"Error: Runtime exited with error: signal: {name}"
    code = os.waitstatus_to_exitcode(status)
    if code:
        return f"Error: Runtime exited with error: exit status {code}"
    return "Error: Runtime exited without providing a reason"
