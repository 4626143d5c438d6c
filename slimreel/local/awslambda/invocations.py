"""Running a function once: an environment, a deadline, the log lines, and what came out."""

from __future__ import annotations

import contextlib
import json
import math
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slimreel.local.awslambda.environments import (
    Environment,
    EnvironmentEnded,
    Environments,
    InitFailed,
    Setup,
    ending,
)
from slimreel.local.awslambda.functions import Function

#: Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
SYNC_LIMIT_BYTES = 6 * 1024 * 1024
ASYNC_LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an invocation came to.

    Attributes:
        payload: the handler's result as JSON, or the error object.
        function_error: "Unhandled" when the payload is an error object.
    """

    payload: bytes
    request_id: str
    function_error: str | None = None


class Invocations:
    """Runs functions in leased environments and writes `<function>.log`."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    def run(
        self, function: Function, setup: Setup, event: Any, *, crash: str | None = None
    ) -> Outcome:
        """Invoke once and wait for the outcome.

        Args:
            crash: "before" or "after" kills the environment before the handler starts, or when
                it has finished but its answer has not arrived (faults under test).

        Raises:
            Throttled, Closing.
        """
        request_id = str(uuid.uuid4())
        try:
            environment = self._environments.lease(setup)
        except InitFailed as failure:
            return self._failed(setup, request_id, failure.payload)
        except EnvironmentEnded as end:
            return self._failed(setup, request_id, _exit_error(request_id, end.reason))
        if crash == "before":
            status = self._environments.discard(environment)
            return self._failed(setup, request_id, _exit_error(request_id, ending(status)))
        return self._run_in(environment, function, event, request_id, crash=crash)

    def _run_in(
        self,
        environment: Environment,
        function: Function,
        event: Any,
        request_id: str,
        *,
        crash: str | None,
    ) -> Outcome:
        setup, fresh, timeout_s = environment.setup, environment.fresh, function.timeout_s
        _write(setup.log_path, f"START RequestId: {request_id} Version: $LATEST")
        started = time.monotonic()
        call = {
            "event": event,
            "request_id": request_id,
            "deadline": time.time() + timeout_s,
            "arn": function.arn,
        }
        reply: dict[str, Any] = {}
        try:
            reply = environment.run(call, timeout_s=timeout_s)
            if crash == "after":
                raise EnvironmentEnded("")
        except TimeoutError:
            self._environments.discard(environment)
            error: dict[str, Any] | None = {
                "errorType": "Sandbox.Timedout",
                "errorMessage": f"RequestId: {request_id} Error: Task timed out after "
                f"{timeout_s:.2f} seconds",
            }
        except EnvironmentEnded:
            error = _exit_error(request_id, ending(self._environments.discard(environment)))
        else:
            self._environments.release(environment)
            error = reply.get("error")
        init_ms = environment.init_ms if fresh else None
        _report(setup.log_path, function, request_id, time.monotonic() - started, reply, init_ms)
        return self._outcome(setup, request_id, reply, error)

    def _outcome(
        self, setup: Setup, request_id: str, reply: dict[str, Any], error: dict[str, Any] | None
    ) -> Outcome:
        if error is None and len(reply["result"].encode()) > SYNC_LIMIT_BYTES:
            error = {
                "errorType": "Function.ResponseSizeTooLarge",
                "errorMessage": "Response payload size exceeded maximum allowed payload size "
                f"({SYNC_LIMIT_BYTES} bytes).",
            }
        if error is None:
            return Outcome(payload=reply["result"].encode(), request_id=request_id)
        return self._failed(setup, request_id, error)

    def _failed(self, setup: Setup, request_id: str, error: dict[str, Any]) -> Outcome:
        if error["errorType"].partition(".")[0] in ("Sandbox", "Runtime", "Function"):
            _write(setup.log_path, f"[ERROR] {error['errorType']}: {error['errorMessage']}")
        return Outcome(
            payload=json.dumps(error).encode(), request_id=request_id, function_error="Unhandled"
        )


def _exit_error(request_id: str, reason: str) -> dict[str, Any]:
    return {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} {reason}",
    }


def _report(
    log_path: Path,
    function: Function,
    request_id: str,
    duration_s: float,
    reply: dict[str, Any],
    init_ms: float | None,
) -> None:
    duration_ms = duration_s * 1000
    used_mb = math.ceil(reply.get("max_rss_bytes", 0) / 2**20)
    init = f"\tInit Duration: {init_ms:.2f} ms" if init_ms is not None else ""
    _write(
        log_path,
        f"END RequestId: {request_id}\n"
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\t"
        f"Billed Duration: {math.ceil(duration_ms)} ms\tMemory Size: {function.memory_mb} MB\t"
        f"Max Memory Used: {used_mb} MB{init}",
    )


def _write(log_path: Path, line: str) -> None:
    with contextlib.suppress(FileNotFoundError), log_path.open("a") as log_file:
        log_file.write(line + "\n")
