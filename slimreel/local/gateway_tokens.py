"""API Gateway's check of a call to a route with a Cognito authorizer, with its own refusals.

A token is good when its signature fits a key that the pool publishes, the pool issued it, and it
has not expired. Keys are kept; one that is not known yet is asked for, at most once in a while, so
that made-up key ids cannot make us ask for each call.

Not imitated: scopes (none are asked for, so it is the identity token that counts), and the cache
that is keyed by the token's digest.
Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-integrate-with-cognito.html
and https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import extract_compact

#: Keys are asked for again after so long, and no sooner than that for one that is not known.
KEPT_S, ASKED_AGAIN_S = 3600.0, 30.0


class TokenRefused(Exception):
    """401; the text is the `message`."""


class Keys:
    """The keys a pool signs with.

    Args:
        fetch: gets the pool's JWKS document.
        clock: seconds, growing.
    """

    def __init__(self, fetch: Callable[[], bytes], *, clock: Callable[[], float]) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._keys: dict[str, RSAKey] = {}
        self._asked_at: float | None = None

    def find(self, key_id: str) -> RSAKey | None:
        """The key of this id; None when the pool has no such key."""
        with self._lock:
            age_s = None if self._asked_at is None else self._clock() - self._asked_at
            patience_s = KEPT_S if key_id in self._keys else ASKED_AGAIN_S
            if age_s is None or age_s >= patience_s:
                self._asked_at = self._clock()
                document = json.loads(self._fetch())
                self._keys = {key["kid"]: RSAKey.import_key(key) for key in document["keys"]}
            return self._keys.get(key_id)


def verify(token: str, *, issuer: str, keys: Keys, now: datetime) -> dict[str, Any]:
    """The claims of a token.

    Raises:
        TokenRefused
    """
    compact = token.removeprefix("Bearer ").strip()
    try:
        header = extract_compact(compact.encode()).headers()
        key = keys.find(str(header.get("kid", "")))
        if key is None:
            raise TokenRefused("Unauthorized")
        claims = jwt.decode(compact, key, algorithms=["RS256"]).claims
        jwt.JWTClaimsRegistry(
            now=lambda: int(now.timestamp()),
            iss={"essential": True, "value": issuer},
            exp={"essential": True},
            token_use={"essential": True, "value": "id"},
        ).validate(claims)
    except ExpiredTokenError as expired:
        raise TokenRefused("The incoming token has expired") from expired
    except (JoseError, ValueError) as problem:
        raise TokenRefused("Unauthorized") from problem
    return dict(claims)


def as_texts(claims: dict[str, Any]) -> dict[str, str]:
    """As API Gateway hands claims to a function: every one a text, lists without their brackets."""
    return {name: _text(name, value) for name, value in claims.items()}


def _text(name: str, value: Any) -> str:
    if name in ("exp", "iat"):
        return datetime.fromtimestamp(value, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
