# SPDX-License-Identifier: Apache-2.0
"""An event loop goes on while a server that is stopped keeps an iterator waiting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending
from servers import REDIS_7, Server

#: How long a server may be silent; an event loop that waits for it itself would stand so long.
TIMEOUT_MS = 5_000
TIMEOUTS = {"timeout_ms": TIMEOUT_MS, "connect_timeout_ms": TIMEOUT_MS}
#: A busy machine may keep the loop from running for a while.
GAP_MAX = 4.0


def run(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(function(), 120))


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[None]:
    """Fails if the event loop does not run for longer than a busy machine explains."""
    gaps = [0.0]

    async def beat() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.02)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    try:
        yield
        await asyncio.sleep(0.05)
    finally:
        beating.cancel()
    assert max(gaps) < GAP_MAX
    assert len(gaps) > 2


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    with Server(REDIS_7, tcp=True) as started:
        yield started


@pytest.fixture
def own_db(own_server: Server) -> Iterator[redis.Redis]:
    with own_server.client() as client:
        yield client
        client.flushdb()


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


KINDS: dict[str, dict[str, Any]] = {
    "tail": {"start_id": "$"},
    "new group": {**GROUP, "group_start_id": "$"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_connecting(own_server: Server, own_db: redis.Redis, key: str, kind: str) -> None:
    own_db.xgroup_create(key, "g", mkstream=True)

    async def main() -> None:
        batches = redcol.stream_batches(
            own_server.url, key, schema=SCHEMA, **KINDS[kind], **TIMEOUTS
        )
        async with heartbeat():
            with stopped(own_server), pytest.raises(redcol.TimedOutError):
                await batches.connected()
        await batches.connected()
        add(own_db, key, [1])
        assert (await anext(batches))["n"].to_list() == [1]
        batches.close()

    run(main)


def test_a_group_is_made_when_a_server_goes_on(
    own_server: Server, own_db: redis.Redis, key: str
) -> None:
    async def main() -> None:
        # A connection that is there already: only the group is waited for.
        with redcol.connect(own_server.url) as client:
            batches = redcol.stream_batches(client, key, **GROUP, group_start_id="$", schema=SCHEMA)
            with stopped(own_server):
                async with heartbeat():
                    connecting = asyncio.create_task(batches.connected())
                    await asyncio.sleep(0.3)
                    assert not connecting.done()
            await connecting
            assert own_db.xinfo_groups(key)[0]["name"] == b"g"
            add(own_db, key, [7])
            assert (await anext(batches))["n"].to_list() == [7]
            assert await batches.ack() == 1
            batches.close()

    run(main)


def test_a_bare_loop_connects_at_its_first_batch(
    own_server: Server, own_db: redis.Redis, key: str
) -> None:
    add(own_db, key, [1])

    async def main() -> None:
        batches = redcol.stream_batches(own_server.url, key, schema=SCHEMA, **TIMEOUTS)
        with stopped(own_server):
            async with heartbeat():
                with pytest.raises(redcol.TimedOutError):
                    await anext(batches)
        assert (await anext(batches))["n"].to_list() == [1]
        batches.close()

    run(main)


def test_acknowledging(own_server: Server, own_db: redis.Redis, key: str) -> None:
    ids = add(own_db, key, range(4))

    async def main() -> None:
        batches = redcol.stream_batches(
            own_server.url, key, **GROUP, batch_size=2, schema=SCHEMA, **TIMEOUTS
        )
        async with batches:
            frame = await anext(batches)
            with stopped(own_server):
                async with heartbeat():
                    with pytest.raises(redcol.TimedOutError):
                        await batches.ack(ids[:2])
            # What was sent may have been done by now.
            await batches.ack(frame)
            assert pending(own_db, key) == []
            await anext(batches)
            with stopped(own_server):
                async with heartbeat():
                    acknowledging = asyncio.create_task(batches.ack())
                    await asyncio.sleep(0.3)
                    assert not acknowledging.done()
            assert await acknowledging == 2

    run(main)


@pytest.mark.parametrize("schema", [SCHEMA, {"n": pl.List(pl.Int64)}], ids=["core", "json"])
def test_the_end_of_a_block(
    own_server: Server, own_db: redis.Redis, key: str, schema: dict[str, Any]
) -> None:
    for number in range(4):
        own_db.xadd(key, {"n": f"[{number}]" if schema is not SCHEMA else number})

    async def main() -> None:
        arguments = {**GROUP, **TIMEOUTS, "auto_ack": True, "batch_size": 2, "schema": schema}
        batches = redcol.stream_batches(own_server.url, key, **arguments)
        await batches.__aenter__()
        await anext(batches)
        async with heartbeat():
            with stopped(own_server), pytest.raises(redcol.TimedOutError):
                await batches.__aexit__(None, None, None)
        with pytest.raises(redcol.ClosedError):
            await anext(batches)
        arguments |= {"on_idle": "stop", "block_ms": 100}
        async with heartbeat(), redcol.stream_batches(own_server.url, key, **arguments) as again:
            rows = [row for frame in [frame async for frame in again] for row in frame["n"]]
        assert len(rows) in (2, 4), "those of the first batch, if they were not acknowledged"
        assert pending(own_db, key) == []

    run(main)


def test_asking_for_the_next_batch(own_server: Server, own_db: redis.Redis, key: str) -> None:
    """Values that are decoded in Python are acknowledged by Python, when the next is asked for."""
    for number in range(4):
        own_db.xadd(key, {"n": f"[{number}]"})

    async def main() -> None:
        arguments = {"auto_ack": True, "batch_size": 2, "schema": {"n": pl.List(pl.Int64)}}
        async with redcol.stream_batches(own_server.url, key, **GROUP, **arguments) as batches:
            await anext(batches)
            with stopped(own_server):
                async with heartbeat():
                    waiting = asyncio.ensure_future(anext(batches))
                    await asyncio.sleep(0.3)
                    assert not waiting.done()
            assert (await waiting)["n"].to_list() == [[2], [3]]
        assert pending(own_db, key) == []

    run(main)


def test_three_hundred_at_once(own_server: Server, own_db: redis.Redis, key: str) -> None:
    async def main() -> None:
        made = [
            redcol.stream_batches(own_server.url, f"{key}-{number}", **GROUP, schema=SCHEMA)
            for number in range(300)
        ]
        async with heartbeat():
            with stopped(own_server):
                tasks = [asyncio.create_task(batches.connected()) for batches in made]
                await asyncio.sleep(0.5)
                assert not any(task.done() for task in tasks)
            await asyncio.gather(*tasks)
        for number, batches in enumerate(made):
            own_db.xadd(f"{key}-{number}", {"n": number})
            assert (await anext(batches))["n"].to_list() == [number]
            batches.close()

    run(main)


def test_ending_what_connects(own_server: Server, key: str) -> None:
    async def main() -> None:
        with stopped(own_server):
            async with heartbeat():
                batches = redcol.stream_batches(own_server.url, key)
                connecting = asyncio.create_task(batches.connected())
                await asyncio.sleep(0.1)
                with pytest.raises(redcol.BusyError):
                    await batches.connected()
                connecting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await connecting
                waiting = asyncio.ensure_future(anext(batches))
                await asyncio.sleep(0.1)
                await asyncio.to_thread(batches.close)
                with pytest.raises(StopAsyncIteration):
                    await waiting
                with pytest.raises(redcol.ClosedError):
                    await redcol_entered(batches)

    run(main)


async def redcol_entered(batches: redcol.AsyncStreamIterator) -> None:
    async with batches:
        pass


def test_nobody_is_there(key: str) -> None:
    async def main() -> None:
        batches = redcol.stream_batches("unix:///nowhere", key)
        for _ in range(2):
            with pytest.raises(redcol.ConnectionFailedError):
                await batches.connected()
        with pytest.raises(redcol.ConnectionFailedError):
            await redcol_entered(batches)
        with pytest.raises(redcol.ClosedError):
            await anext(batches)

    run(main)
