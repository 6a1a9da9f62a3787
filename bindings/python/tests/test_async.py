# SPDX-License-Identifier: Apache-2.0
"""stream_batches: waiting in the event loop, cancelling, and very many at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending
from servers import Server

STOP = {"on_idle": "stop", "block_ms": 250}


def run(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(function(), 120), debug=False)


async def until_blocked(db: redis.Redis, clients: int = 1) -> None:
    deadline = time.monotonic() + 60
    while int(db.info("clients")["blocked_clients"]) < clients:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


async def first(batches: redcol.AsyncStreamIterator) -> pl.DataFrame:
    return await anext(batches)


def test_guide_async_iterator(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(250))
    lengths = []

    async def process_stream() -> None:
        async for batch_df in redcol.stream_batches(
            url, stream=key, batch_size=100, batch_timeout_ms=1000
        ):
            lengths.append(len(batch_df))
            if sum(lengths) == 250:
                break

    run(process_stream)
    assert lengths == [100, 100, 50]


def test_the_parameters_of_iter_stream() -> None:
    mine = dict(inspect.signature(redcol.stream_batches).parameters)
    theirs = inspect.signature(redcol.iter_stream).parameters
    assert mine.pop("batch_timeout_ms").default == theirs["block_ms"].default
    assert mine.keys() == theirs.keys()
    assert {name: p.default for name, p in mine.items()} == {
        name: p.default for name, p in theirs.items()
    }
    assert theirs["batch_size"].default == 100
    assert theirs["block_ms"].default == 1000
    assert theirs["claim_idle_ms"].default == 300_000


def test_both_names_of_the_timeout_are_refused(server: Server, key: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="another name"):
        redcol.stream_batches(server.url, key, block_ms=1, batch_timeout_ms=1)
    with pytest.raises(TypeError):
        redcol.stream_batches(server.url, key, no_such_argument=1)


def test_made_outside_a_loop_it_sends_nothing(url: str, any_db: redis.Redis, key: str) -> None:
    before = any_db.info("stats")["total_connections_received"]
    batches = redcol.stream_batches(url, key, start_id="$", schema=SCHEMA)
    add(any_db, key, [0])
    assert any_db.info("stats")["total_connections_received"] == before

    async def main() -> None:
        async with batches:
            # What is added from here on is not missed.
            add(any_db, key, [1, 2])
            assert (await anext(batches))["n"].to_list() == [1, 2]
            waiting = asyncio.create_task(first(batches))
            await until_blocked(any_db)
            add(any_db, key, [3])
            assert (await waiting)["n"].to_list() == [3]

    run(main)


def test_ends(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(5))

    async def main() -> None:
        for arguments in ({"count": 4}, {"end_id": ids[3]}):
            async with redcol.stream_batches(url, key, batch_size=3, **arguments) as batches:
                assert [len(batch) async for batch in batches] == [3, 1]
                with pytest.raises(StopAsyncIteration):
                    await anext(batches)
        async with redcol.stream_batches(url, key, **STOP) as batches:
            assert [len(batch) async for batch in batches] == [5]
        idle = {"on_idle": "empty", "batch_timeout_ms": 250}
        async with redcol.stream_batches(url, key, schema=SCHEMA, **idle) as batches:
            assert [len(await anext(batches)) for _ in range(3)] == [5, 0, 0]

    run(main)


def test_a_group(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(5))

    async def main() -> None:
        arguments = {**GROUP, "batch_size": 2, "auto_ack": True}
        async with redcol.stream_batches(url, key, **arguments) as batches:
            await anext(batches)
            assert pending(any_db, key) == ids[:2]
            await anext(batches)
            assert pending(any_db, key) == ids[2:4]
        assert pending(any_db, key) == []
        with contextlib.suppress(LookupError):
            async with redcol.stream_batches(url, key, **arguments) as batches:
                await anext(batches)
                raise LookupError
        assert pending(any_db, key) == ids[4:]
        async with redcol.stream_batches(url, key, **GROUP, **STOP) as batches:
            frames = [batch async for batch in batches]
            assert await batches.ack(frames[0]) == 1
            assert await batches.ack() == 0
            assert batches.stats.redelivered == 1

    run(main)


def test_cancelling_loses_nothing(url: str, any_db: redis.Redis, key: str) -> None:
    got: list[int] = []

    async def main() -> None:
        async with redcol.stream_batches(
            url, key, **GROUP, auto_ack=True, schema=SCHEMA
        ) as batches:
            for turn in range(20):
                waiting = asyncio.create_task(first(batches))
                # Cancelled before it began, in its first wait, or when entries are on their way.
                for _ in range(turn % 4):
                    await asyncio.sleep(0)
                if turn % 4 == 3:
                    await until_blocked(any_db)
                    add(any_db, key, [turn])
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    got.extend((await waiting)["n"])
            while len(got) < 5:
                got.extend((await anext(batches))["n"])
            assert batches.stats.reconnects == 0
        assert pending(any_db, key) == []

    run(main)
    assert got == [3, 7, 11, 15, 19]


def test_a_timeout_of_asyncio(url: str, any_db: redis.Redis, key: str) -> None:
    async def main() -> None:
        async with redcol.stream_batches(url, key, block_ms=0, schema=SCHEMA) as batches:
            for number in range(3):
                began = time.monotonic()
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(anext(batches), 0.05)
                assert time.monotonic() - began < 4
                add(any_db, key, [number])
                assert (await anext(batches))["n"].to_list() == [number]

    run(main)


def test_one_task_at_a_time(url: str, any_db: redis.Redis, key: str) -> None:
    async def main() -> None:
        async with redcol.stream_batches(url, key, schema=SCHEMA) as batches:
            waiting = asyncio.create_task(first(batches))
            await until_blocked(any_db)
            with pytest.raises(redcol.BusyError):
                await anext(batches)
            add(any_db, key, [1])
            assert (await waiting)["n"].to_list() == [1]

    run(main)


@pytest.mark.parametrize("where", ["task", "thread"])
@pytest.mark.parametrize("how", ["close", "cancel"])
def test_ending_a_wait(url: str, any_db: redis.Redis, key: str, how: str, where: str) -> None:
    async def main() -> None:
        batches = redcol.stream_batches(url, key, block_ms=0, schema=SCHEMA)
        waiting = asyncio.create_task(first(batches))
        await until_blocked(any_db)
        end = getattr(batches, how)
        began = time.monotonic()
        if where == "task":
            end()
        else:
            await asyncio.to_thread(end)
        expected = StopAsyncIteration if how == "close" else redcol.CancelledError
        with pytest.raises(expected):
            await asyncio.wait_for(waiting, 60)
        assert time.monotonic() - began < 4
        if how == "cancel":
            add(any_db, key, [1])
            assert (await anext(batches))["n"].to_list() == [1]
        batches.close()

    run(main)


def test_five_hundred_in_one_loop(any_server: Server, any_db: redis.Redis, key: str) -> None:
    streams = [f"{key}-{number}" for number in range(500)]
    any_db.ping()  # connects
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd"))
    got: dict[str, list[int]] = {stream: [] for stream in streams}

    async def follow(batches: redcol.AsyncStreamIterator, stream: str) -> None:
        async with batches:
            async for batch in batches:
                got[stream] += batch["n"].to_list()
                if len(got[stream]) == 3:
                    break

    async def main() -> None:
        threads = threading.active_count()
        with redcol.connect(any_server.url) as client:
            tasks = [
                asyncio.create_task(
                    follow(
                        redcol.stream_batches(
                            client, stream, **GROUP, auto_ack=True, schema=SCHEMA
                        ),
                        stream,
                    )
                )
                for stream in streams
            ]
            for turn in range(3):
                await until_blocked(any_db, 500)
                assert threading.active_count() == threads
                with any_db.pipeline(transaction=False) as pipeline:
                    for number, stream in enumerate(streams):
                        pipeline.xadd(stream, {"n": number + turn})
                    pipeline.execute()
                while min(map(len, got.values())) <= turn:
                    await asyncio.sleep(0.005)
            await asyncio.gather(*tasks)

    run(main)
    assert got == {stream: [n, n + 1, n + 2] for n, stream in enumerate(streams)}
    with any_db.pipeline(transaction=False) as pipeline:
        for stream in streams:
            pipeline.xpending(stream, "g")
        assert all(summary["pending"] == 0 for summary in pipeline.execute())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_several_loops_one_after_another(url: str, any_db: redis.Redis, key: str) -> None:
    batches = redcol.stream_batches(url, key, schema=SCHEMA)
    for number in range(3):
        add(any_db, key, [number])
        assert run(lambda: first(batches))["n"].to_list() == [number]
    batches.close()


def test_errors_reach_the_loop(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xadd(key, {"n": "x"})

    async def main() -> None:
        async with redcol.stream_batches(url, key, schema=SCHEMA) as batches:
            with pytest.raises(redcol.ValueConversionError):
                await anext(batches)
            any_db.delete(key)
            any_db.set(key, "text")
            with pytest.raises(redcol.WrongTypeError):
                await anext(batches)

    run(main)


def test_a_server_that_comes_back(server: Server, db: redis.Redis, key: str) -> None:
    """The wait for the next attempt to connect is one of the event loop, too."""

    async def main() -> None:
        async with redcol.stream_batches(server.url, key, **GROUP, schema=SCHEMA) as batches:
            waiting = asyncio.create_task(first(batches))
            await until_blocked(db)
            db.client_kill_filter(_type="normal", skipme=True)
            await until_blocked(db)
            add(db, key, [1])
            assert (await waiting)["n"].to_list() == [1]
            assert batches.stats.reconnects == 1

    run(main)


def test_a_closed_iterator_is_not_entered(url: str, key: str) -> None:
    async def enter() -> None:
        batches = redcol.stream_batches(url, key)
        batches.close()
        with pytest.raises(redcol.ClosedError, match="make another one"):
            async with batches:
                pass

    run(enter)
