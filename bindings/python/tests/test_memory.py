# SPDX-License-Identifier: Apache-2.0
"""Reading needs the memory of the columns and little more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import redis

from servers import Server

MARGIN_BYTES = 8 << 20

PROGRAM = """
import sys, redcol, polars as pl
url, key = sys.argv[1:]
schema = {"user": pl.String, "action": pl.String, "value": pl.Int64, "price": pl.Float64}
schema = schema if SCHEMA else None
redcol.read_stream(url, key, count=100, schema=schema)

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) << 10

with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak is counted from here on
before = status("VmRSS:")
frame = redcol.read_stream(url, key, schema=schema)
peak = status("VmHWM:") - before
import pyarrow as pa
print(frame.height, peak, pa.table(frame).get_total_buffer_size())
"""


@pytest.mark.parametrize("has_schema", [True, False], ids=["schema", "discovered"])
def test_peak(server: Server, db: redis.Redis, key: str, has_schema: bool) -> None:
    entries = 1_000_000 if os.environ.get("REDCOL_FULL") == "1" else 200_000
    with db.pipeline(transaction=False) as pipeline:
        for index in range(entries):
            fields = {"user": f"user-number-{index:08}", "action": "click", "value": index}
            pipeline.xadd(key, {**fields, "price": index / 8})
            if index % 10_000 == 9_999:
                pipeline.execute()
        pipeline.execute()
    program = PROGRAM.replace("SCHEMA else", f"{has_schema} else")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, server.url, key]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    db.delete(key)
    height, peak, arrow_bytes = map(int, out.stdout.split())
    assert height == entries
    assert peak <= 1.2 * arrow_bytes + MARGIN_BYTES, (peak / arrow_bytes, peak - arrow_bytes)
