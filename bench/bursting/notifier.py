"""Drive's notifications, as a storm: many, in no order, several at a time.

    python -m bench.bursting.notifier URL CHANNEL_ID TOKEN COUNT AT_A_TIME SEED

Ends with one line of JSON: how long each answer took, in seconds, and how many were not 200.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from urllib.parse import urlsplit


def main() -> None:
    url, channel_id, token = urlsplit(sys.argv[1]), sys.argv[2], sys.argv[3]
    count, at_a_time, seed = (int(argument) for argument in sys.argv[4:7])
    numbers = list(range(2, count + 2))  # the first message of a channel is `sync`
    random.Random(seed).shuffle(numbers)
    took_s: list[float] = []
    refused: list[int] = []

    def post() -> None:
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        while True:
            try:
                number = numbers.pop()
            except IndexError:
                return
            headers = {
                "Content-Type": "application/json; utf-8",
                "Content-Length": "0",
                "X-Goog-Channel-ID": channel_id,
                "X-Goog-Channel-Token": token,
                "X-Goog-Message-Number": str(number),
                "X-Goog-Resource-State": "change",
            }
            began_s = time.monotonic()
            try:
                connection.request("POST", url.path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except OSError:
                connection.close()
                status = 0
            took_s.append(time.monotonic() - began_s)
            if status != 200:
                refused.append(status)

    threads = [threading.Thread(target=post) for _ in range(at_a_time)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"took_s": took_s, "refused": refused}))


if __name__ == "__main__":
    main()
