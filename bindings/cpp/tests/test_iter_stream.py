# SPDX-License-Identifier: Apache-2.0
"""redcol_iter_stream: an iterator's batches as an Arrow stream, taken by pyarrow."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from ctypes import addressof, byref, c_char_p, c_void_p

import pyarrow as pa
import pytest
from statuses import FOLLOW, GROUP, STATUSES, Reading, call, free, released

import arrow_structs
from redcol import _native
from servers import FakeServer, Server

GET_SCHEMA = ctypes.CFUNCTYPE(ctypes.c_int, c_void_p, c_void_p)
LAST_ERROR = ctypes.CFUNCTYPE(c_char_p, c_void_p)


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


def stream_of(reading: Reading) -> arrow_structs.ArrowArrayStream:
    stream = arrow_structs.ArrowArrayStream()
    assert call("redcol_iter_stream", reading.iter, byref(stream)) == 0
    return stream


def started(server: Server | FakeServer, text: str | None = None, **options: object) -> Reading:
    reading = Reading(server.url, timeout_ms=20_000, **options)
    schema = arrow_structs.ArrowSchema()
    if text is not None:
        assert call("redcol_schema_new", text.encode(), byref(schema)) == 0
    assert reading.start(byref(schema) if text is not None else None) == 0
    released(schema)
    return reading


class Outcome:
    """What a callback of a stream gave: an errno value, its message, the rows or the columns."""

    def __init__(self, stream: arrow_structs.ArrowArrayStream, *, schema: bool = False) -> None:
        out = arrow_structs.ArrowSchema() if schema else arrow_structs.ArrowArray()
        get = GET_SCHEMA(stream.get_schema) if schema else stream.get_next
        self.error = int(get(addressof(stream) if schema else byref(stream), byref(out)))
        said = LAST_ERROR(stream.get_last_error)(addressof(stream))
        self.message = (said or b"").decode()
        assert bool(self.message) == bool(self.error)
        self.rows = 0 if schema else int(out.length)
        self.columns = (
            [out.children[i].contents.name.decode() for i in range(out.n_children)]
            if schema
            else []
        )
        self.is_end = not released(out)


def test_pyarrow_reads_it_batch_by_batch(server: Server) -> None:
    for text in ("n:l", None):
        reading = started(server, text, batch_rows=30, include_timestamp="false")
        stream = stream_of(reading)
        with pa.RecordBatchReader._import_from_c(addressof(stream)) as reader:
            batches = list(reader)
        assert [len(batch) for batch in batches] == [30, 30, 30, 10]
        values = pa.Table.from_batches(batches).column("n").to_pylist()
        assert values == [number if text else str(number) for number in range(1, 101)]
        assert reading.next() == STATUSES["END"]
        reading.free()


def test_one_batch_is_in_memory_at_a_time(server: Server) -> None:
    """Released by the consumer, a batch is gone: the library has none of its own."""
    reading = started(server, "n:l", batch_rows=10)
    stream = stream_of(reading)
    alive = []
    while not (outcome := Outcome(stream)).is_end:
        assert (outcome.error, outcome.rows) == (0, 10)
        alive.append(_native.live_objects())
    assert len(alive) == 10
    assert len(set(alive)) == 1
    assert Outcome(stream).is_end, "the end stays"
    released(stream)
    reading.free()


def test_with_a_schema_the_columns_are_known_before_anything_is_read(server: Server) -> None:
    reading = started(server, "n:l,other:u,at:tsm:UTC,color:I{vu}")
    os.kill(server.process.pid, signal.SIGSTOP)
    stream = stream_of(reading)
    columns = Outcome(stream, schema=True).columns
    os.kill(server.process.pid, signal.SIGCONT)
    assert columns == ["_id", "_ts", "n", "other", "at", "color"]
    taken = pa.RecordBatchReader._import_from_c(addressof(stream))
    table = taken.read_all()
    assert table.schema.names == columns, "pyarrow would refuse batches of another schema"
    assert table.column("n").to_pylist() == list(range(1, 101))
    taken.close()
    reading.free()


@pytest.mark.parametrize("text", ["n:l", None])
def test_an_empty_stream_has_columns_and_no_batch(server: Server, text: str | None) -> None:
    reading = Reading(server.url)
    reading.stream = b"missing"
    assert reading.start() == 0
    stream = stream_of(reading)
    assert Outcome(stream, schema=True).columns == ["_id", "_ts"]
    assert Outcome(stream).is_end
    released(stream)
    reading.free()
    none = started(server, text, **FOLLOW, count=0)
    stream = stream_of(none)
    assert len(Outcome(stream, schema=True).columns) == (3 if text else 0)
    assert Outcome(stream).is_end
    released(stream)
    none.free()


def test_a_column_that_is_found_late_is_an_error_that_names_it(server: Server) -> None:
    server.client().xadd("s", {"n": 1, "late": 2}, id="101-1")
    reading = started(server, batch_rows=60)
    stream = stream_of(reading)
    assert Outcome(stream, schema=True).columns == ["_id", "_ts", "n"]
    assert Outcome(stream).rows == 60
    for _ in range(2):  # and comes again
        late = Outcome(stream)
        assert (late.error, late.rows) == (errno.EINVAL, 0)
        assert '"late"' in late.message
        assert "redcol_iter_collect" in late.message
    released(stream)
    reading.free()


def test_a_column_that_becomes_one_of_bytes_is_an_error_that_names_it(server: Server) -> None:
    server.client().xadd("s", {"n": b"\xff"}, id="101-1")
    for layout in ("view", "large", "string"):
        reading = started(server, batch_rows=60, discover="auto", string_layout=layout)
        stream = stream_of(reading)
        assert Outcome(stream, schema=True).columns == ["_id", "_ts", "n"]
        assert Outcome(stream).rows == 60
        late = Outcome(stream)
        assert (late.error, late.rows) == (errno.EINVAL, 0)
        assert '"n"' in late.message
        released(stream)
        reading.free()


def test_a_read_without_an_end_is_refused(server: Server) -> None:
    for options, is_fine in [
        (FOLLOW, False),
        ({**FOLLOW, "count": "5"}, True),
        ({**FOLLOW, "end_id": "50-1"}, True),
        ({"block_ms": "10"}, True),
        (GROUP, False),
        ({**GROUP, "count": "5"}, True),
        ({**GROUP, "count": "5", "auto_ack": "true"}, False),
        ({"group": "g", "consumer": "c", "auto_ack": "true"}, False),
        ({"group": "g", "consumer": "c"}, True),
    ]:
        reading = started(server, **options)
        wanted = 0 if is_fine else STATUSES["INVALID_ARGUMENT"]
        assert reading.stream_of() == wanted, options
        reading.free()


def test_a_groups_batches_are_acknowledged_when_the_consumer_is_done(server: Server) -> None:
    reading = started(server, "n:l", **GROUP, count=40, batch_rows=10)
    stream = stream_of(reading)
    with pa.RecordBatchReader._import_from_c(addressof(stream)) as reader:
        assert sum(len(batch) for batch in reader) == 40
    with server.client() as db:
        assert db.xpending("s", "g")["pending"] == 40
        assert call("redcol_iter_ack", reading.iter, None, -1, None, -1, None) == 0
        assert db.xpending("s", "g")["pending"] == 0
    reading.free()


def test_errors_are_told(server: Server) -> None:
    server.client().xadd("s", {"n": "seven"}, id="101-1")
    server.client().set("text", "no stream")
    reading = started(server, "n:l", batch_rows=100)
    stream = stream_of(reading)
    assert Outcome(stream).rows == 100
    wrong = Outcome(stream)
    assert (wrong.error, Outcome(stream).message) == (errno.EINVAL, wrong.message)
    assert "101-1" in wrong.message
    assert "seven" in wrong.message
    assert call("redcol_close", reading.iter) == 0
    assert Outcome(stream).error == errno.EIO, "closed"
    released(stream)
    reading.free()
    reading = Reading(server.url)
    reading.stream = b"text"
    assert reading.start() == 0
    stream = stream_of(reading)
    assert "WRONGTYPE" in Outcome(stream, schema=True).message
    released(stream)
    reading.free()


def test_cancel_ends_the_wait_and_signals_do_not(server: Server) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    reading = started(server, "n:l", **FOLLOW, count=1000)
    stream = stream_of(reading)
    try:
        assert Outcome(stream).rows == 100
        main = threading.main_thread().ident or 0
        for _ in range(3):
            signals = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1))
            cancel = threading.Timer(0.3, call, ("redcol_cancel", reading.iter))
            signals.start()
            cancel.start()
            assert Outcome(stream).error == errno.ECANCELED
            signals.join()
            cancel.join()
        server.client().xadd("s", {"n": 1}, id="101-1")
        assert Outcome(stream).rows == 1, "it goes on"
    finally:
        signal.signal(signal.SIGUSR1, before)
    released(stream)
    reading.free()


def test_while_another_thread_is_inside(server: Server) -> None:
    reading = started(server, "n:l", **FOLLOW, count=1000)
    stream = stream_of(reading)
    assert Outcome(stream).rows == 100
    thread = threading.Thread(target=reading.next, args=(20_000,))
    thread.start()
    error = errno.ECANCELED
    while error == errno.ECANCELED:  # until the thread has its turn
        cancel = threading.Timer(0.2, call, ("redcol_cancel", reading.iter))
        cancel.start()
        error = Outcome(stream).error
        cancel.cancel()
        cancel.join()
    assert error == errno.EBUSY
    server.client().xadd("s", {"n": 1}, id="101-1")
    thread.join()
    server.client().xadd("s", {"n": 2}, id="102-1")
    assert Outcome(stream).rows == 1, "it goes on"
    released(stream)
    reading.free()


def test_a_batch_that_next_takes_is_not_in_the_stream(server: Server) -> None:
    reading = started(server, "n:l", batch_rows=30)
    stream = stream_of(reading)
    assert Outcome(stream).rows == 30
    assert reading.next() == 0
    assert [Outcome(stream).rows for _ in range(3)] == [30, 10, 0]
    second = stream_of(reading)
    assert Outcome(second).is_end
    released(second)
    released(stream)
    reading.free()


def test_every_order_of_freeing(server: Server) -> None:
    """Client, iterator, stream, a batch of it and a schema: each lives on by itself."""
    before = _native.live_objects()
    for text, order in itertools.product(("n:l", None), itertools.permutations(range(5))):
        reading = started(server, text, batch_rows=30)
        stream, array = stream_of(reading), arrow_structs.ArrowArray()
        schema = arrow_structs.ArrowSchema()
        assert GET_SCHEMA(stream.get_schema)(addressof(stream), byref(schema)) == 0
        assert stream.get_next(byref(stream), byref(array)) == 0
        steps: list[Callable[[], object]] = [
            lambda reading=reading: free(reading.client),
            lambda reading=reading: free(reading.iter),
            lambda stream=stream: released(stream),
            lambda array=array: released(array),
            lambda schema=schema: released(schema),
        ]
        for step in order:
            if ctypes.cast(stream.release, c_void_p).value:
                assert Outcome(stream).rows in (30, 10, 0)
            thread = threading.Thread(target=steps[step])
            thread.start()
            thread.join()
        assert _native.live_objects() == before


def test_a_forked_child_may_release_it_and_no_more(server: Server) -> None:
    reading = started(server, "n:l", batch_rows=30)
    stream = stream_of(reading)
    assert Outcome(stream).rows == 30
    child = os.fork()
    if child == 0:
        code = 1
        try:
            outcome = Outcome(stream)
            if outcome.error == errno.EIO and "fork" in outcome.message:
                code = 0
            released(stream)
            reading.free()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [Outcome(stream).rows for _ in range(4)] == [30, 30, 10, 0]
    released(stream)
    reading.free()
