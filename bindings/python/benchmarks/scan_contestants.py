# SPDX-License-Identifier: Apache-2.0
"""The same aggregation by a scan and by a frame, and the process in which one of them runs.

usage: scan_contestants.py NAME URL

For every line on standard input the query is run once, and what it took is printed as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import events
import polars as pl
from contestants import SCHEMA

import redcol


def aggregation(lazy: pl.LazyFrame) -> pl.LazyFrame:
    grouped = lazy.group_by("action").agg(pl.len(), pl.col("value").sum(), pl.col("amount").max())
    return grouped.sort("action")


def read(url: str) -> pl.DataFrame:
    """All columns into a frame, then the aggregation."""
    return aggregation(redcol.read_stream(url, events.STREAM, schema=SCHEMA).lazy()).collect()


def read_columns(url: str) -> pl.DataFrame:
    """The same by somebody who knows which columns the aggregation needs."""
    names = ("action", "value", "amount")
    frame = redcol.read_stream(
        url,
        events.STREAM,
        schema={name: SCHEMA[name] for name in names},
        include_id=False,
        include_timestamp=False,
    )
    return aggregation(frame.lazy()).collect()


def scan(url: str) -> pl.DataFrame:
    """The aggregation of a scan."""
    return aggregation(redcol.scan_stream(url, events.STREAM, schema=SCHEMA)).collect()


def scan_filtered(url: str) -> pl.DataFrame:
    """The aggregation of the first 10,000 entries, two in every millisecond, chosen by time."""
    lazy = redcol.scan_stream(url, events.STREAM, schema=SCHEMA)
    return aggregation(lazy.filter(pl.col("_ts") < events.FIRST_MS + 5_000)).collect()


CONTESTANTS: dict[str, Callable[[str], pl.DataFrame]] = {
    "read_stream": read,
    "scan_stream": scan,
    "read, 3 columns": read_columns,
    "scan, 10,000 rows": scan_filtered,
}


def main(name: str, url: str) -> None:
    for _ in sys.stdin:
        cpu_before, before = time.process_time(), time.perf_counter()
        frame = CONTESTANTS[name](url)
        seconds, cpu = time.perf_counter() - before, time.process_time() - cpu_before
        rows = frame["len"].sum()
        sums = frame.with_columns(pl.col("amount").round(2)).rows()
        print(json.dumps({"seconds": seconds, "cpu": cpu, "rows": rows, "sums": sums}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
