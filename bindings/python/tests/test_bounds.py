# SPDX-License-Identifier: Apache-2.0
"""Where a read begins and ends: counts and ends over several streams, resets, vanished groups."""

from __future__ import annotations

import contextlib
import time

import polars as pl
import pyarrow as pa
import pytest
import reads
import redis

import redcol
from redcol import _native, client
from servers import FakeServer, Server, free_port

SCHEMA = {"n": pl.Int64}
GROUP = {"group": "g", "consumer": "c", "schema": SCHEMA}


def add(db: redis.Redis, key: str, ids: range) -> None:
    with db.pipeline() as pipeline:
        for number in ids:
            pipeline.xadd(key, {"n": number}, id=f"{number}-0")
        pipeline.execute()


def test_deleting_the_last_entry_is_no_reset(server: Server, db: redis.Redis, key: str) -> None:
    add(db, key, range(1, 6))
    with redcol.iter_stream(
        server.url, key, schema=SCHEMA, block_ms=100, on_idle="empty", batch_size=10
    ) as batches:
        assert next(batches)["n"].to_list() == [1, 2, 3, 4, 5]
        db.xdel(key, "5-0")
        until = time.monotonic() + 6  # streams are looked at every 5 seconds
        while time.monotonic() < until:
            assert next(batches).is_empty()
        add(db, key, range(6, 7))
        assert next(batches)["n"].to_list() == [6]
        assert batches.stats.resets == 0


@pytest.mark.parametrize("start", ["-", "$"])
def test_a_server_that_comes_back_without_its_streams(key: str, start: str) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Server(args=("--port", str(port))))
        add(first.client(), key, range(1000, 1003))
        batches = stack.enter_context(
            redcol.iter_stream(
                url, key, start_id=start, schema=SCHEMA, block_ms=100, on_idle="empty",
                reconnect_timeout_ms=0,
            )
        )  # fmt: skip
        if start == "-":
            assert next(batches)["n"].to_list() == [1000, 1001, 1002]
        assert next(batches).is_empty()
        first.stop()
        with Server(args=("--port", str(port))) as second:
            add(second.client(), key, range(1, 4))
            frame = next(frame for frame in batches if len(frame))
            assert frame["n"].to_list() == [1, 2, 3]
            assert batches.stats.resets == 1
            add(second.client(), key, range(4, 6))
            frame = next(frame for frame in batches if len(frame))
            assert frame["n"].to_list() == [4, 5]
            assert batches.stats.resets == 1


@pytest.mark.parametrize("arguments", [{"start_id": "10-0", "end_id": "5-0"},
                                       {"start_id": "10-0", "end_id": "10-0"},
                                       {"start_id": "$", "end_id": "7-0"},
                                       {"end_id": "7-0"}])  # fmt: skip
def test_an_end_that_is_past(
    server: Server, db: redis.Redis, key: str, arguments: dict[str, str]
) -> None:
    add(db, key, range(8, 10))
    with redcol.iter_stream(server.url, key, schema=SCHEMA, **arguments) as batches:
        assert list(batches) == []
    frame = redcol.read_stream(server.url, key, schema=SCHEMA, block_ms=0, **arguments)
    assert frame.is_empty()


def test_a_start_that_has_not_come_yet(server: Server, db: redis.Redis, key: str) -> None:
    add(db, key, range(1, 5))
    with redcol.iter_stream(
        server.url, key, start_id="100-0", schema=SCHEMA, block_ms=5_500, on_idle="empty"
    ) as batches:
        assert next(batches).is_empty()
        add(db, key, range(99, 103))
        assert next(batches)["n"].to_list() == [101, 102]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_count_of_several_streams(server: Server, db: redis.Redis, key: str, count: int) -> None:
    streams = [f"{key}-{name}" for name in "abc"]
    add(db, streams[2], range(1, 4))
    with redcol.iter_stream(server.url, streams, count=count, batch_size=10, **GROUP) as batches:
        assert sum(len(batch) for batch in batches) == count
    again = redcol.iter_stream(
        server.url, streams, batch_size=10, block_ms=50, on_idle="stop", auto_ack=True, **GROUP
    )
    with again as batches:  # nothing was lost of what the server has given beyond the count
        assert sorted(n for batch in batches for n in batch["n"]) == [1, 2, 3]


