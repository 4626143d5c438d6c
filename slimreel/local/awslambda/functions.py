"""The functions that exist: their configuration as the API shows it, and what runs them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slimreel.local import ACCOUNT_ID, REGION, SECRET_ACCESS_KEY
from slimreel.local.awslambda.environments import Setup
from slimreel.local.awslambda.errors import (
    LambdaError,
    conflict,
    invalid,
    not_found,
    unsupported,
)

#: Names the runtime sets itself; CreateFunction refuses them.
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)
ENVIRONMENT_LIMIT_BYTES = 4096
#: Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
TIMEOUT_LIMIT_S = 900

#: Members of CreateFunction that are stored and shown as they came.
_COPIED = (
    "Description",
    "Handler",
    "LoggingConfig",
    "Role",
    "Runtime",
    "DeadLetterConfig",
    "VpcConfig",
    "KMSKeyArn",
)
_REFUSED = ("ImageConfig", "FileSystemConfigs", "SnapStart", "CapacityProviderConfig")


@dataclass(slots=True, kw_only=True)
class Function:
    """One function. `configuration` is a FunctionConfiguration of the API."""

    configuration: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    event_invoke: dict[str, Any] | None = None
    policy: dict[str, dict[str, Any]] = field(default_factory=dict)  # by statement id

    @property
    def name(self) -> str:
        return str(self.configuration["FunctionName"])

    @property
    def arn(self) -> str:
        return str(self.configuration["FunctionArn"])

    @property
    def timeout_s(self) -> int:
        return int(self.configuration["Timeout"])

    @property
    def memory_mb(self) -> int:
        return int(self.configuration["MemorySize"])


class Functions:
    """All functions by name. Thread-safe; a change gives the function a new revision."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._functions: dict[str, Function] = {}

    def get(self, reference: str) -> Function:
        """By name, partial ARN or ARN, with or without `:$LATEST`."""
        name = function_name(reference)
        with self._lock:
            if name not in self._functions:
                raise not_found(f"Function not found: {function_arn(name)}")
            return self._functions[name]

    def all(self) -> list[Function]:
        with self._lock:
            return [self._functions[name] for name in sorted(self._functions)]

    def create(self, params: dict[str, Any]) -> Function:
        name = function_name(params["FunctionName"])
        if params.get("PackageType", "Zip") != "Zip":
            raise unsupported("functions from container images")
        if "Handler" not in params or "Runtime" not in params:
            raise invalid("Runtime and Handler are mandatory parameters for functions created")
        configuration = {
            "FunctionName": name,
            "FunctionArn": function_arn(name),
            "Timeout": 3,
            "MemorySize": 128,
            "CodeSize": len(params["Code"].get("ZipFile") or b""),
            "CodeSha256": _code_sha256(params["Code"]),
            "Version": "$LATEST",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "PackageType": "Zip",
            "Architectures": params.get("Architectures", ["x86_64"]),
            "TracingConfig": {"Mode": "PassThrough"},
            "EphemeralStorage": {"Size": 512},
        }
        function = Function(configuration=configuration, tags=dict(params.get("Tags") or {}))
        _apply(function, params)
        with self._lock:
            if name in self._functions:
                raise conflict(f"Function already exist: {name}")
            self._functions[name] = function
        return function

    def update_configuration(self, params: dict[str, Any]) -> Function:
        with self._lock:
            function = self.get(params["FunctionName"])
            _check_revision(function, params)
            _apply(function, params)
            return function

    def update_code(self, params: dict[str, Any]) -> Function:
        """Accept new code. What runs is always the project directory, as it is by then."""
        with self._lock:
            function = self.get(params["FunctionName"])
            _check_revision(function, params)
            function.configuration["CodeSha256"] = _code_sha256(params)
            _touch(function)
            return function

    def delete(self, reference: str) -> None:
        with self._lock:
            del self._functions[self.get(reference).name]


def function_name(reference: str) -> str:
    """The bare name in a function reference.

    Raises:
        LambdaError: a version or alias other than `$LATEST`, which do not exist here.
    """
    parts = reference.split(":")
    if parts[0] == "arn":
        parts = parts[6:]
    elif len(parts) >= 3 and parts[1] == "function":
        parts = parts[2:]
    if len(parts) > 1 and parts[1] != "$LATEST":
        raise not_found(f"Function not found: {function_arn(parts[0])}:{parts[1]}")
    return parts[0] if parts else ""


def function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}"


def setup_of(
    function: Function, *, project_dir: Path, log_dir: Path, endpoint_url: str, access_key_id: str
) -> Setup:
    """What an execution environment of this function starts with: Lambda's variables, then ours."""
    configuration = function.configuration
    logging_config = configuration.get("LoggingConfig") or {}
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": configuration["Handler"],
        "LAMBDA_TASK_ROOT": str(project_dir),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration['Runtime']}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_SESSION_TOKEN": "test",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": logging_config.get("LogGroup", f"/aws/lambda/{function.name}"),
        "AWS_LAMBDA_LOG_STREAM_NAME": f"local/[$LATEST]{configuration['RevisionId']}",
        "AWS_LAMBDA_LOG_FORMAT": logging_config.get("LogFormat", "Text").replace("Text", "TEXT"),
        "AWS_LAMBDA_LOG_LEVEL": logging_config.get("ApplicationLogLevel", "INFO"),
        "AWS_ENDPOINT_URL": endpoint_url,
        # The developer's own profile and proxy must not reach into the local cloud.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        **(configuration.get("Environment", {}).get("Variables") or {}),
    }
    return Setup(
        function=function.name,
        revision=configuration["RevisionId"],
        env=env,
        task_root=project_dir,
        log_path=log_dir / f"{function.name}.log",
        reserved=function.reserved_concurrency,
    )


def _apply(function: Function, params: dict[str, Any]) -> None:
    for member in _REFUSED:
        if params.get(member):
            raise unsupported(member)
    if params.get("Timeout", 0) > TIMEOUT_LIMIT_S:
        message = "Value at 'timeout' failed to satisfy constraint: Member must have value less "
        raise LambdaError(400, "ValidationException", f"{message}than or equal to 900")
    _check_environment((params.get("Environment") or {}).get("Variables") or {})
    configuration = function.configuration
    for member in _COPIED:
        if member in params:
            configuration[member] = params[member]
    for member in ("Timeout", "MemorySize", "EphemeralStorage", "TracingConfig", "Environment"):
        if params.get(member) is not None:
            configuration[member] = params[member]
    if "Layers" in params:
        configuration["Layers"] = [{"Arn": arn} for arn in params["Layers"]]
    _touch(function)


def _check_environment(variables: dict[str, str]) -> None:
    reserved = sorted(RESERVED_VARIABLES & variables.keys())
    if reserved:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    if len(json.dumps(variables, separators=(",", ":"))) > ENVIRONMENT_LIMIT_BYTES:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit."
        )


def _check_revision(function: Function, params: dict[str, Any]) -> None:
    expected = params.get("RevisionId")
    if expected is not None and expected != function.configuration["RevisionId"]:
        raise invalid("The RevisionId provided does not match the latest RevisionId.")


def _touch(function: Function) -> None:
    moment = datetime.now(UTC)
    function.configuration["LastModified"] = moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    function.configuration["RevisionId"] = str(uuid.uuid4())


def _code_sha256(code: dict[str, Any]) -> str:
    """Stands for the package's content: of the bytes if they came, else of where they lie."""
    content = code.get("ZipFile") or json.dumps(
        {key: code.get(key) for key in ("S3Bucket", "S3Key", "S3ObjectVersion")}
    )
    data = content if isinstance(content, bytes) else content.encode()
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
