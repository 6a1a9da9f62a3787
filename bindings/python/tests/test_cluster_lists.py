# SPDX-License-Identifier: Apache-2.0
"""Lists of what is on all nodes of a real cluster, also while slots move and nodes die."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.crc import key_slot

import redcol
from clusters import Cluster
from sentinels import wait_until
from servers import SERVERS

NAMES = [f"list:{number:03}" for number in range(120)]


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        fill(started)
        yield started


def fill(cluster: Cluster) -> None:
    owner = cluster.owners()
    for node in cluster.primaries:
        with node.client() as db:
            pipeline = db.pipeline(transaction=False)
            for name in NAMES:
                if owner(name) is node:
                    pipeline.xgroup_create(name, "g", id="0", mkstream=True)
                    pipeline.xadd(name, {"n": 1}, id="1-1")
                    pipeline.xadd(name, {"n": 2}, id="2-1")
                    pipeline.xreadgroup("g", "c", {name: ">"}, count=1)
            pipeline.execute()


def check(where: str | redcol.Client) -> None:
    assert redcol.list_streams(where, "list:*")["stream"].to_list() == NAMES
    groups = redcol.list_groups(where, NAMES[::-1], exact=True)
    assert groups["stream"].to_list() == NAMES
    assert groups["lag_exact"].to_list() == groups["pending"].to_list() == [1] * len(NAMES)
    assert groups["oldest_pending_ms"].null_count() == 0
    assert redcol.list_consumers(where, "list:*", "g")["consumer"].to_list() == ["c"] * len(NAMES)
    for name in NAMES[:3]:
        assert redcol.list_pending(where, name, "g")["_id"].to_list() == ["1-1"]


def test_lists(cluster: Cluster) -> None:
    for node in cluster.primaries:
        check(node.url)


def test_slots_that_have_moved(cluster: Cluster) -> None:
    """A client with an old map."""
    with redcol.connect(cluster.url) as client:
        check(client)
        for name in NAMES[:10]:
            cluster.move(name, cluster.other(cluster.owner(name)))
        check(client)


def test_a_slot_that_is_moving(cluster: Cluster) -> None:
    """Of two streams of a slot one is with its new node already, and the other is not yet."""
    source = cluster.primaries[0]
    target = cluster.other(source)
    tag = cluster.key_at(source, "tag")
    names = [f"{{{tag}}}:{number}" for number in range(4)]
    slot = key_slot(names[0].encode())
    with source.client() as db:
        for name in names:
            db.xgroup_create(name, "g", mkstream=True)
    cluster.begin_move(slot, source, target)
    try:
        for moved in range(5):
            if 0 < moved <= 4:
                name = names[moved - 1]
                source.ask("MIGRATE", "127.0.0.1", target.port, name, 0, 5000)
            for order in (names, names[::-1]):
                assert redcol.list_groups(cluster.url, order)["stream"].to_list() == names
            assert redcol.list_streams(cluster.url, names[0])["groups"].to_list() == [1]
    finally:
        cluster.end_move(slot, source, target)
    for name in names:
        with cluster.db(name) as db:
            db.delete(name)


def test_a_node_dies(cluster: Cluster) -> None:
    """Without a replica its streams are gone: that is an error, and not a shorter list."""
    node = cluster.primaries[2]
    with redcol.connect(cluster.url, timeout_ms=500) as client:
        node.pause()
        try:
            with pytest.raises(
                (redcol.ConnectionFailedError, redcol.TimedOutError, redcol.ServerError)
            ):
                redcol.list_groups(client, NAMES)
        finally:
            cluster.repair()
        check(client)


def test_a_replica_takes_over() -> None:
    with Cluster(replicas=1) as cluster:
        fill(cluster)
        # A primary may send a new replica nothing until that has answered it.
        with cluster.primaries[1].client() as db:
            wait_until(lambda: db.execute_command("WAIT", 1, 1000) == 1, "the replica has it all")
        with redcol.connect(cluster.url, timeout_ms=60_000) as client:
            check(client)
            cluster.primaries[1].kill()
            check(client)
