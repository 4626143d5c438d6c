"""The process side of the Lambda stand-in: a fork server, and the loop of one environment.

Run as a script by `environments.ForkServer`, never imported by the app. The server imports the
third-party libraries once (never the app) and forks a process per execution environment, which
then starts in milliseconds and shares the libraries' memory. It stays single-threaded, so
forking it is safe.

Wire format, both sockets: a 4-byte big-endian length, then JSON.

Control socket (parent to server):
    {"spawn": {setup}} with two file descriptors (the environment's socket, its log) -> {"pid"}
    {"reap": pid} -> {"status"}: waits for the process to end; an `os.waitpid` status.
    End of file: every environment is killed and the server exits.

Environment socket: `{"ready": true, "init_ms"}` or `{"init_error": payload}` first; then for each
`{"event", "request_id", "deadline", "arn"}` one `{"result": json}` or `{"error": payload}`, each
with `max_rss_bytes`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import logging
import os
import resource
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

#: Heavy imports of the functions, done once. Absent ones are skipped.
PRELOAD = (
    "chalice",
    "boto3",
    "botocore.client",
    "botocore.endpoint",
    "botocore.httpsession",
    "botocore.parsers",
    "botocore.signers",
    "boto3.dynamodb.conditions",
    "boto3.dynamodb.types",
    "s3transfer.manager",
    "google.auth.transport.requests",
    "google.oauth2.service_account",
    "google_auth_httplib2",
    "googleapiclient.discovery",
    "googleapiclient.errors",
    "googleapiclient.http",
    "pyairtable",
    "pydantic",
    "requests",
)

#: AWS services whose API descriptions are read once, before forking: parsing them is most of what
#: a first client costs (150 ms for all of these, 30 ms when they are there already).
AWS_SERVICES = ("dynamodb", "mediaconvert", "s3", "sns", "sqs", "ssm", "stepfunctions")


def send(sock: socket.socket, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    sock.sendall(struct.pack(">I", len(data)) + data)


def receive(sock: socket.socket) -> dict[str, Any] | None:
    """The next message; None at end of file."""
    header = _exactly(sock, 4)
    if header is None:
        return None
    data = _exactly(sock, struct.unpack(">I", header)[0])
    return None if data is None else json.loads(data)


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    chunks = bytearray()
    while len(chunks) < size:
        chunk = sock.recv(min(size - len(chunks), 1 << 20))
        if not chunk:
            return None
        chunks += chunk
    return bytes(chunks)


def kill_tree(pid: int) -> None:
    """Kill a process and what it started (an ffmpeg, say), as the end of a sandbox does."""
    import psutil

    try:
        process = psutil.Process(pid)
        process.suspend()  # or it could start one more meanwhile
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


# --- the fork server -----------------------------------------------------------------------


def serve(control: socket.socket) -> None:
    """Fork environments on request until the parent goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for module in PRELOAD:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as missing:
            print(f"not preloaded: {missing}", file=sys.stderr)
    _preload_aws()
    gc.freeze()  # keeps the collector from touching, and so copying, the shared pages
    children: set[int] = set()
    with contextlib.suppress(ConnectionError):  # as good as an end of file
        send(control, {"ready": True})
        while _serve_one(control, children):
            pass
    for pid in children:
        kill_tree(pid)
        os.waitpid(pid, 0)


def _preload_aws() -> None:
    """Fill the description cache of boto3's default session; nothing else of it is set up."""
    import boto3
    from botocore.exceptions import UnknownServiceError

    boto3.setup_default_session()
    loader = boto3.DEFAULT_SESSION._session.get_component("data_loader")
    for service in AWS_SERVICES:
        for description in ("service-2", "endpoint-rule-set-1", "paginators-1", "resources-1"):
            with contextlib.suppress(UnknownServiceError):
                loader.load_service_model(service, description)
    for data in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(data)


def _die_with(server: int) -> None:
    """Be killed when the fork server is, in whatever way. Linux only; elsewhere an environment
    ends when it has answered.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != server:
            os._exit(1)


def _serve_one(control: socket.socket, children: set[int]) -> bool:
    """Answer one request of the parent; False when it has hung up."""
    header, descriptors, _, _ = socket.recv_fds(control, 4, 2)
    rest = _exactly(control, struct.unpack(">I", header)[0]) if header else None
    if rest is None:
        return False
    request = json.loads(rest)
    if "spawn" in request:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            control.close()
            _die_with(server)
            _become_environment(request["spawn"], *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        children.add(pid)
        send(control, {"pid": pid})
    else:
        # Its end was made sure of already; if it was not, everybody would wait for it here.
        os.kill(request["reap"], signal.SIGKILL)
        _, status = os.waitpid(request["reap"], 0)
        children.discard(request["reap"])
        send(control, {"status": status})
    return True


# --- one execution environment ---------------------------------------------------------------


class LambdaContext:
    """What the handler gets as its second argument.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def __init__(self, setup: dict[str, Any], call: dict[str, Any]) -> None:
        self.aws_request_id: str = call["request_id"]
        self.function_name: str = setup["env"]["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = "$LATEST"
        self.invoked_function_arn: str = call["arn"]
        self.memory_limit_in_mb: str = setup["env"]["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name: str = setup["env"]["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name: str = setup["env"]["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self._deadline: float = call["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.time()) * 1000))

    def log(self, message: str) -> None:
        sys.stdout.write(message)


