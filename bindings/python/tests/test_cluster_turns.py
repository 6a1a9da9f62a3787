# SPDX-License-Identifier: Apache-2.0
"""One iterator over nodes of a real cluster, one of which is silent: the others are asked as often
as they should be, and nothing is awaited that is not needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import redcol
from clusters import NODE_TIMEOUT_MS, Cluster, Node
from grouping import SCHEMA, add
from sentinels import wait_until
from servers import SERVERS

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Nodes that wait long before they take a silent one to be down."""
    with Cluster(request.param) as started:
        for node in started.nodes:
            node.ask("CONFIG", "SET", "cluster-node-timeout", str(40 * NODE_TIMEOUT_MS))
        yield started


@pytest.fixture
def streams(cluster: Cluster) -> list[str]:
    """A stream on each of two nodes."""
    name = f"t{next(_numbers)}"
    return [cluster.key_at(node, name) for node in cluster.primaries[:2]]


def reads(node: Node) -> int:
    """How often XREAD was called."""
    with node.client() as db:
        return int(db.info("commandstats").get("cmdstat_xread", {"calls": 0})["calls"])


def test_a_silent_node_is_not_awaited_when_enough_has_come(
    cluster: Cluster, streams: list[str]
) -> None:
    silent = cluster.primaries[1]
    with (
        redcol.iter_stream(cluster.url, streams, schema=SCHEMA, count=2) as batches,
        ThreadPoolExecutor() as pool,
        cluster.db(streams[0]) as db,
    ):
        add(db, streams[0], [0])
        assert next(batches)["n"].to_list() == [0]
        silent.pause()
        try:
            add(db, streams[0], [1])
            rest = pool.submit(list, batches)
            wait_until(rest.done, "the end of the iterator", seconds=30)
        finally:
            silent.resume()
    assert [frame["n"].to_list() for frame in rest.result()] == [[1]]


def test_each_node_is_asked_once_for_an_empty_frame(cluster: Cluster, streams: list[str]) -> None:
    asked, silent = cluster.primaries[:2]
    with (
        redcol.iter_stream(
            cluster.url, streams, schema=SCHEMA, on_idle="empty", block_ms=None
        ) as batches,
        ThreadPoolExecutor() as pool,
    ):
        assert next(batches).is_empty()
        silent.pause()
        try:
            before = reads(asked)
            reading = pool.submit(next, batches)
            wait_until(lambda: reads(asked) > before, "an XREAD on the node that answers")
        finally:
            silent.resume()
        assert reading.result().is_empty()
        assert reads(asked) == before + 1
