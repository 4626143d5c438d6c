"""A threaded WSGI server with real HTTP/1.1 keep-alive.

werkzeug's own request handler closes every connection and waits 10 ms after each answer to
drain the socket. SDK clients pool their connections, and the stand-in cloud answers hundreds
of calls for one video, so this handler keeps connections open instead.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

log = logging.getLogger("slimreel.local.front")

_DRAIN_LIMIT_BYTES = 1024 * 1024


class _Body(io.RawIOBase):
    """A request body that ends at its Content-Length and knows how much is unread."""

    def __init__(self, rfile: Any, length: int) -> None:
        self._rfile = rfile
        self.unread_bytes = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self.unread_bytes)
        if not wanted:
            return 0
        data = self._rfile.read1(wanted)
        if not data:
            raise ConnectionError("The client closed the connection inside a request body.")
        buffer[: len(data)] = data
        self.unread_bytes -= len(data)
        return len(data)


class Handler(MotoRequestHandler):  # type: ignore[misc] # moto ships no types
    """One connection: requests are answered in turn until either side closes it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024  # headers and a small body leave in one packet
    server: Server
    close_connection: bool

    def finish(self) -> None:
        # A client that hung up inside a body (ffmpeg does, to seek) leaves bytes nobody wants.
        with contextlib.suppress(ConnectionError):
            super().finish()
        self.rfile.close()

    def handle_expect_100(self) -> bool:
        # `Expect: 100-continue` is answered in `run_wsgi`.
        return True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: one line per answered call would drown the lines that matter."""

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        self.environ = environ = self.make_environ()
        body: _Body | None = None
        if not environ.get("wsgi.input_terminated"):
            body = _Body(self.rfile, int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BufferedReader(body)
        self.close_connection = self.close_connection or body is None
        try:
            self._answer(environ)
            self._drain(body)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:
            # Half an answer may be out already: all that is left is to hang up.
            log.exception("no answer for %s %s", self.command, self.path)
            self.close_connection = True

    def _answer(self, environ: dict[str, Any]) -> None:
        started: list[Any] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Any:
            started[:] = [status, headers]
            return lambda data: self.wfile.write(data)

        parts = self.server.app(environ, start_response)
        try:
            self._send(started, parts)
        finally:
            close: Callable[[], None] | None = getattr(parts, "close", None)
            if close is not None:
                close()

    def _send(self, started: list[Any], parts: Iterable[bytes]) -> None:
        iterator = iter(parts)
        first = next(iterator, b"")  # some applications start their response this late
        status, headers = started
        code, _, reason = status.partition(" ")
        names = {name.lower(): value for name, value in headers}
        bodyless = self.command == "HEAD" or int(code) in (204, 304)
        chunked = "content-length" not in names and not bodyless
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if not bodyless:
            sent_bytes = self._send_body(chain((first,), iterator), chunked=chunked)
            if not chunked and sent_bytes != int(names["content-length"]):
                # A body cut short (a fault under test): only hanging up tells the client.
                self.close_connection = True
        self.wfile.flush()

    def _send_body(self, parts: Iterable[bytes], *, chunked: bool) -> int:
        sent_bytes = 0
        for data in filter(None, parts):
            sent_bytes += len(data)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        return sent_bytes

    def _drain(self, body: _Body | None) -> None:
        """Read what the application left unread, so the next request starts at its first line."""
        if body is None or not body.unread_bytes:
            return
        if body.unread_bytes > _DRAIN_LIMIT_BYTES:
            self.close_connection = True
            return
        while body.unread_bytes:
            body.read(64 * 1024)


class Server(ThreadedWSGIServer):
    """Serves `app` on 127.0.0.1; `stop()` also ends idle keep-alive connections."""

    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def __init__(self, app: Any, *, port: int = 0) -> None:
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        # Bound here because werkzeug ends the whole process when a port is taken.
        with socket.create_server(("127.0.0.1", port), backlog=self.request_queue_size) as bound:
            super().__init__("127.0.0.1", port, app, Handler, fd=bound.fileno())
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="front", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():  # to shut down one that never served would wait for ever
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._connections_lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._connections_lock:
                self._connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("connection from %s", client_address)
