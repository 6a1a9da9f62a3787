# SPDX-License-Identifier: Apache-2.0
"""Ways to write a frame, and the process in which one of them runs.

usage: write_contestants.py NAME URL ROWS

For every line "stream" or "hashes" on standard input the frame is written so, and what it took is
printed as JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable

import events
import polars as pl
import redis

import redcol

KEY = "written"
KEY_PREFIX = "row:"
PIPELINE_ROWS = 5_000
SCHEMA = {"user_id": pl.String, "action": pl.String, "value": pl.Int64, "amount": pl.Float64}


def frame(rows: int) -> pl.DataFrame:
    """The rows of the other benchmarks, numbers as numbers, and keys."""
    texts = pl.DataFrame([events.entry_fields(number) for number in range(rows)])
    typed = texts.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    return typed.with_row_index("_key")


def write_redcol(url: str | redcol.Client, df: pl.DataFrame, how: str) -> None:
    if how == "stream":
        redcol.write_stream(url, df.drop("_key"), KEY)
    else:
        redcol.write_hashes(url, df, key_prefix=KEY_PREFIX)


def write_redis_py(url: str, df: pl.DataFrame, how: str) -> None:
    """What a careful user of redis-py writes: pipelines of 5,000 rows, no garbage collector."""
    gc.disable()
    with redis.Redis.from_url(url) as client:
        for rows in df.iter_slices(PIPELINE_ROWS):
            keys = rows["_key"].to_list()
            with client.pipeline(transaction=False) as pipeline:
                for key, row in zip(keys, rows.drop("_key").iter_rows(named=True), strict=True):
                    if how == "stream":
                        pipeline.xadd(KEY, row)
                    else:
                        pipeline.execute_command("MULTI")
                        pipeline.delete(f"{KEY_PREFIX}{key}")
                        pipeline.hset(f"{KEY_PREFIX}{key}", mapping=row)
                        pipeline.execute_command("EXEC")
                pipeline.execute()
    gc.enable()


CONTESTANTS: dict[str, Callable[[str, pl.DataFrame, str], None]] = {
    "redcol": write_redcol,
    "redis-py pipeline": write_redis_py,
}


def main(name: str, url: str, rows: str) -> None:
    df = frame(int(rows))
    for line in sys.stdin:
        cpu_before, before = time.process_time(), time.perf_counter()
        CONTESTANTS[name](url, df, line.strip())
        seconds, cpu = time.perf_counter() - before, time.process_time() - cpu_before
        print(json.dumps({"seconds": seconds, "cpu": cpu}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
