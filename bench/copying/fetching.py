"""The Fetch step in a process of its own, as Lambda runs it.

    python -m bench.copying.fetching JOB_ID INVOCATION_SECONDS

Calls the step until it is done, each time with so many seconds. Ends with one line of JSON.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from pathlib import Path

from chalicelib import triggers

_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


class _Context:
    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._until - time.monotonic()) * 1000))


def main() -> None:
    logging.basicConfig(stream=sys.stderr)
    logging.getLogger("chalicelib").setLevel(logging.WARNING)
    job_id, seconds = sys.argv[1], float(sys.argv[2])
    event = {"job_id": job_id, "run": 1}
    began_s, invocations = time.monotonic(), 1
    while not triggers.step("fetch", event, _Context(seconds))["done"]:
        invocations += 1
    told = {
        "seconds": time.monotonic() - began_s,
        "cpu_s": time.process_time(),
        "invocations": invocations,
        "peak_bytes": int(_PEAK.findall(Path("/proc/self/status").read_text())[0]) * 1024,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
