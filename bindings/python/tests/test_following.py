# SPDX-License-Identifier: Apache-2.0
"""iter_stream in ordinary weather: what it gives, and when that is acknowledged."""

from __future__ import annotations

import gc
import itertools
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending, wait_for_blocked
from sentinels import wait_until
from servers import FakeServer, Server

STOP = {"on_idle": "stop", "block_ms": 250}


def numbers(frames: Iterator[pl.DataFrame] | list[pl.DataFrame]) -> list[list[int]]:
    return [frame["n"].to_list() for frame in frames]


# The guide, block by block.


def test_guide_synchronous_iterator(url: str, any_db: redis.Redis, key: str) -> None:
    for number in range(250):
        any_db.xadd(key, {"action": "click" if number % 2 else "view"})
    lengths = []
    for batch_df in redcol.iter_stream(url, stream=key, batch_size=100, block_ms=1000):
        summary = batch_df.group_by("action").len()
        lengths.append(summary["len"].sum())
        if sum(lengths) == 250:
            break
    assert lengths == [100, 100, 50]


def test_guide_with_a_consumer_group(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(250))
    seen: list[str] = []
    for batch_df in redcol.iter_stream(
        url, stream=key, group="g", consumer="worker-1", batch_size=100, auto_ack=True
    ):
        assert pending(any_db, key) == batch_df["_id"].to_list()
        seen += batch_df["_id"].to_list()
        if len(seen) == 250:
            break
    assert seen == ids
    assert pending(any_db, key) == ids[200:]  # after a break, the last batch


def test_guide_real_time_analytics(url: str, any_db: redis.Redis, key: str) -> None:
    for number in range(1500):
        any_db.xadd(key, {"sensor_id": f"s{number % 3}", "value": number / 2, "other": "x"})
    summaries = []
    for batch_df in redcol.iter_stream(
        url,
        stream=key,
        group="aggregator",
        consumer="worker-1",
        batch_size=1000,
        block_ms=5000,
        schema={"sensor_id": pl.Utf8, "value": pl.Float64},
        auto_ack=True,
    ):
        summary = batch_df.group_by("sensor_id").agg(
            [
                pl.col("value").mean().alias("avg"),
                pl.col("value").max().alias("max"),
                pl.len().alias("count"),
            ]
        )
        summaries.append(summary.sort("sensor_id"))
        if len(summaries) == 2:
            break
    assert [summary["count"].sum() for summary in summaries] == [1000, 500]
    assert summaries[0].row(0) == ("s0", 249.75, 499.5, 334)


# Making one.


def test_it_is_an_object_and_works_when_it_is_made(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, [0])
    made = {
        "tail": redcol.iter_stream(url, key, start_id="$", schema=SCHEMA, **STOP),
        "new": redcol.iter_stream(url, key, **GROUP, group_start_id="$", schema=SCHEMA, **STOP),
    }
    assert [group["name"] for group in any_db.xinfo_groups(key)] == [b"g"]
    add(any_db, key, [1, 2])
    for iterator in made.values():
        assert isinstance(iterator, redcol.StreamIterator)
        assert iter(iterator) is iterator
        assert not hasattr(iterator, "send")
        assert numbers(iterator) == [[1, 2]]
        iterator.close()


def test_errors_come_when_it_is_made(url: str, key: str) -> None:
    with pytest.raises(redcol.ConnectionFailedError):
        redcol.iter_stream("unix:///nowhere", key)
    for arguments in ({"group": "g"}, {"auto_ack": True}, {"batch_size": 0}, {"on_idle": "end"}):
        with pytest.raises(redcol.InvalidArgumentError):
            redcol.iter_stream(url, key, **arguments)
    for streams in ([], [key, key], 7):
        with pytest.raises(redcol.InvalidArgumentError):
            redcol.iter_stream(url, streams)


def test_a_group_remembers_where_it_is(url: str, key: str) -> None:
    for arguments in ({"start_id": "5-0"}, {"end_id": "5-0"}):
        with pytest.raises(redcol.InvalidArgumentError, match="group_start_id"):
            redcol.iter_stream(url, key, **GROUP, **arguments)


