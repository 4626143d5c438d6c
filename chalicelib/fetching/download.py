"""Part of a Drive file into memory; a connection that breaks is taken up again where it broke."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from chalicelib.adapters.drive import Drive
from chalicelib.adapters.drive_errors import DownloadCut

log = logging.getLogger(__name__)

#: Connections that may break within one part, and the longest pauses between them.
TRIES = 6
PAUSE_S = 0.5
PAUSE_CAP_S = 8.0


def fill(
    drive: Drive, file_id: str, start: int, buffer: bytearray, *, is_over: Callable[[], bool]
) -> bool:
    """Fill the buffer with the file's bytes from `start` on; False when it became too late.

    Raises:
        DownloadCut: the connection broke again and again.
        DriveError: Drive refused.
    """
    have, cuts, length = 0, 0, len(buffer)
    with memoryview(buffer) as view:
        while have < length:
            try:
                with drive.open_range(file_id, start + have, start + length - 1) as chunks:
                    for chunk in chunks:
                        view[have : have + len(chunk)] = chunk
                        have += len(chunk)
                        if have < length and is_over():
                            return False
            except DownloadCut as cut:
                cuts += 1
                if cuts == TRIES:
                    raise
                log.info("Drive file %s: %s Going on at %d.", file_id, cut.reason, start + have)
                time.sleep(random.random() * min(PAUSE_CAP_S, PAUSE_S * 2 ** (cuts - 1)))
    return True
