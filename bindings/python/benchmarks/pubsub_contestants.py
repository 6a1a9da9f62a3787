# SPDX-License-Identifier: Apache-2.0
"""Ways to get messages of a channel, each a process: CONTESTANT URL SOCKET

For every line "CHANNEL MESSAGES" it subscribes, says so, takes the messages, and says how many
seconds that took since the first of them, and how much of a processor.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import redis

import redcol


def with_redcol(url: str, _: str, channel: str, messages: int, ready: Callable[[], None]) -> float:
    with redcol.iter_pubsub(
        url, channel, batch_size=10_000, batch_timeout_ms=0, count=messages
    ) as batches:
        ready()
        taken = len(next(batches))
        begin = time.perf_counter()
        taken += sum(len(frame) for frame in batches)
        if taken != messages:
            raise RuntimeError(f"{taken} messages, not {messages}; {batches.stats}")
    return begin


def with_redis_py(
    _: str, socket: str, channel: str, messages: int, ready: Callable[[], None]
) -> float:
    with redis.Redis(unix_socket_path=socket) as db, db.pubsub() as subscription:
        subscription.subscribe(channel)
        taken, begin = 0, 0.0
        for message in subscription.listen():
            if message["type"] == "subscribe":
                ready()
                continue
            begin = begin or time.perf_counter()
            taken += 1
            if taken == messages:
                break
    return begin


CONTESTANTS = {"redcol": with_redcol, "redis-py loop": with_redis_py}


def say(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    listen = CONTESTANTS[sys.argv[1]]
    for line in sys.stdin:
        name, number = line.split()
        cpu = time.process_time()
        first = listen(*sys.argv[2:4], name, int(number), lambda: say({"ready": True}))
        taken = time.perf_counter() - first
        say({"seconds": taken, "cpu": time.process_time() - cpu})
