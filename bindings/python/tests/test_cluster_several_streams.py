# SPDX-License-Identifier: Apache-2.0
"""iter_stream and stream_batches over streams that several nodes of a real cluster have."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import reads
from chaos.proxy import Faults

import redcol
from clusters import Cluster, Relays
from grouping import GROUP, SCHEMA, add, pending
from redcol import _native, _reading
from sentinels import wait_until
from servers import SERVERS

STOP = {"on_idle": "stop", "block_ms": 250}

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


@pytest.fixture
def streams(cluster: Cluster) -> list[str]:
    """Nine streams, of which each node has three."""
    name = f"s{next(_numbers)}"
    return [
        cluster.key_at(node, f"{name}-{letter}") for node in cluster.primaries for letter in "abc"
    ]


def fill(cluster: Cluster, streams: list[str], count: int) -> None:
    for index, stream in enumerate(streams):
        with cluster.db(stream) as db:
            add(db, stream, range(index * 1_000, index * 1_000 + count))


def all_of(frame: pl.DataFrame, streams: list[str], count: int) -> None:
    """Every entry once, each stream in its order."""
    for index, stream in enumerate(streams):
        numbers = frame.filter(pl.col("_stream") == stream)["n"].to_list()
        assert numbers == list(range(index * 1_000, index * 1_000 + count)), stream


def pending_of(cluster: Cluster, streams: list[str]) -> list[int]:
    counts = []
    for stream in streams:
        with cluster.db(stream) as db:
            counts.append(len(pending(db, stream)))
    return counts


def test_streams_on_several_nodes(cluster: Cluster, streams: list[str]) -> None:
    fill(cluster, streams, 50)
    for group in ({}, GROUP):
        with redcol.iter_stream(
            cluster.url, streams, **group, batch_size=20, schema=SCHEMA, **STOP
        ) as batches:
            frames = list(batches)
            assert batches.is_connected
            assert batches.stats.delivered == 450
            if group:
                assert batches.ack(frames[0]) == len(frames[0])
                assert batches.ack() == 450 - len(frames[0])
                assert batches.stats.acknowledged == 450
        assert all(0 < len(frame) <= 20 for frame in frames)
        assert frames[0].columns == ["_id", "_ts", "_stream", "n"]
        all_of(pl.concat(frames), streams, 50)
    assert pending_of(cluster, streams) == [0] * 9


def test_streams_of_one_slot_take_one_connection(cluster: Cluster) -> None:
    name = f"tag-{next(_numbers)}"
    streams = [f"{{{name}}}{letter}" for letter in "abc"]
    fill(cluster, streams, 10)
    with (
        cluster.db(streams[0]) as db,
        redcol.connect(cluster.url, client_name=name) as client,
        redcol.iter_stream(client, streams, schema=SCHEMA, **STOP) as batches,
    ):
        frames = [next(batches)]
        reading = [one for one in db.client_list() if one["name"] == name]
        assert [one["cmd"] for one in reading].count("xread") == 1
        frames += batches
    all_of(pl.concat(frames), streams, 10)


def test_auto_ack(cluster: Cluster, streams: list[str]) -> None:
    fill(cluster, streams, 30)
    with redcol.iter_stream(
        cluster.url, streams, **GROUP, batch_size=7, auto_ack=True, schema=SCHEMA, **STOP
    ) as batches:
        all_of(pl.concat(list(batches)), streams, 30)
    assert pending_of(cluster, streams) == [0] * 9


@pytest.mark.parametrize("group", [{}, GROUP], ids=["tail", "group"])
def test_count_is_that_of_all_streams(
    cluster: Cluster, streams: list[str], group: dict[str, str]
) -> None:
    fill(cluster, streams, 40)
    with redcol.iter_stream(
        cluster.url, streams, **group, batch_size=9, count=100, schema=SCHEMA
    ) as batches:
        frames = list(batches)
        whole = pl.concat(frames)
        assert len(whole) == 100
        assert whole.select("_id", "_stream").is_unique().all()
        if group:
            assert batches.ack() == 100


def test_no_stream_starves_another(cluster: Cluster, streams: list[str]) -> None:
    """One has a long backlog; what the others have comes between its batches.

    How many batches come first depends on how soon the other nodes answer.
    """
    backlog = 9_000
    fill(cluster, streams[:1], backlog)
    fill(cluster, streams[1:], 1)
    rows: Counter[str] = Counter()
    with redcol.iter_stream(cluster.url, streams, batch_size=10, **STOP) as batches:
        while len(rows) < 9:
            rows.update(next(batches)["_stream"])
        assert rows[streams[0]] < backlog


def test_idle_is_that_of_all_streams(cluster: Cluster, streams: list[str]) -> None:
    with redcol.iter_stream(
        cluster.url, streams, start_id="$", on_idle="empty", block_ms=100, schema=SCHEMA
    ) as batches:
        assert len(next(batches)) == 0
        fill(cluster, streams[4:5], 1)
        assert next(batches)["_stream"].to_list() == [streams[4]]
        assert len(next(batches)) == 0
        fill(cluster, streams[8:], 1)
        assert len(next(batches)) == 1
    with redcol.iter_stream(
        cluster.url, streams, start_id="$", on_idle="empty", block_ms=None, schema=SCHEMA
    ) as batches:
        assert [len(next(batches)) for _ in range(3)] == [0, 0, 0]


def test_whoever_is_idle_is_not_asked_again(cluster: Cluster, streams: list[str]) -> None:
    """Without block_ms each node is asked once for a frame, however slow another one is."""

    def asked() -> int:
        counts = []
        for node in cluster.primaries[1:]:
            with node.client() as db:
                counts.append(db.info("commandstats").get("cmdstat_xread", {"calls": 0})["calls"])
        return sum(counts)

    with redcol.iter_stream(
        cluster.url, streams, start_id="$", on_idle="empty", block_ms=None, schema=SCHEMA
    ) as batches:
        assert len(next(batches)) == 0
        before = asked()
        with cluster.primaries[0].client() as slow:
            slow.execute_command("CLIENT", "PAUSE", 300)
        assert len(next(batches)) == 0
        assert asked() - before <= 2 * len(streams[3:])


def test_idle_begins_again_with_each_batch(cluster: Cluster, streams: list[str]) -> None:
    """A frame without rows says that nothing came for block_ms since the last one was taken."""
    block_ms = 400
    for _ in range(20):
        with cluster.db(streams[0]) as db:
            db.delete(streams[0])
        with redcol.iter_stream(
            *(cluster.url, [streams[0], streams[8]]),
            on_idle="empty",
            block_ms=block_ms,
            end_id="5-0",
            schema=SCHEMA,
        ) as batches:

            def add_the_last() -> None:
                with cluster.db(streams[0]) as db:
                    db.xadd(streams[0], {"n": 1}, id="1-0")
                    db.xadd(streams[0], {"n": 9}, id="9-0")

            adding = threading.Timer(block_ms / 2_000, add_the_last)
            adding.start()
            frame = next(batches)
            taken = time.monotonic()
            is_last = len(frame) > 0 and len(next(batches)) == 0
            waited = time.monotonic() - taken
            adding.join()
            if is_last:
                assert waited >= block_ms / 1_000 - 0.01
                return
    pytest.fail("the machine was always too slow")


def test_it_stops_when_all_have_caught_up(cluster: Cluster, streams: list[str]) -> None:
    """A stream that has nothing more is read on while another one has a backlog."""
    fill(cluster, streams[:1], 900)
    with redcol.iter_stream(
        cluster.url, streams, batch_size=1, schema=SCHEMA, on_idle="stop", block_ms=20
    ) as batches:
        # The others have been idle for much longer than block_ms by then, and were asked for more.
        frames = []
        for _ in range(10):
            frames.append(next(batches))
            time.sleep(0.02)
        fill(cluster, streams[5:6], 1)
        frames += batches
    assert sum(map(len, frames)) == 901


def test_count_is_kept_while_an_answer_comes_in_pieces(
    cluster: Cluster, streams: list[str]
) -> None:
    """Rows that one node has sent in part are counted while the others are read."""
    fill(cluster, streams, 100)
    with Relays(cluster) as relays:
        relays.proxies[0].begin(lambda _: Faults(pieces=(300, 600), gap=0.02))
        with (
            redcol.connect(relays.url, **relays.arguments) as client,
            redcol.iter_stream(
                client, streams, **GROUP, count=250, schema=SCHEMA, **STOP
            ) as batches,
        ):
            assert sum(map(len, batches)) == 250


def test_a_batch_is_acknowledged_when_another_nodes_batch_comes_next(
    cluster: Cluster, streams: list[str]
) -> None:
    """The node of the first one is not asked for more meanwhile."""
    fill(cluster, streams[:1], 1)
    with redcol.iter_stream(
        cluster.url, streams, **GROUP, auto_ack=True, schema=SCHEMA, block_ms=60_000
    ) as batches:
        assert len(next(batches)) == 1
        fill(cluster, streams[8:], 1)
        assert len(next(batches)) == 1
        wait_until(lambda: pending_of(cluster, streams)[0] == 0, "the first is acknowledged")
        assert pending_of(cluster, streams)[8] == 1


def test_end_id_ends_when_every_stream_has_passed_it(cluster: Cluster, streams: list[str]) -> None:
    for stream in streams:
        with cluster.db(stream) as db:
            for number in range(1, 6):
                db.xadd(stream, {"n": number}, id=f"{number}-0")
    with redcol.iter_stream(cluster.url, streams, end_id="3-0", schema=SCHEMA) as batches:
        whole = pl.concat(list(batches))
    assert sorted(whole["n"].to_list()) == sorted([1, 2, 3] * 9)


def test_discovered_columns_are_shared(cluster: Cluster, streams: list[str]) -> None:
    """A column once seen stays, at its place, whichever node it came from."""
    wanted = streams[::3]
    fields = [{"a": "1", "b": "2"}, {"c": "3", "b": "4"}, {"d": b"\xff", "a": "5"}]
    for _ in range(3):
        for stream, entry in zip(wanted, fields, strict=True):
            with cluster.db(stream) as db:
                db.xadd(stream, entry)  # type: ignore[arg-type]
    with redcol.iter_stream(cluster.url, wanted, batch_size=1, discover="auto", **STOP) as batches:
        frames = list(batches)
    assert len(frames) == 9
    for before, after in itertools.pairwise(frames):
        assert after.columns[: len(before.columns)] == before.columns
        for name, dtype in before.schema.items():
            assert after.schema[name] == dtype or after.schema[name] == pl.Binary
    assert set(frames[-1].columns) == {"_id", "_ts", "_stream", "a", "b", "c", "d"}
    whole = pl.concat(frames, how="diagonal_relaxed")
    for stream, entry in zip(wanted, fields, strict=True):
        rows = whole.filter(pl.col("_stream") == stream).drop("_id", "_ts", "_stream")
        for row in rows.iter_rows(named=True):
            found = {name: value for name, value in row.items() if value is not None}
            assert found == entry


@pytest.mark.parametrize("group", [{}, GROUP], ids=["tail", "group"])
def test_a_batch_that_was_put_back_comes_again(
    cluster: Cluster, streams: list[str], group: dict[str, str]
) -> None:
    fill(cluster, streams, 10)
    with redcol.iter_stream(
        cluster.url, streams, **group, batch_size=4, schema=SCHEMA, **STOP
    ) as batches:
        frames = []
        for number, frame in enumerate(batches):
            if number % 3 == 1:
                _native.iter_unread(batches._handle)
            else:
                frames.append(frame)
    all_of(pl.concat(frames), streams, 10)


def test_async(cluster: Cluster, streams: list[str]) -> None:
    async def read() -> list[pl.DataFrame]:
        frames = []
        async with redcol.stream_batches(
            cluster.url, streams, batch_size=10, schema=SCHEMA, start_id="$", count=45
        ) as batches:
            adding = asyncio.get_running_loop().run_in_executor(None, fill, cluster, streams, 5)
            async for frame in batches:
                frames.append(frame)
            await adding
        return frames

    all_of(pl.concat(asyncio.run(read())), streams, 5)


def test_async_on_one_server_finds_that_it_is_one(any_server: object, url: str, key: str) -> None:
    streams = [f"{key}-{letter}" for letter in "abc"]

    async def read() -> int:
        rows = 0
        async with redcol.stream_batches(url, streams, schema=SCHEMA, **STOP) as batches:
            async for frame in batches:
                rows += len(frame)
        return rows

    with any_server.client() as db:  # type: ignore[attr-defined]
        for stream in streams:
            add(db, stream, range(10))
    assert asyncio.run(read()) == 30


def test_cancel_and_close_end_a_wait(cluster: Cluster, streams: list[str]) -> None:
    batches = redcol.iter_stream(cluster.url, streams, start_id="$", schema=SCHEMA)
    timer = threading.Timer(0.05, batches.cancel)
    timer.start()
    with pytest.raises(redcol.CancelledError):
        next(batches)
    timer.join()
    fill(cluster, streams[:1], 1)
    assert len(next(batches)) == 1
    timer = threading.Timer(0.05, batches.close)
    timer.start()
    assert list(batches) == []
    timer.join()


def test_errors_name_the_stream(cluster: Cluster, streams: list[str]) -> None:
    with cluster.db(streams[7]) as db:
        db.set(streams[7], "no stream")
    with pytest.raises(redcol.WrongTypeError) as caught:
        list(redcol.iter_stream(cluster.url, streams, schema=SCHEMA, **STOP))
    assert caught.value.stream == streams[7]
    with cluster.db(streams[7]) as db:
        db.delete(streams[7])
        db.xadd(streams[7], {"n": "x"})
    with redcol.iter_stream(cluster.url, streams, schema=SCHEMA, **STOP) as batches:
        with pytest.raises(redcol.ValueConversionError) as refused:
            list(batches)
        assert refused.value.stream == streams[7]
        fill(cluster, streams[:1], 1)
        assert [len(frame) for frame in batches] == [1]


def once(url: str, streams: list[str], **arguments: Any) -> pl.DataFrame:
    """A read that does not follow: it waits for the first entries of any stream."""
    own = {"stream_column": "_stream"}
    made = reads.request(streams[0], schema=SCHEMA, options=own, **arguments)
    names = [stream.encode() for stream in streams]
    with redcol.connect(url) as client:
        iterator = _native.read_streams(client._handle, names, made.schema_capsule(), made.options)
        frames = [pl.DataFrame(batch) for batch in _reading.batches(iterator)]
        iterator.free()
    # One that has no rows comes only if it is the only one.
    assert len(frames) == 1 or all(map(len, frames))
    return pl.concat(frames)


@pytest.mark.parametrize("group", [{}, {**GROUP, "auto_ack": True}], ids=["tail", "group"])
def test_a_read_that_does_not_follow(
    cluster: Cluster, streams: list[str], group: dict[str, Any]
) -> None:
    """It takes what all nodes have, and waits only if that is nothing."""
    empty = once(cluster.url, streams, block_ms=30, **group)
    assert empty.columns == ["_id", "_ts", "_stream", "n"]
    assert len(empty) == 0
    fill(cluster, streams[:5], 40)
    # To wait for the other streams would be to wait for ever.
    all_of(once(cluster.url, streams, block_ms=0, **group), streams[:5], 40)
    if group:
        assert pending_of(cluster, streams) == [0] * 9
        assert len(once(cluster.url, streams, **group)) == 0
        fill(cluster, streams[:5], 40)
    assert len(once(cluster.url, streams, block_ms=0, count=70, **group)) == 70


@pytest.mark.parametrize("group", [{}, GROUP], ids=["tail", "group"])
def test_a_read_that_does_not_follow_waits_for_all_nodes(
    cluster: Cluster, streams: list[str], group: dict[str, Any]
) -> None:
    found: list[pl.DataFrame] = []
    waiting = threading.Thread(
        target=lambda: found.append(once(cluster.url, streams, block_ms=0, **group))
    )
    waiting.start()
    name = "xreadgroup" if group else "xread"
    for stream in streams[::3]:
        with cluster.db(stream) as db:
            wait_until(
                lambda db=db: any(one["cmd"] == name for one in db.client_list()), "it waits"
            )
    fill(cluster, streams[4:5], 1)
    waiting.join()
    assert found[0]["_stream"].to_list() == [streams[4]]


@pytest.mark.parametrize("group", [{}, GROUP], ids=["tail", "group"])
def test_a_slot_that_moves_takes_nothing_along(
    cluster: Cluster, streams: list[str], group: dict[str, str]
) -> None:
    """A slot goes round all nodes while an iterator waits for its streams."""
    moving = streams[0]
    moved: list[str] = []

    def move() -> None:
        for node in (*cluster.primaries[1:], cluster.primaries[0]):
            cluster.move(moving, node)
            cluster.await_whole()
            moved.append(moving)

    def write() -> None:
        with redcol.connect(cluster.url, timeout_ms=60_000) as client:
            for start in range(0, 200, 10):
                for index, stream in enumerate(streams):
                    numbers = [index * 1_000 + start + n for n in range(10)]
                    redcol.write_stream(client, pl.DataFrame({"n": numbers}), stream)

    threads = [threading.Thread(target=move), threading.Thread(target=write)]
    with redcol.iter_stream(
        *(cluster.url, streams),
        **group,
        schema=SCHEMA,
        count=1_800,
        auto_ack=bool(group),
        on_idle="stop",
        block_ms=20_000,
    ) as batches:
        for thread in threads:
            thread.start()
        try:
            frames = list(batches)
        finally:
            for thread in threads:
                thread.join()
    assert len(moved) == 3
    all_of(pl.concat(frames).unique(["_id", "_stream"], maintain_order=True), streams, 200)
    assert sum(map(len, frames)) == 1_800
    if group:
        assert pending_of(cluster, streams) == [0] * 9
