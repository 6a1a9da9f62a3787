# SPDX-License-Identifier: Apache-2.0
"""redcol_iter_ack_start: acknowledging without a wait, with the iterator's own requests."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from ctypes import byref, c_int64

import pytest
from statuses import GROUP, STATUSES, Reading, call

from redcol import _native
from servers import FakeServer, Server

TIMEOUT, END = STATUSES["TIMEOUT"], STATUSES["END"]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = _native.live_objects()
    yield
    assert _native.live_objects() == before


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started, started.client() as db:
        for number in range(1, 101):
            db.xadd("s", {"n": number}, id=f"{number}-1")
        yield started


@pytest.fixture
def reading(server: Server) -> Iterator[Reading]:
    made = member(server)
    yield made
    made.free()


def member(server: Server, **options: object) -> Reading:
    made = Reading(server.url, timeout_ms=20_000, **{**GROUP, "batch_rows": 10, **options})
    assert made.start() == 0
    return made


def ack(reading: Reading, ids: bytes | None = None, stream: bytes | None = None) -> int:
    return call("redcol_iter_ack_start", reading.iter, stream, -1, ids, -1)


def statistic(reading: Reading, name: bytes) -> int:
    return int(_native.library().redcol_iter_statistic(reading.iter, name))


def pending(server: Server) -> int:
    with server.client() as db:
        return int(db.xpending("s", "g")["pending"])


def drain(reading: Reading) -> None:
    """All that can be done until the server has answered what it was told."""
    deadline = time.monotonic() + 60
    while statistic(reading, b"acknowledging") > 0:
        assert reading.next(50) in (0, TIMEOUT, END)
        assert time.monotonic() < deadline


def test_it_goes_with_the_next_request(server: Server, reading: Reading) -> None:
    for batch in range(1, 11):
        assert reading.next() == 0
        os.kill(server.process.pid, signal.SIGSTOP)  # so that a call that waits would
        assert ack(reading) == 0
        assert statistic(reading, b"acknowledging") >= 10
        os.kill(server.process.pid, signal.SIGCONT)
        assert statistic(reading, b"delivered") == 10 * batch
    drain(reading)
    assert statistic(reading, b"acknowledged") == 100
    assert pending(server) == 0


def test_an_event_loop_hears_of_the_answers(server: Server, reading: Reading) -> None:
    """Nothing but the descriptor tells when to call: no call waits, and all is answered."""
    descriptor = call("redcol_iter_descriptor", reading.iter)
    calls = 0
    while statistic(reading, b"acknowledged") < 100:
        calls += 1
        status = reading.next(0)
        if status == 0:
            assert ack(reading) == 0
        else:
            assert status == TIMEOUT
            assert select.select([descriptor], [], [], 10)[0]
    assert statistic(reading, b"acknowledging") == pending(server) == 0
    assert calls < 200


def test_only_these_ids(server: Server, reading: Reading) -> None:
    assert reading.next() == 0
    assert ack(reading, b"1-1 3-1\n5-1") == 0
    assert ack(reading, b"1-1", b"s") == 0, "twice does no harm"
    assert ack(reading, b"") == 0
    drain(reading)
    assert statistic(reading, b"acknowledged") == 3
    with server.client() as db:
        left = db.xpending_range("s", "g", "-", "+", 100, "c")
        assert [one["message_id"] for one in left][:7] == [
            f"{number}-1".encode() for number in (2, 4, 6, 7, 8, 9, 10)
        ]
    count = c_int64()
    rest = (reading.iter, None, -1, None, -1, byref(count))
    assert call("redcol_iter_ack", *rest) == 0
    assert count.value == statistic(reading, b"delivered") - 3


def test_what_is_refused(server: Server, reading: Reading) -> None:
    invalid = STATUSES["INVALID_ARGUMENT"]
    assert reading.next() == 0
    assert ack(reading, b"1-1 nonsense") == invalid
    assert ack(reading, b"1-1", b"other") == invalid, "no stream of its own"
    assert statistic(reading, b"acknowledging") == 0
    with Server() as other:
        without_group = Reading(other.url)
        assert without_group.start() == 0
        assert ack(without_group) == ack(without_group, b"1-1") == invalid
        assert statistic(without_group, b"acknowledging") == 0
        without_group.free()


def test_the_end_comes_after_the_answers(server: Server) -> None:
    reading = member(server, count=20)
    for _ in range(2):
        assert reading.next() == 0
        assert ack(reading) == 0
    assert reading.next() == END
    assert (pending(server), statistic(reading, b"acknowledging")) == (0, 0)
    reading.free()


@pytest.mark.parametrize("follow", ["true", "false"])
def test_after_the_end(server: Server, follow: str) -> None:
    """A batch that the caller was not done with when the end came."""
    reading = member(server, count=20, follow=follow)
    while reading.next() == 0:
        pass
    assert pending(server) == 20
    assert ack(reading, b"1-1 2-1") == 0
    assert reading.next() == END
    assert (pending(server), statistic(reading, b"acknowledged")) == (18, 2)
    with server.client() as db:  # also over a connection that is lost
        db.client_kill_filter(_type="normal", skipme=True)
    assert ack(reading) == 0
    assert reading.next() == END
    assert (pending(server), statistic(reading, b"acknowledged")) == (0, 20)
    assert reading.next() == END
    reading.free()


def test_a_read_that_takes_what_is_there(server: Server) -> None:
    reading = member(server, follow="false")
    rows = 0
    while reading.next() == 0:
        assert ack(reading) == 0
        rows += 1
    assert (rows, pending(server)) == (10, 0)
    assert statistic(reading, b"acknowledged") == 100
    reading.free()


def test_a_lost_connection(server: Server, reading: Reading) -> None:
    """What was sent and has no answer is sent again, and comes no second time."""
    for _ in range(10):
        assert reading.next() == 0
        assert ack(reading) == 0
        with server.client() as db:
            db.client_kill_filter(_type="normal", skipme=True)
    drain(reading)
    assert pending(server) == 0
    assert statistic(reading, b"delivered") == 100
    assert statistic(reading, b"reconnects") > 0


def test_an_error_is_given_by_a_later_call() -> None:
    entries = b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n"
    asked: list[bytes] = []

    def answer(command: list[bytes]) -> bytes:
        asked.append(command[0])
        if command[0] == b"XREADGROUP":
            return entries if command[-1] == b">" and asked.count(b"XACK") == 0 else b"*-1\r\n"
        return b"-NOPERM no XACK for you\r\n" if command[0] == b"XACK" else b"+OK\r\n"

    with FakeServer(answer) as server:
        reading = Reading(server.url, **GROUP)
        assert reading.start() == 0
        assert reading.next() == 0
        assert b"XACK" not in asked
        assert ack(reading) == 0
        status = TIMEOUT
        while status == TIMEOUT:
            status = reading.next(500)
        assert status == STATUSES["PERMISSION"]
        reading.free()


def test_closed(server: Server, reading: Reading) -> None:
    assert reading.next() == 0
    assert call("redcol_close", reading.iter) == 0
    assert ack(reading) == ack(reading, b"1-1") == STATUSES["CLOSED"]
    assert call("redcol_iter_ack", reading.iter, None, -1, None, -1, None) == 0
    assert pending(server) == 0


def test_what_was_noted_is_not_taken_back(server: Server, reading: Reading) -> None:
    assert reading.next() == 0
    assert ack(reading, b"1-1 2-1 3-1") == 0
    assert call("redcol_iter_unread", reading.iter) == 0
    assert statistic(reading, b"delivered") == 3
    array_rows = 0
    while array_rows < 97:
        assert reading.next() == 0
        array_rows = statistic(reading, b"delivered") - 3
        assert ack(reading) == 0
    drain(reading)
    assert (pending(server), statistic(reading, b"delivered")) == (0, 100)


def test_from_another_thread(server: Server, reading: Reading) -> None:
    """One thread takes batches, another acknowledges them, entry by entry."""
    done = threading.Event()
    wrong: list[int] = []

    def work() -> None:
        while not done.is_set():
            wrong.extend(status for status in [ack(reading)] if status)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(10):
        assert reading.next() == 0
    done.set()
    thread.join()
    assert ack(reading) == 0
    drain(reading)
    assert (wrong, pending(server)) == ([], 0)
    assert statistic(reading, b"acknowledged") == 100


def test_a_forked_child(server: Server, reading: Reading) -> None:
    assert reading.next() == 0
    child = os.fork()
    if child == 0:
        os._exit(0 if ack(reading) == STATUSES["FORKED"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ack(reading) == 0
    drain(reading)
    assert statistic(reading, b"acknowledged") == 10
    assert pending(server) == statistic(reading, b"delivered") - 10
