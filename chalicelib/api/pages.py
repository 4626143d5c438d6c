"""The web app's own files: one page, and what it loads. They hold no data and no secret, and are
public as a sign-in page has to be; everything they show comes from routes that ask who calls.
"""

from __future__ import annotations

import hashlib
import html
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from chalice.app import Blueprint, Request, Response

from chalicelib.services import Services, services

routes = Blueprint(__name__)

FOLDER = Path(__file__).resolve().parent.parent / "web"
PAGE = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: A year: the address changes whenever any file does.
_FOREVER = "public, max-age=31536000, immutable"
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Strict-Transport-Security": "max-age=31536000",
}


@routes.route("/app", methods=["GET"])
def page() -> Response:
    reach = services()
    body = _page(reach)
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    headers = {
        **_SAFE,
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _policy(reach),
        "Cache-Control": "no-cache",
        "ETag": tag,
    }
    if _knows(routes.current_request, tag):
        return Response("", status_code=304, headers=headers)
    return Response(body, headers=headers)


@routes.route("/app/{version}/{name}", methods=["GET"])
def file(version: str, name: str) -> Response:
    """One file. Of another version than ours it may be kept for no time at all."""
    text = _files().get(name)
    if text is None or name == PAGE:
        return Response({"message": "There is no such file."}, status_code=404)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {
        **_SAFE,
        "Content-Type": _TYPES[Path(name).suffix],
        "Cache-Control": _FOREVER if version == _version() else "no-store",
        "ETag": tag,
    }
    if _knows(routes.current_request, tag):
        return Response("", status_code=304, headers=headers)
    return Response(text, headers=headers)


@cache
def _files() -> dict[str, str]:
    """Every file by name, read once; a name that is not among them is nobody's path."""
    known = (*_TYPES, ".html")
    return {f.name: f.read_text("utf-8") for f in sorted(FOLDER.iterdir()) if f.suffix in known}


@cache
def _version() -> str:
    digest = hashlib.sha256()
    for name, text in _files().items():
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()[:12]


def _page(reach: Services) -> str:
    stage = reach.settings
    told = {
        "version": _version(),
        "sign-in-url": stage.sign_in_url,
        "client-id": stage.sign_in_client_id,
        "page-url": stage.public_url.rstrip("/") + "/app",
    }
    text = _files()[PAGE]
    for name, value in told.items():
        text = text.replace(f"{{{{{name}}}}}", html.escape(value, quote=True))
    return text


def _policy(reach: Services) -> str:
    """What the page may load and talk to: itself, where people sign in, and where films lie."""
    stage = reach.settings
    films = " ".join(dict.fromkeys(_origin(reach, b) for b in _buckets(reach)))
    sign_in = urlsplit(stage.sign_in_url)
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {sign_in.scheme}://{sign_in.netloc}",
        "media-src": films,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{rule} {sources}" for rule, sources in rules.items())


def _buckets(reach: Services) -> tuple[str, str]:
    return reach.settings.temp_bucket, reach.settings.compressed_bucket


def _origin(reach: Services, bucket: str) -> str:
    """Where a bucket's films come from. Signing an address asks nobody."""
    parts = urlsplit(reach.storage.presigned_url(bucket, "film", expires_s=60))
    return f"{parts.scheme}://{parts.netloc}"


def _knows(request: Request, tag: str) -> bool:
    return tag in request.headers.get("if-none-match", "")
