# SPDX-License-Identifier: Apache-2.0
"""Entries that are deleted when they are acknowledged: `after_ack`."""

from __future__ import annotations

import polars as pl
import pytest
import redis

import redcol
from clusters import Cluster
from grouping import GROUP, SCHEMA, add, pending
from servers import Server

STOP = {"on_idle": "stop", "block_ms": 100}
DELETE = {**GROUP, "after_ack": "delete", "schema": SCHEMA}


def left(db: redis.Redis, key: str) -> list[str]:
    return [entry_id.decode() for entry_id, _ in db.xrange(key)]


def test_they_are_deleted_when_they_are_acknowledged(
    url: str, any_db: redis.Redis, key: str
) -> None:
    ids = add(any_db, key, range(700))
    with redcol.iter_stream(url, key, **DELETE, batch_size=600, **STOP) as batches:
        frame = next(batches)
        assert left(any_db, key) == ids
        assert batches.ack(frame.head(500)) == 500
        assert left(any_db, key) == ids[500:]
        # Nothing happens a second time.
        assert batches.ack(frame.head(500)) == 0
        next(batches)
        assert batches.ack() == 200
        assert left(any_db, key) == pending(any_db, key) == []
        assert batches.stats.acknowledged == 700


def test_automatically(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(9))
    with redcol.iter_stream(url, key, **DELETE, auto_ack=True, batch_size=3, **STOP) as batches:
        next(batches)
        next(batches)
        next(batches)
        assert left(any_db, key)[-3:] == ids[6:]
    assert left(any_db, key) == pending(any_db, key) == []


def test_an_entry_that_another_group_needs_stays(url: str, any_db: redis.Redis, key: str) -> None:
    """Ids of different lengths, which a comparison as texts would put into another order."""
    ids = ["9-9", "9-10", "10-1", "10-2", "100-1"]
    for entry_id in ids:
        any_db.xadd(key, {"n": 1}, id=entry_id)
    any_db.xgroup_create(key, "other", id="0")
    any_db.xreadgroup("other", "c", {key: ">"}, count=3)
    any_db.xack(key, "other", "9-9", "10-1")
    with redcol.iter_stream(url, key, **DELETE, **STOP) as batches:
        next(batches)
        assert batches.ack() == 5
    # Pending in the other group, or still to come there.
    assert left(any_db, key) == ["9-10", "10-2", "100-1"]
    assert pending(any_db, key) == []
    others = {**DELETE, "group": "other"}
    with redcol.iter_stream(url, key, **others, **STOP) as batches:
        assert pl.concat(batches)["_id"].to_list() == ["9-10", "10-2", "100-1"]
        assert batches.ack() == 3
    assert left(any_db, key) == []


def test_what_was_not_pending_stays(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    with redcol.iter_stream(url, key, **DELETE, batch_size=2, **STOP) as batches:
        next(batches)
        assert batches.ack(ids) == 2
        assert left(any_db, key) == ids[2:]


def test_a_group_that_is_gone(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    with redcol.iter_stream(url, key, **DELETE, **STOP) as batches:
        next(batches)
        any_db.xgroup_destroy(key, "g")
        assert batches.ack() == 0
        assert left(any_db, key) == ids
        any_db.delete(key)
        assert batches.ack(ids) == 0


def test_a_user_without_the_right_to_scripts(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    ids = add(any_db, key, range(3))
    any_db.acl_setuser(
        "plain", enabled=True, passwords=["+one"], keys=["*"], commands=["+@all", "-eval"],
        reset=True,
    )  # fmt: skip
    url = any_server.url.replace("unix://", "unix://plain:one@")
    with redcol.iter_stream(url, key, **DELETE, **STOP) as batches:
        next(batches)
        with pytest.raises(redcol.PermissionDeniedError):
            batches.ack()
    assert left(any_db, key) == pending(any_db, key) == ids
    any_db.acl_deluser("plain")


def test_a_user_who_may_not_delete(any_server: Server, any_db: redis.Redis, key: str) -> None:
    """Nothing is acknowledged that nobody would delete after that."""
    ids = add(any_db, key, range(3))
    version = any_db.info("server")["redis_version"].split(".")
    deletes = "-xackdel" if (int(version[0]), int(version[1])) >= (8, 2) else "-xdel"
    any_db.acl_setuser(
        "keeper", enabled=True, passwords=["+one"], keys=["*"], commands=["+@all", deletes],
        reset=True,
    )  # fmt: skip
    url = any_server.url.replace("unix://", "unix://keeper:one@")
    with redcol.iter_stream(url, key, **DELETE, **STOP) as batches:
        next(batches)
        with pytest.raises(redcol.RedcolError, match=r"can't run this command|no permissions"):
            batches.ack()
    assert left(any_db, key) == pending(any_db, key) == ids
    any_db.acl_deluser("keeper")


def test_it_needs_a_group(url: str, key: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="after_ack"):
        redcol.iter_stream(url, key, after_ack="delete")
    with pytest.raises(redcol.InvalidArgumentError, match="after_ack"):
        redcol.iter_stream(url, key, **GROUP, after_ack="trim")


def test_streams_of_a_cluster() -> None:
    with Cluster() as cluster:
        streams = [cluster.key_at(node, "retained") for node in cluster.primaries]
        for stream in streams:
            with cluster.db(stream) as db:
                add(db, stream, range(5))
        with redcol.iter_stream(cluster.url, streams, **DELETE, auto_ack=True, **STOP) as batches:
            assert sum(map(len, batches)) == 15
        for stream in streams:
            with cluster.db(stream) as db:
                assert left(db, stream) == pending(db, stream) == []
