"""Drive's own description of its API: which calls, parameters and fields exist.

The discovery document inside google-api-python-client is Google's machine-readable contract.
Every request is checked against it, so a call the real Drive would not understand is not
understood here either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from slimreel.local.drive.errors import Refusal, invalid_value

Schema: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One call of the API, for example "files.get" with "files/{fileId}"."""

    operation: str
    http_method: str
    path: re.Pattern[str]
    parameters: Mapping[str, Schema]
    scopes: frozenset[str]
    request_schema: str | None
    response_schema: str | None
    takes_media: bool


@cache
def document() -> dict[str, Any]:
    from googleapiclient.discovery_cache import get_static_doc

    text = get_static_doc("drive", "v3")
    if text is None:
        raise RuntimeError("google-api-python-client came without drive.v3.json.")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def methods() -> tuple[Method, ...]:
    """Return every call of the API, the ones without path parameters first."""
    found = list(_methods(document()["resources"], prefix=""))
    return tuple(sorted(found, key=lambda method: method.path.groups))


def find(http_method: str, path: str) -> tuple[Method, dict[str, str]]:
    """Return the call that `path` (below `/drive/v3/`) names, and its path parameters.

    Raises:
        Refusal: 404, Drive has no such call.
    """
    for method in methods():
        match = method.path.fullmatch(path)
        if match and method.http_method == http_method:
            return method, match.groupdict()
    raise Refusal(404, "notFound", "Not Found")


def read_parameters(method: Method, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the query parameters as typed values.

    Raises:
        Refusal: 400 for a parameter this call does not have, or a value it cannot take.
    """
    known = {**document()["parameters"], **method.parameters}
    for name, schema in method.parameters.items():
        if schema.get("required") and schema["location"] == "query" and name not in query:
            raise Refusal(400, "required", f"Required parameter: {name}", parameter=name)
    typed = {}
    for name, text in query.items():
        if name not in known or known[name]["location"] != "query":
            raise Refusal(400, "badRequest", f"Unknown parameter: {name}", parameter=name)
        typed[name] = _typed(name, text, known[name])
    return typed


def schema(name: str) -> Schema:
    found: Schema = document()["schemas"][name]
    return found


def resolve(node: Schema) -> Schema:
    """Follow `$ref`, and see through a list to what it lists."""
    while True:
        if "$ref" in node:
            node = schema(node["$ref"])
        elif node.get("type") == "array":
            node = node["items"]
        else:
            return node


def _methods(resources: Mapping[str, Any], prefix: str) -> Iterator[Method]:
    for name, resource in resources.items():
        for verb, raw in resource.get("methods", {}).items():
            yield _method(f"{prefix}{name}.{verb}", raw)
        yield from _methods(resource.get("resources", {}), f"{prefix}{name}.")


def _method(operation: str, raw: Mapping[str, Any]) -> Method:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", raw["path"].replace(".", r"\."))
    return Method(
        operation=operation,
        http_method=raw["httpMethod"],
        path=re.compile(pattern),
        parameters=raw.get("parameters", {}),
        scopes=frozenset(raw.get("scopes", ())),
        request_schema=raw.get("request", {}).get("$ref"),
        response_schema=raw.get("response", {}).get("$ref"),
        takes_media="mediaUpload" in raw,
    )


def _typed(name: str, text: str, schema: Schema) -> Any:
    if "enum" in schema and text not in schema["enum"]:
        raise invalid_value(name)
    if schema["type"] == "boolean":
        if text not in ("true", "false"):
            raise invalid_value(name)
        return text == "true"
    if schema["type"] == "integer":
        return _integer(name, text, schema)
    return text


def _integer(name: str, text: str, schema: Schema) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise invalid_value(name)
    number = int(text)
    low, high = int(schema.get("minimum", number)), int(schema.get("maximum", number))
    if not low <= number <= high:
        message = f"Invalid value '{text}'. Values must be within the range: [{low}, {high}]"
        raise Refusal(400, "invalidParameter", message, parameter=name)
    return number
