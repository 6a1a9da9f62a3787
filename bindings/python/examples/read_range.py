# SPDX-License-Identifier: Apache-2.0
"""Reads a range of a stream into a Polars DataFrame.

Usage: read_range.py [URL [STREAM]]
"""

import os
import sys

import polars as pl

import redcol


def main(url: str, stream: str = "events") -> None:
    """Print how often each action happened since the start of 2024, and the sum of its values."""
    frame = redcol.read_stream(
        url,
        stream,
        schema={"action": pl.Categorical, "value": pl.Int64},
        start_id="1704067200000",  # milliseconds since 1970, or a datetime
    )
    totals = frame.group_by("action").agg(pl.len().alias("entries"), pl.col("value").sum())
    for action, entries, value in totals.sort("action").iter_rows():
        print(f"{action}: {entries} entries, sum {value}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
