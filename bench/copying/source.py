"""Where the benchmark's films come from: files of a folder, sent by the kernel.

    python -m bench.copying.source FOLDER

Speaks as much of Drive v3 as a copy needs (file ids are the files' names), and serves the same
files plainly under /plain/. Prints its port first. `GET /sent` tells what went out since the last
time: (start, bytes really sent) of every request for bytes.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from bench.copying.server import serve

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_STEP_BYTES = 2**20


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: ClassVar[Path]
    sent: ClassVar[list[tuple[int, int]]] = []
    lock: ClassVar[threading.Lock] = threading.Lock()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: there is a line for every part otherwise."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"access_token": "bench", "expires_in": 86_400, "token_type": "Bearer"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/sent":
            with self.lock:
                told = list(self.sent)
                self.sent.clear()
            self._answer(told)
            return
        path = self.folder / unquote(url.path.rpartition("/")[2])
        if url.path.startswith("/plain/") or parse_qs(url.query).get("alt") == ["media"]:
            self._send(path)
        else:
            self._answer(json.loads(path.with_suffix(".json").read_text()))

    def _answer(self, body: object) -> None:
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _send(self, path: Path) -> None:
        size = path.stat().st_size
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1, size) if asked and asked[2] else size
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return
        at = start
        try:
            with path.open("rb") as file:
                while at < end:
                    at += os.sendfile(
                        self.connection.fileno(), file.fileno(), at, min(_STEP_BYTES, end - at)
                    )
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # whoever asked has been killed
        with self.lock:
            self.sent.append((start, at - start))


if __name__ == "__main__":
    _Handler.folder = Path(sys.argv[1])
    serve(_Handler)
