# SPDX-License-Identifier: Apache-2.0
"""Writes a DataFrame to a stream, and totals as hashes.

Usage: write_frame.py [URL [STREAM]]
"""

import os
import sys

import polars as pl

import redcol


def main(url: str, stream: str = "readings") -> None:
    """Write three readings, read them back and keep the average of each sensor for an hour."""
    readings = pl.DataFrame({"sensor": ["a", "b", "a"], "celsius": [20.5, 21.0, None]})
    ids = redcol.write_stream(url, readings, stream, maxlen=100_000)
    print(f"{len(ids)} entries written")  # a null is a field that the entry does not have

    again = redcol.read_stream(url, stream, start_id=ids[0], schema=readings.schema)
    print(f"the same again: {again.drop('_id', '_ts').equals(readings)}")

    averages = again.group_by("sensor").agg(pl.col("celsius").mean())
    keys = redcol.write_hashes(
        url, averages, key_column="sensor", key_prefix=f"{stream}:", ttl=3600
    )
    print(f"{keys} hashes written")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
