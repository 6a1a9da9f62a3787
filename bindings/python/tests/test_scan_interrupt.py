# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends a query that scans, whether entries come or the server says nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import redis

from scans import add_many
from servers import FakeServer, Server

PROGRAM = """
import sys, time, polars as pl, redcol
url, query = sys.argv[1:]
lazy = redcol.scan_stream(url, "long", schema={"user": pl.String, "value": pl.Int64})
lazy.head(0).collect()
print("ready", flush=True)
caught = None
while caught is None:
    try:
        if query == "sink":
            lazy.sink_parquet("/dev/null")
        else:
            lazy.select(pl.col("user").n_unique()).collect(engine=query)
    except BaseException as error:
        caught = error
        try:
            time.sleep(0.001)  # Polars may leave Python the same signal to raise once more
        except KeyboardInterrupt:
            pass
print(type(caught).__name__, "KeyboardInterrupt" in repr(caught), flush=True)
"""


def silent_after_the_end(words: list[bytes]) -> bytes | None:
    if words[0] == b"XREVRANGE":
        return b"*1\r\n*2\r\n$3\r\n9-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    return None if words[0] == b"XRANGE" else b"+OK\r\n"


def interrupted(url: str, query: str) -> tuple[float, str]:
    """How long it took, and what came of it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, url, query]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.5)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            line = process.stdout.readline()
            took = time.monotonic() - began
        finally:
            process.kill()
    return took, line


@pytest.fixture(scope="module", autouse=True)
def stream(db: redis.Redis):
    add_many(db, "long", 2_000_000)
    yield
    db.delete("long")


LEAVING = """
import sys, polars as pl, redcol
lazy = redcol.scan_stream(sys.argv[1], "long", schema={"user": pl.String, "value": pl.Int64})
print("ready", flush=True)
try:
    lazy.sink_parquet("/dev/null")
except BaseException:
    pass
"""


@pytest.mark.parametrize("delay_ms", [250, 280, 310, 340, 370, 400])
def test_a_program_that_ends_after_ctrl_c(server: Server, delay_ms: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", LEAVING, server.url]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay_ms / 1000)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    # Polars may leave Python the same signal to raise once more.
    assert process.returncode in (0, -signal.SIGINT), errors
    assert "FATAL" not in errors


@pytest.mark.parametrize("query", ["in-memory", "streaming", "sink"])
@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "entries"])
def test_ctrl_c(server: Server, query: str, is_silent: bool) -> None:
    if is_silent:
        with FakeServer(silent_after_the_end) as fake:
            took, line = interrupted(fake.url, query)
    else:
        took, line = interrupted(server.url, query)
    print(f"{took * 1000:.0f} ms: {line}", end="")
    assert line.endswith(" True\n")
    # The server's silence ends after 5 s. A batch boundary is never far.
    assert took < 10
