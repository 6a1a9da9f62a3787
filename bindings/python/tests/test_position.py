# SPDX-License-Identifier: Apache-2.0
"""Where an iterator is in its streams, how far it is behind, and what else its `stats` tell."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
import redis

import redcol
from clusters import Cluster
from grouping import GROUP, SCHEMA, add, wait_for_blocked
from redcol import _native
from servers import SERVERS, FakeServer, Server

STOP = {"on_idle": "stop", "block_ms": 100}


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_the_position_is_that_of_the_last_batch(
    url: str, any_db: redis.Redis, key: str, group: dict[str, str]
) -> None:
    ids = add(any_db, key, range(7))
    with redcol.iter_stream(url, key, **group, batch_size=3, schema=SCHEMA, **STOP) as batches:
        assert batches.position == {key: None}
        assert batches.stats.last_entry_id is None
        for end, lag in ((2, 4), (5, 1), (6, 0)):
            next(batches)
            assert batches.position == {key: ids[end]}
            assert batches.stats.last_entry_id == ids[end]
            # In a group, all that was delivered to a member is no longer to come.
            assert batches.lag() == {key: lag}
        assert list(batches) == []
        assert batches.position == {key: ids[-1]}
    assert batches.position == {key: ids[-1]}  # also after it is closed


def test_another_iterator_continues_at_the_position(
    url: str, any_db: redis.Redis, key: str
) -> None:
    add(any_db, key, range(7))
    with redcol.iter_stream(url, key, batch_size=3, schema=SCHEMA, **STOP) as batches:
        next(batches)
        position = batches.position[key]
    with redcol.iter_stream(url, key, start_id=position, schema=SCHEMA, **STOP) as rest:
        assert rest.position == {key: position}
        assert rest.lag() == {key: 4}
        assert [n for frame in rest for n in frame["n"]] == [3, 4, 5, 6]


def test_a_position_before_the_first_entry_that_comes(
    url: str, any_db: redis.Redis, key: str
) -> None:
    last = add(any_db, key, range(3))[-1]
    with redcol.iter_stream(url, key, start_id="$", schema=SCHEMA, **STOP) as batches:
        assert batches.position == {key: last}
        assert batches.stats.last_entry_id is None
        add(any_db, key, [3, 4])
        assert batches.lag() == {key: 2}


def test_a_batch_that_is_taken_back_takes_the_position_back(
    url: str, any_db: redis.Redis, key: str
) -> None:
    ids = add(any_db, key, range(4))
    for group in ({}, GROUP):
        with redcol.iter_stream(url, key, **group, batch_size=2, schema=SCHEMA) as batches:
            next(batches)
            next(batches)
            _native.iter_unread(batches._handle)
            assert batches.position == {key: ids[1]}
            assert batches.stats.last_entry_id == ids[1]
            assert next(batches)["_id"].to_list() == ids[2:]
            assert batches.stats.last_entry_id == ids[3]


def test_the_lag_is_counted_where_the_server_does_not_know_it(
    url: str, any_db: redis.Redis, key: str
) -> None:
    """More than a page of entries; after one of them was deleted no server knows the number."""
    ids = add(any_db, key, range(2_002))
    with (
        redcol.iter_stream(url, key, batch_size=1, schema=SCHEMA) as tail,
        redcol.iter_stream(url, key, **GROUP, batch_size=1, schema=SCHEMA) as member,
    ):
        assert tail.lag() == member.lag() == {key: 2_002}
        next(tail), next(member)
        any_db.xdel(key, ids[500])
        assert tail.lag() == member.lag() == {key: 2_000}
        any_db.xtrim(key, maxlen=10, approximate=False)
        assert tail.lag() == {key: 10}
        any_db.xtrim(key, maxlen=0, approximate=False)
        assert tail.lag() == {key: 0}


def test_the_lag_of_a_group_that_was_overtaken(url: str, any_db: redis.Redis, key: str) -> None:
    """Redis 7.0 counts what was trimmed before the group read it, for ever."""
    add(any_db, key, range(100))
    with redcol.iter_stream(url, key, **GROUP, batch_size=10, schema=SCHEMA) as member:
        next(member)
        any_db.xtrim(key, maxlen=50, approximate=False)
        assert member.lag() == {key: 50}
        next(member)
        assert member.lag() == {key: 40}
        ids = add(any_db, key, range(100))
        assert member.lag() == {key: 140}
        any_db.xdel(key, ids[50])
        assert member.lag() == {key: 139}
        any_db.xtrim(key, maxlen=60, approximate=False)
        assert member.lag() == {key: 60}
        next(member)
        assert member.lag() == {key: 50}


def test_a_lag_that_is_too_large_to_be_counted(url: str, any_db: redis.Redis, key: str) -> None:
    """The server's number, if it can be right."""
    version = any_db.info("server")
    is_right = int(version.get("valkey_version", version["redis_version"]).split(".")[0]) >= 8
    add(any_db, key, range(30_000))
    with redcol.iter_stream(url, key, **GROUP, batch_size=10, schema=SCHEMA) as member:
        next(member)
        assert member.lag() == {key: 29_990}
        any_db.xtrim(key, maxlen=20_000, approximate=False)
        assert member.lag() == {key: 20_000}
        next(member)
        before_7 = int(version["redis_version"].split(".")[0]) < 7
        assert member.lag() == {key: 19_990 if is_right or before_7 else None}
        add(any_db, key, range(30_000))
        # The server's number is larger than the stream, which can't be right.
        assert member.lag() == {key: 49_990 if is_right or before_7 else None}


