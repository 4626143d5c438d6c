"""The web app's own files: what they may do in a browser, and how long one may keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chalice.test import Client

import app as app_module
from chalicelib.api import pages
from tests.fakes import ENVIRONMENT, World

ROOT = Path(app_module.__file__).parent
WEB = ROOT / "chalicelib" / "web"
SCRIPTS = sorted(WEB.glob("*.js"))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    world = World(
        environment={
            **ENVIRONMENT,
            "SIGN_IN_URL": "https://login.example/x",
            "SIGN_IN_CLIENT_ID": '"><script>',
        }
    )
    monkeypatch.setattr(pages, "services", lambda: world.services)
    with Client(app_module.app, project_dir=str(ROOT)) as client:
        yield client


def rules(policy: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for words in (rule.split() for rule in policy.split(";"))}


def test_the_page_lets_the_browser_do_nothing_but_what_it_needs(client: Client) -> None:
    page = client.http.get("/app")
    allowed = rules(page.headers["Content-Security-Policy"])
    assert allowed["default-src"] == ["'none'"]
    assert allowed["script-src"] == allowed["style-src"] == ["'self'"]
    assert allowed["connect-src"] == ["'self'", "https://login.example"]
    assert allowed["media-src"] == [
        "https://temp.s3.example",
        "https://compressed.s3.example",
    ]
    assert allowed["frame-ancestors"] == allowed["base-uri"] == ["'none'"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_the_page_is_told_where_to_sign_in_and_no_secret(client: Client) -> None:
    text = client.http.get("/app").body.decode()
    assert 'content="https://login.example/x"' in text
    assert 'content="https://slimreel.example/api/app"' in text
    assert "{{" not in text and '"><script>' not in text  # settings cannot become markup either
    assert re.findall(r"<script[^>]*>([^<]*)</script>", text) == [""]
    assert " style=" not in text and "<style" not in text and "onclick" not in text


def test_files_may_be_kept_for_ever_under_their_version_only(client: Client) -> None:
    page = client.http.get("/app").body.decode()
    [address] = re.findall(r'src="([^"]+main\.js)"', page)
    script = client.http.get(f"/{address}")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.http.get("/app/elsewhen/main.js").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/app", "/app/now/style.css"])
def test_what_is_known_is_not_sent_again(client: Client, path: str) -> None:
    first = client.http.get(path)
    again = client.http.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.body) == (304, b"")
    assert client.http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["index.html", "pages.py", "..%2fconfig.py", "%2e%2e", "main.js%00", "x" * 300]
)
def test_nothing_else_is_there(client: Client, name: str) -> None:
    assert client.http.get(f"/app/v/{name}").status_code == 404


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_imports_what_is_there_and_makes_no_markup(script: Path) -> None:
    text = script.read_text()
    for imported in re.findall(r'from "([^"]+)"', text):
        assert imported.startswith("./") and (WEB / imported[2:]).is_file(), imported
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in text, f"{script.name}: texts must never become markup"


def test_every_name_a_script_imports_is_exported() -> None:
    exported = {
        path.name: set(re.findall(r"export (?:async )?(?:function|const|let|class) (\w+)", text))
        for path, text in ((path, path.read_text()) for path in SCRIPTS)
    }
    for script in SCRIPTS:
        for names, source in re.findall(
            r'import \{([^}]+)\} from "\./([^"]+)"', script.read_text()
        ):
            for name in names.split(","):
                assert name.strip().split(" ")[0] in exported[source], (script.name, name)
