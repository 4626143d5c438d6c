"""POST to an address that somebody outside gave us, without being led anywhere else.

The host is resolved here, every address it has must be a public one, and the connection goes to
the very address that was looked at, so a name that resolves differently a moment later (DNS
rebinding) gains nothing. TLS checks the certificate against the name all the same. Redirects are
not followed, proxies of the environment not used, nothing of the answer kept but its status, and
all of it ends after `TIME_LIMIT_S`.
Source: https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from urllib.parse import urlsplit

from chalicelib.domain.callback import BadAddress, checked_url, origin_of
from chalicelib.domain.errors import SlimreelError, Temporary

TIME_LIMIT_S = 10.0
CONNECT_S = 5.0
#: Ranges that reach private hosts through a translator or tunnel; `is_global` takes some of them
#: for public. Sources: RFC 6052, RFC 8215, RFC 3056, RFC 4380.
_TRANSLATED = tuple(
    ipaddress.ip_network(one)
    for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)


class CallbackRefused(SlimreelError):
    """The address may not be called, or says that it wants no call any more."""


class CallbackFailed(Temporary):
    """Nobody was there, or they did not take it; a later call may be taken."""


class Callbacks:
    """
    Args:
        allowed_origins: called as they are, HTTPS or not, wherever they lie.
        trust: the certificates to trust in place of the system's.
    """

    def __init__(
        self, *, allowed_origins: tuple[str, ...] = (), trust: ssl.SSLContext | None = None
    ) -> None:
        self._allowed, self._trust = allowed_origins, trust

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Hand the body over.

        Raises:
            CallbackRefused: for good.
            CallbackFailed: for now.
        """
        try:
            checked_url(url, allowed_origins=self._allowed)
        except BadAddress as problem:
            raise CallbackRefused(str(problem)) from None
        parts = urlsplit(url)
        host, is_tls = str(parts.hostname), parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        address = self._address(host, port, is_free=origin_of(url) in self._allowed)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            status = self._posted(address, host, port, is_tls, path, body, headers)
        except (OSError, http.client.HTTPException, ssl.CertificateError) as error:
            raise CallbackFailed(f"{origin_of(url)} did not answer ({_words(error)}).") from None
        if status == http.HTTPStatus.GONE:
            raise CallbackRefused(f"{origin_of(url)} answered 410: it wants no call any more.")
        if not 200 <= status < 300:
            raise CallbackFailed(f"{origin_of(url)} answered {status}.")

    def _address(self, host: str, port: int, *, is_free: bool) -> str:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise CallbackFailed(f"There is no host {host}.") from None
        addresses = [str(entry[4][0]) for entry in found]
        if not is_free and not all(is_public(address) for address in addresses):
            # Not for good: names are moved, and whoever moved this one may move it back.
            raise CallbackFailed(f"{host} is not a public host.")
        return addresses[0]

    def _posted(
        self,
        address: str,
        host: str,
        port: int,
        is_tls: bool,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> int:
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_S)
        with closing(connection), _Ended(connection, TIME_LIMIT_S) as ended:
            sock = socket.create_connection((address, port), timeout=CONNECT_S)
            connection.sock = sock  # so that nothing connects by the name any more
            if is_tls:
                trust = self._trust or ssl.create_default_context()
                connection.sock = trust.wrap_socket(sock, server_hostname=host)
            connection.sock.settimeout(TIME_LIMIT_S)
            default = 443 if is_tls else 80
            named = host if port == default else f"{host}:{port}"
            sent = {"Host": named, "Content-Type": "application/json", "Connection": "close"}
            connection.request("POST", path, body=body, headers={**sent, **headers})
            status = connection.getresponse().status
            ended.check()
            return status


class _Ended:
    """Ends a connection when its time is up, whatever it is doing: a peer may send a byte now and
    then, and no time-out of a socket would ever fire.
    """

    def __init__(self, connection: http.client.HTTPConnection, after_s: float) -> None:
        self._connection, self._late = connection, False
        self._timer = threading.Timer(after_s, self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Ended:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def check(self) -> None:
        if self._late:
            raise TimeoutError("too slow")

    def _end(self) -> None:
        self._late = True
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def is_public(address: str) -> bool:
    """Whether an address is somebody's on the internet: not private, link-local (where the clouds
    keep their credentials), loopback, multicast, reserved, or any of these in disguise.

    >>> is_public("169.254.169.254"), is_public("::ffff:10.0.0.1"), is_public("93.184.215.14")
    (False, False, True)
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not good"
    return type(error).__name__
