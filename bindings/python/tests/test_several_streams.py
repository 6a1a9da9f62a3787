# SPDX-License-Identifier: Apache-2.0
"""iter_stream over a list of streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending
from servers import Server

STOP = {"on_idle": "stop", "block_ms": 250}


def test_several_streams(url: str, any_db: redis.Redis, key: str) -> None:
    streams = [f"{key}-{letter}" for letter in "abc"]
    for index, stream in enumerate(streams):
        add(any_db, stream, range(index * 10, index * 10 + 5))
    for group in ({}, GROUP):
        batches = redcol.iter_stream(url, streams, **group, batch_size=4, schema=SCHEMA, **STOP)
        frames = list(batches)
        assert all(0 < len(frame) <= 4 for frame in frames)
        assert frames[0].columns == ["_id", "_ts", "_stream", "n"]
        whole = pl.concat(frames)
        for index, stream in enumerate(streams):
            part = whole.filter(pl.col("_stream") == stream)["n"].to_list()
            assert part == list(range(index * 10, index * 10 + 5))
        if not group:
            batches.close()
    with pytest.raises(redcol.InvalidArgumentError, match="stream column"):
        batches.ack(whole["_id"])
    assert batches.ack(whole.filter(pl.col("n") % 10 < 2)) == 6
    assert [len(pending(any_db, stream)) for stream in streams] == [3, 3, 3]
    assert batches.ack() == 9
    batches.close()


def test_several_streams_acknowledged_on_the_next_request(
    url: str, any_db: redis.Redis, key: str
) -> None:
    streams = [f"{key}-{number}".encode() for number in range(20)]
    for stream in streams:
        add(any_db, stream.decode(), range(10))
    with redcol.iter_stream(
        url, streams, **GROUP, batch_size=7, auto_ack=True, stream_column="from", **STOP
    ) as batches:
        frames = list(batches)
    assert all(len(frame) <= 7 for frame in frames)
    counts = pl.concat(frames)["from"].value_counts()
    assert sorted(counts.rows()) == sorted((stream.decode(), 10) for stream in streams)
    assert all(any_db.xpending(stream, "g")["pending"] == 0 for stream in streams)


@contextmanager
def asked(db: redis.Redis) -> Iterator[list[tuple[int, bool]]]:
    """How many entries each XREAD asks for, and whether it waits; complete at the end."""
    requests: list[tuple[int, bool]] = []
    with db.monitor() as monitor:
        yield requests
        db.echo("end")
        for command in monitor.listen():
            words = command["command"].split()
            if words[0] == "ECHO":
                break
            if words[0] == "XREAD":
                requests.append((int(words[2]), "BLOCK" in words))


def test_the_streams_that_have_entries_share_a_batch(
    url: str, any_db: redis.Redis, key: str
) -> None:
    """No answer has a whole batch of each stream, for which other clients would have to wait."""
    streams = [f"{key}-{number}" for number in range(10)]
    for stream in streams:
        add(any_db, stream, range(1_000))
    add(any_db, streams[0], range(1_000, 9_000))
    with (
        asked(any_db) as requests,
        redcol.iter_stream(url, streams, batch_size=2_000, schema=SCHEMA, **STOP) as batches,
    ):
        frames = list(batches)
    assert all(0 < len(frame) <= 2_000 for frame in frames)
    # A tenth of a batch of each, then all of the only one that has more.
    counts = [count for count, _ in requests]
    assert counts[:9] == [200, 200, 200, 200, 200, 200, 2_000, 2_000, 2_000]
    whole = pl.concat(frames)
    for stream in streams:
        rows = whole.filter(pl.col("_stream") == stream)["n"].to_list()
        assert rows == list(range(9_000 if stream == streams[0] else 1_000))


@pytest.mark.parametrize("batch_size", [1_000, 100])
def test_a_stream_with_a_backlog_beside_others_that_trickle(
    url: str, any_db: redis.Redis, key: str, batch_size: int
) -> None:
    """It has a whole batch; and others, should they all have something now, have no more each."""
    streams = [f"{key}-{number}" for number in range(10)]
    add(any_db, streams[0], range(10 * batch_size))
    with (
        asked(any_db) as requests,
        redcol.iter_stream(url, streams, batch_size=batch_size, **STOP) as batches,
    ):
        rows = 0
        while rows < 10 * batch_size:
            for stream in streams[1:]:
                any_db.xadd(stream, {"n": 0})
            rows += next(batches)["_stream"].eq(streams[0]).sum()
    counts = [count for count, _ in requests]
    assert counts[0] == batch_size // 10
    assert set(counts[1:10]) == {batch_size}


def test_what_comes_in_several_streams_is_no_backlog(
    url: str, any_db: redis.Redis, key: str
) -> None:
    """Entries of many streams at a time do not make the reader ask twice."""
    streams = [f"{key}-{number}" for number in range(20)]
    with (
        redcol.iter_stream(url, streams, batch_size=100, schema=SCHEMA) as batches,
        asked(any_db) as requests,
    ):
        for _ in range(5):
            with any_db.pipeline() as transaction:
                for stream in streams:
                    transaction.xadd(stream, {"n": 1})
                transaction.execute()
            rows = 0
            while rows < 20:
                rows += len(next(batches))
    assert requests
    assert all(waits for _, waits in requests)


@pytest.mark.parametrize("create_group", [True, False])
def test_one_missing_stream_does_not_stop_the_others(
    url: str, any_db: redis.Redis, key: str, create_group: bool
) -> None:
    there, missing = f"{key}-there", f"{key}-missing"
    add(any_db, there, range(3))
    if not create_group:
        any_db.xgroup_create(there, "g", "0")
    with redcol.iter_stream(
        url, [missing, there], **GROUP, create_group=create_group, schema=SCHEMA
    ) as batches:
        assert [next(batches)["n"].to_list()] == [[0, 1, 2]]
        assert any_db.exists(missing) == create_group
        add(any_db, there, [3])
        assert [next(batches)["n"].to_list()] == [[3]]
        add(any_db, missing, [4])
        if not create_group:
            any_db.xgroup_create(missing, "g", "0")
        frame = next(batches)
        assert frame.select("_stream", "n").rows() == [(missing, 4)]


def test_no_stream_at_all(url: str, any_db: redis.Redis, key: str) -> None:
    streams = [f"{key}-a", f"{key}-b"]
    with (
        redcol.iter_stream(url, streams, **GROUP, create_group=False) as batches,
        pytest.raises(redcol.NoGroupError),
    ):
        next(batches)


@pytest.mark.parametrize("start_id", ["-", "$", "5-0", timedelta(hours=-1)])
@pytest.mark.parametrize("more", [{}, {"start_last": 2}, {"until": "now"}])
def test_which_of_them_is_no_stream(
    url: str, any_db: redis.Redis, key: str, start_id: str, more: dict[str, object]
) -> None:
    """The server's answer does not say it."""
    if "start_last" in more and start_id != "-":
        return
    streams = [f"{key}-{letter}" for letter in "abc"]
    for stream in (streams[0], streams[2]):
        add(any_db, stream, range(3))
    any_db.set(streams[1], "a string")
    with (
        pytest.raises(redcol.WrongTypeError, match=f'stream "{streams[1]}": ') as caught,
        redcol.iter_stream(
            url, streams, start_id=start_id, schema=SCHEMA, on_idle="stop", block_ms=1, **more
        ) as batches,
    ):
        list(batches)
    assert caught.value.stream == streams[1]


