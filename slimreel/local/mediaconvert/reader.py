"""The process that forks readers of media files; see `reading`.

Run as a script. It stays single-threaded, so forking it is safe.

Wire format: a 4-byte big-endian length, then JSON; with a request comes the descriptor that the
answer is written to. {"read": name, "path", "limits"} -> {"pid"}. End of file: the server ends, and
with it every process it forked (Linux).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from chalicelib.adapters import confined
from slimreel.local.mediaconvert import source
from slimreel.local.mediaconvert.errors import Unreadable

_READ: dict[str, Callable[[Path], Any]] = {
    "counted": source.read,
    "described": lambda path: source.read(path, count_frames=False),
    "packets": source.packets,
}


def send(control: socket.socket, message: dict[str, Any], *descriptors: int) -> None:
    data = json.dumps(message).encode()
    socket.send_fds(control, [struct.pack(">I", len(data))], descriptors)
    control.sendall(data)


def receive(control: socket.socket) -> dict[str, Any] | None:
    """The next message; None at end of file."""
    header = _exactly(control, 4)
    data = _exactly(control, struct.unpack(">I", header)[0]) if header else None
    return None if data is None else dict(json.loads(data))


def _exactly(control: socket.socket, size: int) -> bytes | None:
    chunks = bytearray()
    while len(chunks) < size:
        chunk = control.recv(size - len(chunks))
        if not chunk:
            return None
        chunks += chunk
    return bytes(chunks)


def serve(control: socket.socket) -> None:
    """Fork a reader for each request until the other side goes away."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a reader
    server_id = os.getpid()
    while True:
        header, descriptors, _, _ = socket.recv_fds(control, 4, 1)
        data = _exactly(control, struct.unpack(">I", header)[0]) if len(header) == 4 else None
        if data is None:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            _read_and_leave(json.loads(data), descriptors[0], server_id)
        os.close(descriptors[0])
        try:
            send(control, {"pid": pid})
        except BrokenPipeError:  # whoever asked was killed meanwhile, and the reader goes with us
            return


def _read_and_leave(request: dict[str, Any], descriptor: int, server_id: int) -> NoReturn:
    try:
        confined.die_with(server_id)
        confined.apply(request["limits"])
        said = _said(_READ[request["read"]], Path(request["path"]))
        with socket.socket(fileno=descriptor) as answer:
            answer.sendall(json.dumps(said, default=str).encode())
    finally:
        os._exit(0)


def _said(what: Callable[[Path], Any], path: Path) -> dict[str, Any]:
    try:
        return {"found": asdict(what(path))}
    except Unreadable as error:
        return {"unreadable": error.flaw.name, "detail": str(error)[:500]}
    except Exception as error:  # noqa: BLE001 - whatever PyAV makes of a hostile file
        return {"failed": f"{type(error).__name__}: {error}"[:500]}


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
