"""The AWS services moto answers, behind one call per request.

moto keeps everything in memory and was written for one caller at a time: two threads inside a
conditional DynamoDB write can both succeed. So calls to one service are answered in turn, and
whoever reads a backend directly takes the same lock.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from wsgiref.types import WSGIApplication

from moto.backends import get_backend
from moto.core.config import default_user_config
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response

from slimreel.local.aws_errors import error_like
from slimreel.local.quick_dynamodb import QuickDynamoDB

log = logging.getLogger("slimreel.local.front")


def _spare(name: str, **members: object) -> None:
    """Let moto's modules import a package without its `__init__`, which loads all of it.

    The interpreter wants one enumeration of AWS Batch, and SSM wants to know EC2 instances to run
    commands on. Both bring in EC2, and with it half of moto's import time: 0.5 s.

    Args:
        members: what is imported from the package itself.
    """
    found = importlib.util.find_spec(name)
    if found is not None and name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = list(found.submodule_search_locations or ())
        package.__spec__ = found
        vars(package).update(members)
        sys.modules[name] = package


_spare("moto.ec2", ec2_backends={})
_spare("moto.batch")

# Ids that follow from names, so that a pool and its client are the same after a restart.
os.environ.setdefault("MOTO_COGNITO_IDP_USER_POOL_ID_STRATEGY", "HASH")
os.environ.setdefault("MOTO_COGNITO_IDP_USER_POOL_CLIENT_ID_STRATEGY", "HASH")
_COGNITO = "https://cognito-idp.eu-west-1.amazonaws.com"

#: SigV4 signing name -> moto's name. Only these are let through.
SERVICES = {
    "dynamodb": "dynamodb",
    "sqs": "sqs",
    "sns": "sns",
    "events": "events",
    "states": "stepfunctions",
    "ssm": "ssm",
    "iam": "iam",
    "logs": "logs",
    "sts": "sts",
    "monitoring": "cloudwatch",
    "cognito-idp": "cognitoidp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCall:
    """One call as it arrived.

    Attributes:
        service: the SigV4 signing name ("dynamodb", "states" …).
        operation: the API's name for it ("PutItem").
        body: the request body as sent.
    """

    service: str
    operation: str
    body: bytes
    environ: dict[str, Any]


#: Sees a call that succeeded, before its answer leaves and before the service's next call.
#: Raises NotKept where the call's effect cannot last; the caller then gets an error instead.
Observer = Callable[[AwsCall, Response], None]


class NotKept(Exception):
    """What a call did could not be written to disk, and was undone. The message says why."""


class Moto:
    """moto's backends, emptied, for as long as one cloud runs (they are global to the process)."""

    def __init__(self) -> None:
        moto_api_backend.reset()
        self._quick = QuickDynamoDB()
        self._apps: dict[str, WSGIApplication] = {}
        self._observers: dict[str, list[Observer]] = {name: [] for name in SERVICES}
        self.locks = {name: threading.RLock() for name in SERVICES}
        self.locks["sns"] = self.locks["sqs"]  # a topic writes straight into its queues
        self._sfn_config = default_user_config["stepfunctions"].copy()
        default_user_config["stepfunctions"] = {"execute_state_machine": True}

    def observe(self, service: str, observer: Observer) -> None:
        """Tell `observer` of every call to `service` that succeeds."""
        self._observers[service].append(observer)

    def backend(self, service: str, account: str, region: str) -> Any:
        """moto's own object for a service; hold `locks[service]` while using it."""
        return get_backend(SERVICES[service])[account][region]

    def call(self, call: AwsCall) -> Response:
        """Answer one call. An exception inside moto becomes a logged 500."""
        environ = {**call.environ, "wsgi.input": io.BytesIO(call.body)}
        environ["CONTENT_LENGTH"] = str(len(call.body))
        environ.pop("wsgi.input_terminated", None)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        with self.locks[call.service]:
            try:
                parts, status, headers = run_wsgi_app(self._app(call.service), environ)
                response = Response(b"".join(parts), status=status, headers=headers)
            except NotImplementedError as refusal:
                log.warning("501 %s.%s: moto does not know it", call.service, call.operation)
                return error_like(call.environ, 501, "NotImplemented", str(refusal))
            except Exception:
                log.exception("moto failed in %s.%s", call.service, call.operation)
                message = "moto failed; see the log of the front."
                return error_like(call.environ, 500, "InternalFailure", message)
            try:
                if response.status_code < 300:
                    for observer in self._observers[call.service]:
                        observer(call, response)
            except NotKept as problem:
                log.error("%s.%s was undone: %s", call.service, call.operation, problem)
                return error_like(call.environ, 500, "InternalServerError", str(problem))
            return response

    def jwks(self, pool_id: str) -> bytes:
        """The public keys of a user pool, as the pool publishes them."""
        path = f"/{pool_id}/.well-known/jwks.json"
        environ = EnvironBuilder(path, base_url=_COGNITO).get_environ()
        call = AwsCall(service="cognito-idp", operation="?", body=b"", environ=environ)
        return bytes(self.call(call).get_data())

    def close(self) -> None:
        self._quick.restore()
        moto_api_backend.reset()
        default_user_config["stepfunctions"] = self._sfn_config

    def _app(self, service: str) -> WSGIApplication:
        if service not in self._apps:
            self._apps[service] = create_backend_app(SERVICES[service])
        return self._apps[service]
