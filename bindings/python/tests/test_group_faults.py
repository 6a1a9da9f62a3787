# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost: what comes back and when, and what is put away."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, ids_of, pending

STOP = {"on_idle": "stop", "block_ms": 250}


# What comes first.


def test_own_then_claimed_then_new(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(9))
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "other", {key: ">"}, count=3)
    any_db.xreadgroup("g", "c", {key: ">"}, count=3)
    with redcol.iter_stream(url, key, **GROUP, claim_idle_ms=0, auto_ack=True, **STOP) as batches:
        assert ids_of(batches) == ids[3:6] + ids[:3] + ids[6:]
        stats = batches.stats
    assert (stats.delivered, stats.redelivered, stats.claimed) == (9, 6, 3)
    assert (stats.acknowledged, pending(any_db, key)) == (9, [])


def test_new_entries_are_not_starved(url: str, any_db: redis.Redis, key: str) -> None:
    old = add(any_db, key, range(2_000))
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "other", {key: ">"})
    new = add(any_db, key, range(100))
    with redcol.iter_stream(
        url, key, **GROUP, batch_size=20, claim_idle_ms=0, auto_ack=True
    ) as batches:
        first = ids_of(itertools.islice(batches, 10))
        assert 60 <= len(set(first) & set(new)) <= 140
        rest = ids_of(itertools.islice(batches, 95))
    assert sorted(first + rest) == sorted(old + new)
    assert any_db.xpending(key, "g")["pending"] == 0


def test_a_dead_consumers_entries_are_claimed(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(30))
    members = [
        redcol.iter_stream(
            url,
            key,
            group="g",
            consumer=f"c{n}",
            batch_size=5,
            claim_idle_ms=1_000,
            auto_ack=True,
            # Asked at once, so that what it has in hand does not idle for long enough.
            on_idle="empty",
            block_ms=10,
        )
        for n in range(3)
    ]
    first = [next(member)["_id"].to_list() for member in members]
    members[0].close()
    done = first[1] + first[2]
    deadline = time.monotonic() + 60
    while len(done) < len(ids):
        assert time.monotonic() < deadline
        for member in members[1:]:
            done += next(member)["_id"].to_list()
    assert sorted(done) == sorted(ids)
    assert sum(member.stats.claimed for member in members[1:]) >= 5
    assert set(first[0]) <= set(done)
    for member in members:
        member.close()


def test_entries_in_hand_are_not_claimed_back(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    with redcol.iter_stream(
        url, key, **GROUP, claim_idle_ms=50, on_idle="empty", block_ms=20
    ) as batches:
        held = next(batches)
        began = time.monotonic()
        while time.monotonic() - began < 0.3:
            assert len(next(batches)) == 0
        new = add(any_db, key, range(1))
        while not len(frame := next(batches)):
            pass
        assert (held["_id"].to_list(), frame["_id"].to_list()) == (ids, new)
        assert batches.stats[:5] == (4, 0, 0, 0, 0)
        # Nor has the server counted that as deliveries, which would make dead letters of them.
        lines = any_db.xpending_range(key, "g", "-", "+", 10)
        assert [line["times_delivered"] for line in lines] == [1, 1, 1, 1]
        assert batches.ack() == 4


def test_a_lost_connection_redelivers_nothing_in_hand(
    url: str, any_db: redis.Redis, key: str
) -> None:
    ids = add(any_db, key, range(6))
    with redcol.iter_stream(
        url, key, **GROUP, batch_size=2, auto_ack=True, schema=SCHEMA
    ) as batches:
        seen = [next(batches)]
        for _ in range(2):
            any_db.client_kill_filter(_type="normal", skipme=True)
            seen.append(next(batches))
        assert ids_of(seen) == ids
        assert batches.stats.reconnects == 2
    assert pending(any_db, key) == []


# Deleted while pending.


@pytest.mark.parametrize("whose", ["own", "claimed"])
def test_deleted_pending_entries(url: str, any_db: redis.Redis, key: str, whose: str) -> None:
    ids = add(any_db, key, range(10))
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "c" if whose == "own" else "other", {key: ">"}, count=8)
    any_db.xdel(key, *ids[1:7])
    with redcol.iter_stream(
        url, key, **GROUP, batch_size=3, claim_idle_ms=0, auto_ack=True, **STOP
    ) as batches:
        # New ones come between those that are claimed.
        assert sorted(ids_of(batches)) == sorted([ids[0], *ids[7:]])
        assert batches.stats.deleted == 6
        assert batches.stats.redelivered == 2
    assert pending(any_db, key) == []


