# SPDX-License-Identifier: Apache-2.0
"""Many streams, written and read back, for the tests of read_streams."""

from __future__ import annotations

import polars as pl
import redis

import redcol

SCHEMA = {"n": pl.Int64}


def fill(db: redis.Redis, streams: dict[str | bytes, int]) -> dict[str | bytes, list[int]]:
    """Streams of so many entries, numbered through."""
    number = 0
    written: dict[str | bytes, list[int]] = {}
    pipeline = db.pipeline(transaction=False)
    for stream, entries in streams.items():
        for index in range(entries):
            pipeline.xadd(stream, {"n": number}, id=f"{index + 1}-1")
            written.setdefault(stream, []).append(number)
            number += 1
            if number % 5_000 == 0:
                pipeline.execute()
    pipeline.execute()
    return written


def rows(written: dict[str | bytes, list[int]], order: list[str] | None = None) -> list[tuple]:
    names = sorted(written) if order is None else order
    return [(name, f"{index + 1}-1", n) for name in names for index, n in enumerate(written[name])]


def read(url: str | redcol.Client, pattern: object, **options: object) -> list[tuple]:
    options = {"schema": SCHEMA, "include_timestamp": False, **options}
    return redcol.read_streams(url, pattern, **options).rows()
