# SPDX-License-Identifier: Apache-2.0
"""A signal that comes again and again keeps no call from ending, and makes none begin again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes import byref, c_uint64, c_void_p
from pathlib import Path

import pytest
from statuses import STATUSES, call, free, words
from test_c_examples import ROOT, WARNINGS, build
from test_cpp import build as build_cpp

sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from redcol import _native
from servers import FakeServer, Server, silent

INTERRUPTED = Path(__file__).with_name("interrupted.c")
RELAY = ROOT / "bindings/python/benchmarks/relay.c"
#: One way; a round trip takes twice as long, and longer than 10 ms at 100 signals a second.
RELAY_MS = 20
ENTRIES = 2500
#: Microseconds between two signals, and the least calls that connecting then takes.
INTERVALS = {"100 Hz": 10_000, "10 Hz": 100_000}

at_every_frequency = pytest.mark.parametrize("interval", INTERVALS.values(), ids=INTERVALS)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started, started.client() as db:
        for number in range(1, ENTRIES + 1):
            db.xadd("s", {"n": number}, id=f"{number}-1")
        yield started


@pytest.fixture(scope="module")
def relay(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL under which the server is far away."""
    program = tmp_path_factory.mktemp("relay") / "relay"
    subprocess.run(["gcc", "-O2", *WARNINGS, RELAY, "-o", program], check=True)
    pipe = subprocess.PIPE
    command = [program, server.socket_path, str(RELAY_MS)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield f"redis://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        process.stdin.close()


def connections(server: Server) -> int:
    with server.client() as db:
        return int(db.info("stats")["total_connections_received"])


@at_every_frequency
def test_calls_in_c(interval: int, server: Server, relay: str, tmp_path: Path) -> None:
    with server.client() as db:
        for group in ("slow", "g", "n"):
            db.xgroup_destroy("s", group)
        db.xgroup_create("s", "slow", id="0")
        db.xreadgroup("slow", "c", {"s": ">"}, count=ENTRIES)
    program = build(["gcc", "-std=c11"], INTERRUPTED, tmp_path / "interrupted")
    before = connections(server)
    command = [program, relay, "s", str(ENTRIES), str(interval)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.split() for line in ended.stdout.splitlines()]
    # The client's, which the other calls use again, and one for each of the three readers that
    # find it in use or have left theirs while an answer was awaited. Not one for each signal.
    assert connections(server) - before - 1 <= 5
    assert [line for line in lines if line[0] == "acknowledged"] == [
        ["acknowledged", str(ENTRIES)]
    ] * 2
    if interval == INTERVALS["100 Hz"]:
        calls = {line[0]: int(line[2]) for line in lines if line[0] != "acknowledged"}
        assert all(calls[name] > 1 for name in ("open", "last_id", "group", "ack", "iter_ack"))


PROGRAM = """
import signal, sys, redcol
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]), float(sys.argv[2]))
url, group = sys.argv[1], {"group": "g", "consumer": "c"}
frame = redcol.read_stream(url, "s", **group)
print(len(frame), redcol.ack_entries(url, "s", "g", frame))
print(redcol.scan_stream(url, "s").head(3).collect().height)
with redcol.iter_stream(url, "s", group="h", consumer="c", on_idle="stop") as batches:
    print(sum(batch.height for batch in batches), batches.ack())
print(redcol.write_stream(url, frame.select("n"), "copy").len())
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@at_every_frequency
def test_calls_in_python(interval: int, server: Server, relay: str) -> None:
    with server.client() as db:
        for group in ("g", "h"):
            db.xgroup_destroy("s", group)
        db.delete("copy")
    before = connections(server)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["ASAN_OPTIONS"] = "detect_leaks=0"  # CPython leaves some objects at its end
    command = [sys.executable, "-c", PROGRAM, relay, str(interval / 1_000_000)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == [str(number) for number in (2500, 2500, 3, 2500, 2500, 2500)]
    # Five clients, and another connection of an iterator that acknowledges beside itself.
    assert connections(server) - before - 1 <= 8


TIMED_OUT = """
#include <csignal>
#include <cstdio>
#include <sys/time.h>
#include "redcol.hpp"
int main(int, char **argv) {
  std::signal(SIGALRM, [](int) {});
  itimerval timer = {{0, 10000}, {0, 10000}};
  setitimer(ITIMER_REAL, &timer, nullptr);
  redcol::Error error;
  redcol::Client::open(argv[1], {{"connect_timeout_ms", "400"}}, error);
  std::printf("%s", error.message());
}
"""


def test_time_limits_go_on_in_cpp(tmp_path: Path) -> None:
    """A server that never answers ends the call when the time is over, and the message says so."""
    source = tmp_path / "timed_out.cpp"
    source.write_text(TIMED_OUT)
    program = build_cpp(["g++", "-std=c++17"], source, tmp_path / "timed_out")
    with FakeServer(silent) as fake:
        began = time.monotonic()
        ended = subprocess.run([program, fake.url], capture_output=True, text=True, timeout=99)
        assert 0.3 < time.monotonic() - began < 10
        assert "no answer within 400 ms" in ended.stdout
        assert len(fake.connections) == 1


NO_ANSWER = """
import signal, sys, redcol
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
try:
    redcol.connect(sys.argv[1], connect_timeout_ms=400)
except redcol.TimedOutError as error:
    print(error)
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_time_limits_go_on_in_python() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with FakeServer(silent) as fake:
        command = [sys.executable, "-c", NO_ANSWER, fake.url]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=99)
        assert "no answer within 400 ms" in ended.stdout
        assert len(fake.connections) == 1