# Entries that keep failing.


def test_dead_letters(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    ids.append(any_db.xadd(key, {"n": "7", "text": "ü", "n2": ""}).decode())
    arguments = {"max_deliveries": 2, "dead_letter": f"{key}-dead", "claim_idle_ms": 0, **STOP}
    for consumer in ("a", "b"):
        with redcol.iter_stream(url, key, group="g", consumer=consumer, **arguments) as batches:
            assert ids_of(batches) == ids
            batches.ack(ids[1:-1])
            ids = [ids[0], ids[-1]]
    assert len(pending(any_db, key)) == 2
    with redcol.iter_stream(url, key, **GROUP, **arguments) as batches:
        assert ids_of(batches) == []
        assert batches.stats.dead_lettered == 2
        assert batches.stats.delivered == 0
    assert pending(any_db, key) == []
    dead = redcol.read_stream(url, f"{key}-dead")
    assert dead["dead_id"].to_list() == ids
    assert (
        dead.select("dead_stream", "dead_group", "dead_consumer", "dead_deliveries").rows()
        == [(key, "g", "b", "2")] * 2
    )
    assert dead.select("n", "text", "n2").rows() == [("0", None, None), ("7", "ü", "")]


def test_own_entries_that_were_delivered_too_often(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    arguments = {"max_deliveries": 3, "dead_letter": f"{key}-dead", **STOP}
    for turn in range(5):
        with redcol.iter_stream(url, key, **GROUP, **arguments) as batches:
            assert ids_of(batches) == (ids if turn < 3 else [])
    assert any_db.xlen(f"{key}-dead") == 3
    assert pending(any_db, key) == []


def test_a_dead_letter_and_its_acknowledgement_are_one(
    url: str, any_db: redis.Redis, key: str
) -> None:
    add(any_db, key, range(1))
    any_db.set(f"{key}-dead", "no stream")
    arguments = {"max_deliveries": 1, "dead_letter": f"{key}-dead", **STOP}
    with redcol.iter_stream(url, key, **GROUP, **arguments) as batches:
        assert len(list(batches)) == 1
    with redcol.iter_stream(url, key, **GROUP, **arguments) as batches:
        with pytest.raises(redcol.WrongTypeError):
            next(batches)
        assert len(pending(any_db, key)) == 1
        any_db.delete(f"{key}-dead")
        assert list(batches) == []
        assert batches.stats.dead_lettered == 1
    assert (pending(any_db, key), any_db.xlen(f"{key}-dead")) == ([], 1)


# Values that do not fit.


@pytest.mark.parametrize("auto_ack", [True, False])
def test_a_value_that_does_not_fit(url: str, any_db: redis.Redis, key: str, auto_ack: bool) -> None:
    good = add(any_db, key, range(3))
    bad = any_db.xadd(key, {"n": "no number"}).decode()
    good += add(any_db, key, range(3, 5))
    with redcol.iter_stream(url, key, **GROUP, schema=SCHEMA, auto_ack=auto_ack) as batches:
        assert next(batches)["n"].to_list() == [0, 1, 2]
        with pytest.raises(redcol.ValueConversionError, match="no number") as caught:
            next(batches)
        assert (caught.value.stream, caught.value.entry_id) == (key, bad)
        assert (caught.value.field, caught.value.dtype) == ("n", "Int64")
        assert next(batches)["n"].to_list() == [3, 4]
    assert pending(any_db, key) == ([bad] if auto_ack else [*good[:3], bad, *good[3:]])


@pytest.mark.parametrize("on_error", ["raise", "null"])
def test_json_that_does_not_fit(url: str, any_db: redis.Redis, key: str, on_error: str) -> None:
    texts = ['{"x": 1}', '{"x": 2}', '{"x": 3}', '{"x":', '{"x": 4}', '{"x": 5}']
    ids = [any_db.xadd(key, {"j": text}).decode() for text in texts]
    schema = {"j": pl.Struct({"x": pl.Int64})}
    with redcol.iter_stream(
        url, key, **GROUP, schema=schema, auto_ack=True, batch_size=2, on_error=on_error
    ) as batches:
        assert next(batches)["j"].to_list() == [{"x": 1}, {"x": 2}]
        if on_error == "null":
            assert next(batches)["j"].to_list() == [{"x": 3}, None]
        else:
            assert next(batches)["j"].to_list() == [{"x": 3}]
            with pytest.raises(redcol.ValueConversionError) as caught:
                next(batches)
            assert (caught.value.entry_id, caught.value.field) == (ids[3], "j")
            assert pending(any_db, key)[:1] == ids[3:4]
        assert next(batches)["j"].to_list() == [{"x": 4}, {"x": 5}]
        assert pending(any_db, key) == ids[3 if on_error == "raise" else 4 :]
        assert batches.ack() == 2
    assert pending(any_db, key) == (ids[3:4] if on_error == "raise" else [])


@pytest.mark.parametrize("streams", [1, 2])
def test_json_without_auto_ack(url: str, any_db: redis.Redis, key: str, streams: int) -> None:
    keys = [f"{key}-{number}" for number in range(streams)]
    for name in keys:
        for text in ("[1]", "[2", "[3]"):
            any_db.xadd(name, {"j": text})
    arguments = {"schema": {"j": pl.List(pl.Int64)}, "include_id": False, "block_ms": 0}
    with redcol.iter_stream(url, keys, **GROUP, **arguments) as batches:
        got = []
        for name in keys:
            got += [next(batches)["j"].to_list() for _ in range(1)]
            with pytest.raises(redcol.ValueConversionError) as caught:
                next(batches)
            assert caught.value.stream == name
        got.append(next(batches)["j"].to_list())
        assert [value for values in got for (value,) in values] == [1, 3] * streams
        assert batches.ack() == 2 * streams
        assert batches.ack() == 0
    assert [len(pending(any_db, name)) for name in keys] == [1] * streams


def test_members_come_and_go(url: str, any_db: redis.Redis, key: str) -> None:
    """Eight members share a stream; each takes some batches and leaves one in hand."""
    ids = add(any_db, key, range(1_000))
    got: list[str] = []
    lock = threading.Lock()

    def member(number: int) -> None:
        batches = redcol.iter_stream(
            url, key, group="g", consumer=f"c{number}", batch_size=10, auto_ack=True
        )
        for _ in range(6):
            frame = next(batches)
            with lock:
                got.extend(frame["_id"])
        batches.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(member, range(8)))
    assert len(got) == len(set(got)) == 480
    assert len(pending(any_db, key)) == 80
    with redcol.iter_stream(
        url, key, **GROUP, batch_size=100, claim_idle_ms=0, auto_ack=True, **STOP
    ) as batches:
        rest = ids_of(batches)
    assert sorted(set(got) | set(rest)) == sorted(ids)
    assert len(rest) == 600
    assert any_db.xpending(key, "g")["pending"] == 0


def test_a_group_that_goes_back(url: str, any_db: redis.Redis, key: str) -> None:
    """As after a failover to a server that did not know its position: entries come as new ones."""
    for n in range(4):
        any_db.xadd(key, {"n": n}, id=f"{n + 1}-1")
    with redcol.iter_stream(url, key, **GROUP, schema=SCHEMA, auto_ack=True) as batches:
        assert next(batches)["n"].to_list() == [0, 1, 2, 3]
        assert batches.stats.redelivered == 0
        any_db.xgroup_setid(key, GROUP["group"], "2-1")
        any_db.xadd(key, {"n": 4})
        rows = next(batches)["n"].to_list()
        while rows[-1] != 4:
            rows += next(batches)["n"].to_list()
        assert rows == [2, 3, 4]
        assert batches.stats.redelivered == 2
        assert batches.stats.delivered == 7
