"""The two plain kinds of answer."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug import Response

from slimreel.local.s3 import xml


def xml_answer(
    name: str, content: xml.Content, *, headers: Mapping[str, str] | None = None
) -> Response:
    return document_answer(xml.document(name, content), headers=headers)


def document_answer(document: bytes, *, headers: Mapping[str, str] | None = None) -> Response:
    return Response(document, headers=dict(headers or {}), content_type="application/xml")


def empty_answer(status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # An empty list, since setting b"" would replace the Content-Length a HEAD answer names.
    answer = Response([], status=status, headers=dict(headers or {}))
    if "Content-Type" not in (headers or {}):
        del answer.headers["Content-Type"]
    return answer
