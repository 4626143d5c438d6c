"""Refusals in the shape Drive gives them.

Source: https://developers.google.com/workspace/drive/api/guides/handle-errors
"""

from __future__ import annotations

import json
from typing import Any

from werkzeug import Response

JSON_TYPE = "application/json; charset=UTF-8"


class Refusal(Exception):
    """A call that Drive answers with an error."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        parameter: str | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.parameter = parameter
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        detail: dict[str, Any] = {
            "message": self.message,
            "domain": self.domain,
            "reason": self.reason,
        }
        if self.parameter == "Authorization":
            detail |= {"location": "Authorization", "locationType": "header"}
        elif self.parameter is not None:
            detail |= {"location": self.parameter, "locationType": "parameter"}
        return {"error": {"code": self.status, "message": self.message, "errors": [detail]}}

    def response(self) -> Response:
        response = Response(json.dumps(self.body()), self.status, content_type=JSON_TYPE)
        response.headers.extend(self.headers)
        return response


def file_not_found(file_id: str) -> Refusal:
    return Refusal(404, "notFound", f"File not found: {file_id}.", parameter="fileId")


def invalid_value(parameter: str) -> Refusal:
    """Drive's answer to a parameter it cannot read; it says little more than this."""
    return Refusal(400, "invalid", "Invalid Value", parameter=parameter)


def bad_request(message: str) -> Refusal:
    return Refusal(400, "badRequest", message)


def invalid_credentials() -> Refusal:
    refusal = Refusal(401, "authError", "Invalid Credentials", parameter="Authorization")
    refusal.headers["WWW-Authenticate"] = (
        'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    )
    return refusal


def not_modelled(what: str) -> Refusal:
    """The real service can do it and this stand-in cannot: say so instead of pretending."""
    return Refusal(501, "notImplemented", f"The local Drive stand-in does not do this: {what}.")


def insufficient_file_permissions(file_id: str) -> Refusal:
    return Refusal(
        403,
        "insufficientFilePermissions",
        f"The user does not have sufficient permissions for file {file_id}.",
    )


#: Domains other than "global", by reason.
_USAGE_LIMITS = frozenset(
    (
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "dailyLimitExceeded",
        "sharingRateLimitExceeded",
        "downloadQuotaExceeded",
    )
)


def injected(status: int, code: str, message: str) -> Refusal:
    """The error a test asked for."""
    domain = "usageLimits" if code in _USAGE_LIMITS else "global"
    parameter = "Authorization" if code == "authError" else None
    return Refusal(status, code, message, domain=domain, parameter=parameter)
