# SPDX-License-Identifier: Apache-2.0
"""What redcol.h documents, function by function, and the calls on real objects to try it with."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from collections.abc import Callable, Iterator
from ctypes import byref, c_char_p, c_int64, c_uint64, c_void_p
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "bindings/python/tests"))

from frames import Frame  # noqa: E402

import arrow_structs  # noqa: E402
from redcol import _native  # noqa: E402
from servers import Server  # noqa: E402

HEADER = (ROOT / "include/redcol.h").read_text()
STATUSES = {
    name: int(number)
    for name, number in re.findall(r"REDCOL_(?:ERROR_)?([A-Z_]+) = (-?\d+)", HEADER)
}


def functions() -> Iterator[tuple[str, str, list[str]]]:
    """Each function of the header: its name, the comment before it, its parameters."""
    found = re.finditer(
        r"/\*((?:(?!\*/).)*)\*/\n((?:[a-z][\w *]*?\bredcol_\w+\([^;]*\);\n)+)", HEADER, re.DOTALL
    )
    for match in found:
        comment = re.sub(r"\n \* ?", "\n", match[1])
        for name, parameters in re.findall(r"\b(redcol_\w+)\(([^;]*)\);", match[2]):
            names = [one.split()[-1].lstrip("*") for one in parameters.split(",")]
            yield name, comment, names


FUNCTIONS = {name: (comment, parameters) for name, comment, parameters in functions()}


def documented() -> set[tuple[str, str]]:
    pairs = set()
    for name, (comment, _) in FUNCTIONS.items():
        listed = re.search(r"^Errors: (.*?)\.(?:\s|$)", comment, re.DOTALL | re.MULTILINE)
        plain = re.sub(r"\([^)]*\)", "", listed[1]) if listed else ""
        words = set(re.findall(r"\b[A-Z][A-Z_]+\b", plain))
        words |= set(re.findall(r"\bREDCOL_(END|TIMEOUT)\b", comment)) if listed else set()
        assert words <= set(STATUSES), (name, words - set(STATUSES))
        pairs |= {(name, word) for word in words}
    return pairs


# -- Calls


def call(name: str, *arguments: Any) -> int:
    """Call a function; with an error_out, what goes in there is looked at and freed."""
    library = _native.library()
    function = getattr(library, name)
    if FUNCTIONS[name][1][-1] != "error_out":
        return int(function(*arguments))
    error = c_void_p(0x10)
    status = int(function(*arguments, byref(error)))
    assert bool(error.value) == (status < 0), "an error object exactly with an error"
    assert library.redcol_error_status(error) == min(status, 0)
    assert bool(library.redcol_error_message(error)) == (status < 0)
    library.redcol_free(error)
    return status


def released(struct: Any) -> bool:
    """Release a struct of Arrow; whether there was something to release."""
    callback = ctypes.cast(struct.release, c_void_p).value
    if callback:
        ctypes.CFUNCTYPE(None, c_void_p)(callback)(ctypes.addressof(struct))
    return bool(callback)


def free(handle: c_void_p) -> None:
    _native.library().redcol_free(handle)


def words(**options: object) -> Any:
    flat = [str(word).encode() for pair in options.items() for word in pair]
    return (c_char_p * (len(flat) + 1))(*flat, None)


FOLLOW = {"follow": "true", "block_ms": "50"}
GROUP = {**FOLLOW, "group": "g", "consumer": "c"}


class Reading:
    """A client of a server, an iterator of it, and the calls on them."""

    def __init__(self, url: str, *, timeout_ms: int = 300, **options: object) -> None:
        self.client, self.iter = c_void_p(), c_void_p()
        self.stream: bytes | None = b"s"
        timeouts = words(timeout_ms=timeout_ms, connect_timeout_ms=10_000)
        status = call("redcol_open", url.encode(), timeouts, byref(self.client))
        assert status == 0, status
        self.options = options

    def start(self, schema: object = None) -> int:
        """redcol_read_stream; the iterator is for the other calls."""
        arguments = (self.client, self.stream, -1, schema, words(**self.options))
        return call("redcol_read_stream", *arguments, byref(self.iter))

    def start_again(self) -> int:
        free(self.iter)
        return self.start()

    def start_several(self, schema: object = None) -> int:
        names = (c_char_p * 1)(self.stream)
        arguments = (self.client, names, None, 1, schema, words(**self.options))
        return call("redcol_read_streams", *arguments, byref(self.iter))

    def start_ranges(self, schema: object = None) -> int:
        names = (c_char_p * 1)(self.stream)
        chosen = (self.client, None, 0, names, None, 1)
        options = words(**self.options)
        return call("redcol_read_ranges", *chosen, schema, options, byref(self.iter))

    def subscribe(self, schema: object = None) -> int:
        names = (c_char_p * 1)(self.stream)
        chosen = (self.client, names, None, 1, None, None, 0)
        options = words(**self.options)
        return call("redcol_subscribe", *chosen, schema, options, byref(self.iter))

    def connect(self, wait_ms: int = -1) -> int:
        return call("redcol_iter_connect", self.iter, wait_ms)

    def next(self, wait_ms: int = -1) -> int:
        array, schema = arrow_structs.ArrowArray(), arrow_structs.ArrowSchema()
        status = call("redcol_iter_next", self.iter, wait_ms, byref(schema), byref(array))
        assert released(array) == released(schema) == (status == 0)
        return status

    def collect(self, wait_ms: int = -1) -> int:
        table = c_void_p(0x10)
        status = call("redcol_iter_collect", self.iter, wait_ms, byref(table))
        assert bool(table.value) == (status == 0)
        free(table)
        return status

    def ack(self) -> int:
        ids = (self.client, self.stream, -1, b"g", -1, b"1-1", -1)
        return call("redcol_ack", *ids, byref(c_int64()))

    def iter_ack(self) -> int:
        return call("redcol_iter_ack", self.iter, None, -1, b"1-1", -1, byref(c_int64()))

    def ack_start(self) -> int:
        return call("redcol_iter_ack_start", self.iter, None, -1, b"1-1", -1)

    def stream_of(self) -> int:
        """redcol_iter_stream; the stream is released at once."""
        stream = arrow_structs.ArrowArrayStream()
        status = call("redcol_iter_stream", self.iter, byref(stream))
        assert released(stream) == (status == 0)
        return status

    def unread(self) -> int:
        return call("redcol_iter_unread", self.iter)

    def position(self) -> int:
        parts = c_uint64(7), c_uint64(7)
        status = call("redcol_iter_position", self.iter, self.stream, -1, *map(byref, parts))
        assert status == 0 or [part.value for part in parts] == [0, 0]
        return status

    def lag(self) -> int:
        lag = c_int64(7)
        status = call("redcol_iter_lag", self.iter, self.stream, -1, byref(lag))
        assert status == 0 or lag.value == 0
        return status

    def last_id(self) -> int:
        parts = c_uint64(7), c_uint64(7)
        status = call("redcol_last_id", self.client, self.stream, -1, *map(byref, parts))
        assert status == 0 or [part.value for part in parts] == [0, 0]
        return status

    def named(self, *names: bytes) -> tuple[object, ...]:
        """The client, the stream and these names, each with its length."""
        lengths = [part for name in names for part in (name, -1)]
        return (self.client, self.stream, -1, *lengths)

    def create_group(self) -> int:
        return call("redcol_create_group", *self.named(b"g"), b"0", 0, byref(c_int64()))

    def delete_group(self) -> int:
        return call("redcol_delete_group", *self.named(b"g"), byref(c_int64()))

    def seek_group(self) -> int:
        parts = c_uint64(7), c_uint64(7)
        status = call("redcol_seek_group", *self.named(b"g"), b"0", *map(byref, parts))
        assert [part.value for part in parts] == [0, 0]
        return status

    def delete_consumer(self) -> int:
        return call("redcol_delete_consumer", *self.named(b"g", b"c"), 0, byref(c_int64()))

    def release(self) -> int:
        return call("redcol_release_entries", *self.named(b"g", b"c", b"1-1"), byref(c_int64()))

    def trim(self) -> int:
        return call("redcol_trim_stream", *self.named(), 5, None, 1, byref(c_int64()))

    def delete_entries(self) -> int:
        return call("redcol_delete_entries", *self.named(b"1-1"), byref(c_int64()))

    def claim(self, schema: object = None) -> int:
        """redcol_claim_entries; the iterator is freed at once."""
        iterator = c_void_p(0x10)
        options = words(group="g", consumer="c")
        status = call("redcol_claim_entries", *self.named(b"1-1"), schema, options, byref(iterator))
        assert bool(iterator.value) == (status == 0)
        free(iterator)
        return status

    def _listed(self, function: str, *arguments: Any) -> int:
        table = c_void_p(0x10)
        status = call(function, self.client, *arguments, byref(table))
        assert bool(table.value) == (status == 0)
        free(table)
        return status

    def list_streams(self) -> int:
        return self._listed("redcol_list_streams", *self._named())

    def list_groups(self) -> int:
        return self._listed("redcol_list_groups", *self._named(), words(exact="true"))

    def list_consumers(self) -> int:
        return self._listed("redcol_list_consumers", *self._named(), b"g", -1)

    def list_pending(self) -> int:
        return self._listed("redcol_list_pending", self.stream, -1, b"g", -1, words(count=10))

    def partitions(self) -> int:
        return self._listed("redcol_partitions", *self._named(), words(rows=10))

    def _named(self) -> tuple[Any, ...]:
        return None, 0, (c_char_p * 1)(self.stream), None, 1

    def free(self) -> None:
        for handle in (self.iter, self.client):
            free(handle)


class Writing(Reading):
    """A client of a server, a writer of a frame, and the calls on them."""

    def __init__(self, url: str, *, timeout_ms: int = 300, **options: object) -> None:
        super().__init__(url, timeout_ms=timeout_ms, **options)
        self.writer = c_void_p()
        self.frame = Frame()
        self.frames = [self.frame]  # as long as the writers are

    def start(self, schema: object = None) -> int:
        """redcol_write_stream; the writer is for the other calls.

        The frame's column "_key" is a field here: it does not come from a read of several streams.
        """
        return self._start("redcol_write_stream", self.stream, -1, metadata="write")

    def start_hashes(self) -> int:
        return self._start("redcol_write_hashes")

    def start_messages(self) -> int:
        return self._start("redcol_write_messages", b"c", -1)

    def _start(self, function: str, *stream: object, **options: object) -> int:
        free(self.writer)
        self.writer = c_void_p(0x10)
        self.frames.append(self.frame)
        given = (*stream, byref(self.frame.stream), words(**{**options, **self.options}))
        status = call(function, self.client, *given, byref(self.writer))
        assert bool(self.writer.value) == (status == 0)
        assert self.frame.is_moved, "in every case"
        assert status == 0 or self.frame.unreleased == 0
        return status

    def run(self, wait_ms: int = -1) -> int:
        return call("redcol_writer_run", self.writer, wait_ms)

    def stop(self, wait_ms: int = -1) -> int:
        """redcol_writer_stop, after what can be sent without a wait was sent."""
        self.run(0)
        return self.stop_now(wait_ms)

    def stop_now(self, wait_ms: int = -1) -> int:
        return call("redcol_writer_stop", self.writer, wait_ms)

    def ids(self) -> int:
        return self.taken_ids()[0]

    def taken_ids(self) -> tuple[int, int]:
        """The status of redcol_writer_ids, and how many rows the array has."""
        array, schema = arrow_structs.ArrowArray(), arrow_structs.ArrowSchema()
        status = call("redcol_writer_ids", self.writer, byref(schema), byref(array))
        rows = array.length
        assert released(array) == released(schema) == (status == 0)
        return status, rows

    def statistic(self, name: str) -> int:
        return call("redcol_writer_statistic", self.writer, name.encode())

    def free(self) -> None:
        super().free()
        free(self.writer)
        assert sum(frame.unreleased for frame in self.frames if frame.is_moved) == 0


#: How each function is called on a Reading or Writing, and the options that it is started with.
CALLS: dict[str, tuple[Callable[..., int], dict[str, str]]] = {
    "redcol_read_stream": (Reading.start, GROUP),
    "redcol_read_streams": (Reading.start_several, GROUP),
    "redcol_subscribe": (Reading.subscribe, {}),
    "redcol_iter_connect": (Reading.connect, {**FOLLOW, "start_id": "$", "connect": "later"}),
    "redcol_iter_next": (Reading.next, {}),
    "redcol_iter_collect": (Reading.collect, {}),
    "redcol_iter_ack": (Reading.iter_ack, GROUP),
    "redcol_iter_ack_start": (Reading.ack_start, GROUP),
    "redcol_iter_stream": (Reading.stream_of, {}),
    "redcol_iter_unread": (Reading.unread, FOLLOW),
    "redcol_iter_position": (Reading.position, FOLLOW),
    "redcol_iter_lag": (Reading.lag, FOLLOW),
    "redcol_ack": (Reading.ack, {}),
    "redcol_last_id": (Reading.last_id, {}),
    "redcol_create_group": (Reading.create_group, {}),
    "redcol_delete_group": (Reading.delete_group, {}),
    "redcol_seek_group": (Reading.seek_group, {}),
    "redcol_delete_consumer": (Reading.delete_consumer, {}),
    "redcol_release_entries": (Reading.release, {}),
    "redcol_claim_entries": (Reading.claim, {}),
    "redcol_trim_stream": (Reading.trim, {}),
    "redcol_delete_entries": (Reading.delete_entries, {}),
    "redcol_list_streams": (Reading.list_streams, {}),
    "redcol_list_groups": (Reading.list_groups, {}),
    "redcol_list_consumers": (Reading.list_consumers, {}),
    "redcol_list_pending": (Reading.list_pending, {}),
    "redcol_partitions": (Reading.partitions, {}),
    "redcol_read_ranges": (Reading.start_ranges, {}),
    "redcol_write_stream": (Writing.start, {}),
    "redcol_write_hashes": (Writing.start_hashes, {}),
    "redcol_write_messages": (Writing.start_messages, {}),
    "redcol_writer_run": (Writing.run, {}),
    "redcol_writer_stop": (Writing.stop, {}),
    "redcol_writer_ids": (Writing.ids, {}),
}
#: Those that change a group, and the others that steer.
STEERING_GROUPS = {
    *("redcol_create_group", "redcol_seek_group", "redcol_delete_consumer"),
    "redcol_release_entries",
}
STEERING = {*STEERING_GROUPS, "redcol_delete_group", "redcol_trim_stream", "redcol_delete_entries"}
#: Those that talk to the server.
ASKING = set(CALLS) - {
    *("redcol_iter_unread", "redcol_iter_ack_start", "redcol_iter_stream", "redcol_read_ranges"),
    "redcol_iter_position",
    *("redcol_write_stream", "redcol_write_hashes", "redcol_write_messages"),
    *("redcol_writer_ids", "redcol_claim_entries"),
}


def subject(function: str) -> str:
    """What a function is called on: "client", "iter" or "writer"."""
    return FUNCTIONS[function][1][0]


@contextlib.contextmanager
def prepared(function: str, url: str, **more: object) -> Iterator[Any]:
    """All that comes before the call of `function`."""
    kind = Writing if "_write" in function else Reading
    reading = kind(url, **{**CALLS[function][1], **more})
    if not function.startswith(("redcol_read", "redcol_write_", "redcol_subscribe")):
        assert reading.start() == 0
    yield reading
    reading.free()


@contextlib.contextmanager
def a_table() -> Iterator[c_void_p]:
    with Server() as server, prepared("redcol_iter_next", server.url, timeout_ms=60_000) as reading:
        server.client().xadd("s", {"a": 1})
        table = c_void_p()
        assert call("redcol_iter_collect", reading.iter, -1, byref(table)) == 0
    yield table
    free(table)


def opening(url: str, **options: object) -> int:
    client = c_void_p(0x10)
    status = call("redcol_open", url.encode(), words(**options), byref(client))
    assert bool(client.value) == (status == 0)
    free(client)
    return status


Case = Callable[[str], int]
CASES: dict[tuple[str, str], Case] = {}


def case(status: str, *names: str) -> Callable[[Case], Case]:
    """A case for these functions; it is called with the function's name and gives the status."""

    def register(made: Case) -> Case:
        for name in names:
            assert (name, status) not in CASES, "one case would hide the other"
            CASES[name, status] = made
        return made

    return register
