# SPDX-License-Identifier: Apache-2.0
"""What ends a wait: the server's word that there is nothing, and never its silence."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending
from servers import REDIS_7, FakeServer, Server

MODES = pytest.mark.parametrize("group", [{}, GROUP], ids=["alone", "group"])
#: What a busy machine may add.
SLACK = 5.0


@contextlib.contextmanager
def writing(server: Server, key: str, pause: float) -> Iterator[None]:
    """Somebody adds an entry every `pause` seconds."""
    ended = threading.Event()

    def write() -> None:
        with server.client() as db:
            while not ended.wait(pause):
                db.xadd(key, {"n": 1})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def seconds(began: float) -> float:
    return time.monotonic() - began


# "stop" is about what was there when the read caught up.


@MODES
def test_stop_beside_a_writer(any_server: Server, key: str, group: dict[str, str]) -> None:
    with any_server.client() as db, writing(any_server, key, 0.02):
        ids = add(db, key, range(100))
        began = time.monotonic()
        with redcol.iter_stream(
            any_server.url, key, **group, on_idle="stop", block_ms=400, batch_size=30
        ) as batches:
            got = [entry for batch in batches for entry in batch["_id"]]
        took = seconds(began)
    assert set(ids) <= set(got)
    assert got == sorted(set(got), key=lambda entry: tuple(map(int, entry.split("-"))))
    assert len(got) > len(ids)  # and what was added within block_ms
    assert 0.35 < took < 0.4 + SLACK


@MODES
def test_a_slow_reader_stops_too(any_server: Server, key: str, group: dict[str, str]) -> None:
    """Reading each batch takes longer than block_ms: one more look, and no more."""
    with any_server.client() as db, writing(any_server, key, 0.02):
        add(db, key, range(10))
        lengths = []
        with redcol.iter_stream(
            any_server.url, key, **group, on_idle="stop", block_ms=50, batch_size=1000
        ) as batches:
            for batch in batches:
                lengths.append(len(batch))
                if len(lengths) > 12:
                    break
                time.sleep(0.2)
    assert 1 <= len(lengths) <= 12
    assert lengths[0] >= 10


@MODES
def test_asked_once(any_server: Server, key: str, group: dict[str, str]) -> None:
    """Without a wait, the server is asked for what it has, and is never asked to wait."""
    with any_server.client() as db, db.monitor() as monitor:
        ids = add(db, key, range(5))
        commands = monitor.listen()
        arguments: dict[str, Any] = {"block_ms": None, "on_idle": "stop", "batch_size": 2}
        with redcol.iter_stream(any_server.url, key, **group, **arguments) as batches:
            assert [entry for batch in batches for entry in batch["_id"]] == ids
        db.echo("end")
        asked = itertools.takewhile(
            lambda words: words[0] != "ECHO", (line["command"].split() for line in commands)
        )
        reads = [words for words in asked if words[0] in ("XREAD", "XREADGROUP")]
    assert not any("BLOCK" in words for words in reads)
    assert len([words for words in reads if words[-1] != "0-0" or not group]) <= 4


def test_nothing_is_found_without_a_wait(any_server: Server, key: str) -> None:
    """A server looks at the end of a wait ten times a second: that is what it took."""
    with any_server.client() as db:
        db.xadd(key, {"n": 1})
        times = []
        for _ in range(5):
            with redcol.iter_stream(
                any_server.url, key, start_id="$", block_ms=None, on_idle="stop"
            ) as batches:
                began = time.monotonic()
                assert list(batches) == []
                times.append(seconds(began))
    assert min(times) < 0.05


@MODES
def test_empty_beside_a_writer(any_server: Server, key: str, group: dict[str, str]) -> None:
    arguments = {"on_idle": "empty", "block_ms": 20, "schema": SCHEMA}
    with (
        any_server.client() as db,
        redcol.iter_stream(any_server.url, key, **group, **arguments) as batches,
    ):
        assert next(batches).height == 0
        add(db, key, range(3))
        assert next(batches)["n"].to_list() == [0, 1, 2]
        assert next(batches).height == 0
        assert next(batches).schema == next(batches).schema


def test_the_last_batch_is_acknowledged_at_the_end(any_server: Server, key: str) -> None:
    """Also where the read ends without a further question."""
    with any_server.client() as db, writing(any_server, key, 0.02):
        add(db, key, range(10))
        arguments: dict[str, Any] = {"auto_ack": True, "on_idle": "stop", "block_ms": 100}
        batches = redcol.iter_stream(any_server.url, key, **GROUP, **arguments)
        got = [entry for batch in batches for entry in batch["_id"]]
        assert len(got) >= 10
        assert pending(db, key) == []
        assert batches.stats.acknowledged == len(got)
        batches.close()


# A server that does not answer is not idle.


@contextlib.contextmanager
def read_half(
    mode: str, group: dict[str, str], **arguments: Any
) -> Iterator[tuple[Server, redcol.StreamIterator]]:
    with Server(REDIS_7) as server, server.client() as db:
        add(db, "e", range(40))
        with redcol.iter_stream(
            server.url, "e", **group, batch_size=10, on_idle=mode, schema=SCHEMA, **arguments
        ) as batches:
            assert next(batches)["n"].to_list() == list(range(10))
            assert batches.is_connected
            assert batches.last_error is None
            try:
                yield server, batches
            finally:
                server.process.send_signal(signal.SIGCONT)


def read_on(batches: redcol.StreamIterator) -> list[int]:
    """What is there already, until an exception comes."""
    rows: list[int] = []
    with contextlib.suppress(redcol.RedcolError):
        for _ in range(6):
            rows += next(batches)["n"].to_list()
        pytest.fail("it ended")
    return rows


@MODES
@pytest.mark.parametrize("mode", ["stop", "empty"])
def test_a_dead_server_is_no_end(mode: str, group: dict[str, str]) -> None:
    limits = {"block_ms": 50, "reconnect_timeout_ms": 600}
    with read_half(mode, group, **limits) as (server, batches):
        server.process.kill()
        server.process.wait()
        for _ in range(2):  # and it can be asked again
            began = time.monotonic()
            read_on(batches)
            with pytest.raises(redcol.ConnectionFailedError, match="reconnect_timeout_ms"):
                next(batches)
            assert 0.3 < seconds(began) < 1.2 + SLACK
        assert not batches.is_connected
        assert isinstance(batches.last_error, redcol.ConnectionFailedError)


@MODES
@pytest.mark.parametrize("mode", ["stop", "empty"])
def test_a_stopped_server_is_no_end(mode: str, group: dict[str, str]) -> None:
    limits = {"block_ms": 50, "reconnect_timeout_ms": 600, "timeout_ms": 300}
    limits["connect_timeout_ms"] = 300
    with read_half(mode, group, **limits) as (server, batches):
        server.process.send_signal(signal.SIGSTOP)
        rest = read_on(batches)
        with pytest.raises(redcol.TimedOutError, match="reconnect_timeout_ms"):
            next(batches)
        assert isinstance(batches.last_error, redcol.TimedOutError)
        server.process.send_signal(signal.SIGCONT)
        while len(rest) < 30:
            rest += next(batches)["n"].to_list()
        assert sorted(rest) == list(range(10, 40))
        if mode == "empty":
            assert next(batches).height == 0
        else:
            assert list(batches) == []
        assert batches.is_connected
        assert batches.last_error is None


def test_waiting_for_ever_outlasts_a_restart(tmp_path: Any) -> None:
    with Server(REDIS_7, tcp=True) as server:
        batches = redcol.iter_stream(server.url, "e", block_ms=10, schema=SCHEMA)
        port = server.port
        server.process.kill()
        server.process.wait()
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.extend(next(batches)["n"]))
        thread.start()
        while batches.last_error is None:
            assert thread.is_alive()
            time.sleep(0.005)
        assert not batches.is_connected
        with Server(REDIS_7, args=("--port", str(port))) as again:
            add(again.client(), "e", [7])
            thread.join(60)
            assert found == [7]
        batches.close()


def test_a_coroutine_is_told_too() -> None:
    async def main() -> None:
        with Server(REDIS_7) as server:
            arguments = {"on_idle": "stop", "block_ms": 50, "reconnect_timeout_ms": 400}
            async with redcol.stream_batches(server.url, "e", **arguments) as batches:
                server.process.kill()
                server.process.wait()
                with pytest.raises(redcol.ConnectionFailedError, match="reconnect_timeout_ms"):
                    await anext(batches)

    asyncio.run(asyncio.wait_for(main(), 120))


def test_a_refusal_that_lasts_is_raised_as_itself() -> None:
    def answer(command: list[bytes]) -> bytes:
        return b"-LOADING wait\r\n" if command[0] == b"XREAD" else b"+OK\r\n"

    arguments = {"on_idle": "stop", "block_ms": 10, "reconnect_timeout_ms": 300}
    with (
        FakeServer(answer) as fake,
        redcol.iter_stream(fake.url, "s", **arguments) as batches,
        pytest.raises(redcol.ServerLoadingError, match="reconnect_timeout_ms"),
    ):
        next(batches)


def test_an_answer_in_time_begins_the_wait_anew(server: Server, db: redis.Redis, key: str) -> None:
    """It is the time without an answer that counts, not that since the first loss."""
    arguments: dict[str, Any] = {"on_idle": "empty", "block_ms": 10, "reconnect_timeout_ms": 2000}
    with redcol.iter_stream(server.url, key, **arguments) as batches:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            db.client_kill_filter(_type="normal", skipme=True)
            assert next(batches).height == 0
        assert batches.stats.reconnects > 3


@pytest.mark.parametrize("value", [-1, "1", 2**31, True])
def test_bad_limits(url: str, key: str, value: Any) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="reconnect_timeout_ms"):
        redcol.iter_stream(url, key, reconnect_timeout_ms=value)
