# SPDX-License-Identifier: Apache-2.0
"""Groups and streams that are destroyed, deleted, renamed, overwritten, flushed or restarted."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, ids_of, pending, wait_for_blocked
from servers import SERVERS, Server

STOP = {"on_idle": "stop", "block_ms": 250}


def destroy(server: Server, db: redis.Redis, key: str) -> None:
    db.xgroup_destroy(key, "g")


def delete(server: Server, db: redis.Redis, key: str) -> None:
    db.delete(key)


def rename(server: Server, db: redis.Redis, key: str) -> None:
    db.rename(key, f"{key}-elsewhere")


def overwrite(server: Server, db: redis.Redis, key: str) -> None:
    db.set(key, "text")


def flush(server: Server, db: redis.Redis, key: str) -> None:
    db.flushall()


def restart(server: Server, db: redis.Redis, key: str) -> None:
    server.process.kill()
    server.process.wait()
    command = server.process.args
    server.process = subprocess.Popen(command, stdout=server.log, stderr=server.log)
    server._wait_until_it_answers()
    db.connection_pool.disconnect()


ACCIDENTS = [destroy, delete, rename, overwrite, flush, restart]


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def fragile(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that tests may flush and kill."""
    with Server(request.param) as started:
        yield started


@pytest.mark.parametrize("create_group", [True, False], ids=["create", "no create"])
@pytest.mark.parametrize("when", ["blocked", "idle"])
@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda accident: accident.__name__)
def test_a_group_that_vanishes(
    fragile: Server,
    key: str,
    accident: Callable[[Server, redis.Redis, str], None],
    when: str,
    create_group: bool,
) -> None:
    with (
        redis.Redis(unix_socket_path=str(fragile.socket_path)) as db,
        ThreadPoolExecutor(1) as pool,
    ):
        before = add(db, key, range(3))
        db.xgroup_create(key, "g", "0")
        batches = redcol.iter_stream(
            fragile.url, key, **GROUP, create_group=create_group, auto_ack=True, schema=SCHEMA
        )
        with contextlib.closing(batches):
            assert next(batches)["_id"].to_list() == before
            waiting = pool.submit(next, batches)
            wait_for_blocked(db)
            if when == "idle":
                # It has all, and asks for nothing while the accident happens.
                before += add(db, key, [3])
                assert waiting.result(60)["n"].to_list() == [3]
            accident(fragile, db, key)
            if when == "idle":
                waiting = pool.submit(next, batches)
            if accident is overwrite or not create_group:
                expected = redcol.WrongTypeError if accident is overwrite else redcol.NoGroupError
                with pytest.raises(expected):
                    waiting.result(60)
                return
            after = add(db, key, range(10, 13))
            got = ids_of([waiting.result(60)])
            # What was acknowledged before may come again, if the stream is still there.
            while got[-3:] != after:
                got += ids_of([pool.submit(next, batches).result(60)])
            assert set(got) <= set(before + after)
            assert batches.stats.resets == 1
            after = add(db, key, [13])
            assert ids_of([pool.submit(next, batches).result(60)]) == after
            assert pending(db, key) == after


def test_a_group_that_vanishes_with_a_batch_in_hand(
    url: str, any_db: redis.Redis, key: str
) -> None:
    """It is not known to have been handled, so it comes again, and what follows does too."""
    ids = [any_db.xadd(key, {"n": n}, id=f"{n + 1}-0").decode() for n in range(6)]
    with redcol.iter_stream(url, key, **GROUP, batch_size=2, auto_ack=False, **STOP) as batches:
        frames = [next(batches), next(batches)]
        batches.ack(frames[0])
        any_db.xgroup_destroy(key, "g")
        assert ids_of(batches) == ids[2:]
        assert batches.ack() == 4


