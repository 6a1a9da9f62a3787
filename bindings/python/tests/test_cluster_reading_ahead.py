# SPDX-License-Identifier: Apache-2.0
"""Ranges of large streams on all nodes of a real cluster: each node is asked before its turn."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from chaos.proxy import NONE, RANGE, Faults

import redcol
from clusters import NODE_TIMEOUT_MS, Cluster, Node, Relays
from grouping import SCHEMA
from sentinels import wait_until
from servers import SERVERS

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


def fill(cluster: Cluster, streams: dict[str, list[str]]) -> None:
    """Entries with these ids, numbered from 0."""
    owner = cluster.owners()
    for node in cluster.primaries:
        with node.client() as db, db.pipeline(transaction=False) as pipeline:
            for stream, ids in streams.items():
                if owner(stream) is node:
                    for number, entry_id in enumerate(ids):
                        pipeline.xadd(stream, {"n": number}, id=entry_id)
            pipeline.execute()


def rows_of(streams: dict[str, list[str]]) -> list[tuple[str, int]]:
    return [(stream, number) for stream, ids in streams.items() for number in range(len(ids))]


def ids_of(rng: random.Random, size: int) -> list[str]:
    """Dense, or with gaps, or many in one millisecond: pages are cut where none was expected."""
    ids, milliseconds, sequence = [], 1, 0
    step = rng.choice([0, 1, 30])
    for _ in range(size):
        ids.append(f"{milliseconds}-{sequence}")
        ahead = 1_000_000 if rng.random() < 0.001 else rng.randint(0, step)
        sequence = 0 if ahead else sequence + 1
        milliseconds += ahead
    return ids


def uneven(seed: int, count: int) -> dict[str, list[str]]:
    rng = random.Random(seed)
    name = f"ahead{next(_numbers)}"
    sizes = [0, 1, 100, 256, 257, 1_000, 5_000]
    return {f"{name}-{number:02}": ids_of(rng, rng.choice(sizes)) for number in range(count)}


def ranges(node: Node) -> int:
    """How often XRANGE was called."""
    with node.client() as db:
        return int(db.info("commandstats").get("cmdstat_xrange", {"calls": 0})["calls"])


def test_a_node_works_while_another_one_is_silent(cluster: Cluster) -> None:
    silent, other = cluster.primaries[:2]
    name = f"ahead{next(_numbers)}"
    keys = [cluster.key_at(silent, name), *(cluster.key_at(other, f"{name}-{n}") for n in "ab")]
    streams = {key: [f"{number + 1}-0" for number in range(5_000)] for key in keys}
    fill(cluster, streams)
    for node in cluster.primaries:
        node.ask("CONFIG", "SET", "cluster-node-timeout", "60000")
    try:
        with redcol.connect(cluster.url, timeout_ms=60_000) as client, ThreadPoolExecutor() as pool:
            redcol.read_streams(client, keys, schema=SCHEMA, count_per_stream=1)
            before = ranges(other)
            silent.pause()
            try:
                reading = pool.submit(redcol.read_streams, client, keys, schema=SCHEMA)
                # Both of its streams, each of which takes several pages.
                wait_until(lambda: ranges(other) >= before + 12, "a node that is asked ahead")
            finally:
                silent.resume()
            frame = reading.result()
    finally:
        for node in cluster.primaries:
            node.ask("CONFIG", "SET", "cluster-node-timeout", str(NODE_TIMEOUT_MS))
    assert frame.select("_key", "n").rows() == rows_of(streams)


def test_streams_of_all_densities_come_in_order(cluster: Cluster) -> None:
    streams = uneven(1, 40)
    fill(cluster, streams)
    with redcol.connect(cluster.url) as client:
        for _ in range(3):
            frame = redcol.read_streams(client, list(streams), schema=SCHEMA)
            assert frame.select("_key", "n").rows() == rows_of(streams)
    some = redcol.read_streams(cluster.url, list(streams), schema=SCHEMA, count_per_stream=700)
    assert some.select("_key", "n").rows() == [row for row in rows_of(streams) if row[1] < 700]


def test_connections_that_are_cut_lose_and_repeat_nothing(cluster: Cluster) -> None:
    streams = uneven(2, 30)
    fill(cluster, streams)
    rows = rows_of(streams)
    for seed in range(3):
        rng = random.Random(seed)
        ends = [rng.randint(1, 60_000) for _ in range(4)]

        def plan(number: int, ends: list[int] = ends) -> Faults:
            return Faults(end_after=ends[number], since=RANGE) if number < len(ends) else NONE

        with (
            Relays(cluster, plan) as relays,
            redcol.connect(relays.url, timeout_ms=60_000, **relays.arguments) as client,
        ):
            frame = redcol.read_streams(client, list(streams), schema=SCHEMA)
            assert max(proxy.accepted for proxy in relays.proxies) > 3
        assert frame.select("_key", "n").rows() == rows
