# SPDX-License-Identifier: Apache-2.0
"""One iterator over nodes of a real cluster, one of which is silent: nothing is awaited of it that
is not needed."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


@pytest.mark.parametrize("kind", ["one", "new entries", "group", "several"])
def test_an_iterator_that_is_made_while_a_node_is_silent(
    cluster: Cluster, streams: list[str], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for the node, as it would later; with a limit the error names that node."""
    caplog.set_level(logging.WARNING, logger="redcol")
    silent, other = cluster.primaries[:2]
    arguments: dict[str, Any] = {"schema": SCHEMA}
    arguments |= {"start_id": "$"} if kind == "new entries" else {}
    arguments |= {"group": "g", "consumer": "c"} if kind == "group" else {}
    chosen = streams if kind == "several" else streams[0]
    with cluster.db(streams[0]) as db:
        add(db, streams[0], [0])
    with (
        redcol.connect(other.url, connect_timeout_ms=500, timeout_ms=60_000) as client,
        ThreadPoolExecutor() as pool,
    ):
        redcol.read_stream(client, streams[1])
        silent.pause()
        try:
            with pytest.raises(redcol.TimedOutError, match=f"connecting to {address(silent)}:"):
                redcol.iter_stream(client, chosen, reconnect_timeout_ms=1, **arguments)
            making = pool.submit(redcol.iter_stream, client, chosen, **arguments)
            wait_until(lambda: "beginning again" in caplog.text, "another attempt")
            assert address(other) not in caplog.text
        finally:
            silent.resume()
        with making.result() as batches, cluster.db(streams[0]) as db:
            add(db, streams[0], [1])
            numbers = [1] if kind == "new entries" else [0, 1]
            found = rows(batches)
            assert [next(found) for _ in numbers] == numbers


def address(node: Node) -> str:
    return f"redis://127.0.0.1:{node.port}"


def rows(batches: redcol.StreamIterator) -> Iterator[int]:
    for frame in batches:
        yield from frame["n"].to_list()