@pytest.mark.parametrize(
    "accident", [destroy, delete, flush, restart], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("create_group", [True, False], ids=["create", "no create"])
def test_acknowledging_by_hand_when_the_group_is_gone(
    fragile: Server,
    key: str,
    accident: Callable[[Server, redis.Redis, str], None],
    create_group: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with redis.Redis(unix_socket_path=str(fragile.socket_path)) as db:
        ids = [db.xadd(key, {"n": n}, id=f"{n + 1}-0").decode() for n in range(3)]
        db.xgroup_create(key, "g", "0")
        with redcol.iter_stream(
            fragile.url, key, **GROUP, create_group=create_group, batch_size=2, block_ms=50
        ) as batches:
            frame = next(batches)
            accident(fragile, db, key)
            with pytest.raises(redcol.NoGroupError):
                redcol.ack_entries(fragile.url, key, "g", frame)
            if not create_group:
                for entries in (frame, frame["_id"], None):
                    with pytest.raises(redcol.NoGroupError):
                        batches.ack(entries)
                return
            assert batches.ack(frame) == 0
            assert f'nothing was acknowledged: group "g" of stream "{key}" is gone' in caplog.text
            # Nothing is in hand any more: the group begins after it where the stream is the same.
            assert batches.ack() == 0
            ids = ids[2:] if accident is destroy else []
            ids += add(db, key, [7])
            got = ids_of([next(batches)])
            while len(got) < len(ids):
                got += ids_of([next(batches)])
            assert got == ids
            assert batches.ack() == batches.stats.acknowledged == len(ids)
            assert batches.stats.resets == 1
        assert pending(db, key) == []


def test_an_event_loop_that_acknowledges_by_hand(fragile: Server, key: str) -> None:
    """The README's loop, over a server that comes back empty between two batches."""
    with redis.Redis(unix_socket_path=str(fragile.socket_path)) as db:
        add(db, key, range(3))
        got: list[int] = []
        counts: list[int] = []

        async def loop() -> None:
            batches = redcol.stream_batches(fragile.url, key, **GROUP, **STOP, schema=SCHEMA)
            async with batches:
                async for batch in batches:
                    got.extend(batch["n"])
                    if not counts:
                        restart(fragile, db, key)
                        add(db, key, [10, 11])
                    counts.append(await batches.ack(batch))

        asyncio.run(asyncio.wait_for(loop(), 120))
        assert (got, counts) == ([0, 1, 2, 10, 11], [0, 2])
        assert pending(db, key) == []


# Without a group, the reader itself knows where it is.


@contextlib.contextmanager
def follower_that_read(
    server: Server, db: redis.Redis, key: str, ids: list[str]
) -> Iterator[redcol.StreamIterator]:
    """It has read these entries, and its connection is about to be found lost."""
    for entry_id in ids:
        db.xadd(key, {"n": 0}, id=entry_id)
    with redcol.iter_stream(server.url, key, block_ms=50) as batches:
        assert next(batches)["_id"].to_list() == ids
        yield batches


def test_a_server_that_comes_back_with_other_entries(fragile: Server, key: str) -> None:
    """The new stream has passed the last entry that was read: those before it are read, too."""
    with (
        redis.Redis(unix_socket_path=str(fragile.socket_path)) as db,
        follower_that_read(fragile, db, key, ["5-1", "6-1"]) as batches,
    ):
        restart(fragile, db, key)
        anew = ["3-1", "5-2", "7-1"]
        for entry_id in anew:
            db.xadd(key, {"n": 1}, id=entry_id)
        assert next(batches)["_id"].to_list() == anew
        assert batches.stats.resets == 1
        db.xadd(key, {"n": 2}, id="8-1")
        assert next(batches)["_id"].to_list() == ["8-1"]


def trim(db: redis.Redis, key: str) -> None:
    db.xtrim(key, maxlen=1, approximate=False)


def delete_the_last_read(db: redis.Redis, key: str) -> None:
    db.xdel(key, "6-1")


def delete_none(db: redis.Redis, key: str) -> None:
    pass


@pytest.mark.parametrize("change", [trim, delete_the_last_read, delete_none])
def test_entries_that_were_trimmed_or_deleted_are_not_read_twice(
    fragile: Server, key: str, change: Callable[[redis.Redis, str], None]
) -> None:
    """But for Redis 6.2, which does not tell a deleted entry from a stream that was begun again."""
    with (
        redis.Redis(unix_socket_path=str(fragile.socket_path)) as db,
        follower_that_read(fragile, db, key, ["5-1", "6-1"]) as batches,
    ):
        db.xadd(key, {"n": 1}, id="7-1")
        change(db, key)
        db.client_kill_filter(_type="normal", skipme=True)
        again = change is delete_the_last_read and db.info("server")["redis_version"] < "7"
        assert ids_of([next(batches)]) == (["5-1"] if again else []) + ["7-1"]
        stats = batches.stats
        assert (stats.reconnects, stats.resets) == (1, int(again))


def test_a_stream_begun_anew_without_a_group(url: str, any_db: redis.Redis, key: str) -> None:
    streams = [f"{key}-{n}" for n in range(3)]
    for stream in streams:
        for n in range(3):
            any_db.xadd(stream, {"n": n}, id=f"{n + 100}-1")
    with ThreadPoolExecutor(3) as pool:
        iterators = [redcol.iter_stream(url, stream, schema=SCHEMA) for stream in streams]
        assert [next(batches)["n"].to_list() for batches in iterators] == [[0, 1, 2]] * 3
        waiting = [pool.submit(next, batches) for batches in iterators]
        wait_for_blocked(any_db, 3)
        for index, stream in enumerate(streams):
            any_db.delete(stream)
            for n in range(10, 13):
                any_db.xadd(stream, {"n": n}, id=f"{n}-{index + 1}")
        frames = [result.result(12)["n"].to_list() for result in waiting]
    assert frames == [[10, 11, 12]] * 3
    for batches in iterators:
        assert batches.stats.resets == 1
        batches.close()


def test_a_stream_begun_anew_with_ids_that_were_handled(
    url: str, any_db: redis.Redis, key: str
) -> None:
    for last in ("5-1", "5-2", "5-3", "6-0"):
        for entry_id in ("4-0", "5-0", "5-1", "5-2"):
            any_db.xadd(key, {"n": 1}, id=entry_id)
        with redcol.iter_stream(url, key, **GROUP, auto_ack=True) as batches:
            assert len(next(batches)) == 4
            any_db.delete(key)
            anew = [any_db.xadd(key, {"n": 2}, id=entry_id).decode() for entry_id in ("5-0", last)]
            assert next(batches)["_id"].to_list() == anew
        any_db.delete(key)


def test_a_json_reader_recreates_its_group(url: str, any_db: redis.Redis, key: str) -> None:
    schema = {"j": pl.List(pl.Int64)}
    any_db.xadd(key, {"j": "[1]"})
    with redcol.iter_stream(url, key, **GROUP, schema=schema, auto_ack=True) as batches:
        assert next(batches)["j"].to_list() == [[1]]
        any_db.delete(key)
        any_db.xadd(key, {"j": "[2]"})
        assert next(batches)["j"].to_list() == [[2]]


def test_one_of_several_groups_vanishes(url: str, any_db: redis.Redis, key: str) -> None:
    """The others go on, and what is in hand of them does not come again."""
    streams = [f"{key}-a", f"{key}-b"]
    for stream in streams:
        add(any_db, stream, range(2))
    with redcol.iter_stream(url, streams, **GROUP, schema=SCHEMA, batch_size=4) as batches:
        held = next(batches)
        assert len(held) == 4
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(next, batches)
            wait_for_blocked(any_db)
            any_db.delete(streams[0])
            new = add(any_db, streams[0], [7])
            assert waiting.result(60)["_id"].to_list() == new
        assert batches.ack(held.filter(pl.col("_stream") == streams[1])) == 2
        assert batches.stats.redelivered == 0