class _Formatter(logging.Formatter):
    """The runtime's own log lines, in its text or its JSON form.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """

    request_id = ""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        if not self._as_json:
            return (
                f"[{record.levelname}]\t{moment}.{int(record.msecs):03d}Z\t"
                f"{self.request_id}\t{message}"
            )
        line = {
            "timestamp": f"{moment}Z",
            "level": record.levelname,
            "message": message,
            "logger": record.name,
            "requestId": self.request_id,
        }
        return json.dumps(line)


class _Encoder(json.JSONEncoder):
    def default(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return float(value)
        return super().default(value)


def _become_environment(setup: dict[str, Any], channel_fd: int, log_fd: int) -> NoReturn:
    """Turn this fork into a function's environment and serve it; never returns."""
    channel = socket.socket(fileno=channel_fd)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(log_fd)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(setup["env"])
    time.tzset()
    os.chdir(setup["task_root"])
    sys.path.insert(0, setup["task_root"])
    formatter = _set_up_logging()
    status = 1
    try:
        _serve_function(channel, setup, formatter)
        status = 0
    except (BrokenPipeError, ConnectionResetError):
        status = 0  # the parent is gone; there is nobody to answer
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _set_up_logging() -> _Formatter:
    as_json = os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"
    formatter = _Formatter(as_json)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    if as_json:
        root.setLevel(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO"))
    return formatter


def _serve_function(channel: socket.socket, setup: dict[str, Any], formatter: _Formatter) -> None:
    started = time.perf_counter()
    handler, error = _load(setup["env"]["_HANDLER"])
    if error is not None:
        send(channel, {"init_error": error})
        return
    assert handler is not None
    send(channel, {"ready": True, "init_ms": (time.perf_counter() - started) * 1000})
    while (call := receive(channel)) is not None:
        formatter.request_id = call["request_id"]
        reply = _run(handler, call, LambdaContext(setup, call))
        sys.stdout.flush()
        sys.stderr.flush()
        reply["max_rss_bytes"] = _max_rss_bytes()
        send(channel, reply)


def _load(handler_string: str) -> tuple[Callable[..., Any] | None, dict[str, Any] | None]:
    module_name, _, function_name = handler_string.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as failure:
        traceback.print_exc()
        return None, {
            "errorMessage": f"Unable to import module '{module_name}': {failure}",
            "errorType": "Runtime.ImportModuleError",
            "stackTrace": [],
        }
    except BaseException as failure:  # noqa: BLE001 - whatever module code raises, as Lambda does
        traceback.print_exc()
        return None, _payload(failure)
    handler = getattr(module, function_name, None)
    if handler is None:
        return None, {
            "errorMessage": f"Handler '{function_name}' missing on module '{module_name}'",
            "errorType": "Runtime.HandlerNotFound",
            "stackTrace": [],
        }
    return handler, None


def _run(
    handler: Callable[..., Any], call: dict[str, Any], context: LambdaContext
) -> dict[str, Any]:
    try:
        result = handler(call["event"], context)
    except Exception as failure:  # noqa: BLE001 - a handler's error is its caller's to see
        payload = _payload(failure)
        _print_error(payload, call["request_id"])
        return {"error": payload}
    try:
        return {"result": json.dumps(result, cls=_Encoder)}
    except (TypeError, ValueError) as failure:
        payload = {
            "errorMessage": f"Unable to marshal response: {failure}",
            "errorType": "Runtime.MarshalError",
            "stackTrace": [],
        }
        _print_error(payload, call["request_id"])
        return {"error": payload}


def _print_error(payload: dict[str, Any], request_id: str) -> None:
    """An error nobody caught, as the runtime logs it in the form that is set."""
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = {"timestamp": moment, "log_level": "ERROR", **payload, "requestId": request_id}
        print(json.dumps(line))
        return
    print(f"[ERROR] {payload['errorType']}: {payload['errorMessage']}")
    print("Traceback (most recent call last):")
    print("".join(payload["stackTrace"]), end="")


def _payload(failure: BaseException) -> dict[str, Any]:
    return {
        "errorMessage": str(failure),
        "errorType": type(failure).__name__,
        "stackTrace": traceback.format_list(_own_frames(failure.__traceback__)),
    }


def _own_frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    return [frame for frame in traceback.extract_tb(trace) if frame.filename != __file__]


def _max_rss_bytes() -> int:
    """The most memory this process ever had; on Linux since it became this program, while
    `getrusage` counts what its parent had before.
    """
    if sys.platform == "linux":
        with Path("/proc/self/status").open() as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
