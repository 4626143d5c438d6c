"""Who may call what over HTTP: the one place that says so.

Every route names `signed_in` as its authorizer, but those that are public and check their caller
themselves: Drive's webhook, the signed links and the health check. Today it asks for the signature
of an AWS identity that may invoke the API (`execute-api:Invoke`), which is what machines and the
command line have. A user pool for people goes here, and the routes stay as they are.
"""

from __future__ import annotations

from typing import Any

from chalice.app import IAMAuthorizer, Request

signed_in = IAMAuthorizer()


def caller(request: Request) -> str:
    """Who calls, as records and emails name them.

    API Gateway has verified it: an IAM user's name, or the session name of an assumed role, which
    with IAM Identity Center is the person's.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    identity: dict[str, Any] = request.context.get("identity") or {}
    arn = str(identity.get("userArn") or "")
    return arn.replace(":", "/").rpartition("/")[2] or "someone"
