# SPDX-License-Identifier: Apache-2.0
"""What no program should do to the C interface, and what no system should: nothing crashes.

Run as a program, it runs out of something: descriptors URL, or memory URL
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from frames import Frame
from statuses import (
    FOLLOW,
    FUNCTIONS,
    GROUP,
    STATUSES,
    Reading,
    Writing,
    a_table,
    call,
    free,
    opening,
    released,
    words,
)

import arrow_structs
from redcol import _native
from servers import Server

#: Pointers that may be NULL, by function ("": any function that has one).
OPTIONAL = {
    "": {"error_out"},
    "redcol_open": {"options"},
    "redcol_open_with_credentials": {"options"},
    "redcol_credentials_new": {"user_data", "release"},
    "redcol_read_stream": {"schema", "options"},
    "redcol_read_streams": {"schema", "options", "stream_lengths"},
    "redcol_read_ranges": {"schema", "options", "stream_lengths", "pattern"},
    "redcol_subscribe": {
        *("schema", "options", "channel_lengths", "patterns", "pattern_lengths"),
    },
    "redcol_list_streams": {"stream_lengths", "pattern"},
    "redcol_list_groups": {"options", "stream_lengths", "pattern"},
    "redcol_list_consumers": {"group", "stream_lengths", "pattern"},
    "redcol_list_pending": {"options"},
    "redcol_partitions": {"options", "stream_lengths", "pattern"},
    "redcol_iter_next": {"schema_out"},
    "redcol_iter_ack": {"stream", "entry_ids", "acknowledged_out"},
    "redcol_iter_ack_start": {"stream", "entry_ids"},
    "redcol_iter_position": {"stream", "milliseconds_out", "sequence_out"},
    "redcol_iter_lag": {"lag_out"},
    "redcol_ack": {"acknowledged_out"},
    "redcol_last_id": {"milliseconds_out", "sequence_out"},
    "redcol_create_group": {"created_out"},
    "redcol_delete_group": {"deleted_out"},
    "redcol_seek_group": {"milliseconds_out", "sequence_out"},
    "redcol_delete_consumer": {"pending_out"},
    "redcol_release_entries": {"released_out"},
    "redcol_claim_entries": {"entry_ids", "schema"},
    "redcol_trim_stream": {"min_id", "deleted_out"},
    "redcol_delete_entries": {"deleted_out"},
    "redcol_write_stream": {"options"},
    "redcol_write_hashes": {"options"},
    "redcol_write_messages": {"options"},
    "redcol_writer_ids": {"schema_out"},
    "redcol_table_stream": {"requested_schema"},
    "redcol_table_schema": {"requested_schema"},
}


#: There is no group "g" when they are called.
WITHOUT_GROUP = {"redcol_ack", "redcol_seek_group", "redcol_delete_consumer",
                 "redcol_release_entries", "redcol_list_consumers",
                 "redcol_list_pending"}  # fmt: skip
#: Parameters that are no pointers, besides lengths.
NUMBERS = {
    "wait_ms",
    "stream_count",
    "channel_count",
    "pattern_count",
    "create_stream",
    "force",
    "maxlen",
    "approximate",
}


def test_null_for_every_pointer() -> None:
    library = _native.library()
    tried = 0
    with Server() as server, server.client() as db, a_table() as table:
        db.xadd("s", {"a": 1})
        client, credentials = c_void_p(), c_void_p()
        # No call may fail because the machine is busy.
        patient = words(timeout_ms=60_000, connect_timeout_ms=60_000)
        assert call("redcol_open", server.url.encode(), patient, byref(client)) == 0
        db.execute_command("ACL", "SETUSER", "app", "on", ">one", "~*", "+@all")
        ask = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p)(
            lambda request, _: call("redcol_credentials_set", request, b"app", -1, b"one", -1)
        )
        no_release = ctypes.CFUNCTYPE(None, c_void_p)(lambda _: None)
        pointers = ctypes.cast(ask, c_void_p), None, None
        assert call("redcol_credentials_new", *pointers, byref(credentials)) == 0
        for name, (_, parameters) in FUNCTIONS.items():
            if not parameters or parameters[-1] != "error_out":
                continue
            assert len(parameters) == len(_native.SIGNATURES[name][1])
            for missing in [None, *parameters]:
                if name == "redcol_credentials_set":
                    continue  # only inside a callback; see test_c_credentials.py
                if missing in NUMBERS or str(missing).endswith("_length"):
                    continue
                iterator, out, error = c_void_p(), c_void_p(), c_void_p()
                follows = name.endswith(("_unread", "_position", "_lag"))
                options = words(**(GROUP if "ack" in name else FOLLOW if follows else {}))
                start = (client, b"s", -1, None, options)
                assert call("redcol_read_stream", *start, byref(iterator)) == 0
                structs = arrow_structs.ArrowSchema(), arrow_structs.ArrowArray()
                # In a stream a column "_key" would be one that a reader has added.
                frame = Frame() if name == "redcol_write_hashes" else Frame(key_name=b"key")
                stream, of_writer = arrow_structs.ArrowArrayStream(), Frame(key_name=b"key")
                writer = c_void_p()
                start = (client, b"s", -1, byref(of_writer.stream), None)
                assert call("redcol_write_stream", *start, byref(writer)) == 0
                given: dict[str, Any] = {
                    "url": server.url.encode(),
                    "callback": ctypes.cast(ask, c_void_p),
                    "user_data": 1,
                    "release": ctypes.cast(no_release, c_void_p),
                    "credentials": credentials,
                    "text": b"value:l",
                    "options": words(),
                    "client": client,
                    "stream": b"s",
                    "channel": b"c",
                    "group": b"g",
                    "entry_ids": b"1-1",
                    "iter": iterator,
                    "writer": writer,
                    "frame": byref(frame.stream),
                    "pattern": None,
                    "channels": (c_char_p * 1)(b"s"),
                    "channel_count": 1,
                    "pattern_count": 0,
                    **dict.fromkeys(("patterns", "channel_lengths", "pattern_lengths")),
                    "streams": (c_char_p * 1)(b"s"),
                    "stream_lengths": (c_int64 * 1)(1),
                    "schema_out": byref(structs[0]),
                    "batch_out": byref(structs[1]),
                    "stream_out": byref(stream),
                    "table": table,
                    "error_out": byref(error),
                    **dict.fromkeys(("client_out", "iter_out", "table_out"), byref(out)),
                    "credentials_out": byref(out),
                    "writer_out": byref(out),
                    **dict.fromkeys(("acknowledged_out", "lag_out"), byref(c_int64())),
                    "consumer": b"c",
                    "start_id": b"0",
                    "min_id": None,
                    **dict.fromkeys(("created_out", "deleted_out"), byref(c_int64())),
                    **dict.fromkeys(("pending_out", "released_out"), byref(c_int64())),
                    **dict.fromkeys(("create_stream", "force", "approximate"), 1),
                    "maxlen": 1000,
                    "milliseconds_out": byref(c_uint64()),
                    "sequence_out": byref(c_uint64()),
                    "schema": None,
                    "stream_count": 1,
                    "requested_schema": None,
                    "wait_ms": 50,
                }
                if name == "redcol_claim_entries":
                    given["options"] = words(group="g", consumer="c", claim_idle_ms=0)
                if name == "redcol_read_streams":
                    given["options"] = words(**FOLLOW)
                elif name.startswith("redcol_list_"):
                    given["options"] = words()
                for parameter in parameters:
                    if parameter.endswith("_length"):
                        given[parameter] = -1
                arguments = [None if one == missing else given[one] for one in parameters]
                status = getattr(library, name)(*arguments)
                may_be = missing is None or missing in OPTIONAL[""] | OPTIONAL.get(name, set())
                fine = {0, STATUSES["TIMEOUT"]}
                fine |= {STATUSES["NO_GROUP"]} if name in WITHOUT_GROUP else set()
                # Nothing was handed over yet.
                fine |= {STATUSES["END"]} if name == "redcol_iter_position" else set()
                wanted = fine if may_be else {STATUSES["INVALID_ARGUMENT"]}
                assert status in wanted, (name, missing, status)
                assert missing == "error_out" or bool(error.value) == (status < 0)
                for handle in (out, error, iterator, writer):
                    free(handle)
                assert frame.unreleased == (missing == "frame" or "frame" not in parameters)
                assert of_writer.unreleased == 0
                for struct in (*structs, stream):
                    released(struct)
                tried += 1
        free(client)
        free(credentials)
    assert tried > 90
    # those without an error_out
    assert library.redcol_writer_statistic(None, None) == -1
    for name in ("redcol_iter_descriptor", "redcol_table_rows", "redcol_writer_descriptor"):
        assert call(name, None) == -1
    assert call("redcol_feature", None) == 0
    assert library.redcol_iter_statistic(None, None) == -1
    assert library.redcol_error_status(None) == 0
    assert library.redcol_error_message(None) == b""
    assert library.redcol_error_detail(None, None) is None
    assert library.redcol_capsule_schema_copy(None, None) == -1
    library.redcol_free(None)
    for kind in ("schema", "array", "stream", "handle"):
        getattr(library, f"redcol_capsule_{kind}_free")(None)


def test_memory() -> None:
    """Without a file descriptor left, and with too little memory for what is read."""
    with Server() as server, server.client() as db:
        for _ in range(40):
            db.xadd("s", {"a": b"x" * 5_000_000})
        for what in ("descriptors", "memory"):
            command = [sys.executable, __file__, what, server.url]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            ended = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=600
            )
            assert (ended.stdout, ended.stderr) == (f"{STATUSES['MEMORY']}\n", ""), what


def out_of(what: str, url: str) -> int:
    if what == "descriptors":
        assert opening(url) == 0
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1,) * 2)
        return opening(url)
    reading = Reading(url, timeout_ms=20_000)
    assert reading.start() == 0
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000,) * 2)
    status = reading.next()
    assert reading.next() == status
    reading.free()
    return status


class Allocated(ctypes.Structure):
    """struct mallinfo2 of <malloc.h>"""

    _fields_ = tuple((f"field_{number}", ctypes.c_size_t) for number in range(10))

    @property
    def bytes(self) -> int:
        return int(self.field_4 + self.field_7)  # mapped, and on the heap


def allocated() -> int:
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Allocated
    return int(mallinfo2().bytes)


def refused_reads(url: str) -> Iterator[Callable[[], int]]:
    for options in (
        {"start_id": "x"},
        {"start_id": "x", **FOLLOW},
        {"end_id": "x", **FOLLOW},
        {"group_start_id": "x", **GROUP},
        {"id_column": "_ts"},
        {"id_column": "_ts", **GROUP},
    ):
        reading = Reading(url, **options)
        yield from (reading.start, reading.start_several, reading.start_ranges)
        reading.free()
    closed = Reading(url)
    assert call("redcol_close", closed.client) == 0
    yield from (closed.start, closed.start_ranges)
    closed.free()


def refused_writes(url: str) -> Iterator[Callable[[], int]]:
    for writing in (Writing(url), Writing(url, id_column="none"), Writing(url, key_column="none")):

        def write(writing: Writing = writing) -> int:
            type_of_n = b"l" if writing.options else b"nonsense"
            writing.frame, writing.frames = Frame(n_format=type_of_n), []
            is_hash = "key_column" in writing.options
            return writing.start_hashes() if is_hash else writing.start()

        yield write
        writing.free()


def test_a_refused_call_leaves_no_memory() -> None:
    """Not only none of the objects that are counted."""
    with Server() as server:
        calls = itertools.chain(refused_reads(server.url), refused_writes(server.url))
        for number, refused in enumerate(calls):
            for _ in range(20):
                assert refused() < 0, number
            before = allocated()
            for _ in range(200):
                refused()
            assert allocated() - before < 200 * 16, number


def test_a_late_cancel_reaches_nobody_else() -> None:
    with Server() as server, server.client() as db:
        db.xadd("s", {"a": 1})
        reading = Reading(server.url)
        assert reading.start() == 0
        first, reading.iter = reading.iter, c_void_p()
        assert call("redcol_close", first) == 0
        assert reading.start() == 0
        assert call("redcol_cancel", first) == 0
        assert reading.next() == 0
        free(first)
        reading.free()


def test_a_caller_who_is_away_for_longer_than_the_timeout() -> None:
    """The answer came meanwhile: that is no silence of the server, and no connection is lost."""
    with Server() as server:
        reading = Reading(server.url, timeout_ms=200, **FOLLOW)
        assert reading.start() == 0
        assert reading.next(0) == STATUSES["TIMEOUT"]
        time.sleep(0.6)
        assert reading.next(200) == STATUSES["TIMEOUT"]
        assert _native.library().redcol_iter_statistic(reading.iter, b"empty_answers") > 0
        assert _native.library().redcol_iter_statistic(reading.iter, b"reconnects") == 0
        reading.free()


def test_collecting_in_pieces() -> None:
    """What was read before the time was over, or a cancel came, is in the table all the same."""
    with Server() as server, server.client() as db:
        for number in range(1000):
            db.xadd("s", {"n": number})
        reading = Reading(server.url, timeout_ms=20_000, batch_rows=10, page_rows=10)
        assert reading.start() == 0
        table = c_void_p()
        status, calls = STATUSES["TIMEOUT"], 0
        while status in (STATUSES["TIMEOUT"], STATUSES["CANCELLED"]):
            if calls % 3 == 0:
                call("redcol_cancel", reading.iter)
            status = call("redcol_iter_collect", reading.iter, calls % 2, byref(table))
            calls += 1
        assert (status, call("redcol_table_rows", table)) == (0, 1000)
        assert calls > 2
        free(table)
        # What redcol_iter_next has given is not in the table.
        assert reading.start_again() == reading.next() == 0
        assert call("redcol_iter_collect", reading.iter, -1, byref(table)) == 0
        assert call("redcol_table_rows", table) == 990
        free(table)
        reading.free()


def test_every_order_of_freeing() -> None:
    """Client, iterator, table, a stream of it and an array of that: each lives on by itself."""
    before = _native.live_objects()
    with Server() as server, server.client() as db:
        for number in range(100):
            db.xadd(
                "s", {"text": f"a text that is longer than a view, {number}"}, id=f"{number + 1}-1"
            )
        for order in itertools.permutations(range(5)):
            reading = Reading(server.url, timeout_ms=20_000, include_timestamp="false")
            assert reading.start() == 0
            table, stream = c_void_p(), arrow_structs.ArrowArrayStream()
            array = arrow_structs.ArrowArray()
            assert call("redcol_iter_collect", reading.iter, -1, byref(table)) == 0
            assert call("redcol_table_stream", table, None, byref(stream)) == 0
            assert stream.get_next(byref(stream), byref(array)) == 0
            steps: list[Callable[[], object]] = [
                lambda reading=reading: free(reading.client),
                lambda reading=reading: free(reading.iter),
                lambda table=table: free(table),
                lambda stream=stream: released(stream),
                lambda array=array: released(array),
            ]
            for step in order:
                if ctypes.cast(array.release, c_void_p).value:
                    column = array.children[1].contents
                    size = ctypes.cast(column.buffers[3], POINTER(c_int64))[0]
                    data = ctypes.string_at(column.buffers[2], size)
                    assert data.startswith(b"a text that is longer than a view, 0")
                    assert data.endswith(b"a text that is longer than a view, 99")
                thread = threading.Thread(target=steps[step])
                thread.start()
                thread.join()
            assert _native.live_objects() == before


def test_many_threads_misuse_one_iterator() -> None:
    """All calls at once: each is answered with one of its statuses, and nothing is lost."""
    with Server() as server, server.client() as db:
        for number in range(2000):
            db.xadd("s", {"n": number})
        reading = Reading(server.url, timeout_ms=20_000, batch_rows=10, page_rows=10)
        assert reading.start() == 0
        allowed = {STATUSES[one] for one in ("OK", "END", "TIMEOUT", "BUSY", "CANCELLED")}
        calls: list[Callable[[], int]] = [
            *[lambda: reading.next(1)] * 3,
            lambda: call("redcol_cancel", reading.iter),
            lambda: min(0, call("redcol_iter_descriptor", reading.iter)),
            lambda: min(0, _native.library().redcol_iter_statistic(reading.iter, b"delivered")),
        ]
        wrong: list[int] = []
        ends: list[int] = []

        def work(one: Callable[[], int]) -> None:
            while len(ends) < 3:
                status = one()
                if status not in allowed:
                    wrong.append(status)
                if status == STATUSES["END"]:
                    ends.append(status)

        threads = [threading.Thread(target=work, args=(one,)) for one in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert _native.library().redcol_iter_statistic(reading.iter, b"delivered") == 2000
        reading.free()


if __name__ == "__main__":
    print(out_of(*sys.argv[1:]))