# What ends it.


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_backlog_then_tail(url: str, any_db: redis.Redis, key: str, group: dict[str, str]) -> None:
    add(any_db, key, range(5))
    with redcol.iter_stream(url, key, **group, batch_size=2, schema=SCHEMA) as batches:
        assert numbers(itertools.islice(batches, 3)) == [[0, 1], [2, 3], [4]]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(next, batches)
            wait_for_blocked(any_db)
            add(any_db, key, [5])
            assert waiting.result(60)["n"].to_list() == [5]
        assert batches.stats.delivered == 6


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_count_ends_it(url: str, any_db: redis.Redis, key: str, group: dict[str, str]) -> None:
    add(any_db, key, range(9))
    acks = {"auto_ack": True} if group else {}
    for count in (5, 0, 4):
        batches = redcol.iter_stream(
            url, key, **group, **acks, batch_size=3, count=count, schema=SCHEMA
        )
        assert sum(len(batch) for batch in batches) == count
        assert next(batches, None) is None
        batches.close()
    if group:
        assert pending(any_db, key) == []
        assert any_db.xinfo_groups(key)[0]["last-delivered-id"] == any_db.xrevrange(key)[0][0]


def test_ids_end_it(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(9))
    for start, end, expected in (
        ("-", ids[6], range(7)),
        (ids[1], ids[6], range(2, 7)),
        ("-", "(" + ids[6], range(6)),
        (ids[3], ids[2], []),
    ):
        with redcol.iter_stream(
            url, key, start_id=start, end_id=end, batch_size=4, schema=SCHEMA
        ) as batches:
            assert [n for batch in batches for n in batch["n"]] == list(expected)


def test_idle_waits(url: str, any_db: redis.Redis, key: str) -> None:
    with (
        redcol.iter_stream(url, key, block_ms=10, schema=SCHEMA) as batches,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(next, batches)
        time.sleep(0.1)
        assert not waiting.done()
        add(any_db, key, [1])
        assert numbers([waiting.result(60)]) == [[1]]


def test_idle_stops(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(3))
    batches = redcol.iter_stream(url, key, **GROUP, batch_size=2, auto_ack=True, **STOP)
    assert [len(batch) for batch in batches] == [2, 1]
    assert pending(any_db, key) == []  # the next one was asked for
    add(any_db, key, [3])
    assert next(batches, None) is None
    batches.close()


@pytest.mark.parametrize("block_ms", [None, 20])
def test_idle_is_not_a_slow_answer(block_ms: int | None) -> None:
    """The server needs 150 ms to say that there is an entry: that is not idleness."""
    entry = b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$1\r\n7\r\n"

    def answer(command: list[bytes]) -> bytes | None:
        if command[0] != b"XREAD":
            return b"+OK\r\n"
        time.sleep(0.15)
        return entry if command[-1] == b"0-0" else b"*-1\r\n"

    arguments = {"block_ms": block_ms, "on_idle": "stop", "schema": SCHEMA}
    with FakeServer(answer) as fake, redcol.iter_stream(fake.url, "s", **arguments) as batches:
        assert numbers(batches) == [[7]]


def test_idle_gives_empty_frames(url: str, any_db: redis.Redis, key: str) -> None:
    arguments: dict[str, Any] = {"block_ms": 20, "on_idle": "empty"}
    with redcol.iter_stream(url, key, schema=SCHEMA, **arguments) as batches:
        assert next(batches).schema == {"_id": pl.String, "_ts": pl.Int64, "n": pl.Int64}
        add(any_db, key, [1])
        assert numbers([next(batches), next(batches)]) == [[1], []]
    with redcol.iter_stream(url, [key], include_sequence=True, **arguments) as batches:
        assert next(batches).columns == ["_id", "_ts", "_seq", "_stream", "n"]
        assert next(batches).columns == ["_id", "_ts", "_seq", "_stream", "n"]
        any_db.xadd(key, {"m": 1})
        assert next(batches).columns == ["_id", "_ts", "_seq", "_stream", "n", "m"]


def test_a_column_once_seen_stays(url: str, any_db: redis.Redis, key: str) -> None:
    for name in "abc":
        any_db.xadd(key, {name: name})
    with redcol.iter_stream(url, key, batch_size=1, include_id=False) as batches:
        frames = list(itertools.islice(batches, 3))
    assert [frame.columns for frame in frames] == [
        ["_ts", "a"],
        ["_ts", "a", "b"],
        ["_ts", "a", "b", "c"],
    ]
    assert frames[2].row(0)[1:] == (None, None, "c")


# When entries are acknowledged.


def test_the_next_request_acknowledges(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(6))
    batches = redcol.iter_stream(url, key, **GROUP, batch_size=2, auto_ack=True, **STOP)
    assert pending(any_db, key) == []
    next(batches)
    assert pending(any_db, key) == ids[:2]
    next(batches)
    assert pending(any_db, key) == ids[2:4]
    next(batches)
    assert batches.stats.acknowledged in (2, 4)  # the second answer may be under way
    assert next(batches, None) is None
    assert pending(any_db, key) == []
    assert batches.stats[:10] == (6, 6, 0, 0, 0, 0, 0, 0, 0, 0)
    batches.close()


def test_acknowledging_keeps_no_answer_waiting(url: str, any_db: redis.Redis, key: str) -> None:
    """Of a backlog, the next entries are asked for first; but before a request that may block."""
    add(any_db, key, range(5))
    with any_db.monitor() as monitor:
        commands = monitor.listen()
        with redcol.iter_stream(
            url, key, **GROUP, schema=SCHEMA, batch_size=2, auto_ack=True, **STOP
        ) as batches:
            assert numbers(batches) == [[0, 1], [2, 3], [4]]
        any_db.echo("end")
        seen = []
        for command in commands:
            words = command["command"].split()
            if words[0] == "ECHO":
                break
            if words[0] == "XACK":
                seen.append(f"acknowledges {len(words) - 3}")
            elif words[0] == "XREADGROUP" and words[-1] == ">":
                seen.append("asks" + (" and waits" if "BLOCK" in words else ""))
    acks = ["asks and waits", "asks", "acknowledges 2", "asks", "acknowledges 2", "acknowledges 1"]
    assert seen[:6] == acks
    assert set(seen[6:]) == {"asks and waits"}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, ["waits for 2", "asks for 16", "has [0, 1]", "has [2, 3]", "has [4]"]),
        (20_000, ["waits for 2", "asks for 6", "has [0, 1]", "has [2, 3]", "has [4]"]),
        (
            50_000,
            ["waits for 2", "asks for 2", "has [0, 1]", "asks for 2", "has [2, 3]", "has [4]"],
        ),
        (
            200_000,
            ["waits for 2", "has [0, 1]", "waits for 2", "has [2, 3]", "waits for 2", "has [4]"],
        ),
    ],
)
def test_a_small_backlog_is_asked_for_ahead(
    url: str, any_db: redis.Redis, key: str, size: int, expected: list[str]
) -> None:
    """The server works on the next batches while the caller has this one."""
    for number in range(5):
        any_db.xadd(key, {"n": number, "text": "x" * size})
    with any_db.monitor() as monitor:
        commands = monitor.listen()
        with redcol.iter_stream(url, key, schema=SCHEMA, batch_size=2, **STOP) as batches:
            for batch in batches:
                any_db.echo(f"has {batch['n'].to_list()}")
        any_db.echo("end")
        seen = []
        for command in commands:
            words = command["command"].split()
            if words == ["ECHO", "end"]:
                break
            if words[0] == "ECHO":
                seen.append(" ".join(words[1:]))
            elif words[0] == "XREAD":
                seen.append(f"{'waits' if 'BLOCK' in words else 'asks'} for {words[2]}")
    assert seen[: len(expected)] == expected
    assert set(seen[len(expected) :]) == {"waits for 2"}


