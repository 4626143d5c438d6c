"""Whatever anyone sends to the API: an answer below 500, and never a job.

Requests go through the stand-in API Gateway into the app, in this process. Its authorizers are
left out, so that strangers reach every line that only signed-in people reach in earnest.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

import app as app_module
from chalicelib import api, triggers
from chalicelib.domain.job import Status
from chalicelib.domain.link import signature
from chalicelib.domain.text import iso
from slimreel.local.awslambda.invocations import Outcome
from slimreel.local.gateway import Gateway
from tests.examples import JOB_ID, a_job
from tests.fakes import World

#: A share of them in the suite; `make fuzz` sends ten thousand.
REQUESTS = 10_000 if settings.get_current_profile_name() == "fuzz" else 1_500
ROUTES = [(method, path) for path, methods in app_module.app.routes.items() for method in methods]
TOKEN = "the-channel-token"


class InProcess:
    """What the gateway takes for Lambda: calls the app right here."""

    def invoke(self, reference: str, payload: bytes) -> Outcome:
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 29_000)
        answer = app_module.app(json.loads(payload), context)
        return Outcome(payload=json.dumps(answer).encode(), request_id="r")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One published job, and one live channel."""
    world = World()
    world.with_job(a_job(Status.COMPLETED, published_key=f"compress/{JOB_ID}/film.mp4"))
    ends = iso(datetime.now(UTC) + timedelta(hours=1))
    state = {"token": TOKEN, "valid_until": ends}
    world.records.save_state("channel#ours", "channel", state)
    with pytest.MonkeyPatch.context() as patch:
        for module in [triggers, *_modules()]:
            if hasattr(module, "services"):
                patch.setattr(module, "services", lambda: world.services)
        yield world


def _modules() -> list[Any]:
    names = [f"{api.__name__}.{found.name}" for found in pkgutil.iter_modules(api.__path__)]
    return [importlib.import_module(name) for name in names]


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    gateway = Gateway(InProcess())  # type: ignore[arg-type]
    gateway.load_routes(ROUTES, "api")
    return gateway


def send(
    gateway: Gateway,
    method: str,
    path: str,
    *,
    query: str = "",
    headers: list[tuple[str, str]] | None = None,
    body: bytes = b"",
) -> tuple[int, bytes, dict[str, str]]:
    builder = EnvironBuilder(method=method, path="/", headers=headers or [], data=body)
    environ = builder.get_environ()
    environ |= {"RAW_URI": path, "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": method}
    response = gateway.handle(Request(environ))
    return response.status_code, response.get_data(), dict(response.headers)


# Strategies

hostile_text = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "", ".", "..", "../../etc/passwd", "%00", "%2e%2e%2f", "%ff%fe", "\x00", "null", "-1",
            "' OR '1'='1", "${jndi:ldap://x}", "{{7*7}}", "<script>alert(1)</script>", "=1+1",
            "\r\nSet-Cookie: a=b", "\u202e", "🎬", "9" * 400, "a" * 9_000, JOB_ID, JOB_ID.upper(),
        ]
    ),
)  # fmt: skip
header_text = hostile_text.map(
    lambda text: "".join(c for c in text if c not in "\r\n\0").encode("utf-8", "replace")
).map(lambda raw: raw.decode("latin-1"))
drive_headers = st.fixed_dictionaries(
    {},
    optional={
        "X-Goog-Channel-ID": st.one_of(st.just("ours"), header_text),
        "X-Goog-Channel-Token": st.one_of(st.just(TOKEN[:-1]), st.just(TOKEN + "x"), header_text),
        "X-Goog-Resource-State": st.one_of(st.just("change"), header_text),
        "X-Goog-Message-Number": header_text,
        "X-Goog-Resource-ID": header_text,
    },
).map(lambda headers: list(headers.items()))
other_headers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "Content-Type", "Accept", "Authorization", "Content-Encoding", "Origin", "Cookie",
                "Transfer-Encoding", "X-Forwarded-For", "X-HTTP-Method-Override", "If-None-Match",
                "Idempotency-Key", "X-Amz-Security-Token", "Forwarded", "Range",
            ]
        ),
        st.one_of(
            header_text,
            st.sampled_from(["application/json", "*/*", "text/plain", "image/png", "chunked"]),
        ),
    ),
    max_size=4,
)  # fmt: skip
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        hostile_text,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ["file_id", "job_id", "workflow", "preset", "source", "bucket", "key", "force"]
                ),
                hostile_text,
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=6,
)
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [b"{", b'{"a":', b"[" * 3_000, b'{"a":NaN}', b'"\\ud800"', b"\xff\xfe", b"1" * 5_000]
    ),
)


