# SPDX-License-Identifier: Apache-2.0
"""Ways to follow a stream in Python, and the process in which one of them runs.

usage: tail_contestants.py NAME URL

For every line "STREAM ENTRIES" on standard input the (empty) stream is followed: {"ready": true}
when that has begun, and after so many entries how many nanoseconds each took from XADD to what
Python has in hand. The clock is taken before the values are looked at.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import redis

import redcol

SCHEMA: dict[str, type[pl.DataType]] = {
    "sent_ns": pl.Int64,
    "user_id": pl.String,
    "action": pl.String,
    "value": pl.Int64,
}

#: The clock, and the entries' own times as they stand there: both in nanoseconds.
Arrival = tuple[int, list[int]]


def announce() -> None:
    print(json.dumps({"ready": True}), flush=True)


def follow(url: str, stream: str, **group: Any) -> Iterator[Arrival]:
    with redcol.iter_stream(url, stream, schema=SCHEMA, **group) as batches:
        announce()
        for frame in batches:
            now = time.monotonic_ns()
            yield now, frame["sent_ns"].to_list()


def follow_redcol(url: str, stream: str) -> Iterator[Arrival]:
    return follow(url, stream)


def follow_redcol_group(url: str, stream: str) -> Iterator[Arrival]:
    return follow(url, stream, group="tail", consumer="bench", auto_ack=True)


def follow_redis_py(url: str, stream: str) -> Iterator[Arrival]:
    """What comes out of redis-py: tuples of an id and a dict."""
    for page in pages(url, stream):
        now = time.monotonic_ns()
        yield now, [int(fields["sent_ns"]) for _, fields in page]


def follow_redis_py_frame(url: str, stream: str) -> Iterator[Arrival]:
    """A typed frame of it, as redcol gives: columns of strings, numbers read by Polars."""
    schema = dict.fromkeys(("_id", *SCHEMA), pl.String)
    casts = [pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()]
    milliseconds = pl.col("_id").str.split_exact("-", 1).struct[0].cast(pl.Int64).alias("_ts")
    for page in pages(url, stream):
        columns: dict[str, list[str | None]] = {"_id": [entry_id for entry_id, _ in page]}
        for name in SCHEMA:
            columns[name] = [fields.get(name) for _, fields in page]
        frame = pl.DataFrame(columns, schema=schema).select("_id", milliseconds, *casts)
        now = time.monotonic_ns()
        yield now, frame["sent_ns"].to_list()


def pages(url: str, stream: str) -> Iterator[list[tuple[str, dict[str, str]]]]:
    last_id = "0"
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.ping()
        announce()
        while True:
            reply: Any = client.xread({stream: last_id}, count=100, block=1000)
            if reply:
                page = reply[0][1]
                last_id = page[-1][0]
                yield page


CONTESTANTS: dict[str, Callable[[str, str], Iterator[Arrival]]] = {
    "redcol": follow_redcol,
    "redcol, group": follow_redcol_group,
    "redis-py, tuples": follow_redis_py,
    "redis-py, frame": follow_redis_py_frame,
}


def measure(name: str, url: str, stream: str, entries: int) -> list[int]:
    taken: list[int] = []
    arrivals = CONTESTANTS[name](url, stream)
    while len(taken) < entries:
        now, sent = next(arrivals)
        taken.extend(now - then for then in sent)
    return taken


def main(name: str, url: str) -> None:
    for line in sys.stdin:
        stream, entries = line.split()
        print(json.dumps({"ns": measure(name, url, stream, int(entries))}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