@pytest.mark.parametrize("group", [{}, GROUP], ids=["alone", "group"])
def test_an_interrupted_batch_of_many_in_an_answer_comes_again(
    url: str, any_db: redis.Redis, key: str, group: dict[str, str]
) -> None:
    """Ctrl-C while a frame is made: that batch and what lay behind it are read again."""
    add(any_db, key, range(50))
    with redcol.iter_stream(url, key, **group, schema=SCHEMA, batch_size=3, **STOP) as batches:
        make = batches._frames.make
        rows: list[int] = []
        calls = 0

        def interrupted(batch: object) -> object:
            nonlocal calls
            calls += 1
            if calls % 4 == 0:
                raise KeyboardInterrupt
            return make(batch)

        batches._frames.make = interrupted
        while len(rows) < 50:
            try:
                rows += next(batches)["n"].to_list()
            except KeyboardInterrupt:
                continue
    assert rows == list(range(50))
    assert calls == 17 + 5  # of which each was given back


def test_a_refused_value_among_many_batches_in_an_answer(
    url: str, any_db: redis.Redis, key: str
) -> None:
    add(any_db, key, range(10))
    refused = any_db.xadd(key, {"n": "ten"})
    add(any_db, key, range(11, 20))
    rows: list[int] = []

    def read_on(batches: redcol.StreamIterator) -> None:
        for batch in batches:
            rows.extend(batch["n"])

    with redcol.iter_stream(url, key, schema=SCHEMA, batch_size=4, **STOP) as batches:
        with pytest.raises(redcol.ValueConversionError, match=refused.decode()):
            read_on(batches)
        assert rows == list(range(10))
        read_on(batches)
    assert rows == [*range(10), *range(11, 20)]


