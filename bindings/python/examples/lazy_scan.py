# SPDX-License-Identifier: Apache-2.0
"""Queries a stream without reading more of it than the query needs.

Usage: lazy_scan.py [URL [STREAM]]
"""

import os
import sys

import polars as pl

import redcol


def main(url: str, stream: str = "events") -> None:
    """Print the sum of all clicks since the start of 2024."""
    events = redcol.scan_stream(url, stream, schema={"action": pl.String, "value": pl.Int64})
    # The server sends entries with these times only, and only these two fields become columns.
    clicks = events.filter(pl.col("_ts") >= 1_704_067_200_000, pl.col("action") == "click")
    total = clicks.select(pl.col("value").sum()).collect().item()
    print(f"clicks: {total}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
