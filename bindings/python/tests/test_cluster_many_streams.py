# SPDX-License-Identifier: Apache-2.0
"""read_streams and scan_streams over all nodes of a real cluster."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from redis.crc import key_slot

import redcol
from clusters import Cluster, Node
from grouping import SCHEMA, add
from sentinels import wait_until
from servers import SERVERS

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


def fill(cluster: Cluster, sizes: dict[str, int]) -> None:
    for node in cluster.primaries:
        with node.client() as db:
            for stream, size in sizes.items():
                if cluster.owner(stream) is node:
                    add(db, stream, range(size))


def rows_of(sizes: dict[str, int], order: list[str]) -> list[tuple[str, int]]:
    return [(stream, number) for stream in order for number in range(sizes[stream])]


def sizes_of(count: int) -> tuple[str, dict[str, int]]:
    name = f"m{next(_numbers)}"
    return name, {f"{name}-{n}": (n * 37) % 90 for n in range(1, count)}


def test_a_pattern_finds_the_streams_of_all_nodes(cluster: Cluster) -> None:
    name, sizes = sizes_of(60)
    sizes[f"{name}-large"] = 3_000
    fill(cluster, sizes)
    counts: dict[str, int] = {}
    with cluster.db(f"{name}-text") as db:
        db.set(f"{name}-text", "no stream")
    frame = redcol.read_streams(cluster.url, f"{name}-*", schema=SCHEMA, counts=counts)
    assert frame.select("_key", "n").rows() == rows_of(sizes, sorted(sizes))
    assert counts == {"streams": 60, "empty_streams": 0, "wrong_types": 1}


def test_named_streams_come_in_the_order_of_the_list(cluster: Cluster) -> None:
    _, sizes = sizes_of(30)
    fill(cluster, sizes)
    order = sorted(sizes, key=lambda stream: hash(stream) % 97)
    frame = redcol.read_streams(cluster.url, order, schema=SCHEMA)
    assert frame.select("_key", "n").rows() == rows_of(sizes, order)
    part = redcol.read_streams(cluster.url, order, schema=SCHEMA, count_per_stream=5)
    assert part.select("_key", "n").rows() == [row for row in rows_of(sizes, order) if row[1] < 5]
    with redcol.connect(cluster.url) as client:
        for _ in range(3):
            again = redcol.read_streams(client, order[:1], schema=SCHEMA)
            assert again["n"].to_list() == list(range(sizes[order[0]]))


def test_a_query(cluster: Cluster) -> None:
    name, sizes = sizes_of(40)
    fill(cluster, sizes)
    lazy = redcol.scan_streams(cluster.url, f"{name}-*", schema=SCHEMA)
    rows = rows_of(sizes, sorted(sizes))
    assert lazy.select("_key", "n").head(100).collect().rows() == rows[:100]
    key = sorted(sizes)[7]
    found = lazy.filter(pl.col("_key") == key).select("n").collect()
    assert found["n"].to_list() == list(range(sizes[key]))
    assert lazy.select(pl.len()).collect().item() == len(rows)


def test_columns_are_discovered_on_all_nodes(cluster: Cluster) -> None:
    name = f"m{next(_numbers)}"
    for node in cluster.primaries:
        key = cluster.key_at(node, name)
        with cluster.db(key) as db:
            db.xadd(key, {f"f{cluster.primaries.index(node)}": "1"})
    frame = redcol.read_streams(cluster.url, f"{name}*")
    assert set(frame.columns) == {"_key", "_id", "_ts", "f0", "f1", "f2"}
    assert len(frame) == 3


def test_slots_that_move_while_streams_are_read(cluster: Cluster) -> None:
    _, sizes = sizes_of(40)
    fill(cluster, sizes)
    moving = sorted(sizes)[:3]
    ends = threading.Event()

    def move() -> None:
        while not ends.is_set():
            for stream in moving:
                cluster.move(stream, cluster.other(cluster.owner(stream)))
                cluster.await_whole()

    thread = threading.Thread(target=move)
    thread.start()
    try:
        with redcol.connect(cluster.url, timeout_ms=60_000) as client:
            for _ in range(60):
                frame = redcol.read_streams(client, sorted(sizes), schema=SCHEMA)
                assert frame.select("_key", "n").rows() == rows_of(sizes, sorted(sizes))
    finally:
        ends.set()
        thread.join()


def scans(node: Node) -> int:
    with node.client() as db:
        return int(db.info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"])


def test_keys_that_move_during_the_search(cluster: Cluster) -> None:
    """From a node whose search takes long to one whose search is over: each is read once."""
    name, owner = f"m{next(_numbers)}", cluster.owners()
    slow, quick = cluster.primaries[0], cluster.primaries[2]
    mine = [key for key in (f"{name}:{n}" for n in range(100)) if owner(key) is slow]
    # Servers that search slot by slot find those keys last that are to move.
    first, *_, a, b, c = sorted(mine, key=lambda key: key_slot(key.encode()))
    with slow.client() as db, db.pipeline(transaction=False) as pipeline:
        for key in mine:
            pipeline.xadd(key, {"n": 1})
        for number in range(8_000):
            pipeline.set(f"{{{first}}}-{number}", "no stream")
        pipeline.execute()

    def move(before: int) -> None:
        wait_until(lambda: scans(slow) > before + 200)
        for key in (a, b, c):
            cluster.move(key, quick)

    def search() -> int:
        """How often a node was asked whose search is over soon."""
        before = scans(quick)
        frame = redcol.read_streams(cluster.url, f"{name}:*", schema=SCHEMA, count_hint=1)
        assert frame["_key"].to_list() == sorted(mine)
        return scans(quick) - before

    once = search()
    for _ in range(20):
        with ThreadPoolExecutor() as pool:
            moving = pool.submit(move, scans(slow))
            asked = search()
            moving.result()
        for key in (a, b, c):
            cluster.move(key, slow)
        cluster.await_whole()
        if asked > once + once // 2:
            return
    pytest.fail("no slot came to a node whose search was over")