GIVEN_UP = """
import signal, sys, time, redcol
class GivenUp(Exception): pass
def give_up(*_): raise GivenUp
signal.signal(signal.SIGALRM, give_up)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    redcol.connect(sys.argv[1], connect_timeout_ms=400)
except GivenUp:
    time.sleep(2.1)
began = time.monotonic()
try:
    redcol.connect(sys.argv[1], connect_timeout_ms=400)
except redcol.TimedOutError:
    print(time.monotonic() - began > 0.35)
"""


def test_a_call_that_was_given_up_long_ago() -> None:
    """The same call begins again then: what was asked before says nothing of now."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with FakeServer(silent) as fake:
        command = [sys.executable, "-c", GIVEN_UP, fake.url]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=99)
        assert (ended.stdout, ended.stderr) == ("True\n", "")
        assert len(fake.connections) == 2


def last_id(client: c_void_p, stream: bytes) -> tuple[int, int]:
    """The status, and the id's milliseconds."""
    milliseconds = c_uint64()
    status = call("redcol_last_id", client, stream, -1, byref(milliseconds), None)
    return status, milliseconds.value


def another_call(client: c_void_p) -> None:
    assert last_id(client, b"other") == (STATUSES["END"], 0)


def forgotten(client: c_void_p) -> None:
    _native.library().redcol_forget(client)


def nothing(_: c_void_p) -> None:
    pass


@pytest.mark.parametrize(
    ("meanwhile", "in_thread", "is_continued"),
    [
        (nothing, False, True),
        (nothing, True, False),
        (another_call, False, False),
        (forgotten, False, False),
    ],
)
def test_only_the_next_call_of_the_same_thread_continues(
    meanwhile: Callable[[c_void_p], None], in_thread: bool, is_continued: bool
) -> None:
    """The entry that is added after the server's answer tells a call that has begun anew."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    client = c_void_p()
    try:
        with Server() as own, own.client() as db, ThreadPoolExecutor(1) as pool:
            patient = words(timeout_ms=60_000, connect_timeout_ms=60_000)
            assert call("redcol_open", own.url.encode(), patient, byref(client)) == 0
            db.xadd("s", {"n": 1}, id="1-0")
            own.process.send_signal(signal.SIGSTOP)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert last_id(client, b"s") == (STATUSES["TIMEOUT"], 0)
            own.process.send_signal(signal.SIGCONT)
            # The server answers in the order in which it was asked, or the same answer lies there.
            db.ping()
            meanwhile(client)
            db.xadd("s", {"n": 2}, id="2-0")
            asked = pool.submit(last_id, client, b"s").result() if in_thread else None
            assert (asked or last_id(client, b"s")) == (0, 1 if is_continued else 2)
            free(client)
    finally:
        signal.signal(signal.SIGALRM, before)
