"""Who may call what over HTTP: the one place that says so.

Every route names one of two authorizers, but those that are public:

- `machines`: API Gateway verifies the signature (SigV4) of an AWS identity that may invoke the API.
  What the command line and programs use. They may do everything; IAM can narrow that to routes.
- `people`: API Gateway verifies an identity token of the stage's Cognito user pool against the keys
  the pool publishes: signature, issuer, expiry. Which client it was made for and what its bearer's
  groups allow is looked at here.

The token travels in the `Authorization` header, which no browser adds by itself as it does with
cookies, so no other site can make a signed-in person's browser call us.
Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-integrate-with-cognito.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from chalice.app import CognitoUserPoolAuthorizer, IAMAuthorizer, Request

from chalicelib.domain.control import NotAllowed

machines = IAMAuthorizer()
#: The template puts the ARN of the stage's pool in place of this one.
people = CognitoUserPoolAuthorizer(
    "people", provider_arns=["arn:aws:cognito-idp:eu-west-1:000000000000:userpool/none"]
)


class Role(IntEnum):
    """What somebody may do; each may do what those before it may. The names are the groups'."""

    #: See every job, chart and film.
    VIEWER = 1
    #: Also submit, cancel and retry.
    OPERATOR = 2
    #: Also revoke links that were given out.
    ADMIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls.

    Attributes:
        name: as records, rows and emails say it.
        role: None for somebody who signed in and is in none of our groups.
    """

    name: str
    role: Role | None


def caller(request: Request) -> Caller:
    """Who calls, as API Gateway verified it.

    An IAM user's name, or the session name of an assumed role, which with IAM Identity Center is
    the person's; or the email address a person signed in with.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    claims = (request.context.get("authorizer") or {}).get("claims")
    if claims is not None:
        name = claims.get("email") or claims.get("cognito:username")
        return Caller(name=str(name or "someone"), role=_highest(claims.get("cognito:groups")))
    identity: dict[str, Any] = request.context.get("identity") or {}
    arn = str(identity.get("userArn") or "")
    return Caller(name=arn.replace(":", "/").rpartition("/")[2] or "someone", role=Role.ADMIN)


def allowed(request: Request, needed: Role, *, client_id: str) -> Caller:
    """The caller, who may do what `needed` may.

    Args:
        client_id: of the pages in the user pool; tokens made for another client are not for us.

    Raises:
        NotAllowed: in words for the person.
    """
    claims = (request.context.get("authorizer") or {}).get("claims")
    if claims is not None and (
        claims.get("aud") != client_id or not client_id or claims.get("token_use") != "id"
    ):
        raise NotAllowed("This token was not made for these pages. Sign in again.")
    who = caller(request)
    if who.role is None:
        raise NotAllowed(
            f"{who.name} is signed in, but in none of the groups viewer, operator and admin. "
            "Ask whoever runs Slimreel to add you to one."
        )
    if who.role < needed:
        raise NotAllowed(
            f"This takes the group {needed.name.lower()}; you are {who.role.name.lower()}."
        )
    return who


def _highest(groups: Any) -> Role | None:
    """Of the groups in a token. API Gateway hands the list on as one text: `viewer,admin`."""
    names = set(re.split(r"[\s,\[\]]+", str(groups or "")))
    return max((role for role in Role if role.name.lower() in names), default=None)
