# SPDX-License-Identifier: Apache-2.0
"""One iterator over nodes of a real cluster, one of which is silent: nothing is awaited of it that
is not needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import redcol
from clusters import NODE_TIMEOUT_MS, Cluster
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
