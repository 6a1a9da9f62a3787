# SPDX-License-Identifier: Apache-2.0
"""Ways to get a stream into a DataFrame, and the process in which one of them runs.

usage: contestants.py NAME URL [memory]

For every line on standard input the stream is read once, and what it took is printed as JSON. With
"memory" it is read once at start, and what is printed is how much memory that took.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import events
import polars as pl
import redis

import redcol

SCHEMA: dict[str, type[pl.DataType]] = {
    "user_id": pl.String,
    "action": pl.String,
    "value": pl.Int64,
    "amount": pl.Float64,
}


def read_typed(url: str) -> pl.DataFrame:
    """redcol with a schema."""
    return redcol.read_stream(url, events.STREAM, schema=SCHEMA)


def read_text(url: str) -> pl.DataFrame:
    """redcol without a schema; all fields are strings."""
    return redcol.read_stream(url, events.STREAM)


def read_dump(url: str) -> pl.DataFrame:
    """redcol with a schema, which asks for the stream as the server stores it."""
    limit = 100_000_000
    return redcol.read_stream(
        url, events.STREAM, schema=SCHEMA, transfer="dump", dump_entries_max=limit
    )


def read_redis_py(url: str) -> pl.DataFrame:
    """What a careful user of redis-py and hiredis writes: pages, columns, numbers read by Polars.

    Without the garbage collector, which would go through all the lists again and again.
    """
    columns: dict[str, list[str | None]] = {name: [] for name in ("_id", *SCHEMA)}
    ids, users, actions, values, amounts = columns.values()
    start = "-"
    gc.disable()
    with redis.Redis.from_url(url, decode_responses=True) as client:
        while page := client.xrange(events.STREAM, start, "+", count=10_000):
            for entry_id, fields in page:
                ids.append(entry_id)
                users.append(fields.get("user_id"))
                actions.append(fields.get("action"))
                values.append(fields.get("value"))
                amounts.append(fields.get("amount"))
            start = f"({ids[-1]}"
    gc.enable()
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    milliseconds = pl.col("_id").str.split_exact("-", 1).struct[0].cast(pl.Int64)
    casts = [pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()]
    return frame.select("_id", milliseconds.alias("_ts"), *casts)


def read_dicts(url: str) -> pl.DataFrame:
    """The method of polars-redis: one reply, a dict for every entry, one frame, casts."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        rows = []
        for entry_id, fields in client.xrange(events.STREAM, "-", "+"):
            rows.append({"_id": entry_id, "_ts": int(entry_id.split("-")[0]), **fields})
    frame = pl.DataFrame(rows)
    return frame.with_columns(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


CONTESTANTS: dict[str, Callable[[str], pl.DataFrame]] = {
    "redcol": read_typed,
    "redcol, no schema": read_text,
    "redis-py loop": read_redis_py,
    "list of dicts": read_dicts,
}
#: One for bench_bulk.
OTHERS = {"redcol, dump": read_dump}


def measure(read: Callable[[str], pl.DataFrame], url: str) -> dict[str, Any]:
    """Read once. The sums show that every contestant has read the same."""
    cpu_before, before = time.process_time(), time.perf_counter()
    frame = read(url)
    seconds, cpu = time.perf_counter() - before, time.process_time() - cpu_before
    sums = frame.select(
        pl.col("_ts").sum(),
        pl.col("user_id").str.len_bytes().sum(),
        pl.col("action").str.len_bytes().sum(),
        pl.col("value").cast(pl.Int64).sum(),
        pl.col("amount").cast(pl.Float64).sum().round(2),
    )
    return {"seconds": seconds, "cpu": cpu, "rows": len(frame), "sums": list(sums.row(0))}


def resident_bytes(key: str) -> int:
    """VmRSS or VmHWM, the peak, of this process."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(key))
    return int(line.split()[1]) * 1024


def measure_memory(read: Callable[[str], pl.DataFrame], url: str) -> dict[str, Any]:
    """By how much a read raises the peak, beside the bytes of the Arrow buffers that come out."""
    redcol.read_stream(url, events.STREAM, count=1)
    pl.Series([1]).sum()  # Polars starts its threads
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts again
    before = resident_bytes("VmRSS")
    frame = read(url)
    raised = resident_bytes("VmHWM") - before
    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    return {"raised": raised, "arrow": table.get_total_buffer_size(), "chunks": frame.n_chunks()}


def main(name: str, url: str, mode: str = "time") -> None:
    if mode == "memory":
        print(json.dumps(measure_memory(CONTESTANTS[name], url)))
        return
    read = {**CONTESTANTS, **OTHERS}[name]
    for _ in sys.stdin:
        print(json.dumps(measure(read, url)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
