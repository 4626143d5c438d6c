"""The service's own contract: botocore's model of MediaConvert, and which call a request is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation of the model, matched to a request."""

    operation: str
    shape: Any  # botocore StructureShape of the input, or None
    status: int
    uri: dict[str, str]


@cache
def service_model() -> Any:
    """botocore's ServiceModel of MediaConvert (API version 2017-08-29)."""
    return botocore.session.get_session().get_service_model("mediaconvert")


@cache
def _routes() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    routes = []
    for name in service_model().operation_names:
        http = service_model().operation_model(name).http
        # An ARN in a path holds slashes; every other parameter is one segment.
        path = re.sub(
            r"\\{(\w+)\\}",
            lambda m: f"(?P<{m[1]}>{'.+' if m[1] == 'arn' else '[^/]+'})",
            re.escape(http["requestUri"]),
        )
        routes.append((http["method"], re.compile(f"^{path}/?$"), name))
    return tuple(routes)


def match(method: str, path: str) -> Call | None:
    """The modelled call behind a request line; None when the model has no such path."""
    for verb, pattern, name in _routes():
        found = pattern.match(path) if verb == method else None
        if found:
            operation = service_model().operation_model(name)
            return Call(
                operation=name,
                shape=operation.input_shape,
                status=int(operation.http.get("responseCode", 200)),
                uri=found.groupdict(),
            )
    return None
