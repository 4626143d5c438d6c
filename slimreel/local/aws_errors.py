"""Error answers in the shapes AWS SDKs parse, one function per wire protocol."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response


def error_like(environ: Mapping[str, Any], status: int, code: str, message: str) -> Response:
    """An error in the protocol the request with this WSGI environment came in."""
    error = query_error if is_query(environ) else json_error
    return error(status, code, message)


def is_query(environ: Mapping[str, Any]) -> bool:
    """Whether a request speaks a query protocol: a form with an `Action`."""
    content_type = str(environ.get("CONTENT_TYPE", ""))
    return content_type.startswith("application/x-www-form-urlencoded")


def json_error(status: int, code: str, message: str) -> Response:
    """An error of the JSON protocols (DynamoDB, SQS, Step Functions, SSM, EventBridge, Lambda)."""
    body = {"__type": code, "message": message, "Message": message}
    headers = {"x-amzn-ErrorType": code, "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(
        json.dumps(body), status=status, headers=headers, mimetype="application/x-amz-json-1.0"
    )


def query_error(status: int, code: str, message: str) -> Response:
    """An error of the query protocol (SNS, IAM, STS)."""
    side = "Sender" if status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{side}</Type><Code>{escape(code)}</Code>"
        f"<Message>{escape(message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return Response(body, status=status, mimetype="text/xml")
