"""The control path of a running stand-in cloud: `/_control/…`, for crash and load tests.

For programs on this machine only: the port is bound to loopback, and a request must come as JSON
to a loopback host name, which no web page in somebody's browser can send.

    POST   /_control/faults    one Fault as JSON (`slimreel.local.faults.Fault`): 201
    GET    /_control/faults    the faults that still wait to strike
    DELETE /_control/faults    no more faults
    GET    /_control/requests  calls answered so far, by service and operation
    GET    /_control/account   what the command needs to know of this cloud; see `Cloud.account`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from werkzeug.wrappers import Request, Response

from slimreel.local.faults import Fault, Faults

PREFIX = "/_control"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
#: What a field's annotation (a string here) takes from JSON. A bool is an int in Python.
_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
}


class BadControl(ValueError):
    """The request makes no sense; the message says why."""


class Control:
    """Answers requests below `PREFIX`.

    Args:
        requests: calls seen so far by (service, operation).
        account: what this cloud says of itself.
    """

    def __init__(
        self,
        faults: Faults,
        requests: Callable[[], Mapping[tuple[str, str], int]],
        account: Callable[[], Mapping[str, Any]] = dict,
    ):
        self._faults = faults
        self._requests = requests
        self._account = account

    def handle(self, request: Request) -> Response:
        if request.host.rpartition(":")[0] not in _LOOPBACK and request.host not in _LOOPBACK:
            return _json({"error": "Only this machine may ask."}, status=403)
        if request.method != "GET" and request.mimetype != "application/json":
            return _json({"error": "Send Content-Type: application/json."}, status=415)
        try:
            return self._answer(request)
        except BadControl as problem:
            return _json({"error": str(problem)}, status=400)

    def _answer(self, request: Request) -> Response:
        match request.method, request.path.removeprefix(PREFIX):
            case "POST", "/faults":
                fault = fault_from(request.get_data())
                self._add(fault)
                return _json(asdict(fault), status=201)
            case "GET", "/faults":
                return _json({"faults": [asdict(fault) for fault in self._faults.waiting()]})
            case "DELETE", "/faults":
                self._faults.clear()
                return Response(status=204)
            case "GET", "/account":
                return _json(self._account())
            case "GET", "/requests":
                seen = sorted(self._requests().items())
                return _json({"requests": {f"{s}.{o}": count for (s, o), count in seen}})
        return _json({"error": f"There is no {request.method} {request.path}."}, status=404)

    def _add(self, fault: Fault) -> None:
        try:
            self._faults.add(fault)
        except RuntimeError as problem:
            raise BadControl(str(problem)) from problem


def fault_from(body: bytes) -> Fault:
    """The fault a JSON object describes.

    Raises:
        BadControl: not JSON, an unknown or missing member, or a value of the wrong type.
    """
    try:
        told = json.loads(body)
    except ValueError as problem:
        raise BadControl(f"The body is not JSON: {problem}") from None
    if not isinstance(told, dict):
        raise BadControl("The body is not a JSON object.")
    known = {field.name: field for field in fields(Fault)}
    unknown = sorted(told.keys() - known.keys())
    if unknown:
        raise BadControl(f"A fault has no {', '.join(unknown)}; it has {', '.join(known)}.")
    for name, value in told.items():
        _check(name, str(known[name].type), value)
    missing = [n for n, f in known.items() if f.default is MISSING and n not in told]
    if missing:
        raise BadControl(f"A fault needs {', '.join(missing)}.")
    return Fault(**told)


def _check(name: str, kind: str, value: Any) -> None:
    wanted = [*_TYPES[kind]] if kind in _TYPES else [object]
    if not isinstance(value, tuple(wanted)) or (isinstance(value, bool) and kind != "bool"):
        raise BadControl(f"{name} is {value!r}; it must be {kind}.")


def _json(body: Mapping[str, Any], *, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, mimetype="application/json")