ENDS = [""] * 12 + ["/", "//", "/..", "/%2e%2e/health", "%", "?a"]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "X"]


@st.composite
def lines(draw: Any) -> tuple[str, str]:
    """Method and path: mostly a route with hostile parameters, else something near it, or nothing
    like it."""
    method, template = draw(st.sampled_from(ROUTES))
    parts = [
        quote(draw(hostile_text), safe=draw(st.sampled_from(["", "", "/%"])))
        if part.startswith("{")
        else part
        for part in template.split("/")
    ]
    path = "/api" + "/".join(parts) + draw(st.sampled_from(ENDS))
    path = draw(st.sampled_from([path] * 9 + [path[4:], "/", "*"]))
    return draw(st.sampled_from([method] * 9 + METHODS)), path


queries = st.one_of(
    st.just(""),
    st.just(f"s={signature(JOB_ID, 'another key')}"),
    hostile_text.map(lambda text: f"s={quote(text, safe='%&=')}"),
    st.binary(max_size=20).map(lambda raw: f"s={raw.decode('latin-1')}"),  # as WSGI hands it over
    st.lists(st.tuples(hostile_text, hostile_text), max_size=3).map(
        lambda pairs: "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    ),
)


@settings(
    max_examples=REQUESTS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    line=lines(),
    query=queries,
    headers=st.one_of(drive_headers, other_headers),
    body=bodies,
)
def test_malformed_requests_get_an_answer_and_no_job(
    world: World,
    gateway: Gateway,
    line: tuple[str, str],
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    method, path = line
    status, _, answered = send(gateway, method, path, query=query, headers=headers, body=body)
    assert status < 500, (method, path)
    assert "Location" not in answered
    assert not world.flows.started
    assert not world.queues.hints


# By name


def genuine() -> list[tuple[str, str]]:
    return [
        ("X-Goog-Channel-ID", "ours"),
        ("X-Goog-Channel-Token", TOKEN),
        ("X-Goog-Resource-State", "change"),
        ("X-Goog-Message-Number", "7"),
        ("Content-Type", "application/json"),
    ]


def test_a_notification_sent_again_and_again_is_a_hint_and_never_a_job(
    world: World, gateway: Gateway
) -> None:
    for _ in range(50):
        status, _, _ = send(gateway, "POST", "/api/drive/notifications", headers=genuine())
        assert status == 200
    assert world.queues.hints == [{"channel_id": "ours", "message": "7"}] * 50
    assert not world.flows.started
    world.queues.hints.clear()


@pytest.mark.parametrize("body", [b"x" * 10_485_761, b"[" * 100_000])
def test_a_large_body_is_refused_or_ignored(world: World, gateway: Gateway, body: bytes) -> None:
    status, _, _ = send(gateway, "POST", "/api/drive/notifications", headers=genuine(), body=body)
    assert status == (413 if len(body) > 10 * 2**20 else 200)
    assert len(world.queues.hints) <= 1
    assert all(len(json.dumps(hint)) < 200 for hint in world.queues.hints)
    world.queues.hints.clear()


def test_a_genuine_link_leads_to_our_bucket_whatever_comes_with_it(
    world: World, gateway: Gateway
) -> None:
    path = f"/api/v/{JOB_ID}"
    sign = signature(JOB_ID, "key")
    for query in (f"s={sign}", f"s=x&s={sign}", f"s={sign}&next=//evil.example&url=http://evil"):
        status, _, answered = send(gateway, "GET", path, query=query)
        assert status == 302
        assert answered["Location"].startswith("https://compressed.s3.example/compress/")
        assert answered["Cache-Control"] == "no-store"


def test_a_wrong_link_says_nothing_about_which_jobs_there_are(
    world: World, gateway: Gateway
) -> None:
    known = send(gateway, "GET", f"/api/v/{JOB_ID}", query="s=" + "0" * 32)
    unknown = send(gateway, "GET", "/api/v/" + "0" * 20, query="s=" + "0" * 32)
    assert known[:2] == unknown[:2]
    assert known[0] == 404
