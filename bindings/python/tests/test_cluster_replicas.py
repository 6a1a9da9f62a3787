# SPDX-License-Identifier: Apache-2.0
"""Ranges that the replicas of a cluster are asked for, and what they are not asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import polars as pl
import pytest
import redis

import redcol
from clusters import Cluster, Node
from grouping import GROUP, SCHEMA, add
from sentinels import wait_until
from servers import REDIS_7, VALKEY_9, Server

_numbers = itertools.count()


@pytest.fixture(scope="module", params=[REDIS_7, VALKEY_9], ids=["r7", "v9"])
def whole(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param, replicas=1) as started:
        yield started


@pytest.fixture
def cluster(whole: Cluster) -> Cluster:
    whole.repair()
    return whole


def calls(node: Node, command: str) -> int:
    with node.client() as db:
        return int(db.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def replica_of(cluster: Cluster, primary: Node) -> Node:
    return next(
        node
        for node in cluster.nodes
        if node.ask("INFO", "replication").get("master_port") == primary.port
    )


def filled(cluster: Cluster) -> tuple[str, Node, Node]:
    """A stream that a replica has too, its primary, and the replica."""
    key = f"read-{next(_numbers)}"
    primary = cluster.owner(key)
    with primary.client() as db:
        add(db, key, range(3))
        wait_until(lambda: db.execute_command("WAIT", 1, 1000) == 1)
    replica = replica_of(cluster, primary)
    # Nodes name no replica that has received nothing, as far as they know.
    wait_until(
        lambda: all(replica.id in str(node.ask("CLUSTER", "SLOTS")) for node in cluster.nodes),
        "the nodes name the replica",
    )
    return key, primary, replica


@pytest.mark.parametrize("place", ["URL", "argument"])
def test_ranges_from_replicas(cluster: Cluster, place: str) -> None:
    key, primary, replica = filled(cluster)
    before = [calls(node, "xrange") for node in (primary, replica)]
    if place == "URL":
        client = redcol.connect(f"{cluster.url}?read_from=replica")
    else:
        client = redcol.connect(cluster.url, read_from="replica")
    with client:
        for _ in range(3):
            assert redcol.read_stream(client, key, schema=SCHEMA)["n"].to_list() == [0, 1, 2]
        assert redcol.scan_stream(client, key, schema=SCHEMA).collect().height == 3
        assert calls(primary, "xrange") == before[0]
        assert calls(replica, "xrange") >= before[1] + 4
        # These are of no use on a replica, or would come too late.
        arguments = {"block_ms": 10, "on_idle": "stop", "schema": SCHEMA}
        with redcol.iter_stream(client, key, **GROUP, **arguments) as batches:
            assert sum(len(batch) for batch in batches) == 3
        with redcol.iter_stream(client, key, **arguments) as batches:
            assert sum(len(batch) for batch in batches) == 3
        redcol.write_stream(client, pl.DataFrame({"n": [3]}), key)
        assert calls(replica, "xread") == calls(replica, "xreadgroup") == 0


def test_any_of_them(cluster: Cluster) -> None:
    key, primary, replica = filled(cluster)
    before = {node.port: calls(node, "xrange") for node in (primary, replica)}
    source: Literal["any"] = "any"
    for _ in range(200):
        with redcol.connect(cluster.url, read_from=source) as client:
            assert len(redcol.read_stream(client, key)) == 3
        if all(calls(node, "xrange") > before[node.port] for node in (primary, replica)):
            break
    else:
        pytest.fail("one of them was never asked")


def test_a_replica_that_is_gone(cluster: Cluster) -> None:
    """The primary is asked, at once."""
    key, primary, replica = filled(cluster)
    before = calls(primary, "xrange")
    with redcol.connect(cluster.url, read_from="replica") as client:
        assert len(redcol.read_stream(client, key)) == 3
        replica.kill()
        for _ in range(2):
            assert len(redcol.read_stream(client, key)) == 3
        assert calls(primary, "xrange") > before


def test_a_slot_that_moves(cluster: Cluster) -> None:
    key, primary, _ = filled(cluster)
    target = next(node for node in cluster.nodes if node.is_primary and node is not primary)
    with redcol.connect(cluster.url, read_from="replica") as client:
        assert len(redcol.read_stream(client, key)) == 3
        cluster.move(key, target)
        with target.client() as db:
            wait_until(lambda: db.execute_command("WAIT", 1, 1000) == 1)
        wait_until(lambda: len(redcol.read_stream(client, key)) == 3)
    cluster.move(key, primary)


def test_a_single_server_has_all_roles(server: Server, db: redis.Redis, key: str) -> None:
    ids = add(db, key, range(3))
    for source in ("replica", "any", "primary"):
        with redcol.connect(server.url, read_from=source) as client:  # type: ignore[arg-type]
            assert redcol.read_stream(client, key)["_id"].to_list() == ids
