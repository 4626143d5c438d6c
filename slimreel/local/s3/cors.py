"""Cross-origin rules: what a browser is told.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from werkzeug import Request, Response

from slimreel.local.s3 import xml
from slimreel.local.s3.errors import S3Error
from slimreel.local.s3.responses import empty_answer
from slimreel.local.s3.routing import Call
from slimreel.local.s3.store import Store


def preflight(store: Store, call: Call) -> Response:
    """Raises S3Error: AccessForbidden unless a rule allows what the browser asks for."""
    headers = call.request.headers
    method = headers.get("Access-Control-Request-Method", "")
    asked = headers.get("Access-Control-Request-Headers", "").lower()
    names = [name.strip() for name in asked.split(",") if name.strip()]
    rule = _rule(store, call.bucket, headers.get("Origin", ""), method, names)
    if rule is None:
        raise S3Error("AccessForbidden", "CORSResponse: This CORS request is not allowed.")
    answer = {**_allowed(rule, headers["Origin"]), "Access-Control-Allow-Headers": asked}
    return empty_answer(headers={name: value for name, value in answer.items() if value})


def headers_for(store: Store, bucket: str, request: Request) -> dict[str, str]:
    """The CORS headers of an answer; none for a request without Origin or rule."""
    origin = request.headers.get("Origin")
    if origin is None or not bucket:
        return {}
    rule = _rule(store, bucket, origin, request.method, [])
    return {} if rule is None else _allowed(rule, origin)


def _rule(
    store: Store, bucket: str, origin: str, method: str, headers: list[str]
) -> ElementTree.Element | None:
    document = store.index.setting(bucket, "cors")
    if document is None:
        return None
    for rule in xml.parsed(document, "CORSConfiguration").findall("CORSRule"):
        if (
            _any_matches(rule, "AllowedOrigin", origin)
            and method in _texts(rule, "AllowedMethod")
            and all(_any_matches(rule, "AllowedHeader", name) for name in headers)
        ):
            return rule
    return None


def _allowed(rule: ElementTree.Element, origin: str) -> dict[str, str]:
    any_origin = "*" in _texts(rule, "AllowedOrigin")
    headers = {
        "Access-Control-Allow-Origin": "*" if any_origin else origin,
        "Access-Control-Allow-Methods": ", ".join(_texts(rule, "AllowedMethod")),
        "Access-Control-Expose-Headers": ", ".join(_texts(rule, "ExposeHeader")),
        "Access-Control-Max-Age": xml.text(rule, "MaxAgeSeconds") or "",
        "Vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    }
    return {name: value for name, value in headers.items() if value}


def _any_matches(rule: ElementTree.Element, name: str, value: str) -> bool:
    """Whether a pattern, in which one * stands for anything, is the value."""
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), value, re.IGNORECASE)
        for pattern in _texts(rule, name)
    )


def _texts(rule: ElementTree.Element, name: str) -> list[str]:
    return [element.text or "" for element in rule.findall(name)]
