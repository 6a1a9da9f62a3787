# SPDX-License-Identifier: Apache-2.0
"""Entries that are kept from being claimed while somebody works on them: `heartbeat_ms`."""

from __future__ import annotations

import logging
import os

import pytest
import redis

import redcol
from clusters import Cluster
from grouping import GROUP, SCHEMA, add, pending
from sentinels import wait_until
from servers import Server

BEATS = {**GROUP, "heartbeat_ms": 20, "schema": SCHEMA}


def lines(db: redis.Redis, key: str) -> list[dict]:
    return db.xpending_range(key, "g", "-", "+", 10_000)


def beats(db: redis.Redis) -> int:
    """How often a script has run."""
    return int(db.info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"])


def after_beats(db: redis.Redis, count: int = 3) -> None:
    before = beats(db)
    wait_until(lambda: beats(db) >= before + count)


def clients(db: redis.Redis) -> int:
    return int(db.info("clients")["connected_clients"])


def test_what_is_in_hand_does_not_idle(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(250))
    with redcol.iter_stream(url, key, **BEATS, batch_size=250) as batches:
        next(batches)
        any_db.xclaim(key, "g", "c", 0, ids, idle=3_600_000, justid=True)
        # Nobody else could claim them before the hour has gone back to nothing.
        wait_until(lambda: max(line["time_since_delivered"] for line in lines(any_db, key)) < 3_600)
        assert {line["times_delivered"] for line in lines(any_db, key)} == {1}
        assert pending(any_db, key, "c") == ids
        assert batches.ack() == 250


def test_a_claimed_entry_is_not_stolen_back(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    with redcol.iter_stream(url, key, **BEATS) as batches:
        next(batches)
        any_db.xclaim(key, "g", "other", 0, ids[:1])
        after_beats(any_db)
        assert pending(any_db, key, "other") == ids[:1]
        assert pending(any_db, key, "c") == ids[1:]


def test_it_ends_with_the_acknowledgement(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    with redcol.iter_stream(url, key, **BEATS) as batches:
        next(batches)
        after_beats(any_db)
        assert batches.ack(ids[:1]) == 1
        after_beats(any_db)
        assert pending(any_db, key) == ids[1:]


@pytest.mark.parametrize("end", ["close", "del"])
def test_it_ends_with_the_iterator(url: str, any_db: redis.Redis, key: str, end: str) -> None:
    before = clients(any_db)
    add(any_db, key, range(3))
    batches = redcol.iter_stream(url, key, **BEATS)
    next(batches)
    after_beats(any_db)
    if end == "close":
        batches.close()
    del batches
    wait_until(lambda: clients(any_db) == before)
    assert len(pending(any_db, key)) == 3


def test_it_goes_on_after_a_lost_connection(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(3))
    with redcol.iter_stream(url, key, **BEATS) as batches:
        next(batches)
        after_beats(any_db)
        any_db.client_kill_filter(_type="normal", skipme=True)
        after_beats(any_db)


def test_a_beat_that_fails_is_logged_with_the_next_batch(
    any_server: Server, any_db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    add(any_db, key, range(4))
    any_db.acl_setuser(
        "still", enabled=True, passwords=["+one"], keys=["*"], commands=["+@all", "-eval"],
        reset=True,
    )  # fmt: skip
    url = any_server.url.replace("unix://", "unix://still:one@")
    with (
        caplog.at_level(logging.WARNING, "redcol"),
        redcol.iter_stream(
            url, key, **BEATS, batch_size=1, on_idle="empty", block_ms=10
        ) as batches,
    ):
        wait_until(lambda: len(next(batches)) < 2 and "kept from idling" in caplog.text)
        assert "eval" in caplog.text.lower()
    any_db.acl_deluser("still")


def test_a_child_process_has_no_heartbeat(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(3))
    with redcol.iter_stream(url, key, **BEATS) as batches:
        next(batches)
        after_beats(any_db)
        child = os.fork()
        if child == 0:
            try:
                batches.close()
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        after_beats(any_db)


def test_streams_of_a_cluster() -> None:
    with Cluster() as cluster:
        streams = [cluster.key_at(node, "beating") for node in cluster.primaries]
        for stream in streams:
            with cluster.db(stream) as db:
                add(db, stream, [1])
        with redcol.iter_stream(cluster.url, streams, **BEATS) as batches:
            assert sum(len(next(batches)) for _ in streams) == 3
            for stream in streams:
                with cluster.db(stream) as db:
                    after_beats(db)


def test_it_needs_a_group(url: str, key: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="heartbeat_ms"):
        redcol.iter_stream(url, key, heartbeat_ms=20)
    with pytest.raises(redcol.InvalidArgumentError, match="heartbeat_ms"):
        redcol.iter_stream(url, key, **GROUP, heartbeat_ms=0)