@pytest.mark.parametrize("group", [{}, GROUP, GROUP | {"create_group": False}])
def test_one_of_them_becomes_something_else(
    url: str, any_db: redis.Redis, key: str, group: dict[str, object]
) -> None:
    streams = [f"{key}-{letter}" for letter in "abc"]
    for stream in streams:
        add(any_db, stream, range(3))
        if "create_group" in group:
            any_db.xgroup_create(stream, "g", "0")
    with redcol.iter_stream(url, streams, **group, schema=SCHEMA, **STOP) as batches:
        next(batches)
        any_db.set(streams[1], "a string")
        with pytest.raises(redcol.WrongTypeError, match=f'stream "{streams[1]}": ') as caught:
            list(batches)
        assert caught.value.stream == streams[1]


@pytest.mark.parametrize("create_group", [True, False])
def test_which_stream_of_a_group_is_none(
    url: str, any_db: redis.Redis, key: str, create_group: bool
) -> None:
    streams = [f"{key}-{letter}" for letter in "abc"]
    for stream in (streams[0], streams[2]):
        add(any_db, stream, range(3))
        any_db.xgroup_create(stream, "g", "0")
    any_db.set(streams[1], "a string")
    with (
        pytest.raises(redcol.WrongTypeError, match=f'stream "{streams[1]}": ') as caught,
        redcol.iter_stream(
            url, streams, **GROUP, create_group=create_group, schema=SCHEMA, **STOP
        ) as batches,
    ):
        list(batches)
    assert caught.value.stream == streams[1]


@pytest.mark.parametrize("rule", ["-xinfo", "+xinfo"])
def test_a_user_who_may_not_ask_which(
    any_server: Server, any_db: redis.Redis, key: str, rule: str
) -> None:
    add(any_db, f"{key}-a", range(3))
    any_db.set(f"{key}-b", "a string")
    any_db.acl_setuser(
        "blind", enabled=True, passwords=["+one"], keys=["*"], commands=["+@all", rule], reset=True
    )
    url = any_server.url.replace("unix://", "unix://blind:one@")
    with (
        pytest.raises(redcol.WrongTypeError) as caught,
        redcol.iter_stream(url, [f"{key}-a", f"{key}-b"], schema=SCHEMA, **STOP) as batches,
    ):
        list(batches)
    assert caught.value.stream == (f"{key}-b" if rule == "+xinfo" else None)
    any_db.acl_deluser("blind")
