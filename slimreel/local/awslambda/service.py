"""The Lambda stand-in as the rest of the cloud sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from werkzeug.wrappers import Request, Response

from slimreel.local import ACCESS_KEY_ID
from slimreel.local.awslambda.api import Api
from slimreel.local.awslambda.asynchronous import RETRY_DELAYS_S, AsyncInvoker, Deliver
from slimreel.local.awslambda.environments import Environments, Throttled
from slimreel.local.awslambda.errors import LambdaError, throttled, too_large
from slimreel.local.awslambda.functions import Function, Functions, setup_of
from slimreel.local.awslambda.invocations import (
    ASYNC_LIMIT_BYTES,
    SYNC_LIMIT_BYTES,
    Invocations,
    Outcome,
)
from slimreel.local.awslambda.layers import Layers
from slimreel.local.awslambda.mappings import Mappings
from slimreel.local.background import Background
from slimreel.local.faults import Faults


class AwsLambda:
    """Functions whose code is always the project directory, run in forked processes.

    Not imitated: memory limits (only reported), ephemeral storage, the content of layers, versions
    and aliases.

    Faults, service "lambda": "Invoke/<function>" strikes each single run, however it was asked
    for: `status` and `code` refuse it, `drop` kills its process (before the handler starts, or
    with `after_effect` once it has finished). "InvokeAsync/<function>" strikes queued events.
    Other operations go by their API name.

    Attributes:
        functions, mappings, layers: what exists; the dispatcher reads the mappings.
        concurrency_quota: executions at once that the account allows.
    """

    def __init__(
        self,
        *,
        project_dir: Path,
        data_dir: Path,
        endpoint_url: str,
        faults: Faults,
        deliver: Deliver,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        max_alive: int = 8,
        idle_s: float = 20.0,
        queue_visibility_s: Callable[[str], float] | None = None,
        key_of: Callable[[str], str] = lambda _: ACCESS_KEY_ID,
    ) -> None:
        """
        Args:
            key_of: the access key id for a role's ARN; its secret is the account's.
        """
        self.functions = Functions()
        self.mappings = Mappings()
        self.layers = Layers()
        self.concurrency_quota = 1000  # a new account has 10
        self._project_dir = project_dir.resolve()
        self._log_dir = data_dir.resolve() / "logs"
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._endpoint_url = endpoint_url
        self._faults = faults
        self._key_of = key_of
        self._background = Background()
        self._environments = Environments(max_alive=max_alive, idle_s=idle_s)
        self._invocations = Invocations(self._environments)
        self._async = AsyncInvoker(
            invoke=self.invoke_function,
            deliver=deliver,
            background=self._background,
            faults=faults,
            retry_delays_s=retry_delays_s,
        )
        self._api = Api(self, faults=faults, queue_visibility_s=queue_visibility_s)

    def handle(self, request: Request) -> Response:
        """Answer one request of boto3's Lambda client."""
        return self._api.handle(request)

    def invoke(self, reference: str, payload: bytes) -> Outcome:
        """Run a function and wait (`RequestResponse`). `payload` is JSON; empty means null.

        Raises:
            LambdaError: it was not run: unknown, throttled, too large, not JSON.
            Closing: the cloud is shutting down.
        """
        if len(payload) > SYNC_LIMIT_BYTES:
            raise too_large(SYNC_LIMIT_BYTES)
        return self.invoke_function(self.functions.get(reference), payload)

    def invoke_async(self, reference: str, payload: bytes) -> str:
        """Queue an event for a function (`Event`); the request id.

        Raises:
            LambdaError: unknown function, too large, not JSON.
        """
        if len(payload) > ASYNC_LIMIT_BYTES:
            raise too_large(ASYNC_LIMIT_BYTES)
        _parse(payload)
        return self._async.accept(self.functions.get(reference), payload)

    def invoke_function(self, function: Function, payload: bytes) -> Outcome:
        event = _parse(payload)
        fault = self._faults.take("lambda", f"Invoke/{function.name}")
        crash = None
        if fault is not None and fault.drop:
            crash = "after" if fault.after_effect else "before"
        elif fault is not None and fault.status is not None and not fault.after_effect:
            raise LambdaError(fault.status, fault.code, fault.message)
        setup = setup_of(
            function,
            project_dir=self._project_dir,
            log_dir=self._log_dir,
            endpoint_url=self._endpoint_url,
            access_key_id=self._key_of(str(function.configuration["Role"])),
        )
        try:
            outcome = self._invocations.run(function, setup, event, crash=crash)
        except Throttled:
            raise throttled() from None
        self._faults.done()
        if fault is not None and fault.status is not None and fault.after_effect:
            raise LambdaError(fault.status, fault.code, fault.message)
        return outcome

    def close(self) -> None:
        """Kill every environment; nothing queued is tried again."""
        self._environments.close()
        self._background.close()


def _parse(payload: bytes) -> object:
    try:
        return json.loads(payload) if payload else None
    except ValueError as failure:
        raise LambdaError(
            400,
            "InvalidRequestContentException",
            f"Could not parse request body into json: {failure}",
        ) from None
