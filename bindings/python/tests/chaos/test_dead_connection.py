# SPDX-License-Identifier: Apache-2.0
"""A dead connection that is still open takes entries from the one after it: they come back."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import redis

import redcol
from proxy import Proxy
from servers import Server

#: An entry that was taken so reaches the user with the second look, after a slice: long before the
#: next one, which comes after 30 seconds.
SECONDS_MAX = 10.0
SLICE_MS = 1_000
#: On a busy machine a slice may pass before anything else has happened.
ATTEMPTS = 9


def options(group: str) -> dict:
    return {"group": group, "consumer": "c", "auto_ack": True}


@contextlib.contextmanager
def reading(url: str, stream: str) -> Iterator[Reader]:
    with redcol.iter_stream(url, stream, **options("g")) as batches:
        reader = Reader(batches)
        yield reader
    reader.thread.join(60)
    assert not reader.thread.is_alive()


class Reader:
    """An iterator in a thread of its own, which waits in the server as users' iterators do."""

    def __init__(self, batches: redcol.StreamIterator):
        self.batches = batches
        self.found: queue.Queue[list[str]] = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for batch in self.batches:
            self.found.put(batch["_id"].to_list())

    def ids(self) -> list[str]:
        """Those of the next batch; none if there is none soon."""
        try:
            return self.found.get(timeout=0.005)
        except queue.Empty:
            return []


def command(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]
    return "".join(parts).encode()


@contextlib.contextmanager
def abandoned(server: Server, stream: str, group: str) -> Iterator[None]:
    """A socket of the same consumer that waits in XREADGROUP, and that nobody reads any more."""
    with socket.socket(socket.AF_UNIX) as dead, server.client() as db:
        dead.connect(str(server.socket_path))
        words = ("XREADGROUP", "GROUP", group, "c", "COUNT", "100", "BLOCK", str(SLICE_MS))
        dead.sendall(command(*words, "STREAMS", stream, ">"))
        while not db.info("clients")["blocked_clients"]:
            time.sleep(0.001)
        yield


def are_blocked(db: redis.Redis, reader: Reader, count: int) -> bool:
    """Whether so many connections wait in the server, within the time that one slice gives."""
    deadline = time.monotonic() + SLICE_MS / 1000
    while time.monotonic() < deadline:
        assert reader.ids() == []
        if db.info("clients")["blocked_clients"] >= count:
            return True
    return False


def add(db: redis.Redis, stream: str, count: int) -> list[str]:
    with db.pipeline() as pipeline:
        for n in range(count):
            pipeline.xadd(stream, {"n": n})
        return [i.decode() for i in pipeline.execute()]


def read(reader: Reader, ids: list[str]) -> tuple[list[str], float]:
    """What comes until all of `ids` have come, and how many seconds that took."""
    got: list[str] = []
    began = time.monotonic()
    while not set(ids) <= set(got):
        assert time.monotonic() - began < 2 * SECONDS_MAX, f"{len(got)} of {len(ids)}"
        got += reader.ids()
    return got, time.monotonic() - began


@pytest.fixture
def stream(any_server: Server) -> Iterator[str]:
    name = f"dead-{time.monotonic_ns()}"
    with any_server.client() as db:
        db.xgroup_create(name, "g", "0", mkstream=True)
        yield name
        assert db.xpending(name, "g")["pending"] == 0


@pytest.mark.parametrize("count", [1, 250])
def test_one_from_before_the_iterator(any_server: Server, stream: str, count: int) -> None:
    with any_server.client() as db:
        for _ in range(ATTEMPTS):
            with (
                abandoned(any_server, stream, "g"),
                reading(any_server.url, stream) as reader,
            ):
                # It has looked at its own pending entries, and waits behind the dead one.
                if are_blocked(db, reader, 2):
                    check_theft(db, reader, stream, count)
                    return
    pytest.fail("never did both of them wait")


@pytest.mark.parametrize("count", [1, 250])
def test_the_iterators_own(any_server: Server, stream: str, count: int) -> None:
    """The proxy resets the half of its client; the server does not hear of it."""
    with (
        any_server.client() as db,
        Proxy(any_server.socket_path) as proxy,
        reading(proxy.url, stream) as reader,
    ):
        for _ in range(ATTEMPTS):
            assert are_blocked(db, reader, 1)
            reconnects = reader.batches.stats.reconnects
            proxy.strike("abandon")
            while reader.batches.stats.reconnects == reconnects:
                time.sleep(0.001)
            if are_blocked(db, reader, 2):
                check_theft(db, reader, stream, count)
                return
    pytest.fail("never did both of them wait")


def check_theft(db: redis.Redis, reader: Reader, stream: str, count: int) -> None:
    ids = add(db, stream, count)
    got, seconds = read(reader, ids)
    assert sorted(got) == sorted(ids)
    assert seconds < SECONDS_MAX
    assert reader.batches.stats.redelivered == min(count, 100)


def test_again_and_again(any_server: Server, stream: str) -> None:
    """Every connection dies while it waits, with entries being added all the time."""
    ids: list[str] = []
    stop = threading.Event()

    def produce() -> None:
        with any_server.client() as db:
            while not stop.wait(0.01):
                ids.extend(add(db, stream, 3))

    @contextlib.contextmanager
    def producing() -> Iterator[None]:
        thread = threading.Thread(target=produce)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    with (
        Proxy(any_server.socket_path) as proxy,
        reading(proxy.url, stream) as reader,
    ):
        got: list[str] = []
        with producing():
            until = time.monotonic() + 3
            strike_at = 0.0
            while time.monotonic() < until:
                got += reader.ids()
                if time.monotonic() > strike_at:
                    proxy.strike("abandon")
                    strike_at = time.monotonic() + 0.25
        more, seconds = read(reader, [i for i in ids if i not in set(got)])
        assert sorted(got + more) == sorted(ids)
        assert seconds < SECONDS_MAX
        assert reader.batches.stats.reconnects >= 3
