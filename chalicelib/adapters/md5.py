"""MD5 that can be written down in the middle and gone on with in another process.

`hashlib` cannot do that. `rehashes` can (https://github.com/CERT-Polska/rehashes); it has wheels
for Linux, which is what Lambda runs. Elsewhere `hashlib` does the work, and there is no state.
"""

from __future__ import annotations

import hashlib
from typing import Any

#: `rehashes` takes bytes only, and keeps other threads waiting while it works on them.
_STEP_BYTES = 2**20

Data = bytes | bytearray | memoryview


class Md5:
    """The MD5 of everything `update` was given, after what `state` stands for."""

    def __init__(self, state: str | None = None) -> None:
        """Args:
        state: what `state()` of another one returned; it goes on from there.

        Raises:
            ValueError: it is none, or this machine cannot go on from one.
        """
        self._restartable = _restartable(state)
        self._plain = hashlib.md5(usedforsecurity=False)

    def update(self, data: Data) -> None:
        if self._restartable is None:
            self._plain.update(data)
            return
        with memoryview(data) as view:
            for start in range(0, len(view), _STEP_BYTES):
                self._restartable.update(bytes(view[start : start + _STEP_BYTES]))

    def state(self) -> str | None:
        """To go on from later; None where this machine cannot. May change with `rehashes`."""
        return self._restartable.serialize().hex() if self._restartable is not None else None

    def hexdigest(self) -> str:
        """Ends it: `update` and `state` are no longer possible."""
        if self._restartable is None:
            return self._plain.hexdigest()
        return str(self._restartable.finalize())


def _restartable(state: str | None) -> Any:
    try:
        from rehashes import PyMd5
    except ModuleNotFoundError as missing:
        if state is not None:
            raise ValueError("MD5 cannot be gone on with on this machine.") from missing
        return None
    return PyMd5() if state is None else PyMd5.deserialize(bytes.fromhex(state))