def test_a_member_does_not_wait_to_begin() -> None:
    """Making the group, what is pending and what may be claimed are asked for together."""
    nothing_pending = b"*1\r\n*2\r\n$1\r\ns\r\n*0\r\n"
    entry = b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$1\r\n7\r\n"

    def answer(command: list[bytes]) -> bytes | None:
        match command[0], command[-1]:
            case (b"XGROUP", _) | (b"XREADGROUP", b"0-0"):
                return None
            case b"XPENDING", _:
                return b"+OK\r\n" + nothing_pending + b"*0\r\n"
            case b"XREADGROUP", _:
                return entry
            case b"XACK", _:
                return b":1\r\n"
        return b"+OK\r\n"

    arguments = {"claim_idle_ms": 1000, "count": 1, "auto_ack": True, "timeout_ms": 3000}
    with (
        FakeServer(answer) as fake,
        redcol.iter_stream(fake.url, "s", **GROUP, schema=SCHEMA, **arguments) as batches,
    ):
        assert numbers(batches) == [[7]]


def test_acknowledging_in_pieces(url: str, any_db: redis.Redis, key: str) -> None:
    """A large batch is acknowledged piece by piece while the next one comes, and in full."""
    with any_db.pipeline(transaction=False) as pipeline:
        for number in range(7000):
            pipeline.xadd(key, {"n": number})
        ids = [entry_id.decode() for entry_id in pipeline.execute()]
    with redcol.iter_stream(url, key, **GROUP, batch_size=3000, auto_ack=True, **STOP) as batches:
        for begin, batch in zip((0, 3000, 6000), batches, strict=False):
            assert batch["_id"].to_list() == ids[begin : begin + 3000]
            deadline = time.monotonic() + 60
            while pending(any_db, key) != ids[begin : begin + 3000]:
                assert time.monotonic() < deadline
    assert pending(any_db, key) == []
    assert batches.stats.acknowledged == 7000


def test_an_acknowledgement_without_an_answer_is_made_again() -> None:
    """When the `with` block ends, on a connection of its own."""
    acknowledged = []

    def answer(command: list[bytes]) -> bytes | None:
        if command[0] == b"XREADGROUP" and command[-1] == b">":
            entry_id = b"%d-1" % (1 + sum(b">" in before for before in fake.commands[:-1]))
            entry = b"*2\r\n$3\r\n%s\r\n*2\r\n$1\r\nn\r\n$1\r\n7\r\n" % entry_id
            return b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" + entry
        if command[0] == b"XREADGROUP":
            return b"*1\r\n*2\r\n$1\r\ns\r\n*0\r\n"
        if command[0] == b"XPENDING":
            return b"*0\r\n"
        if command[0] == b"XACK":
            acknowledged.append(command[3:])
            return None if len(acknowledged) == 1 else b":%d\r\n" % len(command[3:])
        return b"+OK\r\n"

    with (
        FakeServer(answer) as fake,
        redcol.iter_stream(
            fake.url, "s", **GROUP, schema=SCHEMA, batch_size=1, auto_ack=True
        ) as batches,
    ):
        assert [batch["_id"].item() for batch in itertools.islice(batches, 2)] == ["1-1", "2-1"]
        wait_until(lambda: bool(acknowledged), "an acknowledgement, which the end's may overtake")
    assert acknowledged[0] == [b"1-1"]
    assert sorted(itertools.chain(*acknowledged[1:])) == [b"1-1", b"2-1"]


def test_acknowledging_in_another_thread_stops_no_loop(
    url: str, any_db: redis.Redis, key: str
) -> None:
    """What is acknowledged while the next batch is asked for is in nobody's way."""
    add(any_db, key, range(2000))
    with (
        ThreadPoolExecutor(1) as other,
        redcol.iter_stream(url, key, **GROUP, batch_size=10, auto_ack=True, **STOP) as batches,
    ):
        has_ended, acknowledged = threading.Event(), list[int]()

        def acknowledge() -> None:
            while not has_ended.is_set():
                acknowledged.append(batches.ack())

        ended = other.submit(acknowledge)
        try:
            rows = len(next(batches))
            wait_until(lambda: sum(acknowledged) > 0, "the first batch is acknowledged")
            assert rows + sum(len(batch) for batch in batches) == 2000
        finally:
            has_ended.set()
        ended.result()
    assert pending(any_db, key) == []
    assert batches.stats.acknowledged == 2000


