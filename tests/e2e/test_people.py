"""People sign in at the pool's pages, and their tokens open what their group may see and do."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from slimreel.local.deployment import PEOPLE
from tests.e2e.conftest import Studio

VERIFIER = "a-verifier-that-is-long-enough-for-the-rule-of-43-characters"


@dataclass
class Browser:
    """What a browser sends while somebody signs in."""

    studio: Studio
    session: requests.Session

    @property
    def url(self) -> str:
        return self.studio.deployment.cloud.endpoint_url

    @property
    def asked(self) -> dict[str, str]:
        digest = hashlib.sha256(VERIFIER.encode()).digest()
        return {
            "client_id": self.studio.deployment.stack.resources["PagesClient"],
            "redirect_uri": f"{self.url}/api/app",
            "response_type": "code",
            "scope": "openid email",
            "state": "s1",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }

    def authorize(self, **changes: str) -> requests.Response:
        asked = {**self.asked, **changes}
        return self.session.get(f"{self.url}/cognito/oauth2/authorize", params=asked)

    def sign_in(self, email: str, password: str) -> requests.Response:
        form = {"username": email, "password": password}
        page = self.authorize()
        return self.session.post(page.url, data=form, allow_redirects=False)

    def exchange(self, location: str, **changes: str) -> requests.Response:
        back = parse_qs(urlsplit(location).query)
        assert back["state"] == ["s1"]
        form = {
            "grant_type": "authorization_code",
            "client_id": self.asked["client_id"],
            "redirect_uri": self.asked["redirect_uri"],
            "code": back["code"][0],
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.session.post(f"{self.url}/cognito/oauth2/token", data=form)

    def tokens(self, group: str) -> dict[str, Any]:
        answer = self.sign_in(PEOPLE[group], self.studio.deployment.password)
        return dict(self.exchange(answer.headers["Location"]).json())

    def call(self, method: str, path: str, token: str | None) -> tuple[int, str]:
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = token
        answer = requests.request(method, f"{self.url}/api{path}", headers=headers, timeout=30)
        body = answer.json()
        return answer.status_code, str(body.get("message", ""))


@pytest.fixture
def browser(studio: Studio) -> Iterator[Browser]:
    with requests.Session() as session:
        yield Browser(studio, session)


def test_signing_in_refreshing_and_signing_out(browser: Browser) -> None:
    wrong = browser.sign_in(PEOPLE["viewer"], "not the password")
    assert wrong.status_code == 400 and "Incorrect username or password." in wrong.text
    tokens = browser.tokens("viewer")
    assert browser.call("GET", "/web/jobs", tokens["id_token"])[0] == 200
    asked = {"client_id": browser.asked["client_id"]}
    refresh = {**asked, "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    fresh = browser.session.post(f"{browser.url}/cognito/oauth2/token", data=refresh).json()
    assert browser.call("GET", "/web/jobs", fresh["id_token"])[0] == 200
    again = browser.session.get(
        f"{browser.url}/cognito/oauth2/authorize", params=browser.asked, allow_redirects=False
    )
    assert "code=" in again.headers["Location"]  # still signed in there: no password needed
    out = {**asked, "logout_uri": browser.asked["redirect_uri"]}
    browser.session.get(f"{browser.url}/cognito/logout", params=out, allow_redirects=False)
    assert "<form" in browser.authorize().text
    revoke = {**asked, "token": tokens["refresh_token"]}
    browser.session.post(f"{browser.url}/cognito/oauth2/revoke", data=revoke)
    denied = browser.session.post(f"{browser.url}/cognito/oauth2/token", data=refresh)
    assert (denied.status_code, denied.json()) == (400, {"error": "invalid_grant"})


def test_a_code_is_good_once_and_only_with_its_verifier(browser: Browser) -> None:
    password = browser.studio.deployment.password
    location = browser.sign_in(PEOPLE["viewer"], password).headers["Location"]
    assert browser.exchange(location, code_verifier="another").status_code == 400
    assert browser.exchange(location).status_code == 400  # it was tried
    with requests.Session() as session:
        other = Browser(browser.studio, session)
        location = other.sign_in(PEOPLE["viewer"], password).headers["Location"]
        assert other.exchange(location, redirect_uri="https://evil.example").status_code == 400


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"redirect_uri": "https://evil.example/app"}, "redirect_uri is not one"),
        ({"client_id": "unknown"}, "no such client"),
        ({"response_type": "token"}, "Only response_type=code"),
        ({"code_challenge_method": "plain"}, "PKCE"),
    ],
)
def test_a_sign_in_that_is_not_in_order(
    browser: Browser, changes: dict[str, str], says: str
) -> None:
    refused = browser.authorize(**changes)
    assert refused.status_code == 400 and says in refused.text


def test_every_route_asks_who_calls(browser: Browser) -> None:
    import app as app_module

    public = {"/v/{job_id}", "/health", "/app", "/app/{version}/{name}"}
    # Google and Airtable have no AWS identity: the handlers check a token, and an HMAC signature.
    public |= {"/drive/notifications", "/airtable/notifications"}
    viewer = browser.tokens("viewer")
    for path, methods in app_module.app.routes.items():
        for method, route in methods.items():
            if route.authorizer is None:
                assert path in public
                continue
            expected = 401 if path.startswith("/web/") else 403
            at = path.replace("{job_id}", "0" * 20)
            assert browser.call(method, at, None)[0] == expected, path
            assert browser.call(method, at, "made.up.token")[0] == expected, path
            assert browser.call(method, at, viewer["access_token"])[0] == expected, path


def test_groups_say_what_somebody_may_do(browser: Browser) -> None:
    job = f"/web/jobs/{'0' * 20}"
    for group, may in [("viewer", 1), ("operator", 2), ("admin", 3)]:
        with requests.Session() as session:
            token = Browser(browser.studio, session).tokens(group)["id_token"]
        calls = [("GET", job), ("POST", f"{job}/cancel"), ("POST", f"{job}/revoke")]
        answers = [browser.call(method, path, token)[0] for method, path in calls]
        assert answers == [404] * may + [403] * (3 - may)