def test_the_end_of_several_streams(server: Server, db: redis.Redis, key: str) -> None:
    first, second = f"{key}-a", f"{key}-b"
    add(db, first, range(1, 4))
    add(db, first, range(1000, 1001))
    add(db, second, range(1, 51))
    add(db, second, range(101, 103))
    with redcol.iter_stream(
        server.url, [first, second], end_id="100", batch_size=5, schema=SCHEMA
    ) as batches:
        rows = pl.concat(list(batches))
    counts = dict(rows.group_by("_stream").len().iter_rows())
    assert counts == {first: 3, second: 50}


def test_acknowledging_twice_over_a_lost_connection() -> None:
    asked: list[bytes] = []

    def answer(command: list[bytes]) -> bytes | None:
        asked.append(command[0])
        if command[0] == b"XACK":
            return b":0\r\n"
        if command[0] == b"XPENDING" and asked.count(b"XPENDING") == 1:
            fake.connections[-1].close()
            raise OSError("cut")
        return b"*0\r\n" if command[0] == b"XPENDING" else b"+OK\r\n"

    with FakeServer(answer) as fake:
        assert redcol.ack_entries(fake.url, "s", "g", ["1-0"], timeout_ms=2_000) == 0
    assert asked.count(b"XPENDING") == 2


def test_a_refused_entry_of_a_group_that_vanishes(
    server: Server, db: redis.Redis, key: str
) -> None:
    """It was not handled: the group is made again in front of it."""
    add(db, key, range(1, 4))
    db.xadd(key, {"n": "no number"}, id="4-0")
    add(db, key, range(5, 7))
    with redcol.iter_stream(server.url, key, auto_ack=True, **GROUP) as batches:
        assert next(batches)["n"].to_list() == [1, 2, 3]
        with pytest.raises(redcol.ValueConversionError, match="4-0"):
            next(batches)
        assert next(batches)["n"].to_list() == [5, 6]
        db.xadd(key, {"n": 7}, id="7-0")
        assert next(batches)["n"].to_list() == [7]
        db.xgroup_destroy(key, "g")
        with pytest.raises(redcol.ValueConversionError, match="4-0"):
            next(batches)


@pytest.mark.parametrize("number", [126, 127, 128, 300])
def test_an_index_that_cannot_number_the_categories(
    server: Server, db: redis.Redis, key: str, number: int
) -> None:
    """Through the options of the library, since Polars chooses its index by the categories."""
    db.xadd(key, {"e": "v125"})
    names = "".join(f"{len(f'v{i}')}:v{i}," for i in range(number))
    request = reads.request(key, options={"categories:0": names})
    schema = pa.schema([pa.field("e", pa.dictionary(pa.int8(), pa.string()))])
    with client.using(client.Server(server.url)) as handle:
        read = (handle, request.streams, schema.__arrow_c_schema__(), request.options)
        if number <= 127:
            _native.read_streams(*read)
        else:
            with pytest.raises(redcol.InvalidArgumentError, match="index type"):
                _native.read_streams(*read)


def test_a_large_dead_letter(server: Server, db: redis.Redis, key: str) -> None:
    """Larger than any other reply may be: an entry may have what Redis lets it have."""
    text = "x" * (17 << 20)
    db.xadd(key, {"n": 1, "text": text}, id="1-0")
    db.xgroup_create(key, "g", "0")
    db.xreadgroup("g", "c", {key: ">"})
    add(db, key, range(2, 3))
    letters = f"{key}-dead"
    with redcol.iter_stream(
        server.url, key, auto_ack=True, max_deliveries=1, dead_letter=letters, **GROUP
    ) as batches:
        assert next(batches)["n"].to_list() == [2]
        assert batches.stats.dead_lettered == 1
        assert batches.stats.reconnects == 0
    assert db.xrange(letters)[0][1][b"text"] == text.encode()
    with redcol.iter_stream(
        server.url, letters, start_id="$", block_ms=20, on_idle="stop"
    ) as batches:
        assert list(batches) == []
    db.delete(key, letters)
