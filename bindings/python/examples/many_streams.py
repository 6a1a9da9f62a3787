# SPDX-License-Identifier: Apache-2.0
"""Reads all streams with keys of a pattern into one DataFrame.

Usage: many_streams.py [URL [PATTERN]]
"""

import os
import sys

import polars as pl

import redcol


def main(url: str, pattern: str = "sensor:*") -> None:
    """Print how many entries each stream has, and its largest value."""
    frame = redcol.read_streams(url, pattern, schema={"value": pl.Float64})
    totals = frame.group_by("_key").agg(pl.len().alias("entries"), pl.col("value").max())
    for key, entries, value in totals.sort("_key").iter_rows():
        print(f"{key}: {entries} entries, at most {value}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
