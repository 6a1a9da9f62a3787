# SPDX-License-Identifier: Apache-2.0
"""What no program should do to a writer: wrong arguments, many threads, every order of freeing."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from ctypes import byref, c_void_p

import pytest
from frames import Frame
from statuses import CALLS, STATUSES, Writing, call, free, prepared, released
from write_cases import GOING_ON, STARTING, prepared_writer

import arrow_structs
from redcol import _native
from servers import Server

INVALID = STATUSES["INVALID_ARGUMENT"]
MANY = [[(row, f"k{row}") for row in range(first, first + 100)] for first in range(0, 3000, 100)]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = _native.live_objects()
    yield
    assert _native.live_objects() == before


@pytest.mark.parametrize("function", STARTING)
def test_what_cannot_be_started(function: str) -> None:
    columns = {"redcol_write_hashes": "key_column", "redcol_write_messages": "channel_column"}
    column = columns.get(function, "id_column")
    for options in ({"nonsense": 1}, {column: "none"}):
        with Server() as server, prepared(function, server.url, **options) as writing:
            assert CALLS[function][0](writing) == INVALID
    with Server() as server, prepared(function, server.url) as writing:
        assert CALLS[function][0](writing) == 0
        assert CALLS[function][0](writing) == INVALID, "its frame was moved before"
        with prepared_writer() as other:
            kept, writing.client, writing.frame = writing.client, other.writer, Frame()
            assert CALLS[function][0](writing) == INVALID, "a writer is no client"
            writing.client = kept
            assert other.run() == 0
        names = (ctypes.c_char_p * 2)(b"key_column", None)
        frame = Frame()
        stream = () if function == "redcol_write_hashes" else (b"s", -1)
        given = (writing.client, *stream, byref(frame.stream), names)
        assert call(function, *given, byref(c_void_p())) == INVALID, "an option without a value"
        assert frame.unreleased == 0


def test_a_time_that_is_none_and_a_kind_that_is_another() -> None:
    for options in ({}, {"if_exists": "append"}):
        with prepared_writer(**options) as writing:
            assert (writing.ids() == INVALID) == bool(options), "hashes have no ids"
            own = writing.writer
            for handle in (writing.client, c_void_p()):
                writing.writer = handle
                for one in (writing.run, writing.stop, writing.ids):
                    assert one() == INVALID
                assert writing.statistic("written") == -1
            writing.writer = own
            for function in GOING_ON:
                assert call(function, own, -2) == INVALID
            assert writing.statistic("nonsense") == -1
            array = arrow_structs.ArrowArray()
            assert call("redcol_iter_next", own, 0, None, byref(array)) == INVALID
            assert call("redcol_ack", own, b"s", -1, b"g", -1, b"1-1", -1, None) == INVALID
            assert writing.run() == 0, "it goes on after all of that"


def test_every_order_of_freeing() -> None:
    """Client, writer, ids and their schema, of a write that is done or has answers to come."""
    with Server() as server:
        for is_done, order in itertools.product((True, False), itertools.permutations(range(4))):
            before = _native.live_objects()
            writing = Writing(server.url, timeout_ms=20_000)
            writing.frame = Frame(MANY[:3])
            assert writing.start() == 0
            assert writing.run(-1 if is_done else 0) == (0 if is_done else STATUSES["TIMEOUT"])
            array, schema = arrow_structs.ArrowArray(), arrow_structs.ArrowSchema()
            assert call("redcol_writer_ids", writing.writer, byref(schema), byref(array)) == 0
            assert array.length == (300 if is_done else 0)
            steps: list[Callable[[], object]] = [
                lambda writing=writing: free(writing.client),
                lambda writing=writing: free(writing.writer),
                lambda array=array: released(array),
                lambda schema=schema: released(schema),
            ]
            for step in order:
                if ctypes.cast(array.release, c_void_p).value and is_done:
                    views = ctypes.string_at(array.children[0].contents.buffers[1], 16)
                    assert int.from_bytes(views[:4], "little") > 12
                thread = threading.Thread(target=steps[step])
                thread.start()
                thread.join()
            assert _native.live_objects() == before
            assert writing.frame.unreleased == 0


def test_many_threads_misuse_one_writer() -> None:
    """All calls at once: each has one of its statuses, each row is written and told once."""
    with prepared_writer(Frame(MANY)) as writing:
        allowed = {STATUSES[one] for one in ("OK", "TIMEOUT", "BUSY", "CANCELLED")}
        wrong: list[int] = []
        told: list[int] = []
        done: list[int] = []

        def run() -> int:
            status = writing.run(0)
            if status == 0:
                done.append(status)
            return status

        def ids() -> int:
            status, rows = writing.taken_ids()
            if status == 0:
                told.append(rows)
            return status

        def statistic() -> int:
            return 0 if -1 <= writing.statistic("known") <= 3000 else -99

        def work(one: Callable[[], int]) -> None:
            while not done:
                status = one()
                if status not in allowed:
                    wrong.append(status)

        calls = [run, run, run, ids, ids, statistic, lambda: call("redcol_cancel", writing.writer)]
        threads = [threading.Thread(target=work, args=(one,)) for one in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids()
        assert not wrong
        assert sum(told) == 3000
        assert writing.statistic("written") == writing.statistic("known") == 3000


def test_a_frame_that_calls_its_own_writer() -> None:
    """The frame is asked inside a call: others are refused, and the write goes on."""
    found: list[int] = []

    def meanwhile() -> None:
        for one in (writing.run, writing.stop_now, writing.ids):
            found.append(one())
        found.append(call("redcol_close", writing.writer))
        found.append(call("redcol_cancel", writing.client))

    frame = Frame(meanwhile=meanwhile)
    with prepared_writer(frame) as writing:
        status = writing.run()
        while status == STATUSES["CANCELLED"]:  # by closing
            status = writing.run()
        assert status == 0
        assert set(found) == {0, STATUSES["BUSY"]}
        assert found.count(0) * 4 == found.count(STATUSES["BUSY"])
        assert writing.statistic("written") == 1


def test_a_late_cancel_reaches_nobody_else() -> None:
    with Server() as server:
        writing = Writing(server.url, timeout_ms=20_000)
        assert writing.start() == writing.run() == 0
        first, writing.writer, writing.frame = writing.writer, c_void_p(), Frame()
        assert call("redcol_close", first) == 0
        assert writing.start() == 0
        assert call("redcol_cancel", first) == 0
        os.kill(server.process.pid, signal.SIGSTOP)
        assert writing.run(50) == STATUSES["TIMEOUT"]
        os.kill(server.process.pid, signal.SIGCONT)
        assert writing.run() == 0
        free(first)
        writing.free()


def test_writing_without_a_wait() -> None:
    """Each call does what can be done, and an answer that came while nobody asked is no silence."""
    with Server() as server:
        writing = Writing(server.url, timeout_ms=200)
        writing.frame = Frame(MANY)
        assert writing.start() == 0
        assert writing.run(0) == STATUSES["TIMEOUT"]
        time.sleep(0.5)
        deadline = time.monotonic() + 60
        while (status := writing.run(0)) == STATUSES["TIMEOUT"]:
            assert time.monotonic() < deadline
        assert (status, writing.statistic("written")) == (0, 3000)
        writing.frame = Frame()
        assert writing.start() == 0
        os.kill(server.process.pid, signal.SIGSTOP)
        while (status := writing.run(0)) == STATUSES["TIMEOUT"]:
            assert time.monotonic() < deadline
        assert status == STATUSES["TIMED_OUT"]
        assert writing.statistic("unknown") == 1
        os.kill(server.process.pid, signal.SIGCONT)
        writing.free()


def test_what_is_known_after_close_and_stop() -> None:
    """Rows that were sent and have no answer are unknown, also of a writer that is closed."""
    with Server() as server:
        for function in ("redcol_close", "redcol_writer_stop"):
            writing = Writing(server.url, timeout_ms=20_000)
            writing.frame = Frame(MANY[:2])
            assert writing.start() == 0
            os.kill(server.process.pid, signal.SIGSTOP)
            assert writing.run(50) == STATUSES["TIMEOUT"]
            names = ("written", "refused", "empty", "known", "unknown")
            assert [writing.statistic(name) for name in names] == [0, 0, 0, 0, 200]
            if function == "redcol_close":
                assert call("redcol_close", writing.writer) == 0
                assert [writing.statistic(name) for name in names] == [0, 0, 0, 0, 200]
                assert writing.taken_ids() == (0, 0)
                os.kill(server.process.pid, signal.SIGCONT)
                assert writing.stop_now() == writing.run() == STATUSES["CLOSED"]
            else:
                assert writing.stop_now(0) == STATUSES["TIMEOUT"]
                os.kill(server.process.pid, signal.SIGCONT)
                assert writing.stop_now() == 0
                assert writing.run() == STATUSES["CLOSED"]
                assert [writing.statistic(name) for name in names] == [200, 0, 0, 200, 0]
                assert writing.taken_ids() == (0, 200)
            writing.free()
        with prepared_writer() as writing:
            assert writing.run() == writing.stop_now() == writing.run() == 0, "all was written"


def test_a_signal_ends_a_call() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    main = threading.main_thread().ident or 0
    with Server() as server:
        writing = Writing(server.url, timeout_ms=20_000)
        assert writing.start() == 0
        os.kill(server.process.pid, signal.SIGSTOP)
        for one in (writing.run, writing.stop_now):
            timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGUSR1))
            timer.start()
            assert one() == STATUSES["TIMEOUT"]
            timer.join()
        os.kill(server.process.pid, signal.SIGCONT)
        assert writing.stop_now() == 0
        assert writing.statistic("written") == 1
        writing.free()
    signal.signal(signal.SIGUSR1, before)
