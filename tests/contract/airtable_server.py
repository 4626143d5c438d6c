"""A running Airtable stand-in for tests, and a clock they can turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

from slimreel.local.airtable import Airtable
from slimreel.local.faults import Faults

TOKEN = "patTest.0000"


class Clock:
    """Seconds since 1970. Each look moves it on by `step_s`: no limit is met by accident."""

    def __init__(self, step_s: float = 0.25) -> None:
        self.now_s = 1_800_000_000.0
        self.step_s = step_s
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            self.now_s += self.step_s
            return self.now_s


class KeepAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        logging.getLogger("tests.airtable").debug(message, *args)


@contextmanager
def running(
    folder: Path, faults: Faults | None = None, **options: Any
) -> Iterator[tuple[Airtable, str]]:
    """The stand-in, and the URL it answers at."""
    options = {"tokens": TOKEN, "clock": Clock(), **options}
    stand_in = Airtable(folder / "airtable.db", faults=faults or Faults(), **options)

    @Request.application
    def app(request: Request) -> Response:
        return (stand_in.grid if request.path == "/airtable" else stand_in.handle)(request)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=KeepAlive)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stand_in, f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        stand_in.close()
