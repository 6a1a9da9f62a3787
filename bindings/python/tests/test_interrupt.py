# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends a read at once, wherever it waits; other signals do not end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import redcol
from servers import FakeServer, silent

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
