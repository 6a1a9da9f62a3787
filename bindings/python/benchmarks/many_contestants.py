# SPDX-License-Identifier: Apache-2.0
"""Ways to get many small streams into a DataFrame, and the process in which one of them runs.

usage: many_contestants.py NAME URL STREAMS

For every line on standard input the streams are read once, and what it took is printed as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import events
import polars as pl
import redis
from contestants import SCHEMA, measure

import redcol


def read_one(url: str, _: list[str]) -> pl.DataFrame:
    """The same entries in one stream."""
    return redcol.read_stream(url, events.STREAM, schema=SCHEMA)


def read_pattern(url: str, _: list[str]) -> pl.DataFrame:
    """The streams are searched."""
    return redcol.read_streams(url, events.MANY + "*", schema=SCHEMA)


def read_list(url: str, names: list[str]) -> pl.DataFrame:
    """The streams are named."""
    return redcol.read_streams(url, names, schema=SCHEMA)


def read_one_by_one(url: str, names: list[str]) -> pl.DataFrame:
    """One call for each stream, on one connection."""
    with redcol.connect(url) as client:
        return pl.concat([redcol.read_stream(client, name, schema=SCHEMA) for name in names])


def read_redis_py(url: str, names: list[str]) -> pl.DataFrame:
    """What a careful user of redis-py and hiredis writes: one pipeline, columns, casts."""
    columns: dict[str, list[str | None]] = {name: [] for name in ("_key", "_id", *SCHEMA)}
    with redis.Redis.from_url(url, decode_responses=True) as client:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.xrange(name)
        for name, entries in zip(names, pipeline.execute(), strict=True):
            for entry_id, fields in entries:
                columns["_key"].append(name)
                columns["_id"].append(entry_id)
                for field in SCHEMA:
                    columns[field].append(fields.get(field))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    milliseconds = pl.col("_id").str.split_exact("-", 1).struct[0].cast(pl.Int64)
    casts = [pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()]
    return frame.select("_key", "_id", milliseconds.alias("_ts"), *casts)


CONTESTANTS: dict[str, Callable[[str, list[str]], pl.DataFrame]] = {
    "one stream": read_one,
    "redcol, pattern": read_pattern,
    "redcol, list": read_list,
    "redcol, one by one": read_one_by_one,
    "redis-py pipeline": read_redis_py,
}


def main(name: str, url: str, streams: str) -> None:
    names = [events.many_name(number) for number in range(int(streams))]
    for _ in sys.stdin:
        print(json.dumps(measure(lambda url: CONTESTANTS[name](url, names), url)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
