# SPDX-License-Identifier: Apache-2.0
"""What `auto_ack` acknowledges when a read ends: no entry is lost, whatever becomes of it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
import reads
import redis
from chaos.proxy import Faults, Proxy

import redcol
from grouping import GROUP, SCHEMA, add, pending
from redcol import _native, client
from redcol._capsule import Batch
from servers import Server

ONE_SHOT = {**GROUP, "auto_ack": True, "schema": SCHEMA}
CUT_AT_XACK = Faults(end_after=0, since=b"XACK")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]


def wait_for_pending(db: redis.Redis, key: str, ids: list[str]) -> None:
    deadline = time.monotonic() + 60
    while pending(db, key) != ids:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_lost_answer_costs_nothing(
    any_server: Server, any_db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """XACK is executed, its answer never comes, and the next one tells that all is well."""
    ids = add(any_db, key, range(50))
    with Proxy(any_server.socket_path, lambda n: CUT_AT_XACK if n == 0 else Faults()) as proxy:
        df = redcol.read_stream(proxy.url, key, **ONE_SHOT)
        assert proxy.accepted == 2
    assert df["_id"].to_list() == ids
    assert pending(any_db, key) == []
    assert not any("acknowledged" in line for line in warnings(caplog))


@pytest.mark.parametrize("end", ["close", "hold"])
def test_no_answer_at_all_costs_nothing(
    any_server: Server, any_db: redis.Redis, key: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = add(any_db, key, range(50))
    faults = Faults(end_after=0, since=b"XACK", end=end)
    with Proxy(any_server.socket_path, lambda _: faults) as proxy:
        df = redcol.read_stream(proxy.url, key, timeout_ms=300, **ONE_SHOT)
    assert df["_id"].to_list() == ids
    said = [line for line in warnings(caplog) if "acknowledged" in line]
    assert len(said) == 1
    assert f'group "g" of stream "{key}"' in said[0]
    wait_for_pending(any_db, key, [])


def test_a_missing_right_costs_nothing(
    any_server: Server, any_db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = add(any_db, key, range(5))
    any_db.xgroup_create(key, "g", "0")
    any_db.execute_command(f"ACL SETUSER no-xack on >pw +xreadgroup +xgroup ~{key}")
    url = any_server.url.replace("unix://", "unix://no-xack:pw@")
    df = redcol.read_stream(url, key, **ONE_SHOT)
    assert df["_id"].to_list() == pending(any_db, key) == ids
    assert any("NOPERM" in line for line in warnings(caplog))


def test_a_client_that_is_closed_meanwhile_costs_nothing(
    any_server: Server, any_db: redis.Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = add(any_db, key, range(5))
    reader = redcol.connect(any_server.url)
    take = _native.iter_next

    def take_and_close(iterator: _native.Handle, *arguments: object, **more: object) -> int:
        status = take(iterator, *arguments, **more)
        reader.close()
        return status

    monkeypatch.setattr(_native, "iter_next", take_and_close)
    df = redcol.read_stream(reader, key, **ONE_SHOT)
    assert df["_id"].to_list() == ids


def test_the_batches_of_a_read_that_ends(url: str, any_db: redis.Redis, key: str) -> None:
    """Through the library's options: a batch is acknowledged when the next is asked for."""
    ids = add(any_db, key, range(7))
    request = reads.request(key, **ONE_SHOT, options={"batch_rows": "3"})
    with client.using(client.Server(url)) as handle:
        iterator = _native.read_streams(
            handle, request.streams, request.schema_capsule(), request.options
        )
        for first in (0, 3, 6):
            assert _native.iter_next(iterator, 5000, slot := _native.Slot()) == _native.OK
            assert pl.DataFrame(Batch(slot))["n"].to_list() == list(range(first, min(first + 3, 7)))
            wait_for_pending(any_db, key, ids[first:])
        assert _native.iter_next(iterator, 5000, _native.Slot()) == _native.END
        assert pending(any_db, key) == []
        assert _native.iter_statistic(iterator, "acknowledged") == 7
        assert _native.iter_next(iterator, 0, _native.Slot()) == _native.END


def test_the_end_needs_no_server(server: Server, db: redis.Redis, key: str) -> None:
    """With nothing to acknowledge."""
    add(db, key, range(3))
    request = reads.request(key, **GROUP)
    with Proxy(server.socket_path) as proxy, client.using(client.Server(proxy.url)) as handle:
        iterator = _native.read_streams(handle, request.streams, None, request.options)
        assert _native.iter_next(iterator, 5000, _native.Slot()) == _native.OK
        proxy.stop()
        assert _native.iter_next(iterator, 5000, _native.Slot()) == _native.END


# Ctrl-C.

PROGRAM = """
import sys, time, redcol
url, key = sys.argv[1:]
frame = None
try:
    frame = redcol.read_stream(url, key, group="g", consumer="c", auto_ack=True)
    time.sleep(30)
except KeyboardInterrupt:
    print(None if frame is None else len(frame), flush=True)
from redcol import _native
frame = sys.last_value = None
print(_native.live_objects())
"""

#: Ctrl-C at random moments of many reads; what was returned, and what was not and is acknowledged.
HAMMER = """
import random, signal, sys, threading, time, redcol, polars
url, key = sys.argv[1:]
client = redcol.connect(url)
got, interrupts, moment = set(), 0, random.Random(5)
latest = 0.01  # found so that about half of the reads come to their end
go, done = threading.Event(), threading.Event()
def interrupt():
    while go.wait():
        go.clear()
        if done.is_set():
            return
        time.sleep(moment.uniform(0, latest))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
thread = threading.Thread(target=interrupt, daemon=True)
thread.start()
ends = time.monotonic() + 4
while time.monotonic() < ends:
    frame = None
    try:
        go.set()
        frame = redcol.read_stream(client, key, group="g", consumer="c", auto_ack=True, count=20)
        time.sleep(1)
    except KeyboardInterrupt:
        interrupts += 1
    latest = latest * 1.2 if frame is None else latest / 1.2
    if frame is not None:
        got.update(frame["_id"])
done.set()
go.set()
thread.join()
print(interrupts, *got)
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_ctrl_c_while_an_answer_is_awaited(server: Server, db: redis.Redis, key: str) -> None:
    add(db, key, range(9))
    db.xgroup_create(key, "g", "0")
    faults = Faults(end_after=0, since=b"XACK", end="hold")
    with (
        Proxy(server.socket_path, lambda _: faults) as proxy,
        start(PROGRAM, proxy.url, key) as process,
    ):
        assert process.stdout is not None
        deadline = time.monotonic() + 60
        # Until the server has acknowledged what it gave; the program does not know.
        while (group := db.xinfo_groups(key)[0])["pending"] or not group["entries-read"]:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().split() == ["9", "0"]


def test_ctrl_c_at_any_moment(server: Server, db: redis.Redis, key: str) -> None:
    ids = add(db, key, range(20_000))
    with start(HAMMER, server.url, key) as process:
        assert process.stdout is not None
        interrupts, *got = process.stdout.read().split()
    assert int(interrupts) > 20
    read = db.xinfo_groups(key)[0]["entries-read"]
    lost = set(ids[:read]) - set(got) - set(pending(db, key))
    print(f"{len(got)} of {read} entries, {interrupts} interrupts, {len(lost)} lost")
    assert not lost
