"""A file and an address that nothing may touch, and word of it when something does."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from pathlib import Path
from types import TracebackType

_IN_ACCESS, _IN_OPEN, _IN_NONBLOCK = 0x1, 0x20, 0x800
_EVENT = struct.Struct("iIII")


class Canary:
    """A context manager. Watches opening the file by inotify (Linux), and a listening socket.

    Attributes:
        path: the file.
        url: an address on this machine that answers nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/film.mp4"
        self._visits: list[str] = []
        self._thread = threading.Thread(target=self._listen, name="canary", daemon=True)

    def __enter__(self) -> Canary:
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(_IN_NONBLOCK)
        if self._watch < 0 or (
            libc.inotify_add_watch(self._watch, os.fsencode(self.path), _IN_OPEN | _IN_ACCESS) < 0
        ):
            raise OSError(ctypes.get_errno(), f"{self.path} cannot be watched")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        os.close(self._watch)

    def touched(self) -> list[str]:
        """What was opened or called since the last look, in words."""
        visits, self._visits = self._visits, []
        try:
            events = os.read(self._watch, 65536)
        except BlockingIOError:
            return visits
        count = len(events) // _EVENT.size
        return [*visits, f"{self.path.name} was opened or read ({count} events)"]

    def _listen(self) -> None:
        while True:
            try:
                visitor, _ = self._socket.accept()
            except OSError:
                return
            with visitor:
                visitor.settimeout(1)
                try:
                    line = visitor.recv(200).partition(b"\r\n")[0].decode("latin-1")
                except OSError:
                    line = "nothing"
            self._visits.append(f"{self.url} was called and asked for: {line}")
