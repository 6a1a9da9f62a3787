# SPDX-License-Identifier: Apache-2.0
"""Ways to read a stream as a member of a group, and the process in which one of them runs.

usage: group_contestants.py NAME URL

For every line "GROUP BATCH ENTRIES" on standard input that many entries are read and acknowledged,
a frame for each batch, and what it took is printed as JSON. With the word "sums" behind it, sums of
what was read are printed too.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import events
import polars as pl
import redis
from contestants import SCHEMA

import redcol

CONSUMER = "bench"
Read = Callable[[str, str, int, int], Iterator[pl.DataFrame]]


def read_redcol(url: str, group: str, batch_size: int, entries: int) -> Iterator[pl.DataFrame]:
    with redcol.iter_stream(
        url,
        events.STREAM,
        batch_size=batch_size,
        schema=SCHEMA,
        group=group,
        consumer=CONSUMER,
        auto_ack=True,
        count=entries,
    ) as batches:
        yield from batches


def read_redis_py(url: str, group: str, batch_size: int, entries: int) -> Iterator[pl.DataFrame]:
    """The same loop by hand: columns of strings, one frame, numbers read by Polars, XACK.

    Without the garbage collector, as in the other benchmark: it is the faster for it.
    """
    casts = [pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()]
    milliseconds = pl.col("_id").str.split_exact("-", 1).struct[0].cast(pl.Int64).alias("_ts")
    schema = dict.fromkeys(("_id", *SCHEMA), pl.String)
    gc.disable()
    with redis.Redis.from_url(url, decode_responses=True) as client:
        while entries > 0:
            streams = {events.STREAM: ">"}
            reply = client.xreadgroup(group, CONSUMER, streams, count=batch_size, block=1000)
            columns: dict[str, list[str | None]] = {name: [] for name in schema}
            ids, users, actions, values, amounts = columns.values()
            for entry_id, fields in entries_of(reply):
                ids.append(entry_id)
                users.append(fields.get("user_id"))
                actions.append(fields.get("action"))
                values.append(fields.get("value"))
                amounts.append(fields.get("amount"))
            yield pl.DataFrame(columns, schema=schema).select("_id", milliseconds, *casts)
            client.xack(events.STREAM, group, *ids)
            entries -= len(ids)
    gc.enable()


def entries_of(reply: Any) -> list[tuple[Any, dict[Any, Any]]]:
    """The entries of the only stream in a reply to redis-py's xread or xreadgroup."""
    return list(reply[0][1])


CONTESTANTS: dict[str, Read] = {"redcol": read_redcol, "redis-py loop": read_redis_py}


def sums(frame: pl.DataFrame) -> list[Any]:
    return list(
        frame.select(
            pl.col("_ts").sum(),
            pl.col("user_id").str.len_bytes().sum(),
            pl.col("action").str.len_bytes().sum(),
            pl.col("value").sum(),
            (pl.col("amount") * 100).round().cast(pl.Int64).sum(),
        ).row(0)
    )


def measure(read: Read, url: str, group: str, batch_size: int, entries: int) -> dict[str, Any]:
    cpu_before, before = time.process_time(), time.perf_counter()
    rows = 0
    for frame in read(url, group, batch_size, entries):
        rows += frame.height
    seconds, cpu = time.perf_counter() - before, time.process_time() - cpu_before
    return {"seconds": seconds, "cpu": cpu, "rows": rows}


def check(read: Read, url: str, group: str, batch_size: int, entries: int) -> dict[str, Any]:
    frames = [sums(frame) for frame in read(url, group, batch_size, entries)]
    return {"sums": [sum(column) for column in zip(*frames, strict=True)]}


def main(name: str, url: str) -> None:
    for line in sys.stdin:
        group, batch_size, entries, *mode = line.split()
        run = check if mode else measure
        print(
            json.dumps(run(CONTESTANTS[name], url, group, int(batch_size), int(entries))),
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
