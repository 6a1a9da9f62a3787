# SPDX-License-Identifier: Apache-2.0
"""Bad arguments are refused before anything is sent; good ones mean what the docstrings say."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from servers import FakeServer, Server, silent

MEMBER: dict[str, Any] = {"group": "g", "consumer": "c"}
BAD_READS: list[dict[str, Any]] = [
    {"stream": None},
    {"stream": 5},
    {"stream": "\ud800"},
    {"schema": [("a", pl.Int64)]},
    {"schema": {1: pl.Int64}},
    {"schema": {"a\0b": pl.Int64}},
    {"schema": "a"},
    {"start_id": "$"},
    {"start_id": "(-"},
    {"start_id": ""},
    {"start_id": "1-"},
    {"start_id": "1-2-3"},
    {"start_id": " 1-1"},
    {"start_id": "\u0661-1"},
    {"start_id": str(2**64)},
    {"start_id": "1-" + str(2**64)},
    {"start_id": "9" * 5000},
    {"start_id": -1},
    {"start_id": 2**64},
    {"start_id": True},
    {"start_id": 1.0},
    {"start_id": b"1-1"},
    {"start_id": datetime(1969, 1, 1)},
    {"end_id": None},
    {"end_id": "now"},
    {"count": "5"},
    {"count": -1},
    {"count": 1.5},
    {"count": True},
    {"count": 2**63},
    {"include_id": "true"},
    {"include_timestamp": 1},
    {"include_sequence": 1},
    {"id_column": None},
    {"id_column": "a\0"},
    {"id_column": "_ts"},
    {"timestamp_column": "_id"},
    {"sequence_column": "_id", "include_sequence": True},
    {"on_error": "ignore"},
    {"on_error": None},
    {"auto_ack": "yes"},
    {"create_group": 0},
    {"consumer": "c"},
    {"auto_ack": True},
    {"claim_idle_ms": 1},
    {"block_ms": -1},
    {"block_ms": "1"},
    {"group": 5},
    {"group_start_id": None},
    {"group_start_id": "junk"},
    *({"group_start_id": text, **MEMBER} for text in ("junk", "-", "+", "(1-1", "", True)),
    *({"group_start_id": text, "create_group": False, **MEMBER} for text in ("junk", "(1-1")),
    {"group_start_id": "$"},
    {"group_start_id": "1-1"},
    {"create_group": False},
    {"connect_timeout_ms": 0},
    {"connect_timeout_ms": None},
    {"timeout_ms": "5"},
    {"timeout_ms": 2**31},
]


@pytest.mark.parametrize("arguments", BAD_READS, ids=str)
def test_bad_reads(arguments: dict[str, Any]) -> None:
    with FakeServer(silent) as fake:
        with pytest.raises(redcol.InvalidArgumentError):
            redcol.read_stream(fake.url, **{"stream": "s", **arguments})
        assert fake.connections == []


BAD_FOLLOWS: list[dict[str, Any]] = [
    {"claim_idle_ms": 1},
    {"create_group": False},
    {"group_start_id": "5-1"},
    {"auto_ack": True},
    {"consumer": "c"},
    {"max_deliveries": 2, "dead_letter": "d"},
    {"max_deliveries": 2, **MEMBER},
    {"group_start_id": "junk", "create_group": False, **MEMBER},
]


@pytest.mark.parametrize("arguments", BAD_FOLLOWS, ids=str)
def test_bad_follows(arguments: dict[str, Any]) -> None:
    """Also what says nothing without a group."""
    with FakeServer(silent) as fake:
        for follow in (redcol.iter_stream, redcol.stream_batches):
            with pytest.raises(redcol.InvalidArgumentError):
                follow(fake.url, "s", **arguments)
        assert fake.connections == []


def test_the_default_of_an_argument_may_be_given(server: Server, key: str) -> None:
    arguments = {"auto_ack": False, "create_group": True, "group_start_id": "0"}
    for claim_idle_ms in (300_000, None):
        redcol.iter_stream(server.url, key, claim_idle_ms=claim_idle_ms, **arguments).close()
    redcol.read_stream(server.url, key, claim_idle_ms=None, **arguments)


BAD_ACKS: list[tuple[Any, ...]] = [
    ("s", "g", None),
    ("s", "g", 5),
    ("s", "g", [5]),
    ("s", "g", ["1-1", "x"]),
    ("s", "g", ["1-1\n2-2"]),
    ("s", "g", [""]),
    ("s", "g", [None]),
    ("s", "g", pl.Series(["1-1", None])),
    ("s", "g", pl.DataFrame({"id": ["1-1"]})),
    ("s", None, ["1-1"]),
    (None, "g", ["1-1"]),
]


@pytest.mark.parametrize("arguments", BAD_ACKS, ids=str)
def test_bad_acks(arguments: tuple[Any, ...]) -> None:
    with FakeServer(silent) as fake:
        with pytest.raises(redcol.InvalidArgumentError):
            redcol.ack_entries(fake.url, *arguments)
        assert fake.connections == []


def test_a_column_named_twice_is_an_error_of_the_schema() -> None:
    with pytest.raises(redcol.SchemaError, match="'_ts'"):
        redcol.read_stream("redis://nowhere.invalid", "s", schema={"_ts": pl.Int32})


@pytest.mark.parametrize(
    ("start_id", "rows"),
    [
        ("-", 4),
        ("0", 4),
        (0, 4),
        (1000, 4),
        ("1000", 4),
        ("1000-1", 3),
        ("(1000-1", 2),
        (1001, 2),
        (2**64 - 1, 0),
        ("+", 0),
        (datetime(1970, 1, 1, 0, 0, 1, 1999, tzinfo=timezone.utc), 2),
        (datetime(1970, 1, 1, 0, 0, 1, 1999), 2),
        (datetime(1970, 1, 1, 2, 0, 1, tzinfo=timezone(timedelta(hours=2))), 4),
        (date(1970, 1, 1), 4),
        (date(1970, 1, 2), 1),
        (pl.Series([1001], dtype=pl.UInt64)[0], 2),
    ],
    ids=str,
)
def test_where_a_range_begins(
    server: Server, db: redis.Redis, key: str, start_id: Any, rows: int
) -> None:
    for entry_id in ("1000-0", "1000-1", "1001-0", "86400000-0"):
        db.xadd(key, {"a": 1}, id=entry_id)
    assert redcol.read_stream(server.url, key, start_id=start_id).height == rows


@pytest.mark.parametrize(
    ("end_id", "rows"),
    [("+", 3), ("-", 0), (1000, 2), ("1000", 2), ("(1000", 1), ("1000-0", 1), (999, 0)],
)
def test_where_a_range_ends(
    server: Server, db: redis.Redis, key: str, end_id: Any, rows: int
) -> None:
    for entry_id in ("1000-0", "1000-1", "1001-0"):
        db.xadd(key, {"a": 1}, id=entry_id)
    if end_id == "(1000":
        # Redis completes an excluded bound as an included one: up to 1000-18446744073709551614.
        rows = 2
    assert redcol.read_stream(server.url, key, end_id=end_id).height == rows
    assert len(db.xrange(key, max=end_id)) == rows


def test_count_zero_is_nothing(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"a": 1})
    assert redcol.read_stream(server.url, key, count=0).shape == (0, 2)


def test_any_bytes_are_a_key(server: Server, db: redis.Redis) -> None:
    for key in (b"\xff\0\r\n", "", "é", bytearray(b"array"), memoryview(b"view")):
        raw = key.encode() if isinstance(key, str) else bytes(key)
        db.xadd(raw, {"a": 1})
        assert redcol.read_stream(server.url, key).height == 1


def test_what_can_be_acknowledged(server: Server, db: redis.Redis, key: str) -> None:
    written = [db.xadd(key, {"a": index}).decode() for index in range(12)]
    db.xgroup_create(key, "g", "0")
    db.xreadgroup("g", "c", {key: ">"})

    def ack(ids: Any) -> int:
        return redcol.ack_entries(server.url, key, "g", ids)

    assert ack(written[:2]) == 2
    assert ack(written[:2]) == 0
    assert ack(tuple(written[2:4])) == 2
    assert ack(entry_id for entry_id in written[4:5]) == 1
    assert ack(written[5]) == 1
    assert ack([written[6].encode()]) == 1
    assert ack(pl.Series(written[7:9])) == 2
    assert ack(pl.DataFrame({"_id": written[9:11]})) == 2
    assert ack([]) == 0
    assert ack(["1-1", written[11]]) == 1
    assert db.xpending(key, "g")["pending"] == 0


def test_many_acks(server: Server, db: redis.Redis, key: str) -> None:
    with db.pipeline(transaction=False) as pipeline:
        for index in range(1, 60_001):
            pipeline.xadd(key, {"a": 1}, id=f"1-{index}")
        pipeline.execute()
    db.xgroup_create(key, "g", "0")
    db.xreadgroup("g", "c", {key: ">"})
    frame = redcol.read_stream(server.url, key)
    assert redcol.ack_entries(server.url, key, "g", frame) == 60_000
    db.delete(key)


def test_one_client_for_many_calls(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"a": 1})
    before = db.info("stats")["total_connections_received"]
    with redcol.connect(server.url) as client:
        for _ in range(5):
            assert redcol.read_stream(client, key).height == 1
    assert db.info("stats")["total_connections_received"] == before + 1
