"""An address to call back is a stranger's: it must not lead into our network, nor hold us up."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from chalicelib.adapters import callbacks as module
from chalicelib.adapters.callbacks import CallbackFailed, CallbackRefused, Callbacks, is_public

INSIDE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "198.18.0.1", "192.0.2.1"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2001:db8::1"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:1::", "not an address"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1"])
def test_addresses_outside_are(address: str) -> None:
    assert is_public(address)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Every name has these addresses; returns what connections were made to."""
    reached: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    def create_connection(address: tuple[str, int], **_: Any) -> socket.socket:
        reached.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(module.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(module.socket, "create_connection", create_connection)
    return reached


@pytest.mark.parametrize("address", [one for one in INSIDE if one != "not an address"])
def test_a_name_that_leads_inside_is_not_called(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    reached = resolving(monkeypatch, address)
    with pytest.raises(CallbackFailed, match="not a public host"):
        Callbacks().post("https://looks-fine.example/", b"{}", {})
    assert not reached


def test_one_address_inside_among_others_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = resolving(monkeypatch, "93.184.215.14", "10.0.0.1")
    with pytest.raises(CallbackFailed, match="not a public host"):
        Callbacks().post("https://both.example/", b"{}", {})
    assert not reached


def test_what_was_looked_at_is_what_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolved once, and connected to that address: the name is not asked for again."""
    reached = resolving(monkeypatch, "93.184.215.14")
    with pytest.raises(CallbackFailed, match="did not answer"):
        Callbacks().post("https://rebinding.example/", b"{}", {})
    assert reached == ["93.184.215.14"]


@pytest.mark.parametrize("url", ["http://a.example/", "https://127.0.0.1/", "file:///etc/passwd"])
def test_an_address_stored_before_is_checked_again(url: str) -> None:
    with pytest.raises(CallbackRefused):
        Callbacks().post(url, b"{}", {})


# Against a real listener, which its origin is allowed for


TLS_HELLO = b"\x16"


@contextmanager
def listener(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                got = b""
                while b"\r\n\r\n" not in got or not got.endswith(b"}"):
                    more = peer.recv(65536)
                    if not more or more[:1] == TLS_HELLO:
                        break
                    got += more
                heard.append(got)
                with suppress(OSError):
                    answer(peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
    finally:
        server.close()


def says(text: str) -> Callable[[socket.socket], None]:
    return lambda peer: peer.sendall(text.encode())


def post(origin: str, path: str = "/hook?t=1") -> None:
    made = Callbacks(allowed_origins=(origin,))
    made.post(origin + path, b'{"a": 1}', {"Slimreel-Signature": "t=1,v1=x"})


def test_a_call_is_what_it_should_be() -> None:
    with listener(says("HTTP/1.1 204 No Content\r\n\r\n")) as (origin, heard):
        post(origin)
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?t=1 HTTP/1.1\r\n") and body == b'{"a": 1}'
    assert b"Slimreel-Signature: t=1,v1=x" in head and b"Content-Type: application/json" in head


def test_a_redirect_is_not_followed() -> None:
    with (
        listener(says("HTTP/1.1 200 OK\r\n\r\n")) as (inside, heard),
        listener(says(f"HTTP/1.1 307 x\r\nLocation: {inside}/\r\n\r\n")) as (origin, _),
    ):
        with pytest.raises(CallbackFailed, match="answered 307"):
            post(origin)
        assert not heard


@pytest.mark.parametrize(
    ("status", "kind"), [(500, CallbackFailed), (404, CallbackFailed), (410, CallbackRefused)]
)
def test_other_answers(status: int, kind: type[Exception]) -> None:
    refusal = pytest.raises(kind, match=str(status))
    with listener(says(f"HTTP/1.1 {status} x\r\n\r\n")) as (origin, _), refusal:
        post(origin)


@pytest.mark.parametrize(
    "text",
    ["", "rubbish\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 300],
)
def test_an_answer_that_makes_no_sense_is_a_failure(text: str) -> None:
    with listener(says(text)) as (origin, _), pytest.raises(CallbackFailed):
        post(origin)


def test_an_endless_body_is_not_read() -> None:
    def endless(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            peer.sendall(b"x" * 65536)

    with listener(endless) as (origin, _):
        post(origin)


def test_one_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes before the socket's own time-out; all of them do not."""
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.4)

    def drip(peer: socket.socket) -> None:
        for _ in range(200):
            peer.sendall(b"H")
            time.sleep(0.05)

    began = time.monotonic()
    with listener(drip) as (origin, _), pytest.raises(CallbackFailed):
        post(origin)
    assert time.monotonic() - began < 9  # 200 bytes would take 10 s


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with listener(says("HTTP/1.1 200 OK\r\n\r\n")) as (origin, heard):
        post(origin)
    assert heard


def test_a_certificate_nobody_vouches_for_is_not_trusted() -> None:
    """TLS is spoken with the name, and refused where the other side cannot prove it."""
    with listener(says("HTTP/1.1 200 OK\r\n\r\n")) as (origin, _):
        secure = origin.replace("http://", "https://")
        with pytest.raises(CallbackFailed, match="did not answer"):
            Callbacks(allowed_origins=(secure,)).post(secure + "/", b"{}", {})
    trust = ssl.create_default_context()
    assert trust.check_hostname and trust.verify_mode is ssl.CERT_REQUIRED
