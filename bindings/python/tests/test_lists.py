# SPDX-License-Identifier: Apache-2.0
"""What streams, groups, consumers and pending entries there are, on every server."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone

import polars as pl
import pytest
import redis

import redcol
from servers import FakeServer, Server

INT = pl.Int64
TIME = pl.Datetime("ms", "UTC")
STREAMS = {
    "stream": pl.String,
    "length": INT,
    "first_id": pl.String,
    "last_id": pl.String,
    "first_ts": TIME,
    "last_ts": TIME,
    "entries_added": INT,
    "groups": INT,
    "bytes": INT,
}
GROUPS = {
    "stream": pl.String,
    "group": pl.String,
    "consumers": INT,
    "pending": INT,
    "last_delivered_id": pl.String,
    "entries_read": INT,
    "lag": INT,
    "lag_exact": INT,
    "oldest_pending_ms": INT,
}
CONSUMERS = {
    "stream": pl.String,
    "group": pl.String,
    "consumer": pl.String,
    "pending": INT,
    "idle_ms": INT,
    "inactive_ms": INT,
}
PENDING = {"_id": pl.String, "_ts": INT, "consumer": pl.String, "idle_ms": INT, "deliveries": INT}

_names = itertools.count()


@pytest.fixture
def name() -> str:
    """The beginning of keys that nobody else uses."""
    return f"lists-{next(_names)}-"


def version(db: redis.Redis) -> tuple[int, int]:
    info = db.info("server")
    if "valkey_version" in info:
        return (8, 0)
    major, minor, *_ = info["redis_version"].split(".")
    return int(major), int(minor)


def add(db: redis.Redis, stream: str | bytes, count: int, first: int = 1) -> None:
    pipeline = db.pipeline(transaction=False)
    for number in range(first, first + count):
        pipeline.xadd(stream, {"n": number, "text": "x" * 50}, id=f"{number}-1")
    pipeline.execute()


def test_streams(url: str, any_db: redis.Redis, name: str) -> None:
    add(any_db, name + "b", 5)
    add(any_db, name + "a", 1, first=1_704_067_200_000)
    any_db.xdel(name + "b", "1-1")
    any_db.xgroup_create(name + "b", "g")
    any_db.xgroup_create(name + "empty", "g", mkstream=True)
    add(any_db, (name + "c").encode() + b"\xff\0", 1)
    any_db.set(name + "text", "no stream")
    frame = redcol.list_streams(url, name + "*")
    assert frame.schema == STREAMS
    assert frame["stream"].to_list() == [
        *(name + "a", name + "b", name + "c\\xff\\x00", name + "empty")
    ]
    a, b, _, empty = frame.rows(named=True)
    moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
    assert (a["first_ts"], a["last_ts"], a["length"]) == (moment, moment, 1)
    assert (b["length"], b["first_id"], b["last_id"], b["groups"]) == (4, "2-1", "5-1", 1)
    assert b["entries_added"] == (5 if version(any_db) >= (7, 0) else None)
    assert b["bytes"] == any_db.memory_usage(name + "b")
    assert (empty["length"], empty["first_id"], empty["last_ts"]) == (0, None, None)


def test_keys_patterns_and_lists(url: str, any_db: redis.Redis, name: str) -> None:
    for key in ("a", "b", "c*"):
        add(any_db, name + key, 1)
    any_db.set(name + "text", "no stream")

    def found(pattern: object) -> list[str]:
        return [key.removeprefix(name) for key in redcol.list_streams(url, pattern)["stream"]]

    assert found(name + "[bc]*") == ["b", "c*"]
    assert found(name + "a") == found((name + "a").encode()) == ["a"]
    assert found([name + "c*", name + "missing", (name + "a").encode()]) == ["a", "c*"]
    assert found(iter([name + "b"])) == ["b"]
    assert found([]) == found(name + "missing") == found(name + "missing*") == []
    assert redcol.list_streams(url, []).schema == STREAMS
    for named in (name + "text", [name + "a", name + "text"]):
        with pytest.raises(redcol.WrongTypeError, match=name + "text"):
            redcol.list_streams(url, named)
    for wrong in (5, None, [5]):
        with pytest.raises(redcol.InvalidArgumentError):
            redcol.list_streams(url, wrong)
    with pytest.raises(redcol.InvalidArgumentError, match=r"names .* twice"):
        redcol.list_groups(url, ["a", "a"])
    with redcol.connect(url) as client:
        assert len(redcol.list_streams(client, name + "*")) == 3
        assert redcol.list_groups(client, name + "*").schema == GROUPS


def test_groups(url: str, any_db: redis.Redis, name: str) -> None:
    stream = name + "s"
    add(any_db, stream, 300)
    for group, read in (("all", 300), ("none", 0), ("some", 40)):
        any_db.xgroup_create(stream, group, id="0")
        if read:
            any_db.xreadgroup(group, "one", {stream: ">"}, count=read)
    any_db.xack(stream, "all", *(f"{number}-1" for number in range(1, 301)))
    any_db.xgroup_createconsumer(stream, "some", "two")
    add(any_db, name + "none", 1)
    frame = redcol.list_groups(url, name + "*", exact=True)
    assert frame.schema == GROUPS
    known = version(any_db) >= (7, 0)
    assert frame.drop("oldest_pending_ms").rows() == [
        (stream, "all", 1, 0, "300-1", 300 if known else None, 0 if known else None, 0),
        (stream, "none", 0, 0, "0-0", None, 300 if known else None, 300),
        (stream, "some", 2, 40, "40-1", 40 if known else None, 260 if known else None, 260),
    ]
    assert frame.filter(pl.col("group") == "some")["oldest_pending_ms"].item() >= 0
    assert frame["oldest_pending_ms"].to_list()[:2] == [None, None]
    # The server no longer knows the lag when entries were deleted.
    any_db.xdel(stream, "100-1", "200-1")
    frame = redcol.list_groups(url, stream, exact=True)
    assert frame["lag_exact"].to_list() == [0, 298, 258]
    assert redcol.list_groups(url, stream)["lag_exact"].to_list() == [None] * 3


def test_what_is_pending_longest(url: str, any_db: redis.Redis, name: str) -> None:
    add(any_db, name, 3)
    any_db.xgroup_create(name, "g", id="0")
    any_db.xreadgroup("g", "c", {name: ">"}, count=1)
    any_db.xclaim(name, "g", "c", 0, ["1-1"], idle=1_000_000)
    any_db.xreadgroup("g", "c", {name: ">"})
    assert redcol.list_groups(url, name)["oldest_pending_ms"].item() >= 1_000_000


def test_consumers(url: str, any_db: redis.Redis, name: str) -> None:
    for stream in ("a", "b"):
        add(any_db, name + stream, 3)
    for stream, group in (("a", "g1"), ("a", "g2"), ("b", "g2")):
        any_db.xgroup_create(name + stream, group, id="0")
        any_db.xreadgroup(group, "busy", {name + stream: ">"}, count=2)
        any_db.xgroup_createconsumer(name + stream, group, "idle")
    add(any_db, name + "none", 1)
    frame = redcol.list_consumers(url, name + "*")
    assert frame.schema == CONSUMERS
    expected = [
        (name + stream, group, consumer, 2 if consumer == "busy" else 0)
        for stream, group in (("a", "g1"), ("a", "g2"), ("b", "g2"))
        for consumer in ("busy", "idle")
    ]
    assert frame.select("stream", "group", "consumer", "pending").rows() == expected
    assert frame["idle_ms"].min() >= 0
    if version(any_db) >= (7, 2):
        assert [time is None for time in frame["inactive_ms"]] == [False, True] * 3
    else:
        assert frame["inactive_ms"].null_count() == 6
    of_one = redcol.list_consumers(url, name + "*", "g1")
    assert of_one.select("stream", "consumer").rows() == [
        (name + "a", "busy"),
        (name + "a", "idle"),
    ]
    assert len(redcol.list_consumers(url, name + "b", b"g2")) == 2
    assert redcol.list_consumers(url, name + "missing", "g1").rows() == []
    with pytest.raises(redcol.NoGroupError, match=name + "b"):
        redcol.list_consumers(url, name + "b", "g1")


def test_pending_entries(url: str, any_db: redis.Redis, name: str) -> None:
    add(any_db, name, 10_000)
    any_db.xgroup_create(name, "g", id="0")
    any_db.xreadgroup("g", "one", {name: ">"}, count=9_000)
    any_db.xreadgroup("g", "two", {name: ">"})
    any_db.xclaim(name, "g", "two", 0, ["7-1"], idle=500_000, retrycount=12)
    any_db.xdel(name, "8-1")
    frame = redcol.list_pending(url, name, "g")
    assert frame.schema == PENDING
    assert frame["_id"].to_list() == [f"{number}-1" for number in range(1, 10_001)]
    assert frame["_ts"].to_list() == list(range(1, 10_001))
    assert frame["consumer"].value_counts().sort("consumer").rows() == [
        ("one", 8_999),
        ("two", 1_001),
    ]
    row = redcol.list_pending(url, name, "g", min_idle_ms=400_000).row(0, named=True)
    assert row["idle_ms"] >= 500_000
    assert (row["_id"], row["consumer"], row["deliveries"]) == ("7-1", "two", 12)

    def ids(**choice: object) -> list[str]:
        return redcol.list_pending(url, name, "g", **choice)["_id"].to_list()

    assert ids(start_id="(9998-1") == ["9999-1", "10000-1"]
    assert ids(start_id=3, end_id="5", count=2) == ["3-1", "4-1"]
    assert ids(end_id=datetime(1970, 1, 1, 0, 0, 0, 2000)) == ["1-1", "2-1"]
    assert len(ids(count=5_000)) == 5_000
    assert ids(start_id="5", end_id="4") == ids(count=0) == ids(consumer="nobody") == []
    assert len(ids(consumer="two")) == 1_001
    with pytest.raises(redcol.NoGroupError):
        redcol.list_pending(url, name, "other")
    with pytest.raises(redcol.NoGroupError):
        redcol.list_pending(url, name + "missing", "g")
    for wrong in ({"min_idle_ms": -1}, {"start_id": "x"}, {"count": "1"}, {"consumer": ""}):
        with pytest.raises(redcol.InvalidArgumentError):
            redcol.list_pending(url, name, "g", **wrong)


def test_more_streams_than_are_asked_at_once(any_db: redis.Redis, url: str, name: str) -> None:
    pipeline = any_db.pipeline(transaction=False)
    for number in range(3_000):
        stream = f"{name}{number:05}"
        pipeline.xadd(stream, {"n": number}, id="5-1")
        pipeline.xgroup_create(stream, "g", id="0")
        pipeline.xreadgroup("g", f"c{number}", {stream: ">"})
    pipeline.execute()
    expected = [f"{name}{number:05}" for number in range(3_000)]
    assert redcol.list_streams(url, name + "*")["stream"].to_list() == expected
    groups = redcol.list_groups(url, name + "*", exact=True)
    assert groups["stream"].to_list() == expected
    assert (groups["pending"].sum(), groups["lag_exact"].sum()) == (3_000, 0)
    assert groups["oldest_pending_ms"].null_count() == 0
    consumers = redcol.list_consumers(url, expected[::-1])
    assert consumers["consumer"].to_list() == [f"c{number}" for number in range(3_000)]


def test_large_entries_are_passed_over(server: Server, db: redis.Redis, name: str) -> None:
    """XINFO STREAM has the first and the last entry whole: more than any other answer may have."""
    for number in (1, 2):
        db.xadd(name, {"a": b"x" * 20_000_000, "b": 1}, id=f"{number}-0")
    frame = redcol.list_streams(server.url, name)
    assert frame.select("first_id", "last_id").rows() == [("1-0", "2-0")]
    db.xgroup_create(name, "g", id="0")
    assert redcol.list_groups(server.url, name, exact=True)["lag_exact"].item() == 2
    db.delete(name)


def test_keys_that_vanish_during_the_search() -> None:
    """A server that finds a key which is gone then, and one that is of another type then."""

    def answer(command: list[bytes]) -> bytes:
        if command[0] == b"HELLO":
            return b"*2\r\n$5\r\nproto\r\n:2\r\n"
        if command[0] == b"SCAN":
            return b"*2\r\n$1\r\n0\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"
        if command[0] == b"MEMORY":
            return b"-NOPERM this user has no permissions to run the 'memory|usage' command\r\n"
        return {
            b"a": b"-ERR no such key\r\n",
            b"b": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
            b"c": b"*2\r\n$6\r\nlength\r\n:7\r\n",
        }[command[2]]

    with FakeServer(answer) as fake:
        frame = redcol.list_streams(fake.url, "*")
        assert frame.select("stream", "length", "bytes").rows() == [("c", 7, None)]
        with pytest.raises(redcol.WrongTypeError):
            redcol.list_streams(fake.url, ["a", "b"])


def test_rights(server: Server, db: redis.Redis, name: str) -> None:
    add(db, name, 3)
    db.xgroup_create(name, "g", id="0")
    db.xreadgroup("g", "c", {name: ">"}, count=1)

    def user(*rights: str) -> str:
        db.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", "~*", *rights)
        return server.url.replace("unix://", f"unix://{name}:pw@")

    url = user("+xinfo", "+scan")
    assert redcol.list_streams(url, name + "*")["bytes"].to_list() == [None]
    groups = redcol.list_groups(url, name)
    assert groups.select("pending", "oldest_pending_ms").rows() == [(1, None)]
    assert len(redcol.list_consumers(url, name)) == 1
    for call, command in (
        (lambda: redcol.list_groups(url, name, exact=True), "XREVRANGE"),
        (lambda: redcol.list_pending(url, name, "g"), "XPENDING"),
    ):
        with pytest.raises(redcol.PermissionDeniedError, match=f"{command}.*allows {command}"):
            call()
    url = user("+xpending")
    assert len(redcol.list_pending(url, name, "g")) == 1
    with pytest.raises(redcol.PermissionDeniedError, match="XINFO STREAM"):
        redcol.list_streams(url, name)
    with pytest.raises(redcol.PermissionDeniedError, match="SCAN"):
        redcol.list_streams(url, name + "*")
    db.execute_command("ACL", "DELUSER", name)


@pytest.mark.parametrize("answer", [b":1\r\n", b"*1\r\n$1\r\na\r\n", b"*1\r\n*1\r\n:1\r\n", b"?"])
def test_answers_that_no_server_should_send(answer: bytes) -> None:
    with FakeServer(
        lambda command: b"*2\r\n$5\r\nproto\r\n:2\r\n" if command[0] == b"HELLO" else answer
    ) as fake:
        for call in (
            lambda: redcol.list_streams(fake.url, "s"),
            lambda: redcol.list_streams(fake.url, "*"),
            lambda: redcol.list_groups(fake.url, "s"),
            lambda: redcol.list_consumers(fake.url, "s", "g"),
            lambda: redcol.list_pending(fake.url, "s", "g"),
        ):
            with pytest.raises(redcol.ProtocolError):
                call()


def test_an_entry_that_was_given_back_is_nobodys() -> None:
    """Redis 8.8 and later, whose XNACK no server here has."""
    line = b"*1\r\n*4\r\n$3\r\n1-1\r\n$0\r\n\r\n:-1\r\n:2\r\n"
    with FakeServer(lambda command: line if command[0] == b"XPENDING" else b"+OK\r\n") as fake:
        frame = redcol.list_pending(fake.url, "s", "g", count=1)
    assert frame.rows() == [("1-1", 1, "", None, 2)]
