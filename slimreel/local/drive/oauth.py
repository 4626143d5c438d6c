"""Who may call: keys, the token endpoint, and bearer tokens.

Source: https://developers.google.com/identity/protocols/oauth2/service-account and RFC 6749.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from werkzeug import Request, Response

from slimreel.local.drive.errors import JSON_TYPE, Refusal, invalid_credentials, not_modelled
from slimreel.local.drive.library import SOMEBODY
from slimreel.local.drive.records import Person, Records

_LOG = logging.getLogger("slimreel.local.drive")

SERVICE_ACCOUNT = Person(
    name="slimreel-local@slimreel-local.iam.gserviceaccount.com",
    email="slimreel-local@slimreel-local.iam.gserviceaccount.com",
)
#: google-auth writes this audience whatever the key's `token_uri` says.
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/drive"
#: These see only what the app itself made; which files those are is not modelled.
_OWN_FILES_ONLY = frozenset((f"{_SCOPE}.file", f"{_SCOPE}.appdata", f"{_SCOPE}.install"))
_METADATA_ONLY = frozenset((f"{_SCOPE}.metadata", f"{_SCOPE}.metadata.readonly"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The account behind a call, and what its token allows."""

    person: Person
    scopes: frozenset[str]
    expires_at_s: float

    @property
    def is_service_account(self) -> bool:
        return self.person == SERVICE_ACCOUNT


