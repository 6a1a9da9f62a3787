# SPDX-License-Identifier: Apache-2.0
"""Ways to list the groups of many streams, and the process in which one of them runs.

usage: inspect_contestants.py NAME URL STREAMS

For every line on standard input the groups are listed once, and what it took is printed as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import events
import polars as pl
import redis

import redcol

GROUP = "g"


def list_pattern(url: str, _: list[str]) -> pl.DataFrame:
    """The streams are searched."""
    return redcol.list_groups(url, events.MANY + "*")


def list_named(url: str, names: list[str]) -> pl.DataFrame:
    """The streams are named."""
    return redcol.list_groups(url, names)


def list_redis_py(url: str, names: list[str]) -> pl.DataFrame:
    """What a careful user of redis-py and hiredis writes: two pipelines."""
    rows = []
    with redis.Redis.from_url(url, decode_responses=True) as client:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.xinfo_groups(name)
        for name, groups in zip(names, pipeline.execute(), strict=True):
            rows += [{"stream": name, **group} for group in groups]
        for row in rows:
            pipeline.xpending_range(row["stream"], row["name"], "-", "+", 1)
        for row, oldest in zip(rows, pipeline.execute(), strict=True):
            row["oldest_pending_ms"] = oldest[0]["time_since_delivered"] if oldest else None
    return pl.DataFrame(rows)


CONTESTANTS: dict[str, Callable[[str, list[str]], pl.DataFrame]] = {
    "redcol, pattern": list_pattern,
    "redcol, list": list_named,
    "redis-py pipelines": list_redis_py,
}


def main(name: str, url: str, streams: str) -> None:
    names = [events.many_name(number) for number in range(int(streams))]
    for _ in sys.stdin:
        before, cpu_before = time.perf_counter(), time.process_time()
        frame = CONTESTANTS[name](url, names)
        seconds, cpu = time.perf_counter() - before, time.process_time() - cpu_before
        pending = int(frame["pending"].sum())
        took = {"seconds": seconds, "cpu": cpu, "rows": len(frame), "pending": pending}
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