@pytest.mark.parametrize("how", ["end", "break", "error", "close", "break outside", "forgotten"])
def test_what_leaves_the_last_batch_pending(
    url: str, any_db: redis.Redis, key: str, no_leaks: None, how: str
) -> None:
    ids = add(any_db, key, range(4))
    batches = redcol.iter_stream(url, key, **GROUP, batch_size=2, auto_ack=True)
    if how in ("end", "break", "error"):
        try:
            with batches:
                for _ in batches:
                    if how == "break":
                        break
                    if how == "error":
                        raise LookupError
                    if batches.stats.delivered == 4:
                        break
        except LookupError:
            pass
    else:
        for _ in batches:
            break
        if how == "close":
            batches.close()
            batches.close()
            with pytest.raises(redcol.ClosedError):
                next(batches)
    stats = batches.stats
    if how == "break outside":
        batches.close()
    del batches
    gc.collect()
    assert pending(any_db, key) == ([] if how in ("end", "break") else ids[:2])
    assert stats.acknowledged == {"end": 4, "break": 2}.get(how, 0)
    if how == "forgotten":
        wait_until_gone(any_db)


def wait_until_gone(db: redis.Redis) -> None:
    """Until nobody but `db` is connected."""
    deadline = time.monotonic() + 60
    while len(db.client_list()) > 1:
        assert time.monotonic() < deadline, db.client_list()
        time.sleep(0.005)


def test_without_auto_ack_everything_stays_pending(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(6))
    with redcol.iter_stream(url, key, **GROUP, batch_size=2, **STOP) as batches:
        frames = list(batches)
        assert pending(any_db, key) == ids
        assert batches.ack(frames[0]) == 2
        assert batches.ack([ids[2]]) == 1
        assert batches.ack(frames[1]["_id"]) == 1
        assert pending(any_db, key) == ids[4:]
        assert batches.ack() == 2
        assert batches.ack() == 0
        assert batches.stats.acknowledged == 6
        with pytest.raises(redcol.InvalidArgumentError):
            batches.ack(["no id"])
        with pytest.raises(redcol.InvalidArgumentError, match="_id"):
            batches.ack(frames[0].drop("_id"))
    assert pending(any_db, key) == []


def test_acknowledging_needs_a_group(url: str, key: str) -> None:
    with redcol.iter_stream(url, key) as batches, pytest.raises(redcol.InvalidArgumentError):
        batches.ack()


# One client for several.


def test_one_client_for_several(any_server: Server, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(6))
    with redcol.connect(any_server.url) as client:
        tail = redcol.iter_stream(client, key, batch_size=4, schema=SCHEMA, **STOP)
        member = redcol.iter_stream(client, key, **GROUP, batch_size=4, schema=SCHEMA, **STOP)
        assert numbers([next(tail), next(member), next(tail)]) == [[0, 1, 2, 3]] * 2 + [[4, 5]]
        tail.close()
        assert numbers(member) == [[4, 5]]
        assert repr(member) == f"<redcol.StreamIterator of '{key}'>"
        assert len(redcol.read_stream(client, key)) == 6
    with pytest.raises(redcol.ClosedError):
        next(redcol.iter_stream(client, key))


def test_no_warnings_when_forgotten(any_server: Server, key: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        redcol.iter_stream(any_server.url, key)
        gc.collect()


@pytest.mark.parametrize("batch_size", [100, 1])
def test_answers_before_a_batch_make_no_later_wait_idle(key: str, batch_size: int) -> None:
    """Idle is a server that has said so since: not one that said it before the last batch.

    Nor one that was asked ahead, as for the batch after a full one.
    """
    arguments = {"on_idle": "empty", "block_ms": 50, "batch_size": batch_size}
    with (
        Server() as server,
        server.client() as db,
        redcol.iter_stream(server.url, key, **arguments) as batches,
    ):
        assert len(next(batches)) == 0
        add(db, key, range(1))
        while not len(next(batches)):
            pass
        db.ping()  # and what was asked ahead is answered
        resumed = threading.Event()

        def resume() -> None:
            resumed.set()
            server.process.send_signal(signal.SIGCONT)

        server.process.send_signal(signal.SIGSTOP)
        timer = threading.Timer(0.5, resume)
        timer.start()
        assert len(next(batches)) == 0
        assert resumed.is_set()
        timer.join()


def test_a_caller_who_was_away_loses_no_connection(
    server: Server, db: redis.Redis, key: str
) -> None:
    """What came while nobody looked was no silence of the server."""
    with redcol.iter_stream(
        server.url, key, on_idle="empty", block_ms=10, timeout_ms=200
    ) as batches:
        assert len(next(batches)) == 0  # and the next answer is awaited
        time.sleep(1.6)  # it came after the second for which the server was asked to wait
        add(db, key, range(1))
        while not len(next(batches)):
            pass
        assert batches.stats.reconnects == 0
