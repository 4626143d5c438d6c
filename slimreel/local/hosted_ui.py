"""The pages a Cognito user pool hosts for signing in, which moto does not have.

Same paths, parameters and answers as of the real ones, below `/cognito`; the users, their
passwords and the tokens are moto's. Only what a page in a browser needs: the code flow with PKCE,
refreshing, revoking and signing out. Not imitated: signing up, forgotten and temporary passwords,
second factors, other identity providers.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-userpools-server-contract-reference.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError
from werkzeug.wrappers import Request, Response

PREFIX = "/cognito"
#: Source: https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
CODE_LASTS_S = 300.0
#: Source: https://docs.aws.amazon.com/cognito/latest/developerguide/managed-login.html
SESSION_LASTS_S = 3600.0
_COOKIE = "cognito"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str
    tokens: Mapping[str, Any]
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    client_id: str
    refresh_token: str
    until: float


class _Wrong(Exception):
    """A request that gets no further; the text says why."""


class HostedUi:
    """Answers below `/cognito`.

    Args:
        client: a boto3 client of the local cloud for a service name.
    """

    def __init__(
        self, client: Callable[[str], Any], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._clock = client, clock
        self._lock = threading.Lock()
        self._codes: dict[str, _Code] = {}
        self._sessions: dict[str, _Session] = {}
        self._revoked: set[bytes] = set()

    def handle(self, request: Request) -> Response:
        routes = {
            ("GET", "/oauth2/authorize"): self._authorize,
            ("GET", "/login"): self._login_page,
            ("POST", "/login"): self._login,
            ("GET", "/logout"): self._logout,
            ("POST", "/oauth2/token"): self._token,
            ("POST", "/oauth2/revoke"): self._revoke,
        }
        answer = routes.get((request.method, request.path.removeprefix(PREFIX)))
        if answer is None:
            return Response("Not found\n", status=404, mimetype="text/plain")
        try:
            return answer(request)
        except _Wrong as problem:
            return _page(f"<p role=alert>{html.escape(str(problem))}</p>", status=400)

    # Signing in ---------------------------------------------------------------------------

    def _authorize(self, request: Request) -> Response:
        self._checked(request.args)
        session = self._session(request)
        if session is not None and session.client_id == request.args["client_id"]:
            tokens = self._refreshed(session.client_id, session.refresh_token)
            if tokens is not None:
                given = {**tokens, "refresh_token": session.refresh_token}
                return self._back_with_code(request.args, given)
        return _redirect(f"{PREFIX}/login?{urlencode(request.args)}")

    def _login_page(self, request: Request) -> Response:
        self._checked(request.args)
        return _form(request.args)

    def _login(self, request: Request) -> Response:
        pool_id = self._checked(request.args)
        name = request.form.get("username", "").strip()
        try:
            answer = self._client("cognito-idp").admin_initiate_auth(
                UserPoolId=pool_id,
                ClientId=request.args["client_id"],
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": name, "PASSWORD": request.form.get("password", "")},
            )
        except ClientError:  # which of the two was wrong is nobody's business
            return _form(request.args, name=name, problem="Incorrect username or password.")
        result = answer.get("AuthenticationResult")
        if result is None:
            raise _Wrong(f"The stand-in cannot ask for {answer.get('ChallengeName')}.")
        response = self._back_with_code(request.args, _tokens(result))
        self._remember(response, request.args["client_id"], result["RefreshToken"])
        return response

    def _logout(self, request: Request) -> Response:
        known = self._describe(request.args.get("client_id", ""))
        target = request.args.get("logout_uri", "")
        if target not in known.get("LogoutURLs", ()):
            raise _Wrong("logout_uri is not one of the client's.")
        with self._lock:
            self._sessions.pop(request.cookies.get(_COOKIE, ""), None)
        response = _redirect(target)
        response.delete_cookie(_COOKIE, path=PREFIX)
        return response

    # Tokens -------------------------------------------------------------------------------

    def _token(self, request: Request) -> Response:
        form = request.form
        if form.get("grant_type") == "refresh_token":
            found = self._refreshed(form.get("client_id", ""), form.get("refresh_token", ""))
        elif form.get("grant_type") == "authorization_code":
            found = self._exchanged(form)
        else:
            return _json({"error": "unsupported_grant_type"}, 400)
        return _json(found, 200) if found else _json({"error": "invalid_grant"}, 400)

    def _exchanged(self, form: Mapping[str, str]) -> Mapping[str, Any] | None:
        with self._lock:
            code = self._codes.pop(form.get("code", ""), None)  # it is good for one try
        if code is None or code.until < self._clock():
            return None
        asked = form.get("client_id"), form.get("redirect_uri")
        if asked != (code.client_id, code.redirect_uri):
            return None
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        given = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return code.tokens if hmac.compare_digest(given, code.challenge) else None

    def _refreshed(self, client_id: str, token: str) -> Mapping[str, Any] | None:
        if hashlib.sha256(token.encode()).digest() in self._revoked:
            return None
        try:
            answer = self._client("cognito-idp").admin_initiate_auth(
                UserPoolId=self._describe(client_id)["UserPoolId"],
                ClientId=client_id,
                AuthFlow="REFRESH_TOKEN_AUTH",
                AuthParameters={"REFRESH_TOKEN": token},
            )
        except (ClientError, _Wrong):
            return None
        return _tokens(answer["AuthenticationResult"])

    def _revoke(self, request: Request) -> Response:
        token = request.form.get("token", "")
        with self._lock:
            kept = {k: s for k, s in self._sessions.items() if s.refresh_token != token}
            self._sessions = kept
            self._revoked.add(hashlib.sha256(token.encode()).digest())  # moto cannot
        return Response("", status=200, headers={"Access-Control-Allow-Origin": "*"})

    # What is known ------------------------------------------------------------------------

    def _checked(self, query: Mapping[str, str]) -> str:
        """The pool of a sign-in that is in order."""
        known = self._describe(query.get("client_id", ""))
        if query.get("redirect_uri") not in known.get("CallbackURLs", ()):
            raise _Wrong("redirect_uri is not one of the client's.")
        if query.get("response_type") != "code":
            raise _Wrong("Only response_type=code is imitated here.")
        if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
            raise _Wrong("Only the code flow with PKCE (S256) is imitated here.")
        return str(known["UserPoolId"])

    def _describe(self, client_id: str) -> dict[str, Any]:
        cognito = self._client("cognito-idp")
        for pool in cognito.list_user_pools(MaxResults=60)["UserPools"]:
            try:
                found = cognito.describe_user_pool_client(UserPoolId=pool["Id"], ClientId=client_id)
            except ClientError:
                continue
            return dict(found["UserPoolClient"])
        raise _Wrong("There is no such client.")

    def _back_with_code(self, query: Mapping[str, str], tokens: Mapping[str, Any]) -> Response:
        code = secrets.token_urlsafe(24)
        now = self._clock()
        with self._lock:
            self._codes = {k: c for k, c in self._codes.items() if c.until > now}
            self._codes[code] = _Code(
                client_id=query["client_id"],
                redirect_uri=query["redirect_uri"],
                challenge=query["code_challenge"],
                tokens=tokens,
                until=now + CODE_LASTS_S,
            )
        back = {"code": code, **({"state": query["state"]} if "state" in query else {})}
        return _redirect(f"{query['redirect_uri']}?{urlencode(back)}")

    def _remember(self, response: Response, client_id: str, refresh_token: str) -> None:
        cookie, now = secrets.token_urlsafe(24), self._clock()
        with self._lock:
            self._sessions = {k: s for k, s in self._sessions.items() if s.until > now}
            self._sessions[cookie] = _Session(
                client_id=client_id, refresh_token=refresh_token, until=now + SESSION_LASTS_S
            )
        response.set_cookie(_COOKIE, cookie, path=PREFIX, httponly=True, samesite="Lax")

    def _session(self, request: Request) -> _Session | None:
        with self._lock:
            session = self._sessions.get(request.cookies.get(_COOKIE, ""))
        return session if session and session.until > self._clock() else None


def _tokens(result: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        "id_token": result["IdToken"],
        "access_token": result["AccessToken"],
        "refresh_token": result.get("RefreshToken"),
        "expires_in": result["ExpiresIn"],
        "token_type": "Bearer",
    }
    return {name: value for name, value in given.items() if value is not None}


def _redirect(target: str) -> Response:
    return Response("", status=302, headers={"Location": target, "Cache-Control": "no-store"})


def _json(body: Mapping[str, Any], status: int) -> Response:
    headers = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
    return Response(json.dumps(body), status, headers, mimetype="application/json")


def _form(query: Mapping[str, str], *, name: str = "", problem: str = "") -> Response:
    said = f"<p role=alert>{html.escape(problem)}</p>" if problem else ""
    return _page(
        f"""<form method=post action="{PREFIX}/login?{html.escape(urlencode(query))}">{said}
<label>Email <input name=username type=email autocomplete=username required autofocus
 value="{html.escape(name)}"></label>
<label>Password <input name=password type=password autocomplete=current-password required></label>
<button>Sign in</button></form>""",
        status=400 if problem else 200,
    )


def _page(body: str, *, status: int = 200) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        ),
    }
    return Response(_PAGE.replace("{body}", body), status, headers, mimetype="text/html")


_PAGE = """<!doctype html><html lang=en><meta charset=utf-8><title>Sign in</title>
<meta name=viewport content="width=device-width,initial-scale=1"><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;display:grid;
place-items:center;min-height:100vh;margin:0}main{width:min(20rem,90vw)}label{display:block;
margin:0 0 1rem}input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin-top:.25rem}
button{font:inherit;width:100%;padding:.6rem}p[role=alert]{color:#c33}small{opacity:.7}</style>
<main><h1>Sign in</h1>{body}<p><small>The stand-in for Cognito's own page.</small></main></html>
"""
