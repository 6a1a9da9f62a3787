# SPDX-License-Identifier: Apache-2.0
"""What counts as progress when connections are lost, and what is asked for after that."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending
from proxy import Faults, Proxy
from servers import REDIS_7, FakeServer, Server

READS: dict[str, dict[str, Any]] = {
    "range": {},
    "wait": {"block_ms": 100},
    "group": GROUP,
}


@contextlib.contextmanager
def cutting(server: Server, faults: Faults) -> Iterator[Proxy]:
    """A proxy that gives in after a while, so that a read without an end ends."""
    with Proxy(server.socket_path, lambda _: faults) as proxy:
        timer = threading.Timer(20, proxy.calm)
        timer.start()
        try:
            yield proxy
        finally:
            timer.cancel()


@pytest.mark.parametrize("read", READS)
def test_parsed_bytes_are_no_progress(server: Server, db: redis.Redis, key: str, read: str) -> None:
    """Something cuts each connection in the middle of the first entry."""
    for n in range(50):
        db.xadd(key, {"n": n, "text": "x" * 5_000})
    with cutting(server, Faults(end_after=1_500, since=b"XR")) as proxy:
        began = time.monotonic()
        with pytest.raises(redcol.ConnectionFailedError):
            redcol.read_stream(proxy.url, key, timeout_ms=700, **READS[read])
        assert time.monotonic() - began < 0.7 + 5
        # At once, after 50 ms for each time that less is asked for, and then ever later.
        assert proxy.accepted < 25


@pytest.mark.parametrize("group", [{}, GROUP], ids=["alone", "group"])
def test_iterators_back_off_at_the_same_place(
    server: Server, db: redis.Redis, key: str, group: dict[str, str]
) -> None:
    """A group has answers before the one that is cut: they are no progress either."""
    db.xadd(key, {"n": 0, "text": "x" * 50_000})
    arguments: dict[str, Any] = {"block_ms": 10, "schema": SCHEMA, **group}
    if group:
        arguments |= {"max_deliveries": 1_000, "dead_letter": f"{key}-dead"}
    with (
        cutting(server, Faults(end_after=20_000)) as proxy,
        redcol.iter_stream(
            proxy.url, key, on_idle="stop", reconnect_timeout_ms=2_000, **arguments
        ) as batches,
    ):
        with pytest.raises(redcol.ConnectionFailedError, match="reconnect_timeout_ms"):
            next(batches)
        assert batches.stats.reconnects <= 14
        assert proxy.accepted <= 16
        proxy.calm()
        assert next(batches)["n"].to_list() == [0]


@pytest.mark.parametrize("read", ["range", "wait"])
def test_rows_are_progress(server: Server, db: redis.Redis, key: str, read: str) -> None:
    """Each connection brings a few rows: it takes many of them, but no pause."""
    ids = []
    for n in range(60):
        ids.append(db.xadd(key, {"n": n, "text": "x" * 1_000}).decode())
    with Proxy(server.socket_path, lambda _: Faults(end_after=5_000)) as proxy:
        frame = redcol.read_stream(proxy.url, key, timeout_ms=2_000, schema=SCHEMA, **READS[read])
        assert proxy.accepted > 10
    assert sorted(frame["_id"].to_list()) == sorted(ids)


def test_rows_of_a_group_are_progress(server: Server, db: redis.Redis, key: str) -> None:
    ids = []
    for n in range(60):
        ids.append(db.xadd(key, {"n": n, "text": "x" * 1_000}).decode())
    arguments: dict[str, Any] = {"auto_ack": True, "on_idle": "stop", "block_ms": 100}
    with (
        Proxy(server.socket_path, lambda _: Faults(end_after=5_000)) as proxy,
        redcol.iter_stream(proxy.url, key, **GROUP, **arguments) as batches,
    ):
        got = [entry for batch in batches for entry in batch["_id"]]
        assert proxy.accepted > 10
    assert got == ids
    assert pending(db, key) == []


# Answers that are larger than the server sends to a client.


@pytest.fixture
def sparing() -> Any:
    """A server that keeps at most 300 kB for a client."""
    with Server(REDIS_7) as started, started.client() as db:
        db.config_set("client-output-buffer-limit", "normal 300000 0 0")
        yield started


@pytest.mark.parametrize("group", [{}, GROUP], ids=["alone", "group"])
def test_iterators_ask_for_less(sparing: Server, group: dict[str, str]) -> None:
    with sparing.client() as db:
        for n in range(100):
            db.xadd("s", {"n": n, "text": "x" * 20_000})
        acks = {"auto_ack": True} if group else {}
        arguments: dict[str, Any] = {"schema": SCHEMA, "on_idle": "stop", "block_ms": 200}
        with redcol.iter_stream(
            sparing.url, "s", batch_size=100, **group, **acks, **arguments
        ) as batches:
            rows = [n for batch in batches for n in batch["n"]]
            assert batches.stats.reconnects < 30
        assert sorted(rows) == list(range(100))
        if group:
            assert pending(db, "s") == []


@pytest.mark.parametrize("read", READS)
def test_single_reads_ask_for_less(sparing: Server, read: str) -> None:
    with sparing.client() as db:
        for n in range(100):
            db.xadd("s", {"n": n, "text": "x" * 20_000})
    frame = redcol.read_stream(sparing.url, "s", schema=SCHEMA, **READS[read])
    assert sorted(frame["n"].to_list()) == list(range(100))


def test_many_streams_ask_for_less(sparing: Server) -> None:
    with sparing.client() as db:
        for stream in range(20):
            for n in range(5):
                db.xadd(f"m{stream}", {"n": n, "text": "x" * 20_000})
    frame = redcol.read_streams(sparing.url, "m*", schema=SCHEMA)
    assert frame.height == 100


def test_a_range_of_many_pages_beside_a_small_buffer(sparing: Server) -> None:
    """Each page gets through by itself, but not many of them together."""
    with sparing.client() as db:
        db.config_set("client-output-buffer-limit", "normal 0 0 0")
        add(db, "s", range(40_000))
        db.config_set("client-output-buffer-limit", "normal 200000 0 0")
    frame = redcol.read_stream(sparing.url, "s", schema=SCHEMA)
    assert frame["n"].to_list() == list(range(40_000))


def test_an_entry_that_never_gets_through(sparing: Server) -> None:
    with sparing.client() as db:
        db.xadd("s", {"n": 1, "text": "x" * 400_000})
    with pytest.raises(redcol.ConnectionFailedError, match="client-output-buffer-limit"):
        redcol.read_stream(sparing.url, "s", timeout_ms=1_000)


# Entries that are larger than the limits.


@pytest.mark.parametrize("read", READS)
def test_an_entry_beyond_the_limits(server: Server, db: redis.Redis, key: str, read: str) -> None:
    good = db.xadd(key, {"n": 1}).decode()
    many = db.xadd(key, {f"f{n}": n for n in range(300)}).decode()
    arguments: dict[str, Any] = READS[read]
    with pytest.raises(
        redcol.EntryTooLargeError, match=f"{many} has more than 299 fields"
    ) as caught:
        redcol.read_stream(server.url, key, entry_fields_max=299, **arguments)
    assert (caught.value.entry_id, caught.value.stream) == (many, key)
    assert isinstance(caught.value, ValueError)
    frame = redcol.read_stream(server.url, key, entry_fields_max=300, **arguments)
    assert frame["_id"].to_list() == [good, many]


@pytest.mark.parametrize("size", [2_000, 100_000, 3_000_000])
def test_an_entry_of_many_bytes(server: Server, db: redis.Redis, key: str, size: int) -> None:
    large = db.xadd(key, {"n": 1, "text": "x" * size}).decode()
    with pytest.raises(redcol.EntryTooLargeError, match="entry_bytes_max") as caught:
        redcol.read_stream(server.url, key, entry_bytes_max=size)
    assert caught.value.entry_id == large
    assert redcol.read_stream(server.url, key, entry_bytes_max=size + 100).height == 1


def test_an_iterator_goes_on_behind_it(any_server: Server, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    large = any_db.xadd(key, {"n": 9, "text": "x" * 200_000}).decode()
    ids += add(any_db, key, range(3, 5))
    got: list[str] = []

    def read_on(batches: redcol.StreamIterator) -> None:
        for batch in batches:
            got.extend(batch["_id"])

    arguments: dict[str, Any] = {"on_idle": "stop", "block_ms": 50, "entry_bytes_max": 100_000}
    with redcol.iter_stream(any_server.url, key, **arguments) as batches:
        with pytest.raises(redcol.EntryTooLargeError, match=large):
            read_on(batches)
        assert got == ids[:3]
        read_on(batches)
    assert got == ids


def test_in_a_group_it_is_pending(any_server: Server, any_db: redis.Redis, key: str) -> None:
    first = add(any_db, key, range(3))
    large = any_db.xadd(key, {"n": 9, "text": "x" * 200_000}).decode()
    last = add(any_db, key, range(3, 5))
    arguments: dict[str, Any] = {"auto_ack": True, "entry_bytes_max": 100_000}
    with redcol.iter_stream(any_server.url, key, **GROUP, **arguments) as batches:
        assert next(batches)["_id"].to_list() == first
        for _ in range(3):
            with pytest.raises(redcol.EntryTooLargeError, match=large) as caught:
                next(batches)
        assert redcol.ack_entries(any_server.url, key, "g", [caught.value.entry_id]) == 1
        assert next(batches)["_id"].to_list() == last


def test_an_entry_of_more_fields_than_the_default() -> None:
    """1.1 million fields: an error, and not one connection after the other."""
    entry = b"*2\r\n$3\r\n7-1\r\n*2200000\r\n" + b"$1\r\na\r\n" * 2
    accepted = threading.Semaphore(0)

    def answer(command: list[bytes]) -> bytes:
        if command[0] == b"XREAD":
            accepted.release()
            return b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" + entry
        return b"+OK\r\n"

    with FakeServer(answer) as fake, redcol.iter_stream(fake.url, "s", block_ms=10) as batches:
        with pytest.raises(redcol.EntryTooLargeError, match="entry 7-1 has more than 1048576"):
            next(batches)
        assert accepted.acquire(blocking=False)
        assert not accepted.acquire(blocking=False)


@pytest.mark.parametrize("name", ["entry_bytes_max", "entry_fields_max"])
@pytest.mark.parametrize("value", [0, -1, "1", 2**31])
def test_bad_limits(url: str, key: str, name: str, value: Any) -> None:
    for function in (redcol.read_stream, redcol.iter_stream):
        with pytest.raises(redcol.InvalidArgumentError, match=name):
            function(url, key, **{name: value})
