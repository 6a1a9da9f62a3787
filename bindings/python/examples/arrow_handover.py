# SPDX-License-Identifier: Apache-2.0
"""Hands a stream to DuckDB, pyarrow and pandas, without Polars.

Usage: arrow_handover.py [URL [STREAM]]
"""

import os
import sys

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

import redcol


def main(url: str, stream: str = "events") -> None:
    """Print the same sum three times."""
    # Some functions of pyarrow do not take string views, which are the default.
    schema = {"action": str, "value": int}
    events = redcol.read_arrow(url, stream, schema=schema, string_layout="string")
    (row,) = duckdb.sql("select sum(value) from events where action = 'click'").fetchall()
    print(f"DuckDB: {row[0]}")

    table = pa.table(events)
    clicks = table.filter(pc.equal(table["action"], "click"))
    print(f"pyarrow: {pc.sum(clicks['value'])}")

    frame = table.to_pandas()
    print(f"pandas: {frame[frame['action'] == 'click']['value'].sum()}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
