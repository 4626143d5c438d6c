"""Tokens of a user pool: which are let in, and how often its keys are asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from slimreel.local.gateway_tokens import Keys, TokenRefused, as_texts, verify

ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_pool"
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
OLD, NEW = (RSAKey.generate_key(2048, {"kid": name}) for name in ("old", "new"))


class Pool:
    """A pool's published keys, and how often they were asked for."""

    def __init__(self, *keys: RSAKey) -> None:
        self.published, self.asked, self.time_s = list(keys), 0, 0.0

    def fetch(self) -> bytes:
        self.asked += 1
        return json.dumps({"keys": [k.as_dict(private=False) for k in self.published]}).encode()

    def keys(self) -> Keys:
        return Keys(self.fetch, clock=lambda: self.time_s)


def token(key: Any = OLD, header: dict[str, str] | None = None, **claims: Any) -> str:
    usual = {"iss": ISSUER, "exp": NOW.timestamp() + 60, "token_use": "id", "aud": "c"}
    about = {"alg": "RS256", "kid": "old", **(header or {})}
    merged = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(about, merged, key, algorithms=[about["alg"]])


def check(keys: Keys, given: str) -> dict[str, Any]:
    return verify(given, issuer=ISSUER, keys=keys, now=NOW)


def test_a_good_token_gives_its_claims_with_or_without_bearer() -> None:
    keys = Pool(OLD).keys()
    assert check(keys, token())["aud"] == check(keys, f"Bearer {token()}")["aud"] == "c"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda: token(exp=NOW.timestamp() - 1), "The incoming token has expired"),
        (lambda: token(exp=None), "Unauthorized"),
        (lambda: token(iss=ISSUER + "2"), "Unauthorized"),
        (lambda: token(token_use="access"), "Unauthorized"),
        (lambda: token(NEW), "Unauthorized"),  # another key under a known name
        (lambda: token()[:-8] + "AAAAAAAA", "Unauthorized"),
        (lambda: ".".join([*token().split(".")[:2], ""]), "Unauthorized"),
        (lambda: token(OctKey.import_key("x" * 32), {"alg": "HS256"}), "Unauthorized"),
        (lambda: "", "Unauthorized"),
        (lambda: "a.b.c", "Unauthorized"),
        (lambda: "ü" * 9, "Unauthorized"),
    ],
)
def test_others_are_refused(given: Any, says: str) -> None:
    with pytest.raises(TokenRefused, match=says):
        check(Pool(OLD).keys(), given())


def test_keys_are_kept_for_an_hour() -> None:
    pool = Pool(OLD)
    keys = pool.keys()
    for pool.time_s in (0, 10, 3500):
        check(keys, token())
    assert pool.asked == 1
    pool.time_s = 3700
    check(keys, token())
    assert pool.asked == 2


def test_a_key_that_came_meanwhile_is_found() -> None:
    pool = Pool(OLD)
    keys = pool.keys()
    check(keys, token())
    pool.published, pool.time_s = [NEW], 60
    assert check(keys, token(NEW, {"kid": "new"}))["aud"] == "c"
    with pytest.raises(TokenRefused):  # and the old one is no good any more
        check(keys, token())


def test_made_up_key_ids_do_not_make_us_ask_each_time() -> None:
    pool = Pool(OLD)
    keys = pool.keys()
    for number in range(100):
        pool.time_s = number / 10
        with pytest.raises(TokenRefused):
            check(keys, token(NEW, {"kid": f"made-up-{number}"}))
    assert pool.asked == 1


def test_claims_reach_the_function_as_texts() -> None:
    claims = {"cognito:groups": ["viewer", "admin"], "email_verified": True, "iat": 0, "n": 1}
    assert as_texts(claims) == {
        "cognito:groups": "viewer,admin",
        "email_verified": "true",
        "iat": "Thu Jan 01 00:00:00 UTC 1970",
        "n": "1",
    }