class OAuth:
    """Issues tokens and recognises them. Keys survive a restart, tokens do not."""

    def __init__(self, records: Records, lock: threading.RLock, base_url: str) -> None:
        self._records = records
        self._lock = lock
        self._token_uri = f"{base_url}/token"
        self._tokens: dict[str, Identity] = {}
        self.token_lifetime_s = 3600.0
        #: What the person granted when the refresh token was made; None for all.
        self.granted: frozenset[str] | None = None

    def service_account_json(self) -> dict[str, Any]:
        """Return a service account's key file, as downloaded from the Cloud console."""
        key = self._key()
        return {
            "type": "service_account",
            "project_id": "slimreel-local",
            "private_key_id": key["id"],
            "private_key": key["private"],
            "client_email": SERVICE_ACCOUNT.email,
            "client_id": "100000000000000000001",
            "token_uri": self._token_uri,
        }

    def user_json(self) -> dict[str, Any]:
        """Return stored credentials of a person who owns files (`authorized_user`)."""
        return {"type": "authorized_user", "token_uri": self._token_uri, **self._client()}

    def token(self, request: Request) -> Response:
        """Answer `POST /token`."""
        form = request.form
        try:
            if form.get("grant_type") == JWT_BEARER:
                identity = self._from_assertion(form.get("assertion", ""))
            elif form.get("grant_type") == "refresh_token":
                identity = self._from_refresh_token(dict(form.items()))
            else:
                raise _Denied("unsupported_grant_type", "Invalid grant_type")
        except _Denied as denied:
            _LOG.info("token refused: %s", denied)
            body = {"error": denied.args[0], "error_description": denied.args[1]}
            return Response(json.dumps(body), denied.status, content_type=JSON_TYPE)
        return self._issued(identity)

    def identify(self, request: Request) -> Identity:
        """Return the account that the request's bearer token stands for.

        Raises:
            Refusal: 401, no token, or not one of ours, or expired.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            raise Refusal(401, "required", "Login Required.", parameter="Authorization")
        identity = self._tokens.get(token.strip())
        if scheme.lower() != "bearer" or identity is None or identity.expires_at_s < time.time():
            raise invalid_credentials()
        return identity

    def forget_tokens(self) -> None:
        """Make every token issued so far invalid."""
        self._tokens.clear()

    def _issued(self, identity: Identity) -> Response:
        token = "ya29." + secrets.token_urlsafe(48)
        self._tokens[token] = identity
        body = {
            "access_token": token,
            "expires_in": round(self.token_lifetime_s),
            "scope": " ".join(sorted(identity.scopes)),
            "token_type": "Bearer",
        }
        return Response(json.dumps(body), content_type=JSON_TYPE)

    def _from_assertion(self, assertion: str) -> Identity:
        from google.auth import jwt
        from google.auth.exceptions import GoogleAuthError

        key = self._key()
        try:
            claims = jwt.decode(
                assertion,
                certs={key["id"]: key["public"]},
                audience=[GOOGLE_TOKEN_URI, self._token_uri],
                clock_skew_in_seconds=300,
            )
        except (GoogleAuthError, ValueError) as error:
            raise _Denied("invalid_grant", f"Invalid JWT Signature. ({error})") from error
        if claims.get("iss") != SERVICE_ACCOUNT.email:
            raise _Denied("invalid_grant", "Invalid grant: account not found")
        if claims["exp"] - claims["iat"] > 3600:
            raise _Denied("invalid_grant", "Invalid JWT: Token must be a short-lived token.")
        if not claims.get("scope"):
            raise _Denied("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return self._identity(_subject(claims), frozenset(claims["scope"].split()))

    def _from_refresh_token(self, form: dict[str, str]) -> Identity:
        client = self._client()
        if (form.get("client_id"), form.get("client_secret")) != (
            client["client_id"],
            client["client_secret"],
        ):
            raise _Denied("invalid_client", "The OAuth client was not found.", status=401)
        if form.get("refresh_token") != client["refresh_token"]:
            raise _Denied("invalid_grant", "Token has been expired or revoked.")
        asked = frozenset(form.get("scope", _SCOPE).split())
        if self.granted is not None and not asked <= self.granted:
            # RFC 6749, section 6: no scope that was not granted.
            raise _Denied("invalid_scope", "Some requested scopes were invalid or not granted.")
        return self._identity(SOMEBODY, asked)

    def _identity(self, person: Person, scopes: frozenset[str]) -> Identity:
        expires_at_s = time.time() + self.token_lifetime_s
        return Identity(person=person, scopes=scopes, expires_at_s=expires_at_s)

    def _key(self) -> dict[str, str]:
        return self._stored("service_account_key", _new_key)

    def _client(self) -> dict[str, str]:
        return self._stored("oauth_client", _new_client)

    def _stored(self, name: str, make: Any) -> dict[str, str]:
        with self._lock:
            text = self._records.fact(name)
            if text is None:
                text = json.dumps(make())
                self._records.set_fact(name, text)
        stored: dict[str, str] = json.loads(text)
        return stored


class _Denied(Exception):
    """OAuth's own refusal: a code and a description."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(code, description)
        self.status = status


def check_scopes(identity: Identity, wanted: frozenset[str], *, content: bool) -> None:
    """Refuse a token that does not cover the call. `content`: the call reads file bytes.

    Raises:
        Refusal: 403 insufficientPermissions; 501 for scopes that are not modelled.
    """
    usable = identity.scopes & wanted
    if content:
        usable -= _METADATA_ONLY
    if not usable:
        message = "Insufficient Permission: Request had insufficient authentication scopes."
        raise Refusal(403, "insufficientPermissions", message)
    if usable <= _OWN_FILES_ONLY:
        raise not_modelled("tokens that only see an app's own files (drive.file)")


def _subject(claims: dict[str, Any]) -> Person:
    email = claims.get("sub")
    if not email or email == SERVICE_ACCOUNT.email:
        return SERVICE_ACCOUNT
    if email == SOMEBODY.email:
        return SOMEBODY
    return Person(name=email.partition("@")[0], email=email)


def _new_key() -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {"id": secrets.token_hex(20), "private": private.decode(), "public": public.decode()}


def _new_client() -> dict[str, str]:
    return {
        "client_id": f"{secrets.randbelow(10**12)}-local.apps.googleusercontent.com",
        "client_secret": "GOCSPX-" + secrets.token_urlsafe(21),
        "refresh_token": "1//" + secrets.token_urlsafe(64),
    }