def test_a_user_who_may_ask_of_groups_alone(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    if int(any_db.info("server")["redis_version"].split(".")[0]) < 7:
        return
    add(any_db, key, range(20))
    any_db.acl_setuser(
        "groups", enabled=True, passwords=["+one"], keys=["*"], reset=True,
        commands=["+@all", "-xinfo|stream"],
    )  # fmt: skip
    url = any_server.url.replace("unix://", "unix://groups:one@")
    with redcol.iter_stream(url, key, **GROUP, batch_size=5, schema=SCHEMA) as member:
        next(member)
        assert member.lag() == {key: 15}
    any_db.acl_deluser("groups")


def test_the_lag_of_what_is_missing(url: str, any_db: redis.Redis, key: str) -> None:
    with (
        redcol.iter_stream(url, key, schema=SCHEMA) as tail,
        redcol.iter_stream(url, key, **GROUP, create_group=True, schema=SCHEMA) as member,
    ):
        assert tail.lag() == member.lag() == {key: 0}
        any_db.xgroup_destroy(key, "g")
        assert member.lag() == {key: None}
        any_db.delete(key)
        assert (tail.lag(), member.lag()) == ({key: 0}, {key: None})
        any_db.set(key, "a string")
        with pytest.raises(redcol.WrongTypeError, match=key):
            tail.lag()


def test_it_is_asked_while_another_thread_waits(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(2))
    with redcol.iter_stream(url, key, **GROUP, schema=SCHEMA) as batches:
        next(batches)
        thread = threading.Thread(target=lambda: list(batches))
        thread.start()
        wait_for_blocked(any_db)
        assert batches.lag() == {key: 0}
        assert batches.position[key] is not None
        assert thread.is_alive()
        batches.close()
        thread.join()


def test_an_asynchronous_iterator(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(5))

    async def read() -> None:
        async with redcol.stream_batches(url, key, batch_size=2, schema=SCHEMA) as batches:
            assert batches.position == {key: None}
            async for _ in batches:
                break
            assert batches.position == {key: ids[1]}
            assert await batches.lag() == {key: 3}

    asyncio.run(read())


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_streams_of_several_nodes(cluster: Cluster, group: dict[str, str]) -> None:
    streams = [cluster.key_at(node, f"p{len(group)}") for node in cluster.primaries]
    ids = {}
    for number, stream in enumerate(streams):
        with cluster.db(stream) as db:
            ids[stream] = add(db, stream, range(3 + number))
    with redcol.iter_stream(cluster.url, streams, **group, schema=SCHEMA, **STOP) as batches:
        assert batches.position == dict.fromkeys(streams)
        assert batches.lag() == {name: len(ids[name]) for name in streams}
        frames = list(batches)
        assert batches.position == {name: ids[name][-1] for name in streams}
        assert batches.lag() == dict.fromkeys(streams, 0)
        assert batches.stats.last_entry_id == frames[-1]["_id"][-1]
        with cluster.db(streams[1]) as db:
            add(db, streams[1], [1, 2])
        assert batches.lag() == {**dict.fromkeys(streams, 0), streams[1]: 2}


def test_bytes_and_time(url: str, any_db: redis.Redis, key: str) -> None:
    for _ in range(10):
        any_db.xadd(key, {"n": 1, "text": "x" * 10_000})
    before = datetime.now(timezone.utc)
    with redcol.iter_stream(url, key, **STOP) as batches:
        list(batches)
        stats = batches.stats
    assert 100_000 < stats.bytes_received < 200_000
    # The library cuts milliseconds.
    assert before - timedelta(milliseconds=1) <= stats.started_at <= datetime.now(timezone.utc)


def test_an_answer_that_no_server_gives() -> None:
    """XRANGE with entries that come again would be counted without end."""

    def answer(command: list[bytes]) -> bytes:
        if command[0] == b"XINFO":
            return b"*4\r\n$6\r\nlength\r\n:9000\r\n$17\r\nlast-generated-id\r\n$3\r\n9-9\r\n"
        if command[0] == b"XRANGE":
            return b"*500\r\n" + 500 * b"*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
        return b"+OK\r\n"

    with (
        FakeServer(answer) as server,
        redcol.iter_stream(server.url, "s", start_id="1-0") as batches,
        pytest.raises(redcol.ProtocolError),
    ):
        batches.lag()
