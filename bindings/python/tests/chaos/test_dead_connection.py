"""A connection that is dead, but open, takes entries from the one that came after it: they come back."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import redis

import redcol
from proxy import Proxy
from servers import Server

#: The promise: an entry that was taken so reaches the user within three seconds.
SECONDS_MAX = 3.3
SLICE_MS = 1_000


def options(group: str) -> dict:
    return {"group": group, "consumer": "c", "auto_ack": True, "block_ms": 100, "on_idle": "empty"}


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
        wait_for_blocked(db, 1)
        yield


def wait_for_blocked(db: redis.Redis, count: int) -> None:
    deadline = time.monotonic() + 5
    while db.info("clients")["blocked_clients"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def add(db: redis.Redis, stream: str, count: int) -> list[str]:
    with db.pipeline() as pipeline:
        for n in range(count):
            pipeline.xadd(stream, {"n": n})
        return [i.decode() for i in pipeline.execute()]


def read(batches: redcol.StreamIterator, ids: list[str]) -> tuple[list[str], float]:
    """What comes until all of `ids` have come, and how many seconds that took."""
    got: list[str] = []
    began = time.monotonic()
    while not set(ids) <= set(got):
        assert time.monotonic() - began < 2 * SECONDS_MAX, f"{len(got)} of {len(ids)}"
        got += next(batches)["_id"].to_list()
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
    with any_server.client() as db, abandoned(any_server, stream, "g"):
        with redcol.iter_stream(any_server.url, stream, **options("g")) as batches:
            waiting = threading.Timer(0.3, lambda: ids.extend(add(db, stream, count)))
            ids: list[str] = []
            waiting.start()
            next(batches)  # has looked at its own pending entries, and blocks behind the dead one
            wait_for_blocked(db, 1)
            waiting.join()
            assert db.xpending(stream, "g")["pending"] >= 1
            got, seconds = read(batches, ids)
            assert sorted(got) == sorted(ids)
            assert seconds < SECONDS_MAX


@pytest.mark.parametrize("count", [1, 250])
def test_the_iterators_own(any_server: Server, stream: str, count: int) -> None:
    """The proxy resets the client's half of a blocked connection; the server does not hear of it."""
    with any_server.client() as db, Proxy(any_server.socket_path) as proxy:
        with redcol.iter_stream(proxy.url, stream, **options("g")) as batches:
            next(batches)
            wait_for_blocked(db, 1)
            proxy.strike("abandon")
            deadline = time.monotonic() + 5
            while batches.stats.reconnects == 0 or proxy.accepted < 2:
                assert time.monotonic() < deadline
                next(batches)
            wait_for_blocked(db, 2)  # the dead one first
            ids = add(db, stream, count)
            got, seconds = read(batches, ids)
            assert sorted(got) == sorted(ids)
            assert seconds < SECONDS_MAX


def test_again_and_again(any_server: Server, stream: str) -> None:
    """Every connection dies while it waits, with entries being added all the time."""
    ids: list[str] = []
    stop = threading.Event()

    def produce() -> None:
        with any_server.client() as db:
            while not stop.wait(0.01):
                ids.extend(add(db, stream, 3))

    producer = threading.Thread(target=produce)
    with Proxy(any_server.socket_path) as proxy:
        with redcol.iter_stream(proxy.url, stream, **options("g")) as batches:
            producer.start()
            got: list[str] = []
            until = time.monotonic() + 3
            strike_at = 0.0
            while time.monotonic() < until:
                got += next(batches)["_id"].to_list()
                if time.monotonic() > strike_at:
                    proxy.strike("abandon")
                    strike_at = time.monotonic() + 0.25
            stop.set()
            producer.join()
            more, seconds = read(batches, [i for i in ids if i not in set(got)])
            assert sorted(got + more) == sorted(ids)
            assert seconds < SECONDS_MAX
            assert batches.stats.reconnects >= 3
