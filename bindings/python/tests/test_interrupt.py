# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends a read at once, wherever it waits; other signals do not end it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import polars as pl
import pytest

import redcol
from redcol import _native
from redcol.client import Server as Address
from redcol.client import using
from servers import FakeServer, Server, silent

GREETS = {"connecting": silent, "reading": lambda c: None if c[0] == b"XRANGE" else b"+OK\r\n"}

PROGRAM = """
import sys, time, redcol
print("ready", flush=True)
try:
    redcol.read_stream(sys.argv[1], "s", connect_timeout_ms=9000, timeout_ms=9000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
from redcol import _native
sys.last_value = None
print(_native.live_objects())
"""

OTHER_SIGNAL = """
import os, signal, sys, threading, time, redcol
signal.signal(signal.SIGUSR1, lambda *_: None)
stop = threading.Event()
def disturb():
    while not stop.wait(0.01):
        os.kill(os.getpid(), signal.SIGUSR1)
thread = threading.Thread(target=disturb)
thread.start()
began = time.monotonic()
try:
    redcol.read_stream(sys.argv[1], "s", connect_timeout_ms=600, timeout_ms=600)
except redcol.TimedOutError:
    took = time.monotonic() - began
    print("timed out", 0.5 < took < 10)
finally:
    stop.set()
    thread.join()
"""


def start(program: str, url: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, url]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("where", GREETS)
def test_ctrl_c(where: str) -> None:
    with FakeServer(GREETS[where]) as fake, start(PROGRAM, fake.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        wanted = b"XRANGE" if where == "reading" else b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(not wanted or command[0] == wanted for command in list(fake.commands)):
                break
            time.sleep(0.01)
        assert fake.commands
        time.sleep(0.05)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - began < 4
        assert process.stdout.readline() == "0\n"


@pytest.mark.parametrize("command", [b"XRANGE", b"XACK"])
def test_closing_a_client_from_another_thread(command: bytes) -> None:
    with FakeServer(lambda words: None if words[0] == command else b"+OK\r\n") as fake:
        client = redcol.connect(fake.url)
        caught: list[BaseException] = []

        def read() -> None:
            try:
                if command == b"XACK":
                    redcol.ack_entries(client, "s", "g", ["1-1"])
                else:
                    redcol.read_stream(client, "s")
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        while not any(words[0] == command for words in list(fake.commands)):
            time.sleep(0.01)
        began = time.monotonic()
        client.close()
        thread.join()
        assert time.monotonic() - began < 4
    assert [type(error) for error in caught] == [redcol.ClosedError]


@pytest.mark.parametrize("where", GREETS)
def test_other_signals_do_not_end_a_wait_and_do_not_prolong_it(where: str) -> None:
    with FakeServer(GREETS[where]) as fake, start(OTHER_SIGNAL, fake.url) as process:
        out, _ = process.communicate(timeout=120)
    assert out == "timed out True\n"


class AlarmError(Exception):
    pass


@contextlib.contextmanager
def alarm_while_stopped(server: Server) -> Iterator[None]:
    """The server is stopped, and an alarm's handler raises during the call, which then waits."""

    def ring(*_: object) -> None:
        raise AlarmError

    before = signal.signal(signal.SIGALRM, ring)
    server.process.send_signal(signal.SIGSTOP)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(AlarmError):
            yield
    finally:
        server.process.send_signal(signal.SIGCONT)
        signal.signal(signal.SIGALRM, before)


def test_a_call_that_a_handler_ended_is_not_continued_by_an_equal_one() -> None:
    """What the server said to the first one is old by then."""
    patient = {"timeout_ms": 60_000, "connect_timeout_ms": 60_000}
    with Server() as server, server.client() as db, redcol.connect(server.url, **patient) as client:
        db.xadd("s", {"n": 1})
        follow = {"start_id": "$", "on_idle": "stop", "block_ms": 20, "schema": {"n": pl.Int64}}
        with using(Address(client)) as handle:
            with alarm_while_stopped(server):
                _native.last_id(handle, b"s")
            last = db.xadd("s", {"n": 2}).decode()
            milliseconds, sequence = _native.last_id(handle, b"s") or (0, 0)
            assert f"{milliseconds}-{sequence}" == last
        with alarm_while_stopped(server):
            redcol.iter_stream(client, "s", **follow)
        db.xadd("s", {"n": 3})
        with redcol.iter_stream(client, "s", **follow) as batches:
            assert list(batches) == []
        with alarm_while_stopped(server):
            redcol.ack_entries(client, "s", "g", ["1-1"])
        with pytest.raises(redcol.NoGroupError):
            redcol.ack_entries(client, "s", "g", ["1-1"])
