# SPDX-License-Identifier: Apache-2.0
"""A scan needs memory for a few batches, however many entries there are and whatever is kept."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import redis

import redcol
from redcol import _source
from scans import add_many
from servers import Server

#: 10,000,000 entries with REDCOL_FULL=1. Fewer, too, are more than fits under the bound.
ENTRIES = 10_000_000 if os.environ.get("REDCOL_FULL") == "1" else 2_000_000
#: All of them as columns: two texts as views, one of them in a place of its own, and two numbers.
BYTES_PER_ROW = 16 + 16 + 26 + 8 + 8

PROGRAM = """
import sys, redcol, polars as pl
url, key, path, query = sys.argv[1:]
lazy = redcol.scan_stream(url, key, schema={"user": pl.String, "value": pl.Int64})
lazy.head(100).sink_parquet(path)

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) << 10

with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak is counted from here on
before = status("VmRSS:")
if query == "sink":
    lazy.sink_parquet(path)
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
elif query == "sparse":
    rows = lazy.filter(pl.col("value") % 50_000 == 7).collect(engine="streaming").height
else:
    rows = lazy.select(pl.col("value").sum()).collect(engine="streaming").item()
print(rows, status("VmHWM:") - before, status("VmHWM:"))
"""


@pytest.fixture(scope="module")
def stream(server: Server, db: redis.Redis):
    add_many(db, "memory", ENTRIES)
    yield "memory"
    db.delete("memory")


@pytest.mark.parametrize("query", ["sink", "sparse", "sum"])
def test_peak(server: Server, stream: str, tmp_path, query: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, server.url, stream, str(tmp_path / "out"), query]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    result, raised, peak = map(int, out.stdout.split())
    expected = {
        "sink": ENTRIES,
        "sparse": ENTRIES // 50_000,
        "sum": ENTRIES * (ENTRIES - 1) // 2,
    }
    print(f"{query}: raised by {raised >> 20} MiB to {peak >> 20} MiB")
    assert result == expected[query]
    assert peak < 400_000_000
    assert raised < ENTRIES * BYTES_PER_ROW * 4 // 5, "as much as if all were kept"


def test_what_a_filter_keeps_is_copied(server: Server, db: redis.Redis, key: str) -> None:
    import polars as pl
    import pyarrow as pa

    add_many(db, key, 20_000)
    schema = {"user": pl.String, "value": pl.Int64}
    batch = redcol.read_stream(server.url, key, schema=schema)
    whole = pa.table(batch).get_total_buffer_size()
    kept = _source._finished(batch, None, pl.col("value") % 1_000 == 7)
    assert kept.equals(batch.filter(pl.col("value") % 1_000 == 7))
    assert pa.table(kept).get_total_buffer_size() < whole / 100
    most = _source._finished(batch, ["user"], pl.col("value") >= 0)
    assert most.equals(batch.select("user"))
    none = _source._finished(batch, ["user", "value"], pl.col("value") < 0)
    assert none.schema == schema
    assert none.height == 0


def test_a_copy_keeps_the_dtypes() -> None:
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal

    import polars as pl

    frame = pl.DataFrame(
        {
            "s": ["a", None, "a text that is longer than a view", ""],
            "b": [b"\xff", None, b"", b"x" * 30],
            "i": [1, None, 3, 4],
            "n": [None, None, None, None],
            "d": [Decimal("1.25"), None, Decimal(3), Decimal(4)],
            "c": ["x", "y", None, "x"],
            "e": ["x", "y", None, "x"],
            "day": [date(2024, 1, 2)] * 4,
            "t": [time(1, 2, 3)] * 4,
            "at": [datetime(2024, 1, 2, 3)] * 4,
            "took": [timedelta(microseconds=5)] * 4,
            "l": [[1, 2], [], None, [None]],
            "st": [{"x": "y"}, {"x": None}, None, {"x": "z"}],
        },
        schema_overrides={
            "i": pl.UInt16,
            "n": pl.String,
            "d": pl.Decimal(20, 4),
            "c": pl.Categorical(),
            "e": pl.Enum(["y", "x"]),
            "at": pl.Datetime("ms", "Europe/Paris"),
            "took": pl.Duration("ns"),
        },
    )
    for rows in (frame, frame[1:3], frame.clear()):
        copied = _source._copied(rows)
        assert copied.schema == frame.schema
        assert copied.equals(rows)
