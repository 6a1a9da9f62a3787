# SPDX-License-Identifier: Apache-2.0
"""docs/migrating.md: what differs between a loop with redis-py and redcol, both of them run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from servers import Server

MEMBER = {"group": "g", "consumer": "c", "on_idle": "stop"}


@pytest.fixture
def url(server: Server) -> str:
    return server.url


@pytest.fixture
def text_db(db: redis.Redis) -> Iterator[redis.Redis]:
    """A client of redis-py that decodes, as loops use it."""
    settings: dict[str, Any] = {**db.connection_pool.connection_kwargs, "decode_responses": True}
    pool = redis.ConnectionPool(db.connection_pool.connection_class, **settings)
    with redis.Redis(connection_pool=pool) as client:
        yield client
    pool.disconnect()


def loop(db: redis.Redis, key: str) -> list[dict[str, Any]]:
    """What the page's loop gets."""
    reply = db.xreadgroup("g", "c", {key: ">"}, count=1_000)
    return [{"_id": entry_id, **fields} for entry_id, fields in reply[0][1]] if reply else []


def read(url: str, key: str, **arguments: Any) -> pl.DataFrame:
    with redcol.iter_stream(url, key, **MEMBER, **arguments) as batches:
        frames = list(batches)
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def test_the_same_rows(url: str, text_db: redis.Redis, key: str) -> None:
    for number in range(5):
        text_db.xadd(key, {"n": number})
    text_db.xgroup_create(key, "g", "0")
    rows = loop(text_db, key)
    text_db.xgroup_setid(key, "g", "0")
    text_db.xack(key, "g", *(row["_id"] for row in rows))
    assert read(url, key).select("_id", "n").rows(named=True) == rows


def test_a_restart(url: str, text_db: redis.Redis, key: str) -> None:
    text_db.xadd(key, {"n": 1})
    text_db.xgroup_create(key, "g", "0")
    assert len(loop(text_db, key)) == 1
    assert loop(text_db, key) == []  # as after a crash
    assert read(url, key)["n"].to_list() == ["1"]


def test_a_worker_that_is_gone(url: str, text_db: redis.Redis, key: str) -> None:
    text_db.xadd(key, {"n": 1})
    text_db.xgroup_create(key, "g", "0")
    text_db.xreadgroup("g", "gone", {key: ">"})
    assert loop(text_db, key) == []
    assert read(url, key, claim_idle_ms=0)["n"].to_list() == ["1"]


def test_fields_that_are_late_or_missing(url: str, text_db: redis.Redis, key: str) -> None:
    for number in range(150):
        text_db.xadd(key, {"n": number} | ({"late": "x"} if number == 120 else {}))
    text_db.xgroup_create(key, "g", "0")
    rows = loop(text_db, key)
    assert "late" not in rows[0]
    assert "late" not in pl.DataFrame(rows).columns
    text_db.xack(key, "g", *(row["_id"] for row in rows))
    text_db.xgroup_setid(key, "g", "0")
    late = read(url, key, batch_size=1_000)["late"]
    assert (late.null_count(), late[120]) == (149, "x")


def test_a_value_that_does_not_fit(url: str, text_db: redis.Redis, key: str) -> None:
    text_db.xadd(key, {"n": "1"})
    bad = text_db.xadd(key, {"n": "many"})
    text_db.xgroup_create(key, "g", "0")
    with pytest.raises(pl.exceptions.InvalidOperationError) as by_hand:
        pl.DataFrame(loop(text_db, key)).cast({"n": pl.Int64})
    assert bad not in str(by_hand.value)
    with pytest.raises(redcol.ValueConversionError) as caught:
        read(url, key, schema={"n": int})
    assert (caught.value.entry_id, caught.value.stream) == (bad, key)


def test_bytes_that_are_no_text(url: str, text_db: redis.Redis, key: str) -> None:
    text_db.xadd(key, {"n": b"\xff"})
    text_db.xgroup_create(key, "g", "0")
    with pytest.raises(UnicodeDecodeError):
        loop(text_db, key)
    assert read(url, key, discover="auto")["n"].to_list() == [b"\xff"]


def test_a_pending_entry_that_was_deleted(url: str, text_db: redis.Redis, key: str) -> None:
    deleted = text_db.xadd(key, {"n": 1})
    text_db.xadd(key, {"n": 2})
    text_db.xgroup_create(key, "g", "0")
    loop(text_db, key)
    text_db.xdel(key, deleted)
    ((_, pending),) = text_db.xreadgroup("g", "c", {key: "0"})
    assert [entry_id for entry_id, fields in pending if not fields] == [deleted]
    assert read(url, key, auto_ack=True)["n"].to_list() == ["2"]
    assert text_db.xpending(key, "g")["pending"] == 0


def test_a_group_that_was_deleted(url: str, text_db: redis.Redis, key: str) -> None:
    text_db.xadd(key, {"n": 1})
    text_db.xgroup_create(key, "g", "0")
    with redcol.iter_stream(url, key, **MEMBER, block_ms=60_000) as batches:
        batches.ack(next(batches))
        text_db.xgroup_destroy(key, "g")
        text_db.xadd(key, {"n": 2})
        with pytest.raises(redis.ResponseError, match="NOGROUP"):
            loop(text_db, key)
        assert "2" in next(batches)["n"].to_list()
