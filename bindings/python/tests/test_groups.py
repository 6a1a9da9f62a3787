# SPDX-License-Identifier: Apache-2.0
"""One-shot reads as a member of a consumer group, and reads that wait."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending, wait_for_blocked
from servers import Server

# The guide, block by block.


@pytest.fixture
def events(any_db: redis.Redis) -> redis.Redis:
    any_db.delete("events")
    for number in range(150):
        any_db.xadd("events", {"action": "click" if number % 2 else "view", "value": number})
    return any_db


def test_guide_basic_consumer_group(url: str, events: redis.Redis) -> None:
    df = redcol.read_stream(
        url, stream="events", group="analytics", consumer="worker-1", auto_ack=True
    )
    assert df.columns == ["_id", "_ts", "action", "value"]
    assert df["value"].to_list() == [str(number) for number in range(150)]
    assert events.xpending("events", "analytics")["pending"] == 0
    (group,) = events.xinfo_groups("events")
    assert group["last-delivered-id"].decode() == df["_id"][-1]


def test_guide_manual_acknowledgment(url: str, events: redis.Redis) -> None:
    df = redcol.read_stream(
        url, stream="events", group="analytics", consumer="worker-1", auto_ack=False
    )
    assert events.xpending("events", "analytics")["pending"] == len(df) == 150
    entry_ids = df["_id"].to_list()
    assert redcol.ack_entries(url, "events", "analytics", entry_ids) == 150
    assert events.xpending("events", "analytics")["pending"] == 0
    assert redcol.ack_entries(url, "events", "analytics", entry_ids) == 0


def test_guide_multiple_consumers(url: str, events: redis.Redis) -> None:
    frames = [
        redcol.read_stream(
            url, stream="events", group="analytics", consumer=consumer, count=100, auto_ack=True
        )
        for consumer in ("worker-1", "worker-2")
    ]
    assert [len(frame) for frame in frames] == [100, 50]
    assert pl.concat(frames)["value"].to_list() == [str(number) for number in range(150)]


def test_guide_blocking_read(url: str, events: redis.Redis) -> None:
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(
            redcol.read_stream, url, stream="events", start_id="$", block_ms=5000, count=100
        )
        wait_for_blocked(events)
        events.xadd("events", {"action": "new", "value": 150})
        df = reading.result(60)
    assert df.select("action", "value").rows() == [("new", "150")]


# What a member of a group gets.


def test_pending_until_acknowledged(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(5))
    df = redcol.read_stream(url, key, **GROUP, schema=SCHEMA)
    assert df.schema == pl.Schema({"_id": pl.String, "_ts": pl.Int64, "n": pl.Int64})
    assert df["n"].to_list() == [0, 1, 2, 3, 4]
    assert pending(any_db, key, "c") == ids
    assert redcol.ack_entries(url, key, "g", df) == 5
    assert pending(any_db, key) == []


def test_own_pending_entries_come_first(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(4))
    redcol.read_stream(url, key, **GROUP, count=3)
    redcol.ack_entries(url, key, "g", [ids[1]])
    df = redcol.read_stream(url, key, **GROUP, schema=SCHEMA, count=3, auto_ack=True)
    assert df["n"].to_list() == [0, 2, 3]
    assert pending(any_db, key) == []


def test_count_takes_no_more_than_it_returns(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(10))
    assert redcol.read_stream(url, key, **GROUP, count=0, schema=SCHEMA).shape == (0, 3)
    assert redcol.read_stream(url, key, **GROUP, count=4)["_id"].to_list() == ids[:4]
    assert pending(any_db, key) == ids[:4]
    other = redcol.read_stream(url, key, group="g", consumer="d")
    assert other["_id"].to_list() == ids[4:]


def test_more_than_a_page(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(25_000))
    assert redcol.read_stream(url, key, **GROUP)["_id"].to_list() == ids
    again = redcol.read_stream(url, key, **GROUP, auto_ack=True)
    assert again["_id"].to_list() == ids
    assert any_db.xpending(key, "g")["pending"] == 0


@pytest.mark.parametrize("schema", [SCHEMA, None])
def test_nothing_to_read(url: str, key: str, schema: dict[str, object] | None) -> None:
    df = redcol.read_stream(url, key, **GROUP, schema=schema, auto_ack=True)
    assert df.columns == ["_id", "_ts", *(schema or ())]
    assert df.dtypes[:2] == [pl.String, pl.Int64]
    assert len(df) == 0


def test_columns_without_a_schema(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xadd(key, {"a": 1})
    any_db.xadd(key, {"b": 2, "a": 3})
    df = redcol.read_stream(url, key, **GROUP, include_sequence=True, include_timestamp=False)
    assert df.columns == ["_id", "_seq", "a", "b"]
    assert df.select("a", "b").rows() == [("1", None), ("3", "2")]


def test_claiming_what_others_hold(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(6))
    redcol.read_stream(url, key, group="g", consumer="other", count=2)
    redcol.read_stream(url, key, **GROUP, count=2)
    # No claiming is the default; and what is not idle for so long is not taken.
    for claim_idle_ms in (None, 60_000):
        df = redcol.read_stream(url, key, **GROUP, count=2, claim_idle_ms=claim_idle_ms)
        assert df["_id"].to_list() == ids[2:4]
    df = redcol.read_stream(url, key, **GROUP, claim_idle_ms=0)
    assert df["_id"].to_list() == ids[2:4] + ids[:2] + ids[4:]
    assert pending(any_db, key, "c") == ids


@pytest.mark.parametrize("exists", [True, False], ids=["stream", "no stream"])
def test_a_missing_group_is_not_made(url: str, any_db: redis.Redis, key: str, exists: bool) -> None:
    if exists:
        add(any_db, key, range(2))
    with pytest.raises(redcol.NoGroupError, match="XGROUP CREATE") as caught:
        redcol.read_stream(url, key, **GROUP, create_group=False)
    assert caught.value.stream == key
    assert any_db.exists(key) == exists
    with pytest.raises(redcol.NoGroupError):
        redcol.read_stream(url, key, **GROUP, create_group=False, block_ms=100)
    with pytest.raises(redcol.NoGroupError):
        redcol.ack_entries(url, key, "g", ["1-1"])


def test_where_a_new_group_begins(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(4))
    for group, start, expected in (("0", "0", ids), ("new", "$", []), ("id", ids[1], ids[2:])):
        df = redcol.read_stream(url, key, group=group, consumer="c", group_start_id=start)
        assert df["_id"].to_list() == expected
    ids += add(any_db, key, range(1))
    # For a group that is there already it means nothing.
    df = redcol.read_stream(url, key, group="new", consumer="c", group_start_id="0")
    assert df["_id"].to_list() == ids[-1:]


def test_a_group_that_exists(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(4))
    any_db.xgroup_create(key, "g", ids[1])
    for create_group in (True, False):
        df = redcol.read_stream(url, key, **GROUP, create_group=create_group)
        assert df["_id"].to_list() == ids[2:]


def test_a_key_of_another_type(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.set(key, "text")
    for create_group in (True, False):
        with pytest.raises(redcol.WrongTypeError):
            redcol.read_stream(url, key, **GROUP, create_group=create_group)
    with pytest.raises(redcol.WrongTypeError):
        redcol.read_stream(url, key, block_ms=100)


def test_a_value_that_does_not_fit(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, [1])
    bad = any_db.xadd(key, {"n": "x"}).decode()
    with pytest.raises(redcol.ValueConversionError) as caught:
        redcol.read_stream(url, key, **GROUP, schema=SCHEMA, auto_ack=True)
    assert (caught.value.entry_id, caught.value.field) == (bad, "n")
    assert len(pending(any_db, key)) == 2  # nothing was returned, so nothing is acknowledged
    df = redcol.read_stream(url, key, **GROUP, schema=SCHEMA, auto_ack=True, on_error="null")
    assert df["n"].to_list() == [1, None]
    assert pending(any_db, key) == []


def test_json_that_does_not_fit(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xadd(key, {"point": '{"x": 1}'})
    any_db.xadd(key, {"point": '{"x":'})
    schema = {"point": pl.Struct({"x": pl.Int64})}
    with pytest.raises(redcol.ValueConversionError):
        redcol.read_stream(url, key, **GROUP, schema=schema, auto_ack=True)
    assert len(pending(any_db, key)) == 2


def test_deleted_pending_entries(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(5))
    redcol.read_stream(url, key, **GROUP, count=4)
    any_db.xdel(key, ids[1], ids[2])
    df = redcol.read_stream(url, key, **GROUP)
    assert df["_id"].to_list() == [ids[0], *ids[3:]]
    assert pending(any_db, key) == [ids[0], *ids[3:]]


# Waiting.


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
@pytest.mark.parametrize("block_ms", [0, 30_000])
def test_waiting_for_a_producer(
    url: str, any_db: redis.Redis, key: str, group: dict[str, str], block_ms: int
) -> None:
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(
            redcol.read_stream, url, key, block_ms=block_ms, schema=SCHEMA, **group
        )
        wait_for_blocked(any_db)
        add(any_db, key, [7])
        assert reading.result(60)["n"].to_list() == [7]


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_waiting_in_vain(url: str, any_db: redis.Redis, key: str, group: dict[str, str]) -> None:
    began = time.monotonic()
    df = redcol.read_stream(url, key, block_ms=1_200, schema=SCHEMA, **group)
    assert 1.2 <= time.monotonic() - began < 10
    assert df.schema == pl.Schema({"_id": pl.String, "_ts": pl.Int64, "n": pl.Int64})
    assert len(df) == 0
    df = redcol.read_stream(url, key, block_ms=1, include_sequence=True, **group)
    assert df.columns == ["_id", "_ts", "_seq"]


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_what_is_there_is_not_waited_for(
    url: str, any_db: redis.Redis, key: str, group: dict[str, str]
) -> None:
    add(any_db, key, range(3))
    began = time.monotonic()
    df = redcol.read_stream(url, key, block_ms=0, count=5, schema=SCHEMA, **group)
    assert df["n"].to_list() == [0, 1, 2]
    assert time.monotonic() - began < 20


def test_waiting_goes_on_after_an_id(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(4))
    df = redcol.read_stream(url, key, start_id=ids[1], block_ms=0)
    assert df["_id"].to_list() == ids[2:]
    df = redcol.read_stream(url, key, start_id="-", end_id=ids[1], block_ms=0)
    assert df["_id"].to_list() == ids[:2]


def test_every_entry_after_the_dollar_is_seen(url: str, any_db: redis.Redis, key: str) -> None:
    """A producer that never pauses: the first frame begins right after the last id of then."""
    stop = threading.Event()

    def produce() -> None:
        with any_db.client() as db:
            number = 0
            while not stop.is_set():
                db.xadd(key, {"n": number})
                number += 1

    with ThreadPoolExecutor(1) as pool:
        producing = pool.submit(produce)
        try:
            for _ in range(10):
                df = redcol.read_stream(url, key, start_id="$", block_ms=0, schema=SCHEMA)
                numbers = df["n"].to_list()
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        finally:
            stop.set()
        producing.result(60)


# Access rules.


def login(server: Server, user: str) -> str:
    return server.url.replace("unix://", f"unix://{user}:pw@")


def test_the_least_rights(any_server: Server, any_db: redis.Redis, key: str) -> None:
    rights = "+xreadgroup +xpending +xack +xautoclaim"
    any_db.execute_command(f"ACL SETUSER member on >pw {rights} ~{key}")
    url = login(any_server, "member")
    add(any_db, key, range(3))
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "other", {key: ">"}, count=1)
    for create_group in (False, True):  # it may not make groups, but this one is there
        df = redcol.read_stream(
            url, key, **GROUP, create_group=create_group, claim_idle_ms=0, schema=SCHEMA
        )
        assert sorted(df["n"]) == [0, 1, 2]
    assert redcol.ack_entries(url, key, "g", df) == 3
    add(any_db, key, range(3, 6))
    arguments = {"auto_ack": True, "on_idle": "stop", "block_ms": 20, "schema": SCHEMA}
    with redcol.iter_stream(url, key, **GROUP, **arguments) as batches:
        assert [n for batch in batches for n in batch["n"]] == [3, 4, 5]
    assert pending(any_db, key) == []


def test_a_missing_right(any_server: Server, any_db: redis.Redis, key: str) -> None:
    any_db.execute_command(f"ACL SETUSER poor on >pw +xreadgroup ~{key}")
    url = login(any_server, "poor")
    with pytest.raises(redcol.NoGroupError):  # it may not be made, so it must be there
        redcol.read_stream(url, key, **GROUP, create_group=False)
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    with pytest.raises(redcol.PermissionDeniedError, match="ACL"):
        redcol.ack_entries(url, key, "g", ["1-1"])


def test_a_group_that_may_not_be_made(any_server: Server, any_db: redis.Redis, key: str) -> None:
    any_db.execute_command(f"ACL SETUSER member2 on >pw +xreadgroup +xpending +xack ~{key}")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(redcol.read_stream, login(any_server, "member2"), key, **GROUP)
        with pytest.raises(redcol.PermissionDeniedError):
            reading.result(60)


# One client for many calls.


def test_a_client_in_place_of_a_url(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(6))
    made = any_db.info("stats")["total_connections_received"]
    with redcol.connect(url) as client:
        for _ in range(3):
            df = redcol.read_stream(client, key, **GROUP, count=2)
            assert redcol.ack_entries(client, key, "g", df) == 2
    assert any_db.info("stats")["total_connections_received"] == made + 1
    assert pending(any_db, key) == []


def test_acknowledging_very_many(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(30_000))
    df = redcol.read_stream(url, key, **GROUP)
    assert redcol.ack_entries(url, key, "g", df["_id"]) == 30_000
    assert any_db.xpending(key, "g")["pending"] == 0
