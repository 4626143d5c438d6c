"""The one port of the stand-in cloud: who answers which request.

A request signed with SigV4 belongs to the service named in its credential scope; every other
request is routed by its path. What nobody answers is a 501 (AWS) or a 404, with a log line.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from werkzeug.wrappers import Request, Response

from slimreel.local.aws_errors import error_like, is_query
from slimreel.local.faults import Faults
from slimreel.local.iam import Guard
from slimreel.local.moto_app import SERVICES, AwsCall, Moto

log = logging.getLogger("slimreel.local.front")

Handler = Callable[[Request], Response]

_CREDENTIAL = re.compile(r"Credential=([^/,]+)/\d{8}/[^/]+/([^/]+)/aws4_request")
_CBOR_OPERATION = re.compile(r"^/service/[^/]+/operation/([^/]+)$")
#: Names that tests use for a service, where they differ from its signing name.
_FAULT_NAMES = {"monitoring": "cloudwatch"}


class Front:
    """A WSGI application that hands each request to the stand-in it is meant for.

    S3 asks the guard itself, because presigned URLs come from functions, too.

    Attributes:
        requests: calls seen so far by (service, operation); by (service, HTTP method) for the
            stand-ins that parse their own requests.
    """

    def __init__(self, *, moto: Moto, faults: Faults, guard: Guard | None = None) -> None:
        self._moto = moto
        self._guard = guard
        self._faults = faults
        self._services: dict[str, Handler] = {}
        self._paths: list[tuple[str, Handler]] = []
        self._intercepted: dict[tuple[str, str], Callable[[AwsCall], Response]] = {}
        self._requests_lock = threading.Lock()
        self.requests: Counter[tuple[str, str]] = Counter()

    def route_service(self, signing_name: str, handler: Handler) -> None:
        """Send requests signed for `signing_name` to `handler` instead of moto."""
        self._services[signing_name] = handler

    def route_path(self, prefix: str, handler: Handler) -> None:
        """Send unsigned requests below `prefix` to `handler`; the longest prefix wins."""
        self._paths.append((prefix, handler))
        self._paths.sort(key=lambda route: -len(route[0]))

    def intercept(
        self, service: str, operation: str, handler: Callable[[AwsCall], Response]
    ) -> None:
        """Answer one operation of a moto service here instead."""
        self._intercepted[service, operation] = handler

    def count(self, service: str, operation: str) -> None:
        with self._requests_lock:
            self.requests[service, operation] += 1

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        response = self.handle(Request(environ))
        self._faults.done()
        return response(environ, start_response)

    def handle(self, request: Request) -> Response:
        service = signing_service(request)
        if service is None or service == "execute-api":
            return self._by_path(request)
        if service in self._services:
            self.count(service, request.method)
            if self._guard is not None and service != "s3":
                key = access_key_id(request)
                refusal = self._guard.refusal_of_request(key, service, request)
                if refusal is not None:
                    return refusal
            return self._services[service](request)
        if service in SERVICES:
            return self._moto_call(service, request)
        log.warning("501 %s %s: nobody stands in for %r", request.method, request.path, service)
        message = f"The stand-in cloud has no {service}."
        return error_like(request.environ, 501, "NotImplemented", message)

    def _by_path(self, request: Request) -> Response:
        for prefix, handler in self._paths:
            if request.path == prefix or request.path.startswith(prefix.rstrip("/") + "/"):
                self.count(prefix, request.method)
                return handler(request)
        log.warning("404 %s %s: nothing answers here", request.method, request.path)
        return Response("Nothing answers here.\n", status=404, mimetype="text/plain")

    def _moto_call(self, service: str, request: Request) -> Response:
        body = request.get_data()
        call = AwsCall(
            service=service,
            operation=operation_of(request, body),
            body=body,
            environ=request.environ,
        )
        self.count(_FAULT_NAMES.get(service, service), call.operation)
        if self._guard is not None:
            refusal = self._guard.refusal_of_aws_call(access_key_id(request), call)
            if refusal is not None:
                return refusal
        fault = self._faults.take(_FAULT_NAMES.get(service, service), call.operation)
        if fault is not None and fault.cut_body_at_byte is not None:
            return _cut(self._perform(call), fault.cut_body_at_byte)
        if fault is None or fault.status is None:
            return self._perform(call)
        if fault.after_effect:
            self._perform(call)
        return error_like(request.environ, fault.status, fault.code, fault.message)

    def _perform(self, call: AwsCall) -> Response:
        handler = self._intercepted.get((call.service, call.operation), self._moto.call)
        return handler(call)


def _cut(response: Response, at_byte: int) -> Response:
    """The answer with its full Content-Length, but fewer bytes before the connection closes."""
    whole = response.get_data()
    cut = Response(iter([whole[:at_byte]]), response.status, response.headers)
    cut.headers["Content-Length"] = str(len(whole))
    cut.headers["Connection"] = "close"
    return cut


def signing_service(request: Request) -> str | None:
    """The service a request is signed for, by header or by presigned query; None if unsigned."""
    authorization = request.headers.get("Authorization", "")
    if authorization.startswith("AWS4-"):
        found = _CREDENTIAL.search(authorization)
        return found.group(2) if found else None
    credential = request.args.get("X-Amz-Credential")
    if credential is not None:
        scope = credential.split("/")
        return scope[3] if len(scope) == 5 else None
    if "AWSAccessKeyId" in request.args and "Signature" in request.args:
        return "s3"  # a query signed with the older signature version, which only S3 still has
    return None


def access_key_id(request: Request) -> str | None:
    """Whose key a request is signed with, in its header."""
    found = _CREDENTIAL.search(request.headers.get("Authorization", ""))
    return found.group(1) if found else None


def operation_of(request: Request, body: bytes) -> str:
    """The API operation a moto-bound request asks for; "?" when it names none."""
    target = request.headers.get("X-Amz-Target")
    if target:
        return target.rpartition(".")[2]
    if is_query(request.environ):
        return parse_qs(body.decode(errors="replace")).get("Action", ["?"])[0]
    by_path = _CBOR_OPERATION.match(request.path)
    return by_path.group(1) if by_path else request.args.get("Action", "?")
